//! `device-watch`: looks for faults on every device and collects counters. Started by `supervisor`.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::module::ResidentArguments;
use monitor_appliance::{device_watch, logging, shutdown};
use std::process::ExitCode;

/// Looks for faults on every device and collects counters.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    resident: ResidentArguments,
}

fn main() -> ExitCode {
    logging::end("device-watch", run())
}

/// Threads that may wait for the disk or a name server: there is one store, and each thread costs memory of its own.
const BLOCKING_THREADS: usize = 8;

fn run() -> anyhow::Result<()> {
    let context = Arguments::parse().resident.begin().context("the settings cannot be used")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .context("no threads")?;
    runtime.block_on(async {
        device_watch::run(context, shutdown::on_signals()?).await?;
        Ok(())
    })
}

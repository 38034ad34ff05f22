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

#[tokio::main(worker_threads = 2)]
async fn run() -> anyhow::Result<()> {
    let context = Arguments::parse().resident.begin().context("the settings cannot be used")?;
    device_watch::run(context, shutdown::on_signals()?).await?;
    Ok(())
}

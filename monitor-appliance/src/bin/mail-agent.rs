//! `mail-agent`: sends reports, looks for mail, files and answers it. Started by `supervisor`.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::module::ResidentArguments;
use monitor_appliance::{logging, mail_agent, shutdown};
use std::process::ExitCode;

/// Sends reports, looks for mail, files and answers it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    resident: ResidentArguments,
}

fn main() -> ExitCode {
    logging::end("mail-agent", run())
}

#[tokio::main(worker_threads = 2)]
async fn run() -> anyhow::Result<()> {
    let context = Arguments::parse().resident.begin().context("the settings cannot be used")?;
    mail_agent::run(context, shutdown::on_signals()?).await?;
    Ok(())
}

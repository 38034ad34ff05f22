//! `version-report`: answers the version reports that are asked for. Run by the supervisor.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::module::ModuleArguments;
use monitor_appliance::{logging, version_report};
use std::process::ExitCode;

/// Writes the version reports that are asked for, over hashes read again from disk.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    module: ModuleArguments,
}

fn main() -> ExitCode {
    logging::end("version-report", run())
}

fn run() -> anyhow::Result<()> {
    let context = Arguments::parse().module.begin().context("the settings cannot be used")?;
    let answered = version_report::write(&context)?;
    tracing::info!(answered, "version reports written");
    Ok(())
}

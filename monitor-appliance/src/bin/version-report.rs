//! `version-report`: answers the version reports that are asked for. Run by the supervisor.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::{Context, logging, version_report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes the version reports that are asked for, over hashes read again from disk.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The appliance's root directory.
    #[arg(long, env = monitor_appliance::layout::ROOT_VARIABLE, default_value = monitor_appliance::layout::ROOT_DEFAULT)]
    root: PathBuf,
    /// What is logged, such as `info` or `monitor_appliance=debug`.
    #[arg(long, default_value = "info")]
    log: String,
}

fn main() -> ExitCode {
    logging::end("version-report", run())
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    logging::start(&arguments.log);
    let context = Context::load(&arguments.root).context("the settings cannot be used")?;
    let answered = version_report::write(&context)?;
    tracing::info!(answered, "version reports written");
    Ok(())
}

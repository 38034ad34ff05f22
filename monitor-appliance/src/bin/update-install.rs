//! `update-install`: builds and prepares the release of one update order. Run by the supervisor.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::{Context, logging, update};
use std::path::PathBuf;
use std::process::ExitCode;

/// Installs a package that was ordered, up to the swap, which is the supervisor's.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The appliance's root directory.
    #[arg(long, env = monitor_appliance::layout::ROOT_VARIABLE, default_value = monitor_appliance::layout::ROOT_DEFAULT)]
    root: PathBuf,
    /// What is logged, such as `info` or `monitor_appliance=debug`.
    #[arg(long, default_value = "info")]
    log: String,
    /// Row number of the order; without it the one whose turn it is.
    #[arg(long)]
    order: Option<i64>,
}

fn main() -> ExitCode {
    logging::end("update-install", run())
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    logging::start(&arguments.log);
    let context = Context::load(&arguments.root).context("the settings cannot be used")?;
    match arguments.order {
        Some(order) => {
            update::install(&context, order)?;
        }
        None => {
            update::install_next(&context)?;
        }
    }
    Ok(())
}

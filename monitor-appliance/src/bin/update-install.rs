//! `update-install`: builds and prepares the release of one update order. Run by the supervisor.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use monitor_appliance::module::ModuleArguments;
use monitor_appliance::{logging, update};
use std::process::ExitCode;

/// Installs a package that was ordered, up to the swap, which is the supervisor's.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    module: ModuleArguments,
    /// Row number of the order; without it the one whose turn it is.
    #[arg(long)]
    order: Option<i64>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program starts itself as, to run a script.
#[derive(Clone, Copy, Subcommand)]
enum Part {
    /// Stands outside of the fences.
    #[command(hide = true)]
    KeepScript,
    /// Is the first within them.
    #[command(hide = true)]
    RunScript,
}

fn main() -> ExitCode {
    logging::end("update-install", run())
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        // Its standard error is where it tells how the script ended.
        Some(Part::RunScript) => return Ok(update::confinement::run_in_cell()?),
        Some(Part::KeepScript) => {
            logging::start(&arguments.module.log);
            return Ok(update::confinement::keep_script()?);
        }
        None => {}
    }
    let context = arguments.module.begin().context("the settings cannot be used")?;
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

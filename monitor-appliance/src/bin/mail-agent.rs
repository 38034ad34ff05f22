//! `mail-agent`: sends reports, looks for mail, files and answers it. Started by `supervisor`.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::supervisor::spawn_parent_watch;
use monitor_appliance::{Context, layout, logging, mail_agent, shutdown};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sends reports, looks for mail, files and answers it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The appliance's root directory.
    #[arg(long, env = layout::ROOT_VARIABLE, default_value = layout::ROOT_DEFAULT)]
    root: PathBuf,
    /// What is logged, such as `info` or `monitor_appliance=debug`.
    #[arg(long, default_value = "info")]
    log: String,
    /// The supervisor's process; when it is gone, this one ends too.
    #[arg(long)]
    parent: Option<u32>,
}

fn main() -> ExitCode {
    logging::end("mail-agent", run())
}

#[tokio::main(worker_threads = 2)]
async fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    logging::start(&arguments.log);
    arguments.parent.into_iter().for_each(spawn_parent_watch);
    let context = Context::load(&arguments.root).context("the settings cannot be used")?;
    mail_agent::run(context, shutdown::on_signals()?).await?;
    Ok(())
}

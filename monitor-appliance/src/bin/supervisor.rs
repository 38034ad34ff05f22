//! `supervisor`: keeps the modules of one appliance running. Started by the system's service manager.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::supervisor::{End, Patience, run};
use monitor_appliance::{Context, logging};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Keeps the modules of the running release alive, swaps releases, and takes back those that fail.
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
    logging::end("supervisor", keep_running())
}

fn keep_running() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    logging::start(&arguments.log);
    let stop = Arc::new(AtomicBool::new(false));
    listen_for_signals(Arc::clone(&stop))?;
    let context = Context::load(&arguments.root).context("the settings cannot be used")?;
    let patience = Patience { hung_after: context.settings.timers.heartbeat_limit, ..Patience::default() };
    match run(&context, &patience, &stop)? {
        End::Stopped => Ok(()),
        End::Replaced { by } => {
            // Only returns when it fails; the service manager then starts the new one.
            let error = std::process::Command::new(&by).args(std::env::args_os().skip(1)).exec();
            Err(error).with_context(|| format!("cannot become the new supervisor {}", by.display()))
        }
    }
}

/// Sets `stop` on SIGTERM or SIGINT. Waiting for signals is the one thing for which this program has an event loop.
fn listen_for_signals(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        stop.store(true, Ordering::Relaxed);
    });
    Ok(())
}

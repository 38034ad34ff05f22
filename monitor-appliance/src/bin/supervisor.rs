//! `supervisor`: keeps the modules of one appliance running. Started by the system's service manager.

use anyhow::Context as _;
use clap::Parser;
use monitor_appliance::logging;
use monitor_appliance::module::ModuleArguments;
use monitor_appliance::supervisor::{
    EXIT_NOT_PROVEN, EXIT_PROVEN, End, Patience, Start, load, run_as, spawn_parent_watch,
};
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Keeps the modules of the running release alive, swaps releases, and takes back those that fail.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    module: ModuleArguments,
    /// Row number of the update whose release, and whose supervisor this is, is on trial. Given by the supervisor before.
    #[arg(long, requires = "parent", hide = true)]
    on_trial: Option<i64>,
    /// The supervisor that watches over the trial; when it is gone, this one ends too.
    #[arg(long, hide = true)]
    parent: Option<u32>,
}

/// Set for a supervisor that another one makes way for: the appliance was not restarted.
const TAKEN_OVER: &str = "MONITOR_APPLIANCE_TAKEN_OVER";

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let ended = keep_running().map(|proper| code = proper);
    match ended {
        Ok(()) => code,
        Err(error) => logging::end("supervisor", Err(error)),
    }
}

fn keep_running() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    logging::start(&arguments.module.log);
    let stop = Arc::new(AtomicBool::new(false));
    listen_for_signals(Arc::clone(&stop))?;
    arguments.parent.into_iter().for_each(spawn_parent_watch);
    let start = match arguments.on_trial {
        Some(order) => Start::OnTrial { order },
        None if std::env::var_os(TAKEN_OVER).is_some() => Start::TakenOver,
        None => Start::Fresh,
    };
    let context = load(&arguments.module.root).context("the settings cannot be used")?;
    match run_as(start, &context, &Patience::of(&context.settings), &stop)? {
        End::Stopped => Ok(ExitCode::SUCCESS),
        End::Proven => Ok(EXIT_PROVEN.into()),
        End::NotProven => Ok(EXIT_NOT_PROVEN.into()),
        End::Replaced { by } => {
            let mut next = std::process::Command::new(&by);
            next.arg("--root")
                .arg(&arguments.module.root)
                .args(["--log", &arguments.module.log])
                .env(TAKEN_OVER, "1");
            // Only returns when it fails; the service manager then starts the new one.
            let error = next.exec();
            Err(error).with_context(|| format!("cannot become the supervisor {}", by.display()))
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

//! `center-manager serve`.

use super::{Context, Exit};
use crate::serve::Daemon;
use anyhow::Context as _;
use clap::Args;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Read and send once, then end.
    #[arg(long)]
    pub once: bool,
}

pub(super) fn run(args: &ServeArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // The daemon itself works on this thread; mails are sealed and handed in on these.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(1, usize::from).min(4))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut daemon = Daemon::new(&context.home)?;
        if args.once {
            let pass = daemon.once().await?;
            writeln!(
                out,
                "{} mails read, {} new reports, {} mails sent",
                pass.read, pass.reports, pass.sent
            )?;
            return Ok(Exit::Done);
        }
        daemon.run(end_signal()?).await?;
        Ok(Exit::Done)
    })
}

/// Becomes true at SIGTERM or SIGINT; a second one ends the process at once, which is safe too.
fn end_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (send, receive) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        for nth in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if nth == 0 {
                tracing::info!("ending after the step at hand");
                send.send_replace(true);
            }
        }
        std::process::exit(1);
    });
    Ok(receive)
}

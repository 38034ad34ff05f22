//! The supervisor: keeps the resident modules running, runs the others on demand, swaps releases and takes them back.
//!
//! It reads nothing that comes from outside: what `update-install` has checked and built, it finds in the store as
//! folder names and times. What it decides stands in [`plan`]; what it does, in `shell.rs`.

mod children;
mod parent;
mod plan;
pub mod processes;
mod shell;

pub use parent::{EXIT_ORPHANED, spawn_parent_watch};
pub use plan::{
    Patience, Resident, Run, Step, TrialVerdict, UpdateView, View, judge_trial, plan, restart_pause,
};

use crate::context::Context;
use crate::layout::Layout;
use crate::release::ReleaseError;
use crate::store::StoreError;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two looks at the store and the modules.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time between two looks at whether to stop.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(25);

/// Why a supervisor cannot begin. Once it runs, it goes on whatever fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The root cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another supervisor serves the same root.
    #[error("another supervisor serves this appliance (it holds {})", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// There is no running release.
    #[error("there is no release to run")]
    Release(#[from] ReleaseError),
}

/// Why a supervisor ended; all its modules have ended before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// The release that was just kept has another supervisor; this one is to make way for it.
    Replaced {
        /// The new supervisor's file.
        by: PathBuf,
    },
}

/// Serves the appliance until `stop` is set. What an earlier supervisor left running is ended first, and an update
/// that it left in the middle goes on, or back, from its stored state.
///
/// # Errors
/// [`SupervisorError`] when it cannot begin.
pub fn run(context: &Context, patience: &Patience, stop: &AtomicBool) -> Result<End, SupervisorError> {
    let mut context = context.clone();
    let root = context.layout.root();
    // What the system tells of running processes are real paths.
    let root = root.canonicalize().map_err(|source| SupervisorError::Io { path: root.to_owned(), source })?;
    context.layout = Layout::new(root);
    let _lock = lock(&context)?;
    let mut supervisor = shell::Supervisor::begin(&context, patience)?;
    tracing::info!(root = %context.layout.root().display(), "supervisor begins");
    let end = loop {
        if let Some(end) = supervisor.tick() {
            break end;
        }
        let looked = Instant::now();
        while !stop.load(Ordering::Relaxed) && looked.elapsed() < LOOK_EVERY {
            std::thread::sleep(STOP_LOOK_EVERY);
        }
        if stop.load(Ordering::Relaxed) {
            break End::Stopped;
        }
    };
    supervisor.stop();
    tracing::info!(?end, "supervisor ends");
    Ok(end)
}

/// The lock goes with its holder, however that ends.
fn lock(context: &Context) -> Result<File, SupervisorError> {
    let path = context.layout.root().join("supervisor.lock");
    let io = |source| SupervisorError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SupervisorError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

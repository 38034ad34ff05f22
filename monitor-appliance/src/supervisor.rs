//! The supervisor: keeps the resident modules running, runs the others on demand, swaps releases and takes them back.
//!
//! It reads nothing that comes from outside: what `update-install` has checked and built, it finds in the store as
//! folder names and times. What it decides stands in [`plan`]; what it does, in `shell.rs`.

mod children;
mod guard;
mod mend;
mod parent;
mod plan;
pub mod processes;
mod pulse;
mod shell;
mod trial;
mod way_back;

pub use guard::{EXIT_NOT_PROVEN, EXIT_PROVEN, Exit, Ward, WardVerdict, judge_ward};
pub use mend::load;
pub use parent::{EXIT_ORPHANED, spawn_parent_watch};
pub use plan::{ALARM_WINDOW, Patience, Resident, Run, Step, UpdateView, View, plan, restart_pause};
pub use trial::{Evidence, TrialVerdict, expected, judge_trial};

use crate::context::Context;
use crate::layout::Layout;
use crate::release::{Proven, ReleaseError, Releases};
use crate::store::StoreError;
use crate::update::{UpdateState, reason};
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

/// How a supervisor comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The service manager started it, as after a restart of the box.
    Fresh,
    /// An earlier supervisor made way for it.
    TakenOver,
    /// Its own release is on trial, and an earlier supervisor watches over it.
    OnTrial {
        /// Row number of the update's order.
        order: i64,
    },
}

/// Why a supervisor ended; all its modules have ended before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// Another supervisor is to take its place: that of the release that was just kept, or, in the middle of a trial,
    /// the proven one.
    Replaced {
        /// Its file.
        by: PathBuf,
    },
    /// On trial: the release has passed.
    Proven,
    /// On trial: the release has failed, and why is stored.
    NotProven,
}

/// Serves the appliance until `stop` is set. What an earlier supervisor left running is ended first, and an update
/// that it left in the middle goes on, or back, from its stored state.
///
/// # Errors
/// [`SupervisorError`] when it cannot begin.
pub fn run(context: &Context, patience: &Patience, stop: &AtomicBool) -> Result<End, SupervisorError> {
    run_as(Start::Fresh, context, patience, stop)
}

/// As [`run`], for a supervisor that was not started by the service manager.
///
/// # Errors
/// [`SupervisorError`] when it cannot begin.
pub fn run_as(
    start: Start,
    context: &Context,
    patience: &Patience,
    stop: &AtomicBool,
) -> Result<End, SupervisorError> {
    let mut context = context.clone();
    let root = context.layout.root();
    // What the system tells of running processes are real paths.
    let root = root.canonicalize().map_err(|source| SupervisorError::Io { path: root.to_owned(), source })?;
    context.layout = Layout::new(root);
    // One on trial serves under the lock of the one that watches over it.
    let _lock = match start {
        Start::Fresh | Start::TakenOver => Some(lock(&context)?),
        Start::OnTrial { .. } => None,
    };
    if let (Start::Fresh | Start::TakenOver, Some(by)) = (start, better_one(&context)?) {
        return Ok(End::Replaced { by });
    }
    let mut supervisor = shell::Supervisor::begin(&context, patience, start)?;
    tracing::info!(root = %context.layout.root().display(), ?start, "supervisor begins");
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
    supervisor.stop(&end);
    tracing::info!(?end, "supervisor ends");
    Ok(end)
}

/// The supervisor that ought to run instead of this one, if any: after an update that was kept, its own; in the middle of
/// a trial, not the one that is on trial but the proven one.
fn better_one(context: &Context) -> Result<Option<PathBuf>, SupervisorError> {
    let releases = Releases::below(context.layout.root());
    let proven = releases.proven_supervisor();
    let orders = context.open_store()?.update_orders_open()?;
    let under_way = orders.iter().find_map(|row| match &row.state {
        UpdateState::Swapped { swap, .. } | UpdateState::OnTrial { swap, .. } => Some(swap),
        UpdateState::RollingBack { swap, .. } => Some(swap),
        _ => None,
    });
    if let Some(swap) = under_way {
        let ours = std::env::current_exe().ok().and_then(|file| file.canonicalize().ok());
        let on_trial = ours.is_some_and(|file| file.starts_with(releases.folder(&swap.release)));
        return Ok((on_trial && proven.exists()).then_some(proven));
    }
    match releases.prove_supervisor() {
        Ok(Proven::Replaced) => Ok(Some(proven)),
        Ok(Proven::Same | Proven::New | Proven::Rejected | Proven::None) => Ok(None),
        Err(error) => {
            tracing::error!(reason = reason(&error), "the proven supervisor cannot be brought up to date");
            Ok(None)
        }
    }
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

//! Updates: a pure state machine, the steps of `update-install`, and the swap that the supervisor carries out.
//!
//! The state is stored before its work is begun ([`UpdateState`]); every piece of work may be begun again after a
//! kill at any instruction. The last move of an order and its result in the outbox are one transaction, so a result
//! is reported exactly once. Reporting is never a reason to undo.

mod aside;
mod collection;
pub mod confinement;
mod control;
mod hours;
mod install;
mod queue;
mod script;
mod state;
mod swap;
mod wait;

pub use aside::Aside;
pub use collection::{Collection, Patience, Pursuit};
pub use confinement::Fence;
pub use install::{install, install_next, work_once};
pub use queue::next_order;
pub use script::{Answer, Ask, EXIT_TRY_LATER, Keeper, OUTPUT_KEPT, Request, Script, ScriptEnd, run_script};
pub use state::{Expected, Misfit, Proving, STARTS_MAX, Swap, Turn, UpdateEvent, UpdateState};
pub use swap::{advance, complete, restarted, swap_back, swap_in, tidy};
pub use wait::{Due, HoursWait, Wait, WaitFor, WaitLimits, growing_pause};

use crate::release::ReleaseError;
use crate::store::StoreError;
use std::path::PathBuf;

/// Why an update cannot be worked on. What is wrong with the update itself is no error but its outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The store failed.
    #[error("the update's state cannot be stored")]
    Store(#[from] StoreError),
    /// The releases on disk cannot be read or changed.
    #[error("the releases cannot be used")]
    Release(#[from] ReleaseError),
    /// A step came at the wrong moment.
    #[error("the update cannot take this step")]
    Misfit(#[from] Misfit),
    /// There is no such order.
    #[error("there is no update order {id}")]
    NoSuchOrder {
        /// Its row number.
        id: i64,
    },
    /// Somebody else moved the order on.
    #[error("update order {id} was moved on by another process")]
    Overtaken {
        /// Its row number.
        id: i64,
    },
    /// Another `update-install` works here.
    #[error("another update-install works on this appliance (it holds {})", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file of the installation cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// An error with all its causes, as one line for a person.
#[must_use]
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! The state of one update, and the one way to move it.
//!
//! A state names what is done next; it is stored before that is begun, and every such piece of work may be begun
//! again after a kill. `update-install` owns the states up to [`UpdateState::ScriptRun`], the supervisor the rest.

use jiff::Timestamp;
use mailfmt::message::report::UpdateOutcome;
use serde::{Deserialize, Serialize};

/// How far one update came, stored as JSON.
///
/// ```text
/// Received -> Verified -> Staged -> ScriptRun -> Swapped -> OnTrial -> Committed
///      |        |  ^ |       |          |           |          |
///      |        v  | |       v          |           '----------+-> RollingBack -> Undone
///      |      Waiting/AwaitingRestart   |
///      '-> Refused (nothing begun)      '-> Undone (nothing swapped)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum UpdateState {
    /// The package file is stored; it is opened next.
    Received,
    /// Acceptable here; the new release is built next, unless something is in the way.
    Verified {
        /// What was waited for so far.
        #[serde(default)]
        wait: Option<Wait>,
    },
    /// Acceptable here, but to be begun only after the next restart of the appliance.
    AwaitingRestart,
    /// Something is in the way; looked at again at `retry_at`.
    Waiting {
        /// Since when and how long.
        wait: Wait,
        /// What for, for a person.
        reason: String,
        /// When to look again.
        retry_at: Timestamp,
    },
    /// The new release stands complete beside the running one; its script runs next.
    Staged {
        /// What was waited for so far.
        #[serde(default)]
        wait: Option<Wait>,
        /// What is to be swapped in.
        swap: Swap,
    },
    /// The script succeeded; the supervisor swaps next.
    ScriptRun {
        /// What is to be swapped in.
        swap: Swap,
    },
    /// The swap was begun: the modules stop, the link changes, the modules start.
    Swapped {
        /// What is swapped in.
        swap: Swap,
    },
    /// The new release runs and is watched.
    OnTrial {
        /// What was swapped in.
        swap: Swap,
        /// When its modules were started.
        since: Timestamp,
    },
    /// The new release failed: the modules stop, the link goes back, the modules start.
    RollingBack {
        /// What is taken back.
        swap: Swap,
        /// Why, for a person.
        reason: String,
    },
    /// The end: the new release runs and stays.
    Committed,
    /// The end: nothing was begun.
    Refused {
        /// Why, for a person.
        reason: String,
    },
    /// The end: begun and taken back; the release before runs.
    Undone {
        /// Why, for a person.
        reason: String,
    },
}

/// What has been waited for, over several looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Since when.
    pub since: Timestamp,
    /// When the center is told that it takes longer.
    pub report_at: Timestamp,
    /// Whether the center was told.
    pub reported: bool,
    /// How often it was looked at again in vain.
    pub tries: u32,
}

/// What is swapped in, and what is done around it. The supervisor knows nothing else of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// Folder name of the new release.
    pub release: String,
    /// Folder name of the release that runs until then.
    pub previous: String,
    /// The new release's counter.
    pub release_counter: u64,
    /// Seconds that it must run well.
    pub trial_secs: u32,
    /// Whether `cache/` is emptied while nothing runs.
    pub drop_shared_data: bool,
    /// Whether the box is restarted at the end.
    pub reboot_after: bool,
    /// Whether a version report is sent at the end.
    pub report_by_itself: bool,
}

/// What can happen to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateEvent {
    /// The package was opened: signed, fresh, for this appliance.
    Accepted {
        /// Whether it is to begin only after the next restart.
        at_next_restart: bool,
    },
    /// The target runs here already.
    AlreadyRuns,
    /// The appliance started again.
    Restarted,
    /// Something is in the way.
    Blocked {
        /// What, for a person.
        reason: String,
        /// When that was seen.
        now: Timestamp,
        /// When the center is told, if this is the first look.
        report_at: Timestamp,
        /// When to look again.
        retry_at: Timestamp,
    },
    /// The center was told that it takes longer.
    WaitReported,
    /// Nothing is in the way.
    Free,
    /// The new release stands beside the running one.
    Built {
        /// What is to be swapped in.
        swap: Swap,
    },
    /// The script succeeded.
    ScriptSucceeded,
    /// The swap begins.
    SwapBegins,
    /// The new release's modules were started.
    TrialBegins {
        /// When.
        now: Timestamp,
    },
    /// The new release ran well for its trial time.
    TrialPassed,
    /// It cannot go on.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// The release before runs again.
    TakenBack,
}

/// An event that cannot happen in that state; the state is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the update is {state}, where {event:?} cannot happen")]
pub struct Misfit {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: UpdateEvent,
}

impl UpdateState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`Misfit`] when the event cannot happen in this state.
    pub fn step(self, event: UpdateEvent) -> Result<Self, Misfit> {
        use UpdateEvent as E;
        let name = self.name();
        let misfit = |event| Err(Misfit { state: name, event });
        match self {
            Self::Received => match event {
                E::Accepted { at_next_restart: false } => Ok(Self::Verified { wait: None }),
                E::Accepted { at_next_restart: true } => Ok(Self::AwaitingRestart),
                E::AlreadyRuns => Ok(Self::Committed),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Verified { wait } => match event {
                E::Blocked { reason, now, report_at, retry_at } => {
                    Ok(Self::blocked(wait, reason, now, report_at, retry_at))
                }
                E::Built { swap } => Ok(Self::Staged { wait, swap }),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::AwaitingRestart => match event {
                E::Restarted => Ok(Self::Verified { wait: None }),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Waiting { wait, reason, retry_at } => match event {
                E::Blocked { reason, now, report_at, retry_at } => {
                    Ok(Self::blocked(Some(wait), reason, now, report_at, retry_at))
                }
                E::WaitReported => {
                    Ok(Self::Waiting { wait: Wait { reported: true, ..wait }, reason, retry_at })
                }
                E::Free => Ok(Self::Verified { wait: Some(wait) }),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Staged { wait, swap } => match event {
                E::ScriptSucceeded => Ok(Self::ScriptRun { swap }),
                E::Blocked { reason, now, report_at, retry_at } => {
                    Ok(Self::blocked(wait, reason, now, report_at, retry_at))
                }
                E::Failed { reason } => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::ScriptRun { swap } => match event {
                E::SwapBegins => Ok(Self::Swapped { swap }),
                E::Failed { reason } => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::Swapped { swap } => match event {
                E::TrialBegins { now } => Ok(Self::OnTrial { swap, since: now }),
                E::Failed { reason } => Ok(Self::RollingBack { swap, reason }),
                other => misfit(other),
            },
            Self::OnTrial { swap, since: _ } => match event {
                // After a restart the whole trial time begins again.
                E::TrialBegins { now } => Ok(Self::OnTrial { swap, since: now }),
                E::TrialPassed => Ok(Self::Committed),
                E::Failed { reason } => Ok(Self::RollingBack { swap, reason }),
                other => misfit(other),
            },
            Self::RollingBack { swap: _, reason } => match event {
                E::TakenBack => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::Committed | Self::Refused { .. } | Self::Undone { .. } => misfit(event),
        }
    }

    fn blocked(
        wait: Option<Wait>,
        reason: String,
        now: Timestamp,
        report_at: Timestamp,
        retry_at: Timestamp,
    ) -> Self {
        let wait = wait.unwrap_or(Wait { since: now, report_at, reported: false, tries: 0 });
        let wait = Wait { tries: wait.tries.saturating_add(1), ..wait };
        Self::Waiting { wait, reason, retry_at }
    }

    /// The state in a word or two, for tables and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Verified { .. } => "verified",
            Self::AwaitingRestart => "awaiting the next restart",
            Self::Waiting { .. } => "waiting",
            Self::Staged { .. } => "staged",
            Self::ScriptRun { .. } => "ready to be swapped in",
            Self::Swapped { .. } => "being swapped in",
            Self::OnTrial { .. } => "on trial",
            Self::RollingBack { .. } => "being taken back",
            Self::Committed => "installed",
            Self::Refused { .. } => "refused",
            Self::Undone { .. } => "undone",
        }
    }

    /// The outcome to report at the end; `None` before it.
    #[must_use]
    pub fn outcome(&self) -> Option<UpdateOutcome> {
        match self {
            Self::Committed => Some(UpdateOutcome::Installed),
            Self::Refused { reason } => Some(UpdateOutcome::Refused { reason: reason.clone() }),
            Self::Undone { reason } => Some(UpdateOutcome::Undone { reason: reason.clone() }),
            Self::Received
            | Self::Verified { .. }
            | Self::AwaitingRestart
            | Self::Waiting { .. }
            | Self::Staged { .. }
            | Self::ScriptRun { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. }
            | Self::RollingBack { .. } => None,
        }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Turn {
        match self {
            Self::Received | Self::Verified { .. } | Self::Staged { .. } => Turn::Installer { at: None },
            Self::Waiting { retry_at, .. } => Turn::Installer { at: Some(*retry_at) },
            Self::AwaitingRestart => Turn::NextRestart,
            Self::ScriptRun { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. }
            | Self::RollingBack { .. } => Turn::Supervisor,
            Self::Committed | Self::Refused { .. } | Self::Undone { .. } => Turn::Nobody,
        }
    }

    /// Whether beginning the state's work counts against [`STARTS_MAX`]. Waiting and rolling back go on for ever.
    #[must_use]
    pub fn counts_starts(&self) -> bool {
        match self {
            Self::Received
            | Self::Verified { .. }
            | Self::Staged { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. } => true,
            Self::AwaitingRestart
            | Self::Waiting { .. }
            | Self::ScriptRun { .. }
            | Self::RollingBack { .. }
            | Self::Committed
            | Self::Refused { .. }
            | Self::Undone { .. } => false,
        }
    }
}

/// How often the work of one state is begun before the update is given up: it kills its own workers.
pub const STARTS_MAX: u32 = 5;

/// Whose turn it is to move an update on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// `update-install` is to be run, not before `at`.
    Installer {
        /// When; `None` means now.
        at: Option<Timestamp>,
    },
    /// The next restart of the appliance.
    NextRestart,
    /// The supervisor.
    Supervisor,
    /// It is over.
    Nobody,
}

#[cfg(test)]
mod tests;

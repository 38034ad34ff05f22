//! The state of one update, and the one way to move it.
//!
//! A state names what is done next; it is stored before that is begun, and every such piece of work may be begun
//! again after a kill. `mail-agent` owns [`UpdateState::Collecting`], `update-install` the states up to
//! [`UpdateState::ScriptRun`], the supervisor the rest.

use super::collection::Collection;
use super::wait::{Wait, WaitFor, WaitLimits};
use jiff::Timestamp;
use mailfmt::message::report::UpdateOutcome;
use serde::{Deserialize, Serialize};

/// How far one update came, stored as JSON.
///
/// ```text
/// Collecting (the parts of the package come)
///    |
///    v
/// Received -> Verified -> Staged -> ScriptRun -> Checked -> Swapped -> OnTrial -> Committed
///    |  |        |  ^      |  |         |           |          |          |
///    |  |        v  |      |  v         |           |          '----------+-> RollingBack -> Undone
///    |  '-----> Waiting <--'  '---------+-----------+
///    |             |                    |
///    v             v                    v
///  Refused (nothing was begun)       Undone (nothing was swapped)
/// ```
/// An order is stored together with its package, where that comes whole in one mail or from a stick; where it comes in
/// parts, they are collected first, and `Collecting` may end `Refused`, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum UpdateState {
    /// The package comes in parts, and they are not complete; each part that has come is stored.
    Collecting {
        /// How far they have come.
        parts: Collection,
    },
    /// The package file is stored; it is opened next.
    Received,
    /// Acceptable here; the new release is built next, unless something is in the way.
    Verified {
        /// What was waited for so far.
        #[serde(default)]
        wait: Option<Wait>,
    },
    /// Something has to be waited for. Orders of versions that knew only one such thing are read, too.
    #[serde(alias = "awaiting-restart")]
    Waiting {
        /// What for, since when and how long.
        #[serde(default = "Wait::for_restart")]
        wait: Wait,
        /// When to look again; `None` while only a restart ends it.
        #[serde(default)]
        retry_at: Option<Timestamp>,
    },
    /// The new release stands complete beside the running one, and what the script may change outside it is kept
    /// aside; the script runs next.
    Staged {
        /// What was waited for so far.
        #[serde(default)]
        wait: Option<Wait>,
        /// What is to be swapped in.
        swap: Swap,
    },
    /// The script succeeded; what it left is checked next.
    ScriptRun {
        /// What is to be swapped in.
        swap: Swap,
    },
    /// All is as it was signed; the supervisor swaps next, unless work goes on that must not be disturbed.
    Checked {
        /// What is to be swapped in.
        swap: Swap,
        /// What the swap waits for.
        #[serde(default)]
        wait: Option<Wait>,
    },
    /// The swap was begun: the modules stop, the link changes, the modules start.
    Swapped {
        /// What is swapped in.
        swap: Swap,
        /// What the new release has to show in its trial.
        #[serde(default)]
        expected: Expected,
    },
    /// The new release runs and is watched.
    OnTrial {
        /// What was swapped in.
        swap: Swap,
        /// What the new release has to show.
        #[serde(default)]
        expected: Expected,
        /// When its modules were started.
        since: Timestamp,
    },
    /// The new release failed: the modules stop, the link and the settings go back, the modules start.
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
    /// How long the swap may be waited for; `None` in orders of versions that waited for ever.
    #[serde(default)]
    pub wait_limits: Option<WaitLimits>,
}

#[cfg(test)]
impl Swap {
    /// From 1.0.00-1 to 1.0.02-0, with a trial of half a minute.
    pub(crate) fn sample() -> Self {
        Self {
            release: "1.0.02-0".into(),
            previous: "1.0.00-1".into(),
            release_counter: 2,
            trial_secs: 30,
            drop_shared_data: false,
            reboot_after: false,
            report_by_itself: false,
            wait_limits: None,
        }
    }
}

/// What a new release has to show in its trial beyond running. It is decided just before the swap, by what worked
/// under the release before: a good release is not taken back for what was broken already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// A session with the mailbox.
    #[serde(default)]
    pub fetch: Proving,
    /// A mail that the server took.
    #[serde(default)]
    pub send: Proving,
    /// An answer of a device.
    #[serde(default)]
    pub device: Proving,
}

/// Whether and how soon something has to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proving {
    /// Not at all.
    #[default]
    Nothing,
    /// Soon after the trial: it worked before.
    Soon,
    /// It did not work before either: it is given more time.
    InTime,
}

/// What can happen to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateEvent {
    /// Another part was stored, or one that was stored is lost.
    PartsChanged {
        /// How many are here now.
        here: u32,
        /// When the missing ones are asked for.
        ask_at: Timestamp,
    },
    /// The missing parts were asked for.
    PartsAsked {
        /// When they are asked for again.
        ask_at: Timestamp,
    },
    /// The package was put together from its parts and stored.
    PartsComplete,
    /// The package was opened: signed, fresh, for this appliance.
    Accepted,
    /// The target runs here already.
    AlreadyRuns,
    /// The appliance started again.
    Restarted,
    /// Something is in the way.
    Blocked {
        /// What.
        why: WaitFor,
        /// When that was seen.
        now: Timestamp,
        /// How long it may last, if this is the first look.
        limits: WaitLimits,
        /// When to look again; `None`: after the next restart.
        retry_at: Option<Timestamp>,
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
    /// What the script left is as it was signed.
    CheckPassed,
    /// The swap begins.
    SwapBegins {
        /// What the new release has to show.
        expected: Expected,
    },
    /// The new release's modules were started.
    TrialBegins {
        /// When.
        now: Timestamp,
    },
    /// The new release ran well for its trial time and showed what it had to.
    TrialPassed,
    /// It cannot go on.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// The release before runs again.
    TakenBack,
}

/// An event that cannot happen in the state that the update is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the update is {state}, where {event:?} cannot happen")]
pub struct Misfit {
    /// The state's name.
    pub state: &'static str,
    /// The event. Boxed: it may carry a whole swap.
    pub event: Box<UpdateEvent>,
}

impl UpdateState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`Misfit`] when the event cannot happen in this state.
    pub fn step(self, event: UpdateEvent) -> Result<Self, Misfit> {
        use UpdateEvent as E;
        let name = self.name();
        let misfit = |event| Err(Misfit { state: name, event: Box::new(event) });
        match self {
            Self::Collecting { parts } => match event {
                E::PartsChanged { here, ask_at } => {
                    Ok(Self::Collecting { parts: Collection { here, ask_at, ..parts } })
                }
                E::PartsAsked { ask_at } => {
                    let asked = parts.asked.saturating_add(1);
                    Ok(Self::Collecting { parts: Collection { asked, ask_at, ..parts } })
                }
                E::PartsComplete => Ok(Self::Received),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Received => match event {
                E::Accepted => Ok(Self::Verified { wait: None }),
                E::Blocked { why, now, limits, retry_at } => {
                    Ok(Self::Waiting { wait: Wait::another(None, why, now, limits), retry_at })
                }
                E::AlreadyRuns => Ok(Self::Committed),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Verified { wait } => match event {
                E::Blocked { why, now, limits, retry_at } => {
                    Ok(Self::Waiting { wait: Wait::another(wait, why, now, limits), retry_at })
                }
                E::Built { swap } => Ok(Self::Staged { wait, swap }),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Waiting { wait, retry_at } => match event {
                E::Blocked { why, now, limits, retry_at } => {
                    Ok(Self::Waiting { wait: Wait::another(Some(wait), why, now, limits), retry_at })
                }
                E::WaitReported => Ok(Self::Waiting { wait: Wait { reported: true, ..wait }, retry_at }),
                E::Restarted if wait.why == WaitFor::NextRestart => Ok(Self::Verified { wait: None }),
                E::Free => Ok(Self::Verified { wait: Some(wait) }),
                E::Failed { reason } => Ok(Self::Refused { reason }),
                other => misfit(other),
            },
            Self::Staged { wait, swap } => match event {
                E::ScriptSucceeded => Ok(Self::ScriptRun { swap }),
                E::Blocked { why, now, limits, retry_at } => {
                    Ok(Self::Waiting { wait: Wait::another(wait, why, now, limits), retry_at })
                }
                E::Failed { reason } => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::ScriptRun { swap } => match event {
                E::CheckPassed => Ok(Self::Checked { swap, wait: None }),
                E::Failed { reason } => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::Checked { swap, wait } => match event {
                E::Blocked { why, now, limits, retry_at: _ } => {
                    Ok(Self::Checked { swap, wait: Some(Wait::another(wait, why, now, limits)) })
                }
                E::WaitReported => {
                    Ok(Self::Checked { swap, wait: wait.map(|wait| Wait { reported: true, ..wait }) })
                }
                E::SwapBegins { expected } => Ok(Self::Swapped { swap, expected }),
                E::Failed { reason } => Ok(Self::Undone { reason }),
                other => misfit(other),
            },
            Self::Swapped { swap, expected } => match event {
                E::TrialBegins { now } => Ok(Self::OnTrial { swap, expected, since: now }),
                E::Failed { reason } => Ok(Self::RollingBack { swap, reason }),
                other => misfit(other),
            },
            Self::OnTrial { swap, expected, since: _ } => match event {
                // After a restart the whole trial time begins again.
                E::TrialBegins { now } => Ok(Self::OnTrial { swap, expected, since: now }),
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

    /// Whether nothing outside the package's own files was touched yet, so that it may end as if it had never come.
    #[must_use]
    pub fn has_not_begun(&self) -> bool {
        matches!(
            self,
            Self::Collecting { .. } | Self::Received | Self::Verified { .. } | Self::Waiting { .. }
        )
    }

    /// The state in a word or two, for tables and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Collecting { .. } => "waiting for parts",
            Self::Received => "received",
            Self::Verified { .. } => "verified",
            Self::Waiting { .. } => "waiting",
            Self::Staged { .. } => "staged",
            Self::ScriptRun { .. } => "being checked",
            Self::Checked { .. } => "ready to be swapped in",
            Self::Swapped { .. } => "being swapped in",
            Self::OnTrial { .. } => "on trial",
            Self::RollingBack { .. } => "being taken back",
            Self::Committed => "installed",
            Self::Refused { .. } => "refused",
            Self::Undone { .. } => "undone",
        }
    }

    /// What is being done, for a person who watches.
    #[must_use]
    pub fn in_words(&self) -> String {
        let doing = match self {
            Self::Collecting { parts } => return parts.in_words(),
            Self::Received => "checks the package",
            Self::Verified { .. } => "builds the new release beside the running one",
            Self::Waiting { wait, .. } | Self::Checked { wait: Some(wait), .. } => {
                return format!("waits: {}", wait.why);
            }
            Self::Staged { .. } => "runs the install script",
            Self::ScriptRun { .. } => "checks every file again",
            Self::Checked { wait: None, .. } | Self::Swapped { .. } => {
                "puts the new release in the place of the old"
            }
            Self::OnTrial { .. } => "on trial: watches whether the new release works",
            Self::RollingBack { reason, .. } => return format!("goes back to the release before: {reason}"),
            Self::Committed => "installed",
            Self::Refused { reason } => return format!("refused: {reason}"),
            Self::Undone { reason } => return format!("undone: {reason}"),
        };
        doing.to_owned()
    }

    /// Why it failed; `None` while it has not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::RollingBack { reason, .. } | Self::Refused { reason } | Self::Undone { reason } => {
                Some(reason)
            }
            Self::Collecting { .. }
            | Self::Received
            | Self::Verified { .. }
            | Self::Waiting { .. }
            | Self::Staged { .. }
            | Self::ScriptRun { .. }
            | Self::Checked { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. }
            | Self::Committed => None,
        }
    }

    /// What is waited for; `None` where nothing is.
    #[must_use]
    pub fn waits(&self) -> Option<&Wait> {
        match self {
            Self::Waiting { wait, .. } | Self::Checked { wait: Some(wait), .. } => Some(wait),
            Self::Collecting { .. }
            | Self::Received
            | Self::Verified { .. }
            | Self::Staged { .. }
            | Self::ScriptRun { .. }
            | Self::Checked { wait: None, .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. }
            | Self::RollingBack { .. }
            | Self::Committed
            | Self::Refused { .. }
            | Self::Undone { .. } => None,
        }
    }

    /// What is swapped in; `None` before the new release stands, and at the end.
    #[must_use]
    pub fn swap(&self) -> Option<&Swap> {
        match self {
            Self::Staged { swap, .. }
            | Self::ScriptRun { swap }
            | Self::Checked { swap, .. }
            | Self::Swapped { swap, .. }
            | Self::OnTrial { swap, .. }
            | Self::RollingBack { swap, .. } => Some(swap),
            Self::Collecting { .. }
            | Self::Received
            | Self::Verified { .. }
            | Self::Waiting { .. }
            | Self::Committed
            | Self::Refused { .. }
            | Self::Undone { .. } => None,
        }
    }

    /// The outcome to report at the end; `None` before it.
    #[must_use]
    pub fn outcome(&self) -> Option<UpdateOutcome> {
        match self {
            Self::Committed => Some(UpdateOutcome::Installed),
            Self::Refused { reason } => Some(UpdateOutcome::Refused { reason: reason.clone() }),
            Self::Undone { reason } => Some(UpdateOutcome::Undone { reason: reason.clone() }),
            Self::Collecting { .. }
            | Self::Received
            | Self::Verified { .. }
            | Self::Waiting { .. }
            | Self::Staged { .. }
            | Self::ScriptRun { .. }
            | Self::Checked { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. }
            | Self::RollingBack { .. } => None,
        }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Turn {
        match self {
            Self::Collecting { .. } => Turn::MailAgent,
            Self::Received | Self::Verified { .. } | Self::Staged { .. } | Self::ScriptRun { .. } => {
                Turn::Installer { at: None }
            }
            Self::Waiting { retry_at: Some(at), .. } => Turn::Installer { at: Some(*at) },
            Self::Waiting { wait, retry_at: None } if wait.why == WaitFor::NextRestart => Turn::NextRestart,
            Self::Waiting { retry_at: None, .. } => Turn::Installer { at: None },
            Self::Checked { .. } | Self::Swapped { .. } | Self::OnTrial { .. } | Self::RollingBack { .. } => {
                Turn::Supervisor
            }
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
            | Self::ScriptRun { .. }
            | Self::Swapped { .. }
            | Self::OnTrial { .. } => true,
            Self::Collecting { .. }
            | Self::Waiting { .. }
            | Self::Checked { .. }
            | Self::RollingBack { .. }
            | Self::Committed
            | Self::Refused { .. }
            | Self::Undone { .. } => false,
        }
    }
}

/// How [`UpdateState::Collecting`] is stored: as a wait that a version reads which does not know of parts, and which refuses
/// the update then, since it finds no package. So the release before goes on with the store when an update is taken back.
#[derive(Serialize, Deserialize)]
struct StoredCollection {
    state: String,
    wait: Wait,
    parts: Collection,
}

impl UpdateState {
    /// The text that is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let text = match self {
            Self::Collecting { parts } => serde_json::to_string(&StoredCollection {
                state: "waiting".to_owned(),
                wait: Wait {
                    why: WaitFor::Script,
                    since: parts.ask_at,
                    report_at: parts.give_up_at,
                    give_up_at: Some(parts.give_up_at),
                    reported: false,
                    tries: parts.asked,
                },
                parts: parts.clone(),
            }),
            other => serde_json::to_string(other),
        };
        text.expect("a state has text keys and no failing serializers")
    }

    /// Reads what [`UpdateState::to_stored`] of this or an earlier version wrote.
    ///
    /// # Errors
    /// When it is nothing of that kind.
    pub fn from_stored(text: &str) -> Result<Self, serde_json::Error> {
        match serde_json::from_str::<StoredCollection>(text) {
            Ok(StoredCollection { parts, .. }) => Ok(Self::Collecting { parts }),
            Err(_) => serde_json::from_str(text),
        }
    }
}

/// How often the work of one state is begun before the update is given up: it kills its own workers.
pub const STARTS_MAX: u32 = 5;

/// Whose turn it is to move an update on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// `mail-agent`: parts of its package come.
    MailAgent,
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

//! The verdict over one target: from the running appliance's word, or from its silence.

use super::after;
use super::compare::Finding;
use super::ladder::{Progress, Transport};
use super::plan::Rollout;
use super::target::{Target, TargetState};
use jiff::Timestamp;
use mailfmt::{ModuleName, SoftwareVersion};
use serde::{Deserialize, Serialize};

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It runs the target version, by its own version report.
    Updated,
    /// It does not, or nobody knows.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// Why a target is not updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "kebab-case")]
pub enum Failure {
    /// No answer to the version request.
    Silent,
    /// It runs another version.
    OtherVersion {
        /// Which.
        version: SoftwareVersion,
    },
    /// It says the target version, but its modules are others.
    MixedModules {
        /// The modules that differ.
        modules: Vec<ModuleName>,
    },
    /// It did not take the package.
    Refused {
        /// Why, in the appliance's words.
        reason: String,
    },
    /// It took the package and went back.
    Undone {
        /// Why, in the appliance's words.
        reason: String,
    },
    /// Our mail did not get through.
    Undeliverable {
        /// Why, in the mail server's words.
        reason: String,
    },
}

impl Failure {
    /// Whether it may be tried again without a person looking at it first.
    ///
    /// Not after a refusal, an undone installation or a bounce: the same package to the same place ends the same way.
    #[must_use]
    pub fn is_retried_by_itself(&self) -> bool {
        match self {
            Self::Silent | Self::OtherVersion { .. } | Self::MixedModules { .. } => true,
            Self::Refused { .. } | Self::Undone { .. } | Self::Undeliverable { .. } => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::OtherVersion { version } => write!(f, "other version {version}"),
            Self::MixedModules { modules } => write!(f, "mixed modules: {}", Names(modules)),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Undone { reason } => write!(f, "undone: {reason}"),
            Self::Undeliverable { reason } => write!(f, "undeliverable: {reason}"),
        }
    }
}

/// The first few of many names.
struct Names<'a>(&'a [ModuleName]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 5;
        for (index, name) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        let more = self.0.len().saturating_sub(SHOWN);
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

impl Verdict {
    /// Whether it is a success.
    #[must_use]
    pub fn is_updated(&self) -> bool {
        matches!(self, Self::Updated)
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Failed { failure }
    }
}

/// The verdict that the facts known at `now` give; `None` while there is still something to wait for.
///
/// The order is that of trust: first what runs (a version report), then what became of our mails, then silence. What the
/// installer said only gives the reason.
#[must_use]
pub fn judge(rollout: &Rollout, target: &Target, now: Timestamp) -> Option<Verdict> {
    let (order, ask) = target.mails();
    let said = || order.and_then(|order| said(&order.progress));
    if let Some(answer) = &target.answer {
        return Some(match &answer.finding {
            Finding::Same => Verdict::Updated,
            Finding::MixedModules { modules } => Failure::MixedModules { modules: modules.clone() }.into(),
            Finding::OtherVersion { version } => {
                said().unwrap_or_else(|| Failure::OtherVersion { version: version.clone() }).into()
            }
        });
    }
    if target.removed {
        let reason = "the appliance was removed from the fleet".to_owned();
        return Some(target.verdict().cloned().unwrap_or_else(|| Failure::Undeliverable { reason }.into()));
    }
    // The limits of time end the waiting once; after the verdict only words from outside count.
    let decided = matches!(target.state, TargetState::Decided { .. });
    let over = |since: Timestamp, limit| !decided && now >= after(since, limit);
    let undeliverable = |transport: &Transport| match transport {
        Transport::Bounced { reason, .. } => Some(Failure::Undeliverable { reason: reason.clone() }),
        Transport::Queued { since } if over(*since, rollout.timing.delivery_limit) => {
            let hours = rollout.timing.delivery_limit.as_hours();
            let reason = format!("our mail server did not take the mail within {hours} h");
            Some(Failure::Undeliverable { reason })
        }
        Transport::Queued { .. }
        | Transport::Accepted { .. }
        | Transport::Delayed { .. }
        | Transport::Heard { .. } => None,
    };
    let transports = order.map(|order| &order.transport).into_iter().chain(ask.map(|ask| &ask.transport));
    let silent = || {
        let asked = ask?.transport.accepted_at()?;
        let silent = decided || over(asked, rollout.timing.answer_timeout);
        silent.then(|| said().unwrap_or(Failure::Silent))
    };
    transports.into_iter().find_map(undeliverable).or_else(silent).map(Verdict::from)
}

fn said(progress: &Progress) -> Option<Failure> {
    match progress {
        Progress::Ordered | Progress::Waiting { .. } | Progress::InstalledSaid { .. } => None,
        Progress::Refused { reason, .. } => Some(Failure::Refused { reason: reason.clone() }),
        Progress::Undone { reason, .. } => Some(Failure::Undone { reason: reason.clone() }),
    }
}

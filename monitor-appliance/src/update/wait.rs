//! What an update waits for, since when, and how long at most.

use jiff::{SignedDuration, Timestamp};
use mailfmt::package::DailyWindow;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One thing that stands in the way of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum WaitFor {
    /// The hours of the day in which updates may begin.
    Window {
        /// The package's hours or the site's, in the site's time. Versions that know no more go by these alone.
        hours: DailyWindow,
        /// All that has a say; `None` in orders of those versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening: Option<Box<HoursWait>>,
    },
    /// A module that is replaced only while it does not run.
    Module {
        /// Its name.
        module: String,
    },
    /// Work that a module must not be disturbed in.
    Work {
        /// The module.
        module: String,
        /// What it does, for a person.
        work: String,
        /// Whether bills depend on it: counters are collected or sent.
        billing: bool,
    },
    /// The next restart of the appliance.
    NextRestart,
    /// The install script, which asked to be run again later.
    Script,
}

/// A wait for hours at which the order, its package and the site all allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoursWait {
    /// Whether the order itself names hours or days. Versions that do not know of that give the order up.
    pub by_order: bool,
    /// When it may begin, as far as known.
    pub opens: Timestamp,
    /// The package's hours.
    pub package: Option<DailyWindow>,
    /// When the package expires.
    pub expires: Timestamp,
    /// When the update is given up, also when something else is waited for after these hours.
    pub give_up_at: Timestamp,
    /// What is waited for, for a person.
    pub words: String,
}

impl WaitFor {
    fn opening(&self) -> Option<&HoursWait> {
        match self {
            Self::Window { opening, .. } => opening.as_deref(),
            Self::Module { .. } | Self::Work { .. } | Self::NextRestart | Self::Script => None,
        }
    }
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { opening: Some(opening), .. } => f.write_str(&opening.words),
            Self::Window { hours, opening: None } => {
                write!(f, "updates begin only in the hours {hours} here")
            }
            Self::Module { module } => write!(f, "module {module} runs"),
            Self::Work { module, work, billing: _ } => write!(f, "module {module} is busy: {work}"),
            Self::NextRestart => write!(f, "the next restart of the appliance"),
            Self::Script => write!(f, "the install script asks to be run again later"),
        }
    }
}

/// How long a wait may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitLimits {
    /// Time until the center is told.
    pub report_after: SignedDuration,
    /// When the update is given up; the package expires then at the latest.
    pub give_up_at: Timestamp,
}

/// What has been waited for, over several looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What stands in the way now. Orders of versions that did not store it are looked at anew.
    #[serde(default = "Wait::unknown")]
    pub why: WaitFor,
    /// Since when it does.
    pub since: Timestamp,
    /// When the center is told that it takes longer.
    pub report_at: Timestamp,
    /// When the update is given up, but for a wait for hours, which has a time of its own; `None` in orders of versions that
    /// waited for ever.
    #[serde(default)]
    pub give_up_at: Option<Timestamp>,
    /// Whether the center was told.
    pub reported: bool,
    /// How often it was looked at in vain, whatever was in the way.
    pub tries: u32,
}

/// What is due in a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// To look again.
    Look,
    /// To tell the center what is waited for.
    Report,
    /// To give the update up.
    GiveUp,
}

impl Wait {
    fn unknown() -> WaitFor {
        WaitFor::Script
    }

    /// As stored by versions whose orders could wait for a restart only.
    pub(super) fn for_restart() -> Self {
        let then = Timestamp::UNIX_EPOCH;
        Self {
            why: WaitFor::NextRestart,
            since: then,
            report_at: then,
            give_up_at: None,
            reported: true,
            tries: 1,
        }
    }

    /// After one more look in vain. The time until the center is told counts from the first; a wait that changes its
    /// reason keeps it. The time until it is given up counts from when the hours allow the update.
    pub(crate) fn another(before: Option<Self>, why: WaitFor, now: Timestamp, limits: WaitLimits) -> Self {
        let give_up_at = match (why.opening(), &before) {
            (Some(HoursWait { by_order: true, .. }), _) => Some(Timestamp::UNIX_EPOCH),
            (Some(opening), _) => Some(opening.give_up_at),
            (None, Some(before)) => before.ends(),
            (None, None) => Some(limits.give_up_at),
        };
        match before {
            None => Self {
                why,
                since: now,
                report_at: now.saturating_add(limits.report_after).unwrap_or(Timestamp::MAX),
                give_up_at,
                reported: false,
                tries: 1,
            },
            Some(before) => Self {
                since: if before.why == why { before.since } else { now },
                why,
                tries: before.tries.saturating_add(1),
                give_up_at,
                ..before
            },
        }
    }

    /// What is due at `now`. What is in the way for a moment is not worth a report; after the limit it is.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Due {
        match self.ends() {
            Some(at) if at < now => Due::GiveUp,
            _ if self.report_at <= now && !self.reported => Due::Report,
            _ => Due::Look,
        }
    }

    /// When the update is given up.
    fn ends(&self) -> Option<Timestamp> {
        self.why.opening().map(|opening| opening.give_up_at).or(self.give_up_at)
    }

    /// Why the update is given up, for a person.
    #[must_use]
    pub fn given_up(&self) -> String {
        format!("given up after waiting since {}: {}", self.since, self.why)
    }
}

/// Pause before the look after `tries` in vain: `first`, doubled each time up to `longest`.
#[must_use]
pub fn growing_pause(first: Duration, tries: u32, longest: Duration) -> Duration {
    first.saturating_mul(1u32 << tries.min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn limits() -> WaitLimits {
        WaitLimits { report_after: SignedDuration::from_secs(60), give_up_at: at(1000) }
    }

    fn work() -> WaitFor {
        WaitFor::Work { module: "mail-agent".into(), work: "sending counters".into(), billing: true }
    }

    #[test]
    fn a_reason_that_changes_has_its_own_beginning_but_the_first_look_counts_for_the_report() {
        let wait = Wait::another(None, work(), at(0), limits());
        let wait = Wait::another(Some(wait), work(), at(10), limits());
        assert_eq!((wait.since, wait.tries), (at(0), 2));
        let wait = Wait::another(Some(wait), WaitFor::Module { module: "refresh".into() }, at(20), limits());
        assert_eq!((wait.since, wait.report_at, wait.tries), (at(20), at(60), 3));
    }

    #[test]
    fn a_wait_is_told_once_and_ends_with_its_package() {
        let wait = Wait::another(None, work(), at(0), limits());
        assert_eq!(wait.due(at(59)), Due::Look);
        assert_eq!(wait.due(at(60)), Due::Report);
        let told = Wait { reported: true, ..wait };
        assert_eq!(told.due(at(1000)), Due::Look);
        assert_eq!(told.due(at(1001)), Due::GiveUp);
        assert_eq!(Wait { give_up_at: None, ..told }.due(at(1_000_000)), Due::Look);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let secs = Duration::from_secs;
        let pauses: Vec<u64> =
            (0..6).map(|tries| growing_pause(secs(30), tries, secs(600)).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600]);
        assert_eq!(growing_pause(secs(30), u32::MAX, secs(600)), secs(600));
    }
}

//! Faults that come and go: from some point on they are one episode, until they have stayed away for a while.

use super::Condition;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Most conditions of a device that are remembered.
const REMEMBERED_MAX: usize = 64;

/// When a fault that comes and goes is held as one episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlapRule {
    /// So many starts within `window`: the last of them is held. At least 2; default 3.
    pub starts: u32,
    /// Default 10 minutes; nothing is held if it is zero.
    pub window: SignedDuration,
    /// A held episode is over when the fault has stayed away for so long. Default 10 minutes.
    pub cooldown: SignedDuration,
}

impl Default for FlapRule {
    fn default() -> Self {
        Self { starts: 3, window: SignedDuration::from_mins(10), cooldown: SignedDuration::from_mins(10) }
    }
}

/// When episodes of one device began lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Starts(Vec<(Condition, Timestamp)>);

impl Starts {
    /// An episode began.
    pub(super) fn note(&mut self, condition: &Condition, now: Timestamp, rule: &FlapRule) {
        self.0.retain(|(_, at)| *at <= now && now.duration_since(*at) < rule.window);
        if self.0.len() < REMEMBERED_MAX {
            self.0.push((condition.clone(), now));
        }
    }

    /// Whether so many episodes of it began within the window before `since`, the one that began then included.
    pub(super) fn are_many(&self, condition: &Condition, since: Timestamp, rule: &FlapRule) -> bool {
        let lately = |at: Timestamp| at <= since && since.duration_since(at) < rule.window;
        let starts = self.0.iter().filter(|(known, at)| known == condition && lately(*at)).count();
        u32::try_from(starts).unwrap_or(u32::MAX) >= rule.starts.max(2)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

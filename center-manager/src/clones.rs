//! Two boxes under one identity: told by numbers that fork, by boots that come back, or by hardware that changes. Pure.

use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::lineage::Fork;
use mailfmt::sequence::shown;
use serde::{Deserialize, Serialize};

/// Boots that are remembered; a box that restarts more often between two reports has other troubles.
const BOOTS_MAX: usize = 16;

/// What the daemon does when two boxes use one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClone {
    /// Tell the operator, and go on filing what both report.
    #[default]
    Alarm,
    /// Suspend the appliance as well, until the operator readmits it.
    Suspend,
}

/// The boots of one appliance's box, as its reports tell them, by the numbers of the reports.
///
/// A box that restarts has another boot id from then on, and the one before never comes back. Two boxes take turns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boots(Vec<Boot>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Boot {
    id: String,
    first: u64,
    last: u64,
}

impl Boots {
    /// Takes a report into account, in whatever order reports come; whether two boots take turns now and did not before.
    pub fn observe(&mut self, id: &str, sequence: u64) -> bool {
        if id.is_empty() {
            return false;
        }
        let before = self.take_turns();
        match self.0.iter_mut().find(|known| known.id == id) {
            Some(known) => {
                known.first = known.first.min(sequence);
                known.last = known.last.max(sequence);
            }
            None => self.0.push(Boot { id: id.to_owned(), first: sequence, last: sequence }),
        }
        let now = self.take_turns();
        if self.0.len() > BOOTS_MAX
            && let Some(oldest) =
                self.0.iter().enumerate().min_by_key(|(_, boot)| boot.last).map(|(nth, _)| nth)
        {
            self.0.remove(oldest);
        }
        now && !before
    }

    /// Whether two boots lie within each other: one of them came back after the other was seen.
    fn take_turns(&self) -> bool {
        let overlap = |one: &Boot, other: &Boot| one.first < other.last && other.first < one.last;
        self.0
            .iter()
            .enumerate()
            .any(|(nth, one)| self.0.iter().skip(nth.saturating_add(1)).any(|other| overlap(one, other)))
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The history of its numbers forks.
    Forked(Fork),
    /// Two boots take turns.
    Boots,
    /// It reports from other hardware.
    Hardware,
}

/// The words about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The kind of alarm.
    pub kind: &'static str,
    /// What is wrong and what to do.
    pub description: String,
    /// Whether two boxes live: only then there is anything to shut out.
    pub both_live: bool,
}

impl Finding {
    /// What to tell the operator.
    #[must_use]
    pub fn words(&self, agent: &AgentId) -> Words {
        match self {
            Self::Forked(fork) if fork.both_go_on => Words {
                kind: "cloned",
                description: format!(
                    "Two boxes report as {agent}: after {} both go on. Find out which is the copy, take it off the network and \
                     enrol it with a code of its own; then `center-manager appliance rotate {agent}`",
                    shown(fork.common)
                ),
                both_live: true,
            },
            Self::Forked(fork) => Words {
                kind: "restored",
                description: format!(
                    "The box of {agent} was put back from an old backup, or copied: it forgot what it reported after {}. \
                     If nobody did that on purpose, look at the site",
                    shown(fork.common)
                ),
                both_live: false,
            },
            Self::Boots => Words {
                kind: "cloned",
                description: format!(
                    "Two boxes report as {agent}: their boots take turns. Find out which is the copy, take it off the network \
                     and enrol it with a code of its own; then `center-manager appliance rotate {agent}`"
                ),
                both_live: true,
            },
            Self::Hardware => Words {
                kind: "other-box",
                description: format!(
                    "{agent} reports from other hardware than before, under the same credential: its disk went into another \
                     box, or was copied. If nobody did that on purpose, suspend it and look at the site"
                ),
                both_live: false,
            },
        }
    }
}

/// When a fork was found, for the alarm.
#[must_use]
pub fn since(fork: &Fork, now: Timestamp) -> Timestamp {
    mailfmt::sequence::began(fork.younger).map_or(now, |began| began.min(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{agent, now};
    use proptest::prelude::*;

    #[test]
    fn a_boot_that_comes_back_after_another_one_is_a_second_box() {
        let mut boots = Boots::default();
        assert!(!boots.observe("a", 1));
        assert!(!boots.observe("b", 2), "a restart");
        assert!(boots.observe("a", 3), "a comes back");
        assert!(!boots.observe("b", 4), "said once");
    }

    #[test]
    fn a_report_that_was_late_is_no_second_box() {
        let mut boots = Boots::default();
        assert!(!boots.observe("a", 1));
        assert!(!boots.observe("b", 3));
        assert!(!boots.observe("a", 2), "written before the restart, delivered after it");
    }

    proptest! {
        #[test]
        fn one_box_that_restarts_is_never_two_in_whatever_order_its_reports_come(
            lengths in proptest::collection::vec(1u64..5, 1..30),
            order in any::<u64>(),
        ) {
            let mut reports = Vec::new();
            for (boot, length) in lengths.iter().enumerate() {
                for _ in 0..*length {
                    reports.push((format!("boot {boot}"), reports.len() as u64 + 1));
                }
            }
            // Shuffled within a window, as late mails are.
            let mut state = order | 1;
            for place in 0..reports.len() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let other = (place + (state >> 60) as usize).min(reports.len() - 1);
                reports.swap(place, other);
            }
            let mut boots = Boots::default();
            for (boot, sequence) in reports {
                prop_assert!(!boots.observe(&boot, sequence));
            }
        }
    }

    #[test]
    fn the_operator_is_told_whether_two_live_or_one_was_put_back() {
        let fork =
            Fork { older: 5, younger: 9, highest: (5 << 32) | 7, common: (5 << 32) | 3, both_go_on: true };
        let both = Finding::Forked(fork).words(&agent(1));
        assert_eq!((both.kind, both.both_live), ("cloned", true));
        assert!(both.description.contains("AGENT0000001") && both.description.contains("5.3"), "{both:?}");
        let restored = Finding::Forked(Fork { both_go_on: false, ..fork }).words(&agent(1));
        assert_eq!((restored.kind, restored.both_live), ("restored", false));
        assert!(since(&fork, now()) <= now());
    }
}

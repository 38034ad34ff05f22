//! Whether all messages of a sender come from one history, judged by their numbers ([`crate::sequence`]).
//!
//! A sender that was copied, or put back from a backup, begins an epoch that follows a number below others which were
//! already seen: its history forks there. Both are told by the same comparison; what tells them apart is whether the
//! older branch goes on after the younger one began (a copy) or falls silent (a restore). When both took the same epoch,
//! they began it with different numbers.

use crate::sequence::{began, epoch_of};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Epochs that are remembered; every restart of a sender begins one.
const EPOCHS_MAX: usize = 64;

/// By how much the clocks of two copies of a box may differ before one seems to speak after the other began.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// One message, as far as its history goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Its number.
    pub sequence: u64,
    /// The number that its epoch follows; `None` from programs that do not tell.
    pub follows: Option<u64>,
    /// The number with which its epoch began; `None` from programs that do not tell.
    pub begins: Option<u64>,
    /// When it was made, by its sender's clock.
    pub created: Timestamp,
}

/// What a message says about its sender's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// Nothing new.
    Continues,
    /// The sender has started again, and remembers everything that we saw of it.
    NewEpoch,
    /// Two histories. Said once for each pair of epochs, and once more when it becomes clear that both go on.
    Forked(Fork),
}

/// Where a history forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Epoch of the older branch.
    pub older: u32,
    /// Epoch of the younger branch.
    pub younger: u32,
    /// The highest number seen in the older branch.
    pub highest: u64,
    /// The number that the younger branch follows: the last one that both have in common.
    pub common: u64,
    /// The older branch has spoken after the younger one began: two boxes live. Otherwise it looks like a box that was
    /// put back from a backup.
    pub both_go_on: bool,
}

/// The history of one sender as seen by a receiver. Kept as JSON in a row of its store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    epochs: Vec<Epoch>,
    forks: Vec<Fork>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    epoch: u32,
    /// Lowest number that a message of this epoch said it follows.
    follows: Option<u64>,
    /// The number with which it began. One epoch that began twice is two branches.
    #[serde(default)]
    begins: Option<u64>,
    highest: u64,
    /// When the oldest message was made that was seen.
    #[serde(default)]
    oldest: Option<Timestamp>,
    /// When the newest message was made.
    newest: Timestamp,
}

impl Lineage {
    /// Takes a message into account, in whatever order messages come.
    pub fn observe(&mut self, sighting: Sighting) -> Observation {
        let number = epoch_of(sighting.sequence);
        let before = self.epochs.len();
        match self.branch_of(&sighting) {
            Some(known) => {
                known.highest = known.highest.max(sighting.sequence);
                known.newest = known.newest.max(sighting.created);
                known.oldest = known.oldest.map(|oldest| oldest.min(sighting.created));
                known.follows = known.follows.into_iter().chain(sighting.follows).min();
                known.begins = known.begins.or(sighting.begins);
            }
            None => {
                let begun = (number, sighting.begins);
                let position = self.epochs.partition_point(|known| (known.epoch, known.begins) < begun);
                let seen = Epoch {
                    epoch: number,
                    follows: sighting.follows,
                    begins: sighting.begins,
                    highest: sighting.sequence,
                    oldest: Some(sighting.created),
                    newest: sighting.created,
                };
                self.epochs.insert(position, seen);
            }
        }
        let known = self.epochs.len();
        let news = self.compare(number);
        let surplus = known.saturating_sub(EPOCHS_MAX);
        self.epochs.drain(..surplus);
        match news {
            Some(fork) => Observation::Forked(fork),
            None if known > before => Observation::NewEpoch,
            None => Observation::Continues,
        }
    }

    /// Every fork found and not yet settled.
    #[must_use]
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// A person has looked into it: only the newest epoch counts from now on, and of its branches the one heard last.
    pub fn settle(&mut self) {
        self.forks.clear();
        let newest = self.epochs.iter().copied().max_by_key(|known| (known.epoch, known.newest));
        self.epochs = newest.into_iter().collect();
    }

    /// The branch that a message belongs to. Where it does not tell with which number its epoch began, or the branch did not,
    /// it is that which began last before it.
    fn branch_of(&mut self, sighting: &Sighting) -> Option<&mut Epoch> {
        let number = epoch_of(sighting.sequence);
        self.epochs.iter_mut().rev().filter(|known| known.epoch == number).find(|known| {
            match (known.begins, sighting.begins) {
                (Some(known), Some(told)) => known == told,
                (Some(known), None) => known <= sighting.sequence,
                (None, _) => true,
            }
        })
    }

    /// Compares the epoch that was just heard with all others; the most telling fork that is news.
    fn compare(&mut self, heard: u32) -> Option<Fork> {
        let mut news: Option<Fork> = None;
        for (place, younger) in self.epochs.iter().enumerate() {
            let Some(common) = younger.follows else { continue };
            let older = self.epochs.iter().take(place);
            for older in older.filter(|older| heard == older.epoch || heard == younger.epoch) {
                if older.highest <= common {
                    continue;
                }
                let fork = Fork {
                    older: older.epoch,
                    younger: younger.epoch,
                    highest: older.highest,
                    common,
                    both_go_on: both_go_on(older, younger),
                };
                if note(&mut self.forks, fork) && !news.is_some_and(|news| news.both_go_on) {
                    news = Some(fork);
                }
            }
        }
        news
    }
}

fn both_go_on(older: &Epoch, younger: &Epoch) -> bool {
    let speaks_after = |one: &Epoch, began: Option<Timestamp>| {
        began
            .and_then(|began| began.checked_add(CLOCK_TOLERANCE).ok())
            .is_some_and(|began| one.newest > began)
    };
    if older.epoch == younger.epoch {
        // Neither is the older one by its name.
        speaks_after(older, younger.oldest) && speaks_after(younger, older.oldest)
    } else {
        speaks_after(older, began(younger.epoch))
    }
}

/// Keeps a fork; says whether it is news.
fn note(forks: &mut Vec<Fork>, fork: Fork) -> bool {
    let known = forks.iter_mut().find(|known| known.older == fork.older && known.younger == fork.younger);
    match known {
        Some(known) => {
            let news = fork.both_go_on && !known.both_go_on;
            *known = fork;
            news
        }
        None => {
            let surplus = forks.len().saturating_add(1).saturating_sub(EPOCHS_MAX);
            forks.drain(..surplus);
            forks.push(fork);
            true
        }
    }
}

#[cfg(test)]
mod tests;

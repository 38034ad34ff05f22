//! What came of the cuts.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where something ended after its power came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// As it was before, and whole.
    Old,
    /// As it was to become, and whole.
    New,
    /// Neither, or it does not work; why, for a person.
    Broken(String),
}

/// What came of one cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Where it ended.
    pub end: End,
    /// What was there when the power came back, before anything was started.
    pub found: End,
    /// Why it ended as it was before, for a person; empty otherwise.
    pub reason: String,
    /// Orders and reports that nobody knows of any more.
    pub lost: u32,
    /// Orders and reports that took effect twice.
    pub doubled: u32,
    /// From the return of the power until nothing was left to be done.
    pub recovered: Duration,
}

/// What came of many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Changes that one run makes, of all kinds together.
    pub changes: u64,
    /// Cuts made.
    pub points: u32,
    /// Those after which it was as before.
    pub old: u32,
    /// Those after which it was as it was to become.
    pub new: u32,
    /// Those after which it was neither.
    pub broken: u32,
    /// Those at which the old was found when the power came back.
    pub found_old: u32,
    /// Those at which the new was found.
    pub found_new: u32,
    /// Orders and reports lost.
    pub lost: u32,
    /// Orders and reports that took effect twice.
    pub doubled: u32,
    /// The longest recovery.
    pub recovered_max: Duration,
}

impl Outcome {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let whole = |end: &End| !matches!(end, End::Broken(_));
        whole(&self.end) && whole(&self.found) && self.lost == 0 && self.doubled == 0
    }
}

impl Tally {
    /// Counts one more cut.
    pub fn count(&mut self, outcome: &Outcome) {
        self.points += 1;
        match (&outcome.end, &outcome.found) {
            (End::Broken(_), _) | (_, End::Broken(_)) => self.broken += 1,
            (End::Old, _) => self.old += 1,
            (End::New, _) => self.new += 1,
        }
        match outcome.found {
            End::Old => self.found_old += 1,
            End::New => self.found_new += 1,
            End::Broken(_) => {}
        }
        self.lost += outcome.lost;
        self.doubled += outcome.doubled;
        self.recovered_max = self.recovered_max.max(outcome.recovered);
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.points += other.points;
        self.old += other.old;
        self.new += other.new;
        self.broken += other.broken;
        self.found_old += other.found_old;
        self.found_new += other.found_new;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.recovered_max = self.recovered_max.max(other.recovered_max);
    }
}

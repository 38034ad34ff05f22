//! How each wave of a rollout stands. Pure.

use crate::rollout::{Failure, Rollout, Tally, Target, TargetState, Targets, Verdict, tallies};
use jiff::Timestamp;
use serde::Serialize;

/// One wave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WaveRow {
    /// From 1.
    pub wave: u32,
    /// All its targets: the sum of the five numbers behind it.
    pub appliances: u32,
    /// Verified at the target version.
    pub updated: u32,
    /// Sent the package, without a verdict.
    pub under_way: u32,
    /// Failed for another reason than silence.
    pub failed: u32,
    /// Did not answer.
    pub silent: u32,
    /// Not sent anything yet.
    pub not_yet: u32,
    /// How many count as errors of the package, of so many that count at all: mails that did not get through say nothing.
    pub errors: u32,
    /// See `errors`.
    pub counted: u32,
    /// Whether it was released.
    pub released: bool,
}

impl WaveRow {
    /// `waits`, `out` or, when all of it is decided, `decided`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.released, self.under_way + self.not_yet) {
            (false, _) => "waits",
            (true, 0) => "decided",
            (true, _) => "out",
        }
    }

    /// Updated, under way, failed, silent, not yet.
    #[must_use]
    pub fn parts(&self) -> [u32; 5] {
        [self.updated, self.under_way, self.failed, self.silent, self.not_yet]
    }

    fn count(&mut self, target: &Target) {
        self.appliances += 1;
        let number = match (target.verdict(), &target.state) {
            (Some(Verdict::Updated), _) => &mut self.updated,
            (Some(Verdict::Failed { failure: Failure::Silent }), _) => &mut self.silent,
            (Some(Verdict::Failed { .. }), _) => &mut self.failed,
            (None, TargetState::Planned) if target.attempt == 1 => &mut self.not_yet,
            (None, _) => &mut self.under_way,
        };
        *number += 1;
    }
}

/// The waves of a rollout, the first one first.
#[must_use]
pub fn waves(rollout: &Rollout, targets: &Targets, now: Timestamp) -> Vec<WaveRow> {
    waves_with(rollout, targets, &tallies(rollout, targets, now))
}

/// The same where the tallies are known.
pub(super) fn waves_with(rollout: &Rollout, targets: &Targets, tallies: &[Tally]) -> Vec<WaveRow> {
    let row = |(nth, tally): (usize, &Tally)| WaveRow {
        wave: u32::try_from(nth + 1).unwrap_or(u32::MAX),
        errors: tally.errors,
        counted: tally.updated + tally.errors + tally.open,
        released: nth < rollout.stand.released as usize,
        ..WaveRow::default()
    };
    let mut rows: Vec<_> = tallies.iter().enumerate().map(row).collect();
    let last = rows.len().saturating_sub(1);
    for target in targets.values() {
        if let Some(row) = rows.get_mut((target.wave as usize).min(last)) {
            row.count(target);
        }
    }
    rows
}

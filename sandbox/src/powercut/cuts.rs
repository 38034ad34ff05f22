//! Which cuts are made, and making several at once.

use super::{Outcome, Tally};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What becomes of writes that were not synced when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    /// They stay, as when only the programs are killed.
    Kept,
    /// They are lost, as when the box loses its power.
    Lost,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Kept, Self::Lost];

    /// As a part of a file name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Lost => "lost",
        }
    }
}

/// One cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cut {
    /// The change at which the power goes, counted from 1.
    pub point: u64,
    /// What it takes.
    pub way: Way,
}

/// At most `wanted` of the changes 1 to `changes`, evenly spread; all of them if there are no more.
#[must_use]
pub fn spread(changes: u64, wanted: u64) -> Vec<u64> {
    let wanted = wanted.min(changes);
    // From the middle of each of equal parts.
    (0..wanted)
        .map(|place| (2 * place + 1) * changes / (2 * wanted) + 1)
        .map(|point| point.min(changes))
        .collect()
}

/// Each of the points in both ways.
#[must_use]
pub fn both_ways(points: &[u64]) -> Vec<Cut> {
    points.iter().flat_map(|point| Way::BOTH.map(|way| Cut { point: *point, way })).collect()
}

/// Makes the cuts, `at_once` at a time, and counts what comes of them; `told` is called after each.
pub fn make(
    cuts: &[Cut],
    at_once: usize,
    cut: impl Fn(Cut) -> Outcome + Sync,
    told: impl Fn(Cut, &Outcome) + Sync,
) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(it) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = cut(*it);
                    told(*it, &outcome);
                    tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).count(&outcome);
                    if crate::world::is_interrupted() {
                        return;
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The most that any of so many counts at the same time comes to.
pub(super) fn count_at_once(
    at_once: usize,
    count: impl Fn() -> anyhow::Result<u64> + Sync,
) -> anyhow::Result<u64> {
    std::thread::scope(|scope| {
        let counts: Vec<_> = (0..at_once.max(1)).map(|_| scope.spawn(&count)).collect();
        let mut most = 0;
        for one in counts {
            most = most.max(one.join().map_err(|_| anyhow::anyhow!("a count panicked"))??);
        }
        Ok(most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::powercut::End;
    use std::time::Duration;

    #[test]
    fn points_are_spread_evenly_and_none_comes_twice() {
        assert_eq!(spread(5, 10), [1, 2, 3, 4, 5]);
        assert_eq!(spread(100, 4), [13, 38, 63, 88]);
        assert_eq!(spread(0, 4), [0u64; 0]);
        let points = spread(1000, 333);
        assert!(points.windows(2).all(|pair| pair[0] < pair[1]) && points.len() == 333);
    }

    #[test]
    fn every_cut_is_made_once_and_what_went_wrong_is_counted() {
        let cuts = both_ways(&[1, 2, 3]);
        let cut = |cut: Cut| Outcome {
            end: if cut.point == 3 { End::Broken("half".to_owned()) } else { End::New },
            found: End::Old,
            reason: String::new(),
            lost: u32::from(cut.way == Way::Lost),
            doubled: 0,
            recovered: Duration::from_secs(cut.point),
        };
        let seen = Mutex::new(Vec::new());
        let tally = make(&cuts, 3, cut, |cut, outcome| seen.lock().unwrap().push((cut, outcome.is_good())));
        assert_eq!((tally.points, tally.new, tally.broken, tally.lost), (6, 4, 2, 3));
        assert_eq!(tally.recovered_max, Duration::from_secs(3));
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.iter().filter(|(_, good)| *good).count(), 2);
    }
}

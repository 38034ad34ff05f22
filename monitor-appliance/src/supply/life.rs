//! The life of one supply: its level at the moments when it moved, and its replacements.

use super::direction::Direction;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Points kept of one cartridge; every second one goes when there are more.
const POINTS_MAX: usize = 128;

/// Earlier cartridges whose use is remembered.
const PAST_MAX: usize = 8;

/// A rise has to stay so long, and over two readings, before it counts.
const RISE_STAYS: SignedDuration = SignedDuration::from_hours(6);

/// A small rise, which shaking a cartridge also makes, has to stay this long.
const SMALL_RISE_STAYS: SignedDuration = SignedDuration::from_hours(72);

/// Up to this many points of 100 a rise may be a reading that wavers.
const WAVER: f64 = 3.0;

/// One reading of a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Share of the maximum, 0 to 100, where 0 is its end (empty, or full for a waste box).
    pub left: f64,
    /// Pages of the device so far, where told.
    pub pages: Option<u64>,
}

/// A level that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    pub(super) left: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) pages: Option<u64>,
}

impl From<Sample> for Point {
    fn from(sample: Sample) -> Self {
        Self { at: sample.at, left: sample.left, pages: sample.pages }
    }
}

/// What an earlier cartridge showed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    /// Points of 100 that were used while it was watched.
    pub(super) used: f64,
    /// Pages made with them.
    pub(super) pages: u64,
    /// Days that they took.
    pub(super) days: f64,
}

/// A rise that may be a replacement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rise {
    points: Vec<Point>,
    before: f64,
}

/// A supply was replaced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replacement {
    /// When the new one was first seen.
    pub at: Timestamp,
    /// What was left of the old one, in points of 100.
    pub left: f64,
    /// Pages of the device at that time, where told.
    pub pages: Option<u64>,
}

/// What is remembered of one supply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SupplyLife {
    /// The first reading of this cartridge, and each at which the level had moved, oldest first.
    points: Vec<Point>,
    /// Whether the first point is the moment of its installation.
    installed: bool,
    /// The latest reading.
    latest: Option<Point>,
    rise: Option<Rise>,
    past: Vec<Past>,
    direction: Direction,
    /// The last level as the device told it.
    raw: Option<f64>,
}

impl SupplyLife {
    /// Takes in a level of a waste box as told, of 100, and says how much is left till its end, once that can be known.
    pub fn of_receptacle(&mut self, level: f64, full: bool) -> Option<f64> {
        let change = self.raw.map_or(0.0, |before| level - before);
        self.raw = Some(level);
        // Emptying the box moves the level further than filling does within one reading.
        let change = if change.abs() > 30.0 { 0.0 } else { change };
        self.direction = self.direction.shown(level, full, change);
        match self.direction {
            Direction::Unknown => None,
            Direction::Falls => Some(level),
            Direction::Rises => Some(100.0 - level),
        }
    }

    /// Which way its level was seen to count.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Takes in a reading; a rise counts as a replacement only when it stays. A shaken cartridge goes on as it was.
    pub fn observe(&mut self, sample: Sample) -> Option<Replacement> {
        let Some(latest) = self.latest else {
            self.points = vec![sample.into()];
            self.latest = Some(sample.into());
            return None;
        };
        if sample.at <= latest.at {
            return None;
        }
        if let Some(mut rise) = self.rise.take() {
            if sample.left <= rise.before + WAVER {
                self.follow(sample);
                return None;
            }
            rise.points.push(sample.into());
            let first = rise.points.first().copied().unwrap_or(sample.into());
            let fresh = first.left >= 90.0 && first.left - rise.before >= 20.0;
            let stays = if fresh { RISE_STAYS } else { SMALL_RISE_STAYS };
            if sample.at.duration_since(first.at) >= stays {
                return Some(self.replaced(&rise));
            }
            // What lies between first and latest is needed only where the level moved.
            if rise.points.len() > 2 {
                rise.points.dedup_by(|later, earlier| same(later.left, earlier.left));
                rise.points.truncate(POINTS_MAX);
            }
            self.rise = Some(rise);
            return None;
        }
        let limit = (self.step() * 1.01).max(WAVER);
        if sample.left > latest.left + limit {
            self.rise = Some(Rise { points: vec![sample.into()], before: latest.left });
            return None;
        }
        self.follow(sample);
        None
    }

    fn follow(&mut self, sample: Sample) {
        let lowest = self.points.last().map_or(f64::INFINITY, |point| point.left);
        // A waver upwards is no point: the level is what it has come down to.
        let left = sample.left.min(lowest);
        if left < lowest && !same(left, lowest) {
            self.points.push(Point { left, ..sample.into() });
            if self.points.len() > POINTS_MAX {
                let mut number = 0;
                self.points.retain(|_| {
                    number += 1;
                    number <= 2 || number % 2 == 0
                });
            }
        }
        self.latest = Some(Point { left, ..sample.into() });
    }

    fn replaced(&mut self, rise: &Rise) -> Replacement {
        let first = rise.points.first().copied();
        if let (Some(from), Some(until)) = (self.points.first(), self.latest) {
            let past = Past {
                used: from.left - until.left,
                pages: from.pages.zip(until.pages).map_or(0, |(from, until)| until.saturating_sub(from)),
                days: super::days_of(until.at) - super::days_of(from.at),
            };
            if past.used >= 20.0 {
                self.past.push(past);
                let over = self.past.len().saturating_sub(PAST_MAX);
                self.past.drain(..over);
            }
        }
        let (at, pages) = first.map_or((Timestamp::MIN, None), |point| (point.at, point.pages));
        self.points.clear();
        self.points.extend(first);
        self.latest = first;
        self.installed = true;
        for point in rise.points.iter().skip(1) {
            self.follow(Sample { at: point.at, left: point.left, pages: point.pages });
        }
        Replacement { at, left: rise.before, pages }
    }

    /// The smallest step in which this level moves, in points of 100; 1 where nothing coarser was seen.
    pub(super) fn step(&self) -> f64 {
        let moves = self.points.windows(2).filter_map(|pair| match pair {
            [earlier, later] => Some(earlier.left - later.left),
            _ => None,
        });
        let least = moves.fold(f64::INFINITY, f64::min);
        if least.is_finite() { least.clamp(1.0, 50.0) } else { 1.0 }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(super) fn latest(&self) -> Option<Point> {
        self.latest
    }

    pub(super) fn is_watched_from_new(&self) -> bool {
        self.installed || self.points.first().is_some_and(|point| point.left >= 100.0)
    }

    pub(super) fn past(&self) -> &[Past] {
        &self.past
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.05
}

#[cfg(test)]
mod tests {
    use super::{Sample, SupplyLife};
    use jiff::{SignedDuration, Timestamp};

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000 + hours)
    }

    /// One reading an hour; returns the hours at which a replacement was told.
    fn told(levels: &[f64]) -> (SupplyLife, Vec<usize>) {
        let mut life = SupplyLife::default();
        let mut found = Vec::new();
        for (hour, left) in levels.iter().enumerate() {
            let hours = i64::try_from(hour).unwrap();
            let sample = Sample { at: at(hours), left: *left, pages: Some(1000 + hour as u64) };
            if life.observe(sample).is_some() {
                found.push(hour);
            }
        }
        (life, found)
    }

    fn levels(parts: &[(f64, usize)]) -> Vec<f64> {
        parts.iter().flat_map(|(level, hours)| std::iter::repeat_n(*level, *hours)).collect()
    }

    #[test]
    fn a_fresh_cartridge_counts_once_it_has_stayed() {
        let (life, found) = told(&levels(&[(8.0, 5), (7.0, 5), (100.0, 20), (99.0, 5)]));
        assert_eq!(found, [16]);
        assert_eq!(life.latest().unwrap().left, 99.0);
        assert!(life.is_watched_from_new());
    }

    #[test]
    fn a_shaken_cartridge_is_no_new_one() {
        let (life, found) = told(&levels(&[(5.0, 5), (12.0, 10), (5.0, 5), (4.0, 5)]));
        assert!(found.is_empty());
        assert_eq!(life.latest().unwrap().left, 4.0);
    }

    #[test]
    fn a_door_that_was_opened_shows_full_for_a_moment() {
        let (_, found) = told(&levels(&[(40.0, 5), (100.0, 1), (40.0, 5), (100.0, 2), (39.0, 5)]));
        assert!(found.is_empty());
    }

    #[test]
    fn a_used_cartridge_counts_when_its_level_stays_for_days() {
        let (_, found) = told(&levels(&[(5.0, 5), (60.0, 80)]));
        assert_eq!(found, [77]);
    }

    #[test]
    fn a_level_that_wavers_is_what_it_has_come_down_to() {
        let (life, found) = told(&[50.0, 49.0, 50.0, 49.0, 50.0, 48.0, 49.0]);
        assert!(found.is_empty());
        assert_eq!(life.points().iter().map(|point| point.left).collect::<Vec<_>>(), [50.0, 49.0, 48.0]);
    }

    #[test]
    fn memory_is_bounded_whatever_a_device_tells() {
        let mut life = SupplyLife::default();
        for hour in 0..100_000_i64 {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let left = 100.0 - hour as f64 / 1000.0;
            life.observe(Sample { at: at(hour), left, pages: None });
            let jump = if hour % 3 == 0 { 100.0 } else { left };
            life.observe(Sample { at: at(hour) + SignedDuration::from_mins(1), left: jump, pages: None });
        }
        assert!(serde_json::to_string(&life).unwrap().len() < 40_000);
    }

    #[test]
    fn a_waste_box_is_understood_once_it_has_shown_its_way() {
        let mut life = SupplyLife::default();
        assert_eq!(life.of_receptacle(40.0, false), None);
        assert_eq!(life.of_receptacle(43.0, false), Some(57.0));
        let mut life = SupplyLife::default();
        assert_eq!(life.of_receptacle(3.0, true), Some(3.0));
    }
}

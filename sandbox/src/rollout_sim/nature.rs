//! What an appliance of the simulation is like: all of it follows from its dice.

use crate::chaos::dice::Dice;
use jiff::{SignedDuration, Timestamp};

/// How its installations end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installer {
    /// The release stays.
    Works,
    /// It does not take the package.
    Refuses,
    /// The script fails.
    Fails,
    /// The new release fails its trial and is taken back.
    TakesBack,
}

/// When it is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Never.
    Never,
    /// For ever.
    Always,
    /// Half of every day, from this time after midnight on.
    Nights(SignedDuration),
    /// For days, once.
    Once(Timestamp, Timestamp),
}

/// What an appliance is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nature {
    /// How its installations end.
    pub(super) installer: Installer,
    /// When it is off.
    pub(super) rest: Rest,
    /// Which of the older releases it runs; none of them for the target itself.
    pub(super) wears: Option<usize>,
}

/// The releases that are out in the field.
pub(super) const OLDER: [&str; 4] = ["1.0.00-1", "1.0.00-2", "1.0.01-0", "1.0.01-3"];

impl Nature {
    /// Of a hundred: one is off for ever, two cannot be updated, ten are off by night, three for up to three days; one runs the
    /// target already.
    pub(super) fn draw(dice: &mut Dice, begin: Timestamp) -> Self {
        let hours = SignedDuration::from_hours;
        let rest = match dice.below(100) {
            0 => Rest::Always,
            1..=10 => Rest::Nights(dice.time(hours(0), hours(24))),
            11..=13 => {
                let from = begin + dice.time(hours(0), hours(24)) - hours(12);
                Rest::Once(from, from + dice.time(hours(12), hours(72)))
            }
            _ => Rest::Never,
        };
        let installer = match dice.below(150) {
            0 => Installer::Refuses,
            1 => Installer::Fails,
            2 => Installer::TakesBack,
            _ => Installer::Works,
        };
        let wears = (dice.below(100) > 0).then(|| dice.place(OLDER.len()));
        Self { installer, rest, wears }
    }

    /// Whether any center could bring it to the target.
    pub(super) fn is_reachable(&self) -> bool {
        self.rest != Rest::Always && (self.installer == Installer::Works || self.wears.is_none())
    }

    /// The first time from `now` on at which it is on; `None` for never.
    pub(super) fn is_on_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.rest {
            Rest::Never => Some(now),
            Rest::Always => None,
            Rest::Once(from, to) => Some(if (from..to).contains(&now) { to } else { now }),
            Rest::Nights(begins) => {
                let (day, half) = (24 * 3600, 12 * 3600);
                let asleep = (now.as_second() - begins.as_secs()).rem_euclid(day);
                Some(if asleep < half { now + SignedDuration::from_secs(half - asleep) } else { now })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_057_600 / 86_400 * 86_400).unwrap() + SignedDuration::from_hours(hours)
    }

    fn resting(rest: Rest) -> Nature {
        Nature { installer: Installer::Works, rest, wears: Some(0) }
    }

    #[test]
    fn one_that_sleeps_by_night_is_on_for_the_other_half_of_the_day() {
        let nature = resting(Rest::Nights(SignedDuration::from_hours(18)));
        assert_eq!(nature.is_on_at(at(17)), Some(at(17)));
        assert_eq!(nature.is_on_at(at(18)), Some(at(30)));
        assert_eq!(nature.is_on_at(at(29)), Some(at(30)));
        assert_eq!(nature.is_on_at(at(30)), Some(at(30)));
    }

    #[test]
    fn one_that_is_off_for_days_comes_back_and_one_that_is_off_for_ever_does_not() {
        let nature = resting(Rest::Once(at(1), at(60)));
        assert_eq!(
            [0, 1, 59, 60].map(|hour| nature.is_on_at(at(hour))),
            [0, 60, 60, 60].map(|hour| Some(at(hour)))
        );
        let off = resting(Rest::Always);
        assert!(off.is_on_at(at(0)).is_none() && !off.is_reachable() && nature.is_reachable());
    }

    #[test]
    fn a_fleet_has_some_of_every_kind_and_most_are_well() {
        let mut dice = Dice::new(5);
        let fleet: Vec<Nature> = (0..5_000).map(|_| Nature::draw(&mut dice, at(0))).collect();
        let reachable = fleet.iter().filter(|nature| nature.is_reachable()).count();
        assert!((4_700..4_990).contains(&reachable), "{reachable}");
        for installer in [Installer::Refuses, Installer::Fails, Installer::TakesBack] {
            assert!(fleet.iter().any(|nature| nature.installer == installer), "{installer:?}");
        }
        assert!(fleet.iter().any(|nature| nature.wears.is_none()));
        assert!(fleet.iter().any(|nature| matches!(nature.rest, Rest::Once(..))));
    }
}

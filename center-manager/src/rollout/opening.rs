//! When the sites of a rollout may begin, as far as a center can tell that does not know their time zones.

use super::after;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use mailfmt::Command;
use mailfmt::conditions::{Conditions, Opening, opens};
use mailfmt::message::{ConditionalOrder, UpdateOrder};
use mailfmt::package::DailyWindow;
use serde::{Deserialize, Serialize};

/// The offsets of all time zones from UTC, in quarters of an hour: from 12 hours behind it to 14 ahead.
const ZONES: std::ops::RangeInclusive<i32> = -48..=56;
const QUARTER_SECS: i32 = 15 * 60;
/// By how much a change of the clocks may move what an offset of today tells.
const CLOCK_CHANGE: SignedDuration = SignedDuration::from_hours(1);

/// What is known here of the hours at which the sites begin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Openings {
    /// What the order says.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub ordered: Conditions,
    /// The package's own hours of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<DailyWindow>,
}

impl Openings {
    /// Whether every site may begin at once.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.ordered.is_empty() && self.package.is_none()
    }

    /// By when a site that has the package at `from` may have begun, wherever it is: the latest of all time zones. `until` for
    /// zones in which it never may: until then such a site has said so.
    #[must_use]
    pub fn at_the_latest(&self, from: Timestamp, until: Timestamp) -> Timestamp {
        if self.is_always() {
            return from;
        }
        let latest = self.in_all_zones(from, until).map(|opening| match opening {
            Opening::Now => from,
            Opening::At(at) => after(at, CLOCK_CHANGE),
            Opening::Never => until,
        });
        latest.max().unwrap_or(from)
    }

    /// Whether there is a time zone in which a site that has the package at `from` can never begin before `until`.
    #[must_use]
    pub fn may_miss(&self, from: Timestamp, until: Timestamp) -> bool {
        !self.is_always() && self.in_all_zones(from, until).any(|opening| opening == Opening::Never)
    }

    fn in_all_zones(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Opening> {
        ZONES.filter_map(move |quarters| {
            let zone = TimeZone::fixed(Offset::from_seconds(quarters * QUARTER_SECS).ok()?);
            Some(opens(&self.ordered, self.package.as_slice(), from, until, &zone))
        })
    }

    /// The command that orders the update under these conditions.
    pub(super) fn command(&self, order: UpdateOrder) -> Command {
        match self.ordered.is_empty() {
            true => Command::Update(order),
            false => Command::UpdateWhen(ConditionalOrder { order, conditions: self.ordered.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nights() -> Openings {
        let ordered =
            Conditions { windows: vec!["Mo-Fr 20:00-06:00".parse().unwrap()], ..Conditions::default() };
        Openings { ordered, package: None }
    }

    const UNTIL: &str = "2026-12-20T00:00:00Z";

    #[test]
    fn without_conditions_a_site_begins_when_it_has_the_package() {
        let now = time("2026-11-22T12:00:00Z");
        assert_eq!(Openings::default().at_the_latest(now, time(UNTIL)), now);
        assert!(!Openings::default().may_miss(now, time(UNTIL)));
    }

    #[test]
    fn the_westernmost_site_is_waited_for() {
        // Sunday noon: Monday 20:00 is last reached twelve hours behind UTC.
        let latest = nights().at_the_latest(time("2026-11-22T12:00:00Z"), time(UNTIL));
        assert_eq!(latest, time("2026-11-24T09:00:00Z"));
    }

    #[test]
    fn no_real_site_begins_later_than_that() {
        let openings = Openings { package: Some("21:30-05:00".parse().unwrap()), ..nights() };
        let rules = [
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "EST5EDT,M3.2.0,M11.1.0",
            "<+0545>-5:45",
            "NZST-12NZDT,M9.5.0,M4.1.0/3",
        ];
        for start in ["2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z", "2026-10-30T00:00:00Z"] {
            for hours in 0..96 {
                let from = time(start) + SignedDuration::from_hours(hours);
                let latest = openings.at_the_latest(from, time(UNTIL));
                for rule in rules {
                    let zone = TimeZone::posix(rule).unwrap();
                    let begins =
                        match opens(&openings.ordered, openings.package.as_slice(), from, time(UNTIL), &zone)
                        {
                            Opening::Now => from,
                            Opening::At(at) => at,
                            Opening::Never => panic!("never in {rule}"),
                        };
                    assert!(begins <= latest, "{rule} from {from}: {begins}, not {latest}");
                }
            }
        }
    }

    #[test]
    fn hours_that_some_zone_never_meets_are_told_before_anything_is_sent() {
        let mut openings = nights();
        assert!(!openings.may_miss(time("2026-11-22T12:00:00Z"), time(UNTIL)));
        openings.package = Some("12:00-13:00".parse().unwrap());
        assert!(openings.may_miss(time("2026-11-22T12:00:00Z"), time(UNTIL)));
        assert_eq!(openings.at_the_latest(time("2026-11-22T12:00:00Z"), time(UNTIL)), time(UNTIL));
    }
}

//! When somebody is at a device: a fault that nobody could have cleared does not last.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use mailfmt::package::DailyWindow;

/// Most nights and weekends that are skipped when minutes are counted; what is older has lasted.
const CLOSURES_MAX: u32 = 60;

/// The hours in which people work at the site.
#[derive(Debug, Clone, PartialEq)]
pub struct Attended {
    /// Hours of the day. Default `08:00-18:00`.
    pub hours: DailyWindow,
    /// Days of the week. Default Monday to Friday.
    pub days: Vec<Weekday>,
    /// The site's time zone. Default: the box's.
    pub zone: TimeZone,
}

impl Default for Attended {
    fn default() -> Self {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        Self {
            hours: "08:00-18:00".parse().expect("hours as they are written"),
            days: vec![Monday, Tuesday, Wednesday, Thursday, Friday],
            zone: TimeZone::system(),
        }
    }
}

impl Attended {
    /// Whether somebody was there for `minutes` between `since` and `now`, all in all.
    #[must_use]
    pub fn reaches(&self, since: Timestamp, now: Timestamp, minutes: u32) -> bool {
        let (mut at, end) = (self.zone.to_datetime(since), self.zone.to_datetime(now));
        let (mut missing, mut closures) = (minutes, 0);
        while missing > 0 {
            let opens = if self.days.contains(&at.weekday()) {
                self.hours.opens(at)
            } else {
                at.date().tomorrow().ok().map(|day| day.at(0, 0, 0, 0))
            };
            let next = match opens {
                None => {
                    missing -= 1;
                    at.checked_add(1.minute()).ok()
                }
                Some(opens) => {
                    closures += 1;
                    Some(opens)
                }
            };
            // Behind so many nights it has lasted, whatever the hours are.
            let Some(next) = next.filter(|_| closures <= CLOSURES_MAX) else { return true };
            if next > end {
                return false;
            }
            at = next;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn office() -> Attended {
        Attended { zone: TimeZone::UTC, ..Attended::default() }
    }

    #[test]
    fn only_hours_in_which_somebody_is_there_count() {
        let office = office();
        // 2026-11-20 is a Friday.
        let friday = at("2026-11-20T17:45:00Z");
        assert!(office.reaches(friday, at("2026-11-20T17:55:00Z"), 10));
        assert!(!office.reaches(friday, at("2026-11-20T17:54:00Z"), 10));
        assert!(!office.reaches(friday, at("2026-11-22T23:00:00Z"), 30), "a weekend is no half an hour");
        assert!(!office.reaches(friday, at("2026-11-23T08:14:00Z"), 30));
        assert!(office.reaches(friday, at("2026-11-23T08:15:00Z"), 30));
    }

    #[test]
    fn a_fault_in_the_night_begins_to_last_in_the_morning() {
        let night = at("2026-11-18T02:00:00Z");
        assert!(!office().reaches(night, at("2026-11-18T08:29:00Z"), 30));
        assert!(office().reaches(night, at("2026-11-18T08:30:00Z"), 30));
    }

    #[test]
    fn hours_that_never_come_end_the_counting_and_a_clock_that_went_back_counts_nothing() {
        let never = Attended { days: vec![], ..office() };
        assert!(!never.reaches(at("2026-11-18T02:00:00Z"), at("2026-11-28T02:00:00Z"), 30));
        assert!(never.reaches(at("2024-11-18T02:00:00Z"), at("2026-11-28T02:00:00Z"), 30));
        assert!(!office().reaches(at("2026-11-18T12:00:00Z"), at("2026-11-18T11:00:00Z"), 1));
    }
}

//! Whether the hours allow an update to begin: those that its order names, its package's and the site's own. Pure.

use super::wait::{HoursWait, WaitFor};
use crate::clock::ClockState;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mailfmt::conditions::{Conditions, Opening, WINDOW_MISSED, opens};
use mailfmt::package::DailyWindow;
use std::fmt::Write as _;
use std::time::Duration;

/// All that has a say in when one update begins.
#[derive(Debug)]
pub(super) struct Hours<'a> {
    /// What the order says.
    pub(super) ordered: &'a Conditions,
    /// The package's hours of the day.
    pub(super) package: Option<DailyWindow>,
    /// The site's.
    pub(super) site: Option<DailyWindow>,
    /// When the package expires: it begins by then or never.
    pub(super) expires: Timestamp,
    /// The site's time zone.
    pub(super) zone: &'a TimeZone,
    /// How long, from when the hours allow it, the update may still wait for other things.
    pub(super) wait_max: Duration,
}

/// Whether it may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    Open,
    /// Not yet.
    Closed {
        /// What is waited for.
        why: WaitFor,
        /// When it may; `None` while the clock cannot tell.
        opens: Option<Timestamp>,
    },
    /// It can never begin in time.
    Missed {
        /// Why, for a person.
        reason: String,
    },
}

impl Hours<'_> {
    /// Looks at the clock. Where an order names hours, a clock that nothing proves does not open them, until it is proven or
    /// has run for so long that nothing waits for a proof any more ([`crate::clock::PATIENCE`]).
    pub(super) fn look(&self, clock: &ClockState) -> Gate {
        if !self.ordered.is_empty() && !clock.tells_hours() {
            let why = "the clock of this box is not proven yet, and the order names hours".to_owned();
            return Gate::Closed { why: self.wait(clock.now, why), opens: None };
        }
        let daily: Vec<DailyWindow> = self.package.into_iter().chain(self.site).collect();
        match opens(self.ordered, &daily, clock.now, self.expires, self.zone) {
            Opening::Now => Gate::Open,
            Opening::At(at) => {
                let why = format!("it begins at {at} at the earliest: {}", self.words());
                Gate::Closed { why: self.wait(at, why), opens: Some(at) }
            }
            Opening::Never => Gate::Missed {
                reason: format!(
                    "{WINDOW_MISSED}: until the package expires at {} there is no time at which all allow it: {}",
                    self.expires,
                    self.words()
                ),
            },
        }
    }

    fn wait(&self, opens: Timestamp, words: String) -> WaitFor {
        let wait_max = SignedDuration::try_from(self.wait_max).unwrap_or(SignedDuration::MAX);
        let give_up_at = opens.checked_add(wait_max).unwrap_or(Timestamp::MAX).min(self.expires);
        // What a version reads that knows of nothing but one pair of hours.
        let hours = self.package.or(self.site).unwrap_or_default();
        let by_order = !self.ordered.is_empty();
        let package = self.package;
        let opening = HoursWait { by_order, opens, package, expires: self.expires, give_up_at, words };
        WaitFor::Window { hours, opening: Some(Box::new(opening)) }
    }

    fn words(&self) -> String {
        let mut words = String::new();
        if !self.ordered.is_empty() {
            words = format!("ordered {}", self.ordered);
        }
        for (whose, hours) in [("the package's hours", self.package), ("this site's hours", self.site)] {
            if let Some(hours) = hours {
                let comma = if words.is_empty() { "" } else { ", " };
                write!(words, "{comma}{whose} {hours}").expect("a string takes all");
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::{Due, Wait, WaitLimits};
    use super::*;
    use crate::clock::{Evidence, Known, PATIENCE, Reading};
    use std::sync::Arc;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn nights() -> Conditions {
        Conditions { windows: vec!["Mo-Fr 20:00-06:00".parse().unwrap()], ..Conditions::default() }
    }

    fn hours<'a>(ordered: &'a Conditions, zone: &'a TimeZone) -> Hours<'a> {
        let expires = time("2026-12-20T00:00:00Z");
        let wait_max = Duration::from_secs(3 * 24 * 3600);
        Hours { ordered, package: None, site: None, expires, zone, wait_max }
    }

    fn certain(text: &str) -> ClockState {
        ClockState::certain(time(text))
    }

    #[test]
    fn an_update_begins_only_when_order_package_and_site_all_allow_it() {
        let (ordered, zone) = (nights(), berlin());
        let all = Hours {
            package: Some("22:00-05:00".parse().unwrap()),
            site: Some("04:00-07:00".parse().unwrap()),
            ..hours(&ordered, &zone)
        };
        // Friday night in Berlin.
        assert_eq!(all.look(&certain("2026-11-21T03:30:00Z")), Gate::Open);
        let Gate::Closed { why, opens } = all.look(&certain("2026-11-21T04:30:00Z")) else { panic!("open") };
        assert_eq!(opens, Some(time("2026-11-24T03:00:00Z")));
        assert_eq!(
            why.to_string(),
            "it begins at 2026-11-24T03:00:00Z at the earliest: ordered only Mo-Fr 20:00-06:00, \
             the package's hours 22:00-05:00, this site's hours 04:00-07:00"
        );
    }

    #[test]
    fn hours_that_never_meet_before_the_package_expires_are_a_missed_window() {
        let (ordered, zone) = (nights(), berlin());
        let apart = Hours { site: Some("12:00-13:00".parse().unwrap()), ..hours(&ordered, &zone) };
        let Gate::Missed { reason } = apart.look(&certain("2026-11-21T03:30:00Z")) else {
            panic!("not missed")
        };
        assert!(reason.starts_with("window missed: until the package expires at 2026-12-20"), "{reason}");
        assert!(
            reason.ends_with("ordered only Mo-Fr 20:00-06:00, this site's hours 12:00-13:00"),
            "{reason}"
        );
    }

    #[test]
    fn without_hours_it_may_begin_at_any_time_by_any_clock() {
        let (ordered, zone) = (Conditions::default(), berlin());
        let unproven = Known::default().state(&Reading::of_wall(time("2026-11-21T12:00:00Z")));
        assert_eq!(hours(&ordered, &zone).look(&unproven), Gate::Open);
    }

    fn reading(wall: &str, since_boot: Duration) -> Reading {
        Reading { wall: time(wall), since_boot, boot: Arc::from("boot") }
    }

    #[test]
    fn a_clock_that_nothing_proves_does_not_open_ordered_hours_until_a_receipt_proves_it() {
        let (ordered, zone) = (nights(), berlin());
        let hours = hours(&ordered, &zone);
        let minute = Duration::from_secs(60);
        // Its own clock says Friday evening.
        let handed_in = reading("2026-11-20T21:00:00Z", minute);
        let mut known = Known::default();
        let Gate::Closed { why, opens: None } = hours.look(&known.state(&handed_in)) else { panic!("open") };
        assert!(why.to_string().contains("not proven"), "{why}");
        // It was Friday noon when the center filed its report.
        let receipt =
            Evidence::Receipt { received: time("2026-11-20T11:00:00Z"), handed_in: Some(handed_in.uptime()) };
        let came = reading("2026-11-20T21:01:00Z", 2 * minute);
        known.learn(&receipt, &came);
        let Gate::Closed { opens, .. } = hours.look(&known.state(&came)) else { panic!("open") };
        assert_eq!(opens, Some(time("2026-11-20T19:00:00Z")));
        let evening = reading("2026-11-21T05:02:00Z", 2 * minute + Duration::from_secs(8 * 3600 + 60));
        assert_eq!(hours.look(&known.state(&evening)), Gate::Open);
    }

    #[test]
    fn a_clock_that_no_receipt_ever_proves_is_taken_as_it_is_after_a_day() {
        let (ordered, zone) = (nights(), berlin());
        let before =
            Known::default().state(&reading("2026-11-20T21:00:00Z", PATIENCE - Duration::from_secs(1)));
        assert!(matches!(hours(&ordered, &zone).look(&before), Gate::Closed { .. }));
        let after = Known::default().state(&reading("2026-11-20T21:00:01Z", PATIENCE));
        assert_eq!(hours(&ordered, &zone).look(&after), Gate::Open);
    }

    #[test]
    fn the_longest_wait_counts_from_when_the_hours_allow_it() {
        let (ordered, zone) = (nights(), berlin());
        let blacked_out =
            Conditions { blackouts: vec!["2026-11-21..2026-12-05".parse().unwrap()], ..ordered };
        let now = time("2026-11-21T12:00:00Z");
        let Gate::Closed { why, .. } = hours(&blacked_out, &zone).look(&ClockState::certain(now)) else {
            panic!("open")
        };
        let give_up_at = time("2026-11-24T12:00:00Z");
        let limits = WaitLimits { report_after: SignedDuration::from_hours(1), give_up_at };
        let wait = Wait::another(None, why, now, limits);
        assert_eq!(wait.due(time("2026-12-07T18:00:00Z")), Due::Report);
        let told = Wait { reported: true, ..wait };
        assert_eq!(told.due(time("2026-12-10T18:59:00Z")), Due::Look);
        assert_eq!(told.due(time("2026-12-10T19:01:00Z")), Due::GiveUp);
        // What is in the way after that has what is left of it.
        let busy = Wait::another(Some(told), WaitFor::Script, time("2026-12-07T19:00:00Z"), limits);
        assert_eq!(busy.give_up_at, Some(time("2026-12-10T19:00:00Z")));
    }

    #[test]
    fn a_version_that_knows_only_hours_of_the_day_gives_up_what_is_ordered_under_conditions() {
        let (ordered, zone) = (nights(), berlin());
        let now = time("2026-11-21T12:00:00Z");
        let Gate::Closed { why, .. } = hours(&ordered, &zone).look(&ClockState::certain(now)) else {
            panic!("open")
        };
        let limits = WaitLimits { report_after: SignedDuration::ZERO, give_up_at: now };
        let stored = serde_json::to_value(Wait::another(None, why.clone(), now, limits)).unwrap();
        assert_eq!(stored["why"]["for"], "window");
        assert_eq!(stored["why"]["hours"], "00:00-00:00");
        assert_eq!(stored["give_up_at"], "1970-01-01T00:00:00Z");
        let read: Wait = serde_json::from_value(stored).unwrap();
        assert_eq!((read.why.clone(), read.due(now)), (why, Due::Report));
    }
}

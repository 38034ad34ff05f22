//! The end of the month: when it is, who read it, what is estimated.

use super::*;
use crate::ledger::month_end::interpolate;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes(text: &str) -> i64 {
    time(text).duration_since(start()).as_secs() / 60
}

#[test]
fn a_month_ends_by_the_clock_on_the_wall_of_the_site() {
    let berlin = MonthEnd::new("Europe/Berlin", None, 20).unwrap();
    let ends: Vec<_> = berlin.passed(time("2026-01-31T19:00:00Z"), time("2026-06-30T18:00:00Z"));
    let times: Vec<_> = ends.iter().map(|end| (end.month.as_str(), end.at.to_string())).collect();
    let expected = [
        ("2026-02", "2026-02-28T19:00:00Z"),
        // Summer time.
        ("2026-03", "2026-03-31T18:00:00Z"),
        ("2026-04", "2026-04-30T18:00:00Z"),
        ("2026-05", "2026-05-31T18:00:00Z"),
        ("2026-06", "2026-06-30T18:00:00Z"),
    ];
    assert_eq!(times, expected.map(|(month, at)| (month, at.to_owned())));
    let posix = MonthEnd::new("CET-1CEST,M3.5.0,M10.5.0/3", Some(15), 7).unwrap();
    assert_eq!(posix.next(time("2026-07-01T00:00:00Z")).unwrap().at, time("2026-07-15T05:00:00Z"));
}

#[test]
fn an_hour_that_the_clocks_leave_out_is_the_one_after() {
    let end = MonthEnd::new("Europe/Berlin", Some(28), 2).unwrap();
    // On 2027-03-28 the clocks go from 2 to 3.
    assert_eq!(end.next(time("2027-03-20T00:00:00Z")).unwrap().at, time("2027-03-28T01:00:00Z"));
}

#[test]
fn what_no_month_has_is_refused_with_what_is_allowed() {
    assert!(matches!(MonthEnd::new("UTC", Some(31), 0), Err(MonthEndError::Day { day: 31 })));
    assert!(matches!(MonthEnd::new("UTC", None, 24), Err(MonthEndError::Hour { .. })));
    let error = MonthEnd::new("Europe/Nowhere", None, 0).unwrap_err();
    assert!(error.to_string().contains("tzdata"), "{error}");
}

#[test]
fn a_reading_at_the_deadline_closes_the_month() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    let at = minutes("2026-11-30T20:00:00Z");
    visits.total(at - 61, 600 + at, 1500);
    let entries = visits.total(at, 661 + at, 1510);
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.mode.as_str(), entry.closes.as_deref()), ("month-end", Some("2026-11")));
    assert_eq!(entry.meters[0].sure, 510);
    assert!(visits.total(at + 1, 662 + at, 1511).is_empty(), "closed once");
}

#[test]
fn a_missed_deadline_is_estimated_between_two_named_readings() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    let at = minutes("2026-11-30T20:00:00Z");
    visits.total(at - 120, 480 + at, 1500);
    let entries = visits.total(at + 360, 960 + at, 1900);
    let modes: Vec<_> = entries.iter().map(|entry| entry.mode.as_str()).collect();
    // The reading before the deadline is written down now, since it is needed.
    assert_eq!(modes[modes.len() - 2..], ["routine", "estimate"]);
    let estimate = entries.last().unwrap();
    assert_eq!(estimate.at, time("2026-11-30T20:00:00Z"));
    assert_eq!((estimate.meters[0].value, estimate.meters[0].sure), (1600, 600));
    let (from, to) = estimate.between.unwrap();
    let value = |number| visits.entries.iter().find(|(n, _)| *n == number).unwrap().1.meters[0].value;
    assert_eq!((value(from), value(to)), (1500, 1900));
    assert_eq!(visits.position(), 900);
}

#[test]
fn several_missed_months_are_each_estimated() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    let at = minutes("2027-02-10T08:00:00Z");
    visits.total(at, 600 + at, 10_200);
    let closed: Vec<_> = visits.entries.iter().filter_map(|(_, entry)| entry.closes.clone()).collect();
    assert_eq!(closed, ["2026-11", "2026-12", "2027-01"]);
    let sure: Vec<_> = visits
        .entries
        .iter()
        .filter(|(_, entry)| entry.mode == "estimate")
        .map(|(_, entry)| entry.meters[0].sure)
        .collect();
    assert!(sure.is_sorted() && *sure.last().unwrap() < 9200, "{sure:?}");
}

#[test]
fn a_restart_of_the_appliance_closes_no_month_twice_and_forgets_none() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    let at = minutes("2026-11-30T20:00:00Z");
    visits.total(at, 600 + at, 1500);
    let kept = serde_json::to_string(&visits.line).unwrap();
    visits.line = serde_json::from_str(&kept).unwrap();
    assert!(visits.total(at + 5, 605 + at, 1501).iter().all(|entry| entry.closes.is_none()));
    let next = minutes("2026-12-31T20:03:00Z");
    let entries = visits.total(next, 600 + next, 2000);
    assert_eq!(entries.last().unwrap().closes.as_deref(), Some("2026-12"));
}

#[test]
fn on_the_last_day_every_change_is_stored() {
    let mut visits = Visits::new();
    let at = minutes("2026-11-30T20:00:00Z");
    visits.total(at - 600, 600, 1000);
    assert_eq!(visits.total(at - 540, 660, 1010)[0].mode, "last-day");
    assert!(visits.total(at - 480, 720, 1010).is_empty(), "nothing changed");
}

#[test]
fn a_rise_is_shared_out_evenly_and_never_beyond_the_later_reading() {
    let (from, to) = ((after(0), 100), (after(90), 190));
    assert_eq!(interpolate(from, to, after(30)), 130);
    assert_eq!(interpolate(from, to, after(-5)), 100);
    assert_eq!(interpolate(from, to, after(500)), 190);
    assert_eq!(interpolate(to, from, after(30)), 190);
}

//! When orders may begin, over the changes of clocks and calendars.

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Central European time, by its rule: not by what the machine of the test knows.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn only(windows: &[&str]) -> Conditions {
    Conditions { windows: windows.iter().map(|text| text.parse().unwrap()).collect(), ..Default::default() }
}

fn not_on(days: &[&str]) -> Conditions {
    Conditions { blackouts: days.iter().map(|text| text.parse().unwrap()).collect(), ..Default::default() }
}

fn opens_in_berlin(conditions: &Conditions, now: &str) -> Opening {
    opens(conditions, &[], time(now), time("2030-01-01T00:00:00Z"), &berlin())
}

fn at(text: &str) -> Opening {
    Opening::At(time(text))
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let nights = only(&["Mo-Fr 20:00-06:00"]);
    // Friday evening to Saturday morning is open, Saturday evening is not, nor is early Monday.
    assert_eq!(opens_in_berlin(&nights, "2026-11-20T21:00:00Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&nights, "2026-11-21T04:59:00Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&nights, "2026-11-21T05:00:00Z"), at("2026-11-23T19:00:00Z"));
    assert_eq!(opens_in_berlin(&nights, "2026-11-23T03:00:00Z"), at("2026-11-23T19:00:00Z"));
}

#[test]
fn the_first_of_several_windows_counts() {
    let either = only(&["Mo 20:00-22:00", "Sa,Su 00:00-00:00"]);
    assert_eq!(opens_in_berlin(&either, "2026-11-20T12:00:00Z"), at("2026-11-20T23:00:00Z"));
    assert_eq!(opens_in_berlin(&either, "2026-11-22T22:59:00Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&either, "2026-11-22T23:00:00Z"), at("2026-11-23T19:00:00Z"));
}

#[test]
fn blackouts_are_whole_days_of_the_site() {
    let holidays = not_on(&["2026-12-24..2027-01-06"]);
    assert_eq!(opens_in_berlin(&holidays, "2026-12-23T22:59:59Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&holidays, "2026-12-23T23:00:00Z"), at("2027-01-06T23:00:00Z"));
    let every_year = not_on(&["12-24..01-06"]);
    assert_eq!(opens_in_berlin(&every_year, "2028-12-30T10:00:00Z"), at("2029-01-06T23:00:00Z"));
    assert_eq!(opens_in_berlin(&every_year, "2028-01-03T10:00:00Z"), at("2028-01-06T23:00:00Z"));
    let month_end = not_on(&["month-end:2"]);
    assert_eq!(opens_in_berlin(&month_end, "2028-02-27T10:00:00Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&month_end, "2028-02-28T10:00:00Z"), at("2028-02-29T23:00:00Z"));
    let leap_day = not_on(&["02-20..02-29"]);
    assert_eq!(opens_in_berlin(&leap_day, "2027-02-25T10:00:00Z"), at("2027-02-28T23:00:00Z"));
}

#[test]
fn windows_and_blackouts_must_both_allow_it() {
    let conditions = Conditions { blackouts: not_on(&["2026-11-23"]).blackouts, ..only(&["Mo 20:00-04:00"]) };
    // The Monday is blacked out; the Tuesday morning of that window is not.
    assert_eq!(opens_in_berlin(&conditions, "2026-11-22T12:00:00Z"), at("2026-11-23T23:00:00Z"));
    let never = Conditions { blackouts: not_on(&["01-01..12-31"]).blackouts, ..Conditions::default() };
    assert_eq!(opens_in_berlin(&never, "2026-11-22T12:00:00Z"), Opening::Never);
}

#[test]
fn hours_of_the_package_and_of_the_site_are_met_together() {
    let hours = |text: &str| text.parse::<DailyWindow>().unwrap();
    let until = time("2026-12-22T00:00:00Z");
    let find = |daily: &[DailyWindow]| {
        opens(&only(&["Sa 00:00-00:00"]), daily, time("2026-11-22T12:00:00Z"), until, &TimeZone::UTC)
    };
    assert_eq!(find(&[hours("22:00-05:00"), hours("04:00-08:00")]), at("2026-11-28T04:00:00Z"));
    assert_eq!(find(&[hours("22:00-05:00"), hours("06:00-08:00")]), Opening::Never);
}

#[test]
fn a_search_ends_with_the_time_that_is_left() {
    let conditions = only(&["Mo 20:00-22:00"]);
    let find = |until| opens(&conditions, &[], time("2026-11-22T12:00:00Z"), time(until), &TimeZone::UTC);
    assert_eq!(find("2026-11-23T20:00:00Z"), at("2026-11-23T20:00:00Z"));
    assert_eq!(find("2026-11-23T19:59:59Z"), Opening::Never);
    let apart = opens(
        &only(&["Mo 20:00-22:00"]),
        &["03:00-04:00".parse().unwrap()],
        time("2026-11-22T12:00:00Z"),
        Timestamp::MAX,
        &TimeZone::UTC,
    );
    assert_eq!(apart, Opening::Never);
}

#[test]
fn a_window_that_the_clocks_skip_opens_a_day_later() {
    // On 2026-03-29 the clocks go from 02:00 to 03:00.
    let gap = only(&["02:10-02:50"]);
    assert_eq!(opens_in_berlin(&gap, "2026-03-28T12:00:00Z"), at("2026-03-30T00:10:00Z"));
    // One that begins in the gap and reaches beyond it is open after it.
    let half = only(&["02:30-05:00"]);
    assert_eq!(opens_in_berlin(&half, "2026-03-29T00:00:00Z"), at("2026-03-29T01:30:00Z"));
    assert_eq!(opens_in_berlin(&half, "2026-03-29T01:00:00Z"), Opening::Now);
}

#[test]
fn a_window_in_the_hour_that_comes_twice_is_open_both_times() {
    // On 2026-10-25 the clocks go from 03:00 back to 02:00.
    let twice = only(&["02:10-02:20"]);
    assert_eq!(opens_in_berlin(&twice, "2026-10-24T23:00:00Z"), at("2026-10-25T00:10:00Z"));
    assert_eq!(opens_in_berlin(&twice, "2026-10-25T00:15:00Z"), Opening::Now);
    assert_eq!(opens_in_berlin(&twice, "2026-10-25T00:30:00Z"), at("2026-10-26T01:10:00Z"));
    assert_eq!(opens_in_berlin(&twice, "2026-10-25T01:15:00Z"), Opening::Now);
    // In the second of the two hours, before the window.
    assert_eq!(opens_in_berlin(&twice, "2026-10-25T01:05:00Z"), at("2026-10-25T01:10:00Z"));
}

#[test]
fn a_start_is_a_moment_or_a_time_of_the_sites_own_clock() {
    let now = time("2026-11-22T10:00:00Z");
    let starts = |text: &str| {
        let start = Start::read(text, now).unwrap();
        assert_eq!(start.to_string().parse(), Ok(start), "{text}");
        start.moment(&berlin())
    };
    assert_eq!(starts("2026-12-01T20:00Z"), time("2026-12-01T20:00:00Z"));
    assert_eq!(starts("local 2026-12-01T20:00"), time("2026-12-01T19:00:00Z"));
    assert_eq!(starts("local 22:00"), time("2026-11-22T21:00:00Z"));
    assert_eq!(starts("local 10:30"), time("2026-11-23T09:30:00Z"));
    for text in ["", "tomorrow", "22:00", "local", "local 25:00", "local 2026-12-01"] {
        assert!(Start::read(text, now).is_err(), "{text}");
    }
    let conditions =
        Conditions { start: Some(Start::read("local 22:00", now).unwrap()), ..only(&["05:00-06:00"]) };
    assert_eq!(opens_in_berlin(&conditions, "2026-11-22T12:00:00Z"), at("2026-11-23T04:00:00Z"));
    // Whoever is later than the start need not wait for that hour again.
    assert_eq!(opens_in_berlin(&conditions, "2026-11-24T04:30:00Z"), Opening::Now);
}

#[test]
fn what_is_written_is_read_back_and_nothing_else_is_read() {
    for text in ["Mo-Fr 20:00-06:00", "Mo,We,Sa-Su 01:00-02:00", "22:00-05:00"] {
        assert_eq!(text.parse::<WeeklyWindow>().unwrap().to_string(), text);
    }
    assert_eq!("sa-mo 01:00-02:00".parse::<WeeklyWindow>().unwrap().to_string(), "Mo,Sa-Su 01:00-02:00");
    for text in ["", "Mo-Fr", "Mo-Xy 20:00-06:00", "Mo-Fr 20:00", "- 20:00-06:00", "Mo-Fr 20-06"] {
        assert!(text.parse::<WeeklyWindow>().is_err(), "{text}");
    }
    for text in ["2026-12-24", "2026-12-24..2027-01-06", "12-24..01-06", "12-24", "month-end", "month-end:3"]
    {
        assert_eq!(text.parse::<Blackout>().unwrap().to_string(), text);
    }
    for text in
        ["", "2027-01-06..2026-12-24", "13-01", "02-30", "12-24..2027-01-06", "month-end:0", "month-end3"]
    {
        assert!(text.parse::<Blackout>().is_err(), "{text}");
    }
}

#[test]
fn lists_without_end_are_not_judged() {
    let many = Conditions { windows: vec!["01:00-02:00".parse().unwrap(); 65], ..Conditions::default() };
    assert_eq!(many.check(), Err(ConditionsError::TooMany));
    assert_eq!(only(&["01:00-02:00"]).check(), Ok(()));
}

mod whatever_is_asked {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_open_and_nothing_before_it_is(
            second in 1_760_000_000i64..1_830_000_000,
            window in "(Mo|Tu-Th|Sa,Su|Fr-Mo) (0[0-9]|1[0-9]|2[0-3]):(00|30)-(0[0-9]|1[0-9]|2[0-3]):(00|45)",
            daily in "(0[0-9]|1[0-9]|2[0-3]):(00|30)-(0[0-9]|1[0-9]|2[0-3]):(00|45)",
        ) {
            let now = Timestamp::from_second(second).unwrap();
            let until = now + SignedDuration::from_hours(24 * 20);
            let (conditions, daily) = (only(&[&window]), daily.parse::<DailyWindow>().unwrap());
            let find = |now| opens(&conditions, &[daily], now, until, &berlin());
            match find(now) {
                Opening::Now => {}
                Opening::At(at) => {
                    prop_assert!(at > now && at <= until);
                    prop_assert_eq!(find(at), Opening::Now);
                    let middle = now + at.duration_since(now) / 2;
                    prop_assert_eq!(find(middle.max(now)), Opening::At(at));
                }
                Opening::Never => {
                    let hours = second % 480;
                    prop_assert_ne!(find(now + SignedDuration::from_hours(hours)), Opening::Now);
                }
            }
        }
    }
}

//! Falls and rises of one meter that are no ordinary ones.

use super::*;

#[test]
fn an_ordinary_day_is_sure_and_finds_nothing() {
    let mut visits = Visits::new();
    for hour in 0..24 {
        visits.total(hour * 60, 6000 + hour * 60, 1000 + hour.unsigned_abs() * 30);
    }
    assert_eq!((visits.position(), visits.findings()), (23 * 30, vec![]));
}

/// The series that other tools bill with 38 pages: the sum of its rises.
fn forgetful(visits: &mut Visits, from: u64) {
    let story = [(600, 0), (660, 10), (5, 1), (65, 11), (5, 2), (65, 20)];
    for (minutes, (uptime, count)) in (0..).step_by(60).zip(story) {
        visits.total(minutes, uptime, from + count);
    }
}

#[test]
fn pages_that_were_forgotten_at_a_power_off_are_not_counted_twice() {
    let mut visits = Visits::new();
    forgetful(&mut visits, 10_100);
    assert_eq!(visits.position(), 20);
    assert_eq!(visits.findings(), [("wobble".to_owned(), false), ("wobble".to_owned(), false)]);
}

#[test]
fn of_a_machine_that_has_hardly_counted_nobody_knows_whether_it_forgot_or_was_reset() {
    let mut visits = Visits::new();
    forgetful(&mut visits, 100);
    assert_eq!(visits.position(), 20);
    assert_eq!(visits.findings(), [("wobble".to_owned(), true), ("wobble".to_owned(), true)]);
}

#[test]
fn the_count_since_power_on_tells_a_wobble_from_a_reset() {
    let with = |all, since| {
        vec![total(LIFE, all), MeterValue { name: "since-power-on".into(), value: since, ..total(LIFE, 0) }]
    };
    let mut visits = Visits::new();
    visits.visit(0, 6000, with(300, 40));
    // It had 292 when it was switched on.
    visits.visit(60, 30, with(310, 18));
    visits.found(Class::Wobble, false);
    assert_eq!(visits.position(), 10);
    let mut visits = Visits::new();
    visits.visit(0, 6000, with(300, 40));
    visits.visit(60, 30, with(310, 310));
    visits.found(Class::Reset, true);
    assert_eq!(visits.position(), 0);
}

#[test]
fn a_finding_names_the_two_stored_readings_between_which_it_lies() {
    let mut visits = Visits::new();
    visits.total(0, 600, 11_000);
    visits.total(60, 660, 11_008);
    visits.total(120, 10, 11_001);
    let modes: Vec<_> = visits.entries.iter().map(|(_, entry)| entry.mode.as_str()).collect();
    assert_eq!(modes, ["first", "before", "flagged"]);
    let finding = &visits.entries[2].1.findings[0];
    assert_eq!((finding.from.entry, finding.from.value), (2, 11_008));
    assert_eq!((finding.to.entry, finding.to.value), (3, 11_001));
    assert_eq!(visits.entries[1].1.meters[0].value, 11_008);
    assert_eq!(finding.to.source, LIFE);
}

#[test]
fn a_fall_of_a_few_pages_without_a_restart_is_no_wobble() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    visits.total(60, 660, 995);
    visits.found(Class::Invalid, true);
    assert_eq!(visits.position(), 0);
}

#[test]
fn a_meter_of_seven_digits_and_one_of_32_bits_go_on_behind_their_end() {
    for (before, after, counted) in [(9_999_990, 12, 22), (u64::from(u32::MAX) - 3, 6, 10)] {
        let mut visits = Visits::new();
        visits.total(0, 600, before);
        visits.total(60, 660, after);
        visits.found(Class::Wrap, false);
        visits.total(120, 720, after + 5);
        assert_eq!(visits.position(), counted + 5);
    }
}

#[test]
fn what_may_be_a_wrap_or_a_reset_over_a_restart_waits_for_a_person() {
    let mut visits = Visits::new();
    visits.total(0, 600, 9_999_990);
    visits.total(60, 5, 12);
    visits.found(Class::Wrap, true);
    assert_eq!(visits.position(), 0);
    assert_eq!(visits.entries.last().unwrap().1.findings[0].proposed, Some(22));
}

#[test]
fn a_reset_counts_nothing_by_itself_and_goes_on_from_there() {
    let mut visits = Visits::new();
    visits.total(0, 600, 81_000);
    visits.total(60, 20, 14);
    visits.found(Class::Reset, true);
    assert_eq!(visits.position(), 0);
    visits.total(120, 80, 44);
    assert_eq!(visits.position(), 30);
}

#[test]
fn a_reset_that_was_overtaken_within_one_gap_shows_in_the_count_since_power_on() {
    let mut visits = Visits::new();
    let with = |total_value, since| {
        let since = MeterValue { name: "since-power-on".into(), value: since, ..total(LIFE, 0) };
        vec![total(LIFE, total_value), since]
    };
    visits.visit(0, 6000, with(1000, 700));
    visits.visit(3 * 1440, 2 * 1440, with(1500, 1500));
    visits.found(Class::Reset, true);
    assert_eq!(visits.position(), 0);
}

#[test]
fn a_machine_that_tells_its_life_count_as_count_since_power_on_is_not_suspected() {
    let mut visits = Visits::new();
    let with = |value| {
        let since = MeterValue { name: "since-power-on".into(), ..total(LIFE, value) };
        vec![total(LIFE, value), since]
    };
    visits.visit(0, 6000, with(91_000));
    visits.visit(1440, 600, with(91_200));
    assert_eq!((visits.position(), visits.findings()), (200, vec![]));
}

#[test]
fn what_rises_faster_than_any_machine_prints_does_not_count() {
    let mut visits = Visits::new();
    visits.total(0, 600, 50_000);
    visits.total(60, 660, 250_000);
    visits.found(Class::TooFast, true);
    assert_eq!(visits.position(), 0);
}

#[test]
fn one_reading_that_cannot_be_leaves_no_trace_in_the_count() {
    for strange in [7, 5_000_000] {
        let mut visits = Visits::new();
        visits.total(0, 600, 100_000);
        visits.total(60, 660, strange);
        visits.total(120, 720, 100_030);
        let findings = visits.findings();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].1);
        assert_eq!(findings[1], ("returned".to_owned(), false));
        // It names the reading that it goes on from, so that what was found in between is settled.
        let returned = &visits.entries.last().unwrap().1.findings[0];
        assert_eq!((returned.from.entry, returned.from.value, returned.to.entry), (1, 100_000, 3));
        assert_eq!(visits.position(), 30);
    }
}

#[test]
fn a_machine_without_identity_is_not_believed_over_a_restart() {
    let mut visits = Visits::new();
    visits.identity = Identity { model: Some("One".into()), ..Identity::default() };
    visits.total(0, 600, 1000);
    visits.total(60, 660, 1010);
    assert_eq!(visits.position(), 10);
    visits.total(120, 5, 1020);
    visits.found(Class::Unproven, true);
    assert_eq!(visits.position(), 10);
}

#[test]
fn a_clock_that_was_set_back_or_doubted_makes_the_day_unsure_not_the_count() {
    let mut visits = Visits::new();
    visits.total(600, 600, 1000);
    visits.clock_sure = false;
    visits.total(60, 660, 1010);
    visits.found(Class::Clock, false);
    assert_eq!(visits.position(), 10);
    visits.clock_sure = true;
    visits.total(120, 720, 1010);
    // A machine that sleeps stops its clock: no reason to doubt one that is proven.
    visits.total(1440, 1500, 1020);
    assert_eq!((visits.position(), visits.findings().len()), (20, 1));
}

#[test]
fn the_same_reading_again_and_an_older_one_change_nothing() {
    let mut visits = Visits::new();
    visits.total(0, 600, 1000);
    visits.total(60, 660, 1010);
    visits.total(60, 660, 1010);
    visits.total(30, 630, 1005);
    visits.total(120, 720, 1030);
    assert_eq!((visits.position(), visits.findings()), (30, vec![]));
}

#[test]
fn an_uptime_that_begins_anew_behind_its_last_bit_is_no_restart() {
    let mut visits = Visits::new();
    visits.total(0, 42_949_672 / 60 - 20, 1000);
    visits.total(60, 40, 995);
    visits.found(Class::Invalid, true);
}

#[test]
fn while_one_meter_is_reset_the_others_are_doubted() {
    let mut visits = Visits::new();
    let both = |all, colour| {
        let colour = MeterValue { name: "color".into(), ..total("1.3.6.1.4.1.1.2", colour) };
        vec![total(LIFE, all), colour]
    };
    visits.visit(0, 600, both(40_000, 3_000));
    visits.visit(1440, 30, both(30, 3_012));
    let findings = visits.findings();
    assert_eq!(findings, [("reset".to_owned(), true), ("doubted".to_owned(), true)]);
    assert_eq!(visits.line.position("color"), Some(0));
}

#[test]
fn a_reading_from_before_a_restart_that_comes_late_changes_nothing_even_while_the_clock_is_doubted() {
    let mut visits = Visits::new();
    visits.clock_sure = false;
    visits.total(0, 6000, 91_000);
    visits.total(60, 6060, 91_010);
    visits.total(180, 30, 91_030);
    visits.total(120, 6120, 91_020);
    visits.total(240, 90, 91_040);
    assert_eq!((visits.position(), visits.findings()), (40, vec![]));
}

#[test]
fn a_clock_that_was_set_back_for_good_stops_no_counting() {
    let mut visits = Visits::new();
    visits.total(6000, 600, 91_000);
    for hour in 1..12 {
        visits.total(hour * 60, 600 + hour * 60, 91_000 + hour.unsigned_abs() * 10);
    }
    assert_eq!(visits.position(), 110);
    visits.found(Class::Clock, false);
}

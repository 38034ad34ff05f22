//! Other objects, other boards, other machines.

use super::*;

#[test]
fn a_reading_from_another_object_counts_nothing_and_the_first_one_goes_on() {
    // The series of the anchors: a plain sum of the rises gives 17,096 for 5 pages.
    let mut visits = Visits::new();
    let flips = [(LIFE, 424_405), (PRIVATE, 432_951), (LIFE, 424_408), (PRIVATE, 432_955), (LIFE, 424_410)];
    for (hour, (source, value)) in flips.into_iter().enumerate() {
        let minutes = i64::try_from(hour).unwrap() * 60;
        visits.visit(minutes, 600 + minutes, vec![total(source, value)]);
    }
    assert_eq!(visits.position(), 5);
    visits.found(Class::Source, false);
}

#[test]
fn an_object_that_stays_away_is_replaced_and_somebody_is_asked() {
    let mut visits = Visits::new();
    visits.visit(0, 600, vec![total(LIFE, 1000)]);
    for hour in 1..=30 {
        visits.visit(hour * 60, 600 + hour * 60, vec![total(PRIVATE, 5000 + hour.unsigned_abs())]);
    }
    assert_eq!(visits.findings(), [("source".to_owned(), false), ("source".to_owned(), true)]);
    assert_eq!(visits.position(), 29, "counted since the first reading from the other object");
    // The first object does not take over again.
    visits.visit(32 * 60, 600 + 32 * 60, vec![total(LIFE, 1100)]);
    assert_eq!(visits.position(), 29);
}

#[test]
fn an_object_that_was_read_together_with_the_first_one_takes_over_without_a_gap() {
    let mut visits = Visits::new();
    visits.visit(0, 600, vec![total(LIFE, 1000), total(PRIVATE, 5000)]);
    visits.visit(60, 660, vec![total(LIFE, 1010), total(PRIVATE, 5010)]);
    for minutes in [1500, 1530, 1560] {
        visits.visit(minutes, 600 + minutes, vec![total(PRIVATE, 5025)]);
    }
    visits.found(Class::Source, false);
    assert_eq!(visits.position(), 25);
}

#[test]
fn another_board_under_the_same_serial_number_begins_an_epoch_and_is_reviewed() {
    let mut visits = Visits::new();
    visits.total(0, 600, 80_000);
    visits.identity.mac = Some("00:11:22:aa:bb:cc".into());
    let entries = visits.total(60, 10, 80_012);
    visits.found(Class::Board, true);
    assert_eq!(entries.last().unwrap().epoch.number, 2);
    assert_eq!(entries.last().unwrap().findings[0].proposed, Some(12));
    assert_eq!(visits.position(), 0);
    visits.total(120, 70, 80_020);
    assert_eq!(visits.position(), 8);
}

#[test]
fn another_hardware_address_of_a_machine_that_ran_on_is_only_noted() {
    let mut visits = Visits::new();
    visits.total(0, 600, 80_000);
    visits.identity.mac = Some("00:11:22:aa:bb:cc".into());
    visits.total(60, 660, 80_012);
    visits.found(Class::Board, false);
    assert_eq!(visits.position(), 12);
}

#[test]
fn another_serial_number_is_another_machine_whatever_its_count() {
    for value in [80_010, 80_000, 12, 280_000] {
        let mut visits = Visits::new();
        visits.total(0, 600, 80_000);
        visits.identity = Identity { serial: Some("B2".into()), ..identity() };
        visits.total(60, 10, value);
        visits.found(Class::Swap, true);
        assert_eq!(visits.position(), 0);
    }
}

#[test]
fn a_machine_that_is_put_in_the_place_of_another_says_so_in_its_first_entry() {
    let mut visits = Visits::new();
    visits.total(0, 600, 80_000);
    visits.total(60, 660, 80_040);
    let settled = visits.line.settle(visits.next).unwrap();
    assert_eq!(settled.meters[0].value, 80_040);
    visits.next += 1;
    visits.identity = Identity { serial: Some("B2".into()), mac: None, model: Some("One".into()) };
    let mut observation = visits.observation(120, 5, vec![total(LIFE, 280_000)]);
    observation.device.serial = "B2".into();
    let mut line = visits.line.succeeded_by(&observation);
    let entries = line.take(&observation, visits.next, &visits.rules, &Closing::default());
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    let finding = &entry.findings[0];
    assert_eq!((finding.class.as_str(), finding.review), ("swap", true));
    assert_eq!((finding.from.entry, finding.from.value, finding.to.value), (2, 80_040, 280_000));
    assert_eq!((line.device().serial.as_str(), line.position("total")), ("B2", Some(0)));
}

#[test]
fn a_machine_that_names_itself_later_goes_on_in_its_line() {
    let mut visits = Visits::new();
    visits.identity = Identity::default();
    visits.total(0, 600, 1000);
    visits.identity = identity();
    let mut observation = visits.observation(60, 660, vec![total(LIFE, 1010)]);
    observation.device.serial = "named".into();
    let mut line = visits.line.succeeded_by(&observation);
    let entries = line.take(&observation, visits.next, &visits.rules, &Closing::default());
    assert_eq!(entries.last().unwrap().findings[0].class, "named");
    assert_eq!((line.device().serial.as_str(), line.position("total")), ("named", Some(10)));
}

#[test]
fn a_count_that_the_first_reading_of_a_board_did_not_tell_is_reviewed_when_it_comes_back() {
    let mut visits = Visits::new();
    let copies = |value| MeterValue { name: "copy".into(), ..total("1.3.6.1.4.1.1.2", value) };
    visits.visit(0, 600, vec![total(LIFE, 80_000), copies(500)]);
    visits.identity.mac = Some("00:11:22:aa:bb:cc".into());
    visits.visit(60, 10, vec![total(LIFE, 80_000)]);
    visits.visit(120, 70, vec![total(LIFE, 80_000), copies(620)]);
    assert_eq!(visits.line.position("copy"), Some(0));
    assert!(visits.findings().contains(&("swap".to_owned(), true)), "{:?}", visits.findings());
}

#[test]
fn an_object_that_was_read_in_turn_with_the_first_one_counts_nothing_twice_when_it_takes_over() {
    let mut visits = Visits::new();
    for hour in 0i64..10 {
        let count = 1000 + hour.unsigned_abs() * 10;
        let value = if hour % 2 == 0 { total(LIFE, count) } else { total(PRIVATE, count + 4000) };
        visits.visit(hour * 60, 600 + hour * 60, vec![value]);
    }
    assert_eq!(visits.position(), 80);
    for hour in 10i64..40 {
        let count = 5000 + hour.unsigned_abs() * 10;
        visits.visit(hour * 60, 600 + hour * 60, vec![total(PRIVATE, count)]);
    }
    assert_eq!(
        visits.line.position("total"),
        Some(80 + 300),
        "what lies between the two first readings nobody knows"
    );
}

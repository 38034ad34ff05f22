mod noise;
mod ways;

use super::{
    Attended, Condition, DeviceFaults, FaultChange, FaultClass, FaultKey, FaultRules, Observation, Severity,
    alert_name, classify,
};
use crate::device::{
    Alert, AlertGroup, AlertSeverity, AlertTraining, DetectedErrors, ErrorBit, Part, PrinterStatus, Reading,
    Value, Walk, interpret,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

const JAM: i32 = 8;
const COVER_OPEN: i32 = 3;

fn row(index: u32, code: i32, group: AlertGroup) -> Alert {
    Alert {
        device_index: 1,
        index,
        severity: Some(AlertSeverity::Critical),
        training: Some(AlertTraining::Untrained),
        group: Some(group),
        group_index: Some(1),
        location: Some(0),
        code: Some(code),
        description: Some("Paper jam in tray 2".to_owned()),
        time_ticks: Some(2675),
    }
}

fn showing(alerts: Vec<Alert>) -> Reading {
    Reading { alerts, ..Reading::default() }
}

fn with_bits(bits: &[ErrorBit]) -> Reading {
    let errors: DetectedErrors = bits.iter().copied().collect();
    let status = PrinterStatus { device_index: 1, device: None, printer: None, errors: Some(errors) };
    Reading { status: vec![status], ..Reading::default() }
}

fn incomplete(reading: Reading, part: Part) -> Reading {
    let mut walk = Walk::default();
    walk.fail(part, "timed out");
    Reading { incomplete: interpret(&walk, &crate::profile::Profiles::built_in()).incomplete, ..reading }
}

/// The default rules in a place of its own time.
fn rules() -> FaultRules {
    let attended = Attended { zone: TimeZone::UTC, ..Attended::default() };
    FaultRules { attended, ..FaultRules::default() }
}

/// A device under test, polled once a minute.
struct Polled {
    faults: DeviceFaults,
    now: Timestamp,
    rules: FaultRules,
}

impl Polled {
    fn new() -> Self {
        Self { faults: DeviceFaults::new("printer-1"), now: Timestamp::UNIX_EPOCH, rules: rules() }
    }

    fn see(&mut self, observation: Observation<'_>) -> Vec<String> {
        self.now += SignedDuration::from_mins(1);
        let changes = self.faults.observe(observation, self.now, &self.rules);
        changes
            .iter()
            .map(|change| match change {
                FaultChange::Started(fault) => format!("+{}", fault.key.condition.code_name()),
                FaultChange::Cleared { fault, .. } => format!("-{}", fault.key.condition.code_name()),
            })
            .collect()
    }

    fn answers(&mut self, reading: &Reading) -> Vec<String> {
        self.see(Observation::Answered(reading))
    }

    fn misses(&mut self) -> Vec<String> {
        self.see(Observation::Missed)
    }
}

#[test]
fn a_jam_is_reported_once_when_it_starts_and_once_when_it_is_over() {
    let mut device = Polled::new();
    let jammed = showing(vec![row(17, JAM, AlertGroup::MediaPath)]);
    assert_eq!(device.answers(&jammed), ["+jam"]);
    assert!(device.answers(&jammed).is_empty());
    assert!(device.answers(&jammed).is_empty());
    assert_eq!(device.answers(&showing(vec![])), ["-jam"]);
    assert!(device.answers(&showing(vec![])).is_empty());
    assert_eq!(device.answers(&jammed), ["+jam"]);
}

#[test]
fn a_fault_carries_what_the_report_needs() {
    let mut faults = DeviceFaults::new("printer-1");
    let reading = showing(vec![row(17, JAM, AlertGroup::MediaPath)]);
    let now = Timestamp::UNIX_EPOCH;
    let changes = faults.observe(Observation::Answered(&reading), now, &rules());
    let [FaultChange::Started(fault)] = changes.as_slice() else { panic!("one start expected: {changes:?}") };
    assert_eq!(fault.class, FaultClass::UserClearable);
    assert_eq!(fault.severity, Severity::Critical);
    assert_eq!(fault.description.as_deref(), Some("Paper jam in tray 2"));
    assert_eq!(fault.since, now);
    assert_eq!(fault.key.condition.group_name(), "media-path");
    let condition = Condition::Alert { code: JAM, group: 13, group_index: 1, location: 0 };
    assert_eq!(fault.key, FaultKey { device: "printer-1".to_owned(), condition });
}

#[test]
fn the_row_number_starting_again_after_a_restart_is_the_same_fault() {
    let mut device = Polled::new();
    assert_eq!(device.answers(&showing(vec![row(4711, COVER_OPEN, AlertGroup::Cover)])), ["+cover-open"]);
    assert!(device.answers(&showing(vec![row(1, COVER_OPEN, AlertGroup::Cover)])).is_empty());
}

#[test]
fn two_rows_for_one_condition_are_one_fault_and_two_places_are_two() {
    let mut device = Polled::new();
    let same = showing(vec![row(23, JAM, AlertGroup::MediaPath), row(24, JAM, AlertGroup::MediaPath)]);
    assert_eq!(device.answers(&same), ["+jam"]);
    let elsewhere = Alert { group_index: Some(2), ..row(25, JAM, AlertGroup::MediaPath) };
    let both = showing(vec![row(23, JAM, AlertGroup::MediaPath), elsewhere]);
    assert_eq!(device.answers(&both), ["+jam"]);
    assert_eq!(device.answers(&showing(vec![])), ["-jam", "-jam"]);
}

#[test]
fn a_silent_device_keeps_its_faults_and_is_itself_a_fault_after_some_missed_polls() {
    let mut device = Polled::new();
    device.rules.missed_polls = 3;
    let jammed = showing(vec![row(1, JAM, AlertGroup::MediaPath)]);
    assert_eq!(device.answers(&jammed), ["+jam"]);
    assert!(device.misses().is_empty());
    assert!(device.misses().is_empty());
    assert_eq!(device.misses(), ["+not-answering"]);
    assert!(device.misses().is_empty());
    assert_eq!(device.faults.open().count(), 2);
    assert_eq!(device.answers(&jammed), ["-not-answering"]);
    assert!(device.misses().is_empty(), "the count of missed polls starts again");
    assert_eq!(device.answers(&showing(vec![])), ["-jam"]);
}

#[test]
fn a_part_that_was_not_read_to_its_end_clears_nothing() {
    let mut device = Polled::new();
    assert_eq!(device.answers(&showing(vec![row(1, JAM, AlertGroup::MediaPath)])), ["+jam"]);
    assert!(device.answers(&incomplete(showing(vec![]), Part::Alerts)).is_empty());
    assert_eq!(
        device.answers(&incomplete(showing(vec![row(2, COVER_OPEN, AlertGroup::Cover)]), Part::Alerts)),
        ["+cover-open"],
        "what was read still counts"
    );
    assert_eq!(device.answers(&incomplete(showing(vec![]), Part::Supplies)), ["-jam", "-cover-open"]);
}

#[test]
fn error_bits_count_for_a_device_without_alert_rows() {
    let mut device = Polled::new();
    assert_eq!(
        device.answers(&with_bits(&[ErrorBit::Jammed, ErrorBit::LowToner])),
        ["+low-toner", "+jammed"]
    );
    assert_eq!(device.answers(&with_bits(&[ErrorBit::LowToner])), ["-jammed"]);
    assert!(device.answers(&incomplete(showing(vec![]), Part::Status)).is_empty());
    assert_eq!(device.answers(&with_bits(&[])), ["-low-toner"]);
    assert!(device.answers(&with_bits(&[ErrorBit::Offline])).is_empty(), "offline is a state, not a fault");
}

#[test]
fn a_device_with_alert_rows_is_not_reported_a_second_time_by_its_bits() {
    let mut device = Polled::new();
    let both = Reading {
        status: with_bits(&[ErrorBit::Jammed]).status,
        ..showing(vec![row(1, JAM, AlertGroup::MediaPath)])
    };
    assert_eq!(device.answers(&both), ["+jam"]);
    assert_eq!(
        device.answers(&with_bits(&[ErrorBit::Jammed])),
        ["-jam"],
        "the row is gone; the bit lags behind"
    );
}

#[test]
fn rows_that_say_nothing_is_wrong_are_no_faults() {
    let ready = Alert {
        severity: Some(AlertSeverity::Other),
        training: Some(AlertTraining::Other),
        ..row(6, 1, AlertGroup::Other)
    };
    let sleep = Alert {
        severity: Some(AlertSeverity::Unlisted(0)),
        training: Some(AlertTraining::Unlisted(0)),
        ..row(1, 0, AlertGroup::Unlisted(0))
    };
    let power_up = row(2, 503, AlertGroup::GeneralPrinter);
    let mut device = Polled::new();
    assert!(device.answers(&showing(vec![ready, sleep, power_up])).is_empty());
}

#[test]
fn the_class_follows_code_group_and_training() {
    use AlertGroup::{FinDevice, Input, Marker, MarkerSupplies, MediaPath, Other};
    use AlertTraining::{FieldService, Management, Untrained};
    use FaultClass::{Consumable, PartReplacement, ServiceRequired, UserClearable};
    let class = |code, group, training| classify(&Alert { training: Some(training), ..row(1, code, group) });
    for (code, group, training, expected) in [
        (JAM, MediaPath, Untrained, Some(UserClearable)),
        (JAM, MediaPath, FieldService, Some(UserClearable)),
        (808, Input, Untrained, Some(UserClearable)),
        (13, Input, Untrained, Some(UserClearable)),
        (13, MarkerSupplies, Untrained, Some(Consumable)),
        (1104, MarkerSupplies, Untrained, Some(Consumable)),
        (1111, Marker, Untrained, Some(PartReplacement)),
        (30, Marker, Untrained, Some(ServiceRequired)),
        (1001, Marker, Untrained, Some(UserClearable)),
        (1001, Marker, FieldService, Some(ServiceRequired)),
        (30213, FinDevice, Untrained, Some(Consumable)),
        (30813, FinDevice, Untrained, Some(UserClearable)),
        (31608, FinDevice, FieldService, Some(UserClearable)),
        (30230, FinDevice, Untrained, Some(ServiceRequired)),
        (30204, FinDevice, Untrained, None),
        (503, Other, Untrained, None),
        (70_001, Other, FieldService, Some(ServiceRequired)),
        (70_001, Other, Untrained, Some(UserClearable)),
        (2, Other, Management, None),
        (i32::MIN, Other, Management, None),
    ] {
        assert_eq!(class(code, group, training), expected, "code {code}");
    }
}

#[test]
fn codes_have_names() {
    assert_eq!(alert_name(8), "jam");
    assert_eq!(alert_name(1104), "marker-toner-almost-empty");
    assert_eq!(alert_name(30213), "stapler-subunit-empty");
    assert_eq!(alert_name(70_001), "alert-70001");
}

#[test]
fn a_device_that_invents_faults_without_end_is_bounded() {
    let mut device = Polled::new();
    for round in 0..10 {
        let rows =
            (0..200).map(|at| Alert { location: Some(round * 1000 + at), ..row(1, JAM, AlertGroup::Other) });
        device.answers(&incomplete(showing(rows.collect()), Part::Alerts));
    }
    assert_eq!(device.faults.open().count(), super::OPEN_MAX);
}

#[test]
fn remembered_faults_survive_a_restart_of_the_program() {
    let mut device = Polled::new();
    let jammed = showing(vec![row(1, JAM, AlertGroup::MediaPath)]);
    assert_eq!(device.answers(&jammed), ["+jam"]);
    device.misses();
    let json = serde_json::to_string(&device.faults).unwrap();
    device.faults = serde_json::from_str(&json).unwrap();
    assert_eq!(device.faults.missed_polls(), 1);
    assert!(device.answers(&jammed).is_empty());
}

#[test]
fn recorded_alert_rows_of_a_kyocera_give_one_fault() {
    let oid = |column: u32, index: u32| {
        crate::device::Oid::new(&[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, column, 1, index])
    };
    let mut walk = Walk::default();
    for (index, cells) in
        [(2, [4, 6, 5, 1, 0, 503]), (23, [5, 3, 10, 1, 0, 1001]), (24, [5, 3, 10, 1, 0, 1001])]
    {
        for (column, cell) in (2..).zip(cells) {
            walk.insert(oid(column, index), Value::Integer(cell));
        }
    }
    let mut device = Polled::new();
    assert_eq!(
        device.answers(&interpret(&walk, &crate::profile::Profiles::built_in())),
        ["+marker-fuser-under-temperature"]
    );
}

/// One poll: silence, or rows (from a small pool, so that they repeat), bits, and which parts failed.
#[derive(Debug, Clone)]
enum Poll {
    Missed,
    Answered { rows: Vec<(u32, i32, i32)>, bits: [u8; 2], alerts_failed: bool, status_failed: bool },
}

fn polls() -> impl Strategy<Value = Vec<Poll>> {
    let code = prop::sample::select(vec![0, 1, JAM, COVER_OPEN, 503, 1104, 30213, 70_001]);
    let answered = (
        prop::collection::vec((1..9u32, code, 1..3i32), 0..5),
        any::<[u8; 2]>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(rows, bits, alerts_failed, status_failed)| Poll::Answered {
            rows,
            bits,
            alerts_failed,
            status_failed,
        });
    prop::collection::vec(prop_oneof![1 => Just(Poll::Missed), 3 => answered], 0..40)
}

fn reading_of(poll: &Poll) -> Option<Reading> {
    let Poll::Answered { rows, bits, alerts_failed, status_failed } = poll else { return None };
    let alerts = rows.iter().map(|&(index, code, place)| Alert {
        group_index: Some(place),
        ..row(index, code, AlertGroup::Other)
    });
    let mut reading = showing(alerts.collect());
    reading.status = with_bits(&DetectedErrors::from_octets(bits).iter().collect::<Vec<_>>()).status;
    let mut walk = Walk::default();
    if *alerts_failed {
        walk.fail(Part::Alerts, "timed out");
    }
    if *status_failed {
        walk.fail(Part::Status, "timed out");
    }
    reading.incomplete = interpret(&walk, &crate::profile::Profiles::built_in()).incomplete;
    Some(reading)
}

proptest! {
    #[test]
    fn any_sequence_of_polls_gives_start_and_clear_in_turn_for_every_key(polls in polls(), missed_polls in 0..4u32) {
        let rules = FaultRules { missed_polls, ..rules() };
        let mut faults = DeviceFaults::new("printer-1");
        let mut open = BTreeSet::new();
        for (at, poll) in polls.iter().enumerate() {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(at as i64);
            let reading = reading_of(poll);
            let observation = reading.as_ref().map_or(Observation::Missed, Observation::Answered);
            for change in faults.observe(observation, now, &rules) {
                match change {
                    FaultChange::Started(fault) => prop_assert!(open.insert(fault.key.clone()), "{:?} twice", fault.key),
                    FaultChange::Cleared { fault, at } => {
                        prop_assert!(at >= fault.since);
                        prop_assert!(open.remove(&fault.key), "{:?} was not open", fault.key);
                    }
                }
            }
            let remembered: BTreeSet<_> = faults.open().map(|fault| fault.key.clone()).collect();
            prop_assert_eq!(&remembered, &open);
        }
    }

    #[test]
    fn an_observation_seen_twice_changes_nothing_the_second_time(polls in polls()) {
        let mut faults = DeviceFaults::new("printer-1");
        for reading in polls.iter().filter_map(reading_of) {
            let _ = faults.observe(Observation::Answered(&reading), Timestamp::UNIX_EPOCH, &rules());
            let again = faults.observe(Observation::Answered(&reading), Timestamp::UNIX_EPOCH, &rules());
            prop_assert!(again.is_empty(), "{:?}", again);
        }
    }

    #[test]
    fn any_code_is_classified_without_a_panic(code: i32) {
        let _ = classify(&row(1, code, AlertGroup::Other));
        prop_assert!(!alert_name(code).is_empty());
    }
}

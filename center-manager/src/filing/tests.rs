use super::*;
use crate::sample::{cleared, counters, jam, now, printer};
use mailfmt::message::report::RefusedReport;

#[test]
fn a_counter_report_gives_one_change_per_device_also_for_those_without_a_reading() {
    let report = counters(4711, now());
    let changes = changes(&report);
    let [Change::Reading { device, counters, .. }, Change::NotCollected { device: silent, address }] =
        changes.as_slice()
    else {
        panic!("{changes:?}")
    };
    assert_eq!((device, counters[0].value), (&printer(), 4711));
    assert_eq!((silent, *address), (&unidentified("10.0.0.6"), "10.0.0.6"));
}

#[test]
fn faults_open_and_clear() {
    assert!(matches!(changes(&jam("e1")).as_slice(), [Change::FaultOpened(_)]));
    assert!(matches!(changes(&cleared("e1")).as_slice(), [Change::FaultCleared(_)]));
}

#[test]
fn what_is_not_understood_changes_nothing() {
    let unknown = Report::Unknown { kind: "weather".to_owned(), body: serde_json::Value::Null };
    assert_eq!(changes(&unknown), []);
}

#[test]
fn a_command_that_was_not_carried_out_may_end_what_waits_for_it() {
    let refused = Report::Refused(RefusedReport { kind: "ping".to_owned(), reason: String::new() });
    assert_eq!(changes(&refused), [Change::NotDone]);
}

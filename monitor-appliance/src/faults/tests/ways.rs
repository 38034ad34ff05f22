//! What is heard where several ways tell of faults, and what goes before what.

use super::*;
use crate::device::{Oid, ServiceCode, Source};

fn service_code(code: &str) -> ServiceCode {
    ServiceCode { code: code.to_owned(), source: Source::from(Oid::new(&[1, 3, 6, 1, 4, 1, 367, 1])) }
}

fn by_ipp(reasons: &[&str]) -> Reading {
    let mut reading = Reading {
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        ..Reading::default()
    };
    reading.ways.insert("uptime".to_owned(), Source::from(Oid::new(&[1, 3])));
    reading
}

fn class_of_last(device: &Polled) -> FaultClass {
    device.faults.open().last().expect("a fault is open").class
}

#[test]
fn the_makers_service_code_makes_any_row_a_technicians_matter() {
    let mut device = Polled::new();
    let text =
        Alert { description: Some("Call service SC542".to_owned()), ..row(1, JAM, AlertGroup::MediaPath) };
    let reading = Reading { service_codes: vec![service_code("SC542")], ..showing(vec![text]) };
    assert_eq!(device.answers(&reading), ["+jam"], "one fault, though it is told twice");
    assert_eq!(class_of_last(&device), FaultClass::ServiceRequired);
}

#[test]
fn a_service_code_of_the_panel_is_a_fault_until_the_panel_is_read_without_it() {
    let mut device = Polled::new();
    let panel = vec!["Ready".to_owned()];
    let shown =
        Reading { service_codes: vec![service_code("C6000")], console: panel.clone(), ..Reading::default() };
    assert_eq!(device.answers(&shown), ["+C6000"]);
    assert_eq!(class_of_last(&device), FaultClass::ServiceRequired);
    assert!(device.answers(&showing(vec![])).is_empty(), "a look for faults does not read the panel");
    let gone = Reading { console: panel, ..Reading::default() };
    assert!(device.answers(&incomplete(gone.clone(), Part::Console)).is_empty());
    assert_eq!(device.answers(&gone), ["-C6000"]);
}

#[test]
fn a_device_that_is_read_by_ipp_tells_its_faults_as_state_reasons() {
    let mut device = Polled::new();
    assert_eq!(
        device.answers(&by_ipp(&["media-jam-error", "toner-low-report", "none"])),
        ["+media-jam", "+toner-low"]
    );
    assert!(
        device.answers(&by_ipp(&["media-jam-warning", "toner-low-error"])).is_empty(),
        "only more or less grave"
    );
    assert!(device.answers(&showing(vec![])).is_empty(), "nothing was asked by IPP");
    assert_eq!(device.answers(&by_ipp(&[])), ["-media-jam", "-toner-low"]);
}

#[test]
fn what_snmp_tells_is_not_told_again_by_ipp_or_pjl() {
    let mut device = Polled::new();
    let both = Reading {
        status: with_bits(&[ErrorBit::Jammed]).status,
        pjl_code: Some(42_017),
        ..by_ipp(&["media-jam-error"])
    };
    assert_eq!(device.answers(&both), ["+jammed"]);
}

#[test]
fn a_device_of_which_only_pjl_tells_is_heard_by_its_codes() {
    let mut device = Polled::new();
    let told = |code| Reading { pjl_code: Some(code), ..by_ipp(&[]) };
    assert_eq!(device.answers(&told(40_021)), ["+cover-open"]);
    assert_eq!(device.answers(&told(10_001)), ["-cover-open"]);
    assert_eq!(device.answers(&told(50_003)), ["+hardware-failure"]);
    assert_eq!(class_of_last(&device), FaultClass::ServiceRequired);
}

#[test]
fn jams_are_counted_together_however_they_are_told() {
    let mut device = Polled::new();
    device.now = "2026-11-23T08:00:00Z".parse().unwrap();
    let mut told = Vec::new();
    for _ in 0..6 {
        device.now += SignedDuration::from_mins(20);
        told = device.answers(&by_ipp(&["input-media-tray-jam-error"]));
        device.answers(&by_ipp(&[]));
    }
    assert_eq!(told, ["+input-media-tray-jam", "+recurring-jam"]);
}

use super::*;
use mailfmt::message::Counter;

fn id(serial: &str) -> DeviceId {
    DeviceId { vendor: "Maker".into(), model: "One".into(), serial: serial.into() }
}

fn reading() -> ReadingRow {
    ReadingRow {
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        counters: vec![Counter {
            name: "total".into(),
            value: 1234,
            unit: "impressions".into(),
            source: "1.3.6.1.2.1.43.10.2.1.4.1.1".into(),
        }],
        supplies: Vec::new(),
    }
}

fn devices() -> Vec<StoredDevice> {
    vec![
        StoredDevice { address: "192.0.2.1".into(), id: Some(id("A")), reading: Some(reading()) },
        StoredDevice { address: "192.0.2.2".into(), id: None, reading: None },
    ]
}

#[test]
fn a_device_without_a_stored_reading_is_named_and_never_left_out() {
    let report = counters(&CounterRequest::default(), &devices());
    assert_eq!(report.devices.len(), 2);
    assert!(matches!(report.devices[0].reading, StoredReading::Collected { .. }));
    assert_eq!(report.devices[1].reading, StoredReading::NotCollectedYet);
    assert_eq!(report.devices[1].address, "192.0.2.2");
}

#[test]
fn the_counters_of_many_devices_go_into_several_reports_and_each_device_into_one() {
    let many: Vec<StoredDevice> = (0..1_000)
        .map(|nth| StoredDevice {
            address: format!("192.0.2.{nth}"),
            id: Some(id(&nth.to_string())),
            reading: Some(reading()),
        })
        .collect();
    let whole = counters(&CounterRequest::default(), &many);
    let reports = in_reports(whole.clone(), 20_000);
    assert!(reports.len() > 5, "{} reports", reports.len());
    for report in &reports {
        let octets = serde_json::to_string(report).unwrap().len();
        assert!(octets < 21_500, "{octets} octets");
    }
    let devices: Vec<_> = reports.into_iter().flat_map(|report| report.devices).collect();
    assert_eq!(devices, whole.devices);
    assert_eq!(in_reports(whole.clone(), usize::MAX), std::slice::from_ref(&whole));
    assert_eq!(in_reports(whole, 1).len(), 1_000, "a device is never cut");
    assert_eq!(in_reports(CountersReport { devices: Vec::new() }, 1).len(), 1, "nothing is told, too");
}

#[test]
fn only_the_devices_asked_for_are_reported_and_an_unknown_one_is_said_to_be_uncollected() {
    let request = CounterRequest { devices: vec![id("Z"), id("A")] };
    let report = counters(&request, &devices());
    let told: Vec<_> = report.devices.iter().map(|entry| entry.device.clone().unwrap().serial).collect();
    assert_eq!(told, ["Z", "A"]);
    assert_eq!(report.devices[0].reading, StoredReading::NotCollectedYet);
}

#[test]
fn an_unknown_kind_is_answered_with_the_version_that_does_not_know_it() {
    let running = SoftwareVersion::new("1.0.00-1").unwrap();
    let Report::Refused(refused) = refusal("make-tea", &RefusedReason::UnknownKind, &running) else {
        panic!()
    };
    assert_eq!(refused.kind, "make-tea");
    assert_eq!(refused.reason, "not supported by version 1.0.00-1");
}

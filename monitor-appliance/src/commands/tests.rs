use super::*;
use mailfmt::crypto::ContentKey;
use mailfmt::message::Counter;
use mailfmt::package::enclose;

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
fn only_the_devices_asked_for_are_reported_and_an_unknown_one_is_said_to_be_uncollected() {
    let request = CounterRequest { devices: vec![id("Z"), id("A")] };
    let report = counters(&request, &devices());
    let told: Vec<_> = report.devices.iter().map(|entry| entry.device.clone().unwrap().serial).collect();
    assert_eq!(told, ["Z", "A"]);
    assert_eq!(report.devices[0].reading, StoredReading::NotCollectedYet);
}

fn key() -> ContentKey {
    ContentKey::generate(&mut |buffer: &mut [u8]| buffer.fill(5))
}

#[test]
fn an_enclosure_that_is_not_the_ordered_one_is_refused_with_the_reason() {
    let enclosure = enclose(b"not even a package", &key());
    let order = UpdateOrder {
        package: Digest::of(b"wanted"),
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        enclosure: Digest::of(&enclosure),
        enclosure_octets: u64::try_from(enclosure.len()).unwrap(),
        content_key: key(),
        permit: None,
        parts: None,
    };
    let limits = Limits::default();
    let cut = &enclosure[..enclosure.len() - 1];
    assert!(ordered_package(&order, cut, &limits).unwrap_err().contains("octets"));
    let mut changed = enclosure.clone();
    changed[20] ^= 1;
    assert!(ordered_package(&order, &changed, &limits).unwrap_err().contains("not the one"));
    assert!(ordered_package(&order, &enclosure, &limits).unwrap_err().contains("not a package"));
    assert!(ordered_package(&order, b"", &limits).is_err());
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

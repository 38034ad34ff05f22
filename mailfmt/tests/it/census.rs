//! What happened to devices, and how computers fare.

use crate::samples::{device, now};
use mailfmt::message::census::{ApplicationState, CensusReport, ComputerState, DeviceEvent, DiskState};
use mailfmt::message::device::DeviceId;
use mailfmt::{Message, Report};

pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    let report = CensusReport {
        events: vec![
            DeviceEvent {
                at: now(),
                event: "moved".into(),
                device: Some(device()),
                kind: Some("printer".into()),
                address: "192.0.2.17".into(),
                before: Some("192.0.2.9".into()),
            },
            DeviceEvent {
                at: now(),
                event: "new".into(),
                device: None,
                kind: None,
                address: "192.0.2.18".into(),
                before: None,
            },
        ],
        computers: vec![ComputerState {
            device: Some(DeviceId {
                vendor: "unknown".into(),
                model: "unknown".into(),
                serial: "mac:00:11:22:33:44:66".into(),
            }),
            address: "192.0.2.30".into(),
            name: Some("print-pc".into()),
            at: now(),
            started: Some(now()),
            restarts: 2,
            load_percent: Some(12),
            memory_octets: Some(8_192_000_000),
            memory_used_octets: Some(4_096_000_000),
            disks: vec![DiskState { name: "/".into(), octets: 40_960_000_000, used_octets: 10_240_000_000 }],
            applications: vec![ApplicationState {
                name: "backup-agent".into(),
                rule: "required".into(),
                running: 1,
                installed: Some(true),
            }],
            running: Some(212),
            installed: Some(1404),
        }],
    };
    vec![("report-census", Message::Report(Report::Census(report)))]
}

#[test]
fn what_a_later_appliance_adds_is_read_over() {
    let text = r#"{"kind":"census","body":{"events":[{"at":"2026-01-02T03:04:05Z","event":"sold","device":null,
        "address":"192.0.2.17","to":"somebody"}],"moods":[]}}"#;
    let family = samples()[0].1.family();
    let Message::Report(Report::Census(report)) = Message::parse(family, text.as_bytes()).unwrap() else {
        panic!("another kind")
    };
    assert_eq!((report.events[0].event.as_str(), report.computers.len()), ("sold", 0));
}

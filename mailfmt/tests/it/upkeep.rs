//! What keeps an appliance in order: rotation, inventory, alarms, where it stands, what is the latest.

use crate::samples::{counting, device, now};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret};
use mailfmt::message::command::RotateRequest;
use mailfmt::message::receipt::Latest;
use mailfmt::message::report::{
    AlarmReport, DeviceState, HealthReport, InventoryDevice, InventoryReport, RotationAnswer, Standing,
};
use mailfmt::{Command, Message, MessageId, Nonce, Receipt, Report, SoftwareVersion};

fn half() -> EphemeralPublic {
    EphemeralSecret::generate(&mut counting()).public()
}

fn version(text: &str) -> SoftwareVersion {
    SoftwareVersion::new(text).unwrap()
}

pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    let rotation = Nonce::from_bytes([0x11; 16]);
    vec![
        (
            "command-rotate-credential",
            Message::Command(Command::RotateCredential(RotateRequest { rotation, center_key: half() })),
        ),
        (
            "report-credential-rotated",
            Message::Report(Report::CredentialRotated(RotationAnswer { rotation, appliance_key: half() })),
        ),
        (
            "report-inventory",
            Message::Report(Report::Inventory(InventoryReport {
                devices: vec![
                    InventoryDevice {
                        id: Some(device()),
                        address: "192.0.2.17".into(),
                        mac: Some("00:11:22:33:44:55".into()),
                        state: DeviceState::Present,
                    },
                    InventoryDevice {
                        id: None,
                        address: "192.0.2.18".into(),
                        mac: None,
                        state: DeviceState::Vanished { since: now() },
                    },
                ],
            })),
        ),
        (
            "report-alarm",
            Message::Report(Report::Alarm(AlarmReport {
                alarm: "nothing-fresh".into(),
                description: "nothing fresh from the center since 2025-12-20".into(),
                since: now(),
                over: false,
            })),
        ),
        (
            "report-health-standing",
            Message::Report(Report::Health(HealthReport {
                sequence_seen: (86_400 << 32) | 17,
                standing: Some(Standing {
                    root_version: 3,
                    machine: "5f2b7c".into(),
                    fresh_at: Some(now()),
                    clock_offset_secs: Some(-7_200),
                    release_counter: 12,
                }),
                ..crate::samples::health()
            })),
        ),
        (
            "receipt-latest",
            Message::Receipt(Receipt {
                report: MessageId::from_bytes([0x22; 16]),
                number: 1235,
                received: now(),
                content: "health".into(),
                description: "3 devices, 2 answering".into(),
                latest: Some(Latest { at: now(), software: Some(version("1.0.02-0")), release_counter: 12 }),
            }),
        ),
    ]
}

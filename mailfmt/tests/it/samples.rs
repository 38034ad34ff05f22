//! One message of every kind, and the parties of all examples.

use crate::{census, first_contact, in_parts, ledger, upkeep};
use jiff::{SignedDuration, Timestamp};
use mailfmt::conditions::Conditions;
use mailfmt::crypto::{ChannelKey, ContentKey, Credential, Direction};
use mailfmt::message::command::{
    Command, ConditionalOrder, CounterRequest, PingRequest, RecallOrder, TrustRoots, UpdateOrder,
    VersionRequest,
};
use mailfmt::message::device::{
    Counter, DeviceId, FaultClass, Supply, SupplyEnds, SupplyLevel, SupplyOutlook,
};
use mailfmt::message::report::*;
use mailfmt::trust::{
    Approval, DowngradePermit, Role, Root, SignedApproval, SignedPermit, SignedRoot, SigningKey,
};
use mailfmt::{
    AgentId, CenterId, Digest, Limits, Message, MessageId, ModuleName, Nonce, Receipt, SoftwareVersion,
    VersionReport,
};

pub(crate) fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub(crate) fn agent() -> AgentId {
    AgentId::new("AGENT0000001").unwrap()
}

pub(crate) fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

pub(crate) fn credential() -> Credential {
    Credential::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

pub(crate) fn channel(message: &Message) -> ChannelKey {
    let direction = match message {
        Message::Enrolment(message) => return first_contact::channel(message),
        Message::Report(_) => Direction::ToCenter,
        Message::Command(_) | Message::Receipt(_) => Direction::ToAppliance,
    };
    credential().channel(direction, &agent(), &center())
}

/// Counts up, so that examples are the same everywhere.
pub(crate) fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |buffer: &mut [u8]| {
        for octet in buffer {
            *octet = next;
            next = next.wrapping_add(1);
        }
    }
}

pub(crate) fn device() -> DeviceId {
    DeviceId { vendor: "Kyocera".into(), model: "ECOSYS P2040dw".into(), serial: "VD21457943".into() }
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

/// Root 2 of the examples' center, signed by the one root key.
fn signed_root() -> SignedRoot {
    let root = Root {
        version: 2,
        center: center(),
        created: now(),
        expires: "2036-01-02T03:04:05Z".parse().unwrap(),
        root: Role::of(key(1).public()),
        release: Role { threshold: 2, keys: [2, 3, 4].map(|seed| key(seed).public()).to_vec() },
        command: Role::of(key(5).public()),
        revoked_packages: [Digest::of(b"a bad manifest")].into(),
        release_counter_reset: Some(7),
        approval: None,
    };
    SignedRoot::unsigned(&root).unwrap().sign(&key(1)).unwrap()
}

fn signed_permit() -> SignedPermit {
    let permit = DowngradePermit {
        center: center(),
        agents: vec![agent()],
        package: Digest::of(b"a manifest"),
        from: SoftwareVersion::new("1.0.02-0").unwrap(),
        to: SoftwareVersion::new("1.0.01-0").unwrap(),
        expires: "2026-01-09T03:04:05Z".parse().unwrap(),
    };
    SignedPermit::unsigned(&permit).unwrap().sign(&key(2)).unwrap().sign(&key(3)).unwrap()
}

/// An order whose key was drawn for it alone.
fn order() -> UpdateOrder {
    UpdateOrder {
        package: Digest::of(b"a manifest"),
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        enclosure: Digest::of(b"an enclosure"),
        enclosure_octets: 12,
        content_key: ContentKey::generate(&mut counting()),
        permit: None,
        parts: None,
        approval: None,
    }
}

fn signed_approval() -> SignedApproval {
    let approval = Approval {
        center: center(),
        orders: vec![order().terms()],
        expires: "2026-01-09T03:04:05Z".parse().unwrap(),
    };
    SignedApproval::unsigned(&approval).unwrap().sign(&key(6)).unwrap()
}

pub(crate) fn version_report() -> VersionReport {
    let text = "Software Version    1.0.00-1\nROM Version         1.5.08\nModules\nmail-agent          1.0.00    2026/01/01\n";
    VersionReport::parse(text, &Limits::default()).unwrap()
}

/// Every kind of message by its name.
pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    let version = |text| SoftwareVersion::new(text).unwrap();
    let nonce = Nonce::from_bytes([0x11; 16]);
    let report = MessageId::from_bytes([0x22; 16]);
    let package = Digest::of(b"a manifest");
    let result = |outcome| {
        Message::Report(Report::UpdateResult(UpdateResultReport {
            package,
            target: version("1.0.02-0"),
            running: version("1.0.02-0"),
            outcome,
            output: "stopped device-watch\n".into(),
        }))
    };
    vec![
        ("command-ping", Message::Command(Command::Ping(PingRequest {}))),
        (
            "command-counter-request",
            Message::Command(Command::Counters(CounterRequest { devices: vec![device()] })),
        ),
        ("command-version-request", Message::Command(Command::Version(VersionRequest { nonce }))),
        ("command-update", Message::Command(Command::Update(order()))),
        (
            "command-update-permitted",
            Message::Command(Command::Update(UpdateOrder {
                package,
                target: version("1.0.01-0"),
                enclosure: Digest::of(b"an enclosure"),
                enclosure_octets: 12,
                content_key: ContentKey::generate(&mut counting()),
                permit: Some(signed_permit()),
                parts: None,
                approval: None,
            })),
        ),
        (
            "command-update-when",
            Message::Command(Command::UpdateWhen(ConditionalOrder {
                order: order(),
                conditions: Conditions {
                    start: Some("local 22:00:00 after 2026-01-02T03:04:05Z".parse().unwrap()),
                    windows: vec!["Mo-Fr 20:00-06:00".parse().unwrap(), "Sa-Su 00:00-00:00".parse().unwrap()],
                    blackouts: ["2026-12-24..2027-01-06", "12-24..01-06", "month-end:3"]
                        .map(|days| days.parse().unwrap())
                        .to_vec(),
                },
            })),
        ),
        (
            "command-update-approved",
            Message::Command(Command::Update(UpdateOrder { approval: Some(signed_approval()), ..order() })),
        ),
        ("command-recall", Message::Command(Command::Recall(RecallOrder { orders: vec![report] }))),
        (
            "command-trust-roots",
            Message::Command(Command::TrustRoots(TrustRoots { roots: vec![signed_root()] })),
        ),
        (
            "report-fault",
            Message::Report(Report::Fault(FaultReport {
                device: device(),
                episode: "7".into(),
                class: FaultClass::UserClearable,
                code: "jam".into(),
                group: "media-path".into(),
                severity: "critical".into(),
                description: "Paper jam in the rear".into(),
                since: now(),
            })),
        ),
        (
            "report-fault-cleared",
            Message::Report(Report::FaultCleared(FaultClearedReport {
                device: device(),
                episode: "7".into(),
                cleared: now(),
            })),
        ),
        (
            "report-counters",
            Message::Report(Report::Counters(CountersReport {
                devices: vec![
                    DeviceCounters {
                        device: Some(device()),
                        address: "192.0.2.17".into(),
                        reading: StoredReading::Collected {
                            at: now(),
                            counters: vec![Counter {
                                name: "total".into(),
                                value: 7342,
                                unit: "impressions".into(),
                                source: "1.3.6.1.2.1.43.10.2.1.4.1.1".into(),
                            }],
                            supplies: vec![
                                Supply {
                                    index: 1,
                                    description: "TK-1160".into(),
                                    kind: "toner".into(),
                                    colorant: Some("black".into()),
                                    level: SupplyLevel::Units(80),
                                    capacity: Some(100),
                                    unit: Some("percent".into()),
                                    outlook: SupplyOutlook::default(),
                                },
                                Supply {
                                    index: 2,
                                    description: "Waste Toner Box".into(),
                                    kind: "waste-toner".into(),
                                    colorant: None,
                                    level: SupplyLevel::SomeRemains,
                                    capacity: None,
                                    unit: None,
                                    outlook: SupplyOutlook::default(),
                                },
                            ],
                        },
                        ledger: None,
                    },
                    DeviceCounters {
                        device: None,
                        address: "192.0.2.18".into(),
                        reading: StoredReading::NotCollectedYet,
                        ledger: None,
                    },
                ],
            })),
        ),
        ("report-counters-ledger", ledger::sample(&device())),
        (
            "report-counters-outlook",
            Message::Report(Report::Counters(CountersReport {
                devices: vec![DeviceCounters {
                    device: Some(device()),
                    address: "192.0.2.17".into(),
                    reading: StoredReading::Collected {
                        at: now(),
                        counters: Vec::new(),
                        supplies: vec![Supply {
                            index: 5,
                            description: "Waste Toner Box".into(),
                            kind: "waste-toner".into(),
                            colorant: None,
                            level: SupplyLevel::Units(72),
                            capacity: Some(100),
                            unit: Some("percent".into()),
                            outlook: SupplyOutlook {
                                replaced: Some(now()),
                                rises: Some(true),
                                ends: Some(SupplyEnds {
                                    earliest: now() + SignedDuration::from_hours(24 * 20),
                                    likely: now() + SignedDuration::from_hours(24 * 31),
                                    latest: now() + SignedDuration::from_hours(24 * 47),
                                }),
                            },
                        }],
                    },
                    ledger: None,
                }],
            })),
        ),
        (
            "report-version",
            Message::Report(Report::Version(VersionReportMessage {
                nonce: Some(nonce),
                table: version_report(),
                hashes: [(ModuleName::new("mail-agent").unwrap(), Digest::of(b"mail-agent"))].into(),
                boot_id: "7c1c4a3e-0000-4000-8000-000000000001".into(),
            })),
        ),
        ("report-update-installed", result(UpdateOutcome::Installed)),
        (
            "report-update-refused",
            result(UpdateOutcome::Refused { reason: "the package is not signed".into() }),
        ),
        (
            "report-update-undone",
            result(UpdateOutcome::Undone { reason: "device-watch did not come up".into() }),
        ),
        (
            "report-update-waiting",
            result(UpdateOutcome::Waiting { reason: "counters are being collected".into() }),
        ),
        ("report-health", Message::Report(Report::Health(health()))),
        (
            "report-health-mangled",
            Message::Report(Report::Health(HealthReport {
                mangled: [("attachment stripped by a gateway".to_owned(), 3)].into(),
                ..health()
            })),
        ),
        (
            "report-refused",
            Message::Report(Report::Refused(RefusedReport {
                kind: "dance".into(),
                reason: "not supported by version 1.0.00-1".into(),
            })),
        ),
        (
            "receipt",
            Message::Receipt(Receipt {
                report,
                number: 1234,
                received: now(),
                content: "fault".into(),
                description: "Kyocera ECOSYS P2040dw VD21457943: jam in media-path".into(),
                latest: None,
            }),
        ),
    ]
    .into_iter()
    .chain(first_contact::samples())
    .chain(upkeep::samples())
    .chain(census::samples())
    .chain(in_parts::samples())
    .collect()
}

/// What an appliance says of its health when all is well.
pub(crate) fn health() -> HealthReport {
    HealthReport {
        software: SoftwareVersion::new("1.0.00-1").unwrap(),
        uptime_secs: 86_400,
        boot_id: "7c1c4a3e-0000-4000-8000-000000000001".into(),
        devices: 3,
        devices_answering: 2,
        reports_waiting: 1,
        reports_expired: 0,
        junk: 4,
        sequence_seen: 17,
        last_fetch: Some(now()),
        standing: None,
        mangled: Default::default(),
        commands: None,
    }
}

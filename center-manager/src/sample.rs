//! A small fleet for tests: known keys, predictable "random" numbers, mails as appliances write them.

use crate::clones::OnClone;
use crate::db::Db;
use crate::db::appliances::NewAppliance;
use crate::db::filed::Rules;
use crate::enrolment::AdmissionTerms;
use crate::intake::Keyring;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{Credential, Direction, Random};
use mailfmt::envelope::{Addressee, Header, seal};
use mailfmt::mail::{Letter, compose};
use mailfmt::message::report::{
    CountersReport, DeviceCounters, DeviceState, FaultClearedReport, FaultReport, InventoryDevice,
    StoredReading, VersionReportMessage,
};
use mailfmt::message::{Counter, DeviceId, FaultClass, Supply, SupplyLevel, SupplyOutlook};
use mailfmt::trust::SignedRoot;
use mailfmt::{AgentId, CenterId, Message, MessageId, Nonce, Report, VersionReport};

/// Numbers that only look random: every draw differs, every run is the same.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }
}

impl Random for Numbers {
    fn fill(&mut self, buffer: &mut [u8]) {
        for octet in buffer {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *octet = self.0.to_le_bytes()[3];
        }
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub(crate) fn later(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

pub(crate) fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

pub(crate) fn agent(number: u32) -> AgentId {
    AgentId::new(&format!("AGENT{number:07}")).unwrap()
}

pub(crate) fn credential(agent: &AgentId) -> Credential {
    let mut octets = [7; 32];
    for (to, from) in octets.iter_mut().zip(agent.as_str().bytes()) {
        *to = from;
    }
    Credential::from_bytes(octets)
}

pub(crate) fn new_appliance(number: u32) -> NewAppliance {
    let agent = agent(number);
    NewAppliance {
        credential: credential(&agent),
        address: format!("agent{number}@site.example"),
        customer: format!("Customer {number}"),
        tags: Vec::new(),
        agent,
    }
}

/// A database in memory with so many appliances.
pub(crate) fn fleet(appliances: u32) -> Db {
    let mut db = Db::in_memory().unwrap();
    let new: Vec<_> = (1..=appliances).map(new_appliance).collect();
    db.add_appliances(&new, now()).unwrap();
    db
}

/// How tests file: receipts for so long, alarms for clones.
pub(crate) fn rules(receipt_expiry: SignedDuration) -> Rules {
    let admission = AdmissionTerms {
        center: center(),
        addresses: vec!["center@center.example".to_owned()],
        roots: vec![SignedRoot::from_octets(b"a root".to_vec())],
        settings: Default::default(),
    };
    Rules { receipt_expiry, on_clone: OnClone::Alarm, admission }
}

pub(crate) fn keyring(appliances: u32) -> Keyring {
    let credentials: Vec<_> =
        (1..=appliances).map(agent).map(|agent| (agent.clone(), credential(&agent))).collect();
    Keyring::new(&center(), &credentials)
}

/// One report on its way, with everything that a test may want to get wrong.
pub(crate) struct Posting {
    pub(crate) sender: AgentId,
    pub(crate) credential: Credential,
    pub(crate) direction: Direction,
    pub(crate) message: Message,
    pub(crate) id: MessageId,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) sequence: u64,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
}

impl Posting {
    pub(crate) fn of(number: u32, report: Report) -> Self {
        let sender = agent(number);
        let mut numbers = Numbers::new(u64::from(number) + 1000);
        Self {
            credential: credential(&sender),
            sender,
            direction: Direction::ToCenter,
            message: Message::Report(report),
            id: MessageId::generate(&mut numbers),
            in_reply_to: None,
            sequence: 1,
            created: now(),
            expires: later(7 * 86_400),
        }
    }

    pub(crate) fn numbered(mut self, id: u8) -> Self {
        self.id = MessageId::from_bytes([id; 16]);
        self
    }

    /// Envelope octets.
    pub(crate) fn sealed(&self) -> Vec<u8> {
        let key = self.credential.channel(self.direction, &self.sender, &center());
        let header = self.header();
        let addressees = [Addressee { key: &key, sequence: self.sequence }];
        seal(&header, &self.message, &addressees, &mut Numbers::new(self.sequence)).unwrap()
    }

    pub(crate) fn header(&self) -> Header {
        Header::new(&self.message, self.sender.clone().into(), self.id, self.created, self.expires)
            .answering(self.in_reply_to)
    }

    /// The mail.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.around(&self.sealed())
    }

    /// A mail around other octets than the sealed ones.
    pub(crate) fn around(&self, attachment: &[u8]) -> Vec<u8> {
        let header = self.header();
        let letter = Letter {
            from: "agent@site.example",
            to: Some("center@center.example"),
            header: &header,
            date: header.created,
            sending: 1,
        };
        compose(&letter, attachment)
    }
}

pub(crate) fn printer() -> DeviceId {
    DeviceId {
        vendor: "Kyocera".to_owned(),
        model: "ECOSYS P2040dw".to_owned(),
        serial: "VD21457943".to_owned(),
    }
}

/// A device that is there.
pub(crate) fn device(serial: &str) -> InventoryDevice {
    InventoryDevice {
        id: Some(DeviceId { serial: serial.to_owned(), ..printer() }),
        address: "10.0.0.7".to_owned(),
        mac: None,
        state: DeviceState::Present,
    }
}

pub(crate) fn jam(episode: &str) -> Report {
    Report::Fault(FaultReport {
        device: printer(),
        episode: episode.to_owned(),
        class: FaultClass::UserClearable,
        code: "jam".to_owned(),
        group: "media-path".to_owned(),
        severity: "critical".to_owned(),
        description: "Paper jam in tray 2".to_owned(),
        since: later(-60),
    })
}

pub(crate) fn cleared(episode: &str) -> Report {
    Report::FaultCleared(FaultClearedReport {
        device: printer(),
        episode: episode.to_owned(),
        cleared: later(60),
    })
}

pub(crate) fn counters(total: u64, at: Timestamp) -> Report {
    let counter = |name: &str, value| Counter {
        name: name.to_owned(),
        value,
        unit: "impressions".to_owned(),
        source: "1.3.6.1.2.1.43.10.2.1.4.1.1".to_owned(),
    };
    let toner = Supply {
        index: 1,
        description: "TK-1160".to_owned(),
        kind: "toner".to_owned(),
        colorant: Some("black".to_owned()),
        level: SupplyLevel::SomeRemains,
        capacity: Some(7200),
        unit: Some("impressions".to_owned()),
        outlook: SupplyOutlook::default(),
    };
    let collected =
        StoredReading::Collected { at, counters: vec![counter("total", total)], supplies: vec![toner] };
    Report::Counters(CountersReport {
        devices: vec![
            DeviceCounters {
                device: Some(printer()),
                address: "10.0.0.5".to_owned(),
                reading: collected,
                ledger: None,
            },
            DeviceCounters {
                device: None,
                address: "10.0.0.6".to_owned(),
                reading: StoredReading::NotCollectedYet,
                ledger: None,
            },
        ],
    })
}

pub(crate) fn version(software: &str, nonce: Option<Nonce>) -> Report {
    let table = format!(
        "Software Version    {software}\nROM Version         1.5.08\nModules\n\
         abcd.exe            1.0.00    2002/01/01\nbbb.lib             1.3.05    2002/11/29\n"
    );
    Report::Version(VersionReportMessage {
        nonce,
        table: VersionReport::try_from(table).unwrap(),
        hashes: Default::default(),
        boot_id: "6f0cbc3f".to_owned(),
    })
}

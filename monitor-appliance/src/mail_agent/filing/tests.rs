use super::*;
use crate::clock::Reading;
use crate::keyring::replace_credential;
use crate::layout::Layout;
use crate::settings::Settings;
use crate::store::{NewUpdateOrder, OutboxState, ReadingRow};
use jiff::Timestamp;
use mailfmt::crypto::{ChannelKey, ContentKey, Credential, Direction};
use mailfmt::envelope::{Addressee, Extras, Header, seal_with};
use mailfmt::mail::{Letter, compose};
use mailfmt::message::report::{FaultClearedReport, StoredReading, UpdateOutcome};
use mailfmt::message::{
    Counter, CounterRequest, DeviceId, Message, UpdateOrder, VersionRequest, command::PingRequest,
};
use mailfmt::package::{ModuleFile, PackageDraft, SigningKey, build, enclose, inspect, sign};
use mailfmt::slot::AnswerSlot;
use mailfmt::{AgentId, Digest, Limits, MessageId, Nonce, Receipt, Report};
use std::path::Path;
use std::sync::Arc;

const SETTINGS: &str = r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"
[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp = { host = "127.0.0.1", port = 25, security = "plain" }
fetch = "pop3"
fetch_server = { host = "127.0.0.1", port = 110, security = "plain" }
[[devices]]
address = "192.0.2.1"
[[devices]]
address = "192.0.2.2"
"#;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// One appliance on disk, and the center that writes to it.
pub(super) struct Site {
    home: tempfile::TempDir,
    pub(super) context: Context,
    keys: Keyring,
    /// The center's key to it.
    sealing: ChannelKey,
    sent: u64,
    /// Epoch of the center's numbers, and what it follows.
    epoch: (u64, u64),
    signer: Option<SigningKey>,
    created: Timestamp,
}

impl Site {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
        let (agent, center) = (settings.agent.clone(), settings.center.clone());
        let credential = Credential::from_bytes([7; 32]);
        let sealing = credential.channel(Direction::ToAppliance, &agent, &center);
        let context = Context::new(Layout::new(home.path()), settings, Arc::new(|| Reading::of_wall(now())));
        std::fs::create_dir(context.layout.secrets_dir()).unwrap();
        replace_credential(&context, &credential).unwrap();
        let keys = Keyring::load(&context).unwrap();
        Self { home, context, keys, sealing, sent: 0, epoch: (0, 0), signer: None, created: now() }
    }

    fn store(&self) -> Store {
        self.context.open_store().unwrap()
    }

    /// A mail from the center; the id follows from the sequence number.
    fn mail(&mut self, message: &Message, enclosure: &[u8]) -> Vec<u8> {
        self.mail_in_slot(message, enclosure, None)
    }

    fn mail_in_slot(&mut self, message: &Message, enclosure: &[u8], slot: Option<AnswerSlot>) -> Vec<u8> {
        self.sent += 1;
        let id = MessageId::from_bytes([u8::try_from(self.sent).unwrap(); 16]);
        let sender = self.context.settings.center.clone();
        let expires = now().saturating_add(jiff::SignedDuration::from_hours(24)).unwrap();
        let header = Header::new(message, sender.into(), id, self.created, expires);
        let addressee = Addressee { key: &self.sealing, sequence: (self.epoch.0 << 32) + self.sent };
        let mut random = |buffer: &mut [u8]| buffer.fill(9);
        let extras = Extras { signer: self.signer.as_ref(), follows: Some(self.epoch.1), begins: None, slot };
        let mut attachment = seal_with(&header, message, &[addressee], &extras, &mut random).unwrap();
        attachment.extend(enclosure);
        let letter = Letter {
            from: "center@center.example",
            to: None,
            header: &header,
            date: header.created,
            sending: 1,
        };
        compose(&letter, &attachment)
    }

    fn command(&mut self, command: Command) -> Vec<u8> {
        self.mail(&Message::Command(command), b"")
    }

    fn file(&self, raw: &[u8]) -> Filed {
        file_mail(&mut self.store(), &self.context, &self.keys, raw).unwrap()
    }

    fn answers(&self) -> Vec<Report> {
        let store = self.store();
        let rows = store.outbox_waiting(100).unwrap();
        rows.iter()
            .map(|row| match store.outbox_message(row.id).unwrap() {
                Message::Report(report) => report,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn a_counter_request_is_answered_at_once_from_the_store() {
    let mut site = Site::new();
    let counters =
        vec![Counter { name: "total".into(), value: 12, unit: "impressions".into(), source: "1.2".into() }];
    let reading = ReadingRow { at: now(), counters, supplies: Vec::new() };
    site.store().change(|change| change.store_reading("192.0.2.1", &reading)).unwrap();
    let mail = site.command(Command::Counters(CounterRequest::default()));
    assert_eq!(site.file(&mail), Filed::Accepted);
    let answers = site.answers();
    let [Report::Counters(report)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(matches!(report.devices[0].reading, StoredReading::Collected { .. }));
    assert_eq!(report.devices[1].reading, StoredReading::NotCollectedYet);
}

#[test]
fn a_command_that_comes_twice_is_done_once() {
    let mut site = Site::new();
    let mail = site.command(Command::Version(VersionRequest { nonce: Nonce::from_bytes([1; 16]) }));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    assert_eq!(site.store().version_requests().unwrap().len(), 1);
    let mail = site.command(Command::Counters(CounterRequest::default()));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    assert_eq!(site.answers().len(), 1);
}

#[test]
fn a_command_that_comes_again_after_its_receipt_gets_the_same_answer_again() {
    let mut site = Site::new();
    let mail = site.command(Command::Ping(PingRequest::default()));
    site.file(&mail);
    let (row, report) = (site.store().outbox_waiting(1).unwrap().remove(0), site.answers());
    let receipt = Receipt {
        report: row.message,
        number: 1,
        received: now(),
        content: "health".into(),
        description: String::new(),
        latest: None,
    };
    let receipt = site.mail(&Message::Receipt(receipt), b"");
    assert_eq!(site.file(&receipt), Filed::Receipt(true));
    assert!(site.answers().is_empty());
    assert_eq!(site.file(&mail), Filed::Repeat);
    let again = site.store().outbox_waiting(1).unwrap().remove(0);
    assert_eq!((again.message, again.sequence, site.answers()), (row.message, row.sequence, report));
}

#[test]
fn a_receipt_settles_its_report_and_one_for_no_report_does_no_harm() {
    let mut site = Site::new();
    let report = Report::FaultCleared(FaultClearedReport {
        device: DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() },
        episode: "e".into(),
        cleared: now(),
    });
    let outgoing = site.context.outgoing(report, None);
    site.store().change(|change| change.enqueue(&outgoing)).unwrap();
    let receipt = |report| Receipt {
        report,
        number: 42,
        received: now(),
        content: "fault-cleared".into(),
        description: String::new(),
        latest: None,
    };
    let stray = site.mail(&Message::Receipt(receipt(MessageId::from_bytes([0xee; 16]))), b"");
    assert_eq!(site.file(&stray), Filed::Receipt(false));
    let mail = site.mail(&Message::Receipt(receipt(outgoing.id)), b"");
    assert_eq!(site.file(&mail), Filed::Receipt(true));
    let row = site.store().outbox_newest(1).unwrap().remove(0);
    assert_eq!((row.state, row.receipt_number), (OutboxState::Receipted, Some(42)));
}

#[test]
fn an_unknown_command_is_answered_once() {
    let mut site = Site::new();
    let command = Command::Unknown { kind: "make-tea".into(), body: serde_json::json!({}) };
    let mail = site.command(command);
    assert_eq!(site.file(&mail), Filed::Refused);
    assert_eq!(site.file(&mail), Filed::Repeat);
    let answers = site.answers();
    let [Report::Refused(refused)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(refused.reason.starts_with("not supported by version"), "{}", refused.reason);
}

#[test]
fn junk_is_counted_told_in_the_health_report_and_never_answered() {
    let mut site = Site::new();
    for junk in [&b"Subject: buy now\r\n\r\ncheap"[..], b"", b"\xff\xfe\x00"] {
        assert_eq!(site.file(junk), Filed::Junk);
    }
    assert!(site.answers().is_empty());
    for junk in [3, 0] {
        let mail = site.command(Command::Ping(PingRequest::default()));
        site.file(&mail);
        let answers = site.answers();
        let Some(Report::Health(health)) = answers.last() else { panic!("{answers:?}") };
        assert_eq!((health.junk, health.devices), (junk, 2));
    }
}

fn package() -> (Vec<u8>, ContentKey, UpdateOrder) {
    package_of(b"#!/bin/sh\n".to_vec())
}

fn package_of(file: Vec<u8>) -> (Vec<u8>, ContentKey, UpdateOrder) {
    let mut random = |buffer: &mut [u8]| buffer.fill(5);
    let limits = Limits::default();
    let draft = PackageDraft {
        target: "1.0.02-0".parse().unwrap(),
        rom: None,
        release_counter: 2,
        created: now(),
        expires: now().saturating_add(jiff::SignedDuration::from_hours(24)).unwrap(),
        script: b"exit 0\n".to_vec(),
        script_time_limit_secs: 5,
        modules: vec![ModuleFile {
            name: "refresh".parse().unwrap(),
            version: "1.0.00".parse().unwrap(),
            date: jiff::civil::date(2026, 1, 1),
            kind: mailfmt::package::ModuleKind::Script,
            file,
            carried: true,
        }],
        applies: Default::default(),
        rules: Default::default(),
    };
    let key = SigningKey::generate(&mut random);
    let package = sign(&build(&draft, &limits).unwrap(), &key, &limits).unwrap();
    let content_key = ContentKey::generate(&mut random);
    let enclosure = enclose(&package, &content_key);
    let order = UpdateOrder {
        package: inspect(&package, &limits).unwrap().id,
        target: draft.target,
        enclosure: Digest::of(&enclosure),
        enclosure_octets: u64::try_from(enclosure.len()).unwrap(),
        content_key: content_key.clone(),
        permit: None,
        parts: None,
        approval: None,
    };
    (enclosure, content_key, order)
}

#[test]
fn an_order_to_update_leaves_the_decrypted_package_and_one_row() {
    let mut site = Site::new();
    let (enclosure, content_key, order) = package();
    let mail = site.mail(&Message::Command(Command::Update(order.clone())), &enclosure);
    // What a process leaves that was killed between writing the package and filing the mail.
    std::fs::create_dir(site.context.layout.packages_dir()).unwrap();
    std::fs::write(site.context.layout.package_file(&order.package), b"an earlier try").unwrap();
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    let written = std::fs::read(site.context.layout.package_file(&order.package)).unwrap();
    assert_eq!(enclose(&written, &content_key), enclosure);
    assert_eq!(site.store().update_orders_open().unwrap().len(), 1);
    assert!(site.answers().is_empty());
}

#[test]
fn the_permit_of_an_order_lies_beside_its_package_and_only_of_the_newest_order() {
    use mailfmt::trust::SignedPermit;
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let permit = site.context.layout.permit_file(&order.package);
    let permitted =
        UpdateOrder { permit: Some(SignedPermit::from_octets(b"a permit".to_vec())), ..order.clone() };
    let mail = site.mail(&Message::Command(Command::Update(permitted)), &enclosure);
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(std::fs::read(&permit).unwrap(), b"a permit");
    let mail = site.mail(&Message::Command(Command::Update(order)), &enclosure);
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert!(!permit.exists());
}

#[test]
fn an_order_whose_package_was_cut_on_the_way_waits_for_a_whole_copy_and_writes_nothing() {
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let message = Message::Command(Command::Update(order));
    let cut = site.mail(&message, &enclosure[..enclosure.len() - 10]);
    site.sent -= 1;
    let whole = site.mail(&message, &enclosure);
    for _ in 0..3 {
        assert_eq!(site.file(&cut), Filed::Junk);
    }
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else {
        panic!("one for all copies: {answers:?}")
    };
    assert!(matches!(&result.outcome, UpdateOutcome::Waiting { reason } if reason.contains("octets")));
    assert!(!site.context.layout.packages_dir().exists());
    assert!(site.store().update_orders_open().unwrap().is_empty());
    assert_eq!(site.file(&whole), Filed::Accepted);
    assert_eq!(site.store().update_orders_open().unwrap().len(), 1);
    assert_eq!(site.file(&cut), Filed::Repeat, "too late to matter");
}

#[test]
fn a_package_that_cannot_be_written_leaves_the_mail_unfiled_for_the_next_time() {
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let mail = site.mail(&Message::Command(Command::Update(order)), &enclosure);
    // A file where the folder should be: as good as a disk that does not write.
    std::fs::write(site.context.layout.packages_dir(), b"in the way").unwrap();
    let filed = file_mail(&mut site.store(), &site.context, &site.keys, &mail);
    assert!(matches!(filed, Err(FilingError::Package(_))));
    std::fs::remove_file(site.context.layout.packages_dir()).unwrap();
    assert_eq!(site.file(&mail), Filed::Accepted);
}

#[test]
fn a_mail_for_another_appliance_changes_nothing_but_the_count_of_junk() {
    let mut site = Site::new();
    let other = AgentId::new("AGENT0000002").unwrap();
    site.sealing = Credential::from_bytes([7; 32]).channel(
        Direction::ToAppliance,
        &other,
        &site.context.settings.center.clone(),
    );
    let mail = site.command(Command::Counters(CounterRequest::default()));
    let ours = Site::new();
    assert_eq!(ours.file(&mail), Filed::Junk);
    assert!(ours.answers().is_empty());
    assert_eq!(ours.store().tally(Tally::Junk).unwrap(), 1);
}

mod approval;
mod conditions;
mod large;
mod parts;
mod recall;
mod slots;
mod time;
mod trust;

#[test]
fn a_report_that_came_back_keeps_the_cause_waits_on_and_its_receipt_settles_it() {
    let mut site = Site::new();
    assert_eq!(
        {
            let ping = site.command(Command::Ping(PingRequest::default()));
            site.file(&ping)
        },
        Filed::Accepted
    );
    let [row] = &site.store().outbox_waiting(10).unwrap()[..] else { panic!("one answer waits") };
    let bounce = format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: agent1@site.example\r\nSubject: Undelivered Mail\r\n\r\n\
         <center@center.example>: 552 5.2.2 mailbox full\r\n\r\nMessage-ID: <{}.1@site.example>\r\n",
        row.message
    );
    assert_eq!(site.file(bounce.as_bytes()), Filed::Returned);
    let [waiting] = &site.store().outbox_waiting(10).unwrap()[..] else { panic!("it waits on") };
    assert!(waiting.last_error.contains("the mailbox is full"), "{}", waiting.last_error);
    assert_eq!((waiting.due, waiting.sendings), (row.due, row.sendings), "nothing else changes");
    let [noted] = &site.store().returned(10).unwrap()[..] else { panic!("noted") };
    assert_eq!(
        (noted.kind.as_str(), noted.cause.as_str(), noted.message),
        ("bounce", "mailbox-full", Some(row.message))
    );
    let receipt = Receipt {
        report: row.message,
        number: 4,
        received: now(),
        content: "health".into(),
        description: String::new(),
        latest: None,
    };
    let receipt = site.mail(&Message::Receipt(receipt), b"");
    assert_eq!(site.file(&receipt), Filed::Receipt(true));
    assert!(site.store().outbox_waiting(10).unwrap().is_empty());
}

#[test]
fn a_flood_of_automatic_answers_is_noted_in_part_and_never_answered() {
    let site = Site::new();
    let mut store = site.store();
    let mut junk = Discarded::default();
    for _ in 0..200 {
        let away =
            b"From: boss@site.example\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away\r\n";
        assert_eq!(
            file_one(&mut store, &site.context, &site.keys, away, &mut junk).unwrap(),
            Filed::Returned
        );
    }
    assert_eq!(store.returned(1_000).unwrap().len(), 20);
    assert_eq!(junk.reasons.get("auto-reply"), Some(&180));
    assert!(site.answers().is_empty());
}

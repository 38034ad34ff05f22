//! Golden mails: one per kind of message, read back for ever.

use crate::first_contact;
use crate::samples::{agent, center, channel, counting, now, samples};
use mailfmt::envelope::{Addressee, Extras, Header, OpenedEnvelope, open, seal_with};
use mailfmt::mail::{Classified, Letter, Parcel, classify, compose};
use mailfmt::message::{Enrolment, Family};
use mailfmt::slot::{AnswerSlot, PlacedSlot};
use mailfmt::trust::{Role, SigningKey};
use mailfmt::{Command, Limits, Message, MessageId, Report};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/wire")
}

/// Compares with the file; with `UPDATE_GOLDEN` set, writes it where it does not exist yet. What was released is never rewritten.
fn golden(name: &str, actual: &[u8]) -> Vec<u8> {
    let path = folder().join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()))
}

fn mail(message: &Message, extras: &Extras<'_>) -> Vec<u8> {
    let expires = now() + jiff::SignedDuration::from_hours(24 * 7);
    let (from, to, sender) = match message {
        Message::Enrolment(Enrolment::Hello(_) | Enrolment::Registration(_)) => {
            ("agent1@site.example", "center@center.example", first_contact::code_id().into())
        }
        Message::Report(_) => ("agent1@site.example", "center@center.example", agent().into()),
        Message::Command(_) | Message::Receipt(_) | Message::Enrolment(_) => {
            ("center@center.example", "agent1@site.example", center().into())
        }
    };
    let answered = matches!(message, Message::Receipt(_)).then(|| MessageId::from_bytes([0x22; 16]));
    let header =
        Header::new(message, sender, MessageId::from_bytes([0x33; 16]), now(), expires).answering(answered);
    let key = channel(message);
    let addressees = [Addressee { key: &key, sequence: 17 }];
    let sealed = seal_with(&header, message, &addressees, extras, &mut counting()).unwrap();
    compose(&Letter { from, to: Some(to), header: &header, date: header.created, sending: 1 }, &sealed)
}

#[test]
fn every_kind_of_message_has_a_sample() {
    let names: Vec<_> = samples().iter().map(|(_, message)| message.kind().to_owned()).collect();
    for kind in Command::KINDS.iter().chain(Report::KINDS).chain(Enrolment::KINDS).chain(&["receipt"]) {
        assert!(names.iter().any(|name| name == kind), "no sample of {kind}");
    }
}

#[test]
fn payloads_are_written_as_recorded_and_read_back() {
    for (name, message) in samples() {
        let pretty = serde_json::to_vec_pretty(
            &serde_json::from_slice::<serde_json::Value>(&message.write()).unwrap(),
        )
        .unwrap();
        let recorded = golden(&format!("{name}.json"), &pretty);
        assert_eq!(
            String::from_utf8(pretty).unwrap(),
            String::from_utf8(recorded.clone()).unwrap(),
            "{name}"
        );
        assert_eq!(Message::parse(message.family(), &recorded).unwrap(), message, "{name}");
    }
}

fn opened(name: &str, message: &Message, extras: &Extras<'_>) -> OpenedEnvelope {
    let recorded = golden(&format!("{name}.eml"), &mail(message, extras));
    let Classified::Ours { attachment } = classify(&recorded, &Limits::default()) else {
        panic!("{name} is not ours")
    };
    let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
    let opened = open(parcel.envelope, &channel(message), &Limits::default(), now()).unwrap();
    assert_eq!(opened.message().unwrap(), *message, "{name}");
    assert_eq!(opened.sequence(), 17);
    assert!(parcel.enclosure.is_empty());
    opened
}

fn command_key() -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(0x44))
}

/// Mails with a trailer, by the names of their files and samples.
const SIGNED: [(&str, &str); 2] =
    [("signed-command", "command-rotate-credential"), ("signed-receipt", "receipt-latest")];
const FOLLOWING: (&str, &str) = ("following-report", "report-fault");
const BEGUN: (&str, &str) = ("begun-report", "report-fault");
const SLOTTED: (&str, &str) = ("slotted-command", "command-version-request");

fn sample(wanted: &str) -> Message {
    let found = samples().into_iter().find(|(name, _)| *name == wanted);
    found.map_or_else(|| panic!("no sample {wanted}"), |(_, message)| message)
}

#[test]
fn recorded_mails_open_to_the_recorded_messages() {
    for (name, message) in samples() {
        let opened = opened(name, &message, &Extras::default());
        assert_eq!(opened.follows(), None, "{name}");
        assert!(!opened.is_signed_by(&Role::of(command_key().public())), "{name}");
    }
}

#[test]
fn recorded_signatures_hold_and_what_a_mail_follows_is_read() {
    let signer = command_key();
    let role = Role::of(signer.public());
    for (name, message) in SIGNED {
        let extras = Extras { signer: Some(&signer), follows: Some(16), begins: None, slot: None };
        let opened = opened(name, &sample(message), &extras);
        assert!(opened.is_signed_by(&role), "{name}");
        assert_eq!(opened.follows(), Some(16), "{name}");
    }
    let (name, message) = FOLLOWING;
    let opened =
        opened(name, &sample(message), &Extras { signer: None, follows: Some(16), begins: None, slot: None });
    assert_eq!((opened.follows(), opened.begins()), (Some(16), None));
    assert!(!opened.is_signed_by(&role));
}

#[test]
fn with_which_number_an_epoch_began_is_read() {
    let (name, message) = BEGUN;
    let opened = opened(
        name,
        &sample(message),
        &Extras { signer: None, follows: Some(16), begins: Some(17), slot: None },
    );
    assert_eq!((opened.follows(), opened.begins()), (Some(16), Some(17)));
}

#[test]
fn in_which_slot_a_command_is_answered_is_read() {
    let (name, message) = SLOTTED;
    let begins = now() + jiff::SignedDuration::from_mins(10);
    let slot = AnswerSlot {
        begins,
        each_millis: 1_042,
        within_secs: 5_000,
        round_secs: 4_000,
        patience_secs: 200_000,
    };
    let extras = Extras { signer: Some(&command_key()), slot: Some(slot), ..Extras::default() };
    let opened = opened(name, &sample(message), &extras);
    assert_eq!(opened.slot(), Some(PlacedSlot { slot, place: 0 }));
    assert_eq!(opened.slot().map(|slot| slot.wait(now()).as_secs()), Some(600));
}

#[test]
fn no_golden_file_is_left_over() {
    let trailed = SIGNED.into_iter().chain([FOLLOWING, BEGUN, SLOTTED]).map(|(name, _)| name);
    let names: Vec<_> = samples().into_iter().map(|(name, _)| name).chain(trailed).collect();
    let files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for path in files {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(stem == "README" || names.contains(&stem.as_str()), "{} has no sample", path.display());
    }
}

#[test]
fn unknown_fields_are_ignored_and_unknown_kinds_kept() {
    for (name, message) in samples() {
        let mut value: serde_json::Value = serde_json::from_slice(&message.write()).unwrap();
        let body = if matches!(message, Message::Receipt(_)) { &mut value } else { &mut value["body"] };
        body["a field of a later version"] = serde_json::json!({ "x": [1, 2, 3] });
        let read = Message::parse(message.family(), value.to_string().as_bytes()).unwrap();
        assert_eq!(read, message, "{name}");
    }
    for later in [
        br#"{"kind":"dance","body":{"steps":3}}"#.as_slice(),
        br#"{"kind":"dance","body":{"steps":10111111111100000009966217342048039365}}"#,
    ] {
        let read = Message::parse(Family::Command, later).unwrap();
        assert_eq!(read.kind(), "dance");
        let again = Message::parse(Family::Command, &read.write()).unwrap();
        assert_eq!(again, read, "kept to the last digit");
    }
}

#![no_main]
//! Mails to a box that enrols: without the code none changes anything; what whoever has the code writes never panics.

use mailfmt::crypto::Direction;
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::envelope::{self, Addressee, Header};
use mailfmt::mail::{Letter, compose};
use mailfmt::message::Family;
use mailfmt::message::enrolment::Hardware;
use mailfmt::{Message, MessageId, SoftwareVersion};
use monitor_appliance::enrolment::{Attempt, Event, Order};
use std::sync::LazyLock;

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn same(buffer: &mut [u8]) {
    buffer.fill(1);
}

static CODE: LazyLock<ProvisionalCode> = LazyLock::new(|| ProvisionalCode::generate(&mut same));

/// Made once: an exchange costs more than all the rest.
static BEGUN: LazyLock<Attempt> = LazyLock::new(|| {
    let order = Order {
        code: CODE.clone(),
        center_address: "center@center.example".into(),
        address: "agent1@site.example".into(),
        hardware: Hardware { machine: String::new(), class: "x86_64".into() },
        software: SoftwareVersion::new("1.0.00-1").unwrap(),
        devices: Vec::new(),
        root_fingerprint: None,
    };
    Attempt::begin(order, NOW, &mut same)
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let mut attempt = BEGUN.clone();
    // Seldom, since sealing and an exchange are slow.
    if *choice != 1 {
        attempt.handle(Event::Mail(octets), NOW, &mut same);
        assert!(attempt == *BEGUN);
    } else if let Ok(message) = Message::parse(Family::Enrolment, octets) {
        let Ok(center) = mailfmt::CenterId::new("CENTER") else { return };
        let key = CODE.channel(Direction::ToAppliance);
        let header = Header::new(&message, center.into(), MessageId::from_bytes([1; 16]), NOW, NOW);
        let Ok(sealed) =
            envelope::seal(&header, &message, &[Addressee { key: &key, sequence: 1 }], &mut same)
        else {
            return;
        };
        let letter = Letter {
            from: "center@center.example",
            to: None,
            header: &header,
            date: header.created,
            sending: 1,
        };
        let actions = attempt.handle(Event::Mail(&compose(&letter, &sealed)), NOW, &mut same);
        assert!(!actions.is_empty(), "an authentic mail is always taken in");
        attempt.handle(Event::Due, NOW, &mut same);
    }
});

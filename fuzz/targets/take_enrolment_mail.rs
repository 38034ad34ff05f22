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

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let mut random = |buffer: &mut [u8]| buffer.fill(1);
    let (now, Ok(software)) = (jiff::Timestamp::UNIX_EPOCH, SoftwareVersion::new("1.0.00-1")) else { return };
    let order = Order {
        code: ProvisionalCode::generate(&mut random),
        center_address: "center@center.example".into(),
        address: "agent1@site.example".into(),
        hardware: Hardware { machine: String::new(), class: "x86_64".into() },
        software,
        devices: Vec::new(),
    };
    let key = order.code.channel(Direction::ToAppliance);
    let mut attempt = Attempt::begin(order, now, &mut random);
    let before = attempt.clone();
    if choice & 1 == 0 {
        attempt.handle(Event::Mail(octets), now, &mut random);
        assert!(attempt == before);
    } else if let Ok(message) = Message::parse(Family::Enrolment, octets) {
        let Ok(center) = mailfmt::CenterId::new("CENTER") else { return };
        let header = Header::new(&message, center.into(), MessageId::from_bytes([1; 16]), now, now);
        let Ok(sealed) =
            envelope::seal(&header, &message, &[Addressee { key: &key, sequence: 1 }], &mut random)
        else {
            return;
        };
        let letter = Letter { from: "center@center.example", to: None, header: &header, sending: 1 };
        let actions = attempt.handle(Event::Mail(&compose(&letter, &sealed)), now, &mut random);
        assert!(!actions.is_empty(), "an authentic mail is always taken in");
        attempt.handle(Event::Due, now, &mut random);
    }
});

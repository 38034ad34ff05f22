//! The four messages of the first contact, under a code and an exchange that every example shares.

use crate::samples::{agent, center, counting, credential, device, now};
use mailfmt::crypto::{ChannelKey, Direction};
use mailfmt::enrolment::{CodeId, ProvisionalCode, session};
use mailfmt::exchange::{EphemeralSecret, Halves};
use mailfmt::message::enrolment::{
    Admission, Enrolment, FirstSettings, Hardware, Hello, Offer, Registration,
};
use mailfmt::message::report::{DeviceState, InventoryDevice};
use mailfmt::trust::SignedRoot;
use mailfmt::{Message, SoftwareVersion};

fn code() -> ProvisionalCode {
    ProvisionalCode::generate(&mut counting())
}

pub(crate) fn code_id() -> CodeId {
    code().id()
}

fn half(fill: u8) -> EphemeralSecret {
    EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(fill))
}

fn halves() -> Halves {
    Halves { appliance: half(1).public(), center: half(2).public() }
}

/// Hello and offer are under the code, the others under code and exchange.
pub(crate) fn channel(message: &Enrolment) -> ChannelKey {
    let session = session(&code(), &half(1), &halves().center, halves()).unwrap();
    match message {
        Enrolment::Hello(_) => code().channel(Direction::ToCenter),
        Enrolment::Offer(_) => code().channel(Direction::ToAppliance),
        Enrolment::Registration(_) => session.channel(Direction::ToCenter),
        Enrolment::Admission(_) | Enrolment::Unknown { .. } => session.channel(Direction::ToAppliance),
    }
}

pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    let Halves { appliance, center: center_key } = halves();
    let present = InventoryDevice {
        id: Some(device()),
        address: "192.0.2.17".into(),
        mac: Some("00:11:22:33:44:55".into()),
        state: DeviceState::Present,
    };
    let silent = InventoryDevice {
        id: None,
        address: "192.0.2.18".into(),
        mac: None,
        state: DeviceState::Vanished { since: now() },
    };
    [
        (
            "enrolment-hello",
            Enrolment::Hello(Hello { appliance_key: appliance, reply_to: "agent1@site.example".into() }),
        ),
        ("enrolment-offer", Enrolment::Offer(Offer { appliance_key: appliance, center_key })),
        (
            "enrolment-registration",
            Enrolment::Registration(Registration {
                appliance_key: appliance,
                address: "agent1@site.example".into(),
                hardware: Hardware { machine: "6f2c".repeat(16), class: "x86_64".into() },
                software: SoftwareVersion::new("1.0.00-1").unwrap(),
                devices: vec![present, silent],
                clock: now(),
            }),
        ),
        (
            "enrolment-admission",
            Enrolment::Admission(Admission {
                appliance_key: appliance,
                agent: agent(),
                credential: credential(),
                center: center(),
                center_addresses: vec!["center@center.example".into(), "center@second.example".into()],
                roots: vec![SignedRoot::from_octets(b"a signed root".to_vec())],
                settings: FirstSettings { mail_poll_secs: Some(120), ..FirstSettings::default() },
                remarks: vec!["VD21457943 is known from another site".into()],
            }),
        ),
    ]
    .into_iter()
    .map(|(name, message)| (name, Message::Enrolment(message)))
    .collect()
}

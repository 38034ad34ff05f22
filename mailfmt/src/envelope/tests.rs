use super::*;
use crate::crypto::{Credential, Direction};
use crate::ids::{CenterId, Nonce as RequestNonce};
use crate::message::command::{Command, PingRequest, VersionRequest};
use proptest::prelude::*;

/// Numbers that look random and are the same in every run.
fn sequence_from(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut state = u32::from(seed).wrapping_mul(2_654_435_761) | 1;
    move |buffer: &mut [u8]| {
        for octet in buffer {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *octet = state.to_be_bytes()[0];
        }
    }
}

fn key(agent: &str, direction: Direction) -> ChannelKey {
    Credential::from_bytes([7; 32]).channel(
        direction,
        &AgentId::new(agent).unwrap(),
        &CenterId::new("CENTER").unwrap(),
    )
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn header(message: &Message) -> Header {
    let sender = CenterId::new("CENTER").unwrap().into();
    Header::new(
        message,
        sender,
        MessageId::from_bytes([9; 16]),
        now(),
        now() + jiff::SignedDuration::from_hours(1),
    )
}

fn ping() -> Message {
    Message::Command(Command::Ping(PingRequest {}))
}

fn sealed_for(agents: &[&str]) -> Vec<u8> {
    let message = ping();
    let keys: Vec<_> = agents.iter().map(|agent| key(agent, Direction::ToAppliance)).collect();
    let addressees: Vec<_> =
        keys.iter().zip(41..).map(|(key, sequence)| Addressee { key, sequence }).collect();
    seal(&header(&message), &message, &addressees, &mut sequence_from(1)).unwrap()
}

fn open_as(agent: &str, octets: &[u8]) -> Result<OpenedEnvelope, OpenError> {
    open(octets, &key(agent, Direction::ToAppliance), &Limits::default(), now())
}

#[test]
fn each_of_many_recipients_opens_the_same_envelope_with_its_own_sequence() {
    let sealed = sealed_for(&["A1", "A2", "A3"]);
    for (agent, sequence) in [("A1", 41), ("A2", 42), ("A3", 43)] {
        let opened = open_as(agent, &sealed).unwrap();
        assert_eq!(opened.message().unwrap(), ping());
        assert_eq!(opened.sequence(), sequence);
        assert_eq!(opened.header(), &header(&ping()));
    }
}

#[test]
fn a_further_recipient_costs_64_octets() {
    assert_eq!(sealed_for(&["A1", "A2"]).len() - sealed_for(&["A1"]).len(), KEY_BLOCK_OCTETS);
}

#[test]
fn another_appliance_cannot_open_it() {
    assert!(matches!(open_as("A2", &sealed_for(&["A1"])), Err(OpenError::NotForUs)));
}

#[test]
fn a_message_cannot_be_sent_back_to_its_sender() {
    let sealed = sealed_for(&["A1"]);
    let other_way = key("A1", Direction::ToCenter);
    assert!(matches!(open(&sealed, &other_way, &Limits::default(), now()), Err(OpenError::NotForUs)));
}

#[test]
fn a_recipient_cannot_pass_another_payload_to_the_others() {
    // A1 knows the payload key. It keeps A2's key block and puts a payload of its own under the same key and header.
    let mut forged = sealed_for(&["A1", "A2"]);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(open_as("A2", &forged), Err(OpenError::Forged)));
}

#[test]
fn an_expired_message_is_refused_and_named() {
    let later = now() + jiff::SignedDuration::from_hours(2);
    let refused = open(&sealed_for(&["A1"]), &key("A1", Direction::ToAppliance), &Limits::default(), later);
    assert!(
        matches!(refused, Err(OpenError::Expired { message, .. }) if message == MessageId::from_bytes([9; 16]))
    );
}

#[test]
fn the_length_tells_little_about_the_payload() {
    let version =
        Message::Command(Command::Version(VersionRequest { nonce: RequestNonce::from_bytes([3; 16]) }));
    let key = key("A1", Direction::ToAppliance);
    let length = |message: &Message| {
        seal(&header(message), message, &[Addressee { key: &key, sequence: 1 }], &mut sequence_from(1))
            .unwrap()
            .len()
    };
    assert_eq!(length(&ping()), length(&version));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let message =
        Message::Command(Command::Unknown { kind: "x".repeat(1 << 20), body: serde_json::Value::Null });
    let key = key("A1", Direction::ToAppliance);
    let sealed =
        seal(&header(&message), &message, &[Addressee { key: &key, sequence: 1 }], &mut sequence_from(1))
            .unwrap();
    assert!(sealed.len() < 4096, "a megabyte of one letter deflates well");
    let limits = Limits { payload_octets: 1000, ..Limits::default() };
    assert!(matches!(open(&sealed, &key, &limits, now()), Err(OpenError::Payload { limit: 1000 })));
}

#[test]
fn more_recipients_than_the_limit_are_refused_before_any_key_is_tried() {
    let limits = Limits { recipients: 1, ..Limits::default() };
    let refused = open(&sealed_for(&["A1", "A2"]), &key("A1", Direction::ToAppliance), &limits, now());
    assert!(matches!(refused, Err(OpenError::TooLarge { found: 2, .. })));
}

#[test]
fn what_follows_the_envelope_is_left_alone() {
    let mut octets = sealed_for(&["A1"]);
    let length = octets.len();
    octets.extend(b"the enclosure");
    assert!(open_as("A1", &octets).is_ok());
    assert_eq!(peek(&octets, &Limits::default()).unwrap().octets, length);
}

#[test]
fn sealing_needs_a_recipient() {
    let message = ping();
    let none = seal(&header(&message), &message, &[], &mut sequence_from(1));
    assert!(matches!(none, Err(SealError::Recipients { found: 0 })));
}

proptest! {
    #[test]
    fn any_message_comes_back_as_it_was(kind in "[a-z-]{1,20}", text in ".{0,3000}", sequence: u64, seed: u8) {
        let message = Message::Command(Command::Unknown { kind: format!("x-{kind}"), body: serde_json::json!({ "text": text }) });
        let key = key("A1", Direction::ToAppliance);
        let sealed = seal(&header(&message), &message, &[Addressee { key: &key, sequence }], &mut sequence_from(seed)).unwrap();
        let opened = open(&sealed, &key, &Limits::default(), now()).unwrap();
        prop_assert_eq!(opened.message().unwrap(), message);
        prop_assert_eq!(opened.sequence(), sequence);
    }

    #[test]
    fn any_prefix_is_refused(cut in 0.0..1.0f64) {
        let sealed = sealed_for(&["A1"]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small length")]
        let length = (sealed.len() as f64 * cut) as usize;
        prop_assert!(open_as("A1", &sealed[..length]).is_err());
    }

    #[test]
    fn any_octets_are_refused_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(open_as("A1", &octets).is_err());
        prop_assert!(open_as("A1", &[MAGIC.as_slice(), &octets].concat()).is_err());
    }
}

#[test]
fn any_flipped_bit_is_refused() {
    let sealed = sealed_for(&["A1"]);
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open_as("A1", &flipped).is_err(), "bit {bit} of {} octets", sealed.len());
    }
}

#[test]
fn how_long_an_envelope_is_its_beginning_tells() {
    let sealed = sealed_for(&["A1", "A2", "A3"]);
    let limits = Limits::default();
    let start = &sealed[..START_OCTETS.min(sealed.len())];
    assert_eq!(announced_octets(start, &limits).unwrap(), sealed.len());
    assert_eq!(peek(&sealed, &limits).unwrap().octets, sealed.len());
    assert!(matches!(announced_octets(&sealed[..60], &limits), Err(OpenError::Damaged { .. })));
    assert!(matches!(announced_octets(b"MFE2", &limits), Err(OpenError::NotAnEnvelope)));
}

#[test]
fn an_envelope_that_claims_to_be_endless_is_damaged_before_it_is_read() {
    let sealed = sealed_for(&["A1"]);
    let place = sealed.len() - peek(&sealed, &Limits::default()).unwrap().octets;
    assert_eq!(place, 0);
    let length = 4 + 1 + 1 + "CENTER".len() + 16 + 16 + 8 + 8 + 32;
    let mut endless = sealed.clone();
    endless[length..length + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(
        announced_octets(&endless, &Limits::default()),
        Err(OpenError::Damaged { field: "length" })
    ));
}

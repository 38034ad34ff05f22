use super::*;
use crate::crypto::{ChannelKey, Credential, Direction};
use crate::envelope::{
    Addressee, Header, OpenError, OpenedEnvelope, open, open_any, seal_trailed, seal_with,
};
use crate::ids::{AgentId, CenterId, MessageId};
use crate::limits::Limits;
use crate::message::Message;
use crate::message::command::{Command, PingRequest};
use crate::slot::AnswerSlot;
use jiff::Timestamp;
use proptest::prelude::*;

fn filled(octet: u8) -> impl FnMut(&mut [u8]) {
    move |buffer: &mut [u8]| buffer.fill(octet)
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::generate(&mut filled(seed))
}

fn key(agent: &str) -> ChannelKey {
    let (agent, center) = (AgentId::new(agent).unwrap(), CenterId::new("CENTER").unwrap());
    Credential::from_bytes([7; 32]).channel(Direction::ToAppliance, &agent, &center)
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn ping() -> Message {
    Message::Command(Command::Ping(PingRequest {}))
}

fn header() -> Header {
    let expires = now() + jiff::SignedDuration::from_hours(1);
    let center = CenterId::new("CENTER").unwrap();
    Header::new(&ping(), center.into(), MessageId::from_bytes([9; 16]), now(), expires)
}

fn sealed(agents: &[&str], extras: &Extras<'_>) -> Vec<u8> {
    let keys: Vec<_> = agents.iter().map(|agent| key(agent)).collect();
    let addressees: Vec<_> = keys.iter().map(|key| Addressee { key, sequence: 41 }).collect();
    seal_with(&header(), &ping(), &addressees, extras, &mut filled(1)).unwrap()
}

fn opened(agent: &str, octets: &[u8]) -> Result<OpenedEnvelope, OpenError> {
    open(octets, &key(agent), &Limits::default(), now())
}

#[test]
fn a_signed_message_is_signed_by_its_key_and_by_no_other() {
    let signer = signer(5);
    let octets = sealed(
        &["A1", "A2"],
        &Extras { signer: Some(&signer), follows: Some(40), begins: Some(41), slot: None },
    );
    for agent in ["A1", "A2"] {
        let opened = opened(agent, &octets).unwrap();
        assert_eq!((opened.follows(), opened.begins()), (Some(40), Some(41)));
        let other = self::signer(6).public();
        assert!(opened.is_signed_by(&Role::of(signer.public())));
        assert!(opened.is_signed_by(&Role { threshold: 1, keys: vec![other, signer.public()] }));
        assert!(!opened.is_signed_by(&Role { threshold: 2, keys: vec![other, signer.public()] }));
        assert!(!opened.is_signed_by(&Role { threshold: 0, keys: vec![other, signer.public()] }));
        assert!(!opened.is_signed_by(&Role::of(other)));
    }
}

#[test]
fn a_message_without_a_signature_is_signed_by_nobody() {
    let opened = opened("A1", &sealed(&["A1"], &Extras::default())).unwrap();
    assert_eq!((opened.follows(), opened.begins()), (None, None));
    assert!(!opened.is_signed_by(&Role::of(signer(5).public())));
}

/// Somebody who knows all credentials, but has no command key, takes a signature that he saw.
fn with_stolen_signature(header: &Header, message: &Message, agent: &str, salt: u8, follows: u64) -> Vec<u8> {
    let signer = signer(5);
    let mut stolen = Vec::new();
    let a1 = key("A1");
    seal_trailed(
        &self::header(),
        &ping().write(),
        &[Addressee { key: &a1, sequence: 41 }],
        &mut filled(1),
        |signed| {
            stolen =
                write(&Extras { signer: Some(&signer), follows: Some(40), begins: None, slot: None }, signed);
            stolen.clone()
        },
    )
    .unwrap();
    stolen[3..11].copy_from_slice(&follows.to_be_bytes());
    let addressee = Addressee { key: &key(agent), sequence: 99 };
    seal_trailed(header, &message.write(), &[addressee], &mut filled(salt), |_| stolen.clone()).unwrap()
}

#[test]
fn a_signature_holds_for_its_own_message_recipients_and_trailer_only() {
    let is_signed = |octets: &[u8], agent: &str| {
        let opened = opened(agent, octets).unwrap();
        assert!(opened.follows().is_some(), "the trailer was read");
        opened.is_signed_by(&Role::of(signer(5).public()))
    };
    assert!(
        is_signed(&with_stolen_signature(&header(), &ping(), "A1", 1, 40), "A1"),
        "the test itself works"
    );
    assert!(!is_signed(&with_stolen_signature(&header(), &ping(), "A2", 1, 40), "A2"), "another recipient");
    assert!(!is_signed(&with_stolen_signature(&header(), &ping(), "A1", 2, 40), "A1"), "another sealing");
    assert!(!is_signed(&with_stolen_signature(&header(), &ping(), "A1", 1, 39), "A1"), "another trailer");
    let later = Header { expires: now() + jiff::SignedDuration::from_hours(99), ..header() };
    assert!(!is_signed(&with_stolen_signature(&later, &ping(), "A1", 1, 40), "A1"), "another header");
    let other = Message::Command(Command::Unknown { kind: "dance".into(), body: serde_json::Value::Null });
    assert!(!is_signed(&with_stolen_signature(&header(), &other, "A1", 1, 40), "A1"), "another payload");
}

#[test]
fn of_several_keys_the_one_that_fits_is_named() {
    let octets = sealed(&["A1"], &Extras::default());
    let (old, new) = (key("A1"), key("A2"));
    let place =
        |keys: &[&ChannelKey]| open_any(&octets, keys, &Limits::default(), now()).map(|(place, _)| place);
    assert_eq!(place(&[&old, &new]).unwrap(), 0);
    assert_eq!(place(&[&new, &old]).unwrap(), 1);
    assert!(matches!(place(&[&new]), Err(OpenError::NotForUs)));
    assert!(matches!(place(&[]), Err(OpenError::NotForUs)));
}

#[test]
fn items_of_later_versions_are_skipped_and_stay_under_the_signature() {
    let signer = signer(5);
    let key = key("A1");
    let addressee = [Addressee { key: &key, sequence: 1 }];
    let sealed = seal_trailed(&header(), &ping().write(), &addressee, &mut filled(1), |signed| {
        let mut items = vec![9, 0, 3, b'x', b'y', b'z'];
        let signature = signer.sign(&signed.octets(&items));
        item(&mut items, SIGNATURE, &[signer.public().id().0.as_slice(), &signature].concat());
        items
    })
    .unwrap();
    assert!(opened("A1", &sealed).unwrap().is_signed_by(&Role::of(signer.public())));
}

#[test]
fn a_trailer_that_is_none_is_refused() {
    let key = key("A1");
    for trailer in [
        vec![FOLLOWS, 0, 7, 1, 1, 1, 1, 1, 1, 1],
        vec![FOLLOWS, 0, 9],
        vec![BEGINS, 0, 7, 1, 1, 1, 1, 1, 1, 1],
        vec![SIGNATURE, 0, 8],
        vec![9, 255, 255, 1],
    ] {
        let addressee = [Addressee { key: &key, sequence: 1 }];
        let sealed =
            seal_trailed(&header(), &ping().write(), &addressee, &mut filled(1), |_| trailer.clone())
                .unwrap();
        assert!(matches!(opened("A1", &sealed), Err(OpenError::Damaged { field: "trailer" })), "{trailer:?}");
    }
}

proptest! {
    #[test]
    fn any_trailer_comes_back_as_it_was(follows: Option<u64>, begins: Option<u64>, seed: u8, signs: bool) {
        let signer = signer(seed);
        let octets = sealed(&["A1"], &Extras { signer: signs.then_some(&signer), follows, begins, slot: None });
        let opened = opened("A1", &octets).unwrap();
        prop_assert_eq!((opened.follows(), opened.begins()), (follows, begins));
        prop_assert_eq!(opened.is_signed_by(&Role::of(signer.public())), signs);
    }

    #[test]
    fn any_octets_are_a_trailer_or_none_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let signed = Signed::new(b"head", b"payload", std::iter::empty());
        if let Some(trailer) = read(&octets, &signed) {
            prop_assert!(trailer.signature.is_none_or(|signature| !signature.is_by(&Role::of(signer(5).public()))));
        }
    }
}

#[test]
fn each_recipient_finds_its_own_place_in_the_slot() {
    let slot =
        AnswerSlot { begins: now(), each_millis: 1_000, within_secs: 60, round_secs: 60, patience_secs: 0 };
    let octets = sealed(&["A1", "A2", "A3"], &Extras { slot: Some(slot), ..Extras::default() });
    for (place, agent) in ["A1", "A2", "A3"].into_iter().enumerate() {
        let opened = opened(agent, &octets).unwrap();
        let wait = opened.slot().map(|slot| slot.wait(now()).as_secs());
        assert_eq!(wait, i64::try_from(place).ok());
    }
}

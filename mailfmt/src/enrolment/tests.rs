use super::*;
use crate::envelope::{Addressee, Header, OpenError, open, seal};
use crate::ids::MessageId;
use crate::limits::Limits;
use crate::message::{Enrolment, Message};
use proptest::prelude::*;

const LETTERS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn code(octets: [u8; 16]) -> ProvisionalCode {
    ProvisionalCode::generate(&mut |buffer: &mut [u8]| buffer.copy_from_slice(&octets))
}

fn half(fill: u8) -> EphemeralSecret {
    EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(fill))
}

fn groups(text: &str) -> Vec<usize> {
    match ProvisionalCode::parse(text) {
        Err(CodeError::Mistyped { groups }) => groups,
        other => panic!("{other:?}"),
    }
}

proptest! {
    // Each case tries every place.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_single_wrong_letter_is_found_and_its_group_named(octets: [u8; 16]) {
        let printed = code(octets).expose();
        for (place, letter) in printed.char_indices().filter(|(_, letter)| *letter != '-') {
            for wrong in LETTERS.chars().filter(|wrong| *wrong != letter) {
                let typed = format!("{}{wrong}{}", &printed[..place], &printed[place + 1..]);
                prop_assert!(groups(&typed).contains(&(place / 5 + 1)), "{}", place);
            }
        }
    }

    #[test]
    fn every_exchange_of_two_letters_is_found(octets: [u8; 16]) {
        let printed: Vec<char> = code(octets).expose().chars().filter(|letter| *letter != '-').collect();
        for one in 0..printed.len() {
            for other in one + 1..printed.len() {
                let mut typed = printed.clone();
                typed.swap(one, other);
                if typed != printed {
                    let found = groups(&typed.iter().collect::<String>());
                    prop_assert!(other != one + 1 || found.contains(&(one / 4 + 1)), "neighbours are located");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_code_is_read_back_as_it_was_printed(octets: [u8; 16]) {
        let printed = code(octets).expose();
        prop_assert_eq!(printed.len(), 34);
        prop_assert_eq!(ProvisionalCode::parse(&printed).unwrap(), code(octets));
    }

    #[test]
    fn a_text_that_is_read_is_the_code_that_prints_it(text in "[0-9A-Za-z -]{20,40}|\\PC{0,60}") {
        if let Ok(code) = ProvisionalCode::parse(&text) {
            prop_assert_eq!(ProvisionalCode::parse(&code.expose()).unwrap(), code);
        }
    }
}

#[test]
fn codes_are_read_kindly() {
    let printed = code([0x10; 16]).expose();
    assert!(printed.contains(['0', '1']), "the example shows the letters that are confused");
    for typed in [
        printed.to_lowercase(),
        printed.replace('-', ""),
        printed.replace('-', " "),
        printed.replace('-', "\u{2013}"),
        printed.replace('0', "O").replace('1', "l"),
        printed.replace('0', "o").replace('1', "I"),
        format!("  {}\r\n", printed.replace('-', " - ")),
    ] {
        assert_eq!(ProvisionalCode::parse(&typed).unwrap(), code([0x10; 16]), "{typed}");
    }
}

#[test]
fn what_is_missing_or_no_letter_is_said_with_its_group() {
    let printed = code([7; 16]).expose();
    let short = format!("{}{}", &printed[..11], &printed[12..]);
    assert_eq!(
        ProvisionalCode::parse(&short).unwrap_err(),
        CodeError::Length { found: 27, group: Some(3) },
        "group 3 lacks a letter"
    );
    let wrong = format!("{}U{}", &printed[..11], &printed[12..]);
    assert_eq!(ProvisionalCode::parse(&wrong).unwrap_err(), CodeError::Letter { group: 3, letter: 'U' });
    assert_eq!(ProvisionalCode::parse("").unwrap_err(), CodeError::Length { found: 0, group: None });
    let endless = "7".repeat(1_000_000);
    assert_eq!(ProvisionalCode::parse(&endless).unwrap_err(), CodeError::Length { found: 400, group: None });
    assert!(ProvisionalCode::parse(&short).unwrap_err().to_string().ends_with("look at group 3"));
}

#[test]
fn secrets_of_the_first_contact_are_not_printed() {
    let code = code([0x5a; 16]);
    let (appliance, center) = (half(1), half(2));
    let halves = Halves { appliance: appliance.public(), center: center.public() };
    let session = session(&code, &appliance, &center.public(), halves).unwrap();
    let printed = format!(
        "{code:?} {session:?} {:?} {:?}",
        code.channel(Direction::ToCenter),
        session.channel(Direction::ToCenter)
    );
    assert!(!printed.contains("5a") && !printed.contains("90"), "{printed}");
    assert!(!printed.contains(&code.expose()[..4]), "{printed}");
    let mistyped = ProvisionalCode::parse(&code.expose().replace('B', "C")).unwrap_err();
    assert!(!format!("{mistyped:?} {mistyped}").contains(&code.expose()[..4]));
}

#[test]
fn a_code_id_stands_as_a_sender_and_tells_nothing_of_the_code() {
    let id = code([1; 16]).id();
    assert_eq!(CodeId::of_sender(&Sender::from(id)), Some(id));
    assert_eq!(id.to_string().parse::<CodeId>().unwrap(), id);
    assert_ne!(id, code([2; 16]).id());
    for other in ["AGENT0000001", "E123", "e0011223344556677", "E00112233445566778899", "E001122334455667G"] {
        assert!(other.parse::<CodeId>().is_err(), "{other}");
    }
}

/// A message under `key`, as whoever does not hold another one finds it.
fn sealed(key: &ChannelKey) -> Vec<u8> {
    let message = Message::Enrolment(Enrolment::Hello(crate::message::enrolment::Hello {
        appliance_key: half(1).public(),
        reply_to: "box@site.example".into(),
    }));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let id = MessageId::from_bytes([3; 16]);
    let header = Header::new(&message, code([1; 16]).id().into(), id, now, now);
    seal(&header, &message, &[Addressee { key, sequence: 1 }], &mut |buffer: &mut [u8]| buffer.fill(9))
        .unwrap()
}

#[test]
fn a_code_that_leaks_later_opens_nothing_of_what_followed_the_exchange() {
    let leaked = code([1; 16]);
    let (appliance, center) = (half(1), half(2));
    let halves = Halves { appliance: appliance.public(), center: center.public() };
    let theirs = session(&leaked, &center, &appliance.public(), halves).unwrap();
    let recorded = sealed(&theirs.channel(Direction::ToAppliance));

    let ours = session(&leaked, &appliance, &center.public(), halves).unwrap();
    let opens = |key: &ChannelKey| open(&recorded, key, &Limits::default(), jiff::Timestamp::UNIX_EPOCH);
    assert!(opens(&ours.channel(Direction::ToAppliance)).is_ok(), "the appliance opens it");

    // The thief has the code and both public halves, but no secret half: he can only guess one.
    let guessed = session(&leaked, &half(3), &center.public(), halves).unwrap();
    for key in [
        leaked.channel(Direction::ToAppliance),
        leaked.channel(Direction::ToCenter),
        ours.channel(Direction::ToCenter),
        guessed.channel(Direction::ToAppliance),
    ] {
        assert!(matches!(opens(&key).unwrap_err(), OpenError::NotForUs));
    }
}

#[test]
fn who_has_not_the_code_has_no_session_even_in_the_middle() {
    let (appliance, center) = (half(1), half(2));
    let halves = Halves { appliance: appliance.public(), center: center.public() };
    let true_one = session(&code([1; 16]), &appliance, &center.public(), halves).unwrap();
    let other = session(&code([2; 16]), &center, &appliance.public(), halves).unwrap();
    let recorded = sealed(&true_one.channel(Direction::ToCenter));
    let key = other.channel(Direction::ToCenter);
    assert!(open(&recorded, &key, &Limits::default(), jiff::Timestamp::UNIX_EPOCH).is_err());
}

use super::*;
use crate::sample::{later, now};
use mailfmt::exchange::EphemeralSecret;
use mailfmt::message::enrolment::{Hardware, Hello, Registration};
use proptest::prelude::*;

const OWN: &str = "center@center.example";

fn own() -> Vec<String> {
    vec![OWN.to_owned()]
}

fn key() -> mailfmt::exchange::EphemeralPublic {
    EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(3)).public()
}

fn hello(reply_to: &str) -> Enrolment {
    Enrolment::Hello(Hello { appliance_key: key(), reply_to: reply_to.to_owned() })
}

fn registration(address: &str) -> Enrolment {
    Enrolment::Registration(Registration {
        appliance_key: key(),
        address: address.to_owned(),
        hardware: Hardware { machine: String::new(), class: "x86_64".to_owned() },
        software: "1.0.00-1".parse().unwrap(),
        devices: Vec::new(),
        clock: now(),
    })
}

fn code() -> CodeStanding {
    CodeStanding { expires: later(60), uses: 1, used: 0, revoked: false, exchanges: 0 }
}

fn exchange() -> ExchangeStanding {
    ExchangeStanding { answers: 1, admitted: false, over: false }
}

const ADMITTED: ExchangeStanding = ExchangeStanding { answers: 2, admitted: true, over: false };

fn to_hello(code: CodeStanding, exchange: Option<ExchangeStanding>) -> Decision {
    decide(&code, exchange.as_ref(), &hello("a@site.example"), &own(), now())
}

fn to_registration(code: CodeStanding, exchange: Option<ExchangeStanding>) -> Decision {
    decide(&code, exchange.as_ref(), &registration("a@site.example"), &own(), now())
}

#[test]
fn a_hello_is_offered_and_its_registration_admitted() {
    assert_eq!(to_hello(code(), None), Decision::Offer);
    assert_eq!(to_registration(code(), Some(exchange())), Decision::Admit);
}

#[test]
fn the_same_word_again_gets_the_same_answer_again() {
    assert_eq!(to_hello(code(), Some(exchange())), Decision::OfferAgain);
    let used = CodeStanding { used: 1, ..code() };
    assert_eq!(
        to_registration(used, Some(ADMITTED)),
        Decision::AdmitAgain,
        "its own use does not lock it out"
    );
    let expired = CodeStanding { expires: later(-1), ..used };
    assert_eq!(
        to_registration(expired, Some(ADMITTED)),
        Decision::AdmitAgain,
        "a lost admission comes again"
    );
}

#[test]
fn an_expired_a_revoked_and_a_used_up_code_let_nobody_in() {
    let expired = CodeStanding { expires: later(-1), ..code() };
    let revoked = CodeStanding { revoked: true, ..code() };
    let used = CodeStanding { used: 1, ..code() };
    for (code, why) in [(expired, Refusal::Expired), (revoked, Refusal::Revoked), (used, Refusal::UsedUp)] {
        assert_eq!(to_hello(code, None), Decision::Refuse(why));
        assert_eq!(to_hello(code, Some(exchange())), Decision::Refuse(why));
        assert_eq!(to_registration(code, Some(exchange())), Decision::Refuse(why));
    }
    assert_eq!(to_registration(revoked, Some(ADMITTED)), Decision::Refuse(Refusal::Revoked));
}

#[test]
fn a_registration_without_an_exchange_is_not_admitted() {
    assert_eq!(to_registration(code(), None), Decision::Refuse(Refusal::NotExpected));
}

#[test]
fn whoever_has_the_code_cannot_make_the_center_write_for_ever_or_to_itself() {
    let often = ExchangeStanding { answers: ANSWERS_MAX, ..exchange() };
    assert_eq!(to_hello(code(), Some(often)), Decision::Refuse(Refusal::TooManyAnswers));
    let begun = CodeStanding { exchanges: exchanges_max(1), ..code() };
    assert_eq!(to_hello(begun, None), Decision::Refuse(Refusal::TooManyExchanges));
    for address in ["Center@Center.Example", "no address", "a@b\r\nBcc: c@d", ""] {
        let decision = decide(&code(), None, &hello(address), &own(), now());
        assert_eq!(decision, Decision::Refuse(Refusal::Address), "{address:?}");
        let decision = decide(&code(), Some(&exchange()), &registration(address), &own(), now());
        assert_eq!(decision, Decision::Refuse(Refusal::Address), "{address:?}");
    }
}

#[test]
fn a_confirmed_exchange_is_not_opened_again() {
    let over = ExchangeStanding { over: true, ..ADMITTED };
    assert_eq!(to_hello(code(), Some(over)), Decision::Refuse(Refusal::Over));
    assert_eq!(to_registration(code(), Some(over)), Decision::Refuse(Refusal::Over));
}

proptest! {
    #[test]
    fn a_code_never_lets_in_more_than_its_uses(uses in 1u32..5, words in proptest::collection::vec((0usize..8, any::<bool>()), 0..80)) {
        // Exchanges 0..8 write in any order; the center carries out what is decided.
        let mut standing = CodeStanding { uses, ..code() };
        let mut exchanges = [None::<ExchangeStanding>; 8];
        for (nth, registers) in words {
            let word = if registers { registration("a@site.example") } else { hello("a@site.example") };
            match decide(&standing, exchanges[nth].as_ref(), &word, &own(), now()) {
                Decision::Offer => {
                    prop_assert!(exchanges[nth].is_none());
                    exchanges[nth] = Some(exchange());
                    standing.exchanges += 1;
                }
                Decision::Admit => {
                    let exchange = exchanges[nth].as_mut().unwrap();
                    prop_assert!(!exchange.admitted, "one registration is counted once");
                    exchange.admitted = true;
                    standing.used += 1;
                }
                Decision::OfferAgain | Decision::AdmitAgain => prop_assert!(exchanges[nth].is_some()),
                Decision::Refuse(_) => {}
            }
        }
        let admitted = exchanges.iter().flatten().filter(|exchange| exchange.admitted).count();
        prop_assert!(admitted <= uses as usize && standing.used as usize == admitted);
    }
}

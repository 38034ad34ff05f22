use proptest::prelude::*;

use super::{scram::Hash, *};
use crate::{Password, oauth::AccessToken};

fn with(username: &str, password: &str, nonce: &str) -> Credential {
    Credential::of_password(username, Password::new(password.into()), nonce.into())
}

fn with_token(username: &str, token: &str) -> Credential {
    Credential { secret: Secret::Token(AccessToken::new(token.into())), ..with(username, "", "n") }
}

fn offer(names: &[&str]) -> Offer {
    let mut offer = Offer::default();
    names.iter().for_each(|name| offer.add(name));
    offer
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// RFC 5802 section 5 and RFC 7677 section 3.
const SHA_1: [&str; 5] = [
    "fyko+d2lbbFgONRv9qkxdawL",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
];
const SHA_256: [&str; 5] = [
    "rOprNGfwEbeRWgbNEkqO",
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
];

#[test]
fn scram_answers_as_in_the_examples_of_its_standards() {
    for (mechanism, [nonce, first, server_first, last, server_last]) in
        [(Mechanism::ScramSha1, SHA_1), (Mechanism::ScramSha256, SHA_256)]
    {
        let mut exchange = Exchange::begin(mechanism, &with("user", "pencil", nonce)).unwrap();
        assert_eq!(text(&exchange.initial().unwrap()), first);
        assert_eq!(text(&exchange.answer(server_first.as_bytes()).unwrap()), last);
        assert_eq!(exchange.complete(), Err(SaslError::NotProven));
        assert!(exchange.answer(server_last.as_bytes()).unwrap().is_empty());
        assert_eq!(exchange.complete(), Ok(()));
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    let [nonce, _, server_first, _, server_last] = SHA_256;
    let other = server_last.replace("6rri", "7rri");
    for false_word in [other.as_str(), "v=", "v=AAAA", "", "e=other-error"] {
        let mut exchange = Exchange::begin(Mechanism::ScramSha256, &with("user", "pencil", nonce)).unwrap();
        exchange.initial().unwrap();
        exchange.answer(server_first.as_bytes()).unwrap();
        assert!(exchange.answer(false_word.as_bytes()).is_err(), "{false_word}");
        assert_eq!(exchange.complete(), Err(SaslError::NotProven));
    }
    let mut skipped = Exchange::begin(Mechanism::ScramSha256, &with("user", "pencil", nonce)).unwrap();
    skipped.initial().unwrap();
    assert_eq!(
        skipped.complete(),
        Err(SaslError::NotProven),
        "a server that lets in at once has proven nothing"
    );
}

#[test]
fn a_challenge_of_another_exchange_or_with_odd_rounds_gets_no_answer() {
    let first = |message: &str| {
        let mut exchange = Exchange::begin(Mechanism::ScramSha256, &with("user", "pencil", "abc")).unwrap();
        exchange.initial().unwrap();
        exchange.answer(message.as_bytes()).map(|_| ())
    };
    assert_eq!(first("r=abcd,s=c2FsdA==,i=4096"), Ok(()));
    assert_eq!(first("r=xabc,s=c2FsdA==,i=4096"), Err(SaslError::Nonce));
    assert_eq!(first("r=abc,s=c2FsdA==,i=4096"), Err(SaslError::Nonce));
    assert_eq!(first("r=abcd,s=c2FsdA==,i=4095"), Err(SaslError::Iterations { count: 4095 }));
    assert_eq!(first("r=abcd,s=c2FsdA==,i=4294967295"), Err(SaslError::Iterations { count: u32::MAX }));
    for odd in [
        "m=must,r=abcd,s=c2FsdA==,i=4096",
        "r=abcd,s=,i=4096",
        "r=abcd,s=!,i=4096",
        "r=abcd,s=c2FsdA==,i=-1",
        "r=abcd",
    ] {
        assert!(matches!(first(odd), Err(SaslError::Challenge { .. })), "{odd}");
    }
}

#[test]
fn names_with_signs_of_the_exchange_are_escaped() {
    let mut exchange = Exchange::begin(Mechanism::ScramSha1, &with("a=b,c", "p", "n")).unwrap();
    assert_eq!(text(&exchange.initial().unwrap()), "n,,n=a=3Db=2Cc,r=n");
    assert!(matches!(
        Exchange::begin(Mechanism::ScramSha1, &with("a\u{7}b", "p", "n")),
        Err(SaslError::Unprintable)
    ));
}

#[test]
fn cram_md5_answers_as_in_the_example_of_its_standard() {
    let mut exchange = Exchange::begin(Mechanism::CramMd5, &with("tim", "tanstaaftanstaaf", "n")).unwrap();
    assert!(exchange.initial().is_none());
    let answer = exchange.answer(b"<1896.697170952@postoffice.reston.mci.net>").unwrap();
    assert_eq!(text(&answer), "tim b913a602c7eda7a495b4e6e7334d3890");
    assert!(exchange.answer(b"<another>").is_err(), "the password answers one challenge, not many");
}

#[test]
fn tokens_are_carried_as_their_providers_and_the_standard_write_them() {
    let google = with_token("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    let mut exchange = Exchange::begin(Mechanism::XOAuth2, &google).unwrap();
    assert_eq!(
        exchange.initial_line(4000).unwrap().as_str(),
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    );
    let standard = Credential {
        server: ("server.example.com".into(), 143),
        ..with_token("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    };
    let mut exchange = Exchange::begin(Mechanism::OAuthBearer, &standard).unwrap();
    assert_eq!(
        text(&exchange.initial().unwrap()),
        "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    );
}

#[test]
fn what_a_server_tells_of_a_refused_token_is_kept_and_acknowledged() {
    for (mechanism, end) in [(Mechanism::XOAuth2, &b""[..]), (Mechanism::OAuthBearer, &b"\x01"[..])] {
        let mut exchange = Exchange::begin(mechanism, &with_token("u", "t")).unwrap();
        exchange.initial().unwrap();
        let json = r#"{"status":"401","schemes":"Bearer","scope":"mail"}"#;
        assert_eq!(exchange.answer(json.as_bytes()).unwrap().as_slice(), end);
        assert_eq!(exchange.failure(), Some(json));
    }
}

#[test]
fn login_gives_name_and_password_whatever_the_server_calls_them() {
    for (ask, again) in [("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("User Name", "Password please")] {
        let mut exchange = Exchange::begin(Mechanism::Login, &with("user", "secret", "n")).unwrap();
        assert_eq!(exchange.answer_line(ask).unwrap().as_str(), "dXNlcg==");
        assert_eq!(exchange.answer_line(again).unwrap().as_str(), "c2VjcmV0");
        assert!(exchange.answer_line("TW9yZT8=").is_err());
    }
}

#[test]
fn a_first_answer_that_is_too_long_for_the_command_waits_for_the_challenge() {
    let mut exchange = Exchange::begin(Mechanism::Plain, &with("user", "secret", "n")).unwrap();
    assert!(exchange.initial_line(10).is_none());
    assert_eq!(exchange.answer_line("").unwrap().as_str(), "AHVzZXIAc2VjcmV0");
}

#[test]
fn the_strongest_mechanism_comes_first_and_a_readable_one_after_it() {
    let all = offer(&["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "scram-sha-256", "GSSAPI"]);
    let user = with("u", "p", "n");
    let strongest = [Way::Sasl(Mechanism::ScramSha256), Way::Sasl(Mechanism::Plain)];
    assert_eq!(plan(&user, &all).unwrap(), strongest);
    let refused = Credential { avoid: vec![Mechanism::ScramSha256, Mechanism::ScramSha1], ..user.clone() };
    assert_eq!(plan(&refused, &all).unwrap()[0], Way::Sasl(Mechanism::CramMd5));
    let command = Offer { command: true, ..offer(&["GSSAPI"]) };
    assert_eq!(plan(&user, &command).unwrap(), [Way::Command]);
}

#[test]
fn who_reads_the_line_gets_no_password_by_refusing_the_challenge() {
    let open = Credential { protected: false, ..with("u", "p", "n") };
    assert_eq!(plan(&open, &offer(&["PLAIN", "CRAM-MD5"])).unwrap(), [Way::Sasl(Mechanism::CramMd5)]);
    assert_eq!(plan(&open, &offer(&["PLAIN"])).unwrap(), [Way::Sasl(Mechanism::Plain)]);
}

#[test]
fn a_mechanism_of_the_settings_is_the_only_one() {
    let only = Credential { only: Some(Mechanism::ScramSha256), ..with("u", "p", "n") };
    assert_eq!(
        plan(&only, &offer(&["PLAIN", "SCRAM-SHA-256"])).unwrap(),
        [Way::Sasl(Mechanism::ScramSha256)]
    );
    let downgraded = plan(&only, &Offer { command: true, ..offer(&["PLAIN", "CRAM-MD5"]) }).unwrap_err();
    assert_eq!(downgraded, NoMechanism { offered: "PLAIN CRAM-MD5".into(), wanted: "SCRAM-SHA-256".into() });
}

#[test]
fn a_token_goes_by_token_mechanisms_alone_and_a_password_never() {
    let token = with_token("u", "t");
    assert_eq!(plan(&token, &offer(&["PLAIN", "XOAUTH2"])).unwrap(), [Way::Sasl(Mechanism::XOAuth2)]);
    assert_eq!(
        plan(&token, &offer(&["XOAUTH2", "OAUTHBEARER"])).unwrap(),
        [Way::Sasl(Mechanism::OAuthBearer)]
    );
    assert!(plan(&token, &Offer { command: true, ..offer(&["PLAIN"]) }).is_err());
    assert!(plan(&with("u", "p", "n"), &offer(&["XOAUTH2", "OAUTHBEARER"])).is_err());
}

#[test]
fn secrets_never_show_in_debug_output_or_in_a_servers_text() {
    let credential = with("user", "hunter2", "n");
    let exchange = Exchange::begin(Mechanism::Plain, &credential).unwrap();
    assert!(!format!("{credential:?} {exchange:?}").contains("hunter2"));
    let echoed = credential.clean(&format!("{}bad password hunter2 for you", "y".repeat(183)));
    assert!(!echoed.contains("hunt"), "{echoed}");
}

#[test]
fn both_sides_agree_on_the_keys_of_any_password() {
    for (hash, password) in [(Hash::Sha1, "pencil"), (Hash::Sha256, "пароль with spaces")] {
        let keys = scram::Keys::derive(hash, password, b"salt", 4096).unwrap();
        let proof = keys.client_proof("message");
        assert!(keys.accepts("message", &proof));
        assert!(!keys.accepts("another", &proof) && !keys.accepts("message", &proof[1..]));
    }
}

proptest! {
    #[test]
    fn no_challenge_makes_an_exchange_panic_or_go_on_for_ever(
        which in 0..Mechanism::ALL.len(),
        lines in prop::collection::vec("[ -~]{0,60}", 0..12),
        octets in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mechanism = Mechanism::ALL[which];
        let credential = if mechanism.takes_token() { with_token("u", "t") } else { with("u", "p", "n") };
        let mut exchange = Exchange::begin(mechanism, &credential).unwrap();
        for line in &lines {
            let _ = exchange.answer_line(line);
        }
        let _ = exchange.answer(&octets);
        for _ in 0..10 {
            let _ = exchange.answer(b"");
        }
        prop_assert!(exchange.answer(b"").is_err());
    }

    #[test]
    fn no_challenge_is_answered_with_the_password_by_a_strong_mechanism(challenge in "[ -~]{0,80}") {
        for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5] {
            let mut exchange = Exchange::begin(mechanism, &with("u", "top-secret", "n")).unwrap();
            exchange.initial();
            if let Ok(answer) = exchange.answer(challenge.as_bytes()) {
                prop_assert!(!String::from_utf8_lossy(&answer).contains("top-secret"));
            }
        }
    }

    #[test]
    fn a_plan_holds_two_ways_at_most_and_only_offered_ones(names in prop::collection::vec("[A-Z0-9-]{0,14}|PLAIN|LOGIN|CRAM-MD5|SCRAM-SHA-1", 0..6), command: bool, protected: bool) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let offer = Offer { command, ..offer(&names) };
        let credential = Credential { protected, ..with("u", "p", "n") };
        if let Ok(ways) = plan(&credential, &offer) {
            prop_assert!((1..=2).contains(&ways.len()));
            for way in ways {
                let offered = match way {
                    Way::Sasl(mechanism) => offer.known.contains(&mechanism),
                    Way::Command => command,
                };
                prop_assert!(offered);
            }
        }
    }
}

#![no_main]
//! Challenges of a mail server: every mechanism answers or gives up, none shows the password that it must not, and every
//! exchange ends.

use mailbox::Password;
use mailbox::oauth::AccessToken;
use mailbox::sasl::{Credential, Exchange, Mechanism, Secret};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((which, octets)) = octets.split_first() else { return };
    let mechanism = Mechanism::ALL[usize::from(*which) % Mechanism::ALL.len()];
    let mut credential = Credential::of_password("user", Password::new("top-secret".into()), "nonce".into());
    if mechanism.takes_token() {
        credential.secret = Secret::Token(AccessToken::new("token".into()));
    }
    let Ok(mut exchange) = Exchange::begin(mechanism, &credential) else { return };
    if which & 1 == 0 {
        let _ = exchange.initial();
    }
    for challenge in octets.split(|octet| *octet == b'\n') {
        let answer = exchange.answer(challenge);
        let line = exchange.answer_line(&String::from_utf8_lossy(challenge));
        if !mechanism.is_readable() {
            assert!(!answer.is_ok_and(|answer| answer.windows(10).any(|window| window == b"top-secret")));
            assert!(!line.is_ok_and(|line| line.contains("dG9wLXNlY3JldA")));
        }
    }
    for _ in 0..16 {
        let _ = exchange.answer(b"");
    }
    assert!(exchange.answer(b"").is_err());
});

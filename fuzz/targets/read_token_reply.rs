#![no_main]
//! What a provider of access tokens answers, what a token says of itself, and what a mail server says of it: read without a
//! panic, and never shown with the token in it.

use jiff::Timestamp;
use mailbox::oauth::{AccessToken, Claims, ProviderError, TokenRefused, device::Prompt, reply};
use mailbox::sasl::Service;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        if let Ok(token) = reply::read(200, octets, now) {
            assert!(token.expires >= now);
            let _ = Claims::of(&token.access);
        }
        let _ = Prompt::read(200, octets, now);
    }
    let text = String::from_utf8_lossy(octets);
    let _ = ProviderError::new(&text, &text).advice();
    let token = AccessToken::new(text.clone().into_owned());
    let _ = Claims::of(&token);
    let _ = TokenRefused::new(Service::Imap, &text, Some(&text), &AccessToken::new("the-token".into()))
        .to_string();
});

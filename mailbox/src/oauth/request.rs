//! What a provider is asked: the bodies of requests, `application/x-www-form-urlencoded`. Pure.

use zeroize::Zeroizing;

use crate::{
    account::Password,
    oauth::{AccessToken, Endpoints, Flow, OAuth2Settings},
};

/// Asks for an access token: by the client secret (RFC 6749 section 4.4.2), or by the refresh token (section 6).
/// `None` when the flow needs a refresh token and there is none.
#[must_use]
pub fn token(
    settings: &OAuth2Settings,
    endpoints: &Endpoints,
    secret: &Password,
    refresh: Option<&AccessToken>,
) -> Option<Zeroizing<String>> {
    let mut form = Form::of(settings, secret);
    match settings.flow {
        Flow::ClientCredentials => form.add("grant_type", "client_credentials"),
        Flow::RefreshToken => {
            form.add("grant_type", "refresh_token");
            form.add("refresh_token", refresh?.reveal());
        }
    }
    if let Some(scope) = &endpoints.scope {
        form.add("scope", scope);
    }
    Some(form.0)
}

/// Begins a sign-in by code (RFC 8628 section 3.1).
#[must_use]
pub fn device(settings: &OAuth2Settings, endpoints: &Endpoints) -> Zeroizing<String> {
    let mut form = Form::of(settings, &Password::new(String::new()));
    if let Some(scope) = &endpoints.scope {
        form.add("scope", scope);
    }
    form.0
}

/// Asks whether the person has signed in (RFC 8628 section 3.4).
#[must_use]
pub fn device_token(settings: &OAuth2Settings, secret: &Password, device_code: &str) -> Zeroizing<String> {
    let mut form = Form::of(settings, secret);
    form.add("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    form.add("device_code", device_code);
    form.0
}

/// One body. Its room is made beforehand: a text that grows leaves copies of its secrets behind.
struct Form(Zeroizing<String>);

impl Form {
    fn of(settings: &OAuth2Settings, secret: &Password) -> Self {
        const ROOM: usize = 3 * (AccessToken::OCTETS_MAX + Password::OCTETS_MAX + 4096);
        let mut form = Self(Zeroizing::new(String::with_capacity(ROOM)));
        form.add("client_id", &settings.client_id);
        if !secret.reveal().is_empty() {
            form.add("client_secret", secret.reveal());
        }
        form
    }

    fn add(&mut self, key: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(key);
        self.0.push('=');
        for octet in value.bytes() {
            match octet {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.0.push(char::from(octet));
                }
                _ => {
                    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value & 15)]);
                    self.0.push('%');
                    self.0.push(digit(octet >> 4));
                    self.0.push(digit(octet));
                }
            }
        }
    }
}

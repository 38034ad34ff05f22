//! What is answered to a request (RFC 6749, RFC 7662, RFC 8628).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::issuer::{Issuer, Owner};

/// A request: its path and the fields of query and form.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) fields: HashMap<String, String>,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON, as a rule.
    pub body: String,
}

impl Answer {
    /// JSON with a status.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self { status, body: value.to_string() }
    }

    /// An error of a token endpoint (RFC 6749 section 5.2).
    #[must_use]
    pub fn error(code: &str, description: &str) -> Self {
        let status = if code == "invalid_client" { 401 } else { 400 };
        Self::json(status, &json!({"error": code, "error_description": description}))
    }

    /// An error as Microsoft writes it, with its number.
    #[must_use]
    pub fn microsoft(code: &str, number: u32, words: &str) -> Self {
        let description = format!(
            "AADSTS{number}: {words}\r\nTrace ID: 0a1b\r\nCorrelation ID: 2c3d\r\nTimestamp: 2026-11-21 12:00:00Z"
        );
        let status = if code == "invalid_client" { 401 } else { 400 };
        Self::json(status, &json!({"error": code, "error_description": description, "error_codes": [number]}))
    }
}

pub(super) fn answer(asked: &Asked, issuer: &Issuer) -> Answer {
    let field = |name: &str| asked.fields.get(name).map(String::as_str).unwrap_or_default();
    match asked.path.rsplit('/').next().unwrap_or_default() {
        "introspect" => {
            let token = if field("token").is_empty() { field("bearer") } else { field("token") };
            match issuer.owner(token) {
                Some(Owner { mailbox, scope, .. }) => Answer::json(
                    200,
                    &json!({"active": true, "username": mailbox, "scope": scope, "token_type": "Bearer"}),
                ),
                None => Answer::json(200, &json!({"active": false})),
            }
        }
        "devicecode" => match issuer.begin_sign_in(field("client_id"), field("scope")) {
            Some((device_code, user_code)) => Answer::json(
                200,
                &json!({
                    "device_code": device_code, "user_code": user_code, "expires_in": 900, "interval": 0,
                    "verification_uri": "https://token.sandbox.example/device",
                }),
            ),
            None => Answer::error("invalid_client", "no such client"),
        },
        "token" => match issuer.scripted() {
            Some(answer) => answer,
            None => token(asked, issuer),
        },
        _ => Answer::json(404, &json!({})),
    }
}

fn token(asked: &Asked, issuer: &Issuer) -> Answer {
    let field = |name: &str| asked.fields.get(name).map(String::as_str).unwrap_or_default();
    let (client, secret, scope) = (field("client_id"), field("client_secret"), field("scope"));
    if !issuer.knows(client) {
        return Answer::microsoft(
            "unauthorized_client",
            700_016,
            "Application was not found in the directory.",
        );
    }
    if !issuer.takes(client, secret) {
        return Answer::microsoft("invalid_client", 7_000_215, "Invalid client secret provided.");
    }
    let given = match field("grant_type") {
        "client_credentials" => issuer.for_client(client, scope),
        "refresh_token" => issuer.for_refresh(client, field("refresh_token"), scope),
        "urn:ietf:params:oauth:grant-type:device_code" => {
            match issuer.finish_sign_in(client, field("device_code")) {
                Ok(given) => given,
                Err(code) => return Answer::error(code, ""),
            }
        }
        _ => return Answer::error("unsupported_grant_type", ""),
    };
    match given {
        Some(given) => {
            let mut value = json!({"token_type": "Bearer", "access_token": given.access, "expires_in": given.life.as_secs()});
            if let Some(refresh) = given.refresh {
                value["refresh_token"] = refresh.into();
            }
            Answer::json(200, &value)
        }
        None => Answer::error("invalid_grant", "the grant is not good"),
    }
}

/// The fields of a form; what is no form has none.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    let fields = text.split('&').filter_map(|field| field.split_once('='));
    fields.map(|(name, value)| (unescaped(name), unescaped(value))).collect()
}

fn unescaped(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, code.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(octet)) => {
                octets.push(octet);
                rest = &behind[2..];
            }
            (octet, _) => {
                octets.push(if octet == b'+' { b' ' } else { octet });
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::form;

    #[test]
    fn forms_are_read_as_they_are_written() {
        let fields = form("a=b%20c%2B&d=+e&f");
        assert_eq!((fields["a"].as_str(), fields["d"].as_str(), fields.len()), ("b c+", " e", 2));
        assert_eq!(form("a=%zz%")["a"], "%zz%");
    }
}

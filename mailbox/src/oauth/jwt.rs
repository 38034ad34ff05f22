//! What an access token says of itself, where it is a JWT (RFC 7519): read without trust, for words to a person alone.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::oauth::AccessToken;

/// Claims that explain why a mail server refuses a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Permissions of an application (client credentials).
    pub roles: Option<Vec<String>>,
    /// Permissions that a person gave, separated by spaces.
    pub scp: Option<String>,
    /// For which service the token is.
    pub aud: Option<String>,
}

impl Claims {
    /// The claims of a token; `None` where it is not a JWT that can be read.
    #[must_use]
    pub fn of(token: &AccessToken) -> Option<Self> {
        let mut parts = token.reveal().split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let octets = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&octets).ok()
    }
}

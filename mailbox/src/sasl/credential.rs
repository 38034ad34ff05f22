//! What one login needs.

use std::fmt;

use crate::{
    account::{Password, fits_a_line},
    oauth::AccessToken,
    sasl::Mechanism,
    server_text::clean,
};

/// Which service is logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Handing mail in.
    Smtp,
    /// Fetching by POP3.
    Pop3,
    /// Fetching by IMAP.
    Imap,
}

/// What proves who logs in.
#[derive(Clone)]
pub enum Secret {
    /// A password.
    Password(Password),
    /// An access token (RFC 6750).
    Token(AccessToken),
}

/// Everything that one login needs, put together at the moment of the login.
#[derive(Clone)]
pub struct Credential {
    /// Login name.
    pub username: String,
    /// What proves it.
    pub secret: Secret,
    /// The mechanism that the settings name; no other is used then.
    pub only: Option<Mechanism>,
    /// Whether nobody on the line can read along.
    pub protected: bool,
    /// Mechanisms that this server offers, but that it refused here before another one worked.
    pub avoid: Vec<Mechanism>,
    /// Random and unguessable, printable ASCII without a comma (RFC 5802 section 5.1).
    pub nonce: String,
    /// Name and port of the server (RFC 7628 section 3.1).
    pub server: (String, u16),
}

impl Credential {
    /// User name and password over a protected connection, by any mechanism. `nonce`: see [`Self::nonce`].
    #[must_use]
    pub fn of_password(username: &str, password: Password, nonce: String) -> Self {
        Self {
            username: username.to_owned(),
            secret: Secret::Password(password),
            only: None,
            protected: true,
            avoid: Vec::new(),
            nonce,
            server: (String::new(), 0),
        }
    }

    /// Whether name and secret are there and cannot carry a second command.
    pub(crate) fn is_sound(&self) -> bool {
        let secret = self.secret.reveal();
        !self.username.is_empty()
            && fits_a_line(&self.username)
            && fits_a_line(secret)
            // Within a token message 0x01 ends a part.
            && (matches!(self.secret, Secret::Password(_)) || !self.username.contains('\x01') && is_b64token(secret))
    }
}

impl Credential {
    /// A server's text without our secret, cleaned and cut: it goes into errors and logs.
    pub(crate) fn clean(&self, text: &str) -> String {
        let secret = self.secret.reveal();
        if secret.is_empty() || !text.contains(secret) {
            return clean(text.as_bytes());
        }
        clean(text.replace(secret, "<secret>").as_bytes())
    }
}

/// RFC 6750 section 2.1: what an access token consists of.
fn is_b64token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

impl Secret {
    /// The secret itself, for the login alone.
    pub(crate) fn reveal(&self) -> &str {
        match self {
            Self::Password(password) => password.reveal(),
            Self::Token(token) => token.reveal(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "<password>",
            Self::Token(_) => "<access token>",
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("username", &self.username)
            .field("secret", &self.secret)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

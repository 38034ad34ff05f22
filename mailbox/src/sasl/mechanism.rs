//! The mechanisms by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A SASL mechanism that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// RFC 7677: the password never travels, and the server proves that it knows it.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// RFC 5802: the same over the older hash.
    #[serde(rename = "scram-sha-1")]
    ScramSha1,
    /// RFC 2195: the password never travels, but whoever listens can try passwords at leisure.
    #[serde(rename = "cram-md5")]
    CramMd5,
    /// RFC 4616: name and password, readable.
    Plain,
    /// The older form of the same, in two steps.
    Login,
    /// RFC 7628: an access token.
    #[serde(rename = "oauthbearer")]
    OAuthBearer,
    /// The older form of the same, as Google and Microsoft document it.
    #[serde(rename = "xoauth2")]
    XOAuth2,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 7] = [
        Self::ScramSha256,
        Self::ScramSha1,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
        Self::OAuthBearer,
        Self::XOAuth2,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// Whether it takes an access token and no password.
    #[must_use]
    pub fn takes_token(self) -> bool {
        matches!(self, Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether what it sends can be read by whoever reads the line.
    #[must_use]
    pub fn is_readable(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of the mechanisms here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mechanism that is known here")]
pub struct UnknownMechanism(pub String);

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    /// Reads a name in any case.
    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownMechanism(crate::server_text::clean(name.as_bytes())))
    }
}

//! Tokens, and when they are due.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An access token (RFC 6750): wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessToken(String);

impl AccessToken {
    /// Longest one, in octets. Microsoft's have some two thousand.
    pub const OCTETS_MAX: usize = 16 << 10;

    /// Takes the text as it is; what cannot stand in a login is refused there.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the login alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A token is fetched anew this long before its end, so that none runs out between the look and the login.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// What an account has of its provider, as it lies in its file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// For whom it was given: client, endpoint and scope. A token of other settings is not used.
    pub issued_for: String,
    /// The last access token, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessToken>,
    /// When it was fetched, by this machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Timestamp>,
    /// When it runs out, by this machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The newest refresh token, where the flow has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<AccessToken>,
}

impl StoredToken {
    /// Nothing yet but perhaps a refresh token.
    #[must_use]
    pub fn empty(issued_for: String, refresh: Option<AccessToken>) -> Self {
        Self { issued_for, access: None, fetched: None, expires: None, refresh }
    }

    /// Whether another access token must be fetched before a login at `now`: there is none, it ends within the margin
    /// (a tenth of its life, five minutes at most), or the clock stands before the time that it was fetched at.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let (Some(_), Some(fetched), Some(expires)) = (&self.access, self.fetched, self.expires) else {
            return true;
        };
        let life = expires.duration_since(fetched);
        let margin = MARGIN.min(life / 10);
        now < fetched || expires.duration_since(now) <= margin
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredToken")
            .field("issued_for", &self.issued_for)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

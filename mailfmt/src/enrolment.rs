//! First contact: the code on paper, and the keys that it and the exchange of halves give.
//!
//! The code keys [`Hello`](crate::message::enrolment::Hello) and [`Offer`](crate::message::enrolment::Offer). What
//! follows is keyed by the code together with an ephemeral exchange, so that a code that leaks afterwards opens nothing
//! that was recorded before. The code itself never travels.
//!
//! Source: JP 2003-074237.

mod check;
mod code;

pub use code::{CodeError, ProvisionalCode};

use crate::crypto::{ChannelKey, Credential, Direction};
use crate::digest::{from_hex, to_hex};
use crate::envelope::Sender;
use crate::exchange::{EphemeralPublic, EphemeralSecret, Halves, WeakKey};
use crate::ids::{AgentId, IdError};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroize as _;

/// What an appliance is called as long as it has no id: derived from its code, so that the center finds the code at
/// once; tells nothing of the code. Written as `E` and 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeId([u8; 8]);

impl CodeId {
    /// The code id that stands as the sender of an envelope; `None` if it is none.
    #[must_use]
    pub fn of_sender(sender: &Sender) -> Option<Self> {
        sender.as_str().parse().ok()
    }
}

impl ProvisionalCode {
    /// The code's public name.
    #[must_use]
    pub fn id(&self) -> CodeId {
        let mut id = [0; 8];
        derive(self.octets(), b"mailfmt 1 code id", &mut id);
        CodeId(id)
    }

    /// The key of hello (to the center) or offer (to the appliance).
    #[must_use]
    pub fn channel(&self, direction: Direction) -> ChannelKey {
        channel(self.octets(), direction, b"mailfmt 1 hello", b"mailfmt 1 offer")
    }
}

/// The keys of registration and admission: bound to the code and to both halves of one exchange. Printed as `<secret>`.
#[derive(Clone)]
pub struct Session(Credential);

/// The session of one exchange. `own` is the own half, `theirs` the other side's; `halves` are both in their order.
///
/// # Errors
/// [`WeakKey`] when the other half is no proper one.
pub fn session(
    code: &ProvisionalCode,
    own: &EphemeralSecret,
    theirs: &EphemeralPublic,
    halves: Halves,
) -> Result<Session, WeakKey> {
    own.agree(theirs, halves, code.octets(), b"enrolment").map(Session)
}

impl Session {
    /// The key of registration (to the center) or admission (to the appliance).
    #[must_use]
    pub fn channel(&self, direction: Direction) -> ChannelKey {
        channel(self.0.expose(), direction, b"mailfmt 1 registration", b"mailfmt 1 admission")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(<secret>)")
    }
}

fn channel(secret: &[u8], direction: Direction, to_center: &[u8], to_appliance: &[u8]) -> ChannelKey {
    let label = match direction {
        Direction::ToCenter => to_center,
        Direction::ToAppliance => to_appliance,
    };
    let mut key = [0; 32];
    derive(secret, label, &mut key);
    let channel = ChannelKey::from_octets(key);
    key.zeroize();
    channel
}

fn derive(secret: &[u8], label: &[u8], key: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(b"mailfmt enrolment"), secret)
        .expand(label, key)
        .expect("at most 32 octets is a length HKDF-SHA-256 can give");
}

impl std::fmt::Display for CodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("E{}", to_hex(&self.0)))
    }
}

impl std::fmt::Debug for CodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CodeId({self})")
    }
}

impl std::str::FromStr for CodeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix('E').and_then(|digits| from_hex(digits).ok()).map(Self).ok_or_else(|| IdError {
            what: "code id",
            length: "17",
            allowed: "E and 16 lower-case hex digits",
            found: text.chars().take(80).collect(),
        })
    }
}

impl TryFrom<String> for CodeId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<CodeId> for String {
    fn from(id: CodeId) -> Self {
        id.to_string()
    }
}

impl From<CodeId> for AgentId {
    fn from(id: CodeId) -> Self {
        Self::new(&id.to_string()).expect("E and 16 hex digits are a valid agent id")
    }
}

impl From<CodeId> for Sender {
    fn from(id: CodeId) -> Self {
        AgentId::from(id).into()
    }
}

#[cfg(test)]
mod tests;

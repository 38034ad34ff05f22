//! Keys and randomness; besides [`crate::envelope`] and [`crate::package`] nothing names an algorithm.
//!
//! One 256-bit secret per appliance (the formal credential) gives one channel key per direction by HKDF-SHA-256
//! (RFC 5869). Every message has fresh keys of its own below it, so no nonce is ever used twice under a key,
//! whatever restarts or is restored from a backup.

use crate::digest::{HexError, from_hex, to_hex};
use crate::ids::{AgentId, CenterId};
pub use crate::random::Random;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Which way a message goes; each way has keys of its own, so that no message can be sent back to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Center to appliance: commands and receipts.
    ToAppliance,
    /// Appliance to center: reports.
    ToCenter,
}

/// The formal credential: the secret that an appliance and its center share. Debug-printed as `<secret>`; serialised
/// as 64 hex digits, for files that only their owner can read.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credential([u8; 32]);

impl Credential {
    /// A new one from 256 random bits.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut octets = [0; 32];
        random.fill(&mut octets);
        Self(octets)
    }

    /// From its 32 octets.
    #[must_use]
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Its 32 octets, for storing in a file that only its owner can read.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// As 64 hex digits, for a file that only its owner can read.
    #[must_use]
    pub fn expose_hex(&self) -> String {
        to_hex(&self.0)
    }

    /// From 64 hex digits.
    ///
    /// # Errors
    /// [`HexError`] without the text itself, which may be a secret with a typing error.
    pub fn from_hex(text: &str) -> Result<Self, HexError> {
        from_hex(text.trim()).map(Self).map_err(|error| HexError {
            found: format!("<{} characters>", text.trim().chars().count()),
            ..error
        })
    }

    /// The key of one direction between this appliance and this center.
    #[must_use]
    pub fn channel(&self, direction: Direction, agent: &AgentId, center: &CenterId) -> ChannelKey {
        let label: &[u8] = match direction {
            Direction::ToAppliance => b"mailfmt 1 to appliance",
            Direction::ToCenter => b"mailfmt 1 to center",
        };
        let mut key = [0; 32];
        // Ids cannot hold a NUL, so the parts cannot run into each other.
        let info = [label, agent.as_str().as_bytes(), center.as_str().as_bytes()].join(&0u8);
        Hkdf::<Sha256>::new(Some(b"mailfmt credential"), &self.0)
            .expand(&info, &mut key)
            .expect("32 octets is a length HKDF-SHA-256 can give");
        ChannelKey(key)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(<secret>)")
    }
}

impl From<Credential> for String {
    fn from(credential: Credential) -> Self {
        credential.expose_hex()
    }
}

impl TryFrom<String> for Credential {
    type Error = HexError;
    fn try_from(mut text: String) -> Result<Self, HexError> {
        let credential = Self::from_hex(&text);
        text.zeroize();
        credential
    }
}

/// The key of one direction between one appliance and one center. Printed as `<secret>`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ChannelKey([u8; 32]);

impl ChannelKey {
    pub(crate) fn from_octets(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key and the tag of the key block for this channel in the envelope with this salt.
    pub(crate) fn block_key(&self, salt: &[u8; 32]) -> BlockKey {
        let mut okm = [0; 40];
        Hkdf::<Sha256>::from_prk(&self.0)
            .expect("32 octets is long enough for a pseudo-random key")
            .expand_multi_info(&[b"mailfmt 1 key block\0", salt], &mut okm)
            .expect("40 octets is a length HKDF-SHA-256 can give");
        let mut block = BlockKey { key: [0; 32], tag: [0; 8] };
        let (key, tag) = okm.split_at(32);
        block.key.copy_from_slice(key);
        block.tag.copy_from_slice(tag);
        okm.zeroize();
        block
    }
}

impl std::fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelKey(<secret>)")
    }
}

#[derive(ZeroizeOnDrop)]
pub(crate) struct BlockKey {
    pub(crate) key: [u8; 32],
    pub(crate) tag: [u8; 8],
}

/// The key under which one package is encrypted, once for all sites of a rollout. Printed as `<secret>`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// A new one from 256 random bits. Never seal two packages under one key.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut octets = [0; 32];
        random.fill(&mut octets);
        Self(octets)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As 64 hex digits, for a file or row that only its owner can read.
    #[must_use]
    pub fn expose_hex(&self) -> String {
        to_hex(&self.0)
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(<secret>)")
    }
}

impl From<ContentKey> for String {
    fn from(key: ContentKey) -> Self {
        key.expose_hex()
    }
}

impl TryFrom<String> for ContentKey {
    type Error = HexError;
    fn try_from(mut text: String) -> Result<Self, HexError> {
        let key = from_hex(&text).map(Self);
        text.zeroize();
        key.map_err(|error| HexError { found: "<secret>".to_owned(), ..error })
    }
}

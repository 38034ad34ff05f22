//! Signing keys: Ed25519 (RFC 8032). What a key may sign says its role in the [root](super::Root).

use crate::crypto::Random;
use crate::digest::{Digest, HexError, from_hex, to_hex};
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The first 8 octets of the SHA-256 of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

impl std::str::FromStr for KeyId {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        from_hex(text.trim()).map(Self)
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a private key in PEM.
    #[error("not an Ed25519 private key in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`)")]
    PrivatePem,
    /// Not a public key.
    #[error("not an Ed25519 public key")]
    Public,
    /// An encrypted file, and no passphrase.
    #[error("the key file is encrypted: its passphrase is needed")]
    PassphraseNeeded,
    /// Another passphrase, or an encryption that is not ours.
    #[error("the passphrase is not that of the key file")]
    Passphrase,
    /// Not the right number of hex digits.
    #[error("not an Ed25519 public key in hex")]
    Hex(#[from] HexError),
}

/// A private key. Printed as `<secret>`; wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(pub(super) ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new one from 256 random bits.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        random.fill(seed.as_mut_slice());
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// From PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it too.
    ///
    /// # Errors
    /// [`KeyError::PrivatePem`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| KeyError::PrivatePem)
    }

    /// As PKCS#8 PEM, for a file that only its owner can read.
    #[must_use]
    pub fn expose_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("an Ed25519 key always fits PKCS#8")
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, octets: &[u8]) -> [u8; 64] {
        self.0.sign(octets).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, <secret>)", self.public().id())
    }
}

/// A public key; written as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Its short name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Digest::of(self.0.as_bytes());
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        KeyId(id)
    }

    pub(crate) fn verifies(&self, octets: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(octets, &Signature::from_bytes(signature)).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&to_hex(self.0.as_bytes()))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl std::str::FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let octets = from_hex::<32>(text.trim())?;
        VerifyingKey::from_bytes(&octets).ok().filter(|key| !key.is_weak()).map(Self).ok_or(KeyError::Public)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

//! A role: the keys that may act for it, and how many of them must agree.

use super::keys::{KeyId, PublicKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most keys in one role. A person signs with each of them by hand.
pub const ROLE_KEYS_MAX: usize = 32;

/// A signature with the id of the key that made it: 72 octets where it is written.
pub type Signature = (KeyId, [u8; 64]);

/// Who may act for a role: at least `threshold` different ones of `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// How many of the keys must sign.
    pub threshold: u32,
    /// The keys; each once.
    pub keys: Vec<PublicKey>,
}

/// A role that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// Nobody, too many, or a threshold that means nothing or can never be reached.
    #[error(
        "{threshold} of {keys} keys must sign: from 1 to {ROLE_KEYS_MAX} keys, and from 1 to all of them"
    )]
    Threshold {
        /// The threshold.
        threshold: u32,
        /// The number of keys.
        keys: usize,
    },
    /// A key stands there twice, and would count twice.
    #[error("key {id} stands there twice")]
    Twice {
        /// The key.
        id: KeyId,
    },
}

impl Role {
    /// A role of one key.
    #[must_use]
    pub fn of(key: PublicKey) -> Self {
        Self { threshold: 1, keys: vec![key] }
    }

    /// Whether the role can be: a threshold within its keys, each key once.
    ///
    /// # Errors
    /// [`RoleError`].
    pub fn check(&self) -> Result<(), RoleError> {
        let keys = self.keys.len();
        let threshold = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        if threshold == 0 || threshold > keys || keys > ROLE_KEYS_MAX {
            return Err(RoleError::Threshold { threshold: self.threshold, keys });
        }
        let mut ids = BTreeSet::new();
        match self.keys.iter().map(PublicKey::id).find(|id| !ids.insert(*id)) {
            Some(id) => Err(RoleError::Twice { id }),
            None => Ok(()),
        }
    }

    /// The key of this id, if it is in the role.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The keys of the role that validly signed `octets`; each counts once, however often it signed.
    #[must_use]
    pub fn signers(&self, octets: &[u8], signatures: &[Signature]) -> BTreeSet<KeyId> {
        let signed = |key: &&PublicKey| {
            let id = key.id();
            signatures.iter().any(|(signer, signature)| *signer == id && key.verifies(octets, signature))
        };
        self.keys.iter().filter(signed).map(PublicKey::id).collect()
    }

    /// Whether so many keys signed as must.
    #[must_use]
    pub fn is_satisfied_by(&self, signers: &BTreeSet<KeyId>) -> bool {
        // A threshold of nothing would let anything pass.
        self.threshold > 0
            && usize::try_from(self.threshold).is_ok_and(|threshold| signers.len() >= threshold)
    }
}

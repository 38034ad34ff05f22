//! What a center states to people outside of the mail: one signature over a statement. It never passes as one over a mail, a
//! package, a root or a permit, and none of theirs as this.

use super::keys::{PublicKey, SigningKey};
use crate::digest::{HexError, from_hex, to_hex};
use serde::{Deserialize, Serialize};

/// What stands before the statement where it is signed.
const PREFIX: &[u8] = b"mailfmt statement 1\0";

/// A signature over a statement, with the key that made it. Whose key that is, a root has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The key.
    pub key: PublicKey,
    signature: Hex,
}

impl Attestation {
    /// Signs a statement.
    #[must_use]
    pub fn sign(statement: &[u8], key: &SigningKey) -> Self {
        Self { key: key.public(), signature: Hex(key.sign(&signed_octets(statement))) }
    }

    /// Whether the holder of the key signed exactly this statement.
    #[must_use]
    pub fn covers(&self, statement: &[u8]) -> bool {
        self.key.verifies(&signed_octets(statement), &self.signature.0)
    }
}

fn signed_octets(statement: &[u8]) -> Vec<u8> {
    [PREFIX, statement].concat()
}

/// An Ed25519 signature, written as 128 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex([u8; 64]);

impl From<Hex> for String {
    fn from(signature: Hex) -> Self {
        to_hex(&signature.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = HexError;
    fn try_from(text: String) -> Result<Self, HexError> {
        from_hex(&text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Root, SignedRoot};

    fn key() -> SigningKey {
        SigningKey::generate(&mut |octets: &mut [u8]| octets.fill(7))
    }

    #[test]
    fn a_statement_is_signed_as_a_whole_and_by_this_key() {
        let signed = Attestation::sign(b"verdict: updated", &key());
        assert!(signed.covers(b"verdict: updated"));
        assert!(!signed.covers(b"verdict: failed"));
        let other = SigningKey::generate(&mut |octets: &mut [u8]| octets.fill(8)).public();
        assert!(!Attestation { key: other, ..signed }.covers(b"verdict: updated"));
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(serde_json::from_str::<Attestation>(&text).unwrap(), signed);
    }

    #[test]
    fn a_signature_over_a_root_says_nothing_about_a_statement_of_the_same_octets() {
        let key = key();
        let role = crate::trust::Role::of(key.public());
        let at: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let root = Root {
            version: 1,
            center: crate::CenterId::new("CENTER").unwrap(),
            created: at,
            expires: at,
            root: role.clone(),
            release: role.clone(),
            command: role,
            revoked_packages: Default::default(),
            release_counter_reset: None,
            approval: None,
        };
        let signed = SignedRoot::unsigned(&root).unwrap().sign(&key).unwrap();
        let octets = signed.as_octets();
        let signature: [u8; 64] = octets[octets.len() - 64..].try_into().unwrap();
        let json = serde_json::to_vec(&root).unwrap();
        assert!(!Attestation { key: key.public(), signature: Hex(signature) }.covers(&json));
    }
}

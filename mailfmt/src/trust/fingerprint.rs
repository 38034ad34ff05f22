//! A root in few letters, for people to compare: on the sheet of paper and on the box that enrols stand the same.
//!
//! Whoever has a provisional code can answer a new box in the center's name, and so hand it roots of his own. What he
//! cannot do is find a root with the fingerprint of another one: it has 80 bits of a SHA-256.

use super::SignedRoot;
use super::document;
use crate::digest::Digest;
use std::fmt;
use std::str::FromStr;

/// The first 80 bits of the SHA-256 of a root's document, signatures left out. Text: five groups of four hexadecimal digits;
/// read with any spaces and hyphens, in capital or small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootFingerprint([u8; 10]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint of roots has 20 digits from 0 to 9 and a to f, in five groups")]
pub struct FingerprintError;

impl SignedRoot {
    /// What people compare; none for octets that are no document.
    #[must_use]
    pub fn fingerprint(&self) -> Option<RootFingerprint> {
        let parts = document::split(self.as_octets()).ok()?;
        Digest::of(parts.json).as_bytes().first_chunk().copied().map(RootFingerprint)
    }
}

impl RootFingerprint {
    /// Whether one of these roots is the one that was compared. Of a chain that was followed to its end that is enough: each
    /// later root is signed by the one before it.
    #[must_use]
    pub fn is_of_one_in(self, chain: &[SignedRoot]) -> bool {
        chain.iter().any(|root| root.fingerprint() == Some(self))
    }
}

impl fmt::Display for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, pair) in self.0.chunks(2).enumerate() {
            f.write_str(if nth == 0 { "" } else { "-" })?;
            pair.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for RootFingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).take(21).collect();
        crate::digest::from_hex::<10>(&digits.to_ascii_lowercase()).map(Self).map_err(|_| FingerprintError)
    }
}

impl From<RootFingerprint> for String {
    fn from(fingerprint: RootFingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for RootFingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Role, Root, SigningKey};

    fn root(seed: u8) -> SignedRoot {
        let key = |seed: u8| SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed));
        let root = Root {
            version: 1,
            center: "CENTER".parse().unwrap(),
            created: jiff::Timestamp::UNIX_EPOCH,
            expires: jiff::Timestamp::UNIX_EPOCH,
            root: Role::of(key(seed).public()),
            release: Role::of(key(seed + 1).public()),
            command: Role::of(key(seed + 2).public()),
            revoked_packages: Default::default(),
            release_counter_reset: None,
            approval: None,
        };
        SignedRoot::unsigned(&root).unwrap().sign(&key(seed)).unwrap()
    }

    #[test]
    fn a_fingerprint_is_read_as_people_write_it() {
        let ours = root(1).fingerprint().unwrap();
        let text = ours.to_string();
        assert_eq!((text.len(), text.matches('-').count()), (24, 4), "{text}");
        for written in [text.clone(), text.to_uppercase(), text.replace('-', " "), text.replace('-', "")] {
            assert_eq!(written.parse(), Ok(ours), "{written}");
        }
        for wrong in ["", "1234", "xxxx-xxxx-xxxx-xxxx-xxxx", &format!("{text}0"), &text[1..]] {
            assert_eq!(wrong.parse::<RootFingerprint>(), Err(FingerprintError), "{wrong}");
        }
    }

    #[test]
    fn only_the_root_itself_has_its_fingerprint_whoever_signs_it() {
        let (ours, theirs) = (root(1), root(7));
        let compared = ours.fingerprint().unwrap();
        assert!(compared.is_of_one_in(&[theirs.clone(), ours.clone()]));
        assert!(!compared.is_of_one_in(&[theirs]) && !compared.is_of_one_in(&[]));
        let more = ours.sign(&SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(9))).unwrap();
        assert_eq!(more.fingerprint(), Some(compared));
        assert_eq!(SignedRoot::from_octets(b"nothing".to_vec()).fingerprint(), None);
    }
}

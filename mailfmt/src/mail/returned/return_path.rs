//! Return paths of our own for every message: `local+TAG@domain`.
//!
//! A bounce goes to the return path of the mail that failed. Where each message has one of its own, the address alone says
//! which message came back, however little the bounce quotes; and since the tag carries a code that only the sender can make,
//! nobody can invent a bounce for a message whose mail he has not seen.

use super::facts::Facts;
use crate::ids::MessageId;
use crate::random::Random;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Characters of a tag: 16 octets of the message id and 9 of its code, in base32.
pub const TAG_CHARACTERS: usize = 40;

/// Longest part of an address before the `@` (RFC 5321, 4.5.3.1.1).
const LOCAL_MAX: usize = 64;

const CODE_OCTETS: usize = 9;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The sender's secret for tags. Whoever loses it loses only the certainty of what comes back.
#[derive(Clone)]
pub struct ReturnKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ReturnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReturnKey")
    }
}

impl ReturnKey {
    /// A new one.
    #[must_use]
    pub fn generate(random: &mut impl Random) -> Self {
        let mut octets = Zeroizing::new([0; 32]);
        random.fill(octets.as_mut());
        Self(octets)
    }

    /// One that was stored.
    #[must_use]
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// For storing it, where nobody else reads.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The return path of a mail with this message: `address` with separator and tag before the `@`. `None` when the
    /// result would be longer than an address may be, or `address` is none.
    #[must_use]
    pub fn path(&self, address: &str, separator: char, message: &MessageId) -> Option<String> {
        let (local, domain) = address.rsplit_once('@')?;
        let length = local.len().saturating_add(separator.len_utf8()).saturating_add(TAG_CHARACTERS);
        (length <= LOCAL_MAX && !local.starts_with('"'))
            .then(|| format!("{local}{separator}{}@{domain}", self.tag(message)))
    }

    /// The tag of a message.
    #[must_use]
    pub fn tag(&self, message: &MessageId) -> String {
        let mut octets = message.as_bytes().to_vec();
        octets.extend(self.code(message));
        base32(&octets)
    }

    /// The message of a tag; `None` for a tag that was not made with this key.
    #[must_use]
    pub fn message(&self, tag: &str) -> Option<MessageId> {
        let octets = from_base32(tag)?;
        let (id, code) = octets.split_at_checked(16)?;
        let message = MessageId::from_bytes(id.try_into().ok()?);
        // In constant time, so that a code cannot be found octet by octet.
        let mut mac = self.mac();
        mac.update(message.as_bytes());
        mac.verify_truncated_left(code).ok().map(|()| message)
    }

    fn code(&self, message: &MessageId) -> Vec<u8> {
        let mut mac = self.mac();
        mac.update(message.as_bytes());
        mac.finalize().into_bytes().into_iter().take(CODE_OCTETS).collect()
    }

    fn mac(&self) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice())
            .expect("HMAC takes a key of any length");
        mac.update(b"return path of a mail");
        mac
    }
}

/// What may be a tag in the headers that say where a mail was delivered; at most eight.
pub(super) fn candidates(facts: &Facts) -> Vec<String> {
    const NAMES: [&str; 10] = [
        "delivered-to",
        "x-original-to",
        "envelope-to",
        "x-envelope-to",
        "x-delivered-to",
        "x-rcpt-to",
        "x-forwarded-to",
        "to",
        "resent-to",
        "received",
    ];
    let mut found = Vec::new();
    for value in NAMES.iter().flat_map(|name| facts.all(name)).take(100) {
        for (before, _) in value.split('@').zip(value.split('@').skip(1)) {
            let Some(at) = before.len().checked_sub(TAG_CHARACTERS) else { continue };
            let Some((local, tag)) = before.split_at_checked(at) else { continue };
            let separated = local.chars().next_back().is_some_and(|last| !last.is_ascii_alphanumeric());
            let tag = tag.to_ascii_lowercase();
            if separated && from_base32(&tag).is_some() && !found.contains(&tag) && found.len() < 8 {
                found.push(tag);
            }
        }
    }
    found
}

/// RFC 4648 section 6 in lower case, without padding: mail systems may change the case of an address.
fn base32(octets: &[u8]) -> String {
    let mut text = String::with_capacity(TAG_CHARACTERS);
    for group in octets.chunks(5) {
        let bits = group.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
        let digits = (0..8u32).rev().map(|place| usize::try_from(bits >> (5 * place) & 31).unwrap_or(0));
        text.extend(digits.filter_map(|digit| ALPHABET.get(digit)).map(|letter| char::from(*letter)));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| ALPHABET.iter().position(|known| *known == letter.to_ascii_lowercase());
    (text.len() == TAG_CHARACTERS).then_some(())?;
    let mut octets = Vec::with_capacity(25);
    for group in text.as_bytes().chunks(8) {
        let mut bits = 0u64;
        for letter in group {
            bits = bits << 5 | u64::try_from(digit(*letter)?).ok()?;
        }
        octets.extend(bits.to_be_bytes().into_iter().skip(3));
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> ReturnKey {
        ReturnKey::from_bytes([seed; 32])
    }

    proptest! {
        #[test]
        fn a_tag_gives_its_message_back_in_any_case(id in any::<[u8; 16]>()) {
            let message = MessageId::from_bytes(id);
            let path = key(1).path("center@c.example", '+', &message).unwrap();
            let tag = path.strip_prefix("center+").unwrap().strip_suffix("@c.example").unwrap();
            prop_assert_eq!(tag.len(), TAG_CHARACTERS);
            prop_assert_eq!(key(1).message(tag), Some(message));
            prop_assert_eq!(key(1).message(&tag.to_ascii_uppercase()), Some(message));
        }

        #[test]
        fn a_tag_that_was_changed_or_made_with_another_key_is_none(id in any::<[u8; 16]>(), at in 0usize..TAG_CHARACTERS) {
            let tag = key(1).tag(&MessageId::from_bytes(id));
            prop_assert_eq!(key(2).message(&tag), None);
            let mut changed = tag.into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            prop_assert_eq!(key(1).message(std::str::from_utf8(&changed).unwrap()), None);
        }
    }

    #[test]
    fn an_address_that_would_grow_too_long_gets_no_tag() {
        let message = MessageId::from_bytes([1; 16]);
        assert!(key(1).path(&format!("{}@c.example", "a".repeat(23)), '+', &message).is_some());
        assert_eq!(key(1).path(&format!("{}@c.example", "a".repeat(24)), '+', &message), None);
        assert_eq!(key(1).path("nobody", '+', &message), None);
    }
}

//! Ephemeral key exchange (X25519, RFC 7748): a secret that leaks later opens nothing that was recorded before.

use crate::crypto::{Credential, Random};
use crate::digest::{HexError, from_hex, to_hex};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize as _, Zeroizing};

/// One side's private half. Kept only until the exchange is over; printed as `<secret>`; wiped when dropped.
#[derive(Clone)]
pub struct EphemeralSecret(StaticSecret);

/// The half that travels; written as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EphemeralPublic([u8; 32]);

/// The other side's half is a point of small order: nobody honest sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side's half of the key exchange is no proper key")]
pub struct WeakKey;

impl EphemeralSecret {
    /// A new one from 256 random bits.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut octets = [0; 32];
        random.fill(&mut octets);
        let secret = Self(StaticSecret::from(octets));
        octets.zeroize();
        secret
    }

    /// From 64 hex digits, as [`EphemeralSecret::expose_hex`] wrote them.
    ///
    /// # Errors
    /// [`HexError`] without the text.
    pub fn from_hex(text: &str) -> Result<Self, HexError> {
        let octets = from_hex::<32>(text.trim())
            .map(Zeroizing::new)
            .map_err(|error| HexError { found: "<secret>".to_owned(), ..error })?;
        Ok(Self(StaticSecret::from(*octets)))
    }

    /// As 64 hex digits, for a file or row that only its owner can read.
    #[must_use]
    pub fn expose_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(to_hex(self.0.as_bytes()))
    }

    /// The half that travels.
    #[must_use]
    pub fn public(&self) -> EphemeralPublic {
        EphemeralPublic(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The secret that both sides share afterwards: bound to what they shared before (`before`), to `label`, and to
    /// both public halves in the order appliance, center.
    ///
    /// # Errors
    /// [`WeakKey`].
    pub fn agree(
        &self,
        theirs: &EphemeralPublic,
        halves: Halves,
        before: &[u8],
        label: &[u8],
    ) -> Result<Credential, WeakKey> {
        let shared = self.0.diffie_hellman(&x25519_dalek::PublicKey::from(theirs.0));
        if !shared.was_contributory() {
            return Err(WeakKey);
        }
        let key_material = Zeroizing::new([shared.as_bytes().as_slice(), before].concat());
        let mut okm = [0; 32];
        Hkdf::<Sha256>::new(Some(b"mailfmt exchange 1"), &key_material)
            .expand_multi_info(&[label, b"\0", &halves.appliance.0, &halves.center.0], &mut okm)
            .expect("32 octets is a length HKDF-SHA-256 can give");
        let agreed = Credential::from_bytes(okm);
        okm.zeroize();
        Ok(agreed)
    }
}

impl std::fmt::Debug for EphemeralSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EphemeralSecret(<secret>)")
    }
}

/// Both public halves of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// The appliance's.
    pub appliance: EphemeralPublic,
    /// The center's.
    pub center: EphemeralPublic,
}

impl std::fmt::Display for EphemeralPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

impl From<EphemeralPublic> for String {
    fn from(key: EphemeralPublic) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for EphemeralPublic {
    type Error = HexError;
    fn try_from(text: String) -> Result<Self, HexError> {
        from_hex(&text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(fill: u8) -> EphemeralSecret {
        EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(fill))
    }

    #[test]
    fn both_sides_agree_and_only_with_the_same_past() {
        let (appliance, center) = (secret(1), secret(2));
        let halves = Halves { appliance: appliance.public(), center: center.public() };
        let agreed = appliance.agree(&center.public(), halves, b"code", b"x").unwrap();
        assert_eq!(agreed, center.agree(&appliance.public(), halves, b"code", b"x").unwrap());
        assert_ne!(agreed, center.agree(&appliance.public(), halves, b"other", b"x").unwrap());
        assert_ne!(agreed, center.agree(&appliance.public(), halves, b"code", b"y").unwrap());
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let appliance = secret(1);
        let weak = EphemeralPublic([0; 32]);
        let halves = Halves { appliance: appliance.public(), center: weak };
        assert_eq!(appliance.agree(&weak, halves, b"", b"").unwrap_err(), WeakKey);
    }

    #[test]
    fn a_stored_half_is_the_same_afterwards() {
        let kept = EphemeralSecret::from_hex(&secret(9).expose_hex()).unwrap();
        assert_eq!(kept.public(), secret(9).public());
        assert!(!format!("{kept:?}").contains("09"));
    }
}

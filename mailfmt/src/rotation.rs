//! Rotation of the formal credential: both sides derive the next one from the present one and a fresh exchange.
//!
//! ```text
//! center -> appliance  rotate-credential    under the present credential: the center's half (it keeps its secret)
//! appliance -> center  credential-rotated   under the present one: the appliance's half; it stores the next credential
//!                                           before it answers, and takes both from then on
//! center -> appliance  anything             under the next one: the center stores it before, and takes both
//! appliance -> center  anything             under the next one: the appliance has dropped the old one; now the center does
//! ```
//! Whoever reads one credential cannot tell the next; whoever misses a mail has a key that the other side still takes.

use crate::crypto::Credential;
use crate::exchange::{EphemeralPublic, EphemeralSecret, Halves, WeakKey};
use crate::ids::Nonce;

/// The credential after `before`, in the rotation of this name. `own` is the own half, `theirs` the other side's;
/// `halves` are both in their order.
///
/// # Errors
/// [`WeakKey`] when the other half is no proper one.
pub fn next(
    rotation: &Nonce,
    before: &Credential,
    own: &EphemeralSecret,
    theirs: &EphemeralPublic,
    halves: Halves,
) -> Result<Credential, WeakKey> {
    own.agree(theirs, halves, before.expose(), &[b"rotate ", rotation.as_bytes().as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(fill: u8) -> EphemeralSecret {
        EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(fill))
    }

    #[test]
    fn both_sides_find_the_same_next_credential_and_only_from_the_same_past() {
        let (appliance, center) = (half(1), half(2));
        let halves = Halves { appliance: appliance.public(), center: center.public() };
        let (one, other) = (Nonce::from_bytes([1; 16]), Nonce::from_bytes([2; 16]));
        let before = Credential::from_bytes([7; 32]);
        let found = next(&one, &before, &appliance, &center.public(), halves).unwrap();
        assert_eq!(found, next(&one, &before, &center, &appliance.public(), halves).unwrap());
        assert_ne!(found, before);
        assert_ne!(found, next(&other, &before, &center, &appliance.public(), halves).unwrap());
        let stranger = Credential::from_bytes([8; 32]);
        assert_ne!(found, next(&one, &stranger, &center, &appliance.public(), halves).unwrap());
    }
}

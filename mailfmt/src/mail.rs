//! The outer layer: an ordinary, readable mail with one opaque attachment.
//!
//! Strict in what is written: [`compose`]. Tolerant in what is read: [`classify`] finds our attachment wherever a
//! gateway moved it, and never trusts a header.

mod classify;
mod compose;
mod large;

pub use classify::{Bounce, BounceAction, Classified, JunkReason, classify};
pub use compose::{Letter, attachment_octets_max, compose};
pub use large::{CONDENSED_MAX, Condensed, Condenser, Large};

use crate::envelope::{OpenError, Peeked, peek};
use crate::limits::Limits;

/// Our attachment: an envelope, and what follows it.
#[derive(Debug, Clone)]
pub struct Parcel<'a> {
    /// The envelope's octets.
    pub envelope: &'a [u8],
    /// The encrypted package behind it; empty for most messages.
    pub enclosure: &'a [u8],
    /// What the envelope claims about itself.
    pub claimed: Peeked,
}

impl<'a> Parcel<'a> {
    /// Splits an attachment.
    ///
    /// # Errors
    /// [`OpenError`] when it does not start with a whole envelope.
    pub fn split(attachment: &'a [u8], limits: &Limits) -> Result<Self, OpenError> {
        let claimed = peek(attachment, limits)?;
        let (envelope, enclosure) =
            attachment.split_at_checked(claimed.octets).ok_or(OpenError::Damaged { field: "end" })?;
        Ok(Self { envelope, enclosure, claimed })
    }
}

#[cfg(test)]
mod tests;

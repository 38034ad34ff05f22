//! The outer layer: an ordinary, readable mail with one opaque attachment.
//!
//! Strict in what is written: [`compose`]. Tolerant in what is read: [`classify`] finds our attachment wherever a
//! gateway moved it, and never trusts a header.

pub mod armour;
mod classify;
mod compose;
mod form;
mod large;
mod mangling;
pub mod returned;
mod salvage;

pub use classify::{Classified, JunkReason, classify};
pub use compose::{Letter, attachment_octets_max, compose, compose_as, octets_max};
pub use form::{Form, PROBE_PAUSE, Sign, Tried, Way, is_about_content};
pub use large::{CONDENSED_MAX, Condensed, Condenser, Large};
pub use mangling::{Mangled, Mangling};
pub use salvage::{signed_content, tnef_contents};

use crate::envelope::{OpenError, Peeked, peek};
use crate::limits::Limits;

/// In which form a mail that is ours came: what its text parts hold, and nothing else of it, decides. A hint, like everything
/// outside the envelope.
#[must_use]
pub fn form_of(raw: &[u8]) -> Form {
    salvage::form_of(raw)
}

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

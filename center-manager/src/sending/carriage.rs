//! Whether a package goes whole behind its order or in parts, and how large these are. Pure.

use mailfmt::Limits;
use mailfmt::mail::{Form, octets_max};
use mailfmt::parts::{CuttingError, PART_OCTETS_MIN, Parity, Shape};

/// Smallest mail that can be asked for: an order that names a thousand parts fits into it.
pub const MAIL_OCTETS_MIN: u64 = 64 << 10;

/// Octets that mail servers on the way add to a mail's head, and our own DKIM signatures.
const TRACES: u64 = 6 << 10;
/// Octets of an envelope beside key blocks and payload, its size bucket and its trailer included.
const ENVELOPE: usize = 1_024;
const KEY_BLOCK: usize = 64;
/// Octets of the payload that brings one part.
const PART_PAYLOAD: usize = 320;
/// Octets that one part adds to the payload of its order.
const PART_NAMED: usize = 70;

/// How a package goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Behind the order, in the same mail.
    Whole,
    /// In parts.
    Parts {
        /// Numbers and lengths.
        shape: Shape,
        /// Octets of a part.
        part_octets: u32,
        /// Parity parts among them.
        parity: Option<Parity>,
    },
}

/// What is to be carried, and what one mail may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Octets of the encrypted package.
    pub enclosure_octets: u64,
    /// Octets of the order's payload, without parts.
    pub order_octets: usize,
    /// Most recipients that one mail has.
    pub recipients: usize,
    /// Largest mail, in octets with base64.
    pub mail_octets: u64,
    /// Parity parts, if the package is cut.
    pub parity: Option<Parity>,
    /// The form that takes most room among those in which it goes out.
    pub form: Form,
}

/// A package that cannot go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarriageError {
    /// A mail may be so small that hardly a part fits.
    #[error(
        "a mail may have {mail_octets} octets only, too few for a package; allow at least {MAIL_OCTETS_MIN} \
         (`mail_out_max_octets` and the account's `mail_octets_max` in center.toml, `appliance mail-limit`, the mail server's own limit)"
    )]
    TooSmall {
        /// Octets that a mail may have.
        mail_octets: u64,
    },
    /// More parts than a reader takes.
    #[error(
        "the package of {enclosure_octets} octets cannot be cut for mails of {mail_octets} octets: {source}; allow larger \
         mails (`mail_out_max_octets` and the account's `mail_octets_max` in center.toml, `appliance mail-limit`, the mail server's own limit)"
    )]
    Cutting {
        /// Octets of the encrypted package.
        enclosure_octets: u64,
        /// Octets that a mail may have.
        mail_octets: u64,
        /// What is wrong.
        source: CuttingError,
    },
}

/// Decides how a package goes out: whole where that fits, else in as few parts as fit, all of about one size.
///
/// # Errors
/// [`CarriageError`].
pub fn carriage(load: &Load, limits: &Limits) -> Result<Carriage, CarriageError> {
    let small = CarriageError::TooSmall { mail_octets: load.mail_octets };
    let mail = usize::try_from(load.mail_octets.saturating_sub(TRACES)).unwrap_or(usize::MAX);
    let attachment = octets_max(load.form, mail);
    // Payloads are deflated, but what is random in them stays as it is.
    let envelope = |payload: usize| {
        let payload = payload.saturating_add(payload / 4);
        ENVELOPE.saturating_add(payload).saturating_add(load.recipients.saturating_mul(KEY_BLOCK))
    };
    let behind =
        |payload: usize| u64::try_from(attachment.saturating_sub(envelope(payload))).unwrap_or(u64::MAX);
    if load.enclosure_octets <= behind(load.order_octets) {
        return Ok(Carriage::Whole);
    }
    let most = behind(PART_PAYLOAD);
    if most < PART_OCTETS_MIN.into() {
        return Err(small);
    }
    let parts = load.enclosure_octets.div_ceil(most).max(1);
    let part_octets =
        u32::try_from(load.enclosure_octets.div_ceil(parts)).unwrap_or(u32::MAX).max(PART_OCTETS_MIN);
    let shape = Shape::new(load.enclosure_octets, part_octets, load.parity, limits).map_err(|source| {
        let Load { enclosure_octets, mail_octets, .. } = *load;
        CarriageError::Cutting { enclosure_octets, mail_octets, source }
    })?;
    let named = usize::try_from(shape.parts()).unwrap_or(usize::MAX).saturating_mul(PART_NAMED);
    if envelope(load.order_octets.saturating_add(named)) > attachment {
        return Err(small);
    }
    Ok(Carriage::Parts { shape, part_octets, parity: load.parity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn load(enclosure_octets: u64, mail_octets: u64) -> Load {
        Load {
            enclosure_octets,
            order_octets: 600,
            recipients: 50,
            mail_octets,
            parity: None,
            form: Form::Opaque,
        }
    }

    fn decided(enclosure: u64, mail: u64) -> Result<Carriage, CarriageError> {
        carriage(&load(enclosure, mail), &Limits::default())
    }

    #[test]
    fn what_fits_goes_whole_and_what_does_not_in_as_few_parts_as_fit() {
        assert_eq!(decided(7_000_000, 10_000_000), Ok(Carriage::Whole));
        let Ok(Carriage::Parts { shape, part_octets, .. }) = decided(20_000_000, 10_000_000) else {
            panic!()
        };
        assert_eq!((shape.parts(), part_octets), (3, 6_666_667));
    }

    #[test]
    fn a_limit_that_nothing_fits_into_is_told_with_what_to_set() {
        let error = decided(20_000, 6_000).unwrap_err();
        assert!(
            error.to_string().contains("6000 octets") && error.to_string().contains("mail_out_max_octets"),
            "{error}"
        );
        let error = decided(60_000_000, MAIL_OCTETS_MIN).unwrap_err();
        assert!(matches!(error, CarriageError::Cutting { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn no_part_and_no_order_is_larger_than_a_mail_may_be(
            enclosure in 1u64..64_000_000,
            mail in MAIL_OCTETS_MIN..20_000_000,
            recipients in 1usize..1_000,
            parity in proptest::option::of((1u8..=20, 1u8..=3)),
        ) {
            let parity = parity.map(|(group, extra)| Parity { group, extra });
            let load = Load { recipients, parity, ..load(enclosure, mail) };
            let Ok(carried) = carriage(&load, &Limits::default()) else { return Ok(()) };
            let behind = match carried {
                Carriage::Whole => enclosure,
                Carriage::Parts { part_octets, .. } => part_octets.into(),
            };
            // Base64 in lines of 76, key blocks, and some room for headers.
            let octets = (behind + 64 * recipients as u64 + 512) * 78 / 57 + 2_048;
            prop_assert!(octets <= mail, "{octets} of {mail}");
        }
    }
}

//! Where a device that answers belongs. Pure.

use crate::store::DeviceRow;
use mailfmt::message::DeviceId;

/// What it means that a device answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// It was not known, and nobody else was known at the address.
    New,
    /// It is known there.
    Here,
    /// It is known at another address where it answers too: a second way to the same device.
    SecondAddress {
        /// Whether another device was known at this address.
        instead: bool,
    },
    /// It was not known; another device was known at the address and is gone from there.
    Instead {
        /// Who was known there.
        of: Option<DeviceId>,
    },
    /// It was known elsewhere, where it does not answer any more.
    Moved {
        /// Where its row stands.
        from: String,
        /// Whether another device was known at the new address.
        instead: bool,
    },
}

/// Decides where a device that answers as `id` at `address` belongs. A device that does not tell who it is belongs to
/// whoever is known at its address.
#[must_use]
pub fn place(id: Option<&DeviceId>, address: &str, rows: &[DeviceRow]) -> Placement {
    let here = rows.iter().find(|row| row.address == address);
    let Some(id) = id else {
        return if here.is_some() { Placement::Here } else { Placement::New };
    };
    if here.is_some_and(|row| row.id.as_ref() == Some(id)) {
        return Placement::Here;
    }
    // A row that never got a name is the place of a device that could not be asked until now.
    let instead = here.filter(|row| row.id.is_some() || row.answered.is_some());
    let elsewhere: Vec<&DeviceRow> = rows.iter().filter(|row| row.id.as_ref() == Some(id)).collect();
    if elsewhere.iter().any(|row| row.answering && !row.is_parked()) {
        return Placement::SecondAddress { instead: instead.is_some_and(|row| row.id.is_some()) };
    }
    match elsewhere.iter().max_by_key(|row| row.answered) {
        Some(row) => Placement::Moved { from: row.address.clone(), instead: here.is_some() },
        None => match instead {
            Some(row) if row.id.is_some() => Placement::Instead { of: row.id.clone() },
            _ => Placement::New,
        },
    }
}

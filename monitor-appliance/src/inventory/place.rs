//! Where a device that answers belongs. Pure.

use crate::device::DeviceIdentity;
use crate::discovery::is_other;
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
    /// Another device with the same serial number answers elsewhere, with another hardware address: two devices.
    Twin {
        /// Where the other one answers.
        of: String,
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

/// The name of the second of two devices that tell one serial number: with its hardware address behind it, so that their
/// counters are never put together.
#[must_use]
pub fn apart(id: &DeviceId, mac: &str) -> DeviceId {
    DeviceId { serial: format!("{} ({})", id.serial, mac.to_lowercase()), ..id.clone() }
}

/// Who a device is, as it is known here: by what it tells, or as the second one that tells it.
#[must_use]
pub fn known_as(id: &DeviceId, mac: Option<&String>, rows: &[DeviceRow]) -> DeviceId {
    let second = mac.map(|mac| apart(id, mac));
    second
        .filter(|second| rows.iter().any(|row| row.id.as_ref() == Some(second)))
        .unwrap_or_else(|| id.clone())
}

/// Gives the second of two devices that tell one serial number the one by which it is known.
pub fn keep_apart(identity: &mut DeviceIdentity, known: Option<&DeviceId>) {
    let (Some(known), Some(mac), Some(id)) =
        (known, identity.mac.as_ref(), crate::device_watch::device_id(identity))
    else {
        return;
    };
    if *known == apart(&id, mac) {
        identity.serial = Some(known.serial.clone());
    }
}

/// Decides where a device that answers as `id` with the hardware address `mac` at `address` belongs; `id` as [`known_as`]
/// gives it. A device that does not tell who it is belongs to whoever is known at its address.
#[must_use]
pub fn place(id: Option<&DeviceId>, mac: Option<&String>, address: &str, rows: &[DeviceRow]) -> Placement {
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
    let mut answering = elsewhere.iter().filter(|row| row.answering && !row.is_parked());
    if let Some(first) = answering.next() {
        let instead = instead.is_some_and(|row| row.id.is_some());
        let is_other_one = |row: &&DeviceRow| is_other(row.mac.as_ref(), mac);
        return if is_other_one(first) && answering.all(is_other_one) {
            Placement::Twin { of: first.address.clone(), instead }
        } else {
            Placement::SecondAddress { instead }
        };
    }
    match elsewhere.iter().max_by_key(|row| row.answered) {
        Some(row) => Placement::Moved { from: row.address.clone(), instead: here.is_some() },
        None => match instead {
            Some(row) if row.id.is_some() => Placement::Instead { of: row.id.clone() },
            _ => Placement::New,
        },
    }
}

//! A device answers: puts the rows in order, and notes what has happened to it.

use super::place::{Placement, apart, known_as, place};
use crate::discovery::{DeviceKind, is_other};
use crate::store::{Change, DeviceRow, StoreError};
use jiff::Timestamp;
use mailfmt::message::DeviceId;

/// Who answers where.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who it says it is; `None` when it does not tell.
    pub id: Option<&'a DeviceId>,
    /// Its hardware address, where it tells one.
    pub mac: Option<&'a String>,
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// Where it answers.
    pub address: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// What it means.
    pub placement: Placement,
    /// Who it is: as it says, or as the second one that says so.
    pub id: Option<DeviceId>,
    /// The address that it came from, if it has moved.
    pub from: Option<String>,
}

/// Decides where a device that answers belongs, without changing anything.
#[must_use]
pub(super) fn decide(arrival: &Arrival<'_>, rows: &[DeviceRow]) -> Met {
    let id = arrival.id.map(|id| known_as(id, arrival.mac, rows));
    let placement = place(id.as_ref(), arrival.mac, arrival.address, rows);
    let id = match (&placement, id, arrival.mac) {
        (Placement::Twin { .. }, Some(id), Some(mac)) => Some(apart(&id, mac)),
        (_, id, _) => id,
    };
    let from = match &placement {
        Placement::Moved { from, .. } => Some(from.clone()),
        _ => None,
    };
    Met { placement, id, from }
}

/// Puts the rows in order for a device that answers, so that the row at its address is its own, and notes what has happened.
/// A second way to a device that is known elsewhere gets no row.
///
/// # Errors
/// [`StoreError`].
pub fn meet(change: &Change<'_>, arrival: &Arrival<'_>, now: Timestamp) -> Result<Met, StoreError> {
    let rows = change.devices()?;
    let met = decide(arrival, &rows);
    let address = arrival.address;
    settle(change, &met.placement, address)?;
    if matches!(met.placement, Placement::SecondAddress { .. }) {
        return Ok(met);
    }
    change.device_answered(address, now)?;
    if let Some(id) = &met.id {
        change.identify_device(address, id)?;
    }
    change.keep_kind(address, arrival.kind)?;
    if let Some((event, before)) = event(&met.placement, arrival, &rows) {
        change.note_event(address, event, before.as_deref(), now)?;
    }
    if let Some(mac) = arrival.mac {
        change.keep_mac(address, mac)?;
    }
    Ok(met)
}

/// What has happened, in a word, and what was there before.
fn event(
    placement: &Placement,
    arrival: &Arrival<'_>,
    rows: &[DeviceRow],
) -> Option<(&'static str, Option<String>)> {
    match placement {
        Placement::New => Some(("new", None)),
        Placement::Here | Placement::SecondAddress { .. } => None,
        Placement::Twin { of, .. } => Some(("same-serial", Some(of.clone()))),
        Placement::Moved { from, .. } => {
            let from = rows.iter().find(|row| row.address == *from).map(|row| row.last_address().to_owned());
            Some(("moved", from))
        }
        Placement::Instead { of } => {
            let here = rows.iter().find(|row| row.address == arrival.address);
            let same_board = here.is_some_and(|row| {
                row.mac.is_some() && arrival.mac.is_some() && !is_other(row.mac.as_ref(), arrival.mac)
            });
            match of {
                // The same hardware address with another serial number: another board, or a number that somebody typed.
                Some(of) if same_board => Some(("serial-changed", Some(of.serial.clone()))),
                of => Some(("swapped", of.as_ref().map(ToString::to_string))),
            }
        }
    }
}

/// Moves the rows as `placement` says, so that the row at `address` is this device's or free.
fn settle(change: &Change<'_>, placement: &Placement, address: &str) -> Result<(), StoreError> {
    match placement {
        Placement::New
        | Placement::Here
        | Placement::SecondAddress { instead: false }
        | Placement::Twin { instead: false, .. } => Ok(()),
        Placement::Instead { .. }
        | Placement::SecondAddress { instead: true }
        | Placement::Twin { instead: true, .. } => change.park_device(address),
        Placement::Moved { from, instead } => {
            if *instead {
                change.park_device(address)?;
            }
            change.move_device(from, address)
        }
    }
}

//! The devices of the site: who they are, where they were last met, whether they are still there.
//!
//! A device is (vendor, model, serial); its address is a hint. Devices of the settings are watched at their address,
//! whoever answers there; devices that a scan found are watched where they were found, and followed when they move.
//! What is decided stands in [`place`] and [`Telling`], pure; what has happened to whom is
//! noted once by [`meet`], and told to the center once.

mod meeting;
mod place;
mod telling;

pub use meeting::{Arrival, Met, meet};
pub use place::{Placement, apart, keep_apart, known_as, place};
pub use telling::Telling;

use crate::discovery::{self, FoundDevice, Scan};
use crate::settings::{DeviceEntry, Settings};
use crate::store::{Change, DeviceRow, Store, StoreError};
use jiff::Timestamp;
use mailfmt::message::report::{DeviceState, InventoryDevice};
use std::collections::{BTreeMap, BTreeSet};

/// Most devices that are watched, those of the settings and those that were found together.
pub const DEVICES_MAX: usize = 1000;

/// Every device that ever answered and was not forgotten since, for a report: in order of identity and address, each
/// identity once.
///
/// # Errors
/// [`StoreError`].
pub fn collect(store: &Store, settings: &Settings) -> Result<Vec<InventoryDevice>, StoreError> {
    Ok(devices(&store.devices()?, &settings.devices))
}

/// The inventory in these rows. Pure.
#[must_use]
pub fn devices(rows: &[DeviceRow], configured: &[DeviceEntry]) -> Vec<InventoryDevice> {
    let configured: BTreeSet<&str> = configured.iter().map(|entry| entry.address.as_str()).collect();
    let mut known: BTreeMap<_, &DeviceRow> = BTreeMap::new();
    let mut nameless = Vec::new();
    for row in rows.iter().filter(|row| row.answered.is_some()) {
        if row.access.is_none() && !row.is_parked() && !configured.contains(row.address.as_str()) {
            // It was taken out of the settings.
            continue;
        }
        match &row.id {
            None => nameless.push(row),
            // A device with two addresses is one device: at the address where it answers, else where it last did.
            Some(id) => {
                known
                    .entry(id)
                    .and_modify(|other| {
                        if (other.answering, other.answered) < (row.answering, row.answered) {
                            *other = row;
                        }
                    })
                    .or_insert(row);
            }
        }
    }
    let device = |row: &DeviceRow| InventoryDevice {
        id: row.id.clone(),
        address: row.last_address().to_owned(),
        mac: row.mac.clone(),
        state: match (row.vanished, row.answered) {
            (Some(_), Some(since)) => DeviceState::Vanished { since },
            _ => DeviceState::Present,
        },
    };
    // Of something that never told who it is and left, nothing can be said.
    let nameless = nameless.into_iter().filter(|row| !row.is_parked());
    known.into_values().chain(nameless).map(device).collect()
}

/// The devices to watch: those of the settings, then those that were found and are not excluded since, at most
/// [`DEVICES_MAX`].
///
/// # Errors
/// [`StoreError`].
pub fn watched(store: &Store, settings: &Settings) -> Result<Vec<DeviceEntry>, StoreError> {
    let mut watched = settings.devices.clone();
    let configured: BTreeSet<&str> = settings.devices.iter().map(|entry| entry.address.as_str()).collect();
    let found = store.found_devices()?;
    let excluded = |entry: &DeviceEntry| {
        discovery::socket_address(&entry.address)
            .is_some_and(|address| discovery::is_left_out(&settings.ranges, address))
    };
    watched.extend(
        found.into_iter().filter(|entry| !configured.contains(entry.address.as_str()) && !excluded(entry)),
    );
    watched.truncate(DEVICES_MAX);
    Ok(watched)
}

/// What became of the devices of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Addresses of devices that were not known.
    pub new: Vec<String>,
    /// Where devices were before, and where they are now.
    pub moved: Vec<(String, String)>,
    /// Addresses of devices that were known there.
    pub known: Vec<String>,
    /// Addresses of devices that are no printers, in ranges that want only printers.
    pub unwanted: Vec<String>,
    /// Addresses of devices beyond the most that are watched.
    pub too_many: Vec<String>,
}

impl Registered {
    /// Addresses whose rows may be another device's now.
    pub fn touched(&self) -> impl Iterator<Item = &String> {
        self.new.iter().chain(&self.known).chain(self.moved.iter().flat_map(|(from, to)| [from, to]))
    }
}

/// Registers what a scan found: new devices, and those that have moved. They are watched from then on.
///
/// # Errors
/// [`StoreError`].
pub fn register(
    change: &Change<'_>,
    scan: &Scan,
    settings: &Settings,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    let mut registered = Registered::default();
    for device in &scan.found {
        register_one(change, device, settings, now, &mut registered)?;
    }
    Ok(registered)
}

fn register_one(
    change: &Change<'_>,
    device: &FoundDevice,
    settings: &Settings,
    now: Timestamp,
    registered: &mut Registered,
) -> Result<(), StoreError> {
    let address = device.address.clone();
    if !device.wanted {
        registered.unwanted.push(address);
        return Ok(());
    }
    let configured = settings.devices.iter().any(|entry| entry.address == address);
    let rows = change.devices()?;
    let id = device.id();
    let arrival =
        Arrival { id: id.as_ref(), mac: device.identity.mac.as_ref(), kind: device.kind, address: &address };
    let placement = meeting::decide(&arrival, &rows).placement;
    let watched = rows.iter().filter(|row| row.access.is_some()).count() + settings.devices.len();
    let is_new = matches!(placement, Placement::New | Placement::Instead { .. } | Placement::Twin { .. });
    if is_new && !configured && watched >= DEVICES_MAX {
        registered.too_many.push(address);
        return Ok(());
    }
    let met = meet(change, &arrival, now)?;
    match met.from {
        Some(from) => registered.moved.push((from, address.clone())),
        None if is_new => registered.new.push(address.clone()),
        None => registered.known.push(address.clone()),
    }
    if matches!(met.placement, Placement::SecondAddress { .. }) {
        return Ok(());
    }
    if !configured {
        change.keep_access(&address, &device.access)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

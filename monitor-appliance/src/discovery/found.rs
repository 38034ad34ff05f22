//! What the answer of one address tells, and how the answers of one device are put together. Pure.

use crate::device::{DeviceIdentity, Walk, interpret, oids};
use crate::device_watch::device_id;
use crate::settings::SnmpAccess;
use mailfmt::message::DeviceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What sort of device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Printer, copier, fax: it has tables of the Printer MIB (RFC 3805) or tells an IEEE 1284 device id.
    Printer,
    /// A computer: it tells memory and disks (RFC 2790).
    Computer,
    /// Anything else that speaks SNMP: switches, power supplies.
    Other,
}

impl DeviceKind {
    /// The kind in what a device told.
    #[must_use]
    pub fn of(walk: &Walk) -> Self {
        let has = |columns: &[&[u32]]| columns.iter().any(|column| walk.column(column).next().is_some());
        let tables = [
            oids::PRT_GENERAL_CURRENT_LOCALIZATION,
            oids::PRT_GENERAL_SERIAL_NUMBER,
            oids::PRT_GENERAL_PRINTER_NAME,
            oids::PPM_PORT_IEEE1284_DEVICE_ID,
            oids::BROTHER_IEEE1284_DEVICE_ID,
            oids::HP_IEEE1284_DEVICE_ID,
        ];
        if has(&tables) {
            Self::Printer
        } else if has(&[oids::HR_STORAGE_TYPE]) {
            // A computer lists the printers that it prints on among its devices.
            Self::Computer
        } else if has(&[oids::HR_PRINTER_STATUS]) {
            Self::Printer
        } else {
            Self::Other
        }
    }

    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Printer => "printer",
            Self::Computer => "computer",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A device that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDevice {
    /// Where it answers, as in settings: without the port where that is 161.
    pub address: String,
    /// Further addresses under which the same device answers.
    pub more_addresses: Vec<String>,
    /// Who it says it is.
    pub identity: DeviceIdentity,
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// How it lets itself be read.
    pub access: SnmpAccess,
    /// Whether its range wants it watched.
    pub wanted: bool,
}

impl FoundDevice {
    /// What `walk` tells of the device at `address`.
    #[must_use]
    pub fn of(address: String, walk: &Walk, access: SnmpAccess, others: bool) -> Self {
        let kind = DeviceKind::of(walk);
        Self {
            address,
            more_addresses: Vec::new(),
            identity: interpret(walk).identity,
            kind,
            access,
            wanted: others || kind == DeviceKind::Printer,
        }
    }

    /// Who it is: by serial number, else by hardware address, else not known.
    #[must_use]
    pub fn id(&self) -> Option<DeviceId> {
        device_id(&self.identity)
    }
}

/// Puts the answers of one device under several addresses together, in the order of the first answer. The address at
/// which `known` has it already stays its address, else the first one is.
#[must_use]
pub fn merge(found: Vec<FoundDevice>, known: impl Fn(&DeviceId) -> Option<String>) -> Vec<FoundDevice> {
    let mut merged: Vec<FoundDevice> = Vec::new();
    let mut places: BTreeMap<DeviceId, usize> = BTreeMap::new();
    for device in found {
        let Some(id) = device.id() else {
            merged.push(device);
            continue;
        };
        let Some(place) = places.get(&id) else {
            places.insert(id, merged.len());
            merged.push(device);
            continue;
        };
        let before = &mut merged[*place];
        let (mut chosen, other) = if known(&id).as_ref() == Some(&device.address) {
            let mut chosen = device;
            chosen.more_addresses = std::mem::take(&mut before.more_addresses);
            (chosen, before.address.clone())
        } else {
            (before.clone(), device.address)
        };
        chosen.more_addresses.push(other);
        *before = chosen;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Oid, Value};
    use crate::snmp::Secret;

    fn walk(objects: &[&str]) -> Walk {
        objects.iter().map(|oid| (oid.parse::<Oid>().unwrap(), Value::Integer(1))).collect()
    }

    fn device(address: &str, serial: Option<&str>) -> FoundDevice {
        let access = SnmpAccess::V2c { community: Secret::new("public") };
        let mut found = FoundDevice::of(address.to_owned(), &Walk::default(), access, true);
        found.identity.serial = serial.map(str::to_owned);
        found
    }

    fn addresses(found: &[FoundDevice]) -> Vec<(&str, Vec<&str>)> {
        found
            .iter()
            .map(|device| {
                let more = device.more_addresses.iter().map(String::as_str).collect();
                (device.address.as_str(), more)
            })
            .collect()
    }

    #[test]
    fn a_computer_that_lists_printers_is_no_printer() {
        let printer = "1.3.6.1.2.1.43.5.1.1.17.1";
        let (disks, prints) = ("1.3.6.1.2.1.25.2.3.1.2.1", "1.3.6.1.2.1.25.3.5.1.1.3");
        assert_eq!(DeviceKind::of(&walk(&[printer, disks])), DeviceKind::Printer);
        assert_eq!(DeviceKind::of(&walk(&[disks, prints])), DeviceKind::Computer);
        assert_eq!(DeviceKind::of(&walk(&[prints])), DeviceKind::Printer);
        assert_eq!(DeviceKind::of(&walk(&["1.3.6.1.2.1.1.3.0"])), DeviceKind::Other);
    }

    #[test]
    fn one_device_at_two_addresses_is_one_device() {
        let found = vec![device("a", Some("1")), device("b", Some("2")), device("c", Some("1"))];
        assert_eq!(addresses(&merge(found, |_| None)), [("a", vec!["c"]), ("b", vec![])]);
    }

    #[test]
    fn a_device_keeps_the_address_under_which_it_is_known() {
        let found = vec![device("a", Some("1")), device("b", Some("1")), device("c", Some("1"))];
        let known = |_: &DeviceId| Some("c".to_owned());
        assert_eq!(addresses(&merge(found, known)), [("c", vec!["b", "a"])]);
    }

    #[test]
    fn devices_that_do_not_tell_who_they_are_stay_apart() {
        let found = vec![device("a", None), device("b", None)];
        assert_eq!(addresses(&merge(found, |_| None)), [("a", vec![]), ("b", vec![])]);
    }
}

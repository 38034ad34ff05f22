//! What the answer of one address tells, and how the answers of one device are put together. Pure.

use super::dns_sd::Announced;
use super::kind::DeviceKind;
use crate::device::{DeviceIdentity, Walk, interpret};
use crate::device_watch::device_id;
use crate::profile::Profiles;
use crate::settings::SnmpAccess;
use mailfmt::message::DeviceId;
use std::collections::BTreeMap;

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
    /// What it announces of itself, where it was heard.
    pub announced: Option<Announced>,
}

impl FoundDevice {
    /// What `walk` tells of the device at `address`.
    #[must_use]
    pub fn of(address: String, walk: &Walk, access: SnmpAccess, others: bool, profiles: &Profiles) -> Self {
        let kind = DeviceKind::of(walk);
        Self {
            address,
            more_addresses: Vec::new(),
            identity: interpret(walk, profiles).identity,
            kind,
            access,
            wanted: others || kind.is_watched(),
            announced: None,
        }
    }

    /// The same device with what it announces of itself: hints where it told nothing.
    #[must_use]
    pub fn hinted(mut self, announced: Option<&Announced>, others: bool) -> Self {
        let Some(announced) = announced else { return self };
        self.kind = self.kind.hinted(announced);
        self.wanted = others || self.kind.is_watched();
        let hint = |told: &mut Option<String>, hint: &Option<String>| {
            if told.is_none() {
                told.clone_from(hint);
            }
        };
        hint(&mut self.identity.vendor, &announced.vendor);
        hint(&mut self.identity.model, &announced.model);
        self.announced = Some(announced.clone());
        self
    }

    /// Who it is: by serial number, else by hardware address, else not known.
    #[must_use]
    pub fn id(&self) -> Option<DeviceId> {
        device_id(&self.identity)
    }
}

/// Puts the answers of one device under several addresses together, in the order of the first answer. The address at
/// which `known` has it already stays its address, else the first one is. Two that tell one serial number and two hardware
/// addresses are two devices.
#[must_use]
pub fn merge(found: Vec<FoundDevice>, known: impl Fn(&DeviceId) -> Option<String>) -> Vec<FoundDevice> {
    let mut merged: Vec<FoundDevice> = Vec::new();
    let mut places: BTreeMap<DeviceId, Vec<usize>> = BTreeMap::new();
    for device in found {
        let Some(id) = device.id() else {
            merged.push(device);
            continue;
        };
        let same =
            |place: &&usize| !is_other(merged[**place].identity.mac.as_ref(), device.identity.mac.as_ref());
        let Some(place) = places.get(&id).and_then(|places| places.iter().find(same)).copied() else {
            places.entry(id).or_default().push(merged.len());
            merged.push(device);
            continue;
        };
        let before = &mut merged[place];
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

/// Whether two hardware addresses are told and differ.
#[must_use]
pub(crate) fn is_other(one: Option<&String>, other: Option<&String>) -> bool {
    one.zip(other).is_some_and(|(one, other)| !one.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Secret;

    fn device(address: &str, serial: Option<&str>) -> FoundDevice {
        let access = SnmpAccess::V2c { community: Secret::new("public") };
        let mut found =
            FoundDevice::of(address.to_owned(), &Walk::default(), access, true, &Profiles::none());
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
    fn one_device_at_two_addresses_is_one_device() {
        let found = vec![device("a", Some("1")), device("b", Some("2")), device("c", Some("1"))];
        assert_eq!(addresses(&merge(found, |_| None)), [("a", vec!["c"]), ("b", vec![])]);
    }

    #[test]
    fn one_serial_number_with_two_hardware_addresses_is_two_devices() {
        let with = |address, mac: &str| {
            let mut found = device(address, Some("1"));
            found.identity.mac = Some(mac.to_owned());
            found
        };
        let found = vec![
            with("a", "00:00:00:00:00:01"),
            with("b", "00:00:00:00:00:02"),
            with("c", "00:00:00:00:00:01"),
        ];
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

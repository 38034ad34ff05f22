//! From what a device says to what a report says of it. Pure.

use crate::device::{Capacity, CounterName, DeviceIdentity, Level, Reading};
use crate::supply::{DeviceSupplies, Direction, Outlook};
use jiff::Timestamp;
use mailfmt::message::{Counter, DeviceId, Supply, SupplyEnds, SupplyLevel, SupplyOutlook};

/// Stands for what a device does not tell.
const UNKNOWN: &str = "unknown";

/// Who the device is: by serial number, else by MAC address, else not known.
#[must_use]
pub fn device_id(identity: &DeviceIdentity) -> Option<DeviceId> {
    let serial = identity
        .serial
        .clone()
        .filter(|serial| !serial.trim().is_empty())
        .or_else(|| identity.mac.as_ref().map(|mac| format!("mac:{mac}")))?;
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    Some(DeviceId { vendor: or_unknown(&identity.vendor), model: or_unknown(&identity.model), serial })
}

/// The name that a device has in reports as long as it has told neither serial number nor MAC address.
#[must_use]
pub(super) fn nameless(address: &str) -> DeviceId {
    DeviceId { vendor: UNKNOWN.to_owned(), model: UNKNOWN.to_owned(), serial: format!("address:{address}") }
}

/// Names of counters on the wire are joined by hyphens.
fn wire_name(name: &CounterName) -> String {
    name.as_str().replace('_', "-")
}

/// The counters of a reading. A machine with several print engines counts each apart: the first keeps the plain name.
#[must_use]
pub fn counters(reading: &Reading) -> Vec<Counter> {
    let first = reading.counters.iter().filter_map(|counter| counter.marker).min();
    let counter = |counter: &crate::device::Counter| Counter {
        name: match counter.marker {
            Some(marker) if Some(marker) != first => format!("{}-{marker}", wire_name(&counter.name)),
            _ => wire_name(&counter.name),
        },
        value: counter.value,
        unit: counter.unit.map_or_else(|| UNKNOWN.to_owned(), |unit| unit.to_string()),
        source: counter.source.to_string(),
    };
    reading.counters.iter().map(counter).collect()
}

/// The supplies of a reading, with what `memory` says of them. A level that the standard does not know is unknown, never a
/// number.
#[must_use]
pub fn supplies(reading: &Reading, memory: &DeviceSupplies, now: Timestamp) -> Vec<Supply> {
    let supply = |supply: &crate::device::Supply| Supply {
        index: supply.index,
        description: supply.description.clone().unwrap_or_default(),
        kind: supply.supply_type.map_or_else(|| UNKNOWN.to_owned(), |kind| kind.to_string()),
        colorant: supply.colorant.clone(),
        level: match supply.level {
            Some(Level::Units(units)) => SupplyLevel::Units(units),
            Some(Level::SomeRemains) => SupplyLevel::SomeRemains,
            Some(Level::NoRestriction) => SupplyLevel::NoRestriction,
            Some(Level::Unknown | Level::Invalid(_)) | None => SupplyLevel::Unknown,
        },
        capacity: match supply.max {
            Some(Capacity::Units(units)) => Some(units),
            Some(Capacity::Unknown | Capacity::NoRestriction | Capacity::Invalid(_)) | None => None,
        },
        unit: supply.unit.map(|unit| unit.to_string()),
        outlook: outlook(&memory.outlook(supply, now)),
    };
    reading.supplies.iter().map(supply).collect()
}

fn outlook(outlook: &Outlook) -> SupplyOutlook {
    SupplyOutlook {
        replaced: outlook.replaced,
        rises: match outlook.direction {
            Direction::Unknown => None,
            Direction::Falls => Some(false),
            Direction::Rises => Some(true),
        },
        ends: outlook.forecast.map(|forecast| SupplyEnds {
            earliest: forecast.earliest,
            likely: forecast.likely,
            latest: forecast.latest,
        }),
    }
}

/// The device's total of pages, for the pace at which supplies are used; of several engines, the sum.
pub(super) fn pages(reading: &Reading) -> Option<u64> {
    let totals = reading.counters.iter().filter(|counter| counter.name == CounterName::TOTAL);
    totals.map(|counter| counter.value).reduce(u64::saturating_add)
}

/// Whether the device says of a waste box that it is full or nearly so.
pub(super) fn waste_is_full(reading: &Reading) -> bool {
    reading.alerts.iter().any(|alert| alert.code.is_some_and(|code| (1107..=1110).contains(&code)))
}

//! What a report changes in the fleet database. Pure; [`crate::db::filed`] writes it down.

use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::census::CensusReport;
use mailfmt::message::ledger::LedgerPart;
use mailfmt::message::report::{
    AlarmReport, DeviceCounters, FaultClearedReport, FaultReport, HealthReport, InventoryReport,
    RotationAnswer, StoredReading, VersionReportMessage,
};
use mailfmt::message::{Counter, DeviceId, Supply};

/// One thing that a report changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<'a> {
    /// A fault started.
    FaultOpened(&'a FaultReport),
    /// A fault is over; it may come before the report that opens it.
    FaultCleared(&'a FaultClearedReport),
    /// A device is known, but nothing was read from it yet.
    NotCollected {
        /// The device.
        device: DeviceId,
        /// Its address on the customer's LAN.
        address: &'a str,
    },
    /// A device was read.
    Reading {
        /// The device.
        device: DeviceId,
        /// Its address on the customer's LAN.
        address: &'a str,
        /// When it was read.
        at: Timestamp,
        /// Counters: appended.
        counters: &'a [Counter],
        /// Supplies: the latest ones are kept.
        supplies: &'a [Supply],
    },
    /// Entries of the ledger.
    Ledger(&'a LedgerPart),
    /// What the appliance runs.
    Version(&'a VersionReportMessage),
    /// How the appliance fares.
    Health(&'a HealthReport),
    /// Which devices there are.
    Inventory(&'a InventoryReport),
    /// What happened to devices, and how computers fare.
    Census(&'a CensusReport),
    /// The appliance's half of a rotation of its credential.
    Rotation(&'a RotationAnswer),
    /// A command was not carried out; which, the report's envelope says.
    NotDone,
    /// Something is wrong with the appliance itself, or is over.
    Alarm(&'a AlarmReport),
}

/// What a report changes, in order. The result of an update, missing parts and an unknown kind change nothing here: they
/// stand in the journal, and their rollout is told.
#[must_use]
pub fn changes(report: &Report) -> Vec<Change<'_>> {
    match report {
        Report::Fault(report) => vec![Change::FaultOpened(report)],
        Report::FaultCleared(report) => vec![Change::FaultCleared(report)],
        Report::Counters(report) => report.devices.iter().flat_map(counters).collect(),
        Report::Version(report) => vec![Change::Version(report)],
        Report::Health(report) => vec![Change::Health(report)],
        Report::Inventory(report) => vec![Change::Inventory(report)],
        Report::Census(report) => vec![Change::Census(report)],
        Report::CredentialRotated(answer) => vec![Change::Rotation(answer)],
        Report::Refused(_) => vec![Change::NotDone],
        Report::Alarm(report) => vec![Change::Alarm(report)],
        Report::UpdateResult(_) | Report::PartsMissing(_) | Report::Unknown { .. } => Vec::new(),
    }
}

fn counters(entry: &DeviceCounters) -> impl Iterator<Item = Change<'_>> {
    std::iter::once(reading(entry)).chain(entry.ledger.as_ref().map(Change::Ledger))
}

fn reading(entry: &DeviceCounters) -> Change<'_> {
    let device = entry.device.clone().unwrap_or_else(|| unidentified(&entry.address));
    let address = entry.address.as_str();
    match &entry.reading {
        StoredReading::NotCollectedYet => Change::NotCollected { device, address },
        StoredReading::Collected { at, counters, supplies } => {
            Change::Reading { device, address, at: *at, counters, supplies }
        }
    }
}

/// Stands for a device that never told who it is.
#[must_use]
pub fn unidentified(address: &str) -> DeviceId {
    DeviceId {
        vendor: "unidentified".to_owned(),
        model: "device".to_owned(),
        serial: format!("at:{address}"),
    }
}

#[cfg(test)]
mod tests;

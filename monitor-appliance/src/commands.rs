//! Accepted commands: what each comes to. Pure, over values from the store.

use crate::judge::RefusedReason;
use crate::store::{DeviceRow, ReadingRow};
use mailfmt::message::report::{CountersReport, DeviceCounters, RefusedReport, StoredReading};
use mailfmt::message::{CounterRequest, DeviceId};
use mailfmt::{Report, SoftwareVersion};

/// A watched device with its last reading.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDevice {
    /// Its address as in the settings.
    pub address: String,
    /// Who it is, once it told.
    pub id: Option<DeviceId>,
    /// What was last read of it.
    pub reading: Option<ReadingRow>,
}

impl StoredDevice {
    /// A device of the settings, with what the store knows of it.
    #[must_use]
    pub fn new(address: &str, row: Option<DeviceRow>, reading: Option<ReadingRow>) -> Self {
        Self { address: address.to_owned(), id: row.and_then(|row| row.id), reading }
    }
}

/// The answer to a counter request: an entry for every device asked for, "not collected yet" where nothing is stored.
///
/// Source: JP 2003-435644 [0045-0046].
#[must_use]
pub fn counters(request: &CounterRequest, devices: &[StoredDevice]) -> CountersReport {
    let entry = |device: &StoredDevice| DeviceCounters {
        device: device.id.clone(),
        address: device.address.clone(),
        reading: device.reading.clone().map_or(StoredReading::NotCollectedYet, |reading| {
            StoredReading::Collected {
                at: reading.at,
                counters: reading.counters,
                supplies: reading.supplies,
            }
        }),
        ledger: None,
    };
    let devices = if request.devices.is_empty() {
        devices.iter().map(entry).collect()
    } else {
        request
            .devices
            .iter()
            .map(|wanted| {
                devices.iter().find(|device| device.id.as_ref() == Some(wanted)).map_or_else(
                    || DeviceCounters {
                        device: Some(wanted.clone()),
                        address: String::new(),
                        reading: StoredReading::NotCollectedYet,
                        ledger: None,
                    },
                    entry,
                )
            })
            .collect()
    };
    CountersReport { devices }
}

/// Octets of JSON that one report of counters has at most, but for a single device that has more: deflated and as base64 a
/// tenth of it is left, which every mail server takes.
pub const COUNTERS_OCTETS_MAX: usize = 512 << 10;

/// A report of counters as several, so that none becomes a mail that is too large; each device stands in one of them. Several
/// answers to one command are as good as one.
#[must_use]
pub fn in_reports(report: CountersReport, octets_max: usize) -> Vec<CountersReport> {
    let mut reports: Vec<CountersReport> = Vec::new();
    let mut octets = 0_usize;
    for device in report.devices {
        let more = serde_json::to_string(&device).map_or(0, |text| text.len());
        octets = octets.saturating_add(more);
        match reports.last_mut().filter(|_| octets <= octets_max) {
            Some(last) => last.devices.push(device),
            None => {
                octets = more;
                reports.push(CountersReport { devices: vec![device] });
            }
        }
    }
    if reports.is_empty() {
        reports.push(CountersReport { devices: Vec::new() });
    }
    reports
}

/// The answer to a command that is not carried out.
#[must_use]
pub fn refusal(kind: &str, reason: &RefusedReason, running: &SoftwareVersion) -> Report {
    let reason = match reason {
        RefusedReason::UnknownKind => format!("not supported by version {running}"),
        RefusedReason::Unreadable => format!("cannot be read by version {running}"),
        RefusedReason::Stale { newest } => {
            format!("too old: made long before another that came already, which is of {newest:.0}")
        }
    };
    Report::Refused(RefusedReport { kind: kind.chars().take(KIND_CHARS_MAX).collect(), reason })
}

/// Longest kind that is given back in a refusal.
const KIND_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests;

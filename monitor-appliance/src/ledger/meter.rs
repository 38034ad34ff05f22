//! One meter, and what a visit tells of all meters of a device.

use super::epoch::Identity;
use super::passage::{Moment, Passage, Running};
use jiff::Timestamp;
use mailfmt::message::DeviceId;
use mailfmt::message::ledger::LedgerPoint;
use serde::{Deserialize, Serialize};

/// `prtMarkerLifeCount` (RFC 3805).
const LIFE_COUNT: &str = "1.3.6.1.2.1.43.10.2.1.4.";

/// One count as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterValue {
    /// What is counted, such as `total`.
    pub name: String,
    /// The object it was read from.
    pub source: String,
    /// Unit by its RFC 3805 name.
    pub unit: String,
    /// The count.
    pub value: u64,
}

impl MeterValue {
    /// Whether it counts for good. Counts since the machine was switched on, and those of parts that begin anew with a new
    /// part, are no meters to bill by.
    #[must_use]
    pub fn is_meter(&self) -> bool {
        let name = self.name.replace('_', "-");
        !(name.starts_with("since-power-on")
            || name.contains("remaining")
            || ["-counter", "-status", "-percent", "-life"]
                .iter()
                .any(|end| name.ends_with(end) && name != "marker-life"))
    }
}

/// What one visit told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which device.
    pub device: DeviceId,
    /// Its address on the customer's LAN.
    pub address: String,
    /// What it tells of who it is.
    pub identity: Identity,
    /// When it was read.
    pub moment: Moment,
    /// All its counts, those included that are no meters.
    pub values: Vec<MeterValue>,
}

impl Observation {
    /// The count since power-on that stands beside a life count: `since-power-on-2` beside `marker-life-2`. Only the standard
    /// tables count both alike.
    pub(super) fn since_power_on(&self, meter: &MeterValue) -> Option<u64> {
        let name = meter.name.replace('_', "-");
        let suffix = name.strip_prefix("total").or_else(|| name.strip_prefix("marker-life"))?;
        if !meter.source.starts_with(LIFE_COUNT) {
            return None;
        }
        let fits = |name: &str| name.replace('_', "-").strip_prefix("since-power-on") == Some(suffix);
        self.values.iter().find(|value| fits(&value.name)).map(|value| value.value)
    }
}

/// What is remembered of a meter between two readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Its number among the meters of the device.
    pub number: u32,
    /// What is counted.
    pub name: String,
    /// The object.
    pub source: String,
    /// Unit.
    pub unit: String,
    /// The epoch in which it was opened.
    pub epoch: u32,
    /// The last count.
    pub value: u64,
    /// When that was read.
    pub at: Timestamp,
    /// The reading, counted from 1, that told it.
    pub reading: u64,
    /// The entry in which it stands, once it stands in one.
    pub entry: Option<u64>,
    /// What was counted up to here already; above `value` while a wobble is made up for.
    pub high: u64,
    /// What was surely counted by this meter since it was opened.
    pub sure: u64,
    /// Whether it stands for its name.
    pub leads: bool,
    /// The count since power-on beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_power_on: Option<u64>,
    /// The last reading in which the leading meter of its name was read as well, and what this one had surely counted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<(u64, u64)>,
    /// What this one had surely counted at its first reading after the last one of the leading meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_since: Option<u64>,
    /// The last reading that was believed, while the present one is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<Believed>,
}

/// Where a meter stood before a reading that could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Believed {
    /// What was counted up to there.
    pub high: u64,
    /// What was surely counted by the meter up to there.
    pub sure: u64,
    /// When it was read.
    pub moment: Moment,
    /// Steps that were doubted since then.
    pub steps: u8,
    /// That reading.
    pub point: LedgerPoint,
    /// Its number.
    pub reading: u64,
}

/// After so many steps the new count is taken for what it is.
pub(super) const DOUBTED_STEPS: u8 = 3;

impl Believed {
    /// Whether what follows is still doubted.
    pub(super) fn is_doubted(&self) -> bool {
        self.steps < DOUBTED_STEPS
    }

    /// Whether the machine has run on since then.
    pub(super) fn is_same_run(&self, now: &Moment) -> bool {
        Passage::between(&self.moment, now).running == Running::On
    }
}

impl Meter {
    /// Whether a count is of this meter.
    #[must_use]
    pub fn reads(&self, value: &MeterValue, epoch: u32) -> bool {
        self.epoch == epoch
            && self.name == value.name
            && self.source == value.source
            && self.unit == value.unit
    }

    /// Its last reading. The entry is 0 while it stands in none.
    #[must_use]
    pub fn point(&self) -> LedgerPoint {
        LedgerPoint {
            entry: self.entry.unwrap_or_default(),
            at: self.at,
            value: self.value,
            source: self.source.clone(),
        }
    }
}

//! What a device says: from the objects it answered to a reading of identity, counters, supplies and alerts.
//!
//! Everything here is pure: a [`Walk`] goes in, a [`Reading`] comes out. Nothing is guessed. What a device does not
//! tell is absent, never 0; the states that RFC 3805 writes as negative numbers stay states.

mod alerts;
mod codes;
mod host;
mod identity;
mod markers;
mod oid;
pub mod oids;
mod text;
mod trays;
mod walk;

pub use alerts::{Alert, DetectedErrors, ErrorBit, PrinterStatus};
pub use codes::{
    AlertGroup, AlertSeverity, AlertTraining, CoverState, DeviceState, InputType, PrinterState, SupplyClass,
    SupplyType, Unit,
};
pub use host::{Host, Storage, StorageKind};
pub use identity::DeviceIdentity;
pub use markers::{Capacity, Counter, CounterName, Level, Supply, SupplyNote};
pub use oid::{BadOid, Oid, Value};
pub use trays::{Cover, Input, Output};
pub use walk::{FailedPart, Part, Walk};

use serde::{Deserialize, Serialize};

/// Most rows taken from any one table; the largest machines have some tens.
pub const ROWS_MAX: usize = 256;

/// Everything one visit to a device told.
///
/// Stored as JSON with hyphenated names. An absent field was not told; an empty list of a part that is named in
/// [`Reading::incomplete`] was not read to its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Reading {
    /// Who the device is.
    pub identity: DeviceIdentity,
    /// Time since the management part of the device started, in seconds (`sysUpTime`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_secs: Option<u64>,
    /// Monotonic counts.
    pub counters: Vec<Counter>,
    /// Toner, ink, drums, waste boxes, staples.
    pub supplies: Vec<Supply>,
    /// Paper trays and feeders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Output bins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// Covers and interlocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<Cover>,
    /// Rows of the alert table, those without a fault included.
    pub alerts: Vec<Alert>,
    /// Status and error bits, one entry per printer in the device.
    pub status: Vec<PrinterStatus>,
    /// Lines of the panel, empty ones left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<String>,
    /// Processors, memory and disks, where the device tells any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Parts that could not be read to their end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<FailedPart>,
}

impl Reading {
    /// Whether everything that was asked of this part was read, so that what is missing is really not there.
    #[must_use]
    pub fn is_complete(&self, part: Part) -> bool {
        self.incomplete.iter().all(|failed| failed.part != part)
    }
}

/// Reads the standard tables in what a device answered. Total: any walk gives a reading.
///
/// Source: RFC 3418 (system), RFC 2863 (interfaces), RFC 2790 (host resources), RFC 3805 (printer).
#[must_use]
pub fn interpret(walk: &Walk) -> Reading {
    let charsets = text::Charsets::of(walk);
    Reading {
        identity: identity::identity(walk, &charsets),
        uptime_secs: walk.scalar(oids::SYS_UP_TIME).and_then(host::ticks_to_secs),
        counters: markers::counters(walk),
        supplies: markers::supplies(walk, &charsets),
        inputs: trays::inputs(walk, &charsets),
        outputs: trays::outputs(walk, &charsets),
        covers: trays::covers(walk, &charsets),
        alerts: alerts::alerts(walk, &charsets),
        status: alerts::status(walk),
        console: trays::console(walk, &charsets),
        host: host::host(walk),
        incomplete: walk.failed().to_vec(),
    }
}

/// A number column as an `i32`, which is what the MIBs use for codes and indices.
fn number(walk: &Walk, column: &[u32], index: &[u32]) -> Option<i32> {
    walk.cell(column, index).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
}

//! What a device says: from the objects it answered to a reading of identity, counters, supplies and alerts.
//!
//! Everything here is pure: a [`Walk`] goes in, a [`Reading`] comes out. Nothing is guessed. What a device does not
//! tell is absent, never 0; the states that RFC 3805 writes as negative numbers stay states.

mod alerts;
mod codes;
mod counter_name;
mod device_id;
mod document;
mod host;
mod identity;
mod markers;
mod oid;
pub mod oids;
mod parts;
mod recording;
mod software;
mod source;
mod supply_text;
mod text;
mod trays;
mod walk;

pub use alerts::{Alert, DetectedErrors, ErrorBit, PrinterStatus};
pub use codes::{
    AlertGroup, AlertSeverity, AlertTraining, CoverState, DeviceState, InputType, PrinterState, SupplyClass,
    SupplyType, Unit,
};
pub use counter_name::{BadCounterName, CounterName};
pub(crate) use device_id::DeviceId;
pub use document::{AlertWords, Document};
pub use host::{Host, SYS_SERVICES, Storage, StorageKind};
pub use identity::DeviceIdentity;
pub use markers::{Capacity, Counter, Level, Supply, SupplyNote};
pub use oid::{BadOid, Oid, Value};
pub use parts::{PartLife, ServiceCode};
pub use recording::{RecordingError, parse_recording, read_recording};
pub use software::{
    HR_SW_INSTALLED_NAME, HR_SW_RUN_NAME, HR_SW_RUN_PATH, HR_SW_RUN_STATUS, Program, SOFTWARE_MAX, Software,
    software,
};
pub use source::{Source, Way};
pub(crate) use text::{Charsets, HP_ROMAN_8, decode};
pub use trays::{Cover, Input, Output};
pub use walk::{FailedPart, Part, Walk};

use crate::profile::{Clues, Profiles};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rows taken from any one table; the largest machines have some tens.
pub const ROWS_MAX: usize = 256;

/// The field of [`Reading::ways`] that stands for all supplies.
pub const SUPPLIES: &str = "supplies";

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
    /// Lives of parts and levels of supplies that the maker tells in private objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartLife>,
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
    /// The maker's own fault codes, found in texts of alerts, of the panel or of private objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_codes: Vec<ServiceCode>,
    /// `printer-state-reasons` (RFC 8011), where IPP told what is wrong and no alert row did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// PJL status code, where only PJL told what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pjl_code: Option<u32>,
    /// For what another way than SNMP gave: the field, such as `identity.serial`, and its source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ways: BTreeMap<String, Source>,
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

/// Reads the standard tables, and with the profiles the private objects, in what a device answered. Total: any walk gives
/// a reading.
///
/// Source: RFC 3418 (system), RFC 2863 (interfaces), RFC 2790 (host resources), RFC 3805 (printer); the profiles name theirs.
#[must_use]
pub fn interpret(walk: &Walk, profiles: &Profiles) -> Reading {
    interpret_pinned(walk, profiles, &BTreeMap::new())
}

/// The same for a device whose counters were read before: a counter is only ever taken from the objects that it was read
/// from then. Where those do not answer, it is absent.
#[must_use]
pub fn interpret_pinned(walk: &Walk, profiles: &Profiles, pins: &BTreeMap<CounterName, Source>) -> Reading {
    let charsets = Charsets::of(walk);
    let clues = Clues::of(walk);
    let chosen = profiles.choose_by(walk, &clues);
    let identity = identity::identity(walk, &charsets, profiles, &chosen, clues);
    let (model, description) = (identity.model.as_deref(), identity.sys_descr.as_deref());
    let counted = chosen.counters(walk, model, description, &|name| pins.get(name).cloned());
    let mut supplies = markers::supplies(walk, &charsets);
    let parts = chosen.parts(walk, model, description, !supplies.is_empty());
    if supplies.is_empty() {
        supplies = chosen.supplies(walk);
    }
    let panel = chosen.panel(walk, &charsets);
    let alerts = alerts::alerts(walk, &charsets);
    let texts: Vec<(&str, Oid)> = alerts.iter().filter_map(Alert::text_with_object).collect();
    let service_codes = chosen.service_codes(walk, &texts, &panel);
    let mut console = trays::console(walk, &charsets);
    for (text, _) in panel {
        if !console.contains(&text) {
            console.push(text);
        }
    }
    Reading {
        counters: markers::counters(walk, counted, chosen.life_count_is_total(), pins),
        identity,
        uptime_secs: walk.scalar(oids::SYS_UP_TIME).and_then(host::ticks_to_secs),
        supplies,
        parts,
        inputs: trays::inputs(walk, &charsets),
        outputs: trays::outputs(walk, &charsets),
        covers: trays::covers(walk, &charsets),
        service_codes,
        alerts,
        status: alerts::status(walk),
        console,
        reasons: Vec::new(),
        pjl_code: None,
        ways: BTreeMap::new(),
        host: host::host(walk),
        incomplete: walk.failed().to_vec(),
    }
}

/// A number column as an `i32`, which is what the MIBs use for codes and indices.
fn number(walk: &Walk, column: &[u32], index: &[u32]) -> Option<i32> {
    walk.cell(column, index).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
}

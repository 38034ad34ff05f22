//! What happens to a printer: pages, alerts, toner, serial number, a restart. Pure changes to its objects.

use std::sync::Arc;

use async_snmp::{Oid, Value};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, CODE_JAM, Severity};
use super::objects::{Objects, Ticks};
use super::oids::{self, instance};
use super::recording::Recording;

/// From this life count on, an equal number in a private object is taken for the same counter; below it, equal
/// numbers are mostly chance.
const TELLING_COUNT: u32 = 100;

/// Columns of prtAlertTable, 2 prtAlertSeverityLevel to 9 prtAlertTime.
const ALERT_COLUMNS: std::ops::RangeInclusive<u32> = 2..=9;

/// The objects of one printer and the alerts that were raised in it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) objects: Objects,
    /// hrDeviceIndex of the printer.
    device: u32,
    alerts: Vec<(u32, Alert)>,
    last_alert: u32,
    /// The state objects as they were before the first alert; put back after the last.
    calm: Vec<(Oid, Option<Value>)>,
}

/// Why a printer could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// There is no supply of that number.
    #[error("{printer} has no supply {index}; it has {known:?}")]
    NoSupply {
        /// The recording's name.
        printer: String,
        /// What was asked for.
        index: u32,
        /// prtMarkerSuppliesIndex of those it has.
        known: Vec<u32>,
    },
    /// More than all of it.
    #[error("{0} percent is more than 100")]
    Percent(u8),
    /// There is no alert of that number.
    #[error("{printer} has no alert {index}")]
    NoAlert {
        /// The recording's name.
        printer: String,
        /// prtAlertIndex asked for.
        index: u32,
    },
    /// The recording holds no counter of pages.
    #[error("the recording of {0} has no page counter")]
    NoCounter(String),
}

/// What a person wants to know of a simulated printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The recording it answers from.
    pub recording: String,
    /// Its serial number, when it has one.
    pub serial: Option<String>,
    /// prtMarkerLifeCount of its first marker.
    pub pages: Option<u32>,
    /// prtMarkerSuppliesIndex of its supplies.
    pub supplies: Vec<u32>,
    /// prtAlertIndex and text of the rows of prtAlertTable.
    pub alerts: Vec<(u32, String)>,
}

impl Machine {
    pub(super) fn new(recording: Arc<Recording>) -> Self {
        let objects = Objects::new(recording);
        let first =
            |column| objects.under(column).first().and_then(|(oid, _)| oid.suffix(1).map(|arcs| arcs[0]));
        let device =
            first(oids::HR_PRINTER_ERROR_STATE).or_else(|| first(oids::HR_PRINTER_STATUS)).unwrap_or(1);
        let mut machine = Self { objects, device, alerts: Vec::new(), last_alert: 0, calm: Vec::new() };
        machine.last_alert = machine.alert_rows().last().map_or(0, |(index, _)| *index);
        machine
    }

    fn name(&self) -> String {
        self.objects.recording().name().to_owned()
    }

    /// Counts `pages` more: prtMarkerLifeCount, prtMarkerPowerOnCount, and what vendors count beside them.
    pub(super) fn print_pages(&mut self, pages: u32, now: Ticks) -> Result<(), MachineError> {
        let life = self.objects.under(oids::LIFE_COUNT);
        let counted: Vec<u32> = life
            .iter()
            .filter_map(|(_, value)| count(value))
            .filter(|count| TELLING_COUNT <= *count)
            .collect();
        let private = Oid::from_slice(oids::PRIVATE);
        let telling = |oid: &Oid, value: &Value| {
            count(value).is_some_and(|value| counted.contains(&value)) && oid.starts_with(&private)
        };
        let vendors = self.objects.all().filter(|(oid, value)| telling(oid, value));
        let vendors: Vec<_> = vendors.map(|(oid, value)| (oid.clone(), value.clone())).collect();
        let mut counters = life;
        counters.extend(self.objects.under(oids::POWER_ON_COUNT));
        counters.extend(vendors);
        let brother = Oid::from_slice(oids::BROTHER_COUNTERS);
        if let Some(Value::OctetString(records)) = self.objects.stored(&brother) {
            counters.push((brother, Value::OctetString(records.clone())));
        }
        if counters.is_empty() {
            return Err(MachineError::NoCounter(self.name()));
        }
        for (oid, value) in counters {
            if let Some(grown) = grown(&value, pages) {
                self.objects.set(oid, grown, now);
            }
        }
        Ok(())
    }

    /// Adds a row to prtAlertTable and the state that goes with it; gives prtAlertIndex, which only counts up.
    pub(super) fn raise_alert(&mut self, alert: Alert, now: Ticks) -> u32 {
        if self.alerts.is_empty() {
            self.calm =
                self.state_objects().map(|oid| (oid.clone(), self.objects.stored(&oid).cloned())).to_vec();
        }
        self.last_alert += 1;
        let index = self.last_alert;
        let uptime = self.objects.get(&Oid::from_slice(oids::SYS_UP_TIME), now);
        let columns = [
            Value::Integer(alert.severity.number()),
            Value::Integer(alert.training),
            Value::Integer(alert.group),
            Value::Integer(alert.group_index),
            Value::Integer(alert.location),
            Value::Integer(alert.code),
            Value::OctetString(Bytes::copy_from_slice(alert.description.as_bytes())),
            uptime.unwrap_or(Value::TimeTicks(now)),
        ];
        for (column, value) in ALERT_COLUMNS.zip(columns) {
            self.objects.set(self.alert_cell(column, index), value, now);
        }
        let events: &[&[u32]] = match alert.severity {
            Severity::Critical => &[oids::CRITICAL_EVENTS, oids::ALL_EVENTS],
            Severity::Warning | Severity::Other => &[oids::ALL_EVENTS],
        };
        let counts: Vec<_> = events.iter().flat_map(|column| self.objects.under(column)).collect();
        for (oid, value) in counts {
            if let Some(grown) = grown(&value, 1) {
                self.objects.set(oid, grown, now);
            }
        }
        self.alerts.push((index, alert));
        self.show_state(now);
        index
    }

    /// Takes a row out of prtAlertTable, recorded or raised, and the state that went with it.
    pub(super) fn clear_alert(&mut self, index: u32, now: Ticks) -> Result<(), MachineError> {
        let cells: Vec<Oid> = ALERT_COLUMNS.map(|column| self.alert_cell(column, index)).collect();
        let mut there = false;
        for cell in &cells {
            there |= self.objects.remove(cell);
        }
        if !there {
            return Err(MachineError::NoAlert { printer: self.name(), index });
        }
        let before = self.alerts.len();
        self.alerts.retain(|(raised, _)| *raised != index);
        if self.alerts.len() < before {
            self.show_state(now);
        }
        Ok(())
    }

    /// Paper is stuck; a second jam is the first one.
    pub(super) fn jam(&mut self, now: Ticks) -> u32 {
        let jammed = self.alerts.iter().find(|(_, alert)| alert.code == CODE_JAM).map(|(index, _)| *index);
        jammed.unwrap_or_else(|| self.raise_alert(Alert::jam(), now))
    }

    /// Ends every jam that was raised; says how many there were.
    pub(super) fn clear_jam(&mut self, now: Ticks) -> usize {
        let jams: Vec<u32> =
            self.alerts.iter().filter(|(_, alert)| alert.code == CODE_JAM).map(|(index, _)| *index).collect();
        jams.iter().filter(|index| self.clear_alert(**index, now).is_ok()).count()
    }

    /// Sets prtMarkerSuppliesLevel of supply `index`. A supply without a known capacity becomes one in percent.
    pub(super) fn set_toner_percent(
        &mut self,
        index: u32,
        percent: u8,
        now: Ticks,
    ) -> Result<(), MachineError> {
        if 100 < percent {
            return Err(MachineError::Percent(percent));
        }
        let levels = self.objects.under(oids::SUPPLY_LEVEL);
        let known = |(oid, _): &(Oid, Value)| oid.suffix(1).map(|arcs| arcs[0]);
        let Some((level, _)) = levels.iter().find(|row| known(row) == Some(index)) else {
            let known = levels.iter().filter_map(known).collect();
            return Err(MachineError::NoSupply { printer: self.name(), index, known });
        };
        let row = &level.arcs()[oids::SUPPLY_LEVEL.len()..];
        let max = instance(oids::SUPPLY_MAX, row);
        let capacity = match self.objects.stored(&max) {
            Some(Value::Integer(capacity)) if 0 < *capacity => i64::from(*capacity),
            _ => {
                const PERCENT: i32 = 19;
                self.objects.set(max, Value::Integer(100), now);
                self.objects.set(instance(oids::SUPPLY_UNIT, row), Value::Integer(PERCENT), now);
                100
            }
        };
        let left = i32::try_from(capacity * i64::from(percent) / 100).unwrap_or(i32::MAX);
        self.objects.set(level.clone(), Value::Integer(left), now);
        Ok(())
    }

    /// Gives the printer its own serial number: prtGeneralSerialNumber, added where it is missing, and every text
    /// that was the recorded number.
    pub(super) fn set_serial(&mut self, serial: &str, now: Ticks) {
        let fresh = Value::OctetString(Bytes::copy_from_slice(serial.as_bytes()));
        let standard = instance(oids::SERIAL_NUMBER, &[self.device_row()]);
        if let Some(old) = self.serial_value() {
            self.replace(&old, &fresh, now);
        }
        self.objects.set(standard, fresh, now);
    }

    /// Gives the printer its own hardware address wherever the recorded one stands as six octets.
    pub(super) fn set_mac(&mut self, mac: [u8; 6], now: Ticks) {
        let is_mac = |value: &Value| value.as_bytes().is_some_and(|octets| octets.len() == 6);
        let old = self.objects.under(oids::IF_PHYS_ADDRESS).into_iter().find(|(_, value)| is_mac(value));
        if let Some((_, old)) = old {
            self.replace(&old, &Value::OctetString(Bytes::copy_from_slice(&mac)), now);
        }
    }

    fn replace(&mut self, old: &Value, fresh: &Value, now: Ticks) {
        let places: Vec<Oid> =
            self.objects.all().filter(|(_, value)| *value == old).map(|(oid, _)| oid.clone()).collect();
        for oid in places {
            self.objects.set(oid, fresh.clone(), now);
        }
    }

    /// Switched off and on: uptimes and prtMarkerPowerOnCount begin at zero. Alerts stay, as the paper does.
    pub(super) fn restart(&mut self) {
        self.objects.restart_uptimes();
        for (oid, value) in self.objects.under(oids::POWER_ON_COUNT) {
            if let Some(zero) = zeroed(&value) {
                self.objects.set(oid, zero, 0);
            }
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let text =
            |value: &Value| value.as_bytes().map(|octets| String::from_utf8_lossy(octets).into_owned());
        Summary {
            recording: self.name(),
            serial: self.serial_value().as_ref().and_then(text),
            pages: self.objects.under(oids::LIFE_COUNT).first().and_then(|(_, value)| count(value)),
            supplies: self
                .objects
                .under(oids::SUPPLY_LEVEL)
                .iter()
                .filter_map(|(oid, _)| oid.suffix(1).map(|arcs| arcs[0]))
                .collect(),
            alerts: self.alert_rows(),
        }
    }

    fn serial_value(&self) -> Option<Value> {
        let standard = self.objects.under(oids::SERIAL_NUMBER).into_iter().map(|(_, value)| value).next();
        standard
            .or_else(|| self.objects.stored(&Oid::from_slice(oids::BROTHER_SERIAL)).cloned())
            .filter(|value| value.as_bytes().is_some_and(|octets| !octets.is_empty()))
    }

    /// prtGeneralTable has one row per printer device; recordings know it as 1 even where hrDeviceIndex is not.
    fn device_row(&self) -> u32 {
        let known = self.objects.under(oids::SERIAL_NUMBER);
        known.first().and_then(|(oid, _)| oid.suffix(1).map(|arcs| arcs[0])).unwrap_or(1)
    }

    fn alert_cell(&self, column: u32, index: u32) -> Oid {
        instance(oids::ALERT_ENTRY, &[column, self.device, index])
    }

    /// prtAlertIndex and prtAlertDescription of all rows, by index.
    fn alert_rows(&self) -> Vec<(u32, String)> {
        const SEVERITY: u32 = 2;
        let severities = self.objects.under(&[oids::ALERT_ENTRY, &[SEVERITY]].concat());
        let indexes = severities.iter().filter_map(|(oid, _)| oid.suffix(1).map(|arcs| arcs[0]));
        let described = |index| {
            let text = self.objects.stored(&self.alert_cell(8, index)).and_then(Value::as_bytes);
            (index, text.map_or_else(String::new, |octets| String::from_utf8_lossy(octets).into_owned()))
        };
        let mut rows: Vec<(u32, String)> = indexes.map(described).collect();
        rows.sort();
        rows
    }

    /// hrDeviceStatus, hrPrinterStatus, hrPrinterDetectedErrorState of this printer.
    fn state_objects(&self) -> [Oid; 3] {
        [oids::HR_DEVICE_STATUS, oids::HR_PRINTER_STATUS, oids::HR_PRINTER_ERROR_STATE]
            .map(|column| instance(column, &[self.device]))
    }

    /// Writes the state that all raised alerts together give, over the state before them (RFC 3805, 2.2.13.2).
    fn show_state(&mut self, now: Ticks) {
        const WARNING: i32 = 3;
        const DOWN: i32 = 5;
        const PRINTER_OTHER: i32 = 1;
        for (oid, value) in self.calm.clone() {
            match value {
                Some(value) => self.objects.set(oid, value, now),
                None => drop(self.objects.remove(&oid)),
            }
        }
        let [device, printer, error_state] = self.state_objects();
        let raised = |severity| self.alerts.iter().any(|(_, alert)| alert.severity == severity);
        if raised(Severity::Critical) {
            self.objects.set(device, Value::Integer(DOWN), now);
            self.objects.set(printer, Value::Integer(PRINTER_OTHER), now);
        } else if raised(Severity::Warning) {
            self.objects.set(device, Value::Integer(WARNING), now);
        }
        let bits = self.alerts.iter().fold(0, |bits, (_, alert)| bits | alert.error_bits());
        if bits != 0 {
            let before =
                self.objects.stored(&error_state).and_then(Value::as_bytes).unwrap_or_default().to_vec();
            self.objects.set(error_state, Value::OctetString(with_bits(before, bits).into()), now);
        }
    }
}

/// `octets` with the mask `bits` laid over, as many octets as either needs.
fn with_bits(mut octets: Vec<u8>, bits: u16) -> Vec<u8> {
    let mask = bits.to_be_bytes();
    let needed = if mask[1] == 0 { 1 } else { 2 };
    if octets.len() < needed {
        octets.resize(needed, 0);
    }
    for (octet, mask) in octets.iter_mut().zip(mask) {
        *octet |= mask;
    }
    octets
}

fn count(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::Counter32(number) | Value::Gauge32(number) => Some(*number),
        _ => None,
    }
}

/// The counter after `pages` more, in its own type; nothing for what is no counter or says "unknown".
fn grown(value: &Value, pages: u32) -> Option<Value> {
    match value {
        Value::Integer(number) if 0 <= *number => {
            Some(Value::Integer(number.saturating_add(i32::try_from(pages).unwrap_or(i32::MAX))))
        }
        Value::Counter32(number) => Some(Value::Counter32(number.wrapping_add(pages))),
        Value::Gauge32(number) => Some(Value::Gauge32(number.saturating_add(pages))),
        Value::OctetString(records) => {
            brother_total_grown(records, pages).map(|grown| Value::OctetString(grown.into()))
        }
        _ => None,
    }
}

/// Brother's page counters with the record of kind 00, all pages, grown.
fn brother_total_grown(records: &[u8], pages: u32) -> Option<Vec<u8>> {
    const RECORD: usize = 7;
    let mut grown = records.to_vec();
    let total = grown.chunks_exact_mut(RECORD).find(|record| record[0] == 0)?;
    let number: [u8; 4] = total[3..].try_into().ok()?;
    total[3..].copy_from_slice(&u32::from_be_bytes(number).wrapping_add(pages).to_be_bytes());
    Some(grown)
}

fn zeroed(value: &Value) -> Option<Value> {
    match value {
        Value::Integer(_) => Some(Value::Integer(0)),
        Value::Counter32(_) => Some(Value::Counter32(0)),
        Value::Gauge32(_) => Some(Value::Gauge32(0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

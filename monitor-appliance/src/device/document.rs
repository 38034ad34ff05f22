//! A reading as the documented JSON of `monitor-appliance device read`; described in `testdata/README.md`, and stable.

use super::codes::{DeviceState, PrinterState};
use super::{Alert, Capacity, Input, Level, Reading, SUPPLIES, Source, Supply, oids};
use crate::device::Oid;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a device told, for programs. An absent field was not told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    identity: Identity,
    counters: BTreeMap<String, u64>,
    supplies: Vec<SupplyRow>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, u64>,
    inputs: Vec<InputRow>,
    alerts: Vec<AlertRow>,
    status: Status,
    sources: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<String>,
    #[serde(rename = "sysDescr", skip_serializing_if = "Option::is_none")]
    sys_descr: Option<String>,
    #[serde(rename = "sysObjectID", skip_serializing_if = "Option::is_none")]
    sys_object_id: Option<String>,
    #[serde(rename = "sysName", skip_serializing_if = "Option::is_none")]
    sys_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SupplyRow {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    colorant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(flatten)]
    level: LevelFields,
}

/// Level and maximum: numbers, or states.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct LevelFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_state: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct InputRow {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(flatten)]
    level: LevelFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct AlertRow {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_index: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u32>,
    /// `null`: no fault.
    class: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_status: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    printer_status: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<&'static str>>,
    panel: Vec<String>,
    service_codes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pjl_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Named {
    value: i32,
    text: String,
}

/// Tells the name of an alert's code, and the class of the fault that it is, if it is one.
pub type AlertWords<'a> = dyn Fn(&Alert) -> (Option<String>, Option<String>) + 'a;

impl Document {
    /// The document of a reading. `alert` tells the name of an alert's code and the class of the fault that it is, if it is one.
    #[must_use]
    pub fn of(reading: &Reading, alert: &AlertWords<'_>) -> Self {
        let mut sources = BTreeMap::new();
        let first = reading.counters.iter().filter_map(|counter| counter.marker).min();
        let counters = reading
            .counters
            .iter()
            .map(|counter| {
                let name = match counter.marker {
                    Some(marker) if Some(marker) != first => format!("{}_{marker}", counter.name),
                    _ => counter.name.to_string(),
                };
                sources.insert(format!("counters.{name}"), counter.source.to_string());
                (name, counter.value)
            })
            .collect();
        for part in &reading.parts {
            sources.insert(format!("parts.{}", part.name), part.source.to_string());
        }
        sources.extend(reading.ways.iter().map(|(field, source)| (field.clone(), source.to_string())));
        let identity = &reading.identity;
        Self {
            identity: Identity {
                vendor: identity.vendor.clone(),
                model: identity.model.clone(),
                serial: identity.serial.clone(),
                mac: identity.mac.clone(),
                firmware: identity.firmware.clone(),
                sys_descr: identity.sys_descr.clone(),
                sys_object_id: identity.sys_object_id.as_ref().map(ToString::to_string),
                sys_name: identity.sys_name.clone(),
            },
            counters,
            supplies: reading
                .supplies
                .iter()
                .map(|supply| SupplyRow::of(supply, reading.ways.get(SUPPLIES), &mut sources))
                .collect(),
            parts: reading.parts.iter().map(|part| (part.name.clone(), part.value)).collect(),
            inputs: reading.inputs.iter().map(InputRow::of).collect(),
            alerts: reading.alerts.iter().map(|row| AlertRow::of(row, alert(row))).collect(),
            status: Status::of(reading),
            sources,
            incomplete: reading
                .incomplete
                .iter()
                .map(|part| format!("{}: {}", part.part, part.reason))
                .collect(),
        }
    }
}

/// The RFC's spelling of a name: `toner-cartridge` is `tonerCartridge` there.
fn rfc_spelling(name: &str) -> String {
    let mut words = name.split('-');
    let mut spelled = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        spelled.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        spelled.push_str(chars.as_str());
    }
    spelled
}

impl LevelFields {
    fn of(level: Option<Level>, max: Option<Capacity>, percent: Option<u8>) -> Self {
        Self {
            level: match level {
                Some(Level::Units(units)) => Some(units),
                _ => None,
            },
            max: match max {
                Some(Capacity::Units(units)) => Some(units),
                _ => None,
            },
            percent,
            state: level.and_then(|level| match level {
                Level::Units(_) => None,
                Level::SomeRemains => Some("some-remaining"),
                Level::Unknown => Some("unknown"),
                Level::NoRestriction => Some("no-restriction"),
                Level::Invalid(_) => Some("invalid"),
            }),
            max_state: max.and_then(|max| match max {
                Capacity::Units(_) => None,
                Capacity::Unknown => Some("unknown"),
                Capacity::NoRestriction => Some("no-restriction"),
                Capacity::Invalid(_) => Some("invalid"),
            }),
        }
    }
}

impl SupplyRow {
    /// `way`: where all supplies are from, if not from SNMP.
    fn of(supply: &Supply, way: Option<&Source>, sources: &mut BTreeMap<String, String>) -> Self {
        if let (Some(way), Some(_)) = (way, supply.level) {
            sources.insert(format!("supplies.{}.level", supply.index), way.to_string());
        } else if supply.level.is_some() && supply.supply_type.is_some() {
            let row = [supply.device_index, supply.index];
            let oid = Oid::new(&[oids::PRT_MARKER_SUPPLIES_LEVEL, &row].concat());
            sources.insert(format!("supplies.{}.level", supply.index), oid.to_string());
        }
        Self {
            index: supply.index,
            description: supply.description.clone(),
            kind: supply.supply_type.map(|kind| rfc_spelling(&kind.to_string())),
            colorant: supply.colorant.clone(),
            class: supply.class.map(|class| rfc_spelling(&class.to_string())),
            part_number: supply.part_number.clone(),
            serial: supply.serial.clone(),
            unit: supply.unit.map(|unit| rfc_spelling(&unit.to_string())),
            level: LevelFields::of(supply.level, supply.max, supply.percent),
        }
    }
}

impl InputRow {
    fn of(input: &Input) -> Self {
        let percent = match (input.level, input.max) {
            (Some(Level::Units(level)), Some(Capacity::Units(max))) if level <= max => (u64::from(level)
                * 100)
                .checked_div(u64::from(max))
                .and_then(|share| u8::try_from(share).ok()),
            _ => None,
        };
        Self {
            index: input.index,
            name: input.name.clone(),
            description: input.description.clone(),
            kind: input.input_type.map(|kind| rfc_spelling(&kind.to_string())),
            media: input.media.clone(),
            unit: input.unit.map(|unit| rfc_spelling(&unit.to_string())),
            level: LevelFields::of(input.level, input.max, percent),
            status: input.status,
        }
    }
}

impl AlertRow {
    fn of(alert: &Alert, (code_name, class): (Option<String>, Option<String>)) -> Self {
        Self {
            index: alert.index,
            code: alert.code,
            code_name,
            group: alert.group.map(super::AlertGroup::number),
            group_name: alert.group.and_then(super::AlertGroup::name).map(rfc_spelling),
            group_index: alert.group_index,
            location: alert.location,
            severity: alert.severity.map(super::AlertSeverity::number),
            severity_name: alert.severity.and_then(super::AlertSeverity::name).map(rfc_spelling),
            training: alert.training.map(super::AlertTraining::number),
            training_name: alert.training.and_then(super::AlertTraining::name).map(rfc_spelling),
            description: alert.description.clone(),
            time: alert.time_ticks,
            class,
        }
    }
}

impl Status {
    fn of(reading: &Reading) -> Self {
        let printer = reading.status.first();
        let device =
            |state: DeviceState| Named { value: state.number(), text: rfc_spelling(&state.to_string()) };
        let state =
            |state: PrinterState| Named { value: state.number(), text: rfc_spelling(&state.to_string()) };
        Self {
            device_status: printer.and_then(|printer| printer.device).map(device),
            printer_status: printer.and_then(|printer| printer.printer).map(state),
            errors: printer
                .and_then(|printer| printer.errors)
                .map(|errors| errors.iter().map(super::ErrorBit::name).collect()),
            panel: reading.console.clone(),
            service_codes: reading.service_codes.iter().map(|code| code.code.clone()).collect(),
            reasons: reading.reasons.clone(),
            pjl_code: reading.pjl_code,
            uptime_seconds: reading.uptime_secs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, rfc_spelling};
    use crate::device::{interpret, parse_recording};
    use crate::profile::Profiles;

    #[test]
    fn states_are_words_and_numbers_are_numbers() {
        let text = "1.3.6.1.2.1.43.10.2.1.4.1.1|65|42\n1.3.6.1.2.1.43.11.1.1.5.1.1|2|21\n\
            1.3.6.1.2.1.43.11.1.1.8.1.1|2|-2\n1.3.6.1.2.1.43.11.1.1.9.1.1|2|-3\n";
        let walk = parse_recording(text).unwrap().into_iter().collect();
        let document = Document::of(&interpret(&walk, &Profiles::none()), &|_| (None, None));
        let json = serde_json::to_value(document).unwrap();
        assert_eq!(json["counters"], serde_json::json!({ "total": 42, "marker_life": 42 }));
        assert_eq!(json["sources"]["counters.total"], "1.3.6.1.2.1.43.10.2.1.4.1.1");
        let supply = serde_json::json!({
            "index": 1, "type": "tonerCartridge", "state": "some-remaining", "max_state": "unknown"
        });
        assert_eq!(json["supplies"], serde_json::json!([supply]));
        assert_eq!(json["identity"], serde_json::json!({}));
    }

    #[test]
    fn names_are_spelled_as_in_the_rfc() {
        assert_eq!(rfc_spelling("toner-cartridge"), "tonerCartridge");
        assert_eq!(rfc_spelling("opc"), "opc");
        assert_eq!(rfc_spelling("77"), "77");
    }

    #[test]
    fn what_another_way_told_names_that_way_and_no_object() {
        let mut reading = crate::device::Reading::default();
        let octets = b"\x01\x01\x00\x00\x00\x00\x00\x01\x04\x41\x00\x15printer-serial-number\x00\x02AB\x21\x00\x0dmarker-levels\x00\x04\x00\x00\x00\x28\x03";
        let answer = crate::ipp::parse(octets).unwrap();
        crate::ipp::Told::of(&answer).complete(&mut reading, &Profiles::none());
        let document = Document::of(&reading, &|_| (None, None));
        assert_eq!(document.sources["identity.serial"], "ipp:printer-serial-number");
        assert_eq!(document.sources["supplies.1.level"], "ipp:marker-levels");
    }
}

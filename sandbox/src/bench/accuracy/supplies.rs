//! Supplies and trays: what LibreNMS and GLPI Agent read, and what stands in the standard tables.

use super::tally::{Kind, Tally};
use super::{Device, fields, list, plain};
use monitor_appliance::device::{Oid, Value};
use serde_json::Value as Json;

/// `prtMarkerSuppliesTable` and `prtInputTable`: the columns of type, maximum and level.
const SUPPLIES: (&str, u32, u32, u32) = ("1.3.6.1.2.1.43.11.1.1", 5, 8, 9);
const INPUTS: (&str, u32, u32, u32) = ("1.3.6.1.2.1.43.8.2.1", 2, 9, 10);

pub(super) fn compare(device: &Device, tally: &mut Tally) {
    rows(device, "supplies", SUPPLIES, Kind::Supplies, tally);
    derived(device, tally);
    cartridges(device, tally);
    not_invented(device, "supplies", SUPPLIES, tally);
}

pub(super) fn inputs(device: &Device, tally: &mut Tally) {
    rows(device, "inputs", INPUTS, Kind::Inputs, tally);
    not_invented(device, "inputs", INPUTS, tally);
}

fn of_index<'a>(device: &'a Device, table: &str, index: u64) -> Option<&'a Json> {
    list(&device.read[table]).iter().find(|row| row["index"].as_u64() == Some(index))
}

/// What LibreNMS reads. Its own conversions of a level that is no number are no expectation, nor are its names for a type
/// that the device does not tell, nor the maximum that it puts in the place of one.
fn rows(device: &Device, table: &str, columns: (&str, u32, u32, u32), kind: Kind, tally: &mut Tally) {
    for row in list(&device.expected["expected"][table]) {
        let Some(index) = row["index"].as_u64() else { continue };
        let found = of_index(device, table, index);
        let what = |field: &str| format!("{}: {table} {index}: {field}", device.name);
        let text = |found: &Json| found["description"].as_str().or(found["name"].as_str()).map(plain);
        if let Some(expected) = row["description"].as_str().map(plain).filter(|text| !text.is_empty()) {
            let read = found.map(|found| [text(found), found["name"].as_str().map(plain)]);
            let read = read.and_then(|texts| {
                let same = texts.iter().flatten().find(|text| **text == expected).cloned();
                same.or_else(|| texts.into_iter().flatten().next())
            });
            tally.compare(kind, &what("description"), Some(expected), read);
        }
        let typed = device.walk.iter().any(|(oid, _)| in_column(oid, columns.0, columns.1));
        if table == "supplies" && typed && row["type"] != "markerSupply" {
            let read = found.and_then(|found| found["type"].as_str()).map(str::to_lowercase);
            tally.compare(kind, &what("type"), row["type"].as_str().map(str::to_lowercase), read);
        }
        level(row["raw_level"].as_i64(), found, &what("level"), kind, tally);
        if let Some(max) = row["raw_max"].as_i64().filter(|max| *max >= 0) {
            tally.compare(kind, &what("max"), Some(max), found.and_then(|found| found["max"].as_i64()));
        }
        // LibreNMS rounds to the nearest, others down.
        if let Some(percent) = row["percent"].as_i64() {
            let read = found.and_then(|found| found["percent"].as_i64());
            let read = read.map(|read| if (percent - read).abs() <= 1 { percent } else { read });
            tally.compare(kind, &what("percent"), Some(percent), read);
        }
        if let Some(state) = row["state"].as_str() {
            let read = found.and_then(|found| found["state"].as_str());
            tally.compare(kind, &what("state"), Some(state), read);
        }
    }
}

/// A raw level: the number, or the state that it stands for.
fn level(raw: Option<i64>, found: Option<&Json>, what: &str, kind: Kind, tally: &mut Tally) {
    let state = match raw {
        Some(-3) => "some-remaining",
        Some(-2) => "unknown",
        Some(-1) => "no-restriction",
        Some(number) if number < 0 => "invalid",
        _ => {
            let read = found.and_then(|found| found["level"].as_i64());
            return tally.compare(kind, what, raw, read);
        }
    };
    tally.compare(kind, what, Some(state), found.and_then(|found| found["state"].as_str()));
}

/// What stands in the standard table, where LibreNMS reported nothing of it.
fn derived(device: &Device, tally: &mut Tally) {
    for row in list(&device.expected["derived"]["supplies"]) {
        let index = row["index"].as_str().and_then(|index| index.rsplit('.').next()?.parse().ok());
        let Some(index) = index else { continue };
        let found = of_index(device, "supplies", index);
        let what = |field: &str| format!("{}: supplies {index}: {field}", device.name);
        let settled = list(&device.expected["expected"]["supplies"]).iter().any(|row| row["index"] == index);
        if !settled {
            level(row["level"].as_i64(), found, &what("level"), Kind::Supplies, tally);
            if let Some(max) = row["max"].as_i64().filter(|max| *max >= 0) {
                tally.compare(
                    Kind::Supplies,
                    &what("max"),
                    Some(max),
                    found.and_then(|found| found["max"].as_i64()),
                );
            }
            let text = row["description"].as_str().filter(|_| row["description_hex"].is_null()).map(plain);
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                let read = found.and_then(|found| found["description"].as_str()).map(plain);
                tally.compare(Kind::Supplies, &what("description"), Some(text), read);
            }
        }
        if let Some(colorant) = row["colorant"].as_str().map(plain).filter(|text| !text.is_empty()) {
            let read = found.and_then(|found| found["colorant"].as_str()).map(plain);
            tally.compare(Kind::Supplies, &what("colorant"), Some(colorant), read);
        }
    }
}

/// GLPI Agent's report: one entry per kind and colour, of several the last. Right is what one supply of that colour tells.
fn cartridges(device: &Device, tally: &mut Tally) {
    for (name, expected) in fields(&device.expected["expected"]["cartridges"]) {
        // A share of a maximum that is no number is a rule of its own.
        let Some(expected) = expected.as_str().filter(|value| !value.ends_with('?')) else { continue };
        let colour = ["BLACK", "CYAN", "MAGENTA", "YELLOW"].into_iter().find(|colour| name.ends_with(colour));
        let told = |supply: &&Json| {
            let value = match supply["state"].as_str() {
                Some("some-remaining") => Some("OK".to_owned()),
                Some("unknown") => Some("WARNING".to_owned()),
                _ => supply["percent"].as_u64().map(|percent| percent.to_string()),
            };
            value.as_deref() == Some(expected)
        };
        let coloured = |supply: &&Json| {
            let others = ["cyan", "magenta", "yellow"];
            let text = plain(&format!("{} {}", supply["colorant"], supply["description"]));
            match colour {
                Some("BLACK") => !others.iter().any(|other| text.contains(other)),
                Some(_) | None => true,
            }
        };
        let supplies = list(&device.read["supplies"]);
        let right = supplies.iter().filter(coloured).any(|supply| told(&supply));
        let read = right.then_some(expected);
        tally.compare(Kind::Supplies, &format!("{}: cartridge {name}", device.name), Some(expected), read);
    }
}

fn in_column(oid: &Oid, entry: &str, column: u32) -> bool {
    let entry: Option<Oid> = entry.parse().ok();
    let rest = entry.as_ref().and_then(|entry| oid.arcs().strip_prefix(entry.arcs()));
    rest.is_some_and(|rest| rest.first() == Some(&column))
}

/// No number where the device gives a state or nothing.
fn not_invented(
    device: &Device,
    table: &str,
    (entry, _, maxima, levels): (&str, u32, u32, u32),
    tally: &mut Tally,
) {
    let raw = |column: u32, index: &Json| {
        let cell = device.walk.iter().find(|(oid, _)| {
            in_column(oid, entry, column) && oid.arcs().last().map(|arc| u64::from(*arc)) == index.as_u64()
        });
        cell.map(|(_, value)| value).and_then(Value::as_i64)
    };
    let standard = device.walk.iter().any(|(oid, _)| in_column(oid, entry, levels));
    for row in list(&device.read[table]).iter().filter(|_| standard) {
        let number = |field: &str| row[field].is_number();
        let level = raw(levels, &row["index"]).filter(|level| *level >= 0);
        let max = raw(maxima, &row["index"]).filter(|max| *max >= 0);
        let what =
            |field: &str| format!("{}: {table} {}: {field} is {}", device.name, row["index"], row[field]);
        tally.invent(number("level") && level.is_none(), || what("level"));
        tally.invent(number("max") && max.is_none(), || what("max"));
        tally.invent(number("percent") && (level.is_none() || max.is_none()), || what("percent"));
    }
}

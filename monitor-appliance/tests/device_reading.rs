//! Readings of recorded real printers against what was read from them elsewhere.
//!
//! The recordings are in `testdata/printers`; its README explains the format. With `PRINTER_RECORDINGS` set to a
//! folder of more recordings in the same format, those are checked as well.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read ends the test")]

use monitor_appliance::device::{
    AlertGroup, AlertSeverity, AlertTraining, Capacity, CounterName, CoverState, DetectedErrors, DeviceState,
    InputType, Level, Oid, PrinterState, Reading, Supply, SupplyClass, SupplyType, Unit, Value, Walk,
    interpret,
};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// One recorded device.
struct Recording {
    name: String,
    walk: Walk,
    expected: Json,
}

fn recordings_in(folder: &Path) -> Vec<Recording> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let recorded = folders.iter().filter(|folder| folder.join("walk.snmprec").is_file());
    recorded
        .map(|folder| Recording {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            walk: walk(&std::fs::read_to_string(folder.join("walk.snmprec")).unwrap()),
            expected: serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap(),
        })
        .collect()
}

fn committed() -> Vec<Recording> {
    let recordings = recordings_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers"));
    assert!(recordings.len() >= 15, "only {} recordings found", recordings.len());
    recordings
}

/// Reads a recording: `OID|TAG|VALUE` per line, the value text or hex digits.
fn walk(recording: &str) -> Walk {
    recording
        .lines()
        .map(|line| {
            let mut fields = line.splitn(3, '|');
            let oid: Oid = fields.next().unwrap().parse().unwrap();
            let (tag, text) = (fields.next().unwrap(), fields.next().unwrap());
            let value = match tag {
                "2" => Value::Integer(text.parse().unwrap()),
                "4" => Value::Octets(text.as_bytes().to_vec()),
                "4x" => Value::Octets(octets(text)),
                "6" => Value::Oid(text.parse().unwrap()),
                "64" => Value::Ip(text.parse::<std::net::Ipv4Addr>().unwrap().octets()),
                "65" | "66" | "70" => Value::Unsigned(text.parse().unwrap()),
                "67" => Value::Ticks(text.parse().unwrap()),
                _ => Value::Other,
            };
            (oid, value)
        })
        .collect()
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len() / 2).map(|at| digit(at * 2)).collect()
}

fn capacity(number: i64) -> Capacity {
    match number {
        -1 => Capacity::NoRestriction,
        -2 => Capacity::Unknown,
        other => u32::try_from(other).map_or(Capacity::Invalid(other), Capacity::Units),
    }
}

fn level(number: i64) -> Level {
    match number {
        -1 => Level::NoRestriction,
        -2 => Level::Unknown,
        -3 => Level::SomeRemains,
        other => u32::try_from(other).map_or(Level::Invalid(other), Level::Units),
    }
}

/// The text of a field as a reading has it: trimmed, and none if empty.
fn text(row: &Json, field: &str) -> Option<String> {
    let text = row[field].as_str()?.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a field is there as octets that are no UTF-8: then its text depends on the reader's character sets.
fn undecodable(row: &Json, field: &str) -> bool {
    row[format!("{field}_hex")].as_str().is_some_and(|hex| String::from_utf8(octets(hex)).is_err())
}

fn rows<'a>(expected: &'a Json, table: &str) -> &'a [Json] {
    expected["derived"][table].as_array().map_or(&[], Vec::as_slice)
}

fn row_index(row: &Json) -> (u32, u32) {
    let (device, index) = row["index"].as_str().unwrap().split_once('.').unwrap();
    (device.parse().unwrap(), index.parse().unwrap())
}

fn number<T: Into<i64>>(number: Option<T>) -> Option<i64> {
    number.map(Into::into)
}

fn check_supplies(name: &str, reading: &Reading, expected: &Json) {
    let rows = rows(expected, "supplies");
    assert_eq!(reading.supplies.len(), rows.len(), "{name}: supplies");
    for (supply, row) in reading.supplies.iter().zip(rows) {
        let at = format!("{name}: supply {}", row["index"]);
        assert_eq!((supply.device_index, supply.index), row_index(row), "{at}");
        assert_eq!(number(supply.supply_type.map(SupplyType::number)), row["type"].as_i64(), "{at}");
        assert_eq!(number(supply.class.map(SupplyClass::number)), row["class"].as_i64(), "{at}");
        assert_eq!(number(supply.unit.map(Unit::number)), row["unit"].as_i64(), "{at}");
        assert_eq!(number(supply.colorant_index), row["colorant_index"].as_i64(), "{at}");
        assert_eq!(supply.colorant, text(row, "colorant"), "{at}");
        if !undecodable(row, "description") {
            assert_eq!(supply.description, text(row, "description"), "{at}");
        }
        assert_eq!(supply.max, row["max"].as_i64().map(capacity), "{at}");
        assert_eq!(supply.level, row["level"].as_i64().map(level), "{at}");
        check_percent(&at, supply);
    }
}

/// A share is told exactly where both numbers are plain and fit, and it is the share.
fn check_percent(at: &str, supply: &Supply) {
    let share = match (supply.level, supply.max) {
        (Some(Level::Units(level)), Some(Capacity::Units(max))) if max > 0 && level <= max => {
            u8::try_from(u64::from(level) * 100 / u64::from(max)).ok()
        }
        _ => None,
    };
    assert_eq!(supply.percent, share, "{at}");
}

fn check_alerts(name: &str, reading: &Reading, expected: &Json) {
    let rows = rows(expected, "alerts");
    assert_eq!(reading.alerts.len(), rows.len(), "{name}: alerts");
    for (alert, row) in reading.alerts.iter().zip(rows) {
        let at = format!("{name}: alert {}", row["index"]);
        assert_eq!((alert.device_index, alert.index), row_index(row), "{at}");
        assert_eq!(number(alert.severity.map(AlertSeverity::number)), row["severity"].as_i64(), "{at}");
        assert_eq!(number(alert.training.map(AlertTraining::number)), row["training"].as_i64(), "{at}");
        assert_eq!(number(alert.group.map(AlertGroup::number)), row["group"].as_i64(), "{at}");
        assert_eq!(number(alert.group_index), row["group_index"].as_i64(), "{at}");
        assert_eq!(number(alert.location), row["location"].as_i64(), "{at}");
        assert_eq!(number(alert.code), row["code"].as_i64(), "{at}");
        assert_eq!(alert.description, text(row, "description"), "{at}");
        assert_eq!(number(alert.time_ticks), row["time"].as_i64(), "{at}");
    }
}

fn check_trays(name: &str, reading: &Reading, expected: &Json) {
    let inputs = rows(expected, "inputs");
    assert_eq!(reading.inputs.len(), inputs.len(), "{name}: inputs");
    for (input, row) in reading.inputs.iter().zip(inputs) {
        let at = format!("{name}: input {}", row["index"]);
        assert_eq!(input.index, row_index(row).1, "{at}");
        assert_eq!(number(input.input_type.map(InputType::number)), row["type"].as_i64(), "{at}");
        assert_eq!(number(input.unit.map(Unit::number)), row["capacity_unit"].as_i64(), "{at}");
        assert_eq!(input.max, row["max"].as_i64().map(capacity), "{at}");
        assert_eq!(input.level, row["level"].as_i64().map(level), "{at}");
        assert_eq!(number(input.status), row["status"].as_i64(), "{at}");
        assert_eq!(input.media, text(row, "media_name"), "{at}");
        assert_eq!(input.name, text(row, "name"), "{at}");
        assert_eq!(input.description, text(row, "description"), "{at}");
    }
    let outputs = rows(expected, "outputs");
    assert_eq!(reading.outputs.len(), outputs.len(), "{name}: outputs");
    for (output, row) in reading.outputs.iter().zip(outputs) {
        let at = format!("{name}: output {}", row["index"]);
        assert_eq!(output.index, row_index(row).1, "{at}");
        assert_eq!(output.max, row["max"].as_i64().map(capacity), "{at}");
        assert_eq!(output.remaining, row["remaining"].as_i64().map(level), "{at}");
        assert_eq!(output.name, text(row, "name"), "{at}");
    }
    let covers = rows(expected, "covers");
    assert_eq!(reading.covers.len(), covers.len(), "{name}: covers");
    for (cover, row) in reading.covers.iter().zip(covers) {
        let at = format!("{name}: cover {}", row["index"]);
        assert_eq!(cover.description, text(row, "description"), "{at}");
        assert_eq!(number(cover.state.map(CoverState::number)), row["status"].as_i64(), "{at}");
    }
    let console: Vec<String> = rows(expected, "console").iter().filter_map(|row| text(row, "text")).collect();
    // Behind the standard lines stands what the maker's own objects tell of the panel.
    assert!(reading.console.starts_with(&console), "{name}: console {:?}", reading.console);
}

fn check_status(name: &str, reading: &Reading, expected: &Json) {
    let status = &expected["derived"]["status"];
    let told = ["hrPrinterStatus", "hrPrinterDetectedErrorState"].map(|object| status[object].as_object());
    for index in told.into_iter().flatten().flat_map(|rows| rows.keys()) {
        let found = reading.status.iter().any(|printer| printer.device_index.to_string() == *index);
        assert!(found, "{name}: printer {index} is missing");
    }
    assert_eq!(reading.status.is_empty(), status.is_null(), "{name}: status");
    for printer in &reading.status {
        let index = printer.device_index.to_string();
        let at = format!("{name}: printer {index}");
        let device = status["hrDeviceStatus"][&index].as_i64();
        assert_eq!(number(printer.device.map(DeviceState::number)), device, "{at}");
        let state = status["hrPrinterStatus"][&index].as_i64();
        assert_eq!(number(printer.printer.map(PrinterState::number)), state, "{at}");
        let errors = status["hrPrinterDetectedErrorState"][&index]["hex"].as_str();
        assert_eq!(printer.errors, errors.map(|hex| DetectedErrors::from_octets(&octets(hex))), "{at}");
        let bits = &status["hrPrinterDetectedErrorState"][&index]["bits"];
        let named = bits.as_array().map_or(0, Vec::len);
        assert_eq!(printer.errors.map_or(0, |errors| errors.iter().count()), named, "{at}");
    }
}

fn check_counters(name: &str, reading: &Reading, expected: &Json) {
    let markers = rows(expected, "markers");
    for (counter, field) in
        [(CounterName::MARKER_LIFE, "life_count"), (CounterName::SINCE_POWER_ON, "power_on_count")]
    {
        let read: Vec<(u32, i64, Option<i64>)> = reading
            .counters
            .iter()
            .filter(|read| read.name == counter)
            .map(|read| {
                let unit = number(read.unit.map(Unit::number));
                (read.marker.unwrap_or_default(), i64::try_from(read.value).unwrap(), unit)
            })
            .collect();
        let told: Vec<(u32, i64, Option<i64>)> = markers
            .iter()
            .filter_map(|row| Some((row_index(row).1, row[field].as_i64()?, row["counter_unit"].as_i64())))
            .collect();
        assert_eq!(read, told, "{name}: {field}");
    }
    if let Some(life) = expected["expected"]["counters"]["marker_life"].as_u64() {
        let total = reading.counters.iter().find(|read| read.name == CounterName::TOTAL);
        assert_eq!(total.map(|read| read.value), Some(life), "{name}: settled life count");
    }
}

/// Spelling differs between projects: without case, maker and the word "series".
fn plain(text: &str, vendor: &str) -> String {
    let lower = text.to_lowercase();
    let vendor = vendor.to_lowercase();
    lower.replace(&vendor, "").replace("series", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the standard objects tell a text at all.
fn told_by_standard_objects(walk: &Walk, wanted: &str) -> bool {
    let enterprises: Oid = "1.3.6.1.4.1".parse().unwrap();
    let standard = |oid: &Oid| !oid.arcs().starts_with(enterprises.arcs());
    let mut texts = walk.iter().filter(|(oid, _)| standard(oid)).filter_map(|(_, value)| value.as_octets());
    texts.any(|octets| String::from_utf8_lossy(octets).to_lowercase().contains(&wanted.to_lowercase()))
}

fn check_identity(name: &str, reading: &Reading, walk: &Walk, expected: &Json) {
    let (read, told) = (&reading.identity, &expected["expected"]["identity"]);
    let vendor = told["vendor"].as_str().unwrap_or_default();
    if read.vendor.as_deref().is_none_or(|read| plain(vendor, "") != plain(read, "")) {
        let somewhere = read.sys_descr.is_some() || read.sys_object_id.is_some();
        assert!(!somewhere, "{name}: vendor {:?} instead of {vendor}", read.vendor);
    }
    if let Some(model) = told["model"].as_str()
        && told_by_standard_objects(walk, &plain(model, vendor))
    {
        let read = read.model.as_deref().map(|read| plain(read, vendor));
        assert_eq!(read, Some(plain(model, vendor)), "{name}: model");
    }
    if let Some(serial) = told["serial"].as_str()
        && told_by_standard_objects(walk, serial)
    {
        assert_eq!(read.serial.as_deref(), Some(serial), "{name}: serial number");
    }
    let derived = &expected["derived"];
    assert_eq!(read.sys_descr, text(derived, "sysDescr"), "{name}");
    assert_eq!(read.sys_name, text(derived, "sysName"), "{name}");
    assert_eq!(read.sys_object_id.as_ref().map(ToString::to_string), text(derived, "sysObjectID"), "{name}");
    let macs: Vec<&str> = derived["macs"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    match &read.mac {
        Some(mac) => assert!(macs.contains(&mac.as_str()), "{name}: {mac} is none of {macs:?}"),
        None => assert!(macs.is_empty(), "{name}: none of {macs:?} was read"),
    }
}

fn check(recording: &Recording) {
    let Recording { name, walk, expected } = recording;
    let reading = interpret(walk, &monitor_appliance::profile::Profiles::built_in());
    check_supplies(name, &reading, expected);
    check_alerts(name, &reading, expected);
    check_trays(name, &reading, expected);
    check_status(name, &reading, expected);
    check_counters(name, &reading, expected);
    check_identity(name, &reading, walk, expected);
    let json = serde_json::to_string(&reading).unwrap();
    assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading, "{name}: stored and read back");
}

#[test]
fn recorded_printers_are_read_as_their_tables_say() {
    for recording in committed() {
        check(&recording);
    }
}

#[test]
fn further_recordings_are_read_as_their_tables_say() {
    let Some(folder) = std::env::var_os("PRINTER_RECORDINGS") else { return };
    let recordings = recordings_in(Path::new(&folder));
    assert!(!recordings.is_empty(), "no recordings in {}", Path::new(&folder).display());
    let mut wrong = Vec::new();
    for recording in &recordings {
        if let Err(panic) = std::panic::catch_unwind(|| check(recording)) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("{}: {text}", recording.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), recordings.len(), wrong.join("\n"));
}

#[test]
fn leaving_out_any_one_column_drops_no_supply() {
    for recording in committed() {
        let whole = interpret(&recording.walk, &monitor_appliance::profile::Profiles::built_in()).supplies;
        for column in 3..=9u32 {
            let left_out = Oid::new(&[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, column]);
            let kept = recording.walk.iter().filter(|(oid, _)| !oid.arcs().starts_with(left_out.arcs()));
            let walk: Walk = kept.map(|(oid, value)| (oid.clone(), value.clone())).collect();
            assert_eq!(
                interpret(&walk, &monitor_appliance::profile::Profiles::built_in()).supplies.len(),
                whole.len(),
                "{}: column {column}",
                recording.name
            );
        }
    }
}

#[test]
fn what_a_device_does_not_tell_is_absent_from_the_stored_reading() {
    let json =
        serde_json::to_value(interpret(&Walk::default(), &monitor_appliance::profile::Profiles::built_in()))
            .unwrap();
    let empty = serde_json::json!({
        "identity": {}, "counters": [], "supplies": [], "alerts": [], "status": [],
    });
    assert_eq!(json, empty);
}

/// Object identifiers in and around the tables that are read, with any value.
fn values() -> impl Strategy<Value = Vec<(Oid, Value)>> {
    let table = prop::sample::select(vec![
        vec![1, 3, 6, 1, 2, 1, 1],
        vec![1, 3, 6, 1, 2, 1, 2, 2, 1],
        vec![1, 3, 6, 1, 2, 1, 25, 2, 3, 1],
        vec![1, 3, 6, 1, 2, 1, 25, 3, 2, 1],
        vec![1, 3, 6, 1, 2, 1, 25, 3, 5, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 5, 1, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 7, 1, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 8, 2, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 10, 2, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 11, 1, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 12, 1, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 16, 5, 1],
        vec![1, 3, 6, 1, 2, 1, 43, 18, 1, 1],
        vec![1, 3, 6, 1, 4, 1, 2699, 1, 2, 1, 2, 1, 1],
    ]);
    let index = prop::collection::vec(prop_oneof![0..4u32, any::<u32>()], 0..4);
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        (-4..4i64).prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Unsigned),
        any::<u32>().prop_map(Value::Ticks),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Octets),
        "(MFG|MDL|PID|,SN|S/N |Attached to | / | version |hp )[:;, a-z0-9./é]{0,30}"
            .prop_map(|text| Value::Octets(text.into_bytes())),
        prop::collection::vec(any::<u32>(), 0..12).prop_map(|arcs| Value::Oid(Oid::new(&arcs))),
        Just(Value::Other),
    ];
    let object = (table, 1..20u32, index, value).prop_map(|(mut arcs, column, index, value)| {
        arcs.push(column);
        arcs.extend(index);
        (Oid::new(&arcs), value)
    });
    prop::collection::vec(object, 0..80)
}

proptest! {
    #[test]
    fn any_answers_give_a_reading_that_can_be_stored(values in values()) {
        let reading = interpret(&values.into_iter().collect(), &monitor_appliance::profile::Profiles::built_in());
        for supply in &reading.supplies {
            check_percent("any supply", supply);
        }
        let json = serde_json::to_string(&reading).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
    }

    #[test]
    fn any_texts_of_the_system_group_are_taken(descr in "\\PC{0,60}", prefix in "(HP|Xerox|RICOH|OKI|SHARP|TTP|) ?") {
        let octets = Value::Octets(format!("{prefix}{descr}").into_bytes());
        let walk: Walk = [("1.3.6.1.2.1.1.1.0".parse().unwrap(), octets)].into_iter().collect();
        let identity = interpret(&walk, &monitor_appliance::profile::Profiles::built_in()).identity;
        prop_assert!(identity.model.is_none_or(|model| !model.is_empty()));
    }
}

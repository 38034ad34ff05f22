//! How right devices are read: every recording of a folder against what others read from it.
//!
//! A folder has a folder per device, with `walk.snmprec` and `expected.json`; the README beside the recordings says what
//! an expectation is and what is none. Compared is the documented JSON of `device read`.

mod identity;
mod supplies;
mod tally;

use super::Figure;
use anyhow::Context as _;
use monitor_appliance::device::{Document, Oid, Value, Walk, interpret, read_recording};
use monitor_appliance::profile::Profiles;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use tally::{Kind, Tally};

/// The recordings that are measured when none are named.
const USUAL: &str = "../shared/printers";

/// One recorded device, read and ready to be compared.
struct Device {
    name: String,
    walk: Walk,
    read: Json,
    expected: Json,
}

/// Reads all recordings below `paths` and compares.
///
/// # Errors
/// A path without recordings, or a recording that cannot be read.
pub(super) fn run(paths: &[PathBuf]) -> anyhow::Result<Vec<Figure>> {
    let usual = [PathBuf::from(USUAL)];
    let paths = if paths.is_empty() { &usual } else { paths };
    let profiles = Profiles::built_in();
    let mut tally = Tally::default();
    let mut devices = 0;
    for path in paths {
        let found = device_folders(path)
            .with_context(|| format!("no recordings in {}; name a folder of them", path.display()))?;
        anyhow::ensure!(!found.is_empty(), "no recordings in {}; name a folder of them", path.display());
        for folder in found {
            let device = read(&folder, &profiles).with_context(|| folder.display().to_string())?;
            compare(&device, &mut tally);
            devices += 1;
        }
        identity::compare_descriptions(&path.join("identity/sysdescr.json"), &profiles, &mut tally)?;
    }
    println!("{devices} recordings, {} profiles", profiles.iter().count());
    tally.print();
    let against = format!("target: 100, over {devices} recordings");
    let figure = |figure, kind| Figure {
        bench: "accuracy",
        figure,
        value: tally.percent(kind),
        unit: "%",
        against: format!("{against}, {} values", tally.compared(kind)),
    };
    let count = |figure, value: usize, what: &str| Figure {
        bench: "accuracy",
        figure,
        value: super::octets_f64(value),
        unit: "values",
        against: format!("target: 0; {what}"),
    };
    Ok(vec![
        figure("identity_percent", Kind::Identity),
        figure("counters_percent", Kind::Counters),
        figure("supplies_percent", Kind::Supplies),
        figure("alerts_percent", Kind::Alerts),
        figure("labelled_percent", Kind::Labelled),
        figure("parts_percent", Kind::Parts),
        figure("inputs_percent", Kind::Inputs),
        figure("status_percent", Kind::Status),
        figure("description_vendor_percent", Kind::DescriptionVendor),
        figure("description_model_percent", Kind::DescriptionModel),
        count("contradicted", tally.contradicted(), "values given that the expectation contradicts"),
        count("invented", tally.invented(), "numbers given where the device says none"),
    ])
}

fn device_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_device = |folder: &Path| folder.join("expected.json").is_file();
    if is_device(path) {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut folders: Vec<PathBuf> =
        entries.iter().map(std::fs::DirEntry::path).filter(|path| is_device(path)).collect();
    folders.sort();
    Ok(folders)
}

fn read(folder: &Path, profiles: &Profiles) -> anyhow::Result<Device> {
    let walk = read_recording(folder)?;
    let document = Document::of(&interpret(&walk, profiles), &|_| (None, None));
    Ok(Device {
        name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        walk,
        read: serde_json::to_value(document)?,
        expected: serde_json::from_slice(&std::fs::read(folder.join("expected.json"))?)?,
    })
}

fn compare(device: &Device, tally: &mut Tally) {
    identity::compare(device, tally);
    counters(device, tally);
    supplies::compare(device, tally);
    supplies::inputs(device, tally);
    parts(device, tally);
    alerts(device, tally);
    status(device, tally);
}

fn counters(device: &Device, tally: &mut Tally) {
    let read = &device.read["counters"];
    for (name, expected) in fields(&device.expected["expected"]["counters"]) {
        let what = format!("{}: counters.{name}", device.name);
        tally.compare(Kind::Counters, &what, expected.as_u64(), read[name].as_u64());
    }
    // What the standard table says is expected wherever it is.
    for row in list(&device.expected["derived"]["markers"]).iter().take(1) {
        for (name, field) in [("marker_life", "life_count"), ("since_power_on", "power_on_count")] {
            let told = row[field].as_u64();
            if told.is_some() && device.expected["expected"]["counters"][name].is_null() {
                let what = format!("{}: counters.{name}", device.name);
                tally.compare(Kind::Counters, &what, told, read[name].as_u64());
            }
        }
    }
    let sources = &device.read["sources"];
    for row in list(&device.expected["expected"]["counters_labelled"]) {
        let (Some(label), Some(oid), Some(value)) =
            (row["label"].as_str(), row["oid"].as_str(), row["value"].as_u64())
        else {
            continue;
        };
        let named = fields(sources).filter(|(_, source)| source.as_str() == Some(oid));
        let values = named.filter_map(|(name, _)| read[name.strip_prefix("counters.")?].as_u64());
        let values: Vec<u64> = values.collect();
        let found = values.iter().find(|found| **found == value).or(values.first()).copied();
        tally.compare(Kind::Labelled, &format!("{}: {label} ({oid})", device.name), Some(value), found);
    }
    // A number must come from objects that are there; what only the machine's page shows cannot have been read.
    for (name, value) in fields(read) {
        let what = || format!("{}: counters.{name} is {value}", device.name);
        let source = sources[format!("counters.{name}")].as_str().unwrap_or_default();
        let objects = source.split([' ', '+', '-']).filter(|object| !object.is_empty());
        let missing =
            objects.clone().count() == 0 || objects.clone().any(|object| !is_there(&device.walk, object));
        let page_only = device.expected["expected"]["counters_not_in_walk"][name].is_number()
            && device.expected["expected"]["counters"][name].is_null()
            && device.expected["expected"]["counters_not_in_walk"][name] != *value;
        tally.invent(missing || page_only, what);
    }
}

/// Whether an object answered with something that can be a count: no negative number.
fn is_there(walk: &Walk, object: &str) -> bool {
    let oid: Option<Oid> = object.parse().ok();
    oid.and_then(|oid| walk.get(oid.arcs()).cloned()).is_some_and(|value| {
        !matches!(value, Value::Other) && value.as_i64().is_none_or(|number| number >= 0)
    })
}

fn parts(device: &Device, tally: &mut Tally) {
    for (name, expected) in fields(&device.expected["expected"]["parts"]) {
        let what = format!("{}: parts.{name}", device.name);
        tally.compare(Kind::Parts, &what, expected.as_u64(), device.read["parts"][name].as_u64());
    }
}

fn alerts(device: &Device, tally: &mut Tally) {
    for row in list(&device.expected["derived"]["alerts"]) {
        let Some((_, index)) = row["index"].as_str().and_then(|index| index.split_once('.')) else {
            continue;
        };
        let index_read = |read: &&Json| read["index"].as_u64() == index.parse().ok();
        let found = list(&device.read["alerts"]).iter().find(index_read);
        for field in ["severity", "training", "group", "group_index", "location", "code", "time"] {
            let what = format!("{}: alert {index}: {field}", device.name);
            let read = found.and_then(|read| read[field].as_i64());
            tally.compare(Kind::Alerts, &what, row[field].as_i64(), read);
        }
        let what = format!("{}: alert {index}: description", device.name);
        let octets = row["description_hex"].is_string();
        let expected = row["description"].as_str().map(plain).filter(|text| !text.is_empty() && !octets);
        let read = found.and_then(|read| read["description"].as_str()).map(plain);
        if expected.is_some() {
            tally.compare(Kind::Alerts, &what, expected, read);
        }
    }
}

fn status(device: &Device, tally: &mut Tally) {
    let expected = &device.expected["expected"]["status"];
    let read = &device.read["status"];
    if let Some(value) = expected["device_status"]["value"].as_i64() {
        let what = format!("{}: device status", device.name);
        tally.compare(Kind::Status, &what, Some(value), read["device_status"]["value"].as_i64());
    }
    if let Some(text) = expected["text"].as_str() {
        let panel: Vec<String> = list(&read["panel"]).iter().filter_map(Json::as_str).map(plain).collect();
        let found = panel.iter().find(|line| **line == plain(text)).or_else(|| panel.first()).cloned();
        tally.compare(Kind::Status, &format!("{}: panel", device.name), Some(plain(text)), found);
    }
    let bits = &device.expected["derived"]["status"]["hrPrinterDetectedErrorState"];
    if let Some((_, bits)) = fields(bits).next() {
        let expected = list(&bits["bits"]).len();
        let found = read["errors"].as_array().map(Vec::len);
        tally.compare(Kind::Status, &format!("{}: number of error bits", device.name), Some(expected), found);
    }
}

/// A text in small letters, with runs of blanks as one.
fn plain(text: &str) -> String {
    let text = text.replace('\0', " ").to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fields(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

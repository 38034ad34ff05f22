//! `monitor-appliance device read`: what devices, or recordings of them, tell; once, for a person or a program.

use crate::cli::table::{clean, table};
use crate::cli::{Code, Output};
use anyhow::Context as _;
use monitor_appliance::device::{Alert, Capacity, Document, Level, Reading, interpret, read_recording};
use monitor_appliance::device_watch::{read_once, target};
use monitor_appliance::faults::FaultClasses;
use monitor_appliance::profile::{Profiles, edge};
use monitor_appliance::snmp::{DeviceTarget, Secret, SnmpCredential};
use monitor_appliance::{Context, Layout, Settings, context::system_clock};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[group(id = "what", required = true, multiple = true)]
pub(in crate::cli) struct ReadArguments {
    /// Host names or IP addresses, with `:port` where it is not 161. Read as the settings say if they stand there.
    #[arg(group = "what", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// A recording instead of a device: a file, or a folder with `walk.snmprec`. May be given several times.
    #[arg(long, group = "what", value_name = "DIR-or-FILE")]
    recording: Vec<PathBuf>,
    /// Community, instead of the settings.
    #[arg(long)]
    community: Option<String>,
    /// SNMP version with `--community`.
    #[arg(long, value_enum, default_value_t = Version::V2c)]
    snmp: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Version {
    /// SNMPv1.
    V1,
    /// SNMPv2c.
    V2c,
}

/// What the devices told: of one device its document, of several a list.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum Shown {
    One(Box<Told>),
    Several(Vec<Told>),
}

/// What one device told, or why it could not be read.
#[derive(Debug, serde::Serialize)]
pub(in crate::cli) struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(flatten)]
    document: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    text: String,
}

/// Reads them one after the other. One device that cannot be read is a failure; one of several is not.
pub(in crate::cli) async fn read(root: &Path, arguments: &ReadArguments) -> anyhow::Result<(Shown, Code)> {
    let layout = Layout::new(root);
    let (profiles, origin) = edge::in_use(&layout);
    if let edge::Origin::Fallback(error) = &origin {
        eprintln!("the profiles of the release cannot be used, those of this program are: {error}");
    }
    let classes = FaultClasses::of_release(&layout.current()).unwrap_or_else(|_| FaultClasses::built_in());
    let mut several = Vec::new();
    for path in &arguments.recording {
        let reading = read_recording(path).map(|walk| interpret(&walk, &profiles));
        several.push((path.display().to_string(), reading.map_err(anyhow::Error::from)));
    }
    for address in &arguments.addresses {
        several.push((address.clone(), read_address(&layout, address, arguments, &profiles).await));
    }
    let failed = several.iter().filter(|(_, reading)| reading.is_err()).count();
    let code = if failed == 0 { Code::Done } else { Code::Partly };
    if several.len() == 1 {
        let (_, reading) = several.remove(0);
        return Ok((Shown::One(Box::new(Told::of(None, &reading?, &classes))), code));
    }
    anyhow::ensure!(failed < several.len(), "{}", errors(&several));
    let told = several.into_iter().map(|(name, reading)| match reading {
        Ok(reading) => Told::of(Some(name), &reading, &classes),
        Err(error) => {
            let error = format!("{error:#}");
            let text = format!("cannot be read: {}\n", clean(&error));
            Told { device: Some(name), document: None, error: Some(error), text }
        }
    });
    Ok((Shown::Several(told.collect()), code))
}

fn errors(several: &[(String, anyhow::Result<Reading>)]) -> String {
    let lines =
        several.iter().filter_map(|(name, reading)| Some(format!("{name}: {:#}", reading.as_ref().err()?)));
    lines.collect::<Vec<_>>().join("\n")
}

async fn read_address(
    layout: &Layout,
    address: &str,
    arguments: &ReadArguments,
    profiles: &Profiles,
) -> anyhow::Result<Reading> {
    // A device can be read before anything is set up.
    let settings = Settings::load(&layout.settings_file());
    let known = settings
        .as_ref()
        .ok()
        .and_then(|settings| settings.devices.iter().find(|entry| entry.address == address).cloned());
    let ways = settings.as_ref().map(|settings| settings.second_ways.clone()).unwrap_or_default();
    let device = match (&arguments.community, known) {
        (None, Some(entry)) => {
            let settings = settings.context("the settings cannot be used")?;
            target(&Context::new(layout.clone(), settings, Arc::new(system_clock)), &entry)?
        }
        (community, _) => {
            let community = Secret::new(community.as_deref().unwrap_or("public"));
            DeviceTarget {
                address: address.to_owned(),
                credential: match arguments.snmp {
                    Version::V1 => SnmpCredential::V1 { community },
                    Version::V2c => SnmpCredential::V2c { community },
                },
            }
        }
    };
    Ok(read_once(&device, profiles, &ways).await?)
}

impl Told {
    fn of(device: Option<String>, reading: &Reading, classes: &FaultClasses) -> Self {
        let alert = |alert: &Alert| {
            let class = classes.alert(alert).map(|found| found.class.to_string());
            (alert.code.map(|code| classes.alert_name(code)), class)
        };
        Self {
            document: Some(Document::of(reading, &alert)),
            text: text(reading, classes),
            device,
            error: None,
        }
    }
}

impl Output for Shown {
    fn text(&self) -> String {
        match self {
            Self::One(told) => told.text.clone(),
            Self::Several(several) => several
                .iter()
                .map(|told| format!("{}\n{}\n", clean(told.device.as_deref().unwrap_or_default()), told.text))
                .collect(),
        }
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn text(reading: &Reading, classes: &FaultClasses) -> String {
    let identity = &reading.identity;
    let lines = [
        ("vendor", &identity.vendor),
        ("model", &identity.model),
        ("serial", &identity.serial),
        ("mac", &identity.mac),
        ("firmware", &identity.firmware),
        ("description", &identity.sys_descr),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            text += &format!("{name:12} {}\n", clean(value));
        }
    }
    text += "\ncounters\n";
    text += &table(
        ["counter", "engine", "value", "unit", "read from"],
        reading.counters.iter().map(|counter| {
            [
                counter.name.to_string(),
                or_dash(counter.marker),
                counter.value.to_string(),
                or_dash(counter.unit),
                counter.source.to_string(),
            ]
        }),
    );
    text += "\nsupplies\n";
    text += &table(
        ["supply", "type", "part", "level", "capacity", "unit"],
        reading.supplies.iter().map(|supply| {
            [
                supply.description.clone().unwrap_or_else(|| supply.index.to_string()),
                or_dash(supply.supply_type),
                or_dash(supply.part_number.as_deref()),
                supply.level.map_or_else(|| "-".to_owned(), level),
                supply.max.map_or_else(|| "-".to_owned(), capacity),
                or_dash(supply.unit),
            ]
        }),
    );
    if !reading.parts.is_empty() {
        text += "\nparts\n";
        let rows = reading
            .parts
            .iter()
            .map(|part| [part.name.clone(), part.value.to_string(), part.source.to_string()]);
        text += &table(["part", "value", "read from"], rows);
    }
    text += "\nalerts\n";
    text += &table(
        ["alert", "class", "severity", "text"],
        reading.alerts.iter().map(|alert| {
            [
                alert.code.map_or_else(|| "-".to_owned(), |code| classes.alert_name(code)),
                or_dash(classes.alert(alert).map(|found| found.class)),
                or_dash(alert.severity),
                alert.description.clone().unwrap_or_default(),
            ]
        }),
    );
    if !reading.reasons.is_empty() {
        text += &format!("\nreasons, by IPP: {}\n", clean(&reading.reasons.join(", ")));
    }
    for (field, source) in &reading.ways {
        text += &format!("{field} not from SNMP, but from {}\n", clean(&source.to_string()));
    }
    if !reading.service_codes.is_empty() {
        let codes: Vec<&str> = reading.service_codes.iter().map(|code| code.code.as_str()).collect();
        text += &format!("\nservice codes: {}\n", clean(&codes.join(", ")));
    }
    for failed in &reading.incomplete {
        text += &format!("\nnot read to the end: {}: {}\n", failed.part, clean(&failed.reason));
    }
    text
}

fn level(level: Level) -> String {
    match level {
        Level::Units(units) => units.to_string(),
        Level::SomeRemains => "some remains".to_owned(),
        Level::Unknown => "unknown".to_owned(),
        Level::NoRestriction => "no restriction".to_owned(),
        Level::Invalid(number) => format!("invalid ({number})"),
    }
}

fn capacity(capacity: Capacity) -> String {
    match capacity {
        Capacity::Units(units) => units.to_string(),
        Capacity::Unknown => "unknown".to_owned(),
        Capacity::NoRestriction => "no restriction".to_owned(),
        Capacity::Invalid(number) => format!("invalid ({number})"),
    }
}

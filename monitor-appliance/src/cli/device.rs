//! `monitor-appliance device read`: a test read of one device; `device classes`: the table of faults; `device scan`: who is there.

pub(super) mod classes;
pub(super) mod scan;

use super::Output;
use super::table::{clean, table};
use anyhow::Context as _;
use monitor_appliance::device::{Capacity, Level, Reading};
use monitor_appliance::device_watch::{read_once, target};
use monitor_appliance::settings::{DeviceEntry, SnmpAccess, is_device_address};
use monitor_appliance::snmp::Secret;
use monitor_appliance::{Context, Layout, Settings, context::system_clock, faults};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read everything of one device and show it.
    Read(ReadArguments),
    /// Show by which table faults are classified, or check a new one.
    Classes(classes::ClassesArgs),
    /// Look for devices on the LAN.
    Scan(Box<scan::ScanArguments>),
}

#[derive(Debug, clap::Args)]
pub(super) struct ReadArguments {
    /// Host name or IP address, with `:port` where it is not 161. Read as the settings say if it stands there.
    address: String,
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

/// What a device told.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Shown(Reading);

pub(super) async fn read(root: &Path, arguments: &ReadArguments) -> anyhow::Result<Shown> {
    let layout = Layout::new(root);
    // A device can be read before anything is set up.
    let settings = Settings::load(&layout.settings_file());
    let known = settings.as_ref().ok().and_then(|settings| {
        settings.devices.iter().find(|entry| entry.address == arguments.address).cloned()
    });
    let device = match (&arguments.community, known) {
        (None, Some(entry)) => {
            let settings = settings.context("the settings cannot be used")?;
            target(&Context::new(layout, settings, Arc::new(system_clock)), &entry)?
        }
        (community, _) => {
            let community = Secret::new(community.as_deref().unwrap_or("public"));
            monitor_appliance::snmp::DeviceTarget {
                address: arguments.address.clone(),
                credential: match arguments.snmp {
                    Version::V1 => monitor_appliance::snmp::SnmpCredential::V1 { community },
                    Version::V2c => monitor_appliance::snmp::SnmpCredential::V2c { community },
                },
            }
        }
    };
    Ok(Shown(read_once(&device).await?))
}

/// `ADDRESS` or `ADDRESS,COMMUNITY`, as `setup --device` takes it.
pub(super) fn parse_entry(text: &str) -> Result<DeviceEntry, String> {
    let (address, community) = text.split_once(',').unwrap_or((text, "public"));
    if !is_device_address(address) || community.is_empty() {
        return Err("write ADDRESS or ADDRESS,COMMUNITY; an address is a host name or IP address, with :port where it is not 161".to_owned());
    }
    Ok(DeviceEntry {
        address: address.to_owned(),
        access: SnmpAccess::V2c { community: Secret::new(community) },
    })
}

impl Output for Shown {
    fn text(&self) -> String {
        let Self(reading) = self;
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
            ["counter", "engine", "value", "unit"],
            reading.counters.iter().map(|counter| {
                [
                    counter.name.as_str().to_owned(),
                    counter.marker.map_or_else(|| "-".to_owned(), |marker| marker.to_string()),
                    counter.value.to_string(),
                    counter.unit.map_or_else(|| "-".to_owned(), |unit| unit.to_string()),
                ]
            }),
        );
        text += "\nsupplies\n";
        text += &table(
            ["supply", "type", "level", "capacity", "unit"],
            reading.supplies.iter().map(|supply| {
                [
                    supply.description.clone().unwrap_or_else(|| supply.index.to_string()),
                    supply.supply_type.map_or_else(|| "-".to_owned(), |kind| kind.to_string()),
                    supply.level.map_or_else(|| "-".to_owned(), level),
                    supply.max.map_or_else(|| "-".to_owned(), capacity),
                    supply.unit.map_or_else(|| "-".to_owned(), |unit| unit.to_string()),
                ]
            }),
        );
        text += "\nalerts\n";
        text += &table(
            ["alert", "class", "severity", "text"],
            reading.alerts.iter().map(|alert| {
                [
                    alert.code.map_or_else(|| "-".to_owned(), faults::alert_name),
                    faults::classify(alert).map_or_else(|| "-".to_owned(), |class| class.to_string()),
                    alert.severity.map_or_else(|| "-".to_owned(), |severity| severity.to_string()),
                    alert.description.clone().unwrap_or_default(),
                ]
            }),
        );
        for failed in &reading.incomplete {
            text += &format!("\nnot read to the end: {}: {}\n", failed.part, clean(&failed.reason));
        }
        text
    }
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

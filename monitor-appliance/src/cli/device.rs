//! `monitor-appliance device read`: a test read of devices; `device classes`: the table of faults; `device scan`: who is there.

pub(super) mod classes;
pub(super) mod history;
pub(super) mod read;
pub(super) mod scan;

use monitor_appliance::settings::{DeviceEntry, SnmpAccess, is_device_address};
use monitor_appliance::snmp::Secret;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read everything of devices, or of recordings of them, and show it.
    Read(read::ReadArguments),
    /// Show by which table faults are classified, or check a new one.
    Classes(classes::ClassesArgs),
    /// Look for devices on the LAN.
    Scan(Box<scan::ScanArguments>),
    /// Show what happened to devices: new, moved, swapped, vanished, returned, changed.
    History(history::HistoryArguments),
    /// Show how the computers of this site fare.
    Computers,
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

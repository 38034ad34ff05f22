//! What happened to the devices of a site, and how its computers fare.

use super::device::DeviceId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to the devices of a site since the report before, and what its computers told last. Either may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusReport {
    /// In the order in which they were noticed; each is told once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<DeviceEvent>,
    /// The computers that were read since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computers: Vec<ComputerState>,
}

/// Something that happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// When it was noticed.
    pub at: Timestamp,
    /// What, in a word: `new`, `moved`, `swapped` (another device is at its address), `vanished`, `returned`, `board-changed`
    /// (another hardware address with the same serial number), `serial-changed` (the other way round), `same-serial` (two
    /// devices tell one serial number). Further words may come.
    pub event: String,
    /// Which device; `None` when it did not tell who it is.
    pub device: Option<DeviceId>,
    /// What sort of device, such as `printer`, `mfp`, `label-printer`, `print-server` or `computer`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its address on the customer's LAN.
    pub address: String,
    /// What was there before: the address it had, the device that was at its address, its hardware address or serial number
    /// before, or the address of the other device with the same serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// What a computer told of itself (RFC 2790). What it does not tell is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputerState {
    /// Which device; `None` when it never told who it is.
    pub device: Option<DeviceId>,
    /// Its address on the customer's LAN.
    pub address: String,
    /// Its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was read.
    pub at: Timestamp,
    /// When it started last, by its uptime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How often it was seen to have started anew since it is watched.
    pub restarts: u32,
    /// Mean load of its processors over the last minute, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_percent: Option<u8>,
    /// Main memory, in octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_octets: Option<u64>,
    /// Main memory in use, in octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_octets: Option<u64>,
    /// Fixed disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskState>,
    /// The applications of the site's list, each with how it stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationState>,
    /// How many programs run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
    /// How many pieces of software are installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<u32>,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// The computer's name for it, such as `/` or `C:\`.
    pub name: String,
    /// Its size, in octets.
    pub octets: u64,
    /// What is used of it, in octets.
    pub used_octets: u64,
}

/// How an application of the site's list stands on a computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationState {
    /// Its name in the list.
    pub name: String,
    /// What the list says of it: `required`, `forbidden` or `licensed`.
    pub rule: String,
    /// How many of it run.
    pub running: u32,
    /// Whether it is installed, where the computer tells what is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<bool>,
}

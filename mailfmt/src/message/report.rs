//! Reports: appliance to center. Each is answered by a receipt.

use super::census::CensusReport;
use super::device::{Counter, DeviceId, FaultClass, Supply};
use super::kinds;
use super::ledger::LedgerPart;
use crate::digest::Digest;
use crate::exchange::EphemeralPublic;
use crate::ids::{MessageId, ModuleName, Nonce};
use crate::package::PackageId;
use crate::version::SoftwareVersion;
use crate::version_report::VersionReport;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

kinds! {
    /// What an appliance tells its center.
    Report {
        /// A device has an abnormal condition.
        Fault(FaultReport) = "fault",
        /// The condition is over.
        FaultCleared(FaultClearedReport) = "fault-cleared",
        /// Counters and supplies, per device; "not collected yet" where there are none.
        Counters(CountersReport) = "counters",
        /// Which version of everything runs.
        Version(VersionReportMessage) = "version-report",
        /// How far an update came.
        UpdateResult(UpdateResultReport) = "update-result",
        /// Parts of a package that did not come; asks for them.
        PartsMissing(PartsMissingReport) = "parts-missing",
        /// How the appliance itself fares; also the answer to a ping.
        Health(HealthReport) = "health",
        /// A command that was not carried out.
        Refused(RefusedReport) = "refused",
        /// All devices of the site, present and vanished.
        Inventory(InventoryReport) = "inventory",
        /// The answer to the rotation of the formal credential.
        CredentialRotated(RotationAnswer) = "credential-rotated",
        /// Something is wrong with the appliance itself, or with how it is reached.
        Alarm(AlarmReport) = "alarm",
        /// What happened to the devices, and how the computers fare.
        Census(CensusReport) = "census",
    }
}

/// A fault that started. One report per episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Which device.
    pub device: DeviceId,
    /// Names this episode on this appliance; the clearing report gives it back.
    pub episode: String,
    /// Who has to act.
    pub class: FaultClass,
    /// The alert's name, such as `jam` (`PrtAlertCodeTC`).
    pub code: String,
    /// Where in the device (`PrtAlertGroupTC`), such as `media-path`.
    pub group: String,
    /// Severity (`PrtAlertSeverityLevelTC`), such as `critical`.
    pub severity: String,
    /// The device's own text, as far as it tells one.
    #[serde(default)]
    pub description: String,
    /// When the appliance first saw it.
    pub since: Timestamp,
}

/// A fault that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultClearedReport {
    /// Which device.
    pub device: DeviceId,
    /// The episode of its [`FaultReport`].
    pub episode: String,
    /// When the appliance first saw it gone.
    pub cleared: Timestamp,
}

/// Counters and supplies of some devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersReport {
    /// One entry per device asked for.
    pub devices: Vec<DeviceCounters>,
}

/// Counters and supplies of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCounters {
    /// Which device; `None` when it never told who it is (then `address` names it).
    pub device: Option<DeviceId>,
    /// Its address on the customer's LAN.
    pub address: String,
    /// The stored reading.
    pub reading: StoredReading,
    /// What the ledger holds of it that the center was not told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerPart>,
}

/// The last stored reading of a device, or the plain statement that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StoredReading {
    /// Nothing is stored yet; silence would look like a lost mail.
    NotCollectedYet,
    /// What was stored.
    Collected {
        /// When it was read.
        at: Timestamp,
        /// The counters that the device tells.
        counters: Vec<Counter>,
        /// The supplies that the device tells.
        #[serde(default)]
        supplies: Vec<Supply>,
    },
}

/// Which version of everything runs, over hashes read again from disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReportMessage {
    /// The nonce of the request; `None` when nobody asked (after an installation).
    pub nonce: Option<Nonce>,
    /// The table, as text on the wire.
    pub table: VersionReport,
    /// SHA-256 of every module's file, read again for this report.
    pub hashes: BTreeMap<ModuleName, Digest>,
    /// The kernel's boot id: changes with every restart of the box.
    pub boot_id: String,
}

/// How far an update came on this appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateResultReport {
    /// Which package.
    pub package: PackageId,
    /// The software version that it leads to.
    pub target: SoftwareVersion,
    /// The software version that runs now.
    pub running: SoftwareVersion,
    /// What happened.
    pub outcome: UpdateOutcome,
    /// Last output of the install script, at most 16 KiB, UTF-8 with replacement characters.
    #[serde(default)]
    pub output: String,
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum UpdateOutcome {
    /// In place, and every resident module came up.
    Installed,
    /// Not begun: the package was not acceptable here.
    Refused {
        /// Why, for a person.
        reason: String,
    },
    /// Begun and undone; the version before runs.
    Undone {
        /// Why, for a person.
        reason: String,
    },
    /// Not done yet.
    Waiting {
        /// For what, for a person.
        reason: String,
    },
}

/// Asks for the parts of a package that did not come; the answer to an update order whose package comes in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsMissingReport {
    /// Which package.
    pub package: PackageId,
    /// How many parts are here.
    pub here: u32,
    /// How many parts there are, parity parts included.
    pub of: u32,
    /// The numbers, from 1, of the parts that are needed: no others are.
    pub missing: Vec<u32>,
}

/// How the appliance itself fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The software version that runs.
    pub software: SoftwareVersion,
    /// Seconds since the box started.
    pub uptime_secs: u64,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Devices watched, and how many of them answered last time.
    pub devices: u32,
    /// Devices that answered the last poll.
    pub devices_answering: u32,
    /// Reports that wait for a receipt.
    pub reports_waiting: u32,
    /// Reports given up by policy since the last health report.
    pub reports_expired: u32,
    /// Mails discarded as junk since the last health report.
    pub junk: u32,
    /// Highest command sequence seen.
    pub sequence_seen: u64,
    /// When mail could last be fetched.
    pub last_fetch: Option<Timestamp>,
    /// Where the appliance stands in matters of trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Mails of the center since the last health report of which a gateway left no message, by what was done to them
    /// ([`Mangling`](crate::mail::Mangling)).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mangled: BTreeMap<String, u32>,
    /// The center's commands that have come and have not expired. From this the center knows what got lost on the way, as
    /// from a mailbox that its provider has emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<CommandsHeld>,
}

/// Commands that have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandsHeld {
    /// Their message ids, the latest first; at most [`CommandsHeld::IDS_MAX`].
    pub ids: Vec<MessageId>,
    /// Of what came before this nothing is told: there was no room for it. `None`: these are all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl CommandsHeld {
    /// Most ids in one report.
    pub const IDS_MAX: usize = 32;
}

/// Where an appliance stands in matters of trust; part of every health report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Version of the root that it trusts; 0 without one.
    pub root_version: u32,
    /// The hardware, as told at enrolment; empty where the box does not tell.
    pub machine: String,
    /// Date of the last fresh word of the center ([`Latest`](super::receipt::Latest)).
    pub fresh_at: Option<Timestamp>,
    /// Seconds by which the box's own clock is ahead of the true time (negative: behind); `None` while not known.
    pub clock_offset_secs: Option<i64>,
    /// The greatest release counter installed.
    pub release_counter: u64,
}

/// A command that was authentic but not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// The kind of the command.
    pub kind: String,
    /// Why, for a person, such as `not supported by version 1.0.00-1`.
    pub reason: String,
}

/// All devices of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReport {
    /// Every device that the appliance knows.
    pub devices: Vec<InventoryDevice>,
}

/// One device of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryDevice {
    /// Which device; `None` when it never told who it is.
    pub id: Option<DeviceId>,
    /// Its last address on the customer's LAN.
    pub address: String,
    /// Its hardware address, where known, such as `00:11:22:33:44:55`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether it is still there.
    pub state: DeviceState,
}

/// Whether a device is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DeviceState {
    /// It answers, or was silent for a short time only.
    Present,
    /// It has not answered for long.
    Vanished {
        /// Its last answer.
        since: Timestamp,
    },
}

/// The appliance's half of a rotation ([`RotateRequest`](super::command::RotateRequest)), under the old credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationAnswer {
    /// The rotation.
    pub rotation: Nonce,
    /// The appliance's half of the exchange.
    pub appliance_key: EphemeralPublic,
}

/// Something is wrong with the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmReport {
    /// A word for it, such as `nothing-fresh`, `clock-wrong`, `center-forked`, `module-hangs`.
    pub alarm: String,
    /// What is wrong, for a person.
    pub description: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it is over.
    #[serde(default)]
    pub over: bool,
}

//! The settings of an appliance, in three steps: the file as written, one check, and the [`Settings`] that everything else takes.
//!
//! The default and the source of each value stand in one place: the doc of its field. Keys in the file end in their
//! unit (`_secs`, `_days`, `_octets`); unknown keys are refused, so that a typing error does not pass for a default.

mod access;
mod computers;
mod faults;
mod file;
mod ledger;
mod noticing;
mod ranges;
mod script;
mod update;
mod ways;

pub use computers::{Application, Computers, Rule};
pub use faults::{FaultSettings, TrapSettings};
pub use file::is_device_address;
pub use ledger::LedgerSettings;
pub use mailbox::address::is_mail_address;
pub use noticing::MailSettings;
pub use ranges::{Discovery, RangeEntry, check_credentials};
pub use script::ScriptSettings;
pub use update::{UpdateSettings, WatchdogSettings};
pub use ways::SecondWaySettings;

use crate::snmp::{AuthProtocol, PrivacyProtocol, Secret};
use jiff::SignedDuration;
use mailfmt::{AgentId, CenterId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This appliance's id.
    pub agent: AgentId,
    /// The center's id.
    pub center: CenterId,
    /// Where reports are mailed to.
    pub center_address: String,
    /// Further addresses of the center, taken in turn for what the first did not answer; at most 8.
    pub further_center_addresses: Vec<String>,
    /// Hardware class that packages are matched against. Default: the processor architecture, such as `x86_64`.
    pub hardware: String,
    /// What stands for the box's own hardware; `None`: what [`crate::enrolment::machine_id`] tells. 1 to 64 octets.
    pub machine: Option<String>,
    /// Command that restarts the box after an update that asks for it; empty: never. Default `systemctl reboot`.
    pub reboot_command: Vec<String>,
    /// Mail accounts, tried in order. At least one, at most 8.
    pub accounts: Vec<AccountEntry>,
    /// Devices to watch; at most 1,000.
    pub devices: Vec<DeviceEntry>,
    /// Where further devices are looked for; at most 64.
    pub ranges: Vec<RangeEntry>,
    /// How they are looked for, and when a device counts as gone.
    pub discovery: Discovery,
    /// How often and how long.
    pub timers: Timers,
    /// How long things are kept.
    pub retention: Retention,
    /// When months end here, and by what counters are judged.
    pub ledger: LedgerSettings,
    /// When faults are a technician's matter, and when several are one.
    pub faults: FaultSettings,
    /// Whether and where traps of devices are waited for.
    pub traps: TrapSettings,
    /// Which ways are tried where SNMP tells little.
    pub second_ways: SecondWaySettings,
    /// How computers are watched.
    pub computers: Computers,
    /// Bounds for what comes from outside.
    pub limits: mailfmt::Limits,
    /// Bounds of one connection to a mail server.
    pub mail_limits: mailbox::Limits,
    /// How sessions with mail servers are kept.
    pub mail: MailSettings,
    /// How updates go on here.
    pub update: UpdateSettings,
    /// What install scripts may use and do.
    pub script: ScriptSettings,
    /// The watch over the modules.
    pub watchdog: WatchdogSettings,
    /// How long the center may say nothing fresh before an alarm. Key `freshness_days`; 1 to 365 days, default 7.
    pub freshness: SignedDuration,
}

/// Default of [`Settings::freshness`].
pub const FRESHNESS_DEFAULT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One mail account, and where its password lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEntry {
    /// Servers, address, login name.
    pub account: mailbox::AccountSettings,
    /// File that holds the password, mode 0600; below the root unless absolute. Default `secrets/mail-N.password`, N counting from 1.
    pub password_file: PathBuf,
}

/// One device to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Host name or IP address, with `:port` where it is not 161.
    pub address: String,
    /// How it is read.
    pub access: SnmpAccess,
}

/// How a device lets itself be read by SNMP; passwords lie in files of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version", rename_all = "lowercase")]
pub enum SnmpAccess {
    /// SNMPv1 (RFC 1157).
    V1 {
        /// Default `public`.
        community: Secret,
    },
    /// SNMPv2c (RFC 3416). The default.
    V2c {
        /// Default `public`.
        community: Secret,
    },
    /// SNMPv3 with the user-based security model (RFC 3414).
    V3 {
        /// User name, 1 to 32 octets.
        user: String,
        /// Authentication and the file with its password; `None` means noAuthNoPriv.
        auth: Option<(AuthProtocol, PathBuf)>,
        /// Encryption and the file with its password; only together with authentication.
        privacy: Option<(PrivacyProtocol, PathBuf)>,
    },
}

/// How often and how long. Key in `[timers]`: the field's name with `_secs`.
///
/// Source: JP 2003-435644, Fig. 3 to 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Time between two looks for faults on every device; 1 s to 1 h, default 60 s (Fig. 3).
    pub fault_poll: Duration,
    /// Time between two looks for mail while a fault report waits for its answer; 1 s to 1 h, default 30 s (Fig. 4).
    pub answer_poll: Duration,
    /// How long such a wait lasts before the report is sent again; 1 s to 1 day, default 30 min (Fig. 4).
    pub answer_wait: Duration,
    /// Longest pause between two sendings of a report that gets no receipt; 1 s to 7 days, default 6 h.
    pub resend_pause_max: Duration,
    /// Time between two collections of counters; 1 s to 1 day, default 60 min (Fig. 5).
    pub counter_collect: Duration,
    /// Time between two looks for mail otherwise; 1 s to 1 day, default 3 min (Fig. 6).
    pub mail_poll: Duration,
    /// First pause after a mail server failed; 1 s to 1 h, default 5 s.
    pub backoff_first: Duration,
    /// Longest pause while a mail server keeps failing; 1 s to 1 day, default 5 min.
    pub backoff_max: Duration,
    /// Longest time between two looks at a device that does not answer, to which the pauses grow; 1 s to 1 day, default 15 min.
    pub silent_poll_max: Duration,
    /// Most requests that a device gets within an hour, all repetitions counted; 60 to 100,000. Default: twice what the other timers
    /// need for a device that is known, and 400 for learning what it has, see [`Timers::request_budget`]. Key without `_secs`.
    pub requests_per_hour: Option<u32>,
    /// Time between two signs of life of a resident module; 1 s to 10 min, default 10 s.
    pub heartbeat: Duration,
    /// Silence after which a resident module counts as hung; 3 s to 1 h, default 120 s.
    pub heartbeat_limit: Duration,
    /// Time between two health reports without being asked; 1 min to 30 days, default 1 day.
    pub health_report: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            fault_poll: secs(60),
            answer_poll: secs(30),
            answer_wait: secs(30 * 60),
            resend_pause_max: secs(6 * 3600),
            counter_collect: secs(60 * 60),
            mail_poll: secs(3 * 60),
            backoff_first: secs(5),
            backoff_max: secs(5 * 60),
            silent_poll_max: secs(15 * 60),
            requests_per_hour: None,
            heartbeat: secs(10),
            heartbeat_limit: secs(120),
            health_report: secs(24 * 3600),
        }
    }
}

impl Timers {
    /// [`Self::requests_per_hour`], or its default.
    #[must_use]
    pub fn request_budget(&self) -> u32 {
        const LEARNING: u64 = 400;
        const FULL_VISIT: u64 = 6;
        let per_hour =
            |pause: Duration| 3_600_000 / u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        let known = per_hour(self.fault_poll) + FULL_VISIT * per_hour(self.counter_collect);
        self.requests_per_hour.unwrap_or_else(|| u32::try_from(LEARNING + 2 * known).unwrap_or(u32::MAX))
    }
}

/// How long things are kept, so that the disk never fills. Key in `[retention]`: the field's name with `_days`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// A report that gets no receipt is given up, logged and counted; 1 to 365 days, default 30.
    pub report_unreceipted: SignedDuration,
    /// A report with a receipt, for `status` and for answering a repeated command; 1 to 365 days, default 14.
    pub report_receipted: SignedDuration,
    /// Readings of devices; 1 to 3,650 days, default 90. The latest reading of each device is always kept, until the
    /// device itself is forgotten: so long after it was found to have vanished, unless the settings name it.
    pub reading: SignedDuration,
    /// Faults that are over; 1 to 3,650 days, default 90.
    pub fault_cleared: SignedDuration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(days * 24);
        Self {
            report_unreceipted: days(30),
            report_receipted: days(14),
            reading: days(90),
            fault_cleared: days(90),
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings {}; run `monitor-appliance setup`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("the settings {} cannot be understood", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where and why. Boxed: it quotes the line.
        source: Box<toml::de::Error>,
    },
    /// A value out of its range.
    #[error("setting {key} is {found}, allowed is {allowed}")]
    Value {
        /// Full name of the key.
        key: String,
        /// The value found.
        found: String,
        /// The allowed range.
        allowed: String,
    },
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a settings file; `path` is only named in errors.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let file: file::FileSettings = toml::from_str(text).map_err(|source| shape(path, source))?;
        file.check(path)
    }

    /// Writes the settings as a file that [`Settings::parse`] reads back; values that are the default are left out.
    #[must_use]
    pub fn write(&self) -> String {
        file::FileSettings::of(self).write()
    }
}

fn shape(path: &Path, source: toml::de::Error) -> SettingsError {
    SettingsError::Shape { path: path.into(), source: Box::new(source) }
}

#[cfg(test)]
mod tests;

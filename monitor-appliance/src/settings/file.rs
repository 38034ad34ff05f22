//! The settings file as written: options and plain values, checked once into [`Settings`].

use super::access::FileAccess;
use super::computers::FileComputers;
use super::faults::{FileFaults, FileTraps};
use super::is_mail_address;
use super::ledger::FileLedger;
use super::noticing::FileMail;
use super::ranges::{FileDiscovery, FileRange, RANGES_MAX};
use super::script::FileScript;
use super::update::{FileUpdate, FileWatchdog};
use super::ways::FileSecondWays;
use super::{
    AccountEntry, DeviceEntry, FRESHNESS_DEFAULT, Retention, Settings, SettingsError, Timers, shape,
};
use crate::snmp::{AuthProtocol, PrivacyProtocol, Secret};
use jiff::SignedDuration;
use mailfmt::{AgentId, CenterId};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ACCOUNTS_MAX: usize = 8;
const DEVICES_MAX: usize = 1000;
const FURTHER_ADDRESSES_MAX: usize = 8;
const PASSWORD_FILE_KEY: &str = "password_file";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSettings {
    agent: String,
    center: String,
    center_address: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    further_center_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardware: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot_command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness_days: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    timers: FileTimers,
    #[serde(default, skip_serializing_if = "is_default")]
    retention: FileRetention,
    #[serde(default, skip_serializing_if = "is_default")]
    ledger: FileLedger,
    #[serde(default, skip_serializing_if = "is_default")]
    faults: FileFaults,
    #[serde(default, skip_serializing_if = "is_default")]
    traps: FileTraps,
    #[serde(default, skip_serializing_if = "is_default")]
    second_ways: FileSecondWays,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: FileLimits,
    #[serde(default, skip_serializing_if = "is_default")]
    mail: FileMail,
    #[serde(default, skip_serializing_if = "is_default")]
    update: FileUpdate,
    #[serde(default, skip_serializing_if = "is_default")]
    script: FileScript,
    #[serde(default, skip_serializing_if = "is_default")]
    watchdog: FileWatchdog,
    #[serde(default)]
    accounts: Vec<toml::Table>,
    #[serde(default)]
    devices: Vec<FileDevice>,
    #[serde(default, skip_serializing_if = "is_default")]
    discovery: FileDiscovery,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<FileRange>,
    #[serde(default, skip_serializing_if = "is_default")]
    computers: FileComputers,
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileTimers {
    fault_poll_secs: Option<u64>,
    answer_poll_secs: Option<u64>,
    answer_wait_secs: Option<u64>,
    resend_pause_max_secs: Option<u64>,
    counter_collect_secs: Option<u64>,
    mail_poll_secs: Option<u64>,
    backoff_first_secs: Option<u64>,
    backoff_max_secs: Option<u64>,
    silent_poll_max_secs: Option<u64>,
    requests_per_hour: Option<u64>,
    heartbeat_secs: Option<u64>,
    heartbeat_limit_secs: Option<u64>,
    health_report_secs: Option<u64>,
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileRetention {
    report_unreceipted_days: Option<u64>,
    report_receipted_days: Option<u64>,
    reading_days: Option<u64>,
    fault_cleared_days: Option<u64>,
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    mail_octets: Option<u64>,
    package_octets: Option<u64>,
    unpacked_octets: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileDevice {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    community: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<PrivacyProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_password_file: Option<PathBuf>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(super) fn bad(key: impl Display, found: impl Display, allowed: impl Display) -> SettingsError {
    SettingsError::Value { key: key.to_string(), found: found.to_string(), allowed: allowed.to_string() }
}

pub(super) fn in_range(
    key: &str,
    value: Option<u64>,
    unit: &str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, SettingsError> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(bad(key, value, format_args!("{} to {} {unit}", range.start(), range.end())))
        }
        value => Ok(value),
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

impl FileTimers {
    fn check(&self) -> Result<Timers, SettingsError> {
        let default = Timers::default();
        let secs = |key: &str, value, range, default| {
            in_range(&format!("timers.{key}_secs"), value, "seconds", range)
                .map(|secs| secs.map_or(default, Duration::from_secs))
        };
        let timers = Timers {
            fault_poll: secs("fault_poll", self.fault_poll_secs, 1..=HOUR, default.fault_poll)?,
            answer_poll: secs("answer_poll", self.answer_poll_secs, 1..=HOUR, default.answer_poll)?,
            answer_wait: secs("answer_wait", self.answer_wait_secs, 1..=DAY, default.answer_wait)?,
            resend_pause_max: secs(
                "resend_pause_max",
                self.resend_pause_max_secs,
                1..=7 * DAY,
                default.resend_pause_max,
            )?,
            counter_collect: secs(
                "counter_collect",
                self.counter_collect_secs,
                1..=DAY,
                default.counter_collect,
            )?,
            mail_poll: secs("mail_poll", self.mail_poll_secs, 1..=DAY, default.mail_poll)?,
            backoff_first: secs("backoff_first", self.backoff_first_secs, 1..=HOUR, default.backoff_first)?,
            backoff_max: secs("backoff_max", self.backoff_max_secs, 1..=DAY, default.backoff_max)?,
            silent_poll_max: secs(
                "silent_poll_max",
                self.silent_poll_max_secs,
                1..=DAY,
                default.silent_poll_max,
            )?,
            requests_per_hour: in_range(
                "timers.requests_per_hour",
                self.requests_per_hour,
                "requests",
                60..=100_000,
            )?
            .and_then(|requests| u32::try_from(requests).ok()),
            heartbeat: secs("heartbeat", self.heartbeat_secs, 1..=600, default.heartbeat)?,
            heartbeat_limit: secs(
                "heartbeat_limit",
                self.heartbeat_limit_secs,
                3..=HOUR,
                default.heartbeat_limit,
            )?,
            health_report: secs(
                "health_report",
                self.health_report_secs,
                60..=30 * DAY,
                default.health_report,
            )?,
        };
        if timers.heartbeat_limit < timers.heartbeat.saturating_mul(2) {
            return Err(bad(
                "timers.heartbeat_limit_secs",
                timers.heartbeat_limit.as_secs(),
                "at least twice timers.heartbeat_secs",
            ));
        }
        Ok(timers)
    }

    fn of(timers: &Timers) -> Self {
        let default = Timers::default();
        let secs = |value: Duration, default: Duration| (value != default).then_some(value.as_secs());
        Self {
            fault_poll_secs: secs(timers.fault_poll, default.fault_poll),
            answer_poll_secs: secs(timers.answer_poll, default.answer_poll),
            answer_wait_secs: secs(timers.answer_wait, default.answer_wait),
            resend_pause_max_secs: secs(timers.resend_pause_max, default.resend_pause_max),
            counter_collect_secs: secs(timers.counter_collect, default.counter_collect),
            mail_poll_secs: secs(timers.mail_poll, default.mail_poll),
            backoff_first_secs: secs(timers.backoff_first, default.backoff_first),
            backoff_max_secs: secs(timers.backoff_max, default.backoff_max),
            silent_poll_max_secs: secs(timers.silent_poll_max, default.silent_poll_max),
            requests_per_hour: timers.requests_per_hour.map(u64::from),
            heartbeat_secs: secs(timers.heartbeat, default.heartbeat),
            heartbeat_limit_secs: secs(timers.heartbeat_limit, default.heartbeat_limit),
            health_report_secs: secs(timers.health_report, default.health_report),
        }
    }
}

impl FileRetention {
    fn check(&self) -> Result<Retention, SettingsError> {
        let default = Retention::default();
        let days = |key: &str, value, range, default| {
            in_range(&format!("retention.{key}_days"), value, "days", range).map(|days| {
                days.and_then(|days| i64::try_from(days).ok())
                    .map_or(default, |days| SignedDuration::from_hours(days * 24))
            })
        };
        Ok(Retention {
            report_unreceipted: days(
                "report_unreceipted",
                self.report_unreceipted_days,
                1..=365,
                default.report_unreceipted,
            )?,
            report_receipted: days(
                "report_receipted",
                self.report_receipted_days,
                1..=365,
                default.report_receipted,
            )?,
            reading: days("reading", self.reading_days, 1..=3650, default.reading)?,
            fault_cleared: days("fault_cleared", self.fault_cleared_days, 1..=3650, default.fault_cleared)?,
        })
    }

    fn of(retention: &Retention) -> Self {
        let default = Retention::default();
        let days = |value: SignedDuration, default: SignedDuration| {
            (value != default).then(|| u64::try_from(value.as_hours() / 24).unwrap_or(1))
        };
        Self {
            report_unreceipted_days: days(retention.report_unreceipted, default.report_unreceipted),
            report_receipted_days: days(retention.report_receipted, default.report_receipted),
            reading_days: days(retention.reading, default.reading),
            fault_cleared_days: days(retention.fault_cleared, default.fault_cleared),
        }
    }
}

impl FileLimits {
    fn check(&self) -> Result<mailfmt::Limits, SettingsError> {
        let mut limits = mailfmt::Limits::default();
        let octets = |key, value| in_range(key, value, "octets", 10_000..=1 << 30);
        let size = |octets| usize::try_from(octets).unwrap_or(usize::MAX);
        if let Some(octets) = octets("limits.mail_octets", self.mail_octets)? {
            limits.mail_octets = size(octets);
        }
        if let Some(octets) = octets("limits.package_octets", self.package_octets)? {
            limits.package_octets = size(octets);
        }
        if let Some(octets) = octets("limits.unpacked_octets", self.unpacked_octets)? {
            limits.unpacked_octets = octets;
        }
        Ok(limits)
    }

    fn of(limits: &mailfmt::Limits) -> Self {
        let default = mailfmt::Limits::default();
        let octets = |value: usize, default: usize| {
            (value != default).then(|| u64::try_from(value).unwrap_or(u64::MAX))
        };
        Self {
            mail_octets: octets(limits.mail_octets, default.mail_octets),
            package_octets: octets(limits.package_octets, default.package_octets),
            unpacked_octets: (limits.unpacked_octets != default.unpacked_octets)
                .then_some(limits.unpacked_octets),
        }
    }
}

impl FileDevice {
    fn check(self, number: usize) -> Result<DeviceEntry, SettingsError> {
        let key = |name: &str| format!("devices[{number}].{name}");
        if !is_device_address(&self.address) {
            return Err(bad(
                key("address"),
                &self.address,
                "a host name or IP address, with :port if it is not 161",
            ));
        }
        let Self {
            address,
            version,
            community,
            user,
            auth,
            auth_password_file,
            privacy,
            privacy_password_file,
        } = self;
        let access =
            FileAccess { version, community, user, auth, auth_password_file, privacy, privacy_password_file }
                .check(&key)?;
        Ok(DeviceEntry { address, access })
    }

    fn of(device: &DeviceEntry) -> Self {
        let FileAccess { version, community, user, auth, auth_password_file, privacy, privacy_password_file } =
            FileAccess::of(&device.access);
        let address = device.address.clone();
        Self { address, version, community, user, auth, auth_password_file, privacy, privacy_password_file }
    }
}

fn account(mut table: toml::Table, number: usize, path: &Path) -> Result<AccountEntry, SettingsError> {
    let key = |name: &str| format!("accounts[{number}].{name}");
    let password_file = match table.remove(PASSWORD_FILE_KEY) {
        None => PathBuf::from(format!("secrets/mail-{number}.password")),
        Some(toml::Value::String(file)) if !file.is_empty() => PathBuf::from(file),
        Some(other) => return Err(bad(key(PASSWORD_FILE_KEY), other, "the name of a file")),
    };
    let account: mailbox::AccountSettings = table.try_into().map_err(|source| shape(path, source))?;
    check_address(&key("address"), &account.address)?;
    if account.name.is_empty() || account.name.len() > 64 {
        return Err(bad(key("name"), &account.name, "1 to 64 octets"));
    }
    Ok(AccountEntry { account, password_file })
}

/// Whether a device can be asked at `address`: a host name or IP address, with `:port` where it is not 161.
#[must_use]
pub fn is_device_address(address: &str) -> bool {
    (1..=255).contains(&address.len())
        && address.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-:[]%_".contains(&octet))
}

fn check_address(key: &str, address: &str) -> Result<(), SettingsError> {
    if is_mail_address(address) {
        Ok(())
    } else {
        Err(bad(key, address, "a mail address: local@domain, at most 254 octets"))
    }
}

impl FileSettings {
    pub(super) fn check(self, path: &Path) -> Result<Settings, SettingsError> {
        check_address("center_address", &self.center_address)?;
        let further = &self.further_center_addresses;
        if further.len() > FURTHER_ADDRESSES_MAX {
            return Err(bad(
                "further_center_addresses",
                further.len(),
                format_args!("at most {FURTHER_ADDRESSES_MAX}"),
            ));
        }
        further.iter().try_for_each(|address| check_address("further_center_addresses", address))?;
        if self.accounts.is_empty() || self.accounts.len() > ACCOUNTS_MAX {
            return Err(bad("accounts", self.accounts.len(), format_args!("1 to {ACCOUNTS_MAX} accounts")));
        }
        if self.devices.len() > DEVICES_MAX {
            return Err(bad("devices", self.devices.len(), format_args!("at most {DEVICES_MAX} devices")));
        }
        let hardware = self.hardware.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        if hardware.is_empty() || hardware.len() > 64 {
            return Err(bad("hardware", hardware, "1 to 64 octets"));
        }
        if let Some(machine) = self.machine.as_ref().filter(|machine| !(1..=64).contains(&machine.len())) {
            return Err(bad("machine", machine, "1 to 64 octets"));
        }
        let accounts = (1..)
            .zip(self.accounts)
            .map(|(number, table)| account(table, number, path))
            .collect::<Result<Vec<_>, _>>()?;
        let devices = (1..)
            .zip(self.devices)
            .map(|(number, device)| device.check(number))
            .collect::<Result<Vec<_>, _>>()?;
        let mut addresses: Vec<&str> = devices.iter().map(|device| device.address.as_str()).collect();
        addresses.sort_unstable();
        if let Some([twice, _]) = addresses.array_windows().find(|[left, right]| left == right) {
            return Err(bad("devices", twice, "each address once"));
        }
        if self.ranges.len() > RANGES_MAX {
            return Err(bad("ranges", self.ranges.len(), format_args!("at most {RANGES_MAX} ranges")));
        }
        let ranges = (1..)
            .zip(self.ranges)
            .map(|(number, range)| range.check(number))
            .collect::<Result<Vec<_>, _>>()?;
        let limits = self.limits.check()?;
        let mail_limits = mailbox::Limits {
            message_octets_max: u64::try_from(limits.mail_octets).unwrap_or(u64::MAX),
            ..mailbox::Limits::default()
        };
        Ok(Settings {
            agent: AgentId::new(&self.agent).map_err(|error| bad("agent", &self.agent, error))?,
            center: CenterId::new(&self.center).map_err(|error| bad("center", &self.center, error))?,
            center_address: self.center_address,
            further_center_addresses: self.further_center_addresses,
            hardware,
            machine: self.machine,
            reboot_command: self
                .reboot_command
                .unwrap_or_else(|| vec!["systemctl".to_owned(), "reboot".to_owned()]),
            accounts,
            devices,
            ranges,
            discovery: self.discovery.check()?,
            computers: self.computers.check()?,
            timers: self.timers.check()?,
            retention: self.retention.check()?,
            ledger: self.ledger.check()?,
            faults: self.faults.check()?,
            traps: self.traps.check(),
            second_ways: self.second_ways.check(),
            limits,
            mail_limits,
            update: self.update.check()?,
            script: self.script.check()?,
            mail: self.mail.check()?,
            watchdog: self.watchdog.check()?,
            freshness: in_range("freshness_days", self.freshness_days, "days", 1..=365)?
                .and_then(|days| i64::try_from(days).ok())
                .map_or(FRESHNESS_DEFAULT, |days| SignedDuration::from_hours(days * 24)),
        })
    }

    pub(super) fn of(settings: &Settings) -> Self {
        let account = |entry: &AccountEntry| {
            let mut table =
                toml::Table::try_from(&entry.account).expect("account settings are a table of plain values");
            let file = entry.password_file.display().to_string();
            table.insert(PASSWORD_FILE_KEY.to_owned(), toml::Value::String(file));
            table
        };
        Self {
            agent: settings.agent.to_string(),
            center: settings.center.to_string(),
            center_address: settings.center_address.clone(),
            further_center_addresses: settings.further_center_addresses.clone(),
            hardware: Some(settings.hardware.clone()),
            machine: settings.machine.clone(),
            reboot_command: Some(settings.reboot_command.clone()),
            freshness_days: (settings.freshness != FRESHNESS_DEFAULT)
                .then(|| u64::try_from(settings.freshness.as_hours() / 24).unwrap_or(1)),
            timers: FileTimers::of(&settings.timers),
            retention: FileRetention::of(&settings.retention),
            ledger: FileLedger::of(&settings.ledger),
            faults: FileFaults::of(&settings.faults),
            traps: FileTraps::of(&settings.traps),
            second_ways: FileSecondWays::of(&settings.second_ways),
            limits: FileLimits::of(&settings.limits),
            mail: FileMail::of(&settings.mail),
            update: FileUpdate::of(&settings.update),
            script: FileScript::of(&settings.script),
            watchdog: FileWatchdog::of(&settings.watchdog),
            accounts: settings.accounts.iter().map(account).collect(),
            devices: settings.devices.iter().map(FileDevice::of).collect(),
            discovery: FileDiscovery::of(&settings.discovery),
            ranges: settings.ranges.iter().map(FileRange::of).collect(),
            computers: FileComputers::of(&settings.computers),
        }
    }

    pub(super) fn write(&self) -> String {
        toml::to_string(self).expect("the settings are tables of plain values with text keys")
    }
}

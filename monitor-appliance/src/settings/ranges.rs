//! `[[ranges]]` and `[discovery]`: where devices are looked for, how, and how often.

use super::access::FileAccess;
use super::file::{bad, in_range};
use super::{SettingsError, SnmpAccess};
use crate::discovery::AddressRange;
use crate::snmp::{AuthProtocol, PrivacyProtocol, Secret};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Most ranges.
pub(super) const RANGES_MAX: usize = 64;

/// Most credentials of one range.
const CREDENTIALS_MAX: usize = 8;

/// Most SNMPv3 users of one range: each wrong one counts at a printer that locks itself.
const USERS_MAX: usize = 2;

/// Most excludes of one range.
const EXCLUDES_MAX: usize = 1000;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A part of the LAN in which devices are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeEntry {
    /// The addresses, or a general call.
    pub range: AddressRange,
    /// Addresses that are never asked. A general call goes to all devices of its network; excluded ones are then not
    /// asked any further.
    pub excludes: Vec<AddressRange>,
    /// How devices let themselves be read: 1 to 8, at most 2 of them SNMPv3 users. Default SNMPv2c with `public`;
    /// communities are tried with SNMPv1 as well.
    pub credentials: Vec<SnmpAccess>,
    /// Time between two scans; 1 h to 30 days, default 1 day; key `rescan_secs`.
    pub rescan: Duration,
    /// Whether computers and other devices are watched like printers. Default false.
    pub others: bool,
}

impl RangeEntry {
    /// A range with everything else at its default.
    #[must_use]
    pub fn new(range: AddressRange) -> Self {
        Self {
            range,
            excludes: Vec::new(),
            credentials: vec![SnmpAccess::V2c { community: Secret::new("public") }],
            rescan: Duration::from_secs(DAY),
            others: false,
        }
    }
}

/// How a LAN is scanned, and when a device counts as gone. Keys in `[discovery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Addresses asked at the same time; 1 to 512, default 128.
    pub parallel: usize,
    /// Most questions a second; 1 to 2,000, default 200.
    pub per_second: u32,
    /// Wait for an answer; 0.1 to 10 s, default 1 s; key `answer_wait_ms`. Who says nothing is asked once more at the end.
    pub answer_wait: Duration,
    /// Longest scan; 1 s to 12 h, default 30 min; key `deadline_secs`.
    pub deadline: Duration,
    /// A device that has not answered for so long has vanished; 1 to 365 days, default 7; key `vanished_after_days`.
    pub vanished_after: SignedDuration,
    /// Shortest time between two inventory reports; 1 s to 1 day, default 5 min; key `inventory_pause_secs`.
    pub inventory_pause: Duration,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            parallel: 128,
            per_second: 200,
            answer_wait: Duration::from_secs(1),
            deadline: Duration::from_secs(30 * 60),
            vanished_after: SignedDuration::from_hours(7 * 24),
            inventory_pause: Duration::from_secs(5 * 60),
        }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileDiscovery {
    parallel: Option<u64>,
    per_second: Option<u64>,
    answer_wait_ms: Option<u64>,
    deadline_secs: Option<u64>,
    vanished_after_days: Option<u64>,
    inventory_pause_secs: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRange {
    range: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    excludes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rescan_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    others: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<FileCredential>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileCredential {
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

impl FileDiscovery {
    pub(super) fn check(&self) -> Result<Discovery, SettingsError> {
        let default = Discovery::default();
        let number =
            |key: &str, value, unit, range| in_range(&format!("discovery.{key}"), value, unit, range);
        let parallel = number("parallel", self.parallel, "addresses", 1..=512)?;
        let per_second = number("per_second", self.per_second, "questions", 1..=2000)?;
        let answer_wait = number("answer_wait_ms", self.answer_wait_ms, "milliseconds", 100..=10_000)?;
        let deadline = number("deadline_secs", self.deadline_secs, "seconds", 1..=12 * HOUR)?;
        let vanished = number("vanished_after_days", self.vanished_after_days, "days", 1..=365)?;
        let pause = number("inventory_pause_secs", self.inventory_pause_secs, "seconds", 1..=DAY)?;
        Ok(Discovery {
            parallel: parallel.and_then(|count| usize::try_from(count).ok()).unwrap_or(default.parallel),
            per_second: per_second.and_then(|count| u32::try_from(count).ok()).unwrap_or(default.per_second),
            answer_wait: answer_wait.map_or(default.answer_wait, Duration::from_millis),
            deadline: deadline.map_or(default.deadline, Duration::from_secs),
            vanished_after: vanished
                .and_then(|days| i64::try_from(days).ok())
                .map_or(default.vanished_after, |days| SignedDuration::from_hours(days * 24)),
            inventory_pause: pause.map_or(default.inventory_pause, Duration::from_secs),
        })
    }

    pub(super) fn of(discovery: &Discovery) -> Self {
        let default = Discovery::default();
        let changed = |changed: bool, value: u64| changed.then_some(value);
        let millis = u64::try_from(discovery.answer_wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            parallel: changed(
                discovery.parallel != default.parallel,
                u64::try_from(discovery.parallel).unwrap_or(u64::MAX),
            ),
            per_second: changed(discovery.per_second != default.per_second, discovery.per_second.into()),
            answer_wait_ms: changed(discovery.answer_wait != default.answer_wait, millis),
            deadline_secs: changed(discovery.deadline != default.deadline, discovery.deadline.as_secs()),
            vanished_after_days: changed(
                discovery.vanished_after != default.vanished_after,
                u64::try_from(discovery.vanished_after.as_hours() / 24).unwrap_or(1),
            ),
            inventory_pause_secs: changed(
                discovery.inventory_pause != default.inventory_pause,
                discovery.inventory_pause.as_secs(),
            ),
        }
    }
}

impl FileRange {
    pub(super) fn check(self, number: usize) -> Result<RangeEntry, SettingsError> {
        let key = |name: &str| format!("ranges[{number}].{name}");
        let read = |name: &str, text: &str| {
            text.parse::<AddressRange>().map_err(|error| bad(key(name), format_args!("`{text}`"), error))
        };
        let range = AddressRange::to_ask(&self.range)
            .map_err(|error| bad(key("range"), format_args!("`{}`", self.range), error))?;
        let default = RangeEntry::new(range);
        if self.excludes.len() > EXCLUDES_MAX {
            return Err(bad(key("excludes"), self.excludes.len(), format_args!("at most {EXCLUDES_MAX}")));
        }
        let excludes =
            self.excludes.iter().map(|text| read("excludes", text)).collect::<Result<Vec<_>, _>>()?;
        let rescan = in_range(&key("rescan_secs"), self.rescan_secs, "seconds", HOUR..=30 * DAY)?;
        let credentials = (1..)
            .zip(self.credentials)
            .map(|(place, credential)| credential.check(&key(&format!("credentials[{place}]"))))
            .collect::<Result<Vec<_>, _>>()?;
        check_credentials(&key("credentials"), &credentials)?;
        Ok(RangeEntry {
            excludes,
            credentials: if credentials.is_empty() { default.credentials } else { credentials },
            rescan: rescan.map_or(default.rescan, Duration::from_secs),
            others: self.others,
            range: default.range,
        })
    }

    pub(super) fn of(entry: &RangeEntry) -> Self {
        let default = RangeEntry::new(entry.range.clone());
        let changed = entry.credentials != default.credentials;
        Self {
            range: entry.range.to_string(),
            excludes: entry.excludes.iter().map(ToString::to_string).collect(),
            rescan_secs: (entry.rescan != default.rescan).then_some(entry.rescan.as_secs()),
            others: entry.others,
            credentials: entry
                .credentials
                .iter()
                .filter(|_| changed)
                .map(|access| FileCredential::of(FileAccess::of(access)))
                .collect(),
        }
    }
}

/// Whether so many credentials may be tried at one device.
///
/// # Errors
/// [`SettingsError::Value`] with the bound.
pub fn check_credentials(key: &str, credentials: &[SnmpAccess]) -> Result<(), SettingsError> {
    if credentials.len() > CREDENTIALS_MAX {
        return Err(bad(key, credentials.len(), format_args!("at most {CREDENTIALS_MAX} credentials")));
    }
    let users = credentials.iter().filter(|access| matches!(access, SnmpAccess::V3 { .. })).count();
    if users > USERS_MAX {
        return Err(bad(
            key,
            format_args!("{users} SNMPv3 users"),
            format_args!("{USERS_MAX}: printers lock themselves after a few wrong passwords"),
        ));
    }
    Ok(())
}

impl FileCredential {
    fn check(self, key: &str) -> Result<SnmpAccess, SettingsError> {
        let Self { version, community, user, auth, auth_password_file, privacy, privacy_password_file } =
            self;
        FileAccess { version, community, user, auth, auth_password_file, privacy, privacy_password_file }
            .check(&|name| format!("{key}.{name}"))
    }

    fn of(access: FileAccess) -> Self {
        let FileAccess { version, community, user, auth, auth_password_file, privacy, privacy_password_file } =
            access;
        Self { version, community, user, auth, auth_password_file, privacy, privacy_password_file }
    }
}

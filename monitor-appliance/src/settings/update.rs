//! Settings of updates and of the watch over the modules: `[update]` and `[watchdog]`.

use super::SettingsError;
use super::file::{bad, in_range};
use crate::ledger::time_zone;
use jiff::tz::TimeZone;
use mailfmt::package::DailyWindow;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How updates go on here. Key in `[update]`: the field's name, with its unit (`_secs`, `_octets`) behind it.
///
/// What a package's own rules say goes before what stands here, but never beyond the bounds that stand here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSettings {
    /// Hours of the day in which an update may begin, in the box's time; default: at any time. A package and an order may
    /// narrow them.
    pub window: Option<DailyWindow>,
    /// Time zone in which all hours and days of updates are meant: an IANA name such as `Europe/Berlin`, or a POSIX rule;
    /// default: the box's own.
    pub time_zone: Option<String>,
    /// Time between two looks at what an update waits for; 1 s to 10 min, default 5 s.
    pub busy_look: Duration,
    /// Longest wait for modules that are busy, and for a script that asks to be run again later, after which the update
    /// is given up; 1 s to 90 days, default 3 days. A package that expires earlier ends it earlier.
    pub wait_max: Duration,
    /// First pause before a script that asked for it is run again, doubled each time; 1 s to 1 day, default 30 s.
    pub script_retry: Duration,
    /// Longest pause between two looks or tries; 1 s to 1 day, default 15 min.
    pub retry_max: Duration,
    /// Longest that a script may run, whatever its package says; 1 s to 1 day, default 3 h.
    pub script_time_max: Duration,
    /// How long, beyond its trial, a new release may take until it has fetched a mail, handed one in and read a
    /// device, where that worked before it; 1 s to 1 day, default 15 min.
    pub proof_wait: Duration,
    /// The same where mail did not work before either: nobody can tell whose fault it is, so it is given more time;
    /// 1 s to 30 days, default 1 day.
    pub mail_return_wait: Duration,
    /// How long no further part of a package may come until the missing ones are asked for, doubled with every question up
    /// to 6 h; 1 s to 1 day, default 5 min: longer than a look for mail and a slow server between two parts.
    pub part_wait: Duration,
    /// How often missing parts are asked for before the update is refused; 1 to 100, default 8 (about 15 h).
    pub part_asks_max: u32,
    /// Old releases kept beside the running one; 1 to 10, default 2.
    pub releases_kept: usize,
    /// Octets of disk that stay free while an update is installed: room for the store, the outbox and logs; at least
    /// 1 MB, default 8 MiB.
    pub disk_reserve: u64,
    /// Files outside the root that a script may have changed and that are put back when its update is undone; at
    /// most 100, absolute paths. Default: the resolver's, `/etc/resolv.conf`, `/etc/hosts` and `/etc/nsswitch.conf`.
    pub saved_files: Vec<PathBuf>,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            window: None,
            time_zone: None,
            busy_look: secs(5),
            wait_max: secs(3 * DAY),
            script_retry: secs(30),
            retry_max: secs(15 * 60),
            script_time_max: secs(3 * HOUR),
            proof_wait: secs(15 * 60),
            mail_return_wait: secs(DAY),
            part_wait: secs(5 * 60),
            part_asks_max: 8,
            releases_kept: 2,
            disk_reserve: 8 << 20,
            saved_files: ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"].map(PathBuf::from).to_vec(),
        }
    }
}

impl UpdateSettings {
    /// The time zone of updates.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        // One that cannot be found was refused when the settings were read.
        self.time_zone.as_deref().and_then(|name| time_zone(name).ok()).unwrap_or_else(TimeZone::system)
    }
}

/// The watch over the modules and over the watcher itself. Key in `[watchdog]`: the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchdogSettings {
    /// The box's hardware watchdog, such as `/dev/watchdog`; default: none is used.
    pub device: Option<PathBuf>,
    /// How often in a row a module must fail until the center is told; 2 to 1,000, default 5.
    pub alarm_after: u32,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self { device: None, alarm_after: 5 }
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const SAVED_FILES_MAX: usize = 100;

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileUpdate {
    window: Option<String>,
    time_zone: Option<String>,
    busy_look_secs: Option<u64>,
    wait_max_secs: Option<u64>,
    script_retry_secs: Option<u64>,
    retry_max_secs: Option<u64>,
    script_time_max_secs: Option<u64>,
    proof_wait_secs: Option<u64>,
    mail_return_wait_secs: Option<u64>,
    part_wait_secs: Option<u64>,
    part_asks_max: Option<u64>,
    releases_kept: Option<u64>,
    disk_reserve_octets: Option<u64>,
    saved_files: Option<Vec<PathBuf>>,
}

impl FileUpdate {
    pub(super) fn check(self) -> Result<UpdateSettings, SettingsError> {
        let default = UpdateSettings::default();
        let secs = |key: &str, value, to: u64, default| {
            in_range(&format!("update.{key}_secs"), value, "seconds", 1..=to)
                .map(|secs| secs.map_or(default, Duration::from_secs))
        };
        let window = self
            .window
            .map(|text| text.parse::<DailyWindow>().map_err(|error| bad("update.window", text, error)))
            .transpose()?;
        if let Some(name) = &self.time_zone {
            time_zone(name).map_err(|error| bad("update.time_zone", name, error))?;
        }
        let kept = in_range("update.releases_kept", self.releases_kept, "releases", 1..=10)?;
        let octets = 1_000_000..=u64::MAX;
        let reserve = in_range("update.disk_reserve_octets", self.disk_reserve_octets, "octets", octets)?;
        let saved_files = self.saved_files.unwrap_or(default.saved_files);
        if saved_files.len() > SAVED_FILES_MAX || saved_files.iter().any(|file| !file.is_absolute()) {
            let allowed = format_args!("at most {SAVED_FILES_MAX} absolute paths");
            return Err(bad("update.saved_files", format_args!("{saved_files:?}"), allowed));
        }
        Ok(UpdateSettings {
            window,
            time_zone: self.time_zone,
            busy_look: secs("busy_look", self.busy_look_secs, 600, default.busy_look)?,
            wait_max: secs("wait_max", self.wait_max_secs, 90 * DAY, default.wait_max)?,
            script_retry: secs("script_retry", self.script_retry_secs, DAY, default.script_retry)?,
            retry_max: secs("retry_max", self.retry_max_secs, DAY, default.retry_max)?,
            script_time_max: secs(
                "script_time_max",
                self.script_time_max_secs,
                DAY,
                default.script_time_max,
            )?,
            proof_wait: secs("proof_wait", self.proof_wait_secs, DAY, default.proof_wait)?,
            mail_return_wait: secs(
                "mail_return_wait",
                self.mail_return_wait_secs,
                30 * DAY,
                default.mail_return_wait,
            )?,
            part_wait: secs("part_wait", self.part_wait_secs, DAY, default.part_wait)?,
            part_asks_max: in_range("update.part_asks_max", self.part_asks_max, "questions", 1..=100)?
                .and_then(|asks| u32::try_from(asks).ok())
                .unwrap_or(default.part_asks_max),
            releases_kept: kept.and_then(|kept| usize::try_from(kept).ok()).unwrap_or(default.releases_kept),
            disk_reserve: reserve.unwrap_or(default.disk_reserve),
            saved_files,
        })
    }

    pub(super) fn of(settings: &UpdateSettings) -> Self {
        let default = UpdateSettings::default();
        let secs = |value: Duration, default: Duration| (value != default).then_some(value.as_secs());
        Self {
            window: settings.window.map(|window| window.to_string()),
            time_zone: settings.time_zone.clone(),
            busy_look_secs: secs(settings.busy_look, default.busy_look),
            wait_max_secs: secs(settings.wait_max, default.wait_max),
            script_retry_secs: secs(settings.script_retry, default.script_retry),
            retry_max_secs: secs(settings.retry_max, default.retry_max),
            script_time_max_secs: secs(settings.script_time_max, default.script_time_max),
            proof_wait_secs: secs(settings.proof_wait, default.proof_wait),
            mail_return_wait_secs: secs(settings.mail_return_wait, default.mail_return_wait),
            part_wait_secs: secs(settings.part_wait, default.part_wait),
            part_asks_max: (settings.part_asks_max != default.part_asks_max)
                .then_some(settings.part_asks_max.into()),
            releases_kept: (settings.releases_kept != default.releases_kept)
                .then(|| u64::try_from(settings.releases_kept).unwrap_or(u64::MAX)),
            disk_reserve_octets: (settings.disk_reserve != default.disk_reserve)
                .then_some(settings.disk_reserve),
            saved_files: (settings.saved_files != default.saved_files).then(|| settings.saved_files.clone()),
        }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileWatchdog {
    device: Option<PathBuf>,
    alarm_after: Option<u64>,
}

impl FileWatchdog {
    pub(super) fn check(self) -> Result<WatchdogSettings, SettingsError> {
        let default = WatchdogSettings::default();
        let after = in_range("watchdog.alarm_after", self.alarm_after, "failures", 2..=1000)?;
        if self.device.as_ref().is_some_and(|device| !device.is_absolute()) {
            return Err(bad("watchdog.device", "a relative path", "an absolute path, such as /dev/watchdog"));
        }
        Ok(WatchdogSettings {
            device: self.device,
            alarm_after: after.and_then(|after| u32::try_from(after).ok()).unwrap_or(default.alarm_after),
        })
    }

    pub(super) fn of(settings: &WatchdogSettings) -> Self {
        let default = WatchdogSettings::default();
        Self {
            device: settings.device.clone(),
            alarm_after: (settings.alarm_after != default.alarm_after).then_some(settings.alarm_after.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let settings = UpdateSettings {
            window: Some("22:00-05:00".parse().unwrap()),
            time_zone: Some("CET-1CEST,M3.5.0,M10.5.0/3".to_owned()),
            busy_look: Duration::from_secs(7),
            part_wait: Duration::from_secs(9),
            part_asks_max: 3,
            releases_kept: 4,
            saved_files: vec!["/etc/hosts".into()],
            ..UpdateSettings::default()
        };
        let text = toml::to_string(&FileUpdate::of(&settings)).unwrap();
        assert_eq!(toml::from_str::<FileUpdate>(&text).unwrap().check().unwrap(), settings);
        let watchdog = WatchdogSettings { device: Some("/dev/watchdog".into()), alarm_after: 3 };
        let text = toml::to_string(&FileWatchdog::of(&watchdog)).unwrap();
        assert_eq!(toml::from_str::<FileWatchdog>(&text).unwrap().check().unwrap(), watchdog);
    }

    #[test]
    fn values_out_of_their_range_are_named() {
        for (text, key) in [
            ("window = \"evening\"", "update.window"),
            ("time_zone = \"Mars/Olympus\"", "update.time_zone"),
            ("releases_kept = 0", "update.releases_kept"),
            ("busy_look_secs = 601", "update.busy_look_secs"),
            ("part_asks_max = 0", "update.part_asks_max"),
            ("saved_files = [\"hosts\"]", "update.saved_files"),
        ] {
            let error = toml::from_str::<FileUpdate>(text).unwrap().check().unwrap_err();
            assert!(matches!(&error, SettingsError::Value { key: found, .. } if found == key), "{error}");
        }
    }
}

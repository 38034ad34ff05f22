//! Settings of faults and of traps: `[faults]` and `[traps]`.

use super::SettingsError;
use super::file::{bad, in_range};
use crate::faults::{Attended, FaultRules, FlapRule, RecurrenceRule};
use jiff::SignedDuration;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use mailfmt::package::DailyWindow;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// When faults are a technician's matter, and when several are one. Key in `[faults]`: the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSettings {
    /// So many faults of one kind that a user clears, such as jams, call a technician; 2 to 100, 0 for never, default 6.
    pub recurring_calls_at: u32,
    /// One of them is let pass per so many clean pages; 1 to 10,000, default 16.
    pub recurring_pages_each: u64,
    /// So many clean pages in a row end the matter; 1 to 100,000, default 48.
    pub recurring_pages_reset: u64,
    /// A fault of such a kind that nobody has cleared for so many attended minutes calls a technician; 0 to 480, 0 for never,
    /// default 30.
    pub lasting_minutes: u32,
    /// Hours of the day in which somebody is at the devices, in the box's time; default `08:00-18:00`.
    pub attended_hours: DailyWindow,
    /// Days on which somebody is, such as `["mon", "tue"]`; default Monday to Friday.
    pub attended_days: Vec<Weekday>,
    /// A fault that has come three times within so many minutes is held as one episode until it has stayed away for as long; 0 to
    /// 240, 0 for never, default 10.
    pub flapping_minutes: u32,
}

impl Default for FaultSettings {
    fn default() -> Self {
        let rules = FaultRules::default();
        Self {
            recurring_calls_at: rules.recurrence.calls_at,
            recurring_pages_each: rules.recurrence.pages_per_leak,
            recurring_pages_reset: rules.recurrence.pages_to_reset,
            lasting_minutes: rules.lasting_minutes,
            attended_hours: rules.attended.hours,
            attended_days: rules.attended.days,
            flapping_minutes: 10,
        }
    }
}

impl FaultSettings {
    /// The rules that these settings make, with the built-in class table and the box's time zone.
    #[must_use]
    pub fn rules(&self) -> FaultRules {
        let minutes = SignedDuration::from_mins(i64::from(self.flapping_minutes));
        FaultRules {
            recurrence: RecurrenceRule {
                calls_at: self.recurring_calls_at,
                pages_per_leak: self.recurring_pages_each,
                pages_to_reset: self.recurring_pages_reset,
                ..RecurrenceRule::default()
            },
            lasting_minutes: self.lasting_minutes,
            attended: Attended {
                hours: self.attended_hours,
                days: self.attended_days.clone(),
                zone: TimeZone::system(),
            },
            flapping: FlapRule { window: minutes, cooldown: minutes, ..FlapRule::default() },
            ..FaultRules::default()
        }
    }
}

/// Whether and where traps and informs of devices are waited for. Key in `[traps]`: the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapSettings {
    /// Default `true`.
    pub receive: bool,
    /// The box's address that devices send to; default: all of them.
    pub address: Option<IpAddr>,
    /// UDP port; 0 for any that is free. Default: 162, or 10162 where that one is not permitted (`CAP_NET_BIND_SERVICE`) or taken.
    pub port: Option<u16>,
}

impl Default for TrapSettings {
    fn default() -> Self {
        Self { receive: true, address: None, port: None }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileFaults {
    recurring_calls_at: Option<u64>,
    recurring_pages_each: Option<u64>,
    recurring_pages_reset: Option<u64>,
    lasting_minutes: Option<u64>,
    attended_hours: Option<String>,
    attended_days: Option<Vec<String>>,
    flapping_minutes: Option<u64>,
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTraps {
    receive: Option<bool>,
    address: Option<IpAddr>,
    port: Option<u16>,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl FileFaults {
    pub(super) fn check(self) -> Result<FaultSettings, SettingsError> {
        let default = FaultSettings::default();
        let number = |key: &str, value, unit: &str, range, default: u32| {
            let value = in_range(&format!("faults.{key}"), value, unit, range)?;
            Ok::<_, SettingsError>(value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default))
        };
        let pages = |key: &str, value, most: u64, default: u64| {
            let value = in_range(&format!("faults.{key}"), value, "pages", 1..=most)?;
            Ok::<_, SettingsError>(value.unwrap_or(default))
        };
        let hours = |text: &String| text.parse().map_err(|error| bad("faults.attended_hours", text, error));
        let day = |text: &String| {
            let known = DAYS.iter().find(|(word, _)| word == text).map(|(_, day)| *day);
            known.ok_or_else(|| bad("faults.attended_days", text, "mon, tue, wed, thu, fri, sat, sun"))
        };
        if self.recurring_calls_at == Some(1) {
            // One is not "again".
            return Err(bad("faults.recurring_calls_at", 1, "2 to 100 faults, or 0 for never"));
        }
        Ok(FaultSettings {
            recurring_calls_at: number(
                "recurring_calls_at",
                self.recurring_calls_at,
                "faults",
                0..=100,
                default.recurring_calls_at,
            )?,
            recurring_pages_each: pages(
                "recurring_pages_each",
                self.recurring_pages_each,
                10_000,
                default.recurring_pages_each,
            )?,
            recurring_pages_reset: pages(
                "recurring_pages_reset",
                self.recurring_pages_reset,
                100_000,
                default.recurring_pages_reset,
            )?,
            lasting_minutes: number(
                "lasting_minutes",
                self.lasting_minutes,
                "minutes",
                0..=480,
                default.lasting_minutes,
            )?,
            attended_hours: self.attended_hours.as_ref().map_or(Ok(default.attended_hours), hours)?,
            attended_days: match &self.attended_days {
                Some(days) => days.iter().map(day).collect::<Result<_, _>>()?,
                None => default.attended_days,
            },
            flapping_minutes: number(
                "flapping_minutes",
                self.flapping_minutes,
                "minutes",
                0..=240,
                default.flapping_minutes,
            )?,
        })
    }

    pub(super) fn of(settings: &FaultSettings) -> Self {
        let default = FaultSettings::default();
        let other = |value: u64, default: u64| (value != default).then_some(value);
        let word = |day: &Weekday| {
            DAYS.iter()
                .find(|(_, known)| known == day)
                .map(|(word, _)| (*word).to_owned())
                .unwrap_or_default()
        };
        Self {
            recurring_calls_at: other(settings.recurring_calls_at.into(), default.recurring_calls_at.into()),
            recurring_pages_each: other(settings.recurring_pages_each, default.recurring_pages_each),
            recurring_pages_reset: other(settings.recurring_pages_reset, default.recurring_pages_reset),
            lasting_minutes: other(settings.lasting_minutes.into(), default.lasting_minutes.into()),
            attended_hours: (settings.attended_hours != default.attended_hours)
                .then(|| settings.attended_hours.to_string()),
            attended_days: (settings.attended_days != default.attended_days)
                .then(|| settings.attended_days.iter().map(word).collect()),
            flapping_minutes: other(settings.flapping_minutes.into(), default.flapping_minutes.into()),
        }
    }
}

impl FileTraps {
    pub(super) fn check(self) -> TrapSettings {
        TrapSettings { receive: self.receive.unwrap_or(true), address: self.address, port: self.port }
    }

    pub(super) fn of(settings: &TrapSettings) -> Self {
        Self { receive: (!settings.receive).then_some(false), address: settings.address, port: settings.port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let settings = FaultSettings {
            recurring_calls_at: 4,
            lasting_minutes: 0,
            attended_hours: "06:30-22:00".parse().unwrap(),
            attended_days: vec![Weekday::Saturday, Weekday::Sunday],
            ..FaultSettings::default()
        };
        let text = toml::to_string(&FileFaults::of(&settings)).unwrap();
        assert_eq!(toml::from_str::<FileFaults>(&text).unwrap().check().unwrap(), settings);
        assert_eq!(toml::to_string(&FileFaults::of(&FaultSettings::default())).unwrap(), "");
        let traps = TrapSettings { receive: false, address: Some([10, 1, 2, 3].into()), port: Some(1162) };
        let text = toml::to_string(&FileTraps::of(&traps)).unwrap();
        assert_eq!(toml::from_str::<FileTraps>(&text).unwrap().check(), traps);
        assert_eq!(toml::to_string(&FileTraps::of(&TrapSettings::default())).unwrap(), "");
    }

    #[test]
    fn values_out_of_their_range_are_named() {
        for (text, key) in [
            ("recurring_calls_at = 1", "faults.recurring_calls_at"),
            ("recurring_pages_each = 0", "faults.recurring_pages_each"),
            ("lasting_minutes = 481", "faults.lasting_minutes"),
            ("attended_hours = \"always\"", "faults.attended_hours"),
            ("attended_days = [\"holidays\"]", "faults.attended_days"),
        ] {
            let error = toml::from_str::<FileFaults>(text).unwrap().check().unwrap_err();
            assert!(matches!(&error, SettingsError::Value { key: found, .. } if found == key), "{error}");
        }
        assert!(toml::from_str::<FileTraps>("port = 70000").is_err());
    }

    #[test]
    fn the_default_settings_make_the_default_rules() {
        assert_eq!(FaultSettings::default().rules(), FaultRules::default());
    }
}

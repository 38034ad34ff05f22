//! Settings of the ledger: `[ledger]`.

use super::SettingsError;
use super::file::{bad, in_range};
use crate::ledger::{MonthEnd, MonthEndError, Rules};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// When months end at this site, what no machine does, and how long the ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// When a month ends: `time_zone` (IANA name such as `Europe/Berlin`, or a POSIX rule), `month_end_day` (`"last"` or 1 to
    /// 28) and `month_end_hour` (0 to 23). Default: the last day at 20:00 UTC.
    pub month_end: MonthEnd,
    /// By what readings are judged: `pages_per_minute_max` (1 to 100,000, default 350).
    pub rules: Rules,
    /// How long entries are kept here after the center was told of them: `kept_days`, 62 to 3,650, default 1,095.
    pub kept: SignedDuration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            month_end: MonthEnd::default(),
            rules: Rules::default(),
            kept: SignedDuration::from_hours(1095 * 24),
        }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLedger {
    time_zone: Option<String>,
    month_end_day: Option<toml::Value>,
    month_end_hour: Option<u64>,
    pages_per_minute_max: Option<u64>,
    kept_days: Option<u64>,
}

impl FileLedger {
    pub(super) fn check(self) -> Result<LedgerSettings, SettingsError> {
        let default = LedgerSettings::default();
        let days = "last, or a day from 1 to 28";
        let day = match self.month_end_day {
            None => default.month_end.day(),
            Some(toml::Value::String(text)) if text == "last" => None,
            Some(toml::Value::Integer(day)) if (1..=28).contains(&day) => u8::try_from(day).ok(),
            Some(other) => return Err(bad("ledger.month_end_day", other, days)),
        };
        let hour = in_range("ledger.month_end_hour", self.month_end_hour, "h", 0..=23)?
            .and_then(|hour| u8::try_from(hour).ok())
            .unwrap_or(default.month_end.hour());
        let zone = self.time_zone.as_deref().unwrap_or(default.month_end.zone_name());
        let month_end = MonthEnd::new(zone, day, hour).map_err(|error| match &error {
            MonthEndError::Zone { name } => bad("ledger.time_zone", name, &error),
            MonthEndError::Day { day } => bad("ledger.month_end_day", day, days),
            MonthEndError::Hour { hour } => bad("ledger.month_end_hour", hour, "0 to 23 h"),
        })?;
        let per_minute = in_range(
            "ledger.pages_per_minute_max",
            self.pages_per_minute_max,
            "pages a minute",
            1..=100_000,
        )?;
        let kept = in_range("ledger.kept_days", self.kept_days, "days", 62..=3650)?
            .and_then(|days| i64::try_from(days).ok())
            .map_or(default.kept, |days| SignedDuration::from_hours(days * 24));
        let rules =
            Rules { per_minute_max: per_minute.unwrap_or(default.rules.per_minute_max), ..default.rules };
        Ok(LedgerSettings { month_end, rules, kept })
    }

    pub(super) fn of(settings: &LedgerSettings) -> Self {
        let default = LedgerSettings::default();
        let (month_end, usual) = (&settings.month_end, &default.month_end);
        let per_minute = settings.rules.per_minute_max;
        Self {
            time_zone: (month_end.zone_name() != usual.zone_name()).then(|| month_end.zone_name().to_owned()),
            month_end_day: month_end.day().map(|day| toml::Value::Integer(day.into())),
            month_end_hour: (month_end.hour() != usual.hour()).then(|| month_end.hour().into()),
            pages_per_minute_max: (per_minute != default.rules.per_minute_max).then_some(per_minute),
            kept_days: (settings.kept != default.kept)
                .then(|| u64::try_from(settings.kept.as_hours() / 24).unwrap_or(62)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<LedgerSettings, SettingsError> {
        toml::from_str::<FileLedger>(text).unwrap().check()
    }

    #[test]
    fn a_site_says_when_its_months_end_and_the_file_is_read_back() {
        let text = "time_zone = \"Europe/Berlin\"\nmonth_end_day = 15\nmonth_end_hour = 7\npages_per_minute_max = 120\nkept_days = 400\n";
        let settings = checked(text).unwrap();
        assert_eq!((settings.month_end.day(), settings.month_end.hour()), (Some(15), 7));
        assert_eq!(settings.rules.per_minute_max, 120);
        assert_eq!(toml::to_string(&FileLedger::of(&settings)).unwrap(), text);
        assert_eq!(checked("month_end_day = \"last\"").unwrap(), LedgerSettings::default());
        assert!(FileLedger::of(&LedgerSettings::default()) == FileLedger::default());
    }

    #[test]
    fn what_cannot_be_is_refused_by_name_with_what_is_allowed() {
        for (text, key) in [
            ("time_zone = \"Mars/Olympus\"", "ledger.time_zone"),
            ("month_end_day = 31", "ledger.month_end_day"),
            ("month_end_day = \"first\"", "ledger.month_end_day"),
            ("month_end_hour = 24", "ledger.month_end_hour"),
            ("pages_per_minute_max = 0", "ledger.pages_per_minute_max"),
            ("kept_days = 1", "ledger.kept_days"),
        ] {
            let error = checked(text).unwrap_err();
            assert!(matches!(&error, SettingsError::Value { key: found, .. } if found == key), "{error}");
        }
    }
}

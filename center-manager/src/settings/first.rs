//! `[first_settings]`: what enrolled appliances begin with.

use super::{SettingsError, within};
use mailfmt::message::enrolment::FirstSettings;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// `[first_settings]` as it stands in the file; an absent key leaves the appliance its own default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstSettingsFile {
    /// Seconds between two looks for mail; 10 s to 1 day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_poll_secs: Option<u64>,
    /// Seconds between two looks for faults; 10 s to 1 day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_poll_secs: Option<u64>,
    /// Seconds between two collections of counters; 1 min to 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter_collect_secs: Option<u64>,
    /// Days without a fresh word of the center after which the appliance raises an alarm; 1 to 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness_days: Option<u64>,
}

const DAY: u64 = 24 * 60 * 60;

impl FirstSettingsFile {
    /// Checks the values.
    ///
    /// # Errors
    /// [`SettingsError::Range`] names the key.
    pub fn check(self) -> Result<FirstSettings, SettingsError> {
        let checked = |key: &str, value: Option<u64>, allowed: RangeInclusive<u64>| {
            value
                .map(|value| within(&format!("first_settings.{key}"), Some(value), value, allowed))
                .transpose()
        };
        Ok(FirstSettings {
            mail_poll_secs: checked("mail_poll_secs", self.mail_poll_secs, 10..=DAY)?,
            fault_poll_secs: checked("fault_poll_secs", self.fault_poll_secs, 10..=DAY)?,
            counter_collect_secs: checked("counter_collect_secs", self.counter_collect_secs, 60..=30 * DAY)?,
            freshness_days: checked("freshness_days", self.freshness_days, 1..=90)?,
        })
    }
}

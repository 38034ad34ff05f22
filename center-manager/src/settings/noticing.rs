//! `[mail]`: how sessions with mail servers are kept, and how many logins a server is asked for.

use super::{SettingsError, within};
use mailbox::inbox::{Manner, NoticeRules};
use mailbox::smtp::kept::KEPT_DEFAULT;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How sessions with mail servers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Longest silence of ours on a session that is kept open (IMAP IDLE); 1 min to 25 min, 14 min if not set:
    /// `idle_renew_secs`.
    pub idle_renew: Duration,
    /// Where a server tells of mail at once, it is looked for all the same so often: some servers forget to tell, and a line
    /// may be dead without anybody saying so; 10 s to 1 h, 3 min if not set: `idle_look_secs`.
    pub idle_look: Duration,
    /// Most logins to fetch mail within an hour, for each account; 1 to 100,000: `logins_per_hour_max`. If not set, twice what
    /// `poll_secs` needs and 60.
    pub logins_per_hour_max: Option<u32>,
    /// How long connections to hand in mail are kept for the next one; 0 s to 4 min, 45 s if not set: `smtp_keep_secs`.
    pub smtp_keep: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            idle_renew: NoticeRules::RENEW_DEFAULT,
            idle_look: Duration::from_secs(180),
            logins_per_hour_max: None,
            smtp_keep: KEPT_DEFAULT,
        }
    }
}

impl MailSettings {
    /// [`Self::logins_per_hour_max`], or its default where mail is looked for every `poll`.
    #[must_use]
    pub fn login_budget(&self, poll: Duration) -> u32 {
        const SLACK: u64 = 60;
        let default = || u32::try_from(SLACK + 2 * 3600 / poll.as_secs().max(1)).unwrap_or(u32::MAX);
        self.logins_per_hour_max.unwrap_or_else(default)
    }

    /// Time between two looks for mail that nothing calls for.
    #[must_use]
    pub fn look_pause(&self, manner: Manner, poll: Duration) -> Duration {
        match manner {
            Manner::Idle => self.idle_look.max(poll),
            Manner::Asking | Manner::PerLook => poll,
        }
    }
}

/// `[mail]` as it stands in the file; an absent key means the default told at [`MailSettings`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettingsFile {
    /// See [`MailSettings::idle_renew`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_renew_secs: Option<u64>,
    /// See [`MailSettings::idle_look`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_look_secs: Option<u64>,
    /// See [`MailSettings::logins_per_hour_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins_per_hour_max: Option<u64>,
    /// See [`MailSettings::smtp_keep`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_keep_secs: Option<u64>,
}

impl MailSettingsFile {
    /// Checks the values.
    ///
    /// # Errors
    /// [`SettingsError::Range`] names the key.
    pub fn check(self) -> Result<MailSettings, SettingsError> {
        let default = MailSettings::default();
        let span = |key: &str, value, default: Duration, allowed: RangeInclusive<u64>| {
            within(&format!("mail.{key}"), value, default.as_secs(), allowed).map(Duration::from_secs)
        };
        let logins = self
            .logins_per_hour_max
            .map(|logins| within("mail.logins_per_hour_max", Some(logins), logins, 1..=100_000))
            .transpose()?;
        let renew_max = NoticeRules::RENEW_MAX.as_secs();
        Ok(MailSettings {
            idle_renew: span("idle_renew_secs", self.idle_renew_secs, default.idle_renew, 60..=renew_max)?,
            idle_look: span("idle_look_secs", self.idle_look_secs, default.idle_look, 10..=3600)?,
            logins_per_hour_max: logins.map(|logins| u32::try_from(logins).unwrap_or(u32::MAX)),
            smtp_keep: span("smtp_keep_secs", self.smtp_keep_secs, default.smtp_keep, 0..=240)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_tells_is_looked_at_seldom_and_any_other_at_the_set_interval() {
        let (settings, poll) = (MailSettings::default(), Duration::from_secs(10));
        assert_eq!(settings.look_pause(Manner::Idle, poll), Duration::from_secs(180));
        assert_eq!(settings.look_pause(Manner::Asking, poll), poll);
        assert_eq!(settings.look_pause(Manner::PerLook, poll), poll);
        let rare = Duration::from_secs(3600);
        assert_eq!(settings.look_pause(Manner::Idle, rare), rare);
        assert_eq!((settings.login_budget(poll), settings.login_budget(rare)), (780, 62));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (text, place) in [
            ("idle_renew_secs = 1740", "mail.idle_renew_secs"),
            ("idle_look_secs = 1", "mail.idle_look_secs"),
            ("logins_per_hour_max = 0", "mail.logins_per_hour_max"),
            ("smtp_keep_secs = 600", "mail.smtp_keep_secs"),
        ] {
            let error = toml::from_str::<MailSettingsFile>(text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
        let limited = toml::from_str::<MailSettingsFile>("logins_per_hour_max = 6").unwrap().check().unwrap();
        assert_eq!(limited.login_budget(Duration::from_secs(1)), 6);
    }
}

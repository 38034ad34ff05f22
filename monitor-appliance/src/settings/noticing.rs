//! `[mail]`: how sessions with mail servers are kept, and how many logins a server is asked for.

use super::file::in_range;
use super::{SettingsError, Timers};
use mailbox::inbox::NoticeRules;
use mailbox::smtp::kept::KEPT_DEFAULT;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How sessions with mail servers are kept. Keys in `[mail]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Longest silence of ours on a mail session that is kept open (IMAP IDLE), for routers that forget silent connections;
    /// 1 min to 25 min, default 14 min; key `idle_renew_secs`. Looks for mail come at the intervals of `[timers]` as well.
    pub idle_renew: Duration,
    /// Most logins to fetch mail within an hour, for each account; 1 to 100,000. Default: twice what the intervals of
    /// `[timers]` need and 60; a provider's own limit is to be set here. Key `logins_per_hour_max`.
    pub logins_per_hour_max: Option<u32>,
    /// How long a connection to hand in mail is kept for the next one; 0 s to 4 min, default 45 s; 0 for not at all. Key
    /// `smtp_keep_secs`.
    pub smtp_keep: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self { idle_renew: NoticeRules::RENEW_DEFAULT, logins_per_hour_max: None, smtp_keep: KEPT_DEFAULT }
    }
}

impl MailSettings {
    /// [`Self::logins_per_hour_max`], or its default.
    #[must_use]
    pub fn login_budget(&self, timers: &Timers) -> u32 {
        const SLACK: u64 = 60;
        let shortest = timers.answer_poll.min(timers.mail_poll).as_secs().max(1);
        let default = || u32::try_from(SLACK + 2 * 3600 / shortest).unwrap_or(u32::MAX);
        self.logins_per_hour_max.unwrap_or_else(default)
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMail {
    idle_renew_secs: Option<u64>,
    logins_per_hour_max: Option<u64>,
    smtp_keep_secs: Option<u64>,
}

impl FileMail {
    pub(super) fn check(&self) -> Result<MailSettings, SettingsError> {
        let default = MailSettings::default();
        let renew_max = NoticeRules::RENEW_MAX.as_secs();
        let renew = in_range("mail.idle_renew_secs", self.idle_renew_secs, "seconds", 60..=renew_max)?;
        let logins = in_range("mail.logins_per_hour_max", self.logins_per_hour_max, "logins", 1..=100_000)?;
        let keep = in_range("mail.smtp_keep_secs", self.smtp_keep_secs, "seconds", 0..=240)?;
        Ok(MailSettings {
            idle_renew: renew.map_or(default.idle_renew, Duration::from_secs),
            logins_per_hour_max: logins.and_then(|logins| u32::try_from(logins).ok()),
            smtp_keep: keep.map_or(default.smtp_keep, Duration::from_secs),
        })
    }

    pub(super) fn of(mail: &MailSettings) -> Self {
        let default = MailSettings::default();
        let secs = |value: Duration, default: Duration| (value != default).then_some(value.as_secs());
        Self {
            idle_renew_secs: secs(mail.idle_renew, default.idle_renew),
            logins_per_hour_max: mail.logins_per_hour_max.map(u64::from),
            smtp_keep_secs: secs(mail.smtp_keep, default.smtp_keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<MailSettings, SettingsError> {
        toml::from_str::<FileMail>(text).unwrap().check()
    }

    #[test]
    fn the_usual_budget_never_gets_into_the_way_of_the_usual_intervals() {
        let budget = MailSettings::default().login_budget(&Timers::default());
        assert_eq!(budget, 300);
        let hurried = Timers { mail_poll: Duration::from_secs(1), ..Timers::default() };
        assert_eq!(MailSettings::default().login_budget(&hurried), 7260);
        assert_eq!(check("logins_per_hour_max = 6").unwrap().login_budget(&hurried), 6);
    }

    #[test]
    fn what_is_written_reads_back_and_what_is_wrong_is_named() {
        let settings = check("idle_renew_secs = 300\nlogins_per_hour_max = 12\nsmtp_keep_secs = 0").unwrap();
        assert_eq!(settings.smtp_keep, Duration::ZERO);
        let written = toml::to_string(&FileMail::of(&settings)).unwrap();
        assert_eq!(check(&written).unwrap(), settings);
        for (text, place) in [
            ("idle_renew_secs = 1740", "mail.idle_renew_secs"),
            ("logins_per_hour_max = 0", "mail.logins_per_hour_max"),
            ("smtp_keep_secs = 600", "mail.smtp_keep_secs"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}

//! Limits that an account's own settings name: they count instead of those of its provider's profile.

use super::{Figure, Limits};
use crate::account::AccountSettings;
use serde::{Deserialize, Serialize};

/// Figures of one account, such as an administrator has set them. What is absent is as in the provider's profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLimits {
    /// Mails handed in per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails_per_minute: Option<u32>,
    /// Mails handed in per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails_per_hour: Option<u32>,
    /// Mails handed in per day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails_per_day: Option<u32>,
    /// Recipients of one mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_mail: Option<u32>,
    /// Recipients of all mails of a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_day: Option<u32>,
    /// Mails delivered to the account per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_per_minute: Option<u32>,
    /// Mails delivered to the account per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_per_hour: Option<u32>,
    /// Mails delivered to the account per day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_per_day: Option<u32>,
}

impl OwnLimits {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn put_into(&self, limits: &mut Limits) {
        let put = |into: &mut Option<Figure<u32>>, own: Option<u32>| {
            if let Some(value) = own {
                let source = "the account's settings".to_owned();
                *into = Some(Figure { value: value.max(1), source, checked: None, note: None });
            }
        };
        put(&mut limits.mails_per_minute, self.mails_per_minute);
        put(&mut limits.mails_per_hour, self.mails_per_hour);
        put(&mut limits.mails_per_day, self.mails_per_day);
        put(&mut limits.recipients_per_mail, self.recipients_per_mail);
        put(&mut limits.recipients_per_day, self.recipients_per_day);
        put(&mut limits.received_per_minute, self.received_per_minute);
        put(&mut limits.received_per_hour, self.received_per_hour);
        put(&mut limits.received_per_day, self.received_per_day);
    }
}

impl AccountSettings {
    /// The limits that hold: those of the provider, and instead of these what the account's own settings say. All are unknown of a
    /// server that is none of those known.
    #[must_use]
    pub fn known_limits(&self) -> Limits {
        let mut limits = self.known_provider().map(|provider| provider.limits.clone()).unwrap_or_default();
        self.limits.put_into(&mut limits);
        limits
    }

    /// Whose limits hold and why, and what they are, in one line.
    #[must_use]
    pub fn limits_in_words(&self) -> String {
        let whose = match (self.known_provider(), &self.provider) {
            (Some(provider), Some(_)) => format!("{} (set: provider = {:?})", provider.title, provider.name),
            (Some(provider), None) => {
                format!("{} (told by the server {}; `provider` sets another)", provider.title, self.smtp.host)
            }
            (None, _) => "no known provider (`provider` names one)".to_owned(),
        };
        let own = if self.limits.is_default() { "" } else { ", with figures of its own" };
        let limits = self.known_limits();
        let figures = [
            (&limits.mails_per_minute, "mails out a minute"),
            (&limits.mails_per_hour, "mails out an hour"),
            (&limits.mails_per_day, "mails out a day"),
            (&limits.recipients_per_mail, "recipients a mail"),
            (&limits.recipients_per_day, "recipients a day"),
            (&limits.received_per_minute, "mails in a minute"),
            (&limits.received_per_hour, "mails in an hour"),
            (&limits.received_per_day, "mails in a day"),
        ];
        let figures: Vec<_> = figures
            .into_iter()
            .filter_map(|(figure, what)| Some(format!("{} {what}", figure.as_ref()?.value)))
            .collect();
        let figures = if figures.is_empty() { "nothing is bounded".to_owned() } else { figures.join(", ") };
        format!("{whose}{own}: {figures}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(more: &str) -> AccountSettings {
        let text = format!(
            "name = \"main\"\naddress = \"center@example.com\"\nusername = \"center\"\nfetch = \"imap\"\n{more}\n\
             smtp = {{ host = \"smtp.example.com\", port = 465, security = \"tls\" }}\n\
             fetch_server = {{ host = \"imap.example.com\", port = 993, security = \"tls\" }}"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn the_provider_that_is_set_counts_and_is_told_by_any_of_its_names() {
        for name in ["exchange-online", "microsoft365"] {
            let account = account(&format!("provider = {name:?}"));
            assert_eq!(account.known_limits().received_per_hour.unwrap().value, 3_600);
            assert!(account.limits_in_words().contains("(set: provider"), "{}", account.limits_in_words());
        }
        let free = account("");
        assert_eq!(free.known_limits(), Limits::default());
        assert!(free.limits_in_words().starts_with("no known provider"));
    }

    #[test]
    fn figures_of_ones_own_replace_those_of_the_provider_and_only_these() {
        let account = account("provider = \"exchange-online\"\nlimits = { recipients_per_day = 500 }");
        let limits = account.known_limits();
        assert_eq!(limits.recipients_per_day.as_ref().map(|figure| figure.value), Some(500));
        assert_eq!(limits.mails_per_minute.as_ref().map(|figure| figure.value), Some(30));
        assert!(account.limits_in_words().contains("with figures of its own"));
    }
}

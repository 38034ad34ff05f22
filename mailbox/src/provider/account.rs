//! The provider of an account, and what follows from it.

use serde::{Deserialize, Deserializer, de};

use super::{Provider, all, guess, named};
use crate::account::{AccountSettings, Protocol};

/// Reads the setting `provider`: only a known name.
///
/// # Errors
/// The text says which name is not known.
pub(crate) fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    match &name {
        Some(unknown) if named(unknown).is_none() => Err(de::Error::custom(format!(
            "no mail provider is called {unknown:?}; `mail providers list` names them, and without the key none is meant"
        ))),
        _ => Ok(name),
    }
}

impl AccountSettings {
    /// The provider that the settings name; else that on whose server mail is handed in, where it is a known one's.
    pub fn known_provider(&self) -> Option<&'static Provider> {
        if let Some(name) = &self.provider {
            return named(name);
        }
        let has_server = |provider: &&Provider| {
            provider.smtp.as_ref().is_some_and(|server| server.host.eq_ignore_ascii_case(&self.smtp.host))
        };
        guess(&self.address).filter(|guessed| has_server(guessed)).or_else(|| all().iter().find(has_server))
    }

    /// Largest mail to hand in here, in octets with base64: what is set, else what the provider is known to take.
    pub fn mail_octets_limit(&self) -> Option<u64> {
        self.mail_octets_max.or_else(|| self.known_provider()?.limits.mail_octets())
    }

    /// Logins within an hour that fetch: `set`, or fewer where the provider bears fewer. By POP3 each look is a login, so the
    /// shortest pause between two looks bounds them, too. At least one.
    pub fn logins_per_hour(&self, set: u32) -> u32 {
        let Some(provider) = self.known_provider() else { return set };
        let looks = match self.fetch {
            Protocol::Pop3 => provider.limits.poll_interval_min_secs.as_ref(),
            Protocol::Imap => None,
        };
        let looks = looks.map(|pause| 3_600 / pause.value.max(1));
        looks.into_iter().chain(provider.limits.logins()).fold(set, u32::min).max(1)
    }
}

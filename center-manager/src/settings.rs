//! The center's settings: `center.toml`, typed and checked at the start.

mod first;
mod noticing;
mod subaddress;

pub use first::FirstSettingsFile;
pub use noticing::{MailSettings, MailSettingsFile};

use crate::clones::OnClone;
use crate::dkim::DkimSettings;
use crate::sending::MAIL_OCTETS_MIN;
use jiff::SignedDuration;
use mailbox::AccountSettings;
use mailfmt::CenterId;
use mailfmt::message::enrolment::FirstSettings;
use mailfmt::parts::Parity;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checked settings; everything in the program takes them from here.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// This center's id, as it stands in envelopes.
    pub center: CenterId,
    /// The mail address that appliances write to and that commands come from.
    pub address: String,
    /// Mail accounts; the first that works sends, all of them are read.
    pub accounts: Vec<AccountSettings>,
    /// Time between two looks for mail; 1 s to 1 h, 10 s if not set.
    pub poll: Duration,
    /// Mails fetched, filed and deleted in one go; 1 to 10,000, 500 if not set.
    pub mails_per_batch: usize,
    /// Envelope recipients of one mail; 1 to 1,000, 50 if not set (the limit of Amazon SES; others allow 100 and more).
    pub recipients_per_mail: usize,
    /// Mails handed in per pass, so that reading is never kept waiting by sending; 1 to 100,000, 1,000 if not set.
    pub sends_per_pass: usize,
    /// Connections by which mail is handed in at once when much waits; 1 to 32, 4 if not set. A server that refuses one of them is
    /// left with fewer for some minutes. Few mails go over one.
    pub submission_sessions: usize,
    /// How long a command stays valid; 10 min to 90 days, 7 days if not set.
    pub command_expiry: SignedDuration,
    /// How long a receipt stays valid; 10 min to 90 days, 7 days if not set.
    pub receipt_expiry: SignedDuration,
    /// First pause after a failed sending, doubled every time; 1 s to 1 h, 30 s if not set.
    pub retry_pause: SignedDuration,
    /// Longest pause between two tries; 1 s to 1 day, 1 h if not set.
    pub retry_pause_max: SignedDuration,
    /// Largest mail that is fetched and opened; 64 KiB to 64 MiB, 8 MiB if not set: reports carry no packages.
    pub mail_octets_max: usize,
    /// Largest mail that is handed in, with base64; a package that is larger goes out in parts. 64 KiB to 64 MiB, 10,000,000 if not
    /// set: what Postfix takes where nobody set anything (10,240,000), and hardly any provider takes less. The server's
    /// own word (SIZE), an account's `mail_octets_max` and what is known of an appliance count where they are less.
    pub mail_out_octets_max: u64,
    /// Parity parts of a package in parts: `parity_parts` (0 to 16, 0 if not set) for every `parity_group` (1 to 120, 8 if not
    /// set) parts. So many of a group may be lost without asking for them again. None if not set: what a mail server has
    /// taken is seldom lost, and a lost part costs one question.
    pub parity: Option<Parity>,
    /// What stands between the center's address and its detail, where its mail server delivers `address+anything` to `address`; one
    /// of `+ - _ = .`, none if not set. Then each mail has a return path of its own, so that what comes back is told for certain,
    /// and nobody can invent a bounce.
    pub subaddress: Option<char>,
    /// Keys by which outgoing mail is signed for the mail systems on the way; `[[dkim]]`, none if not set, two at most.
    pub dkim: Vec<DkimSettings>,
    /// What is done when two boxes report under one id: `alarm` (if not set) or `suspend`.
    pub on_clone: OnClone,
    /// How sessions with mail servers are kept; `[mail]`.
    pub mail: MailSettings,
    /// First settings of enrolled appliances; `[first_settings]`, none if not set.
    pub first_settings: FirstSettings,
}

impl Settings {
    /// The center's mail addresses, in the order in which appliances try them: its own, then those of its accounts.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let mut addresses = vec![self.address.clone()];
        for account in &self.accounts {
            if addresses.iter().all(|known| !known.eq_ignore_ascii_case(&account.address)) {
                addresses.push(account.address.clone());
            }
        }
        addresses
    }

    /// Place of the account that appliances write to first: the one with the center's own address.
    #[must_use]
    pub fn receiving_account(&self) -> usize {
        let own = |account: &AccountSettings| account.address.eq_ignore_ascii_case(&self.address);
        self.accounts.iter().position(own).unwrap_or(0)
    }

    /// Limits for reading what appliances send.
    #[must_use]
    pub fn wire_limits(&self) -> mailfmt::Limits {
        mailfmt::Limits { mail_octets: self.mail_octets_max, ..mailfmt::Limits::default() }
    }

    /// Limits for the mail sessions.
    #[must_use]
    pub fn mail_limits(&self) -> mailbox::Limits {
        mailbox::Limits {
            message_octets_max: u64::try_from(self.mail_octets_max).unwrap_or(u64::MAX),
            ..mailbox::Limits::default()
        }
    }

    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// [`SettingsError`] names file, key, value and what is allowed.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.into(), source })?;
        Self::parse(&text)
    }

    /// Checks settings.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        toml::from_str::<SettingsFile>(text).map_err(|source| SettingsError::Shape { source })?.check()
    }
}

/// `center.toml` as it stands in the file; absent keys mean the defaults told at [`Settings`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// The center's id.
    pub center: String,
    /// The center's mail address.
    pub address: String,
    /// See [`Settings::poll`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_secs: Option<u64>,
    /// See [`Settings::mails_per_batch`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails_per_batch: Option<u64>,
    /// See [`Settings::recipients_per_mail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_mail: Option<u64>,
    /// See [`Settings::sends_per_pass`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sends_per_pass: Option<u64>,
    /// See [`Settings::submission_sessions`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_sessions: Option<u64>,
    /// See [`Settings::command_expiry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_expiry_secs: Option<u64>,
    /// See [`Settings::receipt_expiry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_expiry_secs: Option<u64>,
    /// See [`Settings::retry_pause`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_pause_secs: Option<u64>,
    /// See [`Settings::retry_pause_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_pause_max_secs: Option<u64>,
    /// See [`Settings::mail_octets_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_max_octets: Option<u64>,
    /// See [`Settings::mail_out_octets_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_out_max_octets: Option<u64>,
    /// See [`Settings::parity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity_parts: Option<u64>,
    /// See [`Settings::parity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity_group: Option<u64>,
    /// See [`Settings::subaddress`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaddress: Option<String>,
    /// See [`Settings::dkim`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim: Vec<DkimSettings>,
    /// See [`Settings::on_clone`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_clone: Option<OnClone>,
    /// See [`Settings::mail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailSettingsFile>,
    /// See [`Settings::first_settings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_settings: Option<FirstSettingsFile>,
    /// Mail accounts, in the order in which they are tried.
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountSettings>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings {}; `center-manager init` writes them", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML of this shape: a syntax error, an unknown key or a wrong type.
    #[error("the settings (center.toml) cannot be understood")]
    Shape {
        /// What the TOML reader found, with line and column.
        source: toml::de::Error,
    },
    /// A value out of its range.
    #[error("{key} = {value} is not allowed; allowed is {allowed}")]
    Range {
        /// The key.
        key: String,
        /// The value found.
        value: String,
        /// What is allowed, in the unit of the key.
        allowed: String,
    },
}

const DAY: u64 = 24 * 60 * 60;

impl SettingsFile {
    /// Settings with one account and every other value at its default.
    #[must_use]
    pub fn new(center: &CenterId, address: &str, account: AccountSettings) -> Self {
        Self {
            center: center.to_string(),
            address: address.to_owned(),
            poll_secs: None,
            mails_per_batch: None,
            recipients_per_mail: None,
            sends_per_pass: None,
            submission_sessions: None,
            command_expiry_secs: None,
            receipt_expiry_secs: None,
            retry_pause_secs: None,
            retry_pause_max_secs: None,
            mail_max_octets: None,
            mail_out_max_octets: None,
            parity_parts: None,
            parity_group: None,
            subaddress: None,
            dkim: Vec::new(),
            on_clone: None,
            mail: None,
            first_settings: None,
            accounts: vec![account],
        }
    }

    /// Turns the file into settings.
    ///
    /// # Errors
    /// [`SettingsError::Range`].
    pub fn check(self) -> Result<Settings, SettingsError> {
        let center = CenterId::new(&self.center).map_err(|error| SettingsError::Range {
            key: "center".to_owned(),
            value: format!("{:?}", self.center),
            allowed: error.to_string(),
        })?;
        check_address("address", &self.address)?;
        if self.accounts.is_empty() {
            return Err(SettingsError::Range {
                key: "account".to_owned(),
                value: "[]".to_owned(),
                allowed: "at least one [[account]]".to_owned(),
            });
        }
        for (index, account) in self.accounts.iter().enumerate() {
            check_address(&format!("account[{index}].address"), &account.address)?;
        }
        let small = |key, value, default, allowed| {
            within(key, value, default, allowed).map(|value| u8::try_from(value).unwrap_or(u8::MAX))
        };
        let extra = small("parity_parts", self.parity_parts, 0, 0..=16)?;
        let group = small("parity_group", self.parity_group, 8, 1..=120)?;
        let settings = Settings {
            center,
            subaddress: subaddress::check(self.subaddress.as_deref(), &self.address)?,
            dkim: check_dkim(self.dkim, &self.address)?,
            address: self.address,
            accounts: self.accounts,
            poll: Duration::from_secs(within("poll_secs", self.poll_secs, 10, 1..=3600)?),
            mails_per_batch: size("mails_per_batch", self.mails_per_batch, 500, 1..=10_000)?,
            recipients_per_mail: size("recipients_per_mail", self.recipients_per_mail, 50, 1..=1000)?,
            sends_per_pass: size("sends_per_pass", self.sends_per_pass, 1000, 1..=100_000)?,
            submission_sessions: size("submission_sessions", self.submission_sessions, 4, 1..=32)?,
            command_expiry: span("command_expiry_secs", self.command_expiry_secs, 7 * DAY, 600..=90 * DAY)?,
            receipt_expiry: span("receipt_expiry_secs", self.receipt_expiry_secs, 7 * DAY, 600..=90 * DAY)?,
            retry_pause: span("retry_pause_secs", self.retry_pause_secs, 30, 1..=3600)?,
            retry_pause_max: span("retry_pause_max_secs", self.retry_pause_max_secs, 3600, 1..=DAY)?,
            mail_out_octets_max: within(
                "mail_out_max_octets",
                self.mail_out_max_octets,
                10_000_000,
                MAIL_OCTETS_MIN..=64 << 20,
            )?,
            parity: (extra > 0).then_some(Parity { group, extra }),
            on_clone: self.on_clone.unwrap_or_default(),
            mail: self.mail.unwrap_or_default().check()?,
            first_settings: self.first_settings.unwrap_or_default().check()?,
            mail_octets_max: size("mail_max_octets", self.mail_max_octets, 8 << 20, 64 << 10..=64 << 20)?,
        };
        if settings.retry_pause_max < settings.retry_pause {
            return Err(SettingsError::Range {
                key: "retry_pause_max_secs".to_owned(),
                value: settings.retry_pause_max.as_secs().to_string(),
                allowed: format!("at least retry_pause_secs, which is {}", settings.retry_pause.as_secs()),
            });
        }
        Ok(settings)
    }
}

fn check_dkim(entries: Vec<DkimSettings>, address: &str) -> Result<Vec<DkimSettings>, SettingsError> {
    let range = |key: String, value: String, allowed: String| SettingsError::Range { key, value, allowed };
    if entries.len() > 2 {
        let count = entries.len().to_string();
        return Err(range(
            "dkim".to_owned(),
            count,
            "at most two entries: an RSA and an Ed25519 key".to_owned(),
        ));
    }
    for (index, entry) in entries.iter().enumerate() {
        if let Some(allowed) = entry.fault(address) {
            let value = format!("{:?} with selector {:?}", entry.domain, entry.selector);
            return Err(range(format!("dkim[{index}]"), value, allowed));
        }
    }
    Ok(entries)
}

fn within(
    key: &str,
    value: Option<u64>,
    default: u64,
    allowed: RangeInclusive<u64>,
) -> Result<u64, SettingsError> {
    let value = value.unwrap_or(default);
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(SettingsError::Range {
        key: key.to_owned(),
        value: value.to_string(),
        allowed: format!("{} to {}", allowed.start(), allowed.end()),
    })
}

fn size(
    key: &str,
    value: Option<u64>,
    default: u64,
    allowed: RangeInclusive<u64>,
) -> Result<usize, SettingsError> {
    within(key, value, default, allowed).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

fn span(
    key: &str,
    value: Option<u64>,
    default: u64,
    allowed: RangeInclusive<u64>,
) -> Result<SignedDuration, SettingsError> {
    within(key, value, default, allowed)
        .map(|secs| SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX)))
}

pub use mailbox::address::is_mail_address;

fn check_address(key: &str, value: &str) -> Result<(), SettingsError> {
    if is_mail_address(value) {
        return Ok(());
    }
    Err(SettingsError::Range {
        key: key.to_owned(),
        value: format!("{value:?}"),
        allowed: "a mail address such as center@example.com".to_owned(),
    })
}

#[cfg(test)]
mod tests;

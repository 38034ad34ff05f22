//! What the mail providers are like that customers and centers have: servers, ways to log in, limits, habits. Data: one
//! readable file each in `mailbox/providers`, every figure with the page that it is from. Pure: nothing here is asked over the
//! network.
//!
//! A figure that is absent is not known: the caller keeps its own default. What is there is the provider's published bound,
//! not a promise that all of it may be used.

mod account;
mod guess;
mod own;
mod reader;
mod text;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use jiff::civil::Date;
use serde::Serialize;

use crate::account::{Protocol, Server};

pub(crate) use account::known;
pub use guess::guess;
pub use own::OwnLimits;
pub use reader::ProviderError;

/// A figure, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure<T> {
    /// The figure; its unit says the name of the field.
    pub value: T,
    /// Address of the page that tells it.
    pub source: String,
    /// When that page was read and said so. `None`: written down from what the provider is known to publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Date>,
    /// What else there is to know about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A way to log in that a provider lets programs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginWay {
    /// The account's own password.
    Password,
    /// A password that is made for one program, in the account's settings on the provider's web page.
    AppPassword,
    /// Tokens (RFC 6749), by XOAUTH2 or OAUTHBEARER.
    Oauth2,
}

/// A habit of a provider that a program has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Habit {
    /// By POP3 a mail is listed once only, to whichever session comes first, unless the login name begins with `recent:`.
    PopListsOnce,
    /// What DELE does stands in the account's settings: it may archive, or do nothing.
    PopDeleteIsASetting,
    /// POP3 and IMAP are off until a person turns them on in the account's settings.
    FetchIsOffAtFirst,
    /// SMTP with a login is off until an administrator turns it on.
    SubmissionIsOffAtFirst,
    /// A copy of what is sent stays in the account's folder for sent mail, and fills it.
    KeepsSentMail,
    /// Only mail from the account's own addresses is taken.
    OwnSenderOnly,
    /// Mail can only be handed in: there is no mailbox.
    SendOnly,
}

/// Bounds that a provider sets. All of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Largest mail that is taken for sending, in octets with base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_octets_max: Option<Figure<u64>>,
    /// Largest mail that is delivered to it, in octets with base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_octets_max: Option<Figure<u64>>,
    /// Recipients of one mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_mail: Option<Figure<u32>>,
    /// Recipients of all mails of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_day: Option<Figure<u32>>,
    /// Mails handed in per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mails_per_minute: Option<Figure<u32>>,
    /// Mails handed in per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mails_per_hour: Option<Figure<u32>>,
    /// Mails handed in per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mails_per_day: Option<Figure<u32>>,
    /// Mails handed in on one connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mails_per_session: Option<Figure<u32>>,
    /// Mails delivered to the account per minute; more come back, or are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_per_minute: Option<Figure<u32>>,
    /// Mails delivered to the account per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_per_hour: Option<Figure<u32>>,
    /// Mails delivered to the account per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_per_day: Option<Figure<u32>>,
    /// Share of the above that one sender may have, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_from_one_percent: Option<Figure<u32>>,
    /// Shortest pause between two looks for mail, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval_min_secs: Option<Figure<u32>>,
    /// Logins per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logins_per_hour: Option<Figure<u32>>,
    /// Sessions that fetch, at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_sessions_max: Option<Figure<u32>>,
    /// Sessions that send, at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_sessions_max: Option<Figure<u32>>,
    /// After how many seconds the server ends an IDLE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_secs_max: Option<Figure<u32>>,
    /// Octets fetched by IMAP per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap_octets_per_day: Option<Figure<u64>>,
    /// Octets fetched by POP3 per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop3_octets_per_day: Option<Figure<u64>>,
    /// Size of the mailbox, in octets, where all accounts have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox_octets: Option<Figure<u64>>,
    /// After how many days mail in the inbox is deleted by the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<Figure<u32>>,
    /// After how many days what was sorted out as junk is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub junk_days: Option<Figure<u32>>,
}

/// One mail provider, or one kind of server that people run themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// Short name, as in the setting `provider`: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// When the profile was written.
    pub written: Date,
    /// Domains of addresses that surely lie there.
    pub domains: Vec<String>,
    /// Where mail is handed in; `None`: every installation has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<Server>,
    /// Where mail is fetched by IMAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap: Option<Server>,
    /// Where mail is fetched by POP3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop3: Option<Server>,
    /// Ways to log in, the best first.
    pub login: Vec<LoginWay>,
    /// Whether the server tells of new mail (RFC 2177).
    pub idle: bool,
    /// What a program has to know.
    pub habits: Vec<Habit>,
    /// Endings of file names that are refused, without the dot, also inside archives.
    pub blocked_files: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// What a person has to do or know, one sentence each.
    pub notes: Vec<String>,
}

impl Provider {
    /// Reads a profile. `file` names it in errors.
    ///
    /// # Errors
    /// [`ProviderError`] names file and key.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProviderError> {
        reader::parse(text, file)
    }

    /// The server that fetches by `protocol`.
    #[must_use]
    pub fn fetch(&self, protocol: Protocol) -> Option<&Server> {
        match protocol {
            Protocol::Imap => self.imap.as_ref(),
            Protocol::Pop3 => self.pop3.as_ref(),
        }
    }

    /// The protocol to fetch by, and its server: IMAP where there is one.
    #[must_use]
    pub fn preferred_fetch(&self) -> Option<(Protocol, &Server)> {
        [Protocol::Imap, Protocol::Pop3]
            .into_iter()
            .find_map(|protocol| Some((protocol, self.fetch(protocol)?)))
    }

    /// Whether it has this habit.
    #[must_use]
    pub fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }
}

impl Limits {
    /// Largest mail to hand in, in octets with base64.
    #[must_use]
    pub fn mail_octets(&self) -> Option<u64> {
        self.mail_octets_max.as_ref().map(|figure| figure.value)
    }

    /// Recipients of one mail.
    #[must_use]
    pub fn recipients(&self) -> Option<u32> {
        self.recipients_per_mail.as_ref().map(|figure| figure.value)
    }

    /// Shortest pause between two looks for mail.
    #[must_use]
    pub fn poll_interval_min(&self) -> Option<Duration> {
        self.poll_interval_min_secs.as_ref().map(|figure| Duration::from_secs(figure.value.into()))
    }

    /// Logins per hour.
    #[must_use]
    pub fn logins(&self) -> Option<u32> {
        self.logins_per_hour.as_ref().map(|figure| figure.value)
    }

    /// How long an IDLE may last before the server ends it.
    #[must_use]
    pub fn idle_max(&self) -> Option<Duration> {
        self.idle_secs_max.as_ref().map(|figure| Duration::from_secs(figure.value.into()))
    }

    /// Sessions that send, at one time.
    #[must_use]
    pub fn smtp_sessions(&self) -> Option<u32> {
        self.smtp_sessions_max.as_ref().map(|figure| figure.value)
    }

    /// Every figure by its name, as text, for a table.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, Figure<u64>> {
        // The names of the fields are those of the files; so what is written is what is read.
        let value = serde_json::to_value(self).unwrap_or_default();
        let fields = value.as_object().cloned().unwrap_or_default();
        fields
            .into_iter()
            .filter_map(|(name, figure)| {
                let text = |key: &str| Some(figure.get(key)?.as_str()?.to_owned());
                Some((
                    name,
                    Figure {
                        value: figure.get("value")?.as_u64()?,
                        source: text("source")?,
                        checked: text("checked").and_then(|date| date.parse().ok()),
                        note: text("note"),
                    },
                ))
            })
            .collect()
    }
}

/// All profiles that come with this program, by name.
#[must_use]
pub fn all() -> &'static [Provider] {
    static ALL: OnceLock<Vec<Provider>> = OnceLock::new();
    ALL.get_or_init(|| {
        // A test reads each of them, so none is missing here.
        FILES.iter().filter_map(|(file, text)| Provider::parse(text, file).ok()).collect()
    })
}

/// Names that people use for some of them, too.
const ALSO: [(&str, &str); 3] =
    [("exchange-online", "microsoft365"), ("office365", "microsoft365"), ("workspace", "google-workspace")];

/// The profile of this name, or of another that it goes by, such as `exchange-online`.
#[must_use]
pub fn named(name: &str) -> Option<&'static Provider> {
    let name = ALSO.iter().find(|(also, _)| *also == name).map_or(name, |(_, name)| name);
    all().iter().find(|provider| provider.name == name)
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// The files, by name.
        const FILES: &[(&str, &str)] =
            &[$((concat!($name, ".toml"), include_str!(concat!("../providers/", $name, ".toml")))),+];
    };
}

files!(
    "amazon-ses",
    "aol",
    "exchange",
    "fastmail",
    "gmail",
    "gmx",
    "google-workspace",
    "hetzner",
    "icloud",
    "ionos",
    "mailbox-org",
    "microsoft365",
    "outlook-com",
    "ovh",
    "postfix",
    "posteo",
    "strato",
    "t-online",
    "web-de",
    "yahoo",
    "yandex",
    "zoho",
);

#[cfg(test)]
mod tests;

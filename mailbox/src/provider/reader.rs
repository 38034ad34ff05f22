//! Reads a profile, with errors that name file and key.

use jiff::civil::Date;
use serde::Deserialize;

use super::{Figure, Habit, Limits, LoginWay, Provider};
use crate::account::Server;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// No TOML, an unknown key, or a value of the wrong kind.
    #[error("{file}: {detail}")]
    Syntax {
        /// The file.
        file: String,
        /// Where and why, with the key.
        detail: String,
    },
    /// A value out of its range.
    #[error("{file}: {key} is {found}; {allowed}")]
    Value {
        /// The file.
        file: String,
        /// The key, with its table.
        key: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        allowed: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    written: Date,
    #[serde(default)]
    domains: Vec<String>,
    smtp: Option<Server>,
    imap: Option<Server>,
    pop3: Option<Server>,
    login: Vec<LoginWay>,
    #[serde(default)]
    idle: bool,
    #[serde(default)]
    habits: Vec<Habit>,
    #[serde(default)]
    blocked_files: Vec<String>,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FigureFile<T> {
    value: T,
    source: String,
    checked: Option<Date>,
    note: Option<String>,
}

/// The limits of a file, and how each becomes one of the profile's: the same names on both sides.
macro_rules! limits {
    ($($name:ident: $kind:ty),+ $(,)?) => {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields)]
        struct LimitsFile {
            $($name: Option<FigureFile<$kind>>,)+
        }

        impl LimitsFile {
            fn check(self, file: &str) -> Result<Limits, ProviderError> {
                Ok(Limits { $($name: figure(file, stringify!($name), self.$name)?,)+ })
            }
        }
    };
}

limits!(
    mail_octets_max: u64,
    received_octets_max: u64,
    recipients_per_mail: u32,
    recipients_per_day: u32,
    mails_per_minute: u32,
    mails_per_hour: u32,
    mails_per_day: u32,
    mails_per_session: u32,
    received_per_minute: u32,
    received_per_hour: u32,
    received_per_day: u32,
    received_from_one_percent: u32,
    poll_interval_min_secs: u32,
    logins_per_hour: u32,
    fetch_sessions_max: u32,
    smtp_sessions_max: u32,
    idle_secs_max: u32,
    imap_octets_per_day: u64,
    pop3_octets_per_day: u64,
    mailbox_octets: u64,
    retention_days: u32,
    junk_days: u32,
);

fn figure<T: Copy + Into<u64>>(
    file: &str,
    key: &str,
    figure: Option<FigureFile<T>>,
) -> Result<Option<Figure<T>>, ProviderError> {
    let Some(figure) = figure else { return Ok(None) };
    let value = |key: String, found: String, allowed| ProviderError::Value {
        file: file.to_owned(),
        key,
        found,
        allowed,
    };
    let number: u64 = figure.value.into();
    if number == 0 {
        let key = format!("limits.{key}.value");
        return Err(value(key, number.to_string(), "it must be 1 or more; leave out what is not known"));
    }
    if !figure.source.starts_with("https://") || figure.source.len() > 300 {
        let key = format!("limits.{key}.source");
        return Err(value(key, format!("{:?}", figure.source), "it must be the address of a page, https://"));
    }
    let FigureFile { value, source, checked, note } = figure;
    Ok(Some(Figure { value, source, checked, note }))
}

pub(super) fn parse(text: &str, file: &str) -> Result<Provider, ProviderError> {
    let read: File = toml::from_str(text).map_err(|error| ProviderError::Syntax {
        file: file.to_owned(),
        detail: error.to_string().trim_end().to_owned(),
    })?;
    let value = |key: &str, found: &str, allowed| ProviderError::Value {
        file: file.to_owned(),
        key: key.to_owned(),
        found: format!("{found:?}"),
        allowed,
    };
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
    };
    if !is_name(&read.name) {
        return Err(value("name", &read.name, "it must be 1 to 32 lower-case letters, digits and hyphens"));
    }
    if read.title.is_empty() || read.title.chars().count() > 80 {
        return Err(value("title", &read.title, "it must be 1 to 80 characters"));
    }
    for domain in &read.domains {
        let bare = domain.strip_prefix("*.").unwrap_or(domain);
        if !bare.contains('.')
            || bare.bytes().any(|octet| !(octet.is_ascii_alphanumeric() || b".-".contains(&octet)))
        {
            return Err(value(
                "domains",
                domain,
                "each must be a domain, with `*.` in front for all below it",
            ));
        }
    }
    for (key, server) in [("smtp", &read.smtp), ("imap", &read.imap), ("pop3", &read.pop3)] {
        let Some(server) = server else { continue };
        if server.host.is_empty() || server.port == 0 {
            return Err(value(key, &server.host, "it must have a host, and a port of 1 to 65535"));
        }
    }
    if read.login.is_empty() {
        return Err(value("login", "", "it must name at least one of password, app-password, oauth2"));
    }
    if let Some(ending) = read.blocked_files.iter().find(|ending| ending.is_empty() || ending.contains('.')) {
        return Err(value(
            "blocked_files",
            ending,
            "each must be the ending of a file name, without the dot",
        ));
    }
    let limits = read.limits.check(file)?;
    Ok(Provider {
        name: read.name,
        title: read.title,
        written: read.written,
        domains: read.domains,
        smtp: read.smtp,
        imap: read.imap,
        pop3: read.pop3,
        login: read.login,
        idle: read.idle,
        habits: read.habits,
        blocked_files: read.blocked_files,
        limits,
        notes: read.notes,
    })
}

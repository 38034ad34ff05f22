//! The mail site that the environment names, as `scripts/servers/site start` and `scripts/mailserver start` print it.

use std::fmt;

use mailbox::{Account, AccountSettings, Password, Protocol};
use serde_json::json;

/// How the checks speak of protection: the word of the settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Tls,
    StartTls,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
        })
    }
}

/// A protocol of fetching with a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) protocol: Protocol,
    pub(crate) guard: Guard,
}

impl Way {
    /// The protocol's name on the record.
    pub(crate) fn name(self) -> &'static str {
        match self.protocol {
            Protocol::Pop3 => "pop3",
            Protocol::Imap => "imap",
        }
    }
}

/// All ways there are, POP3 first.
const WAYS: [Way; 4] = [
    Way { protocol: Protocol::Pop3, guard: Guard::Tls },
    Way { protocol: Protocol::Pop3, guard: Guard::StartTls },
    Way { protocol: Protocol::Imap, guard: Guard::Tls },
    Way { protocol: Protocol::Imap, guard: Guard::StartTls },
];

/// A setting that must be there.
pub(crate) fn setting(name: &str) -> String {
    optional(name).unwrap_or_else(|| panic!("{name} is not set, though MAILSERVER_HOST is"))
}

/// A setting that may be missing or empty.
pub(crate) fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The port that a variable names, if the site has such a door.
pub(crate) fn port(name: &str) -> Option<u16> {
    Some(optional(name)?.parse().unwrap())
}

fn fetch_port(way: Way) -> Option<u16> {
    port(match (way.protocol, way.guard) {
        (Protocol::Pop3, Guard::Tls) => "MAILSERVER_POP3S_PORT",
        (Protocol::Pop3, Guard::StartTls) => "MAILSERVER_POP3_PORT",
        (Protocol::Imap, Guard::Tls) => "MAILSERVER_IMAPS_PORT",
        (Protocol::Imap, Guard::StartTls) => "MAILSERVER_IMAP_PORT",
    })
}

/// The ways that the site has.
pub(crate) fn ways() -> Vec<Way> {
    WAYS.into_iter().filter(|way| fetch_port(*way).is_some()).collect()
}

/// The way with TLS from the first octet, if the site has the protocol.
pub(crate) fn tls(protocol: Protocol) -> Option<Way> {
    ways().into_iter().find(|way| way.protocol == protocol && way.guard == Guard::Tls)
}

/// The mechanisms that the site says its server has for `smtp`, `pop3` or `imap`.
pub(crate) fn mechanisms(protocol: &str) -> Vec<String> {
    let names = optional(&format!("MAILSERVER_{}_MECHANISMS", protocol.to_ascii_uppercase()));
    names.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

/// The settings of a user's account: mail goes out under the same protection as it is fetched. `login` is what stands in
/// a settings file under that name.
pub(crate) fn settings(user: &str, way: Way, login: Option<&str>) -> AccountSettings {
    let server = |port: u16| json!({"host": setting("MAILSERVER_HOST"), "port": port, "security": way.guard.to_string()});
    let smtp = match way.guard {
        Guard::Tls => port("MAILSERVER_SMTPS_PORT").unwrap(),
        Guard::StartTls => port("MAILSERVER_SUBMISSION_PORT").unwrap(),
    };
    let address = address(user);
    let mut settings = json!({
        "name": "real",
        "address": address,
        "username": address,
        "smtp": server(smtp),
        "fetch": way.name(),
        "fetch_server": server(fetch_port(way).unwrap()),
        "ca_file": setting("MAILSERVER_CA"),
    });
    if let (Some(login), Some(settings)) = (login, settings.as_object_mut()) {
        settings.insert("login".to_owned(), login.into());
    }
    serde_json::from_value(settings).unwrap()
}

/// The same with the site's password.
pub(crate) fn account(user: &str, way: Way) -> Account {
    Account::new(settings(user, way, None), Password::new(setting("MAILSERVER_PASSWORD")))
}

/// The same for a login by one mechanism and no other.
pub(crate) fn account_by(user: &str, way: Way, mechanism: &str) -> Account {
    let settings = settings(user, way, Some(&mechanism.to_ascii_lowercase()));
    Account::new(settings, Password::new(setting("MAILSERVER_PASSWORD")))
}

/// A user's mail address.
pub(crate) fn address(user: &str) -> String {
    format!("{user}@{}", setting("MAILSERVER_SITE_DOMAIN"))
}

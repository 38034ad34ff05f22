//! Where the mail goes: the sandbox's own post office, or a given server.

use crate::post_office::{PostOffice, Settings};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// How a connection is protected, in the words of the programs' command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protection {
    /// TLS from the first octet.
    Tls,
    /// STARTTLS or STLS.
    Starttls,
    /// No protection.
    Plain,
}

impl Protection {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::Plain => "plain",
        }
    }
}

/// One service of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Port.
    pub port: u16,
    /// Protection.
    pub protection: Protection,
}

/// A mail server with the mailboxes `agent0001@SITE`, `agent0002@SITE`, ... and `center@CENTER`, all with one password.
#[derive(Debug, Clone)]
pub struct MailSite {
    /// Host name or address.
    pub host: String,
    /// Where mail is handed in.
    pub smtp: Door,
    /// Where mail is fetched by POP3.
    pub pop3: Door,
    /// Where mail is fetched by IMAP.
    pub imap: Door,
    /// Certificate authority to trust besides the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Domain of the appliances' mailboxes.
    pub site_domain: String,
    /// Domain of the center's mailbox.
    pub center_domain: String,
    /// Every mailbox's password.
    pub password: String,
}

impl MailSite {
    /// Starts a post office of our own with TLS and mailboxes for `agents` appliances.
    ///
    /// # Errors
    /// When it cannot listen or write its certificate below `folder`.
    pub async fn own(folder: &Path, agents: u32) -> anyhow::Result<(PostOffice, Self)> {
        let ca_file = folder.join("post-office-ca.pem");
        let office =
            PostOffice::start(Settings { ca_file: Some(ca_file.clone()), ..Settings::default() }).await?;
        let ports = office.ports();
        let door = |port| Door { port, protection: Protection::Tls };
        let site = Self {
            host: "127.0.0.1".to_owned(),
            smtp: door(ports.smtps),
            pop3: door(ports.pop3s),
            imap: door(ports.imaps),
            ca_file: Some(ca_file),
            site_domain: "site.example".to_owned(),
            center_domain: "center.example".to_owned(),
            password: "a password of the demo".to_owned(),
        };
        office.add_mailbox(&site.center_address(), &site.password);
        for number in 1..=agents {
            office.add_mailbox(&site.agent_address(number), &site.password);
        }
        Ok((office, site))
    }

    /// The server that the `MAILSERVER_*` variables name, as `scripts/mailserver` and `scripts/servers/site` print them; `None`
    /// when there are none. `MAILSERVER_GUARD=starttls` takes the doors where TLS begins by a command.
    ///
    /// # Errors
    /// When one of the variables is missing or no number.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let Ok(host) = std::env::var("MAILSERVER_HOST") else { return Ok(None) };
        let text = |name: &str| {
            std::env::var(name).with_context(|| format!("MAILSERVER_HOST is set, but {name} is not"))
        };
        let port = |name: &str| -> anyhow::Result<u16> {
            text(name)?.parse().with_context(|| format!("{name} is no port"))
        };
        let starttls = std::env::var("MAILSERVER_GUARD").is_ok_and(|guard| guard == "starttls");
        let door = |tls: &str, plain: &str| -> anyhow::Result<Door> {
            Ok(match starttls {
                true => Door { port: port(plain)?, protection: Protection::Starttls },
                false => Door { port: port(tls)?, protection: Protection::Tls },
            })
        };
        Ok(Some(Self {
            host,
            smtp: door("MAILSERVER_SMTPS_PORT", "MAILSERVER_SUBMISSION_PORT")?,
            pop3: door("MAILSERVER_POP3S_PORT", "MAILSERVER_POP3_PORT")?,
            imap: door("MAILSERVER_IMAPS_PORT", "MAILSERVER_IMAP_PORT")?,
            ca_file: std::env::var_os("MAILSERVER_CA").map(PathBuf::from),
            site_domain: text("MAILSERVER_SITE_DOMAIN")?,
            center_domain: text("MAILSERVER_CENTER_DOMAIN")?,
            password: text("MAILSERVER_PASSWORD")?,
        }))
    }

    /// The center's mail address.
    #[must_use]
    pub fn center_address(&self) -> String {
        format!("center@{}", self.center_domain)
    }

    /// The mail address of appliance `number`, counted from 1.
    #[must_use]
    pub fn agent_address(&self, number: u32) -> String {
        format!("agent{number:04}@{}", self.site_domain)
    }

    /// `HOST:PORT` of a door.
    #[must_use]
    pub fn server(&self, door: Door) -> String {
        format!("{}:{}", self.host, door.port)
    }
}

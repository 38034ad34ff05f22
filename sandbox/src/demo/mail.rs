//! Over which mail server is played.

use anyhow::Context as _;
use clap::Args;
use sandbox::world::{Door, MailSite, Protection};
use std::path::PathBuf;

/// A given mail server instead of the sandbox's own post office.
#[derive(Args)]
pub(crate) struct MailArguments {
    /// Host of a mail server with the mailboxes agent0001, agent0002, ... (17 for the demo) and center.
    #[arg(long = "mail", value_name = "HOST")]
    host: Option<String>,
    /// Its port for SMTP.
    #[arg(long, default_value_t = 465, requires = "host")]
    smtp_port: u16,
    /// Its port for POP3.
    #[arg(long, default_value_t = 995, requires = "host")]
    pop3_port: u16,
    /// Its port for IMAP.
    #[arg(long, default_value_t = 993, requires = "host")]
    imap_port: u16,
    /// How its ports are protected.
    #[arg(long, value_enum, default_value = "tls", requires = "host")]
    security: Protection,
    /// Its certificate authority, PEM, where the system does not know it.
    #[arg(long, requires = "host")]
    ca_file: Option<PathBuf>,
    /// Domain of the appliances' mailboxes.
    #[arg(long, default_value = "site.example", requires = "host")]
    site_domain: String,
    /// Domain of the center's mailbox.
    #[arg(long, default_value = "center.example", requires = "host")]
    center_domain: String,
    /// File with the password of all these mailboxes.
    #[arg(long, requires = "host")]
    password_file: Option<PathBuf>,
}

impl MailArguments {
    /// The given server; `None` when the sandbox's own post office is wanted.
    pub(crate) fn site(&self) -> anyhow::Result<Option<MailSite>> {
        let Some(host) = &self.host else { return Ok(None) };
        let file = self.password_file.as_ref().context("--mail needs --password-file FILE")?;
        let password =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let door = |port| Door { port, protection: self.security };
        Ok(Some(MailSite {
            host: host.clone(),
            smtp: door(self.smtp_port),
            pop3: door(self.pop3_port),
            imap: door(self.imap_port),
            ca_file: self.ca_file.clone(),
            site_domain: self.site_domain.clone(),
            center_domain: self.center_domain.clone(),
            password: password.trim_end_matches(['\r', '\n']).to_owned(),
        }))
    }
}

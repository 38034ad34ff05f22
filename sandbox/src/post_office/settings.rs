//! How a post office is set up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailbox::sasl::Mechanism;

use super::faults::Rule;
use crate::token_server::Issuer;

/// The ports of the six listeners, all on 127.0.0.1.
///
/// In [`Settings`], 0 asks for a free one; the running post office tells the real ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// SMTP with STARTTLS (RFC 6409).
    pub smtp: u16,
    /// SMTP over TLS from the first octet (RFC 8314).
    pub smtps: u16,
    /// POP3 with STLS (RFC 1939, RFC 2595).
    pub pop3: u16,
    /// POP3 over TLS from the first octet (RFC 8314).
    pub pop3s: u16,
    /// IMAP with STARTTLS (RFC 3501).
    pub imap: u16,
    /// IMAP over TLS from the first octet (RFC 8314).
    pub imaps: u16,
}

/// How a post office is set up. [`Settings::default`] is one that tests can use as it is.
#[derive(Clone)]
pub struct Settings {
    /// The host name in greetings and trace headers.
    pub name: String,
    /// The ports; 0 for a free one.
    pub ports: Ports,
    /// From this seed follow all random decisions of the script of faults.
    pub seed: u64,
    /// Domains whose mailboxes come into being with their first mail or login, and the password of those mailboxes.
    pub on_demand: HashMap<String, String>,
    /// Whether SMTP clients must log in before they hand in mail.
    pub login_required: bool,
    /// The largest mail that is taken, in octets; announced by SIZE (RFC 1870).
    pub size_limit: usize,
    /// The most recipients of one mail (RFC 5321 section 4.5.3.1.8 asks for 100 at least).
    pub recipient_limit: usize,
    /// How many octets a mailbox is said to hold (RFC 9208); nothing is refused for it. Not told if not set.
    pub quota_octets: Option<u64>,
    /// A connection that says nothing for so long is closed.
    pub idle_limit: Duration,
    /// The names and addresses in the server's certificate.
    pub certificate_names: Vec<String>,
    /// Where to write the certificate of the post office's own authority, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The script of faults at the beginning.
    pub faults: Vec<Rule>,
    /// The mechanisms of SASL that are offered. PLAIN and LOGIN if not set.
    pub mechanisms: Vec<Mechanism>,
    /// Who knows whose an access token is, for OAUTHBEARER and XOAUTH2.
    pub tokens: Option<Arc<Issuer>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "post.sandbox.example".to_owned(),
            ports: Ports::default(),
            seed: 1,
            on_demand: HashMap::new(),
            login_required: true,
            size_limit: 35 << 20,
            recipient_limit: 1000,
            quota_octets: None,
            idle_limit: Duration::from_mins(30),
            certificate_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            ca_file: None,
            faults: Vec::new(),
            mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            tokens: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the passwords of mailboxes on demand.
        let domains: Vec<&String> = self.on_demand.keys().collect();
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("ports", &self.ports)
            .field("seed", &self.seed)
            .field("on_demand", &domains)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

//! A post office: a mail site in one process on loopback ports, with SMTP, POP3 and IMAP over one mail store in
//! memory, TLS under an authority of its own, and scripted faults that can be changed while it runs.
//!
//! ```no_run
//! # async fn example() -> Result<(), sandbox::post_office::PostOfficeError> {
//! use sandbox::post_office::{Fault, PostOffice, Rule, Settings};
//!
//! let office = PostOffice::start(Settings::default()).await?;
//! office.add_mailbox("box1@site.example", "secret");
//! office.set_faults(vec![Rule::always(Fault::Lose).with_chance(0.1).to("@site.example")]);
//! println!("hand in mail on port {}", office.ports().smtp);
//! office.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! What goes wrong is decided in [`faults`] by pure functions; sessions are dialogs over the store, and only
//! `wire` and `listen` touch sockets.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

mod bounce;
pub mod faults;
mod imap;
mod listen;
mod office;
mod pop3;
mod sasl;
mod settings;
mod smtp;
mod store;
mod tls;
mod wire;

pub use faults::{Fault, IdleFault, Outage, Rule, Service, Stage, When};
pub use office::{PerService, Stats};
pub use settings::{Ports, Settings};
pub use tls::TlsError;

use tokio_rustls::TlsAcceptor;

use listen::Running;
use office::Office;

/// Why a post office did not start.
#[derive(Debug, thiserror::Error)]
pub enum PostOfficeError {
    /// A port is taken by another program or needs rights that this one lacks.
    #[error("the post office cannot listen on 127.0.0.1 port {port}")]
    Listen {
        /// The port asked for; 0 for any free one.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No certificate.
    #[error("the post office has no certificate for TLS")]
    Tls(#[from] TlsError),
    /// The certificate of the authority could not be written.
    #[error("cannot write the authority's certificate to {path}")]
    CaFile {
        /// Where it should go.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A running post office. Dropped, it stops in the background; [`PostOffice::stop`] waits for the end.
pub struct PostOffice {
    office: Arc<Office>,
    running: Running,
    ca_pem: String,
    acceptor: TlsAcceptor,
}

impl PostOffice {
    /// Opens the six listeners. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`PostOfficeError`] when a port is taken, or the certificate cannot be made or written.
    pub async fn start(settings: Settings) -> Result<Self, PostOfficeError> {
        let identity = tls::make(&settings.certificate_names)?;
        if let Some(path) = &settings.ca_file {
            let written = tokio::fs::write(path, &identity.ca_pem).await;
            written.map_err(|source| PostOfficeError::CaFile { path: path.clone(), source })?;
        }
        let wanted = settings.ports;
        let (office, queue) = Office::new(settings);
        let running = Running::start(&office, wanted, &identity.acceptor, queue)
            .map_err(|(port, source)| PostOfficeError::Listen { port, source })?;
        Ok(Self { office, running, ca_pem: identity.ca_pem, acceptor: identity.acceptor })
    }

    /// The ports of the listeners, all on 127.0.0.1.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.running.ports()
    }

    /// The certificate of the authority under which the listeners' certificate was made, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate of the listeners, for another server on the same machine.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Makes a mailbox whose address is also the login name. An existing one stays as it is.
    pub fn add_mailbox(&self, address: &str, password: &str) {
        self.office.store.add(address, password);
    }

    /// How many mails lie in a mailbox; 0 when there is no such mailbox.
    #[must_use]
    pub fn mailbox_len(&self, address: &str) -> usize {
        self.office.store.existing(address).map_or(0, |mailbox| mailbox.len())
    }

    /// The mails of a mailbox, oldest first, as a client fetches them; none when there is no such mailbox.
    #[must_use]
    pub fn mails(&self, address: &str) -> Vec<Arc<[u8]>> {
        let mailbox = self.office.store.existing(address);
        mailbox.map(|mailbox| mailbox.mails().into_iter().map(|mail| mail.raw).collect()).unwrap_or_default()
    }

    /// Takes all mails out of a mailbox, as a provider's hand would; oldest first.
    pub fn take_mails(&self, address: &str) -> Vec<Arc<[u8]>> {
        let Some(mailbox) = self.office.store.existing(address) else { return Vec::new() };
        let taken = mailbox.mails();
        mailbox.remove(|mail| taken.iter().any(|known| known.uid == mail.uid));
        taken.into_iter().map(|mail| mail.raw).collect()
    }

    /// Waits until at least `count` mails lie in a mailbox. Tells whether that was so before `limit` was over.
    pub async fn wait_for_mails(&self, address: &str, count: usize, limit: std::time::Duration) -> bool {
        let Some(mailbox) = self.office.store.existing(address) else { return count == 0 };
        let mut changes = mailbox.changes();
        let enough = changes.wait_for(|_| mailbox.len() >= count);
        matches!(tokio::time::timeout(limit, enough).await, Ok(Ok(_)))
    }

    /// Lays a mail into a mailbox as it is, past SMTP and the script of faults: junk, forgeries, damaged mails.
    /// Tells whether there is such a mailbox.
    pub fn inject(&self, address: &str, raw: &[u8]) -> bool {
        let mailbox = self.office.store.find(address);
        mailbox.map(|mailbox| self.office.deliver(&mailbox, Arc::from(raw))).is_some()
    }

    /// Replaces the script of faults, for new and for open connections. Must be called within a tokio runtime.
    ///
    /// When it returns, ports refuse connections or take them as the script says; open connections follow at once
    /// but on their own.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.running.set_rules(&self.office, rules);
    }

    /// How many connections are open, on all ports together.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.office.open_connections()
    }

    /// What has been done since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.office.stats()
    }

    /// Closes all listeners and connections and waits until they are closed. Mails on their way are lost.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl std::fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostOffice")
            .field("ports", &self.ports())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

//! A provider of OAuth 2.0 tokens on loopback: gives, rotates, introspects and withdraws them, lets a person sign in by
//! code, and answers with scripted errors. Real HTTP, so that programs and mail servers ask it as they ask the real ones.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use sandbox::token_server::{Client, TokenServer};
//!
//! let server = TokenServer::start(None).await?;
//! server.add_client(Client::of_mailbox("the-app", "its secret", "box1@site.example"));
//! println!("token_url = {:?}", server.token_url());
//! # Ok(())
//! # }
//! ```

mod answers;
mod http;
mod issuer;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use answers::Answer;
pub use issuer::{Client, Issuer, Owner};

/// A running token server. It ends when it is dropped.
pub struct TokenServer {
    issuer: Arc<Issuer>,
    address: SocketAddr,
    tls: bool,
    task: JoinHandle<()>,
}

impl TokenServer {
    /// Listens on a free port of loopback, over TLS if there is an acceptor. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system says to the listener.
    pub async fn start(tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let issuer = Arc::new(Issuer::default());
        let secured = tls.is_some();
        let task = tokio::spawn(http::serve(listener, tls, Arc::clone(&issuer)));
        Ok(Self { issuer, address, tls: secured, task })
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Where tokens are asked for.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.url("/token")
    }

    /// Where a sign-in by code begins.
    #[must_use]
    pub fn device_url(&self) -> String {
        self.url("/devicecode")
    }

    /// Where a mail server asks whose a token is (RFC 7662).
    #[must_use]
    pub fn introspection_url(&self) -> String {
        self.url("/introspect")
    }

    /// The tokens themselves, for a post office in the same process.
    #[must_use]
    pub fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.issuer)
    }

    /// Makes an application known.
    pub fn add_client(&self, client: Client) {
        self.issuer.add_client(client);
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenServer").field("address", &self.address).finish_non_exhaustive()
    }
}

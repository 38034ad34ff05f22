//! The post for both programs: mail out by SMTP submission, mail in by POP3 or IMAP.
//!
//! What this crate promises to its callers:
//!
//! - **Nothing waits for ever.** Every read and write has a limit of silence, every session a deadline ([`Limits`]).
//! - **Nothing grows for ever.** Lines, mails, listings and batches have caps; the size of a mail is looked at before it is fetched.
//! - **Nothing is deleted by accident.** A POP3 deletion counts only after [`FetchSession::finish`]; a dropped session never says QUIT.
//! - **No secret and no mail content in errors or logs.** [`Password`] prints as `<secret>`, server text is cut and cleaned.
//! - **No plaintext unless the settings say so.** [`Security::StartTls`] fails where the server does not offer it, and
//!   whatever a server (or somebody between) sends before the handshake is never read as if it came through it.
//!
//! The way in:
//!
//! ```no_run
//! # async fn example(account: mailbox::Account) -> Result<(), Box<dyn std::error::Error>> {
//! use mailbox::{FetchSession, Limits, OutgoingMail, Retrieved};
//!
//! let limits = Limits::default();
//! let mail = OutgoingMail {
//!     return_path: Some("agent0001@site.example".into()),
//!     recipients: vec!["center@center.example".into()],
//!     raw: std::sync::Arc::from(&b"Subject: hello\r\n\r\nhello\r\n"[..]),
//! };
//! mailbox::smtp::send(&account, &limits, &mail).await?;
//!
//! let mut session = FetchSession::open(&account, &limits).await?;
//! let items = session.list().await?;
//! for (item, retrieved) in session.retrieve_batch(&items).await? {
//!     if let Retrieved::Mail(octets) = retrieved {
//!         println!("{}: {} octets", item.id, octets.len());
//!         session.delete(&[item]).await?; // only after the mail is filed durably
//!     }
//! }
//! session.finish().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Several accounts are tried in order: [`accounts::Accounts`] decides which is next (pure), [`backoff::Backoff`] how
//! long a failing one rests (pure), and the caller acts on it.
//!
//! Where things lie: `pop3` is our own client (typestate over any byte stream), `imap` and `smtp` drive `async-imap`
//! and `lettre` over our own guarded streams, `fetch` puts POP3 and IMAP behind one face.

pub mod account;
pub mod accounts;
pub mod address;
mod advice;
pub mod backoff;
mod connect;
pub mod fetch;
pub mod imap;
pub mod inbox;
pub mod limits;
#[cfg(feature = "arguments")]
pub mod login_arguments;
mod login_error;
pub mod oauth;
pub mod pop3;
pub mod provider;
pub mod quota;
#[cfg(feature = "record")]
pub mod record;
pub mod sasl;
mod server_text;
pub mod smtp;
mod starttls;
mod timed;
pub mod tls;

pub use account::{Account, AccountSettings, Login, Password, PasswordError, Protocol, Security, Server};
pub use advice::advice;
pub use connect::ConnectError;
pub use fetch::{FetchError, FetchSession, Item, Listing, LoginReport, Retrieved, Woke};
pub use inbox::Inbox;
pub use limits::Limits;
pub use login_error::LoginError;
pub use quota::Quota;
pub use smtp::{OutgoingMail, RecipientOutcome, SendError, Submission};
pub use tls::{CertificateDates, TlsClock, TlsTime};

/// Log targets of the libraries below that print credentials or mail content at level TRACE.
///
/// A program that lets a person choose the log level must keep these at `info` or quieter.
pub const TALKATIVE_LOG_TARGETS: &[&str] = &["async_imap", "imap_proto", "rustls"];

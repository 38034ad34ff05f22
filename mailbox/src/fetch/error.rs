//! What can go wrong while mail is fetched.

use crate::{connect::ConnectError, login_error::LoginError};

/// Why a fetch failed. None of the texts holds mail content or a password; server text is cleaned and cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No usable connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A time limit is over.
    #[error("the mail server did not answer in time ({during})")]
    Timeout {
        /// What was being done.
        during: &'static str,
    },
    /// The server hung up.
    #[error("the mail server closed the connection ({during})")]
    Disconnected {
        /// What was being done.
        during: &'static str,
    },
    /// The connection failed otherwise.
    #[error("the connection to the mail server failed ({during})")]
    Io {
        /// What was being done.
        during: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server broke the rules of the protocol, or a cap.
    #[error("the mail server's answer makes no sense ({during}): {detail}")]
    Protocol {
        /// What was being done.
        during: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The server does not take this user and password.
    #[error("the mail server refused the login: {text}")]
    LoginRefused {
        /// What it said.
        text: String,
    },
    /// The login did not come about otherwise.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Another session holds the mailbox, or logins come too often. Try again later.
    #[error("the mailbox is busy: {text}")]
    Busy {
        /// What the server said.
        text: String,
    },
    /// One login more would go beyond the account's limit; nothing was sent.
    #[error("{per_hour_max} logins an hour are allowed for this account; the next is in {} s", wait.as_secs().max(1))]
    TooManyLogins {
        /// The limit.
        per_hour_max: u32,
        /// How long until the next.
        wait: std::time::Duration,
    },
    /// A passing fault of the server. Try again later.
    #[error("the mail server has a passing fault ({during}): {text}")]
    Temporary {
        /// What was being done.
        during: &'static str,
        /// What the server said.
        text: String,
    },
    /// An earlier command on this session failed or was broken off half-way, so the next reply would be taken for
    /// another's. Open another session.
    #[error("an earlier command on this mail session was broken off")]
    OutOfStep,
    /// The server refused a command. The session goes on.
    #[error("the mail server refused ({during}): {text}")]
    Refused {
        /// What was being done.
        during: &'static str,
        /// What the server said.
        text: String,
    },
    /// The mail is announced larger than the limit; it was not read. The session goes on.
    #[error("mail {id} has {size_octets} octets, more than the limit of {limit_octets}")]
    TooLarge {
        /// Its id.
        id: String,
        /// Its size as announced.
        size_octets: u64,
        /// [`crate::Limits::message_octets_max`].
        limit_octets: u64,
    },
    /// The mail is no longer in the mailbox. The session goes on.
    #[error("mail {id} is no longer in the mailbox")]
    Gone {
        /// Its id.
        id: String,
    },
    /// What came of a large mail could not be put where the caller wanted it, as on a full disk. The session is of no
    /// use, the mail is still in the mailbox.
    #[error("a mail could not be stored while it was read")]
    Sink(#[source] std::io::Error),
    /// This mail breaks a cap (far longer than announced, or an endless line) and the session with it.
    /// If it does so too when it is read alone, delete or skip it in the next session, else it stops the queue.
    #[error("mail {id} cannot be read: {detail}")]
    Unreadable {
        /// Its id.
        id: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl FetchError {
    /// True when the server was asked to let us in and did not, or must not be asked again soon.
    pub fn is_refused_login(&self) -> bool {
        match self {
            Self::LoginRefused { .. } => true,
            Self::Login(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// True when the session is still usable.
    pub fn session_goes_on(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Gone { .. } | Self::Refused { .. })
    }
}

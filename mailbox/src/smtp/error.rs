//! What can go wrong while mail is handed in.

use std::{error::Error as _, fmt, io};

use crate::{address::needs_smtp_utf8, connect::ConnectError, login_error::LoginError, server_text::clean};

/// A negative reply of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReply {
    /// Three digits (RFC 5321 section 4.2).
    pub code: u16,
    /// Enhanced status code such as `5.1.1` (RFC 3463), if the server gave one.
    pub enhanced: Option<String>,
    /// The text, cleaned and cut, with the enhanced code.
    pub text: String,
}

impl fmt::Display for ServerReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl ServerReply {
    /// A reply as it came: its code, and the text behind it, of which an enhanced code is read and the rest is cleaned.
    #[must_use]
    pub fn new(code: u16, text: &str) -> Self {
        let first = text.split_ascii_whitespace().next().unwrap_or_default();
        let mut parts = first.split('.');
        let class = parts
            .next()
            .is_some_and(|class| class.len() == 1 && class.as_bytes() == [48 + (code / 100 % 10) as u8]);
        let numbers = parts
            .by_ref()
            .take(2)
            .filter(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
        let enhanced = (class && numbers.count() == 2 && parts.next().is_none()).then(|| first.to_owned());
        Self { code, enhanced, text: clean(text.as_bytes()) }
    }

    /// True for 5xx: trying again as it is will not help.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }
}

/// Why a mail was not sent to anybody. Server text is cleaned and cut; the password is never in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No usable connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Refused for good (5xx): the same mail will be refused again.
    #[error("the mail server refused: {0}")]
    Permanent(ServerReply),
    /// Refused for now (4xx): try again later.
    #[error("the mail server asks to try later: {0}")]
    Transient(ServerReply),
    /// The server does not take this user and password.
    #[error("the mail server refused the login: {reply}")]
    LoginRefused {
        /// What it said.
        reply: ServerReply,
    },
    /// The server offers no AUTH; perhaps only after TLS, or on another port.
    #[error("the mail server offers no login")]
    NoLogin,
    /// The login did not come about otherwise.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// An address is none, or is not ASCII and the server does not take that.
    #[error("{address:?} is not a mail address that this server can take{}", utf8_hint(.address))]
    Address {
        /// The address.
        address: String,
    },
    /// The mail has no recipients.
    #[error("the mail has no recipients")]
    NoRecipients,
    /// The mail is larger than the server takes (RFC 1870). Nothing was sent.
    #[error("the mail has {size_octets} octets, the server takes {limit_octets}")]
    TooLarge {
        /// Size of the mail.
        size_octets: u64,
        /// What the server takes.
        limit_octets: u64,
    },
    /// The mail has octets over 127 and the server takes only ASCII. Nothing was sent.
    #[error("the mail is not ASCII and the server does not take 8-bit mail")]
    EightBit,
    /// A time limit is over, before the mail was complete.
    #[error("the mail server did not answer in time ({during})")]
    Timeout {
        /// What was being done.
        during: &'static str,
    },
    /// The server hung up before the mail was complete.
    #[error("the mail server closed the connection ({during})")]
    Disconnected {
        /// What was being done.
        during: &'static str,
    },
    /// The line broke, or time was over, after the mail had gone out and before its receipt: it may have been accepted.
    /// Sending it again may double it.
    #[error("the mail went out, but the server did not confirm it")]
    Unconfirmed,
    /// The connection failed otherwise.
    #[error("the connection to the mail server failed ({during})")]
    Io {
        /// What was being done.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The server broke the rules of the protocol.
    #[error("the mail server's answer makes no sense ({during}): {detail}")]
    Protocol {
        /// What was being done.
        during: &'static str,
        /// What is wrong with it, cleaned and cut.
        detail: String,
    },
    /// An earlier mail broke this connection: open another.
    #[error("this connection is broken")]
    Broken,
}

/// Why an address that is one is not taken.
fn utf8_hint(address: &str) -> &'static str {
    if needs_smtp_utf8(address) {
        ": it has letters beyond ASCII before the @, for which a server needs SMTPUTF8 (RFC 6531), and this one does not offer it; \
         use an address in ASCII, or another provider"
    } else {
        ""
    }
}

/// The negative reply inside a library error, if it is one.
pub(super) fn reply_of(error: &lettre::transport::smtp::Error) -> Option<ServerReply> {
    let code = u16::from(error.status()?);
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    Some(ServerReply::new(code, &text))
}

impl SendError {
    /// True when the server was asked to let us in and did not, or must not be asked again soon.
    pub fn is_refused_login(&self) -> bool {
        match self {
            Self::LoginRefused { .. } => true,
            Self::Login(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// A reply that concerns the whole mail.
    pub(super) fn from_reply(reply: ServerReply) -> Self {
        if reply.is_permanent() { Self::Permanent(reply) } else { Self::Transient(reply) }
    }

    pub(super) fn from_library(during: &'static str, error: &lettre::transport::smtp::Error) -> Self {
        if let Some(reply) = reply_of(error) {
            return Self::from_reply(reply);
        }
        let source = error.source();
        if let Some(cause) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
            return match cause.kind() {
                io::ErrorKind::TimedOut => Self::Timeout { during },
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Disconnected { during },
                kind => {
                    Self::Io { during, source: io::Error::new(kind, clean(cause.to_string().as_bytes())) }
                }
            };
        }
        let detail = source.map(ToString::to_string).unwrap_or_default();
        // This is how the library says end of stream.
        if error.is_response() && detail == "incomplete response" {
            return Self::Disconnected { during };
        }
        Self::Protocol { during, detail: clean(detail.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enhanced_code_is_read_only_where_it_is_one() {
        assert_eq!(ServerReply::new(550, "5.1.1 no such user").enhanced.as_deref(), Some("5.1.1"));
        for text in ["no such user", "4.1.1 other class", "5.1 short", "5.1.1.1 long", "5.x.1", ""] {
            assert_eq!(ServerReply::new(550, text).enhanced, None, "{text}");
        }
    }
}

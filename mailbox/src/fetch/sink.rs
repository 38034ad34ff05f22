//! Fetching one large mail without holding it.

use std::io;

use super::{FetchError, FetchSession, Item};

/// Where the octets of a mail go, in their order and in pieces of any size.
pub type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + Send + 'a;

impl FetchSession {
    /// One mail, byte for byte as stored, given to `sink` as it comes; no more of it than one piece is held. Gives its
    /// octets. After an error `sink` has had a part of the mail, or nothing of it.
    ///
    /// # Errors
    /// As of [`FetchSession::retrieve`], and [`FetchError::Sink`] when `sink` fails; the mail is still in the mailbox, and
    /// the session is of no use.
    pub async fn retrieve_into(&mut self, item: &Item, sink: &mut Sink<'_>) -> Result<u64, FetchError> {
        match self {
            Self::Pop3(session) => session.retrieve_into(item, sink).await,
            Self::Imap(session) => session.retrieve_into(item, sink).await,
        }
    }
}

//! Asking how full the mailbox is (RFC 9208 section 4.1.2, the same in RFC 2087).

use std::fmt::Debug;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{fetch::FetchError, imap::ImapSession, quota::Quota};

impl<S: AsyncRead + AsyncWrite + Unpin + Debug + Send> ImapSession<S> {
    /// Whether the server can tell how full the mailbox is.
    pub fn offers_quota(&self) -> bool {
        self.can("QUOTA")
            || self.capabilities().iter().any(|can| can.to_ascii_uppercase().starts_with("QUOTA="))
    }

    /// How full INBOX is; without limits where the server has no quota.
    ///
    /// # Errors
    /// What ends the session. A server that refuses to tell has told of no limit.
    pub async fn quota(&mut self) -> Result<Quota, FetchError> {
        if !self.offers_quota() {
            return Ok(Quota::default());
        }
        // What was said unasked before is no answer.
        drop(self.take_aside());
        match self.short("GETQUOTAROOT INBOX", "asking for the quota", |_| {}).await {
            Ok(()) => {}
            Err(FetchError::Refused { .. }) => return Ok(Quota::default()),
            Err(error) => return Err(error),
        }
        Ok(Quota::read(self.take_aside().iter().map(Vec::as_slice)))
    }
}

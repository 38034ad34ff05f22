//! Waiting for mail on an open session: by IDLE (RFC 2177), or quietly, for what the server says unasked (RFC 3501 section
//! 7 allows it to at any time) and for the end of the connection.

use std::{fmt::Debug, time::Duration};

use async_imap::imap_proto::Response;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};

use crate::{
    fetch::{FetchError, Woke},
    imap::{
        ImapSession,
        response::{check_status, from_library, from_parser},
    },
    server_text::clean,
};

const DURING: &str = "waiting for mail";
/// IDLE is renewed before a firewall forgets the connection; RFC 2177 would allow 29 minutes.
const IDLE_MAX: Duration = Duration::from_secs(9 * 60);
/// How often a server without IDLE is asked.
const POLL_PAUSE: Duration = Duration::from_secs(30);

impl<S: AsyncRead + AsyncWrite + Unpin + Debug + Send> ImapSession<S> {
    /// Whether the server offers IDLE.
    pub fn offers_idle(&self) -> bool {
        self.can("IDLE")
    }

    /// Whether mail has come of which the last listing did not know.
    pub fn has_news(&self) -> bool {
        self.grown
    }

    /// Whether IDLE is on.
    pub fn is_idling(&self) -> bool {
        self.idling.is_some()
    }

    /// Whether a listing since this was asked last found mail that the server had not told of.
    pub fn take_surprise(&mut self) -> bool {
        std::mem::take(&mut self.surprised)
    }

    /// Asks by IDLE to be told of new mail, and waits for the server's go-ahead. From then on only [`Self::listen`] and
    /// [`Self::end_wait`] are of use. `limit` is how long the wait will last at most.
    ///
    /// # Errors
    /// [`FetchError::Refused`] when the server does not want to, after which the session goes on; and what ends it.
    pub async fn begin_idle(&mut self, limit: Duration) -> Result<(), FetchError> {
        let patience = self.limits.operation;
        let begun = async {
            self.begin()?;
            let tag = self.session.run_command("IDLE").await.map_err(|error| from_library(DURING, error))?;
            loop {
                let read = self.session.read_response().await.map_err(|error| from_parser(DURING, error))?;
                let response = read.ok_or(FetchError::Disconnected { during: DURING })?;
                match response.parsed() {
                    Response::Continue { .. } => {
                        self.idling = Some(tag);
                        return Ok(());
                    }
                    Response::Done { tag: done, outcome, .. } if *done == tag => {
                        self.busy = false;
                        let text = clean(outcome.information.as_deref().unwrap_or_default().as_bytes());
                        return Err(FetchError::Refused { during: DURING, text });
                    }
                    other => self.observe(DURING, other)?,
                }
            }
        };
        timeout(patience, begun).await.map_err(|_| FetchError::Timeout { during: DURING })??;
        self.be_patient(limit);
        Ok(())
    }

    /// Waits without a command; the server may tell of mail or not. `limit` is how long the wait will last at most.
    ///
    /// # Errors
    /// [`FetchError::OutOfStep`].
    pub fn begin_quiet(&mut self, limit: Duration) -> Result<(), FetchError> {
        if self.busy {
            return Err(FetchError::OutOfStep);
        }
        self.be_patient(limit);
        Ok(())
    }

    /// Silence is what is expected now.
    fn be_patient(&mut self, limit: Duration) {
        let limit = limit.saturating_add(self.limits.operation);
        self.patience.set_silence(limit);
        self.patience.renew(limit.saturating_add(self.limits.overall));
    }

    /// Returns when there is mail that the last listing did not know, or when the server has ended IDLE by itself. May be
    /// dropped at any time and called again.
    ///
    /// # Errors
    /// [`FetchError::Disconnected`] at the end of the stream and at BYE, and what else ends the session.
    pub async fn listen(&mut self) -> Result<(), FetchError> {
        let idled = self.idling.is_some();
        while !self.grown && self.idling.is_some() == idled {
            let read = self.session.read_response().await.map_err(|error| from_parser(DURING, error))?;
            let response = read.ok_or(FetchError::Disconnected { during: DURING })?;
            match (response.parsed(), &self.idling) {
                (Response::Done { tag: done, .. }, Some(tag)) if done == tag => {
                    self.idling = None;
                    self.busy = false;
                }
                (other, _) => self.observe(DURING, other)?,
            }
        }
        Ok(())
    }

    /// Ends the wait, so that commands may follow. A server that does not answer within `limit` is taken for gone.
    ///
    /// # Errors
    /// What ends the session.
    pub async fn end_wait(&mut self, limit: Duration) -> Result<(), FetchError> {
        self.patience.set_silence(self.limits.progress);
        self.patience.renew(self.limits.overall);
        let Some(tag) = self.idling.take() else { return Ok(()) };
        let ended = async {
            self.session.run_command_untagged("DONE").await.map_err(|error| from_library(DURING, error))?;
            loop {
                let read = self.session.read_response().await.map_err(|error| from_parser(DURING, error))?;
                let response = read.ok_or(FetchError::Disconnected { during: DURING })?;
                match response.parsed() {
                    Response::Done { tag: done, status, outcome } if *done == tag => {
                        self.busy = false;
                        return check_status(DURING, status, outcome.information.as_deref());
                    }
                    other => self.observe(DURING, other)?,
                }
            }
        };
        timeout(limit, ended).await.map_err(|_| FetchError::Timeout { during: DURING })?
    }

    /// Waits until the mailbox holds more mails than before, at most `limit`. By IDLE where offered, else by asking every
    /// 30 s. The session's overall limit starts anew.
    ///
    /// # Errors
    /// [`FetchError::Disconnected`] at the end of the stream and at BYE, and what else ends the session.
    pub async fn wait_for_mail(&mut self, limit: Duration) -> Result<Woke, FetchError> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.offers_idle() {
                let share = left.min(IDLE_MAX);
                self.begin_idle(share).await?;
                if let Ok(heard) = timeout(share, self.listen()).await {
                    heard?;
                }
                self.end_wait(self.limits.operation).await?;
            } else {
                self.patience.renew(self.limits.overall.saturating_add(POLL_PAUSE));
                tokio::time::sleep(left.min(POLL_PAUSE)).await;
                self.noop().await?;
            }
            if self.grown {
                return Ok(Woke::NewMail);
            }
            if Instant::now() >= until {
                return Ok(Woke::TimedOut);
            }
        }
    }
}

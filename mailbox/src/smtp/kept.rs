//! Submission connections that are kept for a short while for the next mail: a login less for each mail, and the answer
//! to what has just come is on its way without a handshake.
//!
//! Who sends takes a connection out and puts it back; so a connection is never used by two, and one that broke on the
//! way is simply not put back.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    account::Account,
    limits::Limits,
    smtp::{SendError, Submission},
};

/// How long a connection that is put back may rest if nobody says otherwise. Postfix and Exim hang up after five minutes of
/// silence (RFC 5321 section 4.5.3.2.7), some providers after one.
pub const KEPT_DEFAULT: Duration = Duration::from_secs(45);

/// A kept connection that does not answer so soon is taken for dead: a new one is quicker.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// After so many mails a connection is not kept any longer: many servers take only so many over one.
const MAILS_MAX: u32 = 50;

/// Most connections that rest at a time; the oldest goes first.
const KEPT_MAX: usize = 16;

/// A connection to send by, and where it is from.
#[derive(Debug)]
pub struct Lent {
    /// The connection.
    pub submission: Submission,
    /// Whether it was kept; otherwise it cost a login just now.
    pub was_kept: bool,
}

#[derive(Debug)]
struct Kept {
    place: usize,
    submission: Submission,
    until: Instant,
}

/// The resting connections of several accounts, each known by its place in the settings.
#[derive(Debug)]
pub struct KeptSubmissions {
    kept: Vec<Kept>,
    keep_for: Duration,
    /// Places of the accounts that were logged in to, each as often as it was, since this was asked last.
    logins: Vec<usize>,
}

impl Default for KeptSubmissions {
    fn default() -> Self {
        Self::new(KEPT_DEFAULT)
    }
}

impl KeptSubmissions {
    /// None yet; each that is put back rests for `keep_for` at most, with zero not at all.
    pub fn new(keep_for: Duration) -> Self {
        Self { kept: Vec::new(), keep_for, logins: Vec::new() }
    }

    /// A connection of the account at `place`: one that rests and still answers, else a new one. A kept one that is gone
    /// is no failure.
    ///
    /// # Errors
    /// [`SendError`], as from [`Submission::connect`].
    pub async fn connect(
        &mut self,
        place: usize,
        account: &Account,
        limits: &Limits,
    ) -> Result<Lent, SendError> {
        if let Some(submission) = self.take(place).await {
            return Ok(Lent { submission, was_kept: true });
        }
        let submission = Submission::connect(account, limits).await?;
        self.note_login(place);
        Ok(Lent { submission, was_kept: false })
    }

    /// The connection of that account that rested last, if it still answers.
    pub async fn take(&mut self, place: usize) -> Option<Submission> {
        while let Some(nth) = self.kept.iter().rposition(|kept| kept.place == place) {
            let mut kept = self.kept.remove(nth);
            if Instant::now() < kept.until && kept.submission.still_answers(ANSWER_MAX).await {
                return Some(kept.submission);
            }
            tracing::debug!("a kept connection to the mail server is gone");
        }
        None
    }

    /// Puts a connection back after a mail. A broken one is dropped.
    pub fn put_back(&mut self, place: usize, submission: Submission) {
        if submission.is_broken() || self.keep_for.is_zero() {
            return;
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        let rest = if submission.mails_sent() < MAILS_MAX { self.keep_for } else { Duration::ZERO };
        self.kept.push(Kept { place, submission, until: Instant::now() + rest });
    }

    /// Counts a login that was made elsewhere.
    pub fn note_login(&mut self, place: usize) {
        const NOTED_MAX: usize = 10_000;
        if self.logins.len() < NOTED_MAX {
            self.logins.push(place);
        }
    }

    /// The places of the accounts that were logged in to since this was asked last, each as often as it was.
    pub fn take_logins(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.logins)
    }

    /// When [`Self::close_rested`] has something to do; `None` while none rests.
    pub fn next_close(&self) -> Option<Instant> {
        self.kept.iter().map(|kept| kept.until).min()
    }

    /// How many rest.
    pub fn resting(&self) -> usize {
        self.kept.len()
    }

    /// Says good-bye on those that have rested long enough. The server's answer is not waited for long.
    pub async fn close_rested(&mut self) {
        let now = Instant::now();
        while let Some(nth) = self.kept.iter().position(|kept| kept.until <= now) {
            let kept = self.kept.remove(nth);
            part(kept.submission).await;
        }
    }

    /// Says good-bye on all.
    pub async fn close_all(&mut self) {
        for kept in self.kept.drain(..) {
            part(kept.submission).await;
        }
    }
}

impl SendError {
    /// Whether a kept connection was at fault and not the mail or the account: another connection may take the mail. It was
    /// surely not accepted over this one.
    pub fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Disconnected { .. } | Self::Io { .. } | Self::Broken => true,
            Self::Transient(reply) => reply.code == 421,
            _ => false,
        }
    }
}

async fn part(submission: Submission) {
    if !matches!(timeout(ANSWER_MAX, submission.quit()).await, Ok(Ok(()))) {
        tracing::debug!("a mail server did not end a kept session in order");
    }
}

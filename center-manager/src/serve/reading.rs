//! Reading mail: fetched in batches, judged, filed in one transaction, and only then deleted.

use super::{Daemon, Pass, ServeError, log_chain, random_number};
use crate::db::filed::Filed;
use crate::intake::{Discard, Verdict, judge};
use crate::system::{SystemRandom, now};
use mailbox::accounts::{Choice, Failure};
use mailbox::{FetchError, FetchSession, Item, Retrieved};
use mailfmt::mail::JunkReason;
use std::time::Instant;
use tokio::sync::watch;

/// After so many mails a session is ended in order, since by POP3 deletions count only then.
const MAILS_PER_SESSION: usize = 5_000;

/// Most mails remembered as unreadable at a time.
const POISON_MAX: usize = 1_000;

/// What ended a session early.
enum Trouble {
    /// The mail server.
    Mail(FetchError),
    /// Our own database: the mails stay where they are.
    Own(ServeError),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Mail(error)
    }
}

impl Daemon {
    /// Reads every account that is not resting after a failure.
    pub(super) async fn read_all(
        &mut self,
        pass: &mut Pass,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        for nth in 0..self.accounts.len() {
            let resting = self
                .reading
                .get(nth)
                .is_some_and(|standing| standing.choose(Instant::now()) != Choice::Use(0));
            if resting || *stop.borrow() {
                pass.accounts_failed = pass.accounts_failed.saturating_add(usize::from(resting));
                continue;
            }
            match self.read_account(nth, pass, stop).await {
                Ok(()) => {
                    if let Some(standing) = self.reading.get_mut(nth) {
                        standing.succeeded(0);
                    }
                }
                Err(Trouble::Own(error)) => return Err(error),
                Err(Trouble::Mail(error)) => {
                    pass.accounts_failed = pass.accounts_failed.saturating_add(1);
                    self.note_failure(nth, &error);
                }
            }
        }
        Ok(())
    }

    fn note_failure(&mut self, nth: usize, error: &FetchError) {
        if let FetchError::Unreadable { id, .. } = error
            && self.poison.len() < POISON_MAX
        {
            self.poison.push(id.clone());
        }
        let account = self.accounts.get(nth).map_or("", |account| account.settings.name.as_str());
        log_chain(&format!("cannot read the mail of account {account:?}; trying again later"), error);
        if let Some(standing) = self.reading.get_mut(nth) {
            standing.failed(0, Failure::from(error), Instant::now(), random_number());
        }
    }

    async fn read_account(
        &mut self,
        nth: usize,
        pass: &mut Pass,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), Trouble> {
        let Some(account) = self.accounts.get(nth) else { return Ok(()) };
        let mut session = FetchSession::open(account, &self.settings.mail_limits()).await?;
        let listed = session.list().await?;
        let listed = self.drop_poison(&mut session, listed).await?;
        let mut rest = listed.as_slice();
        let mut read = 0usize;
        while !rest.is_empty() && read < MAILS_PER_SESSION && !*stop.borrow() {
            let wanted = rest.get(..self.settings.mails_per_batch).unwrap_or(rest);
            let batch = session.retrieve_batch(wanted).await?;
            if batch.is_empty() {
                break;
            }
            rest = rest.get(batch.len()..).unwrap_or_default();
            read = read.saturating_add(batch.len());
            let items = self.file_batch(batch, pass).map_err(Trouble::Own)?;
            session.delete(&items).await?;
        }
        pass.read = pass.read.saturating_add(read);
        pass.more_to_read |= !rest.is_empty() && read > 0;
        session.finish().await?;
        if read > 0 {
            tracing::info!(read, reports = pass.reports, "mail read and filed");
        }
        Ok(())
    }

    /// Deletes what ended an earlier session by being unreadable; it would end every session.
    async fn drop_poison(
        &mut self,
        session: &mut FetchSession,
        listed: Vec<Item>,
    ) -> Result<Vec<Item>, Trouble> {
        if self.poison.is_empty() {
            return Ok(listed);
        }
        let (poison, good): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|item| self.poison.contains(&item.id));
        if !poison.is_empty() {
            let verdicts = vec![Verdict::Discarded(Discard::Junk(JunkReason::TooLarge)); poison.len()];
            self.file(&verdicts, &mut Pass::default()).map_err(Trouble::Own)?;
            session.delete(&poison).await?;
        }
        self.poison.clear();
        Ok(good)
    }

    /// Judges and files a batch; answers which mails may be deleted now.
    fn file_batch(
        &mut self,
        batch: Vec<(Item, Retrieved)>,
        pass: &mut Pass,
    ) -> Result<Vec<Item>, ServeError> {
        let limits = self.settings.wire_limits();
        let time = now();
        let mut verdicts = Vec::with_capacity(batch.len());
        let mut items = Vec::with_capacity(batch.len());
        for (item, retrieved) in batch {
            verdicts.push(match retrieved {
                Retrieved::Mail(raw) => judge(&raw, &self.keys.incoming, &limits, time),
                Retrieved::TooLarge => Verdict::Discarded(Discard::Junk(JunkReason::TooLarge)),
                Retrieved::Gone => continue,
            });
            items.push(item);
        }
        self.file(&verdicts, pass)?;
        Ok(items)
    }

    fn file(&mut self, verdicts: &[Verdict], pass: &mut Pass) -> Result<(), ServeError> {
        let filed = self.db.file(verdicts, now(), self.settings.receipt_expiry, &mut SystemRandom)?;
        for filed in &filed {
            match filed {
                Filed::New { number, agent, description } => {
                    pass.reports = pass.reports.saturating_add(1);
                    tracing::debug!(number, %agent, description, "report filed");
                }
                Filed::Repeat { number } => tracing::debug!(number, "report came again"),
                Filed::Bounce { marked } => tracing::info!(marked, "a mail came back"),
                Filed::Discarded(reason) => tracing::debug!(%reason, "mail thrown away"),
            }
        }
        Ok(())
    }
}

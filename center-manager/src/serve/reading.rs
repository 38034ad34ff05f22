//! Reading mail: fetched in batches, judged, filed in one transaction, and only then deleted.

use super::large::is_large;
use super::{Daemon, Look, Pass, ServeError, log_chain, random_number};
use crate::db::enrolment::ContactStep;
use crate::db::filed::Filed;
use crate::intake::{Discard, KeyStanding, Verdict, judge};
use crate::system::{SystemRandom, now};
use mailbox::accounts::{Choice, Failure};
use mailbox::{FetchError, FetchSession, Item, Retrieved};
use mailfmt::mail::JunkReason;
use mailfmt::mail::returned::Cause;
use mailfmt::{AgentId, Report};
use std::time::Instant;
use tokio::sync::watch;

/// After so many mails a session is ended in order, since by POP3 deletions count only then.
const MAILS_PER_SESSION: usize = 5_000;

/// Most mails remembered as unreadable at a time.
const POISON_MAX: usize = 1_000;

/// What ended a session early.
pub(super) enum Trouble {
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
    /// Reads every account that is not resting after a failure, or only those for which it is time.
    pub(super) async fn read_all(
        &mut self,
        look: Look,
        pass: &mut Pass,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        for nth in 0..self.readers.len() {
            let now = Instant::now();
            let Some(reader) = self.readers.get(nth) else { continue };
            if look == Look::Due && now < reader.due {
                continue;
            }
            let resting = reader.standing.choose(now) != Choice::Use(0);
            if resting || *stop.borrow() {
                pass.accounts_failed = pass.accounts_failed.saturating_add(usize::from(resting));
                self.put_off(nth);
                continue;
            }
            let more_before = std::mem::take(&mut pass.more_to_read);
            match self.read_account(nth, pass, stop).await {
                Ok(()) => self.has_read(nth, pass.more_to_read),
                Err(Trouble::Own(error)) => {
                    self.put_off(nth);
                    return Err(error);
                }
                Err(Trouble::Mail(error)) => {
                    pass.accounts_failed = pass.accounts_failed.saturating_add(1);
                    self.note_failure(nth, &error);
                    self.put_off(nth);
                }
            }
            pass.more_to_read |= more_before;
            self.note_noticing(nth)?;
        }
        Ok(())
    }

    /// The account works; unless more waits there, its next look has time.
    fn has_read(&mut self, nth: usize, more: bool) {
        let (mail, poll) = (&self.settings.mail, self.settings.poll);
        if let Some(reader) = self.readers.get_mut(nth) {
            reader.standing.succeeded(0);
            let now = Instant::now();
            reader.due = if more { now } else { now + mail.look_pause(reader.inbox.clock(), poll) };
        }
    }

    /// Looks again when the account's rest is over, or when it would be time without one.
    fn put_off(&mut self, nth: usize) {
        if let Some(reader) = self.readers.get_mut(nth) {
            let now = Instant::now();
            let rest = reader.standing.rest_until(0).filter(|until| now < *until);
            reader.due = rest.unwrap_or(now + self.settings.poll);
        }
    }

    fn note_failure(&mut self, nth: usize, error: &FetchError) {
        if let FetchError::Unreadable { id, .. } = error
            && self.poison.len() < POISON_MAX
        {
            self.poison.push(id.clone());
        }
        let Some(reader) = self.readers.get_mut(nth) else { return };
        let name = &reader.inbox.account().settings.name;
        if let FetchError::TooManyLogins { wait, .. } = error {
            tracing::info!(account = name, ?wait, "no login is left just now");
            reader.standing.rests(0, Instant::now() + *wait);
            return;
        }
        log_chain(&format!("cannot read the mail of account {name:?}; trying again later"), error);
        reader.standing.failed(0, Failure::from(error), Instant::now(), random_number());
    }

    async fn read_account(
        &mut self,
        nth: usize,
        pass: &mut Pass,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), Trouble> {
        let Some(reader) = self.readers.get_mut(nth) else { return Ok(()) };
        let mut session = reader.inbox.open().await?;
        // Both ends of the mailbox and no more: what a flood leaves there must not fill the memory.
        let listing = session.list_ends(MAILS_PER_SESSION).await?;
        let listed = self.drop_poison(&mut session, listing.items).await?;
        let octets_max = self.settings.mail_limits().message_octets_max;
        let mut rest = listed.as_slice();
        let mut read = 0usize;
        while !rest.is_empty() && read < MAILS_PER_SESSION && !*stop.borrow() {
            let large = rest.iter().position(|item| is_large(item, octets_max));
            if let (Some(0), Some((first, others))) = (large, rest.split_first()) {
                let items = self.take_large(&mut session, first, pass).await?;
                (rest, read) = (others, read.saturating_add(1));
                self.refresh_keys().map_err(|error| Trouble::Own(error.into()))?;
                session.delete(&items).await?;
                continue;
            }
            let small = rest.get(..large.unwrap_or(rest.len())).unwrap_or_default();
            let wanted = small.get(..self.settings.mails_per_batch).unwrap_or(small);
            let batch = session.retrieve_batch(wanted).await?;
            if batch.is_empty() {
                break;
            }
            rest = rest.get(batch.len()..).unwrap_or_default();
            read = read.saturating_add(batch.len());
            let items = self.file_batch(batch, pass).map_err(Trouble::Own)?;
            self.refresh_keys().map_err(|error| Trouble::Own(error.into()))?;
            session.delete(&items).await?;
        }
        pass.read = pass.read.saturating_add(read);
        pass.more_to_read |= (!rest.is_empty() || !listing.complete) && read > 0;
        if let Some(reader) = self.readers.get_mut(nth) {
            reader.inbox.keep(session).await?;
        }
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
    pub(super) fn file_batch(
        &mut self,
        batch: Vec<(Item, Retrieved)>,
        pass: &mut Pass,
    ) -> Result<Vec<Item>, ServeError> {
        let limits = self.settings.wire_limits();
        let (keys, time) = (&self.keys.incoming, now());
        let batch: Vec<_> =
            batch.into_iter().filter(|(_, retrieved)| *retrieved != Retrieved::Gone).collect();
        let verdicts = on_all_cores(&batch, |(_, retrieved)| match retrieved {
            Retrieved::Mail(raw) => judge(raw, keys, &limits, time),
            Retrieved::TooLarge | Retrieved::Gone => Verdict::Discarded(Discard::Junk(JunkReason::TooLarge)),
        });
        let items = batch.into_iter().map(|(item, _)| item).collect();
        self.file(&verdicts, pass)?;
        Ok(items)
    }

    pub(super) fn file(&mut self, verdicts: &[Verdict], pass: &mut Pass) -> Result<(), ServeError> {
        let enrolling = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Contact(_)));
        let rules = self.rules(enrolling);
        let filed = self.db.file(verdicts, now(), &rules, &mut SystemRandom)?;
        if verdicts.iter().any(changes_keys) {
            self.keys.version = None;
        }
        for filed in &filed {
            match filed {
                Filed::New { number, agent, description } => {
                    pass.reports = pass.reports.saturating_add(1);
                    tracing::debug!(number, %agent, description, "report filed");
                }
                Filed::Repeat { number } => tracing::debug!(number, "report came again"),
                Filed::Returned { kind, cause, agent, marked } => {
                    let cause = cause.map(Cause::as_str).unwrap_or_default();
                    let agent = agent.as_ref().map(AgentId::as_str).unwrap_or_default();
                    tracing::info!(%kind, cause, agent, marked, "a mail came back");
                }
                Filed::Contact(step) => self.note_contact(step),
                Filed::Discarded(reason) => tracing::debug!(%reason, "mail thrown away"),
            }
        }
        Ok(())
    }

    fn note_contact(&mut self, step: &ContactStep) {
        match step {
            ContactStep::Offered => {
                self.keys.codes_changed = true;
                tracing::info!("a box begins to enrol");
            }
            ContactStep::Repeated => tracing::debug!("a box repeats itself"),
            ContactStep::Admitted { agent, description } => {
                self.keys.version = None;
                tracing::info!(%agent, description, "a box was admitted");
            }
            ContactStep::Refused(reason) => tracing::info!(%reason, "an enrolment was not answered"),
        }
    }
}

/// Whether filing this changes the keys under which something may come.
fn changes_keys(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Report(arrived) => {
            arrived.key != KeyStanding::Only || matches!(arrived.report, Report::CredentialRotated(_))
        }
        Verdict::Contact(_)
        | Verdict::Knock { .. }
        | Verdict::Returned(_)
        | Verdict::Mangled(_)
        | Verdict::Discarded(_) => false,
    }
}

/// Does the same pure work on every item, spread over the processor's cores; answers in the order of `items`.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Below this a second thread costs more than it brings.
    const SHARE_MIN: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(SHARE_MIN);
    let work = &work;
    if items.len() <= share {
        return items.iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let shares: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>()))
            .collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::on_all_cores;

    #[test]
    fn work_spread_over_cores_keeps_its_order() {
        for count in [0, 1, 63, 64, 65, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(
                on_all_cores(&items, |item| item * 2),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
    }
}

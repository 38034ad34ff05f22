//! Looking for mail: read in batches, filed, and only then deleted.
//!
//! What a mailbox holds may be a flood. So a session lists only both ends of it, reads them in the order of
//! [`reading_order`], holds one batch at a time, and pays for junk with one write to the store per batch.

mod absence;
mod large;

use super::filing::{Discarded, Filed, file_one};
use super::reading_order::reading_order;
use super::{Agent, account_failed, complain};
use crate::health;
use crate::store::{Moment, StoreError, Work};
pub(super) use large::Resting;
use large::is_large;
use mailbox::accounts::{Choice, Failure};
use mailbox::{FetchError, FetchSession, Item, Retrieved};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Mails listed from each end of the mailbox, and so handled in one session.
const LISTED_PER_END: usize = 5_000;

/// After this long no further batch is begun. By POP3 deletions count only at the end of the session.
const SESSION_MAX: Duration = Duration::from_secs(60);

/// Most mails held in memory at a time, and their octets; a single larger mail comes alone.
const MAILS_PER_BATCH: usize = 500;
pub(super) const BATCH_OCTETS_MAX: u64 = 1 << 20;

/// Mails that could not be filed, in one session, before it is given up: then it is not the mails, it is the disk.
const FILING_FAILURES_MAX: usize = 3;

/// Most ids remembered of mails that only need deleting.
const DISPENSABLE_MAX: usize = 2 * LISTED_PER_END;

/// Most ids remembered of mails that are left alone for one reason.
const HELD_MAX: usize = 1_000;

/// Which mail makes sessions break, as far as it is known.
#[derive(Debug, Default)]
pub(super) enum Suspect {
    /// None does.
    #[default]
    None,
    /// A batch broke: the next session reads one by one.
    InBatch,
    /// This one broke a session that read one by one.
    Mail(String),
}

/// What came of one mail.
enum Fate {
    /// Delete it: everything that it leads to is stored.
    Delete,
    /// Leave it: the server does not give it out just now.
    Leave,
    /// Leave it until the time is proven.
    Hold,
    /// Leave it: it could not be stored.
    Unfiled,
}

/// Whether there is more in the mailbox than one session took.
#[derive(PartialEq, Eq)]
enum Rest {
    None,
    More,
}

/// What a session has done so far.
#[derive(Default)]
struct Tour {
    deleted: usize,
    failures: usize,
    discarded: Discarded,
}

impl Agent {
    /// Looks for mail in the first account that works.
    pub(super) async fn look(&mut self) {
        // A person may have put other keys in place.
        if let Err(error) = self.keys.reload() {
            complain("the appliance's keys cannot be read", &error);
        }
        let told = std::mem::take(&mut self.told);
        while let Choice::Use(place) = self.inward.choose(Instant::now()) {
            self.progress.made();
            let Some(account) = self.accounts.get(place).cloned() else { return };
            let result = self.look_into(place).await;
            let logins = self.logins_of(place);
            match result {
                Ok(rest) => {
                    self.inward.succeeded(place);
                    self.listen_to(place).await;
                    let now = self.context.now();
                    self.looked = match rest {
                        Rest::None => Some(now),
                        Rest::More => None,
                    };
                    let (release, context) = (self.release.clone(), self.context.clone());
                    let before = self.fetched_before().await;
                    let noted = self.store.change(move |change| {
                        if let Some(logins) = logins {
                            logins.note(change, &context)?;
                        }
                        change.note(Moment::LastFetch, now)?;
                        change.prove(Work::MailFetch, &release, now)
                    });
                    if let Err(error) = noted.await {
                        complain("the time of the look for mail could not be stored", &error as &StoreError);
                        self.looked = Some(now);
                    }
                    self.tell_after_absence(before, now).await;
                    self.ask_for_time().await;
                    return;
                }
                Err(FetchError::Sink(_)) => {
                    // The disk is at fault, not the account. What did not fit rests; the others are looked at next time.
                    self.looked = Some(self.context.now());
                    return;
                }
                Err(FetchError::TooManyLogins { wait, .. }) => {
                    tracing::info!(account = account.settings.name, ?wait, "no login is left just now");
                    self.inward.rests(place, Instant::now() + wait);
                    self.told = told;
                }
                Err(error) => {
                    tracing::warn!(
                        account = account.settings.name,
                        error = &error as &dyn std::error::Error,
                        "mail could not be fetched"
                    );
                    if let FetchError::Unreadable { id, .. } = &error
                        && self.dispense(id.clone())
                    {
                        // The mail is at fault, not the account: the next session deletes it unread.
                        let mut junk = Discarded::default();
                        junk.note("unreadable");
                        if let Err(error) = self.store.read(move |store| junk.write(store)).await {
                            complain("a mail could not be counted", &error);
                        }
                        continue;
                    }
                    self.told = told;
                    self.note_logins(logins).await;
                    self.note_failure(Work::MailFetch, crate::update::reason(&error)).await;
                    account_failed(&mut self.inward, place, Failure::from(&error));
                }
            }
        }
    }

    /// Notes for the trial of a release that its mail does not work, and why.
    pub(super) async fn note_failure(&self, work: Work, detail: String) {
        let release = self.release.clone();
        let noted = self.store.change(move |change| change.disprove(work, &release, &detail)).await;
        if let Err(error) = noted {
            complain("a failure could not be noted", &error as &StoreError);
        }
    }

    /// Looks by the session that is kept, or a new one; one that breaks on the way is given up.
    async fn look_into(&mut self, place: usize) -> Result<Rest, FetchError> {
        let mut session = self.inboxes[place].open().await?;
        let mut tour = Tour::default();
        let result = self.empty(&mut session, &mut tour).await;
        tour.discarded.tell();
        let rest = result?;
        self.inboxes[place].keep(session).await?;
        Ok(rest)
    }

    async fn empty(&mut self, session: &mut FetchSession, tour: &mut Tour) -> Result<Rest, FetchError> {
        let listing = session.list_ends(LISTED_PER_END).await?;
        let (items, complete) = (listing.items, listing.complete);
        if complete {
            let there: HashSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
            self.dispensable.retain(|id| there.contains(id.as_str()));
            self.held.retain(|id| there.contains(id.as_str()));
            self.undecided.retain(|id| there.contains(id.as_str()));
        }
        if !self.context.clock_state().is_doubted() {
            // What waited for the time can be judged now, whatever told it: a receipt or any other mail.
            self.time_asked = false;
            self.undecided.clear();
        }
        let begun = Instant::now();
        let sizes: Vec<u64> = items.iter().map(|item| item.size_octets).collect();
        let order = reading_order(&sizes, self.context.settings.mail_limits.message_octets_max);
        let mut rounds = order.chunks(MAILS_PER_BATCH);
        let mut given_up = false;
        for round in rounds.by_ref() {
            let round: Vec<Item> = round
                .iter()
                .filter_map(|place| items.get(*place))
                .filter(|item| !self.held.contains(&item.id) && !self.undecided.contains(&item.id))
                .cloned()
                .collect();
            let (known, unread): (Vec<_>, Vec<_>) =
                round.into_iter().partition(|item| self.dispensable.contains(&item.id));
            self.delete(session, &known, tour).await?;
            self.take(session, &unread, tour).await?;
            given_up = tour.failures >= FILING_FAILURES_MAX;
            if given_up || begun.elapsed() > SESSION_MAX {
                break;
            }
        }
        let more = (!complete || rounds.next().is_some()) && tour.deleted > 0 && !given_up;
        Ok(if more { Rest::More } else { Rest::None })
    }

    /// Reads, files and deletes mails, a batch at a time.
    async fn take(
        &mut self,
        session: &mut FetchSession,
        unread: &[Item],
        tour: &mut Tour,
    ) -> Result<(), FetchError> {
        let mut rest = unread;
        while !rest.is_empty() && tour.failures < FILING_FAILURES_MAX {
            self.progress.made();
            let octets_max = self.context.settings.mail_limits.message_octets_max;
            let large = rest.iter().position(|item| is_large(item, octets_max));
            if let (Some(0), Some((first, others))) = (large, rest.split_first()) {
                self.take_large(session, first, tour).await?;
                rest = others;
                continue;
            }
            let small = rest.get(..large.unwrap_or(rest.len())).unwrap_or_default();
            let batch = self.read_some(session, small).await?;
            rest = rest.get(batch.len().max(1)..).unwrap_or_default();
            let fates = self.file(batch, tour).await;
            let mut done = Vec::with_capacity(fates.len());
            for (item, fate) in fates {
                match fate {
                    Fate::Delete => {
                        self.dispense(item.id.clone());
                        done.push(item);
                    }
                    Fate::Leave => {}
                    Fate::Hold => keep(&mut self.undecided, item.id),
                    Fate::Unfiled => tour.failures += 1,
                }
            }
            self.delete(session, &done, tour).await?;
        }
        Ok(())
    }

    /// A batch, or, after one has broken a session, a single mail.
    async fn read_some(
        &mut self,
        session: &mut FetchSession,
        rest: &[Item],
    ) -> Result<Vec<(Item, Retrieved)>, FetchError> {
        let Some(first) = rest.first() else { return Ok(Vec::new()) };
        match &self.suspect {
            Suspect::None => {
                let batch = session.retrieve_batch(rest).await;
                if let Err(FetchError::Protocol { .. }) = &batch {
                    self.suspect = Suspect::InBatch;
                }
                batch
            }
            Suspect::Mail(id) if *id == first.id => {
                // It has broken a session when it was read alone. It is left where it is, and the others go on.
                tracing::warn!(
                    octets = first.size_octets,
                    "a mail that the server does not give out in order is left"
                );
                keep(&mut self.held, first.id.clone());
                self.suspect = Suspect::None;
                Ok(vec![(first.clone(), Retrieved::Gone)])
            }
            Suspect::InBatch | Suspect::Mail(_) => {
                let retrieved = match session.retrieve(first).await {
                    Ok(mail) => Retrieved::Mail(mail),
                    Err(FetchError::TooLarge { .. }) => Retrieved::TooLarge,
                    Err(error) if error.session_goes_on() => Retrieved::Gone,
                    Err(error) => {
                        if let FetchError::Protocol { .. } = &error {
                            self.suspect = Suspect::Mail(first.id.clone());
                        }
                        return Err(error);
                    }
                };
                Ok(vec![(first.clone(), retrieved)])
            }
        }
    }

    async fn file(&self, batch: Vec<(Item, Retrieved)>, tour: &mut Tour) -> Vec<(Item, Fate)> {
        let (context, keys) = (self.context.clone(), self.keys.clone());
        let filed = self.store.read(move |store| {
            let mut junk = Discarded::default();
            let mut fates = Vec::with_capacity(batch.len());
            for (item, retrieved) in batch {
                let fate = match retrieved {
                    Retrieved::Gone => Fate::Leave,
                    Retrieved::TooLarge => {
                        junk.note("too large");
                        Fate::Delete
                    }
                    Retrieved::Mail(raw) => match file_one(store, &context, &keys, &raw, &mut junk) {
                        Ok(Filed::Undecided) => Fate::Hold,
                        Ok(Filed::Later) => Fate::Leave,
                        Ok(_) => Fate::Delete,
                        Err(error) => {
                            complain("a mail stays in the mailbox", &error);
                            Fate::Unfiled
                        }
                    },
                };
                fates.push((item, fate));
            }
            if let Err(error) = junk.write(store) {
                // The count is all that is lost, but a disk that takes no number takes no command either.
                complain("mails stay in the mailbox", &error);
                fates.iter_mut().for_each(|(_, fate)| *fate = Fate::Unfiled);
            }
            Ok::<_, StoreError>((fates, junk))
        });
        match filed.await {
            Ok((fates, junk)) => {
                tour.discarded.add(junk);
                fates
            }
            Err(error) => {
                complain("mails stay in the mailbox", &error);
                tour.failures = FILING_FAILURES_MAX;
                Vec::new()
            }
        }
    }

    async fn delete(
        &self,
        session: &mut FetchSession,
        items: &[Item],
        tour: &mut Tour,
    ) -> Result<(), FetchError> {
        if items.is_empty() {
            return Ok(());
        }
        match session.delete(items).await {
            Err(error) if error.session_goes_on() => complain("a mail could not be deleted", &error),
            deleted => {
                deleted?;
                tour.deleted += items.len();
            }
        }
        Ok(())
    }

    /// A command waits for the time to be proven: the receipt of a report does that.
    async fn ask_for_time(&mut self) {
        if self.undecided.is_empty() || self.time_asked || !self.context.clock_state().is_doubted() {
            return;
        }
        let context = self.context.clone();
        let asked = self.store.read(move |store| {
            let report = health::report(store, &context)?;
            store.change(|change| health::enqueue(change, &context, report, None))
        });
        match asked.await {
            Ok(()) => self.time_asked = true,
            Err(error) => complain("no report could be made to have the time proven", &error as &StoreError),
        }
    }

    /// Remembers a mail that only needs deleting, should the session break before its deletion counts.
    /// False if it was known before, or there is no room to remember it.
    fn dispense(&mut self, id: String) -> bool {
        self.dispensable.len() < DISPENSABLE_MAX && self.dispensable.insert(id)
    }
}

fn keep(ids: &mut HashSet<String>, id: String) {
    if ids.len() < HELD_MAX {
        ids.insert(id);
    }
}

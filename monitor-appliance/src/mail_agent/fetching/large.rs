//! A large mail: condensed while it is fetched, filed from the disk.
//!
//! Whether there is room is asked before the first octet; without it the mail stays where it is, and the center is told.

use super::super::filing::{Filed, LargeFiled, file_large};
use super::super::spool::{self, Spool, Spooled};
use super::super::{Agent, complain};
use super::{Discarded, Fate, Suspect, Tour, keep};
use crate::alarm;
use crate::release::ReleaseError;
use crate::store::StoreError;
use mailbox::{FetchError, FetchSession, Item, Retrieved};
use std::time::{Duration, Instant};

/// The word for mail that waits for room on the disk.
const NO_ROOM: &str = "no-room-for-mail";

/// How long a mail that met a full disk half-way is left alone: each try costs all of its octets again.
const FULL_REST: Duration = Duration::from_secs(15 * 60);

/// Large mails that are left alone for a while.
#[derive(Debug, Default)]
pub(in crate::mail_agent) struct Resting {
    mails: Vec<(String, Instant)>,
}

impl Resting {
    /// Most mails remembered.
    const MAX: usize = 100;

    fn begins(&mut self, id: &str, now: Instant) {
        self.mails.retain(|(_, since)| now.duration_since(*since) < FULL_REST);
        if self.mails.len() < Self::MAX {
            self.mails.push((id.to_owned(), now));
        }
    }

    fn holds(&self, id: &str, now: Instant) -> bool {
        self.mails.iter().any(|(mail, since)| mail == id && now.duration_since(*since) < FULL_REST)
    }
}

/// Whether a mail is read this way. One above `octets_max` is not read at all.
pub(super) fn is_large(item: &Item, octets_max: u64) -> bool {
    (spool::LARGE_OCTETS + 1..=octets_max).contains(&item.size_octets)
}

impl Agent {
    /// Reads, files and deletes one large mail.
    pub(super) async fn take_large(
        &mut self,
        session: &mut FetchSession,
        item: &Item,
        tour: &mut Tour,
    ) -> Result<(), FetchError> {
        self.progress.made();
        if self.resting.holds(&item.id, Instant::now()) {
            return Ok(());
        }
        if matches!(&self.suspect, Suspect::Mail(id) if *id == item.id) {
            tracing::warn!(
                octets = item.size_octets,
                "a mail that the server does not give out in order is left"
            );
            keep(&mut self.held, item.id.clone());
            self.suspect = Suspect::None;
            return Ok(());
        }
        if let Err(error) = spool::room_for(&self.context, item.size_octets) {
            self.tell_no_room(item.size_octets, &error).await;
            return Ok(());
        }
        let mut spool = match Spool::begin(&self.context) {
            Ok(spool) => spool,
            Err(error) => {
                self.tell_no_room(item.size_octets, &error).await;
                return Ok(());
            }
        };
        let retrieved = session.retrieve_into(item, &mut *spool.sink()).await;
        match retrieved {
            Ok(_) => {}
            Err(FetchError::Gone { .. }) => return Ok(()),
            Err(FetchError::Sink(source)) => {
                self.resting.begins(&item.id, Instant::now());
                let path = self.context.layout.spool_dir();
                self.tell_no_room(item.size_octets, &ReleaseError::Io { action: "write", path, source })
                    .await;
                // The rest of the mail is still on the line: this session is over.
                return Err(FetchError::Sink(std::io::ErrorKind::StorageFull.into()));
            }
            Err(error) => {
                if let FetchError::Protocol { .. } = &error {
                    self.suspect = Suspect::Mail(item.id.clone());
                }
                return Err(error);
            }
        }
        let spooled = match spool.finish() {
            Ok(spooled) => spooled,
            Err(source) => {
                self.resting.begins(&item.id, Instant::now());
                let path = self.context.layout.spool_dir();
                self.tell_no_room(item.size_octets, &ReleaseError::Io { action: "write", path, source })
                    .await;
                return Ok(());
            }
        };
        match self.file_spooled(spooled, tour).await {
            Some(fate) => self.settle(session, item, fate, tour).await,
            None if item.size_octets <= spool::WHOLE_OCTETS_MAX => {
                let batch = session.retrieve_batch(std::slice::from_ref(item)).await?;
                for (item, fate) in self.file(batch, tour).await {
                    self.settle(session, &item, fate, tour).await?;
                }
                Ok(())
            }
            // All of it would have to be held to find out, and no mail of ours looks like this.
            None => {
                let junk = vec![(item.clone(), Retrieved::TooLarge)];
                for (item, fate) in self.file(junk, tour).await {
                    self.settle(session, &item, fate, tour).await?;
                }
                Ok(())
            }
        }
    }

    /// `None` when only the whole mail can tell.
    async fn file_spooled(&mut self, spooled: Spooled, tour: &mut Tour) -> Option<Fate> {
        let (context, keys) = (self.context.clone(), self.keys.clone());
        let filed = self.store.read(move |store| {
            let mut junk = Discarded::default();
            let filed = file_large(store, &context, &keys, &spooled, &mut junk);
            let written = junk.write(store);
            if matches!(filed, Ok(LargeFiled::Filed(_))) && written.is_ok() {
                // There was room after all.
                store.change(|change| alarm::end(change, &context, NO_ROOM))?;
            }
            Ok::<_, StoreError>((filed, written, junk))
        });
        match filed.await {
            Ok((Ok(LargeFiled::Unclear), ..)) => None,
            Ok((Ok(LargeFiled::Filed(filed)), Ok(()), junk)) => {
                tour.discarded.add(junk);
                Some(match filed {
                    Filed::Undecided => Fate::Hold,
                    Filed::Later => Fate::Leave,
                    _ => Fate::Delete,
                })
            }
            Ok((Err(error), ..)) => {
                complain("a mail stays in the mailbox", &error);
                Some(Fate::Unfiled)
            }
            Ok((_, Err(error), _)) | Err(error) => {
                complain("a mail stays in the mailbox", &error);
                Some(Fate::Unfiled)
            }
        }
    }

    async fn settle(
        &mut self,
        session: &mut FetchSession,
        item: &Item,
        fate: Fate,
        tour: &mut Tour,
    ) -> Result<(), FetchError> {
        match fate {
            Fate::Delete => {
                self.dispense(item.id.clone());
                self.delete(session, std::slice::from_ref(item), tour).await?;
            }
            Fate::Leave => {}
            Fate::Hold => keep(&mut self.undecided, item.id.clone()),
            Fate::Unfiled => tour.failures += 1,
        }
        Ok(())
    }

    /// Tells the center once; the log each time.
    async fn tell_no_room(&mut self, mail_octets: u64, error: &ReleaseError) {
        let text = format!(
            "a mail of {mail_octets} octets waits in the mailbox until there is room on the disk: {}",
            crate::update::reason(error)
        );
        tracing::warn!("{text}");
        let context = self.context.clone();
        let told = self.store.change(move |change| {
            let now = context.now();
            alarm::raise(change, &context, NO_ROOM, text, now)
        });
        if let Err(error) = told.await {
            complain("an alarm could not be raised", &error as &StoreError);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_met_a_full_disk_rests_and_is_tried_again() {
        let (mut resting, now) = (Resting::default(), Instant::now());
        resting.begins("a", now);
        assert!(resting.holds("a", now) && !resting.holds("b", now));
        assert!(!resting.holds("a", now + FULL_REST));
        for nth in 0..1_000 {
            resting.begins(&nth.to_string(), now);
        }
        assert!(resting.mails.len() <= Resting::MAX);
        resting.begins("late", now + FULL_REST);
        assert!(resting.holds("late", now + FULL_REST));
    }
}

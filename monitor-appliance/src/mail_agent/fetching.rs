//! Looking for mail: one at a time, filed, then deleted.

use super::filing::{FilingError, discard, file_mail};
use super::{Agent, account_failed, complain};
use crate::store::{Moment, StoreError};
use mailbox::accounts::{Choice, Failure};
use mailbox::{FetchError, FetchSession, Item};
use std::time::Instant;

/// Mails handled in one session. By POP3 deletions count only at its end, so a session must not be too long.
const MAILS_PER_SESSION: usize = 100;

/// Mails that could not be filed, in one session, before it is given up: then it is not the mails, it is the disk.
const FILING_FAILURES_MAX: usize = 3;

/// Most ids remembered of mails that only need deleting.
const DISPENSABLE_MAX: usize = 10_000;

/// What to do with a mail after it was looked at.
enum Fate {
    /// Delete it: everything that it leads to is stored.
    Delete,
    /// Leave it: the server does not give it out just now.
    Leave,
    /// Leave it: it could not be stored.
    Unfiled,
}

/// Whether there is more in the mailbox than one session took.
enum Rest {
    None,
    More,
}

impl Agent {
    /// Looks for mail in the first account that works.
    pub(super) async fn look(&mut self) {
        while let Choice::Use(place) = self.inward.choose(Instant::now()) {
            self.progress.made();
            let Some(account) = self.accounts.get(place).cloned() else { return };
            let session = FetchSession::open(&account, &self.context.settings.mail_limits).await;
            let result = match session {
                Ok(session) => self.empty(session).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(rest) => {
                    self.inward.succeeded(place);
                    let now = self.context.now();
                    self.looked = match rest {
                        Rest::None => Some(now),
                        Rest::More => None,
                    };
                    let noted = self.store.change(move |change| change.note(Moment::LastFetch, now)).await;
                    if let Err(error) = noted {
                        complain("the time of the look for mail could not be stored", &error as &StoreError);
                        self.looked = Some(now);
                    }
                    return;
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
                        if let Err(error) = self.count_junk().await {
                            complain("a mail could not be counted", &error);
                        }
                        continue;
                    }
                    account_failed(&mut self.inward, place, Failure::from(&error));
                }
            }
        }
    }

    async fn empty(&mut self, mut session: FetchSession) -> Result<Rest, FetchError> {
        let items = session.list().await?;
        self.dispensable.retain(|id| items.iter().any(|item| item.id == *id));
        let mut failures = 0;
        for item in items.iter().take(MAILS_PER_SESSION) {
            self.progress.made();
            match self.take(&mut session, item).await? {
                Fate::Delete => match session.delete(std::slice::from_ref(item)).await {
                    Err(error) if error.session_goes_on() => complain("a mail could not be deleted", &error),
                    deleted => deleted?,
                },
                Fate::Leave => {}
                Fate::Unfiled => {
                    failures += 1;
                    if failures == FILING_FAILURES_MAX {
                        break;
                    }
                }
            }
        }
        session.finish().await?;
        Ok(if failures == 0 && items.len() > MAILS_PER_SESSION { Rest::More } else { Rest::None })
    }

    /// Reads and files one mail.
    async fn take(&mut self, session: &mut FetchSession, item: &Item) -> Result<Fate, FetchError> {
        if self.dispensable.contains(&item.id) {
            return Ok(Fate::Delete);
        }
        let filed = match session.retrieve(item).await {
            Ok(raw) => {
                let (context, keys) = (self.context.clone(), self.keys.clone());
                self.store.read(move |store| file_mail(store, &context, &keys, &raw).map(drop)).await
            }
            Err(FetchError::TooLarge { size_octets, limit_octets, .. }) => {
                tracing::warn!(size_octets, limit_octets, "a mail that is too large is deleted unread");
                self.count_junk().await
            }
            Err(FetchError::Gone { .. }) => return Ok(Fate::Leave),
            Err(error) if error.session_goes_on() => {
                complain("a mail could not be read", &error);
                return Ok(Fate::Leave);
            }
            Err(error) => return Err(error),
        };
        match filed {
            Ok(()) => {
                self.dispense(item.id.clone());
                Ok(Fate::Delete)
            }
            Err(error) => {
                complain("a mail stays in the mailbox", &error);
                Ok(Fate::Unfiled)
            }
        }
    }

    async fn count_junk(&self) -> Result<(), FilingError> {
        self.store.read(|store| discard(store).map_err(FilingError::from)).await
    }

    /// Remembers a mail that only needs deleting, should the session break before its deletion counts.
    /// False if it was known before, or there is no room to remember it.
    fn dispense(&mut self, id: String) -> bool {
        self.dispensable.len() < DISPENSABLE_MAX && self.dispensable.insert(id)
    }
}

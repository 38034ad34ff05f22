//! When the mail of each account is looked for: as soon as its server tells of mail, and at its own intervals besides.

use super::{Daemon, ServeError, log_chain, random_number};
use crate::db::Db;
use crate::settings::Settings;
use crate::system::now;
use futures_util::future::select_all;
use mailbox::Account;
use mailbox::accounts::Accounts;
use mailbox::backoff::Backoff;
use mailbox::inbox::{Inbox, LoginBudget, NoticeRules, Standing};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long the good-bye on kept sessions may take when the daemon ends.
const PARTING_MAX: Duration = Duration::from_secs(1);

/// The incoming side of one account.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) inbox: Inbox,
    /// How it fares: one account that rests after failures.
    pub(super) standing: Accounts,
    /// When its mail is looked for next.
    pub(super) due: Instant,
    /// What was stored last of how its mail is noticed.
    noted: Option<Standing>,
}

/// A reader for each account; logins of an earlier run count as well.
///
/// # Errors
/// [`ServeError::Db`].
pub(super) fn readers(
    accounts: &[Account],
    settings: &Settings,
    backoff: Backoff,
    db: &Db,
) -> Result<Vec<Reader>, ServeError> {
    let (begun, now) = (Instant::now(), now());
    let rules = NoticeRules { renew: settings.mail.idle_renew, backoff, ..NoticeRules::default() };
    let reader = |account: &Account| {
        let budget =
            LoginBudget::new(account.settings.logins_per_hour(settings.mail.login_budget(settings.poll)));
        let mut inbox = Inbox::new(account.clone(), settings.mail_limits(), rules, budget, random_number);
        let logins = db.logins_to_fetch(&account.settings.name, now)?;
        inbox.remember_logins(logins.into_iter().map(|at| now.duration_since(at).unsigned_abs()));
        Ok(Reader { inbox, standing: Accounts::new(1, backoff), due: begun, noted: None })
    };
    accounts.iter().map(reader).collect()
}

/// Waits until a server tells of mail; which one. Accounts that are due anyway are not listened to.
async fn told(readers: &mut [Reader], now: Instant) -> usize {
    let listening: Vec<_> = (0..)
        .zip(readers)
        .filter(|(_, reader)| now < reader.due)
        .map(|(nth, reader): (usize, &mut Reader)| {
            Box::pin(async move {
                let news = reader.inbox.news().await;
                tracing::debug!(account = reader.inbox.account().settings.name, ?news, "mail is looked for");
                nth
            })
        })
        .collect();
    if listening.is_empty() {
        return std::future::pending().await;
    }
    select_all(listening).await.0
}

impl Daemon {
    /// Waits for `pause`, or less if a server tells of mail; whether one did.
    pub(super) async fn hear(&mut self, pause: Duration) -> bool {
        match timeout(pause, told(&mut self.readers, Instant::now())).await {
            Ok(nth) => {
                if let Some(reader) = self.readers.get_mut(nth) {
                    reader.due = reader.standing.rest_until(0).unwrap_or_else(Instant::now);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// When mail is looked for next, as far as only the clock tells.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.readers.iter().map(|reader| reader.due).min()
    }

    /// Stores what a look cost, what the server told of the mailbox, and how mail is noticed after it.
    pub(super) fn note_noticing(&mut self, nth: usize) -> Result<(), ServeError> {
        let Some(reader) = self.readers.get_mut(nth) else { return Ok(()) };
        let (logins, standing) = (reader.inbox.take_logins(), reader.inbox.standing());
        if let Some(quota) = reader.inbox.take_quota() {
            self.db.note_quota(&reader.inbox.account().settings.name, quota, now())?;
        }
        if logins > 0 || reader.noted != Some(standing) {
            let name = &reader.inbox.account().settings.name;
            self.db.note_standing(name, logins, standing, now())?;
            reader.noted = Some(standing);
        }
        Ok(())
    }

    /// Stores what sending cost.
    pub(super) fn note_sending(&mut self) -> Result<(), ServeError> {
        let mut counts = BTreeMap::<usize, u32>::new();
        for place in self.outward.kept.take_logins() {
            let count = counts.entry(place).or_default();
            *count = count.saturating_add(1);
        }
        for (place, logins) in counts {
            let Some(account) = self.accounts.get(place) else { continue };
            self.db.note_logins_to_send(&account.settings.name, logins, now())?;
        }
        Ok(())
    }

    /// Ends what is kept open in order, without waiting long.
    pub(super) async fn part(&mut self) {
        let parted = async {
            self.outward.kept.close_all().await;
            for reader in &mut self.readers {
                reader.inbox.close().await;
            }
        };
        if timeout(PARTING_MAX, parted).await.is_err() {
            tracing::debug!("a mail server takes its time to say good-bye");
        }
        for nth in 0..self.readers.len() {
            if let Err(error) = self.note_noticing(nth) {
                log_chain("how mail is noticed could not be stored", &error);
            }
        }
    }
}

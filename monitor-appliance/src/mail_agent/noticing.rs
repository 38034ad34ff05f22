//! Between two looks for mail: the sessions that are kept, what the servers tell over them, and the logins that they cost.

use super::fetching::BATCH_OCTETS_MAX;
use super::{Agent, complain, fullness};
use crate::context::{Context, system_random};
use crate::store::{Change, Store, StoreError};
use mailbox::backoff::Backoff;
use mailbox::inbox::{Inbox, LoginBudget, NoticeRules, Standing};
use mailbox::record::Purpose;
use mailbox::{Account, Limits, Quota};
use std::time::Duration;
use tokio::time::timeout;

/// How long the good-bye on kept sessions may take when the module ends.
const PARTING_MAX: Duration = Duration::from_secs(1);

/// The incoming side of each account; logins of an earlier run count as well.
///
/// # Errors
/// [`StoreError`].
pub(super) fn inboxes(
    context: &Context,
    store: &Store,
    accounts: &[Account],
) -> Result<Vec<Inbox>, StoreError> {
    let settings = &context.settings;
    let limits = &settings.mail_limits;
    let limits = Limits { batch_octets_max: limits.batch_octets_max.min(BATCH_OCTETS_MAX), ..limits.clone() };
    let timers = &settings.timers;
    let rules = NoticeRules {
        renew: settings.mail.idle_renew,
        backoff: Backoff { first: timers.backoff_first, longest: timers.backoff_max },
        ..NoticeRules::default()
    };
    let now = context.now();
    let inbox = |account: &Account| {
        let budget = LoginBudget::new(account.settings.logins_per_hour(settings.mail.login_budget(timers)));
        let mut inbox = Inbox::new(account.clone(), limits.clone(), rules, budget, random_number);
        let logins = store.logins_to_fetch(&account.settings.name, now)?;
        inbox.remember_logins(logins.into_iter().map(|at| now.duration_since(at).unsigned_abs()));
        Ok(inbox)
    };
    accounts.iter().map(inbox).collect()
}

/// What a look cost, how mail is noticed after it, and how full the mailbox is: to be stored.
pub(super) struct Logins {
    account: String,
    logins: u32,
    standing: Standing,
    quota: Option<Quota>,
}

impl Logins {
    pub(super) fn note(&self, change: &Change<'_>, context: &Context) -> Result<(), StoreError> {
        let now = context.now();
        if let Some(quota) = self.quota {
            fullness::note(change, context, &self.account, quota)?;
        }
        change.note_logins(&self.account, Purpose::Fetch, self.logins, now)?;
        change.note_standing(&self.account, self.standing, now)
    }
}

impl Agent {
    /// Waits for `pause`, or less if a server tells of mail.
    pub(super) async fn hear(&mut self, pause: Duration) {
        if self.submissions.next_close().is_some_and(|at| at <= tokio::time::Instant::now()) {
            self.submissions.close_rested().await;
        }
        match self.inboxes.get_mut(self.heard) {
            // What was told stays true until mail was looked for.
            Some(inbox) if !self.told => {
                if let Ok(news) = timeout(pause, inbox.news()).await {
                    tracing::debug!(?news, "mail is looked for");
                    self.told = true;
                }
            }
            _ => tokio::time::sleep(pause).await,
        }
    }

    /// From now on this account tells of mail; what others had open is closed.
    pub(super) async fn listen_to(&mut self, place: usize) {
        self.told = false;
        self.heard = place;
        for (nth, inbox) in self.inboxes.iter_mut().enumerate() {
            if nth != place {
                inbox.close().await;
            }
        }
    }

    pub(super) fn logins_of(&mut self, place: usize) -> Option<Logins> {
        let inbox = self.inboxes.get_mut(place)?;
        Some(Logins {
            account: inbox.account().settings.name.clone(),
            logins: inbox.take_logins(),
            standing: inbox.standing(),
            quota: inbox.take_quota(),
        })
    }

    /// Stores what a look cost that failed.
    pub(super) async fn note_logins(&self, logins: Option<Logins>) {
        let context = self.context.clone();
        let noted =
            self.store.change(move |change| logins.map_or(Ok(()), |logins| logins.note(change, &context)));
        if let Err(error) = noted.await {
            complain("logins could not be counted", &error as &StoreError);
        }
    }

    /// Ends what is kept open in order, without waiting long.
    pub(super) async fn part(&mut self) {
        let parted = async {
            self.submissions.close_all().await;
            for inbox in &mut self.inboxes {
                inbox.close().await;
            }
        };
        if timeout(PARTING_MAX, parted).await.is_err() {
            tracing::debug!("a mail server takes its time to say good-bye");
        }
    }
}

fn random_number() -> u64 {
    let mut octets = [0; 8];
    system_random(&mut octets);
    u64::from_ne_bytes(octets)
}

//! `mail-agent`: the only module that touches the mail. Looks for mail, files it, answers, sends what is due.
//!
//! What a mail is decides [`crate::judge`], what it comes to [`crate::commands`], when to look and to send
//! [`crate::mail_schedule`] and [`crate::outbox`]; here is only the loop around them. It may be killed at any moment:
//! a mail is deleted only after everything that it leads to is durably stored, and a report leaves the outbox only
//! with its receipt.

mod fetching;
mod filing;
mod fullness;
mod noticing;
mod reading_order;
mod sending;
mod spool;

pub use filing::{Filed, FilingError, file_mail};

use crate::clock::{Evidence, PATIENCE};
use crate::context::{Context, system_random};
use crate::freshness::{self, Freshness, NOTHING_FRESH};
use crate::heartbeat::{Progress, beat};
use crate::keyring::{Keyring, KeyringError};
use crate::mail_schedule::{self, SENDINGS_WATCHED, Wake};
use crate::outbox::CLOCK_FLOOR;
use crate::shutdown::Shutdown;
use crate::store::{Change, Moment, SharedStore, StoreError};
use crate::{alarm, health, outbox};
use fetching::{Resting, Suspect};
use jiff::Timestamp;
use mailbox::accounts::{Accounts, Choice, Failure};
use mailbox::backoff::Backoff;
use mailbox::smtp::kept::KeptSubmissions;
use mailbox::{Account, Inbox, PasswordError, TlsClock, TlsTime};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The module's name.
pub const MODULE: &str = "mail-agent";

/// How often the store is asked whether another module has changed it: one small question.
const STORE_POLL: Duration = Duration::from_millis(200);

/// The clock is looked at every so many of these times.
const CLOCK_EVERY: u32 = 3;

/// Rows of the outbox looked at in one turn; the others wait for the next.
const ROWS_PER_TURN: u32 = 200;

/// How often old rows are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Why the module cannot begin. Once it runs, it goes on whatever fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailAgentError {
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The credential, or the roots.
    #[error("the appliance's keys cannot be used")]
    Keyring(#[from] KeyringError),
    /// A mail account's password.
    #[error("the password of mail account {account} cannot be used")]
    Password {
        /// The account's name.
        account: String,
        /// Why.
        source: PasswordError,
    },
}

/// Runs until `shutdown`.
///
/// # Errors
/// [`MailAgentError`] when it cannot begin.
pub async fn run(context: Context, mut shutdown: Shutdown) -> Result<(), MailAgentError> {
    let mut agent = Agent::open(context)?;
    let (context, store, progress) = (agent.context.clone(), agent.store.clone(), agent.progress.clone());
    // One session may last this long, so a silence that is longer means that the loop hangs.
    let silence_max = context.settings.mail_limits.overall.saturating_mul(2);
    tokio::select! {
        () = agent.serve() => {}
        () = beat(&context, &store, MODULE, &progress, silence_max) => {}
        // A turn that is broken off leaves nothing half done: see the page above.
        () = shutdown.requested() => {}
    }
    agent.part().await;
    store.change(|change| change.end_busy(MODULE)).await?;
    Ok(())
}

/// One pass of everything that is due, for a person or a test: sends, looks for mail, and sends the answers.
///
/// # Errors
/// [`MailAgentError`] when it cannot begin.
pub async fn run_once(context: Context) -> Result<(), MailAgentError> {
    let mut agent = Agent::open(context)?;
    for _ in 0..2 {
        agent.pursue_parts().await;
        agent.send_due().await;
        agent.look().await;
    }
    agent.pursue_parts().await;
    agent.send_due().await;
    agent.part().await;
    Ok(())
}

/// The accounts of the settings with their passwords.
///
/// # Errors
/// [`MailAgentError::Password`].
pub fn accounts(context: &Context) -> Result<Vec<Account>, MailAgentError> {
    let open = |entry: &crate::settings::AccountEntry| {
        let mut settings = entry.account.clone();
        settings.ca_file = settings.ca_file.map(|file| context.layout.resolve(&file));
        Account::open(settings, &context.layout.resolve(&entry.password_file))
            .map(|account| account.with_clock(tls_clock(context)))
            .map_err(|source| MailAgentError::Password { account: entry.account.name.clone(), source })
    };
    context.settings.accounts.iter().map(open).collect()
}

/// Certificates are judged by the appliance's own notion of time; see [`crate::clock`].
fn tls_clock(context: &Context) -> TlsClock {
    let context = context.clone();
    Arc::new(move || {
        let clock = context.clock_state();
        let reading = context.reading();
        // The center's word may be far ahead of the truth, and only mail can put it right: after a day without a proof a
        // certificate may also be judged by the box's own clock.
        let floor = match reading.since_boot < PATIENCE {
            true => clock.earliest,
            false => clock.earliest.min(reading.wall.max(CLOCK_FLOOR)),
        };
        TlsTime { now: clock.now.into(), floor: Some(floor.into()), proven: clock.is_credible() }
    })
}

struct Agent {
    context: Context,
    store: SharedStore,
    keys: Keyring,
    accounts: Vec<Account>,
    /// The incoming side of each, with its session as long as one is kept.
    inboxes: Vec<Inbox>,
    /// Connections that wait for the next mail to hand in.
    submissions: KeptSubmissions,
    /// Which account to send by.
    outward: Accounts,
    /// Which account to fetch from.
    inward: Accounts,
    /// When mail was last looked for; lives in memory, so that a restart looks at once.
    looked: Option<Timestamp>,
    /// Whether a server has told of mail that was not looked for yet.
    told: bool,
    /// The account whose mail was fetched last: the one that tells.
    heard: usize,
    /// Mails that need not be read again, only deleted: filed in an earlier session, or known to be unreadable.
    dispensable: HashSet<String>,
    /// Mails that are left alone, since the server does not give them out in order.
    held: HashSet<String>,
    /// Mails that are left alone until it is known what time it is.
    undecided: HashSet<String>,
    /// Large mails for which the disk had no room.
    resting: Resting,
    /// Whether a health report was sent to have its receipt prove the time.
    time_asked: bool,
    /// The mail at which a session broke that read one by one, and whether the next one does so.
    suspect: Suspect,
    pruned: Option<Instant>,
    /// When to look after packages that come in parts; `None` while none does.
    pursue_at: Option<Timestamp>,
    progress: Progress,
    /// Folder name of the release that runs; what works is noted under its name.
    release: String,
}

impl Agent {
    fn open(context: Context) -> Result<Self, MailAgentError> {
        let accounts = accounts(&context)?;
        let keys = Keyring::load(&context)?;
        let mut store = context.open_store()?;
        store.change(|change| change.end_busy(MODULE))?;
        if let Err(error) = spool::Spool::clean(&context) {
            complain("what a large mail left on the disk could not be removed", &error);
        }
        let timers = &context.settings.timers;
        let backoff = Backoff { first: timers.backoff_first, longest: timers.backoff_max };
        Ok(Self {
            keys,
            inboxes: noticing::inboxes(&context, &store, &accounts)?,
            store: SharedStore::new(store),
            submissions: KeptSubmissions::new(context.settings.mail.smtp_keep),
            outward: Accounts::new(accounts.len(), backoff),
            inward: Accounts::new(accounts.len(), backoff),
            accounts,
            looked: None,
            told: false,
            heard: 0,
            dispensable: HashSet::new(),
            held: HashSet::new(),
            undecided: HashSet::new(),
            resting: Resting::default(),
            time_asked: false,
            suspect: Suspect::None,
            pruned: None,
            pursue_at: None,
            progress: Progress::default(),
            release: running_release(&context),
            context,
        })
    }

    async fn serve(&mut self) {
        loop {
            self.progress.made();
            // What others write during the turn is seen after it.
            let version = self.store.read(|store| store.data_version()).await.ok();
            if let Err(error) = self.housekeep().await {
                complain("old rows could not be deleted", &error);
            }
            self.pursue_parts().await;
            self.send_due().await;
            if self.look_is_due().await {
                self.look().await;
                continue;
            }
            self.rest(version).await;
        }
    }

    /// Goes on with packages that come in parts: asks for missing ones, or gives them up.
    async fn pursue_parts(&mut self) {
        let context = self.context.clone();
        let pursued = self.store.read(move |store| filing::pursue(store, &context)).await;
        self.pursue_at = pursued.unwrap_or_else(|error| {
            complain("parts of a package cannot be looked after", &error);
            Some(outbox::after(self.context.now(), self.context.settings.timers.backoff_max))
        });
    }

    async fn send_due(&mut self) {
        let (clock, context) = (self.context.clock_state(), self.context.clone());
        let plan = self.store.read(move |store| {
            let timers = &context.settings.timers;
            let rows = store.outbox_due(clock.now, outbox::due_latest(timers, clock.now), ROWS_PER_TURN)?;
            Ok::<_, StoreError>(outbox::plan(&rows, timers, &clock))
        });
        let result = match plan.await {
            Ok(plan) if plan.is_empty() => return,
            Ok(plan) => self.send(plan).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            complain("the outbox cannot be worked off", &error);
        }
    }

    /// When to wake up, as far as the store can be read.
    async fn next_wake(&self) -> Wake {
        let waiting = self.store.read(|store| store.outbox_next(SENDINGS_WATCHED)).await;
        let mut waiting = waiting.unwrap_or_else(|error| {
            complain("the outbox cannot be read", &error);
            Vec::new()
        });
        let clock = self.context.clock_state();
        if clock.is_doubted() {
            // Nothing is given up now, so nothing wakes for it.
            waiting.iter_mut().for_each(|row| row.expires = row.expires.max(row.due));
        }
        mail_schedule::next_wake(&waiting, self.looked, &self.context.settings.timers, clock.now)
    }

    async fn look_is_due(&self) -> bool {
        (self.told || self.next_wake().await.look <= self.context.now())
            && matches!(self.inward.choose(Instant::now()), Choice::Use(_))
    }

    /// Waits until there is something to do: a timer, a rest that is over, mail that a server tells of, or a row of another
    /// module: one that has changed the store since it had this `version`.
    async fn rest(&mut self, version: Option<i64>) {
        for glance in 1_u32.. {
            self.progress.made();
            self.hear(STORE_POLL).await;
            if self.store.read(|store| store.data_version()).await.ok() != version {
                return;
            }
            if !self.told && !glance.is_multiple_of(CLOCK_EVERY) {
                continue;
            }
            let wake = self.next_wake().await;
            // Read after the wake was told, which may be "now".
            let now = self.context.now();
            let ready = |accounts: &Accounts| matches!(accounts.choose(Instant::now()), Choice::Use(_));
            let look = (self.told || wake.look <= now) && ready(&self.inward);
            let send = wake.send.is_some_and(|send| send <= now) && ready(&self.outward);
            let pursue = self.pursue_at.is_some_and(|at| at <= now);
            if look || send || pursue {
                return;
            }
        }
    }

    /// What is done now and then: deleting old rows, and the health report that nobody asked for.
    async fn housekeep(&mut self) -> Result<(), StoreError> {
        if self.pruned.is_some_and(|pruned| pruned.elapsed() < PRUNE_EVERY) {
            return Ok(());
        }
        self.pruned = Some(Instant::now());
        let context = self.context.clone();
        // A center without a root is of a version that says nothing about the newest release.
        let rooted = self.keys.keys().trusted.is_some();
        self.store
            .read(move |store| {
                let (clock, reading) = (context.clock_state(), context.reading());
                let now = clock.now;
                let (surplus, known) = store.change(|change| {
                    change.prune(&context.settings.retention, clock.for_forgetting(), clock.earliest)?;
                    let surplus = change.expire_surplus(outbox::WAITING_MAX, now)?;
                    Ok::<_, StoreError>((surplus, change.learn_time(&Evidence::Rest, &reading)?))
                })?;
                context.learned_time(known);
                if rooted {
                    store.change(|change| watch_freshness(change, &context))?;
                }
                if surplus > 0 {
                    tracing::warn!(surplus, "reports are given up: too many wait for a receipt");
                }
                let due = store.moment(Moment::LastHealth)?.map(|last| {
                    // A time in the future was written before the clock was set back.
                    last > now || outbox::after(last, context.settings.timers.health_report) <= now
                });
                match due {
                    Some(false) => Ok(()),
                    // The first one goes out at once: it tells the center that the appliance is installed.
                    None | Some(true) => {
                        let report = health::report(store, &context)?;
                        store.change(|change| health::enqueue(change, &context, report, None))
                    }
                }
            })
            .await
    }
}

/// Folder name of the running release; empty for a set-up without one, which has no updates either.
fn running_release(context: &Context) -> String {
    crate::release::Releases::below(context.layout.root()).current_name().unwrap_or_default()
}

/// Tells once when the center has said nothing fresh for too long.
fn watch_freshness(change: &Change<'_>, context: &Context) -> Result<(), StoreError> {
    let clock = context.clock_state();
    if clock.is_doubted() {
        // Neither a beginning nor an end can be told yet.
        return Ok(());
    }
    let now = clock.now;
    let watched = change.first_noted(Moment::FreshWatched, now)?;
    let fresh = change.noted(Moment::Fresh)?;
    let limit = context.settings.freshness;
    match freshness::judge(fresh, watched, limit, now) {
        Freshness::Fresh => Ok(()),
        Freshness::Stale { since } => {
            let text = freshness::description(since, limit);
            alarm::raise(change, context, NOTHING_FRESH, text, since).map(|_| ())
        }
    }
}

/// Notes that an account failed: it rests for a while.
fn account_failed(accounts: &mut Accounts, place: usize, failure: Failure) {
    let mut random = [0; 8];
    system_random(&mut random);
    accounts.failed(place, failure, Instant::now(), u64::from_ne_bytes(random));
}

fn complain(what: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(error, "{what}");
}

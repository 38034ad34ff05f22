//! The connections by which mail goes out: several at once, each with one mail at a time, in tasks of their own.
//!
//! A server that hangs holds up one connection, not the daemon: what is on its way when a pass ends is noted by a later one, and
//! until then is not sent again.

use crate::db::outbox::{Due, OutboxId, Outgoing};
use crate::dkim::{self, Signer};
use crate::sending::{self, ComposeError, MailPlan};
use crate::serve::carrying::Following;
use crate::system::SystemRandom;
use jiff::Timestamp;
use mailbox::smtp::kept::KeptSubmissions;
use mailbox::smtp::{NullPath, Outcome};
use mailbox::{Account, Limits, SendError, Submission};
use mailfmt::crypto::ChannelKey;
use mailfmt::message::Family;
use mailfmt::message::receipt::Latest;
use mailfmt::sequence::Origin;
use mailfmt::slot::AnswerSlot;
use mailfmt::trust::SigningKey;
use mailfmt::{AgentId, CenterId};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// So long no more connections are tried than a server allowed when it refused one.
const REMEMBER_MOST: Duration = Duration::from_secs(600);

/// Mails that are worth another connection.
const MAILS_PER_SESSION: usize = 8;

/// All connections for sending, and what is on its way over them.
#[derive(Debug, Default)]
pub(super) struct Outward {
    /// The account by which mail goes out now: its place in the settings.
    account: usize,
    /// Connections of that account that wait for a mail.
    pub(super) idle: Vec<Submission>,
    /// Connections that rest between two passes.
    pub(super) kept: KeptSubmissions,
    working: JoinSet<Event>,
    /// Recipients whose mail is on its way.
    on_the_way: HashSet<(OutboxId, AgentId)>,
    /// Tasks by account.
    at_work: BTreeMap<usize, usize>,
    /// A server that refused a connection beside others takes no more than so many until then.
    most: Option<(usize, Instant)>,
}

/// What a task ended with.
#[derive(Debug)]
pub(super) enum Event {
    /// A further connection stands, or does not.
    Opened {
        /// The account's place in the settings.
        account: usize,
        /// The connection.
        result: Box<Result<Submission, SendError>>,
    },
    /// A mail was handed in, or not.
    Handed(Box<Handed>),
}

/// What became of one mail.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) account: usize,
    pub(super) plan: MailPlan,
    pub(super) family: Family,
    pub(super) submission: Submission,
    /// Octets of the mail, and what the server said of it.
    pub(super) result: Result<(usize, Outcome), ComposeError>,
    pub(super) null_path: NullPath,
}

/// All that one mail is made of; it is sealed in the moment in which a connection is free for it.
pub(super) struct Job {
    pub(super) plan: MailPlan,
    pub(super) outgoing: Outgoing,
    pub(super) sending: u32,
    pub(super) recipients: Vec<(Due, ChannelKey)>,
    pub(super) center: CenterId,
    pub(super) address: String,
    /// Where it comes back to.
    pub(super) return_path: String,
    pub(super) signer: Option<Arc<SigningKey>>,
    pub(super) origin: Origin,
    pub(super) latest: Option<Latest>,
    /// When its recipients answer.
    pub(super) slot: Option<AnswerSlot>,
    pub(super) following: Following,
    pub(super) date: Timestamp,
    /// Whether the account is known to take no null return path.
    pub(super) refuses_null_path: bool,
    /// By which it is signed for the mail systems on the way.
    pub(super) dkim: Arc<[Signer]>,
}

impl Job {
    async fn hand_in(self, account: usize, mut submission: Submission) -> Event {
        let mail = sending::write_mail(
            &self.outgoing,
            self.sending,
            &self.recipients,
            sending::From {
                center: &self.center,
                address: &self.address,
                signer: self.signer.as_deref(),
                follows: self.origin.follows,
                begins: self.origin.begins,
                date: self.date,
                latest: self.latest.as_ref(),
                slot: self.slot,
            },
            self.following.behind(),
            &mut SystemRandom,
        );
        let mut null_path = NullPath::Fine;
        let result = match mail {
            Err(error) => Err(error),
            Ok(mut mail) => {
                if !self.dkim.is_empty() {
                    mail.raw = Arc::from(dkim::sign(&mail.raw, &self.dkim, self.date));
                }
                let octets = mail.raw.len();
                // RFC 3834 section 3.3: an automatic answer has the null return path, so that it never bounces.
                let outcome = if self.outgoing.family == Family::Receipt && !self.refuses_null_path {
                    let (outcome, found) = submission.send_unreturned(mail, &self.address).await;
                    null_path = found;
                    outcome
                } else {
                    mail.return_path = Some(self.return_path);
                    submission.send(&mail).await
                };
                Ok((octets, outcome))
            }
        };
        let family = self.outgoing.family;
        Event::Handed(Box::new(Handed { account, plan: self.plan, family, submission, result, null_path }))
    }
}

impl Outward {
    /// No connection yet; those that are free rest for so long between two passes.
    pub(super) fn keeping_for(rest: Duration) -> Self {
        Self { kept: KeptSubmissions::new(rest), ..Self::default() }
    }

    /// Sends by this account from now on. Answers whether it has a connection, at a mail or free.
    pub(super) fn turn_to(&mut self, account: usize) -> bool {
        if self.account != account {
            self.rest();
            self.account = account;
        }
        self.open() > 0
    }

    /// Connections of the account that are open or are being opened.
    fn open(&self) -> usize {
        self.idle.len().saturating_add(self.at_work.get(&self.account).copied().unwrap_or(0))
    }

    /// Takes back a connection that has nothing to do.
    pub(super) fn free(&mut self, account: usize, submission: Submission) {
        if submission.is_broken() {
            return;
        }
        if account == self.account {
            self.idle.push(submission);
        } else {
            self.kept.put_back(account, submission);
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.working.is_empty()
    }

    /// Whether a mail to this recipient is on its way.
    pub(super) fn carries(&self, due: &Due) -> bool {
        self.on_the_way.contains(&(due.outbox, due.agent.clone()))
    }

    /// Gives a mail to a free connection.
    pub(super) fn begin(&mut self, submission: Submission, job: Job) {
        let account = self.account;
        self.count_task(account);
        self.on_the_way.extend(job.plan.recipients.iter().map(|due| (due.outbox, due.agent.clone())));
        self.working.spawn(job.hand_in(account, submission));
    }

    /// Opens further connections where so many mails wait that they are worth it, and the server is not known to refuse them.
    pub(super) fn widen(&mut self, account: &Account, limits: &Limits, waiting: usize, allowed: usize) {
        let allowed = match self.most {
            Some((most, until)) if Instant::now() < until => allowed.min(most),
            _ => allowed,
        };
        let wanted = waiting.div_ceil(MAILS_PER_SESSION).min(allowed);
        while self.open() < wanted {
            let place = self.account;
            self.count_task(place);
            let (account, limits) = (account.clone(), limits.clone());
            self.working.spawn(async move {
                let result = Box::new(Submission::connect(&account, &limits).await);
                Event::Opened { account: place, result }
            });
        }
    }

    /// The next thing that happened; `None` where nothing is on its way, or nothing happens for so long.
    pub(super) async fn next(&mut self, patience: Duration) -> Option<Event> {
        loop {
            let ended = tokio::time::timeout(patience, self.working.join_next()).await.ok()??;
            match ended {
                Ok(event) => return Some(self.note(event)),
                // The connection is lost with its task; the mail counts as not noted, and goes out again after the next start.
                Err(error) => tracing::error!(%error, "a mail could not be handed in: its task failed"),
            }
        }
    }

    fn note(&mut self, event: Event) -> Event {
        let account = match &event {
            Event::Opened { account, result } => {
                if result.is_ok() {
                    self.kept.note_login(*account);
                }
                *account
            }
            Event::Handed(handed) => {
                for due in &handed.plan.recipients {
                    self.on_the_way.remove(&(due.outbox, due.agent.clone()));
                }
                handed.account
            }
        };
        if let Some(tasks) = self.at_work.get_mut(&account) {
            *tasks = tasks.saturating_sub(1);
        }
        event
    }

    fn count_task(&mut self, account: usize) {
        let tasks = self.at_work.entry(account).or_default();
        *tasks = tasks.saturating_add(1);
    }

    /// A connection was refused or broke while others stand: no more than these for a while. Answers whether others stand.
    pub(super) fn stays_with_fewer(&mut self) -> bool {
        let others = self.open();
        if others > 0 {
            self.most = Some((others, Instant::now() + REMEMBER_MOST));
        }
        others > 0
    }

    /// Lets the free connections rest until the next mail.
    pub(super) fn rest(&mut self) {
        for submission in self.idle.drain(..) {
            self.kept.put_back(self.account, submission);
        }
    }
}

//! Sockets and waiting around an attempt: sends what is due, looks for mail, does what the attempt says.

use super::attempt::{Action, Attempt, Event, Notice, Stage};
use super::state_file::{StateFile, StateFileError, Stored};
use crate::context::system_random;
use jiff::Timestamp;
use mailbox::{
    Account, FetchError, FetchSession, Limits, LoginError, OutgoingMail, RecipientOutcome, SendError,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Octets of the largest mail looked at; an admission is far below.
const MAIL_OCTETS_MAX: u64 = 8 << 20;

/// Mails read in one look; the newest first, since the answer comes after the question.
const MAILS_PER_LOOK: usize = 100;

/// Most ids remembered of mails that are none of ours.
const FOREIGN_MAX: usize = 100_000;

/// How often, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Pause before what is not answered is sent again; doubles each time. Default 1 min.
    pub resend_first: Duration,
    /// Longest such pause. Default 30 min.
    pub resend_longest: Duration,
    /// Pause after a mail could not be handed in; doubles each time. Default 5 s.
    pub failure_first: Duration,
    /// Longest such pause. Default 5 min.
    pub failure_longest: Duration,
    /// Pause between two looks for mail while somebody stands there. Default 5 s.
    pub look: Duration,
    /// The same after [`Pace::look_slowly_after`]. Default 1 min.
    pub look_slowly: Duration,
    /// Default 15 min.
    pub look_slowly_after: Duration,
    /// How long to wait for the admission in all; `None`: for ever.
    pub patience: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            resend_first: secs(60),
            resend_longest: secs(30 * 60),
            failure_first: secs(5),
            failure_longest: secs(5 * 60),
            look: secs(5),
            look_slowly: secs(60),
            look_slowly_after: secs(15 * 60),
            patience: Some(secs(10 * 60)),
        }
    }
}

/// How an exchange ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Admitted: [`Attempt::stage`] holds the admission, and it is stored.
    Admitted,
    /// No answer within the patience; the attempt is stored and can go on.
    NoAnswer,
}

/// What a person is shown while waiting; told about once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Whether the center knows the code already.
    pub offered: bool,
    /// Since when the mail server has our last mail; `None` if it could not be handed in.
    pub asked: Option<Duration>,
    /// When mail is looked for again.
    pub next_look: Duration,
    /// What does not work just now.
    pub trouble: Option<String>,
}

/// An exchange that cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The attempt cannot be stored.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The password is wrong, or the account locked. Trying on would lock it.
    #[error("the mail server refuses the login")]
    Login(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs the exchange until the admission, or until the patience is over. `clock` reads the time; `watch` is told how it goes.
///
/// # Errors
/// [`ExchangeError`]; what fails for a time is tried again.
pub async fn exchange(
    stored: &mut Stored,
    file: &StateFile,
    account: &Account,
    limits: &Limits,
    pace: &Pace,
    clock: &(dyn Fn() -> Timestamp + Sync),
    watch: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Ended, ExchangeError> {
    file.store(stored)?;
    let limits =
        Limits { message_octets_max: limits.message_octets_max.min(MAIL_OCTETS_MAX), ..limits.clone() };
    let mut run = Run {
        stored,
        file,
        account,
        limits,
        clock,
        foreign: HashSet::new(),
        fetch_trouble: None,
        send_trouble: None,
    };
    let begun = Instant::now();
    let mut look_at = begun;
    loop {
        if let Stage::Admitted { .. } = run.stored.attempt.stage() {
            return Ok(Ended::Admitted);
        }
        let now = clock();
        if run.stored.attempt.due(pace, now).is_some_and(|due| due <= now) {
            run.send().await?;
            continue;
        }
        if look_at <= Instant::now() {
            if run.look().await? {
                continue;
            }
            let slowly = begun.elapsed() >= pace.look_slowly_after;
            look_at = Instant::now() + if slowly { pace.look_slowly } else { pace.look };
        }
        let rest = pace.patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            return Ok(Ended::NoAnswer);
        }
        let next_look = look_at.saturating_duration_since(Instant::now());
        watch(&run.progress(next_look));
        let nap = next_look.min(Duration::from_secs(1)).min(rest.unwrap_or(Duration::MAX));
        tokio::time::sleep(nap).await;
    }
}

struct Run<'a> {
    stored: &'a mut Stored,
    file: &'a StateFile,
    account: &'a Account,
    limits: Limits,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// Mails that are none of ours; they stay in the mailbox and are not read again.
    foreign: HashSet<String>,
    fetch_trouble: Option<String>,
    send_trouble: Option<String>,
}

impl Run<'_> {
    fn attempt(&self) -> &Attempt {
        &self.stored.attempt
    }

    fn progress(&self, next_look: Duration) -> Progress {
        let asked = self
            .attempt()
            .asked()
            .map(|at| Duration::try_from((self.clock)().duration_since(at)).unwrap_or_default());
        Progress {
            offered: matches!(self.attempt().stage(), Stage::Registering { .. }),
            asked,
            next_look,
            trouble: self.send_trouble.clone().or_else(|| self.fetch_trouble.clone()),
        }
    }

    async fn send(&mut self) -> Result<(), ExchangeError> {
        for action in self.stored.attempt.handle(Event::Due, (self.clock)(), &mut system_random) {
            let Action::Send(raw) = action else { continue };
            let order = self.attempt().order();
            let mail = OutgoingMail {
                return_path: Some(order.address.clone()),
                recipients: vec![order.center_address.clone()],
                raw: Arc::from(raw),
            };
            let sent = mailbox::smtp::send(self.account, &self.limits, &mail).await;
            let event = match sent {
                Ok(outcomes) => match outcomes.into_iter().next() {
                    Some((_, RecipientOutcome::Refused(reply) | RecipientOutcome::Deferred(reply))) => {
                        self.send_trouble =
                            Some(format!("the mail server does not take mail to the center: {reply}"));
                        Event::NotHandedIn
                    }
                    Some((_, RecipientOutcome::Accepted)) | None => {
                        self.send_trouble = None;
                        Event::HandedIn
                    }
                },
                Err(error @ (SendError::LoginRefused { .. } | SendError::Login(LoginError::Credentials))) => {
                    return Err(ExchangeError::Login(Box::new(error)));
                }
                Err(error) => {
                    self.send_trouble = Some(in_full(&error));
                    Event::NotHandedIn
                }
            };
            let actions = self.stored.attempt.handle(event, (self.clock)(), &mut system_random);
            self.carry_out(&actions)?;
        }
        Ok(())
    }

    /// Looks for mail. True if the attempt went on.
    async fn look(&mut self) -> Result<bool, ExchangeError> {
        match self.read_mailbox().await {
            Ok(went_on) => {
                self.fetch_trouble = None;
                went_on
            }
            Err(error @ (FetchError::LoginRefused { .. } | FetchError::Login(LoginError::Credentials))) => {
                Err(ExchangeError::Login(Box::new(error)))
            }
            Err(error) => {
                if let FetchError::Unreadable { id, .. } = &error {
                    self.foreign.insert(id.clone());
                }
                self.fetch_trouble = Some(in_full(&error));
                Ok(false)
            }
        }
    }

    async fn read_mailbox(&mut self) -> Result<Result<bool, ExchangeError>, FetchError> {
        let mut session = FetchSession::open(self.account, &self.limits).await?;
        let items = session.list().await?;
        let unread = items.iter().rev().filter(|item| !self.foreign.contains(&item.id));
        let unread: Vec<_> = unread.take(MAILS_PER_LOOK).cloned().collect();
        let mut went_on = false;
        for item in unread {
            let before = self.attempt().stage().clone();
            let actions = match session.retrieve(&item).await {
                Ok(raw) => self.stored.attempt.handle(Event::Mail(&raw), (self.clock)(), &mut system_random),
                Err(error) if error.session_goes_on() => Vec::new(),
                Err(error) => return Err(error),
            };
            if let Err(error) = self.carry_out(&actions) {
                return Ok(Err(error));
            }
            went_on |= *self.attempt().stage() != before;
            if actions.contains(&Action::Delete) {
                match session.delete(std::slice::from_ref(&item)).await {
                    Err(error) if error.session_goes_on() => {}
                    deleted => deleted?,
                }
            } else if self.foreign.len() < FOREIGN_MAX {
                self.foreign.insert(item.id);
            }
        }
        // What was taken in is stored; a good-bye that fails only brings a mail again that is known.
        if let Err(error) = session.finish().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the mailbox was not left in order");
        }
        Ok(Ok(went_on))
    }

    fn carry_out(&mut self, actions: &[Action]) -> Result<(), ExchangeError> {
        for action in actions {
            match action {
                Action::Store => self.file.store(self.stored)?,
                Action::Tell(notice @ (Notice::Bounced { .. } | Notice::Unusable { .. })) => {
                    self.send_trouble = Some(notice.to_string());
                }
                // Sent and deleted where the connections are.
                Action::Send(_) | Action::Delete => {}
            }
        }
        Ok(())
    }
}

/// An error with its causes and what to do.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    if let Some(advice) = mailbox::advice(error) {
        text += &format!("; {advice}");
    }
    text
}

//! One account's incoming mail, with its session kept from one look to the next as long as the server plays along: new mail
//! is noticed at once, and a look costs no login.
//!
//! Who looks for mail borrows the session with [`Inbox::open`] and gives it back with [`Inbox::keep`]; one that broke on the
//! way is dropped. Between two looks [`Inbox::news`] waits. When looks are due besides, decides the caller: some servers
//! promise to tell of mail and never do.

pub mod logins;
pub mod notice;
mod noticing;

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

pub use logins::LoginBudget;
pub use notice::{Manner, Notice, NoticeRules};
pub use noticing::Noticing;

use crate::{
    account::Account,
    fetch::{FetchError, FetchSession, PostStream},
    imap::ImapSession,
    limits::Limits,
    login_error::LoginError,
    quota::Quota,
};

/// A kept session that does not answer so soon is taken for dead: a new one is quicker.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How often a mailbox is asked how full it is.
const QUOTA_EVERY: Duration = Duration::from_secs(4 * 3600);

/// A server that ends IDLE by itself earlier than this does not want it; many do after half an hour.
const ENDED_BY_ITSELF_MIN: Duration = Duration::from_secs(60);

/// Why to look for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The server says that there is mail.
    Mail,
    /// The wait has lasted long enough: the look keeps the session alive.
    Renew,
    /// The session was lost, and it is time for another.
    Lost,
}

/// How mail is noticed, for a person to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// In which manner.
    pub manner: Manner,
    /// Whether a session is open just now; with [`Manner::PerLook`] none ever is between two looks.
    pub session_open: bool,
}

/// The incoming side of one account.
#[derive(Debug)]
pub struct Inbox {
    account: Account,
    limits: Limits,
    notice: Notice,
    budget: LoginBudget,
    waiting: Option<Waiting>,
    /// Logins that [`Inbox::take_logins`] has not told yet.
    untold_logins: u32,
    /// Whether the look at hand was called for by the server, or is the first of its session.
    called: bool,
    /// When the mailbox was asked how full it is.
    quota_asked: Option<Instant>,
    /// What it said, until [`Inbox::take_quota`] has told it.
    untold_quota: Option<Quota>,
    random: fn() -> u64,
}

#[derive(Debug)]
struct Waiting {
    session: Box<ImapSession<PostStream>>,
    since: tokio::time::Instant,
    until: tokio::time::Instant,
}

impl Inbox {
    /// Connects to nothing yet. `random` gives numbers that are evenly spread over all of `u64`.
    pub fn new(
        account: Account,
        limits: Limits,
        rules: NoticeRules,
        budget: LoginBudget,
        random: fn() -> u64,
    ) -> Self {
        let notice = Notice::new(account.settings.fetch, rules);
        Self {
            account,
            limits,
            notice,
            budget,
            waiting: None,
            untold_logins: 0,
            called: false,
            quota_asked: None,
            untold_quota: None,
            random,
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// How mail is noticed now.
    pub fn standing(&self) -> Standing {
        Standing { manner: self.notice.manner(now()), session_open: self.waiting.is_some() }
    }

    /// In whose manner the caller's clock has to call for looks: IDLE is trusted once the server has told of mail by it.
    pub fn clock(&self) -> Manner {
        self.notice.clock(now())
    }

    /// Logins that were made since this was asked last.
    pub fn take_logins(&mut self) -> u32 {
        std::mem::take(&mut self.untold_logins)
    }

    /// How full the mailbox is, each time that it was asked: once in a few hours, over the session that is there.
    pub fn take_quota(&mut self) -> Option<Quota> {
        self.untold_quota.take()
    }

    /// A session to look for mail with: the kept one if it still answers, else a new one. That a kept one has died is no
    /// failure.
    ///
    /// # Errors
    /// [`FetchError::TooManyLogins`] when a new one would go beyond the budget, else as from [`FetchSession::open`].
    pub async fn open(&mut self) -> Result<FetchSession, FetchError> {
        if let Some(Waiting { mut session, .. }) = self.waiting.take() {
            match resume(&mut session).await {
                Ok(()) => {
                    if session.has_news() {
                        self.notice.told();
                        self.called = true;
                    }
                    return Ok(FetchSession::Imap(session));
                }
                Err(error) => self.note_loss(&error),
            }
        }
        let wait = self.budget.next(now()).saturating_duration_since(now());
        if !wait.is_zero() {
            return Err(FetchError::TooManyLogins { per_hour_max: self.budget.per_hour_max(), wait });
        }
        let opened = FetchSession::open(&self.account, &self.limits).await;
        // What failed before the server was asked to let us in is no login.
        if matches!(
            &opened,
            Ok(_)
                | Err(FetchError::LoginRefused { .. }
                    | FetchError::Login(LoginError::TokenRefused(_))
                    | FetchError::Login(LoginError::Sasl(_)))
                | Err(FetchError::Busy { .. } | FetchError::Refused { .. })
        ) {
            self.budget.note(now());
            self.untold_logins = self.untold_logins.saturating_add(1);
        }
        let session = opened?;
        let offers_idle = matches!(&session, FetchSession::Imap(session) if session.offers_idle());
        self.notice.opened(now(), offers_idle);
        // What lay there before is no mail that it should have told of.
        self.called = true;
        Ok(session)
    }

    /// Takes a session back after a look: keeps it waiting where that is of use, else ends it in order.
    ///
    /// # Errors
    /// Only by POP3, when the server does not confirm: the deletions may not have counted.
    pub async fn keep(&mut self, mut session: FetchSession) -> Result<(), FetchError> {
        let called = std::mem::take(&mut self.called);
        if self.quota_asked.is_none_or(|asked| asked + QUOTA_EVERY <= now()) {
            self.quota_asked = Some(now());
            match session.quota().await {
                Ok(quota) => self.untold_quota = Some(quota),
                // Everything that the look was for is done.
                Err(error) => {
                    self.note_loss(&error);
                    return Ok(());
                }
            }
        }
        let mut session = match session {
            FetchSession::Pop3(_) => return session.finish().await,
            FetchSession::Imap(session) => session,
        };
        // Some servers offer IDLE and then say nothing. Mail that comes in the moment of a look is not often enough for that.
        if session.take_surprise() && !called && self.notice.manner(now()) == Manner::Idle {
            self.notice.found_untold(now());
        }
        let renew = self.notice.renew();
        let manner = self.notice.manner(now());
        let begun = match manner {
            Manner::PerLook => {
                if let Err(error) = session.logout().await {
                    tracing::debug!(%error, "the mail server did not end the session in order");
                }
                return Ok(());
            }
            // What was told meanwhile would not be told again.
            Manner::Idle if !session.has_news() => match session.begin_idle(renew).await {
                Err(error @ FetchError::Refused { .. }) => {
                    tracing::info!(account = self.account.settings.name, %error, "the mail server refuses IDLE");
                    self.notice.idle_refused(now());
                    session.begin_quiet(renew)
                }
                begun => begun,
            },
            Manner::Idle | Manner::Asking => session.begin_quiet(renew),
        };
        match begun {
            Ok(()) => {
                let since = tokio::time::Instant::now();
                self.waiting = Some(Waiting { session, since, until: since + renew });
            }
            Err(error) => self.note_loss(&error),
        }
        Ok(())
    }

    /// Waits until it is worth while to look for mail; for ever where only the clock tells. May be dropped at any time and
    /// called again. Each piece of news is told once: when the look fails, the caller has to remember that it is due.
    pub async fn news(&mut self) -> News {
        while let Some(waiting) = &mut self.waiting {
            let idled = waiting.session.is_idling();
            let heard = tokio::select! {
                biased;
                heard = waiting.session.listen() => heard,
                () = sleep_until(waiting.until) => return News::Renew,
            };
            if let Err(error) = heard {
                self.waiting = None;
                self.note_loss(&error);
            } else if waiting.session.has_news() {
                self.called = true;
                self.notice.told();
                return News::Mail;
            } else if !idled || waiting.since.elapsed() >= ENDED_BY_ITSELF_MIN {
                return News::Renew;
            } else {
                // It ends IDLE as soon as it has begun.
                self.notice.idle_refused(now());
                if waiting.session.begin_quiet(self.notice.renew()).is_err() {
                    return News::Renew;
                }
            }
        }
        match self.notice.reopen() {
            Some(at) => {
                sleep_until(at.max(self.budget.next(at)).into()).await;
                self.notice.reopening();
                News::Lost
            }
            None => std::future::pending().await,
        }
    }

    /// Ends the kept session in order, without waiting long for the server.
    pub async fn close(&mut self) {
        if let Some(Waiting { session, .. }) = self.waiting.take()
            && !matches!(tokio::time::timeout(ANSWER_MAX, session.logout()).await, Ok(Ok(())))
        {
            tracing::debug!("the mail server did not end the kept session in order");
        }
    }

    /// Counts logins of an earlier run, so that a program that starts again and again stays within the limit. `ages`: how
    /// long ago each was, the oldest first.
    pub fn remember_logins(&mut self, ages: impl IntoIterator<Item = Duration>) {
        for at in ages.into_iter().filter_map(|age| now().checked_sub(age)) {
            self.budget.note(at);
        }
    }

    fn note_loss(&mut self, error: &FetchError) {
        self.notice.lost(now(), (self.random)());
        tracing::info!(
            account = self.account.settings.name,
            error = error as &dyn std::error::Error,
            "the kept mail session was lost"
        );
    }
}

/// Makes a waiting session ready for commands, or finds out that it is gone.
async fn resume(session: &mut ImapSession<PostStream>) -> Result<(), FetchError> {
    session.end_wait(ANSWER_MAX).await?;
    session.take_surprise();
    if !session.has_news() {
        // Where nothing was told, there may be mail all the same, and some servers show it only to who opens the mailbox anew.
        tokio::time::timeout(ANSWER_MAX, session.select_again())
            .await
            .map_err(|_| FetchError::Timeout { during: "selecting INBOX" })??;
    }
    Ok(())
}

/// By tokio's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

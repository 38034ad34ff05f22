//! Handing in what is due: sealed at the moment of sending, over several connections at once.

use super::outward::{Event, Handed, Job};
use super::{Daemon, ServeError, chain, log_chain, random_number};
use crate::db::outbox::{OutboxId, Outgoing, Try};
use crate::db::spent::SpentId;
use crate::sending::{self, MailPlan};
use crate::system::now;
use mailbox::SendError;
use mailbox::accounts::{Choice, Failure};
use mailbox::smtp::NullPath;
use mailfmt::AgentId;
use mailfmt::mail::Form;
use mailfmt::message::Family;
use mailfmt::sequence::{Origin, epoch_of};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Results are noted together, so that thousands of small mails do not each wait for the disk. What a crash loses of
/// this goes out twice, under the same message id.
const NOTE_EVERY: usize = 64;

/// Recipients looked up for every mail that one pass may send: most mails have one, those of a rollout hundreds, and between two
/// passes the connections stand idle. What is too many is looked up again.
const RECIPIENTS_LOOKED_UP: usize = 20;

/// So long a pass waits for mail servers that do not answer; what is on its way then is noted by a later one.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) type Tries = Vec<(OutboxId, AgentId, Try)>;

/// What one pass has learnt and not yet noted.
#[derive(Default)]
struct Round {
    tries: Tries,
    forms: Vec<(OutboxId, AgentId, Form)>,
    sent: usize,
    origins: BTreeMap<u32, Origin>,
    counted: Vec<SpentId>,
}

impl Daemon {
    /// Sends what is due, most urgent first, over the first account that works; how many mails went out, and whether
    /// more are due or still on their way.
    pub(super) async fn send_due(
        &mut self,
        stop: &watch::Receiver<bool>,
    ) -> Result<(usize, bool), ServeError> {
        let mut round = Round::default();
        self.gather(&mut round, Duration::ZERO).await?;
        let wanted = self.settings.sends_per_pass.saturating_mul(RECIPIENTS_LOOKED_UP);
        let mut due = self.db.due(now(), wanted)?;
        let all_seen = due.len() < wanted;
        due.retain(|due| !self.outward.carries(due));
        let per_mail = self.budget.recipients_of_one_mail(self.settings.recipients_per_mail);
        let mut plans = VecDeque::from(sending::plan(&due, per_mail));
        let more = plans.len() > self.settings.sends_per_pass || !all_seen;
        plans.truncate(self.settings.sends_per_pass);
        let mut overtaken = false;
        if plans.is_empty() {
            self.gather(&mut round, PATIENCE).await?;
        } else if let Some(account) = self.connect().await {
            let plans = self.within_budget(account, plans)?;
            overtaken = self.hand_in(account, plans, &mut round, stop).await?;
            self.outward.rest();
        }
        self.note(&mut round)?;
        self.give_back()?;
        self.outward.kept.close_rested().await;
        // Where nothing went out, trying again at once would not help.
        Ok((round.sent, ((more || overtaken) && round.sent > 0) || !self.outward.is_quiet()))
    }

    /// Hands mails in until all are on their way and those before have ended; answers whether it ended early because another
    /// process changed something.
    async fn hand_in(
        &mut self,
        account: usize,
        mut plans: VecDeque<MailPlan>,
        round: &mut Round,
        stop: &watch::Receiver<bool>,
    ) -> Result<bool, ServeError> {
        let mail_octets = match self.outward.idle.first() {
            Some(submission) => self.mail_octets_max(account, submission)?,
            // All connections are still at a mail of the pass before.
            None => self.settings.mail_out_octets_max,
        };
        let refuses_null_path = self.refuses_null_path(account)?;
        let mut begun: Option<BTreeMap<OutboxId, Outgoing>> = None;
        let mut handed = false;
        loop {
            while !plans.is_empty() && !*stop.borrow() {
                let Some(submission) = self.outward.idle.pop() else { break };
                // Somebody may have been suspended in this moment: what is due and the keys are looked up anew.
                if handed && Some(self.db.foreign_changes()?) != self.keys.version {
                    self.outward.idle.push(submission);
                    self.gather(round, PATIENCE).await?;
                    return Ok(true);
                }
                if begun.is_none() {
                    begun = Some(self.begin(&plans)?);
                }
                let Some(plan) = plans.pop_front() else { break };
                let outgoing = begun.as_mut().and_then(|begun| begun.get_mut(&plan.outbox));
                let job = match outgoing {
                    Some(outgoing) => {
                        // Counted before the first is composed, so that no two mails ever share a Message-ID.
                        outgoing.sendings = outgoing.sendings.saturating_add(1);
                        let outgoing = outgoing.clone();
                        self.job(plan, outgoing, mail_octets, refuses_null_path, round)?
                    }
                    None => None,
                };
                match job {
                    Some(job) => {
                        self.outward.begin(submission, job);
                        handed = true;
                    }
                    None => self.outward.idle.push(submission),
                }
            }
            if !self.sending_goes_on(account) || *stop.borrow() {
                plans.clear();
            }
            if let Some(settings) = self.accounts.get(account).filter(|_| !plans.is_empty()) {
                let limits = self.settings.mail_limits();
                let allowed = self.settings.submission_sessions;
                self.outward.widen(settings, &limits, plans.len(), allowed);
            }
            // Where all connections hang, mail is still to be read.
            let Some(event) = self.outward.next(PATIENCE).await else { return Ok(!plans.is_empty()) };
            self.take_in(event, round)?;
            if round.tries.len() >= NOTE_EVERY {
                self.note(round)?;
            }
        }
    }

    /// Takes in what has ended, until nothing is on its way or nothing happens for so long.
    async fn gather(&mut self, round: &mut Round, patience: Duration) -> Result<(), ServeError> {
        while let Some(event) = self.outward.next(patience).await {
            self.take_in(event, round)?;
            if round.tries.len() >= NOTE_EVERY {
                self.note(round)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, round: &mut Round) -> Result<(), ServeError> {
        self.db.settle_spent(&round.counted, &[], now())?;
        round.counted.clear();
        if !round.tries.is_empty() {
            self.db.record_tries(&round.tries, now())?;
            self.db.note_forms(&round.forms, now())?;
            round.tries.clear();
            round.forms.clear();
        }
        Ok(())
    }

    fn take_in(&mut self, event: Event, round: &mut Round) -> Result<(), ServeError> {
        match event {
            Event::Opened { account, result } => match *result {
                Ok(submission) => self.outward.free(account, submission),
                Err(error) => {
                    if self.outward.stays_with_fewer() {
                        tracing::debug!(error = chain(&error), "the mail server takes no further connection");
                    } else {
                        self.account_failed(account, &error);
                    }
                }
            },
            Event::Handed(handed) => self.take_in_mail(*handed, round)?,
        }
        Ok(())
    }

    fn take_in_mail(&mut self, handed: Handed, round: &mut Round) -> Result<(), ServeError> {
        let Handed { account, plan, family, submission, result, null_path } = handed;
        if null_path == NullPath::Refused {
            self.learn_null_path(account)?;
        }
        round.counted.extend(self.counted(&plan));
        let broken = submission.is_broken();
        match result {
            Ok((octets, Ok(outcomes))) => {
                round.sent = round.sent.saturating_add(1);
                self.sending.succeeded(account);
                self.learn_way_limits(&plan, octets, &outcomes)?;
                // A receipt is never answered, so nothing follows from how it went.
                if family != Family::Receipt {
                    round.forms.extend(sending::forms(&plan, &outcomes));
                }
                round.tries.extend(sending::answers(&plan, &outcomes, now(), &self.settings));
            }
            Ok((octets, Err(error))) => {
                log_chain("a mail could not be handed in", &error);
                self.learn_limit(account, octets, &error)?;
                round.tries.extend(sending::failure(&plan, &error, now(), &self.settings));
                if broken && !self.outward.stays_with_fewer() {
                    self.account_failed(account, &error);
                }
            }
            Err(error) => {
                log_chain("a message cannot be made into a mail", &error);
                round.tries.extend(sending::unsendable(&plan, &chain(&error)));
            }
        }
        self.outward.free(account, submission);
        Ok(())
    }

    fn account_failed(&mut self, account: usize, error: &SendError) {
        let name = self.accounts.get(account).map_or("", |account| account.settings.name.as_str());
        log_chain(&format!("cannot send over account {name:?}; trying again later"), error);
        self.sending.failed(account, Failure::from(error), Instant::now(), random_number());
    }

    /// Whether this account is still the one to send by.
    fn sending_goes_on(&self, account: usize) -> bool {
        self.sending.choose(Instant::now()) == Choice::Use(account)
    }

    /// The first account that lets us in, with a connection that is free or at a mail; the others rest for a while.
    async fn connect(&mut self) -> Option<usize> {
        for _ in 0..self.accounts.len() {
            let Choice::Use(nth) = self.sending.choose(Instant::now()) else { return None };
            if self.outward.turn_to(nth) {
                return Some(nth);
            }
            let account = self.accounts.get(nth)?;
            match self.outward.kept.connect(nth, account, &self.settings.mail_limits()).await {
                Ok(lent) => {
                    self.outward.idle.push(lent.submission);
                    return Some(nth);
                }
                Err(error) => self.account_failed(nth, &error),
            }
        }
        None
    }

    /// Counts the mails of this round, and reads their messages.
    fn begin(&mut self, plans: &VecDeque<MailPlan>) -> Result<BTreeMap<OutboxId, Outgoing>, ServeError> {
        let mut counts = BTreeMap::<_, u32>::new();
        for plan in plans {
            let count = counts.entry(plan.outbox).or_default();
            *count = count.saturating_add(1);
        }
        Ok(self.db.begin_sendings(&counts)?)
    }

    fn refuses_null_path(&self, account: usize) -> Result<bool, ServeError> {
        match self.accounts.get(account) {
            Some(account) => Ok(self.db.refuses_null_path(&account.settings.name, now())?),
            None => Ok(false),
        }
    }

    fn learn_null_path(&mut self, account: usize) -> Result<(), ServeError> {
        let Some(account) = self.accounts.get(account) else { return Ok(()) };
        let name = account.settings.name.clone();
        tracing::info!(
            account = name,
            "this account takes no null return path: receipts go out with our address there"
        );
        Ok(self.db.learn_null_path_refused(&name, now())?)
    }

    /// All that the mail of a plan is made of; `None` where there is none now, or (after a note of why) never will be.
    fn job(
        &mut self,
        plan: MailPlan,
        outgoing: Outgoing,
        mail_octets: u64,
        refuses_null_path: bool,
        round: &mut Round,
    ) -> Result<Option<Job>, ServeError> {
        let sending = outgoing.sendings;
        // How a package is cut may have been decided by the mail before.
        let outgoing = match outgoing.package {
            Some(_) => self.db.outgoing(plan.outbox)?,
            None => Some(outgoing),
        };
        let Some(outgoing) = outgoing else { return Ok(None) };
        let mut recipients = Vec::with_capacity(plan.recipients.len());
        for due in &plan.recipients {
            let key = match outgoing.family {
                Family::Enrolment => self.db.enrolment_key(plan.outbox)?,
                Family::Command | Family::Report | Family::Receipt => {
                    self.keys.outgoing.get(&due.agent).cloned()
                }
            };
            recipients.extend(key.map(|key| (due.clone(), key)));
        }
        if recipients.len() != plan.recipients.len() {
            // An appliance came or went in this moment; the next round has its keys.
            return Ok(None);
        }
        let following = self.following(&outgoing, &plan, mail_octets, &mut round.tries)?;
        let Some(following) = following else { return Ok(None) };
        let first = plan.recipients.first();
        let origin = match first.map(|due| (due.sequence, epoch_of(due.sequence))) {
            None => Origin::default(),
            Some((sequence, epoch)) => match round.origins.get(&epoch) {
                Some(origin) => *origin,
                None => *round.origins.entry(epoch).or_insert(self.db.origin(sequence)?),
            },
        };
        let latest = first.map(|due| self.signing.latest(&due.agent));
        let slot = self.answer_slot(&plan, &outgoing)?;
        Ok(Some(Job {
            return_path: self.return_paths.of(&outgoing.id),
            outgoing,
            sending,
            recipients,
            center: self.settings.center.clone(),
            address: self.settings.address.clone(),
            signer: self.signing.key.clone(),
            origin,
            latest,
            slot,
            following,
            date: now(),
            refuses_null_path,
            dkim: Arc::clone(&self.dkim),
            plan,
        }))
    }
}

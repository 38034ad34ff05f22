//! Handing in what is due: sealed at the moment of sending, many mails over one connection.

use super::{Daemon, ServeError, chain, log_chain, random_number};
use crate::db::outbox::{OutboxId, Try};
use crate::sending::{self, MailPlan};
use crate::system::{SystemRandom, now};
use mailbox::accounts::{Choice, Failure};
use mailbox::{OutgoingMail, Submission};
use mailfmt::AgentId;
use mailfmt::message::Family;
use mailfmt::sequence::Origin;
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::watch;

/// Results are noted together, so that thousands of small mails do not each wait for the disk. What a crash loses of
/// this goes out twice, under the same message id.
const NOTE_EVERY: usize = 64;

pub(super) type Tries = Vec<(OutboxId, AgentId, Try)>;

impl Daemon {
    /// Sends what is due, most urgent first, over the first account that works; how many mails went out, and whether
    /// more are due than one pass takes.
    pub(super) async fn send_due(
        &mut self,
        stop: &watch::Receiver<bool>,
    ) -> Result<(usize, bool), ServeError> {
        let wanted = self.settings.sends_per_pass.saturating_mul(self.settings.recipients_per_mail);
        let due = self.db.due(now(), wanted)?;
        let mut plans = sending::plan(&due, self.settings.recipients_per_mail);
        let more = plans.len() > self.settings.sends_per_pass || due.len() == wanted;
        plans.truncate(self.settings.sends_per_pass);
        if plans.is_empty() {
            return Ok((0, false));
        }
        let Some((nth, mut submission)) = self.connect().await else { return Ok((0, false)) };
        let mail_octets = self.mail_octets_max(nth, &submission)?;
        let mut numbers = self.number(&plans)?;
        let mut tries = Tries::new();
        let (mut sent, mut overtaken) = (0usize, false);
        for plan in &plans {
            if *stop.borrow() || submission.is_broken() {
                break;
            }
            // Somebody may have been suspended in this moment: what is due and the keys are looked up anew.
            if sent > 0 && Some(self.db.foreign_changes()?) != self.keys.version {
                overtaken = true;
                break;
            }
            let sending = numbers.entry(plan.outbox).or_default();
            *sending = sending.saturating_add(1);
            let sending = *sending;
            let Some(mail) = self.compose(plan, sending, mail_octets, &mut tries)? else { continue };
            match submission.send(&mail).await {
                Ok(outcomes) => {
                    sent = sent.saturating_add(1);
                    self.learn_way_limits(plan, &mail, &outcomes)?;
                    tries.extend(sending::answers(plan, &outcomes, now(), &self.settings));
                }
                Err(error) => {
                    log_chain("a mail could not be handed in", &error);
                    self.learn_limit(nth, &mail, &error)?;
                    tries.extend(sending::failure(plan, &error, now(), &self.settings));
                    if submission.is_broken() {
                        self.sending.failed(nth, Failure::from(&error), Instant::now(), random_number());
                    }
                }
            }
            if tries.len() >= NOTE_EVERY {
                self.db.record_tries(&tries, now())?;
                tries.clear();
            }
        }
        self.db.record_tries(&tries, now())?;
        if !submission.is_broken() {
            self.sending.succeeded(nth);
            if let Err(error) = submission.quit().await {
                tracing::debug!(%error, "the mail server did not end the session in order");
            }
        }
        // Where nothing went out, trying again at once would not help.
        Ok((sent, (more || overtaken) && sent > 0))
    }

    /// The first account that lets us in; the others rest for a while.
    async fn connect(&mut self) -> Option<(usize, Submission)> {
        for _ in 0..self.accounts.len() {
            let Choice::Use(nth) = self.sending.choose(Instant::now()) else { return None };
            let account = self.accounts.get(nth)?;
            match Submission::connect(account, &self.settings.mail_limits()).await {
                Ok(submission) => return Some((nth, submission)),
                Err(error) => {
                    let name = &account.settings.name;
                    log_chain(&format!("cannot send over account {name:?}; trying again later"), &error);
                    self.sending.failed(nth, Failure::from(&error), Instant::now(), random_number());
                }
            }
        }
        None
    }

    /// Counts the mails of this round before the first is composed, so that no two ever share a Message-ID; answers
    /// the numbers before this round.
    fn number(&mut self, plans: &[MailPlan]) -> Result<BTreeMap<OutboxId, u32>, ServeError> {
        let mut counts = BTreeMap::<_, u32>::new();
        for plan in plans {
            let count = counts.entry(plan.outbox).or_default();
            *count = count.saturating_add(1);
        }
        let mut before = BTreeMap::new();
        for outbox in counts.keys() {
            before.insert(*outbox, self.db.outgoing(*outbox)?.map_or(0, |outgoing| outgoing.sendings));
        }
        self.db.count_sendings(&counts.into_iter().collect::<Vec<_>>())?;
        Ok(before)
    }

    /// The mail of a plan, or a note of why there will never be one.
    fn compose(
        &mut self,
        plan: &MailPlan,
        sending: u32,
        mail_octets: u64,
        tries: &mut Tries,
    ) -> Result<Option<OutgoingMail>, ServeError> {
        let Some(outgoing) = self.db.outgoing(plan.outbox)? else { return Ok(None) };
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
        let Some(following) = self.following(&outgoing, plan, mail_octets, tries)? else { return Ok(None) };
        let first = plan.recipients.first();
        let origin = first.map_or(Ok(Origin::default()), |due| self.db.origin(due.sequence))?;
        let latest = first.map(|due| self.signing.latest(&due.agent));
        let from = sending::From {
            center: &self.settings.center,
            address: &self.settings.address,
            signer: self.signing.key.as_ref(),
            follows: origin.follows,
            begins: origin.begins,
            date: now(),
            latest: latest.as_ref(),
        };
        let mail =
            sending::write_mail(&outgoing, sending, &recipients, from, following.behind(), &mut SystemRandom);
        match mail {
            Ok(mail) => Ok(Some(mail)),
            Err(error) => {
                log_chain("a message cannot be made into a mail", &error);
                tries.extend(sending::unsendable(plan, &chain(&error)));
                Ok(None)
            }
        }
    }
}

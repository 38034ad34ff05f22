//! Keeping to what the providers of our accounts allow: mails are counted before they are handed in.

use super::{Daemon, ServeError};
use crate::budget::Bounds;
use crate::db::DbError;
use crate::db::outbox::{Due, Outgoing};
use crate::db::spent::SpentId;
use crate::sending::MailPlan;
use crate::slots;
use crate::system::now;
use jiff::{SignedDuration, Timestamp};
use mailbox::Account;
use mailfmt::message::Family;
use mailfmt::slot::AnswerSlot;
use std::collections::VecDeque;

/// No window of a provider is longer.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What is counted and not yet settled.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Per account, in the order of the settings.
    bounds: Vec<Bounds>,
    /// Mails that were counted and whose end is not known, by their first recipient.
    open: Vec<(Due, SpentId)>,
    /// When the next mail may go out, while one has to wait.
    pub(super) waits_until: Option<Timestamp>,
}

impl Budget {
    pub(super) fn of(accounts: &[Account]) -> Self {
        let bounds = |account: &Account| Bounds::of_account(&account.settings);
        Self { bounds: accounts.iter().map(bounds).collect(), ..Self::default() }
    }

    /// Recipients that a mail may have, whichever account it goes out by.
    pub(super) fn recipients_of_one_mail(&self, set: usize) -> usize {
        self.bounds.iter().fold(set, |most, bounds| bounds.recipients_of_one_mail(most))
    }
}

impl Daemon {
    /// The mails of the front that may be handed in now by this account; they are counted. The others wait.
    pub(super) fn within_budget(
        &mut self,
        account: usize,
        mut plans: VecDeque<MailPlan>,
    ) -> Result<VecDeque<MailPlan>, DbError> {
        self.budget.waits_until = None;
        let (Some(bounds), Some(known)) = (self.budget.bounds.get(account), self.accounts.get(account))
        else {
            return Ok(plans);
        };
        if !bounds.bounds_sending() {
            return Ok(plans);
        }
        let now = now();
        let since = now.saturating_sub(LONGEST).unwrap_or(Timestamp::MIN);
        let mut spent = self.db.spent(&known.settings.name, since)?;
        let recipients = plans.iter().map(|plan| u32::try_from(plan.recipients.len()).unwrap_or(u32::MAX));
        let (counted, waits_until) = spent.admit(bounds, recipients, now);
        self.budget.waits_until = waits_until;
        if counted.len() < plans.len() {
            tracing::debug!(
                account = known.settings.name,
                waiting = plans.len() - counted.len(),
                "mails wait, so that the provider's limits hold"
            );
        }
        plans.truncate(counted.len());
        let ids = self.db.spend(&known.settings.name, &counted, now, since)?;
        let firsts = plans.iter().filter_map(|plan| plan.recipients.first().cloned());
        self.budget.open.extend(firsts.zip(ids));
        Ok(plans)
    }

    /// When the recipients of this mail answer, where they are many and our provider lets only so much in. It is booked.
    pub(super) fn answer_slot(
        &mut self,
        plan: &MailPlan,
        outgoing: &Outgoing,
    ) -> Result<Option<AnswerSlot>, DbError> {
        let receiving = self.settings.receiving_account();
        let (Some(account), Some(bounds)) = (self.accounts.get(receiving), self.budget.bounds.get(receiving))
        else {
            return Ok(None);
        };
        if outgoing.family != Family::Command || outgoing.part.is_some() || bounds.received.is_empty() {
            return Ok(None);
        }
        let now = now();
        let Some((each_millis, _)) = slots::pace(&bounds.received, self.db.unplanned_reports(now)?) else {
            return Ok(None);
        };
        let agents: Vec<_> = plan.recipients.iter().map(|due| due.agent.clone()).collect();
        self.db.book_answers(&account.settings.name, plan.outbox, &agents, each_millis, now)
    }

    /// A mail has ended: it is counted at this moment.
    pub(super) fn counted(&mut self, plan: &MailPlan) -> Option<SpentId> {
        let first = plan.recipients.first()?;
        let same = |(due, _): &(Due, SpentId)| due.outbox == first.outbox && due.agent == first.agent;
        let place = self.budget.open.iter().position(same)?;
        Some(self.budget.open.swap_remove(place).1)
    }

    /// Mails that were counted, and did not begin, are counted no longer.
    pub(super) fn give_back(&mut self) -> Result<(), ServeError> {
        let outward = &self.outward;
        let (open, unused): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.budget.open).into_iter().partition(|(due, _)| outward.carries(due));
        self.budget.open = open;
        let unused: Vec<_> = unused.into_iter().map(|(_, id)| id).collect();
        Ok(self.db.settle_spent(&[], &unused, now())?)
    }
}

//! One target of a rollout: where it stands on the two ladders, and how a word from outside moves it.

use super::compare::Finding;
use super::ladder::{PartsSent, Progress, Transport, TransportOutcome};
use super::retrying::{self, Tried};
use super::verdict::{Failure, Verdict};
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{AgentId, MessageId, Nonce};
use serde::{Deserialize, Serialize};

/// One appliance in one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which appliance.
    pub agent: AgentId,
    /// In which wave it is, from 0.
    #[serde(default)]
    pub wave: u32,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When the first attempt's package was ordered.
    pub first_ordered: Option<Timestamp>,
    /// The nonce of every version request of this rollout to it, oldest first.
    pub nonces: Vec<Nonce>,
    /// Creation time, by the appliance's clock, of the newest version report seen since the rollout began.
    pub newest_report: Option<Timestamp>,
    /// The version report that counts in this attempt.
    pub answer: Option<Answer>,
    /// Whether it was removed from the fleet: nothing can be sent to it any more.
    pub removed: bool,
    /// Whether it is suspended: nothing is sent to it, and what it says is not heard.
    #[serde(default)]
    pub suspended: bool,
    /// Whether it refused the differences, so that it gets whole files from then on.
    #[serde(default)]
    pub whole: bool,
    /// What was tried with it so far.
    #[serde(default, skip_serializing_if = "Tried::is_nothing")]
    pub tried: Tried,
    /// Where this attempt stands.
    pub state: TargetState,
}

/// Where one attempt stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TargetState {
    /// Nothing sent in this attempt.
    Planned,
    /// The package is on its way or there.
    Ordered {
        /// The order.
        order: Order,
    },
    /// The version was asked for.
    Asked {
        /// The order before.
        order: Order,
        /// The question.
        ask: Ask,
    },
    /// There is a verdict; only a later word changes it.
    Decided {
        /// The order, if the attempt came so far.
        order: Option<Order>,
        /// The question, if the attempt came so far.
        ask: Option<Ask>,
        /// The verdict.
        verdict: Verdict,
        /// When it was found, by the center's clock.
        at: Timestamp,
    },
}

/// The update order to one target: its mail, and what the installer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's message.
    pub message: MessageId,
    /// When it was written.
    pub at: Timestamp,
    /// What became of the mail.
    pub transport: Transport,
    /// What the installer said.
    pub progress: Progress,
    /// The parts of the package, where it goes out in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsSent>,
    /// When it was called back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<Timestamp>,
    /// How long this update probably takes, in seconds, where that was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_secs: Option<u32>,
    /// How long mails to it and back take, in seconds, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_delay_secs: Option<u32>,
}

impl Order {
    /// When our mail server had taken all of it; `None` while it has not, or when it came back.
    #[must_use]
    pub fn handed_in(&self) -> Option<Timestamp> {
        let at = self.transport.accepted_at()?;
        match self.parts {
            Some(parts) if parts.sent < parts.of => None,
            Some(parts) => Some(at.max(parts.at)),
            None => Some(at),
        }
    }

    /// Since when parts wait in our outbox; `None` when none does.
    #[must_use]
    pub fn parts_wait_since(&self) -> Option<Timestamp> {
        self.parts.filter(|parts| parts.sent < parts.of).map(|parts| parts.at)
    }
}

/// The version request to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The request's message.
    pub message: MessageId,
    /// The nonce that the answer must carry.
    pub nonce: Nonce,
    /// When it was written.
    pub at: Timestamp,
    /// What became of the mail.
    pub transport: Transport,
}

/// A version report that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How it compares with the target release.
    pub finding: Finding,
    /// When it was made, by the appliance's clock.
    pub created: Timestamp,
    /// When it arrived, by the center's clock.
    pub received: Timestamp,
    /// Whether it answers the question of this attempt.
    pub asked: bool,
}

/// A word from outside about one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetEvent {
    /// About one of our mails to it.
    Transport {
        /// Which mail.
        message: MessageId,
        /// What became of it.
        outcome: TransportOutcome,
    },
    /// Parts of its package were handed in.
    Parts {
        /// The order.
        message: MessageId,
        /// How many.
        parts: PartsSent,
    },
    /// It misses parts of its package.
    PartsMissing {
        /// The order.
        answers: MessageId,
        /// How many are there.
        here: u32,
        /// How many there are.
        of: u32,
        /// Which are missing, as words.
        missing: String,
        /// How many are sent again.
        again: u32,
    },
    /// The installer of the rollout's package spoke.
    Result {
        /// The message that it answers, where it says so.
        answers: Option<MessageId>,
        /// When it was made, by the appliance's clock.
        created: Timestamp,
        /// What it said.
        outcome: UpdateOutcome,
    },
    /// A command of ours was not carried out.
    NotDone {
        /// Which.
        answers: MessageId,
        /// Why.
        reason: String,
    },
    /// The running appliance said which version it has.
    Version {
        /// The nonce that it gives back; `None` when nobody asked.
        nonce: Option<Nonce>,
        /// When it was made, by the appliance's clock.
        created: Timestamp,
        /// How it compares with the target release.
        finding: Finding,
    },
}

impl Target {
    /// A target at the beginning of a rollout, in this wave.
    #[must_use]
    pub fn new(agent: AgentId, wave: u32) -> Self {
        Self {
            agent,
            wave,
            attempt: 1,
            first_ordered: None,
            nonces: Vec::new(),
            newest_report: None,
            answer: None,
            removed: false,
            suspended: false,
            whole: false,
            tried: Tried::default(),
            state: TargetState::Planned,
        }
    }

    /// The mails of this attempt, as far as they were written.
    #[must_use]
    pub fn mails(&self) -> (Option<&Order>, Option<&Ask>) {
        match &self.state {
            TargetState::Planned => (None, None),
            TargetState::Ordered { order } => (Some(order), None),
            TargetState::Asked { order, ask } => (Some(order), Some(ask)),
            TargetState::Decided { order, ask, .. } => (order.as_ref(), ask.as_ref()),
        }
    }

    /// The verdict, if there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        match &self.state {
            TargetState::Decided { verdict, .. } => Some(verdict),
            TargetState::Planned | TargetState::Ordered { .. } | TargetState::Asked { .. } => None,
        }
    }

    /// Takes a word from outside at `now`; whether it changed anything.
    ///
    /// It never touches the verdict: the next plan looks at all facts together.
    pub fn hear(&mut self, event: &TargetEvent, now: Timestamp) -> bool {
        let before = self.clone();
        match event {
            TargetEvent::Transport { message, outcome } => {
                if let Some(transport) = self.transport_of(*message) {
                    transport.hear(outcome, now);
                }
            }
            TargetEvent::Parts { message, parts } => {
                let order = self.mails_mut().0.filter(|order| order.message == *message);
                if let Some(order) = order {
                    order.parts = Some(*parts);
                }
            }
            TargetEvent::PartsMissing { answers, here, of, missing, again } => {
                self.hear_parts_missing(*answers, (*here, *of), missing, *again, now);
            }
            TargetEvent::Result { answers, created, outcome } => {
                self.hear_result(*answers, *created, outcome, now);
            }
            TargetEvent::NotDone { answers, reason } => self.hear_not_done(*answers, reason, now),
            TargetEvent::Version { nonce, created, finding } => {
                self.hear_version(*nonce, *created, finding, now);
            }
        }
        *self != before
    }

    /// The order of this attempt was written.
    pub(super) fn order(&mut self, message: MessageId, now: Timestamp) {
        let order = Order {
            message,
            at: now,
            transport: Transport::Queued { since: now },
            progress: Progress::Ordered,
            parts: None,
            recalled: None,
            settle_secs: None,
            mail_delay_secs: None,
        };
        self.tried.mails = self.tried.mails.saturating_add(1);
        self.first_ordered.get_or_insert(now);
        self.state = TargetState::Ordered { order };
    }

    /// How long this attempt's update and the mails to it and back probably take, where that is known.
    pub(super) fn expect(&mut self, settle: Option<SignedDuration>, mail_delay: Option<SignedDuration>) {
        let secs = |duration: SignedDuration| u32::try_from(duration.as_secs()).ok();
        if let Some(order) = self.mails_mut().0 {
            order.settle_secs = settle.and_then(secs);
            order.mail_delay_secs = mail_delay.and_then(secs);
        }
    }

    /// The question of this attempt was written; only an ordered target can be asked. A second question
    /// ([`Target::asks_again`]) sets the first answer aside.
    pub(super) fn ask(&mut self, message: MessageId, nonce: Nonce, now: Timestamp) {
        let (Some(order), _) = self.mails() else { return };
        let ask = Ask { message, nonce, at: now, transport: Transport::Queued { since: now } };
        self.state = TargetState::Asked { order: order.clone(), ask };
        self.nonces.push(nonce);
        self.tried.mails = self.tried.mails.saturating_add(1);
        self.answer = None;
    }

    /// Whether its order can be called back: it was given before, and nothing says that it was begun.
    pub(super) fn can_be_called_back(&self, given_before: Timestamp) -> bool {
        let open = matches!(self.state, TargetState::Ordered { .. } | TargetState::Asked { .. });
        let begun = |order: &Order| !matches!(order.progress, Progress::Ordered | Progress::Waiting { .. });
        open && self
            .mails()
            .0
            .is_some_and(|order| order.recalled.is_none() && order.at <= given_before && !begun(order))
    }

    /// Its order was called back.
    pub(super) fn call_back(&mut self, now: Timestamp) {
        if let Some(order) = self.mails_mut().0 {
            order.recalled = Some(now);
        }
    }

    /// Whether a failed target has to be asked once more, because its installer said "done" after the question that
    /// failed: it had to wait, or was busy installing, when that came.
    pub(super) fn asks_again(&self) -> bool {
        let (Some(order), Some(ask)) = self.mails() else { return false };
        let Progress::InstalledSaid { at, created } = order.progress else { return false };
        // Both words of an appliance carry its own clock, which also orders mails that arrive together.
        self.answer.as_ref().map_or(at > ask.at, |answer| created > answer.created)
    }

    /// A verdict was found or corrected.
    pub(super) fn decide(&mut self, verdict: Verdict, now: Timestamp) {
        let (order, ask) = self.mails();
        self.state = TargetState::Decided { order: order.cloned(), ask: ask.cloned(), verdict, at: now };
    }

    /// A person begins again with a failed target; any other stays as it is.
    pub(super) fn begin_again(&mut self) {
        if self.failure().is_some() {
            self.tried.begin_anew();
            self.begin_attempt();
        }
    }

    /// A failed target begins again by itself; any other stays as it is.
    pub(super) fn try_again(&mut self) {
        if self.failure().is_some() {
            // Who was called back did as it was told.
            if !self.called_back() {
                self.begin_round();
            }
            self.begin_attempt();
        }
    }

    /// A round of a failed target begins by itself.
    pub(super) fn begin_round(&mut self) {
        if let Some(failure) = self.failure().cloned() {
            let order_heard = self.order_heard();
            self.tried.begin_round(failure, order_heard);
        }
    }

    /// Whether something shows that the order of this attempt arrived.
    #[must_use]
    pub fn order_heard(&self) -> bool {
        self.mails().0.is_some_and(|order| {
            matches!(order.transport, Transport::Heard { .. }) || order.progress != Progress::Ordered
        })
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self.verdict()? {
            Verdict::Updated => None,
            Verdict::Failed { failure } => Some(failure),
        }
    }

    /// Why it said that it does not take the package of this attempt.
    fn refusal(&self) -> Option<&str> {
        match &self.mails().0?.progress {
            Progress::Refused { reason, .. } => Some(reason),
            Progress::Ordered
            | Progress::Waiting { .. }
            | Progress::InstalledSaid { .. }
            | Progress::Undone { .. } => None,
        }
    }

    /// Whether it did not take the package because that was called back.
    pub(super) fn called_back(&self) -> bool {
        self.refusal().is_some() && self.mails().0.is_some_and(|order| order.recalled.is_some())
    }

    /// Whether it does not take the package of this attempt, but another may suit it: it neither distrusts us, nor did it
    /// only do as it was told.
    pub(super) fn refuses_the_package(&self) -> bool {
        let distrusts = |reason: &str| retrying::alarms(&Failure::Refused { reason: reason.to_owned() });
        !self.called_back() && self.refusal().is_some_and(|reason| !distrusts(reason))
    }

    /// It refused the differences: the next attempt brings whole files.
    pub(super) fn begin_whole(&mut self) {
        self.whole = true;
        self.begin_attempt();
    }

    fn begin_attempt(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
        self.answer = None;
        self.state = TargetState::Planned;
    }

    fn mails_mut(&mut self) -> (Option<&mut Order>, Option<&mut Ask>) {
        match &mut self.state {
            TargetState::Planned => (None, None),
            TargetState::Ordered { order } => (Some(order), None),
            TargetState::Asked { order, ask } => (Some(order), Some(ask)),
            TargetState::Decided { order, ask, .. } => (order.as_mut(), ask.as_mut()),
        }
    }

    /// The ladder of one mail of this attempt; mails of earlier attempts have none any more.
    fn transport_of(&mut self, message: MessageId) -> Option<&mut Transport> {
        let (order, ask) = self.mails_mut();
        let order = order.filter(|order| order.message == message).map(|order| &mut order.transport);
        order.or_else(|| ask.filter(|ask| ask.message == message).map(|ask| &mut ask.transport))
    }

    fn hear_result(
        &mut self,
        answers: Option<MessageId>,
        created: Timestamp,
        outcome: &UpdateOutcome,
        now: Timestamp,
    ) {
        let Some(order) = self.mails_mut().0 else { return };
        // What an earlier attempt's installer said must not explain this one. But that an order came late and was installed all
        // the same is a reason to ask again.
        if answers != Some(order.message) && (answers.is_some() || created < order.at) {
            let open = matches!(order.progress, Progress::Ordered | Progress::Waiting { .. });
            if answers.is_some() && *outcome == UpdateOutcome::Installed && open {
                order.progress = Progress::InstalledSaid { at: now, created };
            }
            return;
        }
        order.transport.heard(now);
        order.progress = match outcome {
            UpdateOutcome::Installed => match &order.progress {
                // Said twice: the first time counts.
                said @ Progress::InstalledSaid { .. } => said.clone(),
                Progress::Ordered
                | Progress::Waiting { .. }
                | Progress::Refused { .. }
                | Progress::Undone { .. } => Progress::InstalledSaid { at: now, created },
            },
            UpdateOutcome::Waiting { reason } => match &order.progress {
                // A mail that was overtaken does not bring an ended installation back.
                ended @ (Progress::InstalledSaid { .. }
                | Progress::Refused { .. }
                | Progress::Undone { .. }) => ended.clone(),
                Progress::Ordered | Progress::Waiting { .. } => {
                    Progress::Waiting { reason: reason.clone(), at: now }
                }
            },
            UpdateOutcome::Refused { reason } => Progress::Refused { reason: reason.clone(), at: now },
            UpdateOutcome::Undone { reason } => Progress::Undone { reason: reason.clone(), at: now },
        };
    }

    /// It has the order, and waits. A question that is on its way cannot have the right answer: it is put again when the
    /// parts are there.
    fn hear_parts_missing(
        &mut self,
        answers: MessageId,
        (here, of): (u32, u32),
        missing: &str,
        again: u32,
        now: Timestamp,
    ) {
        let Some(order) = self.mails_mut().0.filter(|order| order.message == answers) else { return };
        order.transport.heard(now);
        if !matches!(order.progress, Progress::Ordered | Progress::Waiting { .. }) {
            return;
        }
        let sent = if again > 0 { "sent again" } else { "missing, and cannot be sent again" };
        let reason = format!("{here} of {of} parts of the package are there; {missing} {sent}");
        order.progress = Progress::Waiting { reason, at: now };
        order.parts = Some(PartsSent { of, sent: of.saturating_sub(again), at: now });
        if let TargetState::Asked { order, .. } = &self.state {
            self.state = TargetState::Ordered { order: order.clone() };
        }
    }

    fn hear_not_done(&mut self, answers: MessageId, reason: &str, now: Timestamp) {
        let Some(transport) = self.transport_of(answers) else { return };
        transport.heard(now);
        if let Some(order) = self.mails_mut().0
            && matches!(order.progress, Progress::Ordered | Progress::Waiting { .. })
        {
            order.progress = Progress::Refused { reason: reason.to_owned(), at: now };
        }
    }

    fn hear_version(&mut self, nonce: Option<Nonce>, created: Timestamp, finding: &Finding, now: Timestamp) {
        let asked = match self.mails_mut().1 {
            Some(ask) if nonce == Some(ask.nonce) => {
                ask.transport.heard(now);
                true
            }
            _ => false,
        };
        let newest = self.newest_report.is_none_or(|newest| created >= newest);
        let ours = nonce.is_some_and(|nonce| self.nonces.contains(&nonce));
        let after_order = self.first_ordered.is_some_and(|ordered| created > ordered);
        // Our nonce proves that a report is fresh, whatever the appliance's clock says. Any other report counts only as
        // proof of success, and only when no newer one is known: a rolled back appliance's old mail may come late.
        let counts = if asked {
            self.answer.as_ref().is_none_or(|answer| !answer.asked || created >= answer.created)
        } else {
            *finding == Finding::Same && newest && (ours || after_order)
        };
        if newest {
            self.newest_report = Some(created);
        }
        let known = self
            .answer
            .as_ref()
            .is_some_and(|answer| answer.created == created && answer.finding == *finding);
        if counts && !known {
            self.answer = Some(Answer { finding: finding.clone(), created, received: now, asked });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{agent, later};

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    /// Asked in its second attempt, and found at the version before.
    fn in_vain() -> Target {
        let mut target = Target::new(agent(1), 0);
        target.order(id(1), later(0));
        target.order(id(2), later(1000));
        let nonce = Nonce::generate(&mut |octets: &mut [u8]| octets.fill(7));
        target.ask(id(3), nonce, later(1500));
        let finding = Finding::OtherVersion { version: "1.0.00".parse().unwrap() };
        target.hear(&TargetEvent::Version { nonce: Some(nonce), created: later(1600), finding }, later(1700));
        target
    }

    fn said(answers: Option<MessageId>, created: i64, outcome: UpdateOutcome) -> TargetEvent {
        TargetEvent::Result { answers, created: later(created), outcome }
    }

    #[test]
    fn an_earlier_order_that_came_late_and_was_installed_is_a_reason_to_ask_again() {
        let mut target = in_vain();
        assert!(!target.asks_again());
        assert!(target.hear(&said(Some(id(1)), 5000, UpdateOutcome::Installed), later(6000)));
        assert!(target.asks_again());
    }

    #[test]
    fn what_else_an_earlier_attempt_has_to_say_explains_nothing() {
        let refused = UpdateOutcome::Refused { reason: "full".to_owned() };
        let mut target = in_vain();
        assert!(!target.hear(&said(Some(id(1)), 5000, refused.clone()), later(6000)));
        assert!(
            !target.hear(&said(None, 500, UpdateOutcome::Installed), later(6000)),
            "made before the order"
        );
        // Its own refusal stays the reason, whatever an earlier order came to.
        target.hear(&said(Some(id(2)), 5500, refused), later(6000));
        assert!(!target.hear(&said(Some(id(1)), 5000, UpdateOutcome::Installed), later(6000)));
    }
}

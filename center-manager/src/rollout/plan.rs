//! What a rollout does next.

use super::after;
use super::course::{Gate, Mode, Tally, gate};
use super::judge::judge;
use super::ladder::Transport;
use super::retrying::{self, How, Next};
use super::target::{Target, TargetState};
use super::terms::Rollout;
use super::verdict::{Failure, Verdict};
use jiff::{SignedDuration, Timestamp};
use mailfmt::AgentId;
use std::collections::BTreeMap;

/// The targets of a rollout, in the order of the operator's table.
pub type Targets = BTreeMap<AgentId, Target>;

/// One thing to do, with every choice already made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The target runs the target version.
    MarkUpdated {
        /// Which.
        agent: AgentId,
    },
    /// The target does not, or nobody knows.
    MarkFailed {
        /// Which.
        agent: AgentId,
        /// Why.
        failure: Failure,
    },
    /// Failed targets begin a new attempt, since a person wants it.
    Retry {
        /// Which.
        agents: Vec<AgentId>,
    },
    /// Failed targets begin a new attempt by themselves.
    TryAgain {
        /// Which.
        agents: Vec<AgentId>,
    },
    /// The same with whole files, where the rollout has some.
    TryWhole {
        /// Which.
        agents: Vec<AgentId>,
    },
    /// Silent targets are asked once more by themselves: one mail to all of these, before other commands.
    AskAgain {
        /// To whom.
        agents: Vec<AgentId>,
    },
    /// Targets refused the differences: whole files in a new attempt.
    FallBack {
        /// Which.
        agents: Vec<AgentId>,
    },
    /// One mail with the package to all of these.
    SendPackage {
        /// To whom.
        agents: Vec<AgentId>,
        /// The package with whole files instead of the one with differences.
        whole: bool,
    },
    /// One mail with a version request to all of these.
    AskVersion {
        /// To whom.
        agents: Vec<AgentId>,
    },
    /// The newest wave has proven itself; its pause begins.
    MeetWave,
    /// The next wave goes out.
    ReleaseWave,
    /// A person has to look before the next wave.
    Hold {
        /// Why.
        reason: String,
    },
    /// One mail to all of these: do not install what was ordered, unless it has begun.
    Recall {
        /// To whom.
        agents: Vec<AgentId>,
    },
    /// No further package is sent.
    Stop {
        /// Why.
        reason: String,
    },
    /// Everything is decided and nothing is left to try.
    Finish,
}

/// What to do now so that the rollout comes nearer to its end. Looks at nothing but its arguments; an unchanged world
/// gives an empty plan.
///
/// The order is that of Fig. 14: marks first, since they decide about retries; then mails; then the end. A finished
/// rollout only corrects its verdicts, and for that may ask once more.
///
/// Source: JP 2003-435644 [0075-0083].
#[must_use]
pub fn plan(rollout: &Rollout, targets: &Targets, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    for target in targets.values() {
        let due = judge(rollout, target, now);
        if let Some(verdict) = &due
            && target.verdict() != Some(verdict)
            && !falls_back(rollout, target, due.as_ref(), now)
        {
            steps.push(mark(target, verdict));
        }
    }
    let (lists, tallies) = survey(rollout, targets, now);
    let Lists { mut send, ask, again, fall_back, called_back, mut open, waiting } = lists;
    if rollout.finished.is_some() && !open {
        return steps;
    }
    let stand = &rollout.stand;
    let gate = gate(&rollout.course, stand, &tallies, now);
    if let Gate::Stop { reason } = gate {
        steps.push(Step::Stop { reason });
        if !called_back.is_empty() {
            steps.push(Step::Recall { agents: called_back });
        }
        if !ask.is_empty() {
            steps.push(Step::AskVersion { agents: ask });
        }
        if !open {
            steps.push(Step::Finish);
        }
        return steps;
    }
    if stand.is_stopped() && !called_back.is_empty() {
        steps.push(Step::Recall { agents: called_back });
    }
    let mut in_whole = Vec::new();
    if !again.is_empty() && !stand.is_stopped() {
        open = true;
        if stand.sends() {
            let round = Round::due(rollout, again, retrying::mails_left(rollout, targets), now);
            send.extend(round.package.iter().cloned());
            in_whole.extend(round.whole.iter().cloned());
            steps.extend(round.steps());
        }
    }
    if !fall_back.is_empty() {
        steps.push(Step::FallBack { agents: fall_back.clone() });
    }
    let takes_whole = |agent: &AgentId| targets.get(agent).is_some_and(|target| target.whole);
    let (mut whole, send): (Vec<_>, Vec<_>) = send.into_iter().partition(takes_whole);
    whole.extend(fall_back.into_iter().chain(in_whole));
    for (agents, whole) in [(send, false), (whole, true)] {
        if !agents.is_empty() {
            steps.push(Step::SendPackage { agents, whole });
        }
    }
    if !ask.is_empty() {
        steps.push(Step::AskVersion { agents: ask });
    }
    match gate {
        Gate::Wait { .. } | Gate::Stop { .. } => {}
        Gate::Meet => steps.push(Step::MeetWave),
        Gate::Release => steps.push(Step::ReleaseWave),
        Gate::Hold { reason } => steps.push(Step::Hold { reason }),
    }
    let comes = (waiting || rollout.joining.is_some()) && !stand.is_stopped();
    if !open && (!comes || now >= rollout.package_expires) {
        steps.push(Step::Finish);
    }
    steps
}

/// What every target needs at `now`, and how its wave stands.
fn survey(rollout: &Rollout, targets: &Targets, now: Timestamp) -> (Lists, Vec<Tally>) {
    let mut lists = Lists::default();
    let mut tallies = vec![Tally::default(); rollout.course.waves.len().max(1)];
    let last = tallies.len().saturating_sub(1);
    let mails_left = retrying::mails_left(rollout, targets);
    for target in targets.values() {
        let due = judge(rollout, target, now);
        let nth = usize::try_from(target.wave).unwrap_or(usize::MAX).min(last);
        if let Some(tally) = tallies.get_mut(nth) {
            lists.sort_in(rollout, target, due.as_ref(), tally, (mails_left, now));
        }
    }
    (lists, tallies)
}

/// How the targets of each wave stand, the first wave first.
#[must_use]
pub fn tallies(rollout: &Rollout, targets: &Targets, now: Timestamp) -> Vec<Tally> {
    survey(rollout, targets, now).1
}

/// Which targets need what.
#[derive(Default)]
struct Lists {
    send: Vec<AgentId>,
    ask: Vec<AgentId>,
    /// Who is tried again by itself, and not before when.
    again: Vec<Again>,
    fall_back: Vec<AgentId>,
    /// Whose order can be called back, should the rollout stop.
    called_back: Vec<AgentId>,
    /// Whether one of the released waves has no verdict yet.
    open: bool,
    /// Whether a target waits for its wave, or for the rollout to go on.
    waiting: bool,
}

impl Lists {
    fn sort_in(
        &mut self,
        rollout: &Rollout,
        target: &Target,
        due: Option<&Verdict>,
        tally: &mut Tally,
        (mails_left, now): (u32, Timestamp),
    ) {
        let stand = &rollout.stand;
        if falls_back(rollout, target, due, now) {
            tally.open += 1;
            if stand.sends() {
                self.open = true;
                self.fall_back.push(target.agent.clone());
            } else {
                self.waiting = true;
            }
            return;
        }
        // An order that a person gave after the stop is meant.
        let stopped = match stand.mode {
            Mode::Stopped { at, .. } => at,
            Mode::Running | Mode::Paused { .. } => now,
        };
        if due.is_none() && target.can_be_called_back(stopped) {
            self.called_back.push(target.agent.clone());
        }
        match due.or(target.verdict()) {
            Some(Verdict::Updated) => tally.updated += 1,
            Some(Verdict::Failed { failure }) => {
                let next = retrying::next_for(rollout, target, failure, mails_left, found_at(target, now));
                let reachable = !target.removed && !target.suspended;
                if target.asks_again() && reachable && !matches!(failure, Failure::Undeliverable { .. }) {
                    (self.open, tally.open) = (true, tally.open + 1);
                    self.ask.push(target.agent.clone());
                    return;
                }
                let is_error = failure.speaks_of_the_package() && !target.removed;
                match next {
                    Next::At { at, how } if now < rollout.package_expires => {
                        // Who did as it was told when it was called back is no error.
                        let called_back = target.called_back();
                        tally.go_on(is_error && !called_back);
                        let mails = if called_back { 0 } else { how.mails() };
                        self.again.push(Again { at, how, mails, agent: target.agent.clone() });
                    }
                    Next::At { .. } | Next::Never { .. } if is_error => tally.errors += 1,
                    Next::At { .. } | Next::Never { .. } => {}
                }
            }
            None => {
                tally.go_on(target.tried.counts_as_error());
                match &target.state {
                    TargetState::Planned if is_sent(rollout, target) => {
                        self.open = true;
                        self.send.push(target.agent.clone());
                    }
                    TargetState::Planned => self.waiting = true,
                    TargetState::Ordered { order } => {
                        self.open = true;
                        let settled =
                            rollout.begun_by(order).map(|at| after(at, rollout.timing.settle_of(order)));
                        if settled.is_some_and(|settled| settled <= now) {
                            self.ask.push(target.agent.clone());
                        }
                    }
                    TargetState::Asked { .. } | TargetState::Decided { .. } => self.open = true,
                }
            }
        }
    }
}

/// Since when a target has failed.
fn found_at(target: &Target, now: Timestamp) -> Timestamp {
    match target.state {
        TargetState::Decided { at, .. } => at,
        TargetState::Planned | TargetState::Ordered { .. } | TargetState::Asked { .. } => now,
    }
}

/// A failed target that is tried again by itself.
struct Again {
    at: Timestamp,
    how: How,
    /// Of those that the rollout has left.
    mails: u32,
    agent: AgentId,
}

/// Those that begin a round now, by how they begin.
#[derive(Default)]
struct Round {
    package: Vec<AgentId>,
    whole: Vec<AgentId>,
    question: Vec<AgentId>,
}

impl Round {
    /// Everybody who is due, as soon as the first of them has waited for the others; as many as there are mails for.
    fn due(rollout: &Rollout, again: Vec<Again>, mut mails_left: u32, now: Timestamp) -> Self {
        let mut round = Self::default();
        let first = again.iter().map(|again| again.at).min();
        if first.is_none_or(|at| now < retrying::goes_at(rollout, at)) {
            return round;
        }
        for Again { how, mails, agent, .. } in again.into_iter().filter(|again| again.at <= now) {
            let Some(left) = mails_left.checked_sub(mails) else { continue };
            mails_left = left;
            match how {
                How::Package { whole: true } if rollout.whole.is_some() => round.whole.push(agent),
                How::Package { .. } => round.package.push(agent),
                How::Question => round.question.push(agent),
            }
        }
        round
    }

    fn steps(self) -> impl Iterator<Item = Step> {
        let package = (!self.package.is_empty()).then_some(Step::TryAgain { agents: self.package });
        let whole = (!self.whole.is_empty()).then_some(Step::TryWhole { agents: self.whole });
        let question = (!self.question.is_empty()).then_some(Step::AskAgain { agents: self.question });
        [package, whole, question].into_iter().flatten()
    }
}

/// Whether a planned target gets its package now: its wave is out, or a person asked for another attempt.
fn is_sent(rollout: &Rollout, target: &Target) -> bool {
    (rollout.stand.sends() && target.wave < rollout.stand.released)
        || (target.attempt > 1 && rollout.check_consent().is_ok())
}

/// Whether a target that refused the differences gets whole files next.
fn falls_back(rollout: &Rollout, target: &Target, due: Option<&Verdict>, now: Timestamp) -> bool {
    let reachable = !target.removed && !target.suspended && now < rollout.package_expires;
    let updated = due.or(target.verdict()).is_some_and(Verdict::is_updated);
    rollout.whole.is_some() && !target.whole && target.refuses_the_package() && reachable && !updated
}

fn mark(target: &Target, verdict: &Verdict) -> Step {
    let agent = target.agent.clone();
    match verdict {
        Verdict::Updated => Step::MarkUpdated { agent },
        Verdict::Failed { failure } => Step::MarkFailed { agent, failure: failure.clone() },
    }
}

/// When the passing of time alone will next change the plan; `None` when only a word from outside can.
#[must_use]
pub fn next_wake(rollout: &Rollout, targets: &Targets) -> Option<Timestamp> {
    if rollout.finished.is_some() {
        return None;
    }
    let limit = |transport: &Transport, wait: SignedDuration| match transport {
        Transport::Queued { since } => Some(after(*since, rollout.timing.delivery_limit)),
        // A bounce is judged at once.
        Transport::Bounced { at, .. } => Some(*at),
        Transport::Accepted { .. } | Transport::Delayed { .. } | Transport::Heard { .. } => {
            transport.accepted_at().map(|at| after(at, wait))
        }
    };
    let pause = rollout.stand.met.filter(|_| rollout.stand.sends()).map(|met| {
        let nth = usize::try_from(rollout.stand.released).unwrap_or(usize::MAX).saturating_sub(1);
        let secs = rollout.course.waves.get(nth).map_or(0, |wave| wave.pause_secs);
        after(met, SignedDuration::from_secs(secs.into()))
    });
    let mails_left = retrying::mails_left(rollout, targets);
    let due = targets.values().filter_map(|target| match &target.state {
        TargetState::Planned => is_sent(rollout, target).then_some(rollout.started),
        TargetState::Ordered { order } => match (order.parts_wait_since(), rollout.begun_by(order)) {
            (Some(since), _) => Some(after(since, rollout.timing.delivery_limit)),
            (None, Some(at)) => Some(after(at, rollout.timing.settle_of(order))),
            (None, None) => limit(&order.transport, rollout.timing.settle_of(order)),
        },
        TargetState::Asked { order, ask } => limit(&ask.transport, rollout.timing.answer_limit(order)),
        TargetState::Decided { .. } if !rollout.stand.sends() => None,
        TargetState::Decided { .. } => match retrying::outlook(rollout, target, mails_left) {
            Some(Next::At { at, .. }) => Some(retrying::goes_at(rollout, at)),
            Some(Next::Never { .. }) | None => None,
        },
    });
    due.chain(pause).min()
}

//! What a rollout does next.

use super::after;
use super::course::{Gate, Mode, Tally, gate};
use super::judge::judge;
use super::ladder::Transport;
use super::target::{Target, TargetState};
use super::terms::Rollout;
use super::verdict::{Failure, Verdict};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::message::{RecallOrder, VersionRequest};
use mailfmt::{AgentId, Command, MessageId, Nonce};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Failed targets begin a new attempt.
    Retry {
        /// Which.
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

/// A message to write into the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// Its id, the same for all recipients.
    pub message: MessageId,
    /// What it is.
    pub kind: PostKind,
    /// The command.
    pub command: Command,
    /// Its recipients.
    pub agents: Vec<AgentId>,
    /// After this the appliance ignores it.
    pub expires: Timestamp,
}

/// What a rollout's message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostKind {
    /// The package.
    Order,
    /// The version request.
    Ask,
    /// The order called back.
    Recall,
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
    // The failed are retried together, when the last one is known: one mail for many.
    if !open && !again.is_empty() && now < rollout.package_expires && !stand.is_stopped() {
        open = true;
        if stand.sends() {
            send.clone_from(&again);
            steps.push(Step::Retry { agents: again });
        }
    }
    if !fall_back.is_empty() {
        steps.push(Step::FallBack { agents: fall_back.clone() });
    }
    let takes_whole = |agent: &AgentId| targets.get(agent).is_some_and(|target| target.whole);
    let (mut whole, send): (Vec<_>, Vec<_>) = send.into_iter().partition(takes_whole);
    whole.extend(fall_back);
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
    for target in targets.values() {
        let due = judge(rollout, target, now);
        let nth = usize::try_from(target.wave).unwrap_or(usize::MAX).min(last);
        if let Some(tally) = tallies.get_mut(nth) {
            lists.sort_in(rollout, target, due.as_ref(), tally, now);
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
    again: Vec<AgentId>,
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
        now: Timestamp,
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
            Some(Verdict::Failed { failure })
                if failure.is_retried_by_itself() && !target.removed && !target.suspended =>
            {
                if target.asks_again() {
                    (self.open, tally.open) = (true, tally.open + 1);
                    self.ask.push(target.agent.clone());
                } else if target.attempt <= rollout.retries.saturating_add(target.whole.into()) {
                    tally.open += 1;
                    self.again.push(target.agent.clone());
                } else {
                    tally.errors += 1;
                }
            }
            Some(Verdict::Failed { failure }) => {
                if failure.speaks_of_the_package() && !target.removed {
                    tally.errors += 1;
                }
            }
            None => {
                tally.open += 1;
                match &target.state {
                    TargetState::Planned if is_sent(rollout, target) => {
                        self.open = true;
                        self.send.push(target.agent.clone());
                    }
                    TargetState::Planned => self.waiting = true,
                    TargetState::Ordered { order } => {
                        self.open = true;
                        let settled = rollout.begun_by(order).map(|at| after(at, rollout.timing.settle));
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

/// Whether a planned target gets its package now: its wave is out, or a person asked for another attempt.
fn is_sent(rollout: &Rollout, target: &Target) -> bool {
    (rollout.stand.sends() && target.wave < rollout.stand.released) || target.attempt > 1
}

/// Whether a target that refused the differences gets whole files next.
fn falls_back(rollout: &Rollout, target: &Target, due: Option<&Verdict>, now: Timestamp) -> bool {
    let reachable = !target.removed && !target.suspended && now < rollout.package_expires;
    let updated = due.or(target.verdict()).is_some_and(Verdict::is_updated);
    rollout.whole.is_some() && !target.whole && target.refuses() && reachable && !updated
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
    let due = targets.values().filter_map(|target| match &target.state {
        TargetState::Planned => is_sent(rollout, target).then_some(rollout.started),
        TargetState::Ordered { order } => match (order.parts_wait_since(), rollout.begun_by(order)) {
            (Some(since), _) => Some(after(since, rollout.timing.delivery_limit)),
            (None, Some(at)) => Some(after(at, rollout.timing.settle)),
            (None, None) => limit(&order.transport, rollout.timing.settle),
        },
        TargetState::Asked { ask, .. } => limit(&ask.transport, rollout.timing.answer_timeout),
        TargetState::Decided { .. } => None,
    });
    due.chain(pause).min()
}

/// Carries one step out on values; the message to post, if it needs one.
///
/// Agents that are not targets are left out. New ids come from `random`.
pub fn perform(
    step: &Step,
    rollout: &mut Rollout,
    targets: &mut Targets,
    now: Timestamp,
    random: &mut impl Random,
) -> Option<Post> {
    match step {
        Step::MarkUpdated { agent } => {
            targets.get_mut(agent)?.decide(Verdict::Updated, now);
            None
        }
        Step::MarkFailed { agent, failure } => {
            targets.get_mut(agent)?.decide(failure.clone().into(), now);
            None
        }
        Step::Retry { agents } => {
            for agent in agents {
                if let Some(target) = targets.get_mut(agent) {
                    target.begin_again();
                }
            }
            rollout.finished = None;
            None
        }
        Step::FallBack { agents } => {
            for agent in agents {
                if let Some(target) = targets.get_mut(agent) {
                    target.begin_whole();
                }
            }
            rollout.finished = None;
            None
        }
        Step::SendPackage { agents, whole } => {
            let order = rollout.whole.as_ref().filter(|_| *whole).unwrap_or(&rollout.order).clone();
            let message = MessageId::generate(random);
            for agent in agents {
                if let Some(target) = targets.get_mut(agent) {
                    target.order(message, now);
                }
            }
            Some(Post {
                message,
                kind: PostKind::Order,
                command: rollout.openings.command(order),
                agents: agents.clone(),
                expires: after(now, rollout.timing.command_life).min(rollout.package_expires),
            })
        }
        Step::AskVersion { agents } => {
            let (message, nonce) = (MessageId::generate(random), Nonce::generate(random));
            rollout.finished = None;
            for agent in agents {
                if let Some(target) = targets.get_mut(agent) {
                    target.ask(message, nonce, now);
                }
            }
            Some(Post {
                message,
                kind: PostKind::Ask,
                command: Command::Version(VersionRequest { nonce }),
                agents: agents.clone(),
                expires: after(now, rollout.timing.command_life),
            })
        }
        Step::MeetWave => {
            rollout.stand.met = Some(now);
            None
        }
        Step::ReleaseWave => {
            rollout.stand.release(now);
            None
        }
        Step::Recall { agents } => {
            let mut orders = BTreeSet::new();
            for agent in agents {
                if let Some(target) = targets.get_mut(agent) {
                    orders.extend(target.mails().0.map(|order| order.message));
                    target.call_back(now);
                }
            }
            Some(Post {
                message: MessageId::generate(random),
                kind: PostKind::Recall,
                command: Command::Recall(RecallOrder { orders: orders.into_iter().collect() }),
                agents: agents.clone(),
                expires: after(now, rollout.timing.command_life).min(rollout.package_expires),
            })
        }
        Step::Hold { reason } => {
            rollout.stand.mode = Mode::Paused { at: now, reason: reason.clone(), between_waves: true };
            None
        }
        Step::Stop { reason } => {
            rollout.stand.mode = Mode::Stopped { at: now, reason: reason.clone() };
            None
        }
        Step::Finish => {
            rollout.finished = Some(now);
            None
        }
    }
}

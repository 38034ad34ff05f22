//! What a rollout does next.

use super::after;
use super::judge::judge;
use super::ladder::Transport;
use super::target::{Target, TargetState};
use super::terms::Rollout;
use super::verdict::{Failure, Verdict};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::message::VersionRequest;
use mailfmt::{AgentId, Command, MessageId, Nonce};
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
    let (mut send, mut ask, mut again, mut fall_back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut open = false;
    for target in targets.values() {
        let due = judge(rollout, target, now);
        let reachable = !target.removed && !target.suspended && now < rollout.package_expires;
        let updated = due.as_ref().or(target.verdict()).is_some_and(Verdict::is_updated);
        if rollout.whole.is_some() && !target.whole && target.refuses() && reachable && !updated {
            open = true;
            fall_back.push(target.agent.clone());
            continue;
        }
        if let Some(verdict) = &due
            && target.verdict() != Some(verdict)
        {
            steps.push(mark(target, verdict));
        }
        match due.as_ref().or(target.verdict()) {
            Some(Verdict::Updated) => {}
            Some(Verdict::Failed { failure })
                if failure.is_retried_by_itself() && !target.removed && !target.suspended =>
            {
                if target.asks_again() {
                    open = true;
                    ask.push(target.agent.clone());
                } else if target.attempt <= rollout.retries.saturating_add(target.whole.into()) {
                    again.push(target.agent.clone());
                }
            }
            Some(Verdict::Failed { .. }) => {}
            None => {
                open = true;
                match &target.state {
                    TargetState::Planned => send.push(target.agent.clone()),
                    TargetState::Ordered { order } => {
                        let settled = order.handed_in().map(|at| after(at, rollout.timing.settle));
                        if settled.is_some_and(|settled| settled <= now) {
                            ask.push(target.agent.clone());
                        }
                    }
                    TargetState::Asked { .. } | TargetState::Decided { .. } => {}
                }
            }
        }
    }
    if rollout.finished.is_some() && !open {
        return steps;
    }
    // The failed are retried together, when the last one is known: one mail for many.
    if !open && !again.is_empty() && now < rollout.package_expires {
        open = true;
        send.clone_from(&again);
        steps.push(Step::Retry { agents: again });
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
    if !open {
        steps.push(Step::Finish);
    }
    steps
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
    let due = targets.values().filter_map(|target| match &target.state {
        TargetState::Planned => Some(rollout.started),
        TargetState::Ordered { order } => match (order.parts_wait_since(), order.handed_in()) {
            (Some(since), _) => Some(after(since, rollout.timing.delivery_limit)),
            (None, Some(at)) => Some(after(at, rollout.timing.settle)),
            (None, None) => limit(&order.transport, rollout.timing.settle),
        },
        TargetState::Asked { ask, .. } => limit(&ask.transport, rollout.timing.answer_timeout),
        TargetState::Decided { .. } => None,
    });
    due.min()
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
                command: Command::Update(order),
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
        Step::Finish => {
            rollout.finished = Some(now);
            None
        }
    }
}

//! Carrying the steps of a plan out on values.

use super::after;
use super::course::Mode;
use super::plan::{Step, Targets};
use super::target::Target;
use super::terms::Rollout;
use super::verdict::Verdict;
use jiff::Timestamp;
use mailfmt::crypto::Random;
use mailfmt::message::{RecallOrder, VersionRequest};
use mailfmt::{AgentId, Command, MessageId, Nonce};
use std::collections::BTreeSet;

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
    /// Whether it goes before other commands.
    pub urgent: bool,
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
            each(agents, targets, Target::begin_again);
            rollout.finished = None;
            None
        }
        Step::TryAgain { agents } => {
            each(agents, targets, Target::try_again);
            None
        }
        Step::TryWhole { agents } => {
            let has_whole = rollout.whole.is_some();
            each(agents, targets, |target| {
                target.try_again();
                target.whole |= has_whole;
            });
            None
        }
        Step::FallBack { agents } => {
            each(agents, targets, Target::begin_whole);
            rollout.finished = None;
            None
        }
        Step::SendPackage { agents, whole } => {
            let order = rollout.order_to_send(*whole);
            let message = MessageId::generate(random);
            each(agents, targets, |target| target.order(message, now));
            Some(Post {
                message,
                kind: PostKind::Order,
                command: rollout.openings.command(order),
                agents: agents.clone(),
                expires: after(now, rollout.timing.command_life).min(rollout.orders_expire()),
                urgent: false,
            })
        }
        Step::AskVersion { agents } => Some(ask(agents, false, rollout, targets, now, random)),
        Step::AskAgain { agents } => {
            each(agents, targets, Target::begin_round);
            Some(ask(agents, true, rollout, targets, now, random))
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
                urgent: false,
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

fn each(agents: &[AgentId], targets: &mut Targets, mut act: impl FnMut(&mut Target)) {
    for agent in agents {
        if let Some(target) = targets.get_mut(agent) {
            act(target);
        }
    }
}

fn ask(
    agents: &[AgentId],
    urgent: bool,
    rollout: &mut Rollout,
    targets: &mut Targets,
    now: Timestamp,
    random: &mut impl Random,
) -> Post {
    let (message, nonce) = (MessageId::generate(random), Nonce::generate(random));
    rollout.finished = None;
    each(agents, targets, |target| target.ask(message, nonce, now));
    Post {
        message,
        kind: PostKind::Ask,
        command: Command::Version(VersionRequest { nonce }),
        agents: agents.to_vec(),
        expires: after(now, rollout.timing.command_life),
        urgent,
    }
}

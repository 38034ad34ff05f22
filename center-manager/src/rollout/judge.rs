//! The verdict over one target: from the running appliance's word, or from its silence.

use super::after;
use super::compare::Finding;
use super::ladder::{PartsSent, Progress, Transport};
use super::target::{Order, Target, TargetState};
use super::terms::Rollout;
use super::verdict::{Failure, Verdict};
use jiff::Timestamp;
use mailfmt::conditions::WINDOW_MISSED;

/// The verdict that the facts known at `now` give; `None` while there is still something to wait for.
///
/// The order is that of trust: first what runs (a version report), then what became of our mails, then silence. What the
/// installer said only gives the reason.
#[must_use]
pub fn judge(rollout: &Rollout, target: &Target, now: Timestamp) -> Option<Verdict> {
    let (order, ask) = target.mails();
    let said = || order.and_then(|order| said(&order.progress));
    if let Some(answer) = &target.answer {
        return Some(match &answer.finding {
            Finding::Same => Verdict::Updated,
            Finding::MixedModules { modules } => Failure::MixedModules { modules: modules.clone() }.into(),
            Finding::OtherVersion { version } => {
                said().unwrap_or_else(|| Failure::OtherVersion { version: version.clone() }).into()
            }
        });
    }
    if target.removed {
        let reason = "the appliance was removed from the fleet".to_owned();
        return Some(target.verdict().cloned().unwrap_or_else(|| Failure::Undeliverable { reason }.into()));
    }
    if target.suspended {
        return Some(target.verdict().cloned().unwrap_or_else(|| Failure::Suspended.into()));
    }
    // The limits of time end the waiting once; after the verdict only words from outside count.
    let decided = matches!(target.state, TargetState::Decided { .. });
    let over = |since: Timestamp, limit| !decided && now >= after(since, limit);
    let undeliverable = |transport: &Transport| match transport {
        Transport::Bounced { reason, .. } => Some(Failure::Undeliverable { reason: reason.clone() }),
        Transport::Queued { since } if over(*since, rollout.timing.delivery_limit) => {
            let hours = rollout.timing.delivery_limit.as_hours();
            let reason = format!("our mail server did not take the mail within {hours} h");
            Some(Failure::Undeliverable { reason })
        }
        Transport::Queued { .. }
        | Transport::Accepted { .. }
        | Transport::Delayed { .. }
        | Transport::Heard { .. } => None,
    };
    // Parts that go out one after the other show that our mail server takes them: each begins the limit anew.
    let by_parts = |order: &Order| match (order.parts_wait_since(), order.parts, &order.transport) {
        (_, _, transport @ Transport::Bounced { .. }) | (None, _, transport) => undeliverable(transport),
        (Some(since), Some(parts), _) if over(since, rollout.timing.delivery_limit) => {
            let hours = rollout.timing.delivery_limit.as_hours();
            let PartsSent { sent, of, .. } = parts;
            let reason =
                format!("our mail server took only {sent} of {of} parts of the package within {hours} h");
            Some(Failure::Undeliverable { reason })
        }
        (Some(_), _, _) => None,
    };
    let mails = || order.and_then(by_parts).or_else(|| ask.and_then(|ask| undeliverable(&ask.transport)));
    let silent = || {
        let asked = ask?.transport.accepted_at()?;
        let limit = order.map_or(rollout.timing.answer_timeout, |order| rollout.timing.answer_limit(order));
        let silent = decided || over(asked, limit);
        silent.then(|| said().unwrap_or(Failure::Silent))
    };
    mails().or_else(silent).map(Verdict::from)
}

fn said(progress: &Progress) -> Option<Failure> {
    match progress {
        Progress::Ordered | Progress::Waiting { .. } | Progress::InstalledSaid { .. } => None,
        Progress::Refused { reason, .. } if reason.starts_with(WINDOW_MISSED) => {
            Some(Failure::WindowMissed { reason: reason.clone() })
        }
        Progress::Refused { reason, .. } => Some(Failure::Refused { reason: reason.clone() }),
        Progress::Undone { reason, .. } => Some(Failure::Undone { reason: reason.clone() }),
    }
}

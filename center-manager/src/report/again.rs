//! When a failed target is tried again by itself, and if not, why.

use super::{Reason, minute};
use crate::rollout::retrying::{self, Next, Why};
use crate::rollout::{Rollout, Target};
use jiff::Timestamp;

/// When, if it is.
pub(super) fn next_try(rollout: &Rollout, target: &Target, mails_left: u32) -> Option<Timestamp> {
    match retrying::outlook(rollout, target, mails_left)? {
        Next::At { at, .. } if rollout.stand.sends() => Some(retrying::goes_at(rollout, at)),
        Next::At { .. } | Next::Never { .. } => None,
    }
}

/// A reason with what follows by itself; unchanged where the operator wants no rounds.
pub(super) fn with_outlook(
    reason: Option<Reason>,
    rollout: &Rollout,
    target: &Target,
    mails_left: u32,
) -> Option<Reason> {
    let mut reason = reason?;
    let rounds = rollout.retrying.rounds;
    let follows = match retrying::outlook(rollout, target, mails_left) {
        Some(Next::At { how, .. }) if !rollout.stand.sends() => {
            format!(" When the rollout goes on, {how} by itself.")
        }
        Some(Next::At { at, how }) => {
            let round = target.tried.rounds.saturating_add(1).min(rounds);
            let at = minute(retrying::goes_at(rollout, at));
            format!(" At {at} {how} by itself, round {round} of {rounds}.")
        }
        Some(Next::Never { why: Why::NotWanted | Why::ShutOut }) | None => String::new(),
        Some(Next::Never { .. }) if rounds == 0 => String::new(),
        Some(Next::Never { why }) => format!(" Not again by itself: {why}."),
    };
    reason.cause.push_str(&follows);
    Some(reason)
}

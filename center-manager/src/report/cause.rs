//! One sentence of cause and one command for every row without success.

use super::{Reason, minute};
use crate::db::rollouts::Known;
use crate::rollout::{
    Ask, ConsentError, Failure, Mode, Order, Progress, Rollout, Target, TargetState, Transport, Verdict,
    after,
};
use crate::words::plain;
use jiff::{SignedDuration, Timestamp};

/// Why this target has no success, or none yet. `known` tells what it said after its verdict.
pub(super) fn explain(
    rollout: &Rollout,
    target: &Target,
    known: Option<&Known>,
    now: Timestamp,
) -> Option<Reason> {
    let (id, agent) = (rollout.id, &target.agent);
    let (cause, next) = match &target.state {
        TargetState::Planned if rollout.check_consent().is_err() => unapproved(rollout),
        TargetState::Planned => planned(rollout, target),
        TargetState::Ordered { order } => {
            (ordered(rollout, order), on_its_way(rollout, target, order, &order.transport))
        }
        TargetState::Asked { order, ask } => {
            (asked(rollout, order, ask), on_its_way(rollout, target, order, &ask.transport))
        }
        TargetState::Decided { verdict: Verdict::Updated, at, .. } => {
            let known = known?;
            let later = known.software.as_ref().filter(|version| **version != rollout.release.version)?;
            known.checked.filter(|checked| checked > at)?;
            (
                format!("It was verified at {}, but says {later} since.", rollout.release.version),
                format!("center-manager versions show --agent {agent}"),
            )
        }
        TargetState::Decided { order, ask, verdict: Verdict::Failed { failure }, .. } => {
            let mut cause = failed(rollout, order.as_ref(), ask.as_ref(), failure);
            let history = || format!("center-manager rollout status {id} --agent {agent}");
            let next = match failure {
                // Nothing can be done to one that is gone, but what happened can be read.
                _ if target.removed => history(),
                Failure::Silent | Failure::OtherVersion { .. } if now >= rollout.package_expires => {
                    cause.push_str(&format!(" The package expired at {}.", minute(rollout.package_expires)));
                    "center-manager package list".to_owned()
                }
                Failure::Silent | Failure::OtherVersion { .. } => {
                    format!("center-manager rollout retry {id} --agents {agent}")
                }
                Failure::MixedModules { .. } => format!("center-manager versions show --agent {agent}"),
                Failure::Refused { .. } | Failure::Undone { .. } => history(),
                // Without hours of the order only the package's and the site's count.
                Failure::WindowMissed { .. } => {
                    let package = rollout.order.package;
                    format!("center-manager rollout start --package {package} --agents {agent}")
                }
                Failure::Suspended => format!("center-manager appliance readmit {agent}"),
                Failure::Undeliverable { .. } => format!("center-manager appliance show {agent}"),
            };
            (cause, next)
        }
    };
    Some(Reason { cause: plain(&cause), next })
}

/// Nothing is sent before other people approve it.
fn unapproved(rollout: &Rollout) -> (String, String) {
    match rollout.check_consent() {
        Err(ConsentError::Denied { who, .. }) => (
            format!("The rollout was denied by {who}."),
            format!("center-manager rollout status {}", rollout.id),
        ),
        _ => (
            "The rollout waits for the approval of another person.".to_owned(),
            format!("center-manager rollout approve {} --key FILE", rollout.id),
        ),
    }
}

/// Nothing was sent in this attempt.
fn planned(rollout: &Rollout, target: &Target) -> (String, String) {
    let (id, stand) = (rollout.id, &rollout.stand);
    let resume = || format!("center-manager rollout resume {id}");
    if target.attempt > 1 {
        return (
            "It begins again; the daemon has not taken it up yet.".to_owned(),
            "center-manager serve".to_owned(),
        );
    }
    match &stand.mode {
        Mode::Stopped { at, .. } => {
            (format!("The rollout was stopped at {}, before its turn.", minute(*at)), resume())
        }
        Mode::Paused { at, .. } => {
            (format!("The rollout was paused at {}, before its turn.", minute(*at)), resume())
        }
        Mode::Running if target.wave >= stand.released => {
            let (wave, of) = (target.wave.saturating_add(1), rollout.course.waves.len());
            (
                format!("Its wave, {wave} of {of}, is not out yet."),
                format!("center-manager rollout watch {id}"),
            )
        }
        Mode::Running => {
            ("The daemon has not taken it up yet.".to_owned(), "center-manager serve".to_owned())
        }
    }
}

/// The command for a target without a verdict, by what became of its newest mail.
fn on_its_way(rollout: &Rollout, target: &Target, order: &Order, transport: &Transport) -> String {
    let (id, agent) = (rollout.id, &target.agent);
    match transport {
        Transport::Bounced { .. } => format!("center-manager appliance show {agent}"),
        Transport::Delayed { .. } => format!("center-manager returned list --agent {agent}"),
        Transport::Queued { .. } => "center-manager outbox".to_owned(),
        Transport::Accepted { .. } | Transport::Heard { .. }
            if order.recalled.is_some() && !rollout.stand.sends() =>
        {
            format!("center-manager rollout resume {id}")
        }
        Transport::Accepted { .. } | Transport::Heard { .. } => format!("center-manager rollout watch {id}"),
    }
}

fn ordered(rollout: &Rollout, order: &Order) -> String {
    if let (Some(at), Progress::Ordered | Progress::Waiting { .. }) = (order.recalled, &order.progress) {
        return format!("Its order was called back at {}; what it runs is asked for.", minute(at));
    }
    let asking = |at: &Timestamp| {
        minute(after(rollout.begun_by(order).unwrap_or(*at), rollout.timing.settle_of(order)))
    };
    if let (Some(since), Some(parts)) = (order.parts_wait_since(), order.parts)
        && !matches!(order.transport, Transport::Bounced { .. })
    {
        let sent = format!(
            "{} of {} parts of the package are handed in, the last at {}",
            parts.sent,
            parts.of,
            minute(since)
        );
        return match &order.progress {
            Progress::Waiting { reason, .. } => format!("It is not done yet: {reason}. {sent}."),
            _ => format!("{sent}."),
        };
    }
    match (&order.transport, &order.progress) {
        (Transport::Queued { since }, _) => {
            format!("The package waits in our outbox since {}.", minute(*since))
        }
        (Transport::Bounced { reason, .. }, _) => sentence(&format!("The package mail came back: {reason}")),
        (
            Transport::Accepted { at } | Transport::Heard { accepted: at, .. },
            Progress::Waiting { reason, .. },
        ) => format!("It is not done yet: {reason}; its version is asked for at {}.", asking(at)),
        (Transport::Accepted { at } | Transport::Heard { accepted: at, .. }, _) => {
            format!("The package was mailed at {}; the version is asked for at {}.", minute(*at), asking(at))
        }
        (Transport::Delayed { accepted, reason }, _) => {
            sentence(&format!("The package mail of {} is delayed on its way: {reason}", minute(*accepted)))
        }
    }
}

fn asked(rollout: &Rollout, order: &Order, ask: &Ask) -> String {
    let due = |at: &Timestamp| minute(after(*at, rollout.timing.answer_limit(order)));
    match &ask.transport {
        Transport::Queued { since } => {
            format!("The version request waits in our outbox since {}.", minute(*since))
        }
        Transport::Bounced { reason, .. } => sentence(&format!("The version request came back: {reason}")),
        Transport::Accepted { at } | Transport::Heard { accepted: at, .. } => match &order.progress {
            Progress::Waiting { reason, .. } => format!(
                "It is not done yet: {reason}; its answer to the version request is due at {}.",
                due(at)
            ),
            Progress::Ordered
            | Progress::InstalledSaid { .. }
            | Progress::Refused { .. }
            | Progress::Undone { .. } => format!("The answer to the version request is due at {}.", due(at)),
        },
        Transport::Delayed { accepted, reason } => {
            sentence(&format!("The version request of {} is delayed on its way: {reason}", minute(*accepted)))
        }
    }
}

fn failed(rollout: &Rollout, order: Option<&Order>, ask: Option<&Ask>, failure: &Failure) -> String {
    let progress = order.map(|order| &order.progress);
    let target = &rollout.release.version;
    match failure {
        Failure::Silent => silent(rollout, progress, order, ask),
        Failure::OtherVersion { version } => match progress {
            Some(Progress::Waiting { reason, .. }) => {
                format!("It runs {version}, not {target}; it is not done yet: {reason}.")
            }
            Some(Progress::InstalledSaid { .. }) => {
                format!("It runs {version}, not {target}, although its installer said that it was done.")
            }
            None | Some(Progress::Ordered | Progress::Refused { .. } | Progress::Undone { .. }) => {
                format!("It runs {version}, not {target}.")
            }
        },
        Failure::MixedModules { modules } => {
            let count = modules.len();
            let are = if count == 1 { "module is" } else { "modules are" };
            let names: Vec<_> = modules.iter().take(3).map(ToString::to_string).collect();
            let more = if count > names.len() { ", ..." } else { "" };
            format!("It says {target}, but {count} {are} not the package's: {}{more}.", names.join(", "))
        }
        Failure::Refused { reason } => sentence(&format!("It did not take the package: {reason}")),
        Failure::Undone { reason } => sentence(&format!("It went back to its version before: {reason}")),
        Failure::WindowMissed { reason } => sentence(&format!("It never began: {reason}")),
        Failure::Suspended => "It is suspended.".to_owned(),
        Failure::Undeliverable { reason } => sentence(&format!("Our mail did not reach it: {reason}")),
    }
}

fn silent(
    rollout: &Rollout,
    progress: Option<&Progress>,
    order: Option<&Order>,
    ask: Option<&Ask>,
) -> String {
    let timing = &rollout.timing;
    let limit = span(order.map_or(timing.answer_timeout, |order| timing.answer_limit(order)));
    let delay =
        order.map(|order| &order.transport).into_iter().chain(ask.map(|ask| &ask.transport)).find_map(
            |transport| match transport {
                Transport::Delayed { reason, .. } => Some(reason),
                Transport::Queued { .. }
                | Transport::Accepted { .. }
                | Transport::Bounced { .. }
                | Transport::Heard { .. } => None,
            },
        );
    match (progress, delay) {
        (Some(Progress::InstalledSaid { .. }), _) => {
            format!(
                "Its installer said that it was done, but it did not answer the version request within {limit}."
            )
        }
        (Some(Progress::Waiting { reason, .. }), _) => {
            format!("It did not answer the version request within {limit}; the last that it said: {reason}.")
        }
        (_, Some(reason)) => sentence(&format!(
            "It did not answer within {limit}; a mail server on the way reports a delay: {reason}"
        )),
        (_, None) => format!(
            "It did not answer the version request within {limit}, and nothing was heard of it since the order."
        ),
    }
}

/// Ends a text like a sentence; other people's words may or may not do so themselves.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// A time span in its largest whole unit.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        _ if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

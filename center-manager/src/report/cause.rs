//! One sentence of cause and one command for every row without success.

use super::{Reason, minute};
use crate::db::rollouts::Known;
use crate::rollout::{
    Ask, Failure, Order, Progress, Rollout, Target, TargetState, Transport, Verdict, after,
};
use crate::words::plain;
use jiff::{SignedDuration, Timestamp};

/// Why this target has no success, or none yet.
pub(super) fn explain(rollout: &Rollout, target: &Target, known: &Known) -> Option<Reason> {
    let id = rollout.id;
    let agent = &target.agent;
    let watch = || format!("center-manager rollout watch {id}");
    let (cause, next) = match &target.state {
        TargetState::Planned => {
            ("The daemon has not taken it up yet.".to_owned(), "center-manager serve".to_owned())
        }
        TargetState::Ordered { order } => (ordered(rollout, order), watch()),
        TargetState::Asked { order, ask } => (asked(rollout, order, ask), watch()),
        TargetState::Decided { verdict: Verdict::Updated, at, .. } => {
            let later = known.software.as_ref().filter(|version| **version != rollout.release.version)?;
            known.checked.filter(|checked| checked > at)?;
            (
                format!("It was verified at {}, but says {later} since.", rollout.release.version),
                format!("center-manager versions show --agent {agent}"),
            )
        }
        TargetState::Decided { order, ask, verdict: Verdict::Failed { failure }, .. } => {
            let cause = failed(rollout, order.as_ref(), ask.as_ref(), failure);
            let next = match failure {
                Failure::Silent | Failure::OtherVersion { .. } => {
                    format!("center-manager rollout retry {id} --agents {agent}")
                }
                Failure::MixedModules { .. } => format!("center-manager versions show --agent {agent}"),
                Failure::Refused { .. } | Failure::Undone { .. } => {
                    format!("center-manager rollout status {id} --agent {agent}")
                }
                Failure::Suspended => format!("center-manager appliance readmit {agent}"),
                Failure::Undeliverable { .. } => format!("center-manager appliance show {agent}"),
            };
            (cause, next)
        }
    };
    Some(Reason { cause: plain(&cause), next })
}

/// Where our last mail to the target stands.
pub(super) fn transport_word(target: &Target) -> String {
    let (order, ask) = target.mails();
    if let Some(parts) = order.filter(|_| ask.is_none()).and_then(|order| order.parts)
        && parts.sent < parts.of
    {
        return format!("parts {} of {}", parts.sent, parts.of);
    }
    let word = match ask.map(|ask| &ask.transport).or(order.map(|order| &order.transport)) {
        None => "planned",
        Some(Transport::Queued { .. }) => "queued",
        Some(Transport::Accepted { .. }) => "accepted",
        Some(Transport::Delayed { .. }) => "delayed",
        Some(Transport::Bounced { .. }) => "bounced",
        Some(Transport::Heard { .. }) => "answered",
    };
    word.to_owned()
}

/// What the installer said.
pub(super) fn installer_word(target: &Target) -> &'static str {
    match target.mails().0.map(|order| &order.progress) {
        None | Some(Progress::Ordered) => "",
        Some(Progress::Waiting { .. }) => "waiting",
        Some(Progress::InstalledSaid { .. }) => "installed",
        Some(Progress::Refused { .. }) => "refused",
        Some(Progress::Undone { .. }) => "undone",
    }
}

fn ordered(rollout: &Rollout, order: &Order) -> String {
    let asking = |at: &Timestamp| minute(after(order.handed_in().unwrap_or(*at), rollout.timing.settle));
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
    let due = |at: &Timestamp| minute(after(*at, rollout.timing.answer_timeout));
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
    let limit = span(rollout.timing.answer_timeout);
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
fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        _ if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

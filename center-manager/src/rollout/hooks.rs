//! Words from outside find their targets. Called by whoever files mail, inside its transaction.

use super::ladder::{PartsSent, Progress, Transport, TransportOutcome};
use super::target::{Target, TargetEvent};
use super::terms::RolloutId;
use crate::db::{DbError, rollouts};
use crate::words::{numbers, plain};
use jiff::Timestamp;
use mailfmt::message::report::{
    PartsMissingReport, RefusedReport, UpdateOutcome, UpdateResultReport, VersionReportMessage,
};
use mailfmt::{AgentId, MessageId};
use rusqlite::Transaction;

/// Who sent a report, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The appliance.
    pub agent: AgentId,
    /// The message that the report answers, where it says so.
    pub in_reply_to: Option<MessageId>,
    /// When it was made, by the appliance's clock.
    pub created: Timestamp,
    /// When it was filed, by the center's clock.
    pub received: Timestamp,
}

/// A version report came: asked for or not, it may decide or correct a verdict.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_version_report(
    tx: &Transaction<'_>,
    origin: &Origin,
    report: &VersionReportMessage,
) -> Result<(), DbError> {
    for (id, mut target) in rollouts::targets_of(tx, &origin.agent)? {
        let finding = rollouts::load(tx, id)?.release.compare(report);
        let event = TargetEvent::Version { nonce: report.nonce, created: origin.created, finding };
        take(tx, id, &mut target, &event, origin.received)?;
    }
    Ok(())
}

/// The installer of a package spoke.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_update_result(
    tx: &Transaction<'_>,
    origin: &Origin,
    report: &UpdateResultReport,
) -> Result<(), DbError> {
    let found = match origin.in_reply_to {
        Some(message) => rollouts::target_of_mail(tx, message, &origin.agent)?,
        None => rollouts::target_of_package(tx, &origin.agent, &report.package)?,
    };
    let Some((id, mut target)) = found else { return Ok(()) };
    let outcome = match &report.outcome {
        UpdateOutcome::Installed => UpdateOutcome::Installed,
        UpdateOutcome::Refused { reason } => UpdateOutcome::Refused { reason: plain(reason) },
        UpdateOutcome::Undone { reason } => UpdateOutcome::Undone { reason: plain(reason) },
        UpdateOutcome::Waiting { reason } => UpdateOutcome::Waiting { reason: plain(reason) },
    };
    let event = TargetEvent::Result { answers: origin.in_reply_to, created: origin.created, outcome };
    take(tx, id, &mut target, &event, origin.received)
}

/// A command was not carried out; commands that are not a rollout's are left alone.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_refused(tx: &Transaction<'_>, origin: &Origin, report: &RefusedReport) -> Result<(), DbError> {
    let Some(answers) = origin.in_reply_to else { return Ok(()) };
    let Some((id, mut target)) = rollouts::target_of_mail(tx, answers, &origin.agent)? else { return Ok(()) };
    let event = TargetEvent::NotDone { answers, reason: plain(&report.reason) };
    take(tx, id, &mut target, &event, origin.received)
}

/// An appliance misses parts of its package, of which `again` are sent once more.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_parts_missing(
    tx: &Transaction<'_>,
    origin: &Origin,
    report: &PartsMissingReport,
    again: u32,
) -> Result<(), DbError> {
    let Some(answers) = origin.in_reply_to else { return Ok(()) };
    let Some((id, mut target)) = rollouts::target_of_mail(tx, answers, &origin.agent)? else { return Ok(()) };
    let PartsMissingReport { here, of, ref missing, .. } = *report;
    let missing = numbers(missing);
    let event = TargetEvent::PartsMissing { answers, here, of, missing, again };
    take(tx, id, &mut target, &event, origin.received)
}

/// Parts of the package behind one order were handed in for one appliance.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_parts(
    tx: &Transaction<'_>,
    order: MessageId,
    agent: &AgentId,
    parts: PartsSent,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some((id, mut target)) = rollouts::target_of_mail(tx, order, agent)? else { return Ok(()) };
    let event = TargetEvent::Parts { message: order, parts };
    if parts.sent == parts.of || parts.sent == 0 {
        return take(tx, id, &mut target, &event, now);
    }
    // Neither history nor plan changes with each of a thousand parts.
    if target.hear(&event, now) {
        rollouts::save_target(tx, id, &target)?;
    }
    Ok(())
}

/// A mail server spoke about one message to one appliance; messages that are not a rollout's are left alone.
///
/// # Errors
/// [`DbError::Sql`].
pub fn on_transport(
    tx: &Transaction<'_>,
    message: MessageId,
    agent: &AgentId,
    outcome: &TransportOutcome,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some((id, mut target)) = rollouts::target_of_mail(tx, message, agent)? else { return Ok(()) };
    let outcome = match outcome {
        TransportOutcome::Accepted => TransportOutcome::Accepted,
        TransportOutcome::Delayed { reason } => TransportOutcome::Delayed { reason: plain(reason) },
        TransportOutcome::Bounced { reason } => TransportOutcome::Bounced { reason: plain(reason) },
    };
    take(tx, id, &mut target, &TargetEvent::Transport { message, outcome }, now)
}

fn take(
    tx: &Transaction<'_>,
    id: RolloutId,
    target: &mut Target,
    event: &TargetEvent,
    now: Timestamp,
) -> Result<(), DbError> {
    let before = target.clone();
    if !target.hear(event, now) {
        return Ok(());
    }
    rollouts::save_target(tx, id, target)?;
    // A report that only moves `newest_report` changes no plan.
    if target.state != before.state || target.answer != before.answer {
        let (what, detail) = history(target, event);
        rollouts::record(tx, id, target, now, what, &detail)?;
        rollouts::wake(tx, id, now)?;
    }
    Ok(())
}

/// One word and its detail for the target's history.
fn history(target: &Target, event: &TargetEvent) -> (&'static str, String) {
    match event {
        TargetEvent::Transport { message, .. } => {
            let (order, ask) = target.mails();
            let order = order.filter(|order| order.message == *message);
            let ask = ask.filter(|ask| ask.message == *message);
            let mail = if order.is_some() { "order" } else { "version request" };
            match order.map(|order| &order.transport).or(ask.map(|ask| &ask.transport)) {
                Some(Transport::Delayed { reason, .. }) => ("delayed", format!("{mail}: {reason}")),
                Some(Transport::Bounced { reason, .. }) => ("bounced", format!("{mail}: {reason}")),
                Some(Transport::Queued { .. } | Transport::Accepted { .. } | Transport::Heard { .. })
                | None => ("accepted", mail.to_owned()),
            }
        }
        TargetEvent::Parts { parts: PartsSent { of, sent: 0, .. }, .. } => {
            ("parts", format!("goes out in {of} parts"))
        }
        TargetEvent::Parts { parts: PartsSent { of, .. }, .. } => {
            ("parts", format!("all {of} parts handed in"))
        }
        TargetEvent::PartsMissing { here, of, missing, again, .. } => {
            ("parts", format!("{here} of {of} are there, missing {missing}; {again} sent again"))
        }
        TargetEvent::Result { .. } | TargetEvent::NotDone { .. } => {
            match target.mails().0.map(|order| &order.progress) {
                Some(Progress::Waiting { reason, .. }) => ("waiting", reason.clone()),
                Some(Progress::Refused { reason, .. }) => ("refused", reason.clone()),
                Some(Progress::Undone { reason, .. }) => ("undone", reason.clone()),
                Some(Progress::InstalledSaid { .. }) => ("installed-said", String::new()),
                Some(Progress::Ordered) | None => ("heard", String::new()),
            }
        }
        TargetEvent::Version { nonce, .. } => {
            let asked = if nonce.is_some() { "asked for" } else { "not asked for" };
            ("version-report", asked.to_owned())
        }
    }
}

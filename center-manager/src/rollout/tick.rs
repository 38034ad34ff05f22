//! Carrying plans out: rows in, plan, rows and mails out, in one transaction per rollout.

use super::after;
use super::course::Stand;
use super::membership::{self, JOIN_LOOK, joiners};
use super::plan::{Post, PostKind, Step, Targets, next_wake, perform, plan};
use super::terms::{Rollout, RolloutId};
use super::verdict::Verdict;
use crate::db::outbox::{self, NewMail, Priority};
use crate::db::{Db, DbError, appliances, audit, rollouts};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::{AgentId, Message};
use rusqlite::Transaction;
use std::collections::BTreeSet;

/// Brings every rollout as far as it can come at `now`; how many steps were carried out.
///
/// Each rollout's steps and the mails that they need become durable together, so a kill at any instruction leaves the
/// rollout wholly before or wholly after them.
///
/// # Errors
/// [`DbError`]; the rollouts before the failing one are done.
pub fn tick(db: &mut Db, now: Timestamp, random: &mut impl Random) -> Result<usize, DbError> {
    let mut done = 0;
    for id in rollouts::due(db.read(), now)? {
        done += db.write(|tx| advance(tx, id, now, random))?;
    }
    Ok(done)
}

fn advance(
    tx: &Transaction<'_>,
    id: RolloutId,
    now: Timestamp,
    random: &mut impl Random,
) -> Result<usize, DbError> {
    let mut rollout = rollouts::load(tx, id)?;
    let mut targets = rollouts::targets(tx, id)?;
    if join(tx, &rollout, &targets, now)? {
        targets = rollouts::targets(tx, id)?;
    }
    let mut changed = BTreeSet::new();
    let (removed, suspended) = rollouts::shut_out(tx, id)?;
    for target in targets.values_mut() {
        target.removed |= removed.contains(&target.agent);
        target.suspended = suspended.contains(&target.agent);
    }
    let before = rollout.stand.clone();
    let steps = plan(&rollout, &targets, now);
    for step in &steps {
        let corrected = corrected(step, &targets);
        let post = perform(step, &mut rollout, &mut targets, now, random);
        if let Some((what, detail)) = deed(step, &rollout) {
            audit::append(tx, now, "daemon", what, &format!("rollout {id}"), &detail)?;
        }
        for agent in touched(step) {
            if let Some(target) = targets.get(agent) {
                let (what, detail) = history(step, corrected.as_deref());
                rollouts::record(tx, id, target, now, what, &detail)?;
                changed.insert(agent.clone());
            }
        }
        if let Some(post) = post {
            enqueue(tx, id, post, now)?;
        }
    }
    for target in changed.iter().filter_map(|agent| targets.get(agent)) {
        rollouts::save_target(tx, id, target)?;
    }
    if rollout.stand != before {
        rollouts::save_stand(tx, id, &rollout.stand)?;
    }
    // What the next wave brings is planned at once.
    let mut wake =
        if rollout.stand.released > before.released { Some(now) } else { next_wake(&rollout, &targets) };
    if rollout.joining.is_some() && rollout.finished.is_none() {
        let look = after(now, JOIN_LOOK);
        wake = Some(wake.map_or(look, |wake| wake.min(look)));
    }
    rollouts::save_times(tx, id, rollout.finished, wake)?;
    Ok(steps.len())
}

fn enqueue(tx: &Transaction<'_>, id: RolloutId, post: Post, now: Timestamp) -> Result<(), DbError> {
    let package = post.command.update_order().map(|order| order.package);
    let priority = match post.kind {
        PostKind::Order => Priority::Bulk,
        PostKind::Ask | PostKind::Recall => Priority::Command,
    };
    let mail = NewMail {
        message: &Message::Command(post.command),
        id: post.message,
        in_reply_to: None,
        package,
        priority,
        created: now,
        expires: post.expires,
        not_before: now,
    };
    outbox::enqueue(tx, &mail, &post.agents)?;
    rollouts::insert_mail(tx, id, post.message, post.kind)
}

/// The targets that a step is about.
pub(super) fn touched(step: &Step) -> &[AgentId] {
    match step {
        Step::MarkUpdated { agent } | Step::MarkFailed { agent, .. } => std::slice::from_ref(agent),
        Step::Retry { agents }
        | Step::FallBack { agents }
        | Step::SendPackage { agents, .. }
        | Step::Recall { agents }
        | Step::AskVersion { agents } => agents,
        Step::MeetWave | Step::ReleaseWave | Step::Hold { .. } | Step::Stop { .. } | Step::Finish => &[],
    }
}

/// What a mark says, where it replaces an earlier one.
fn corrected(step: &Step, targets: &Targets) -> Option<String> {
    match step {
        Step::MarkUpdated { agent } | Step::MarkFailed { agent, .. } => {
            targets.get(agent)?.verdict().map(|before| format!("corrected; before: {}", words(before)))
        }
        Step::Retry { .. }
        | Step::FallBack { .. }
        | Step::SendPackage { .. }
        | Step::AskVersion { .. }
        | Step::Recall { .. }
        | Step::MeetWave
        | Step::ReleaseWave
        | Step::Hold { .. }
        | Step::Stop { .. }
        | Step::Finish => None,
    }
}

/// Lets those take part that have come to be meant; whether there were any.
fn join(tx: &Transaction<'_>, rollout: &Rollout, targets: &Targets, now: Timestamp) -> Result<bool, DbError> {
    let Some(joining) = &rollout.joining else { return Ok(false) };
    if !rollout.stand.sends() || rollout.finished.is_some() || now >= rollout.package_expires {
        return Ok(false);
    }
    let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let today = rollouts::joined_since(tx, rollout.id, day_ago)?;
    let fleet = appliances::all(tx)?;
    let joiners = joiners(joining, rollout, |agent| targets.contains_key(agent), &fleet, today);
    membership::insert(tx, rollout, &joiners, now, "joined")?;
    Ok(!joiners.is_empty())
}

/// What the daemon did to the rollout as a whole.
fn deed(step: &Step, rollout: &Rollout) -> Option<(&'static str, String)> {
    match step {
        Step::MeetWave => {
            let Stand { released, .. } = rollout.stand;
            Some(("wave proven", format!("wave {released} of {}", rollout.course.waves.len())))
        }
        Step::ReleaseWave => {
            let Stand { released, .. } = rollout.stand;
            Some(("wave released", format!("wave {released} of {}", rollout.course.waves.len())))
        }
        Step::Hold { reason } => Some(("pause", reason.clone())),
        Step::Stop { reason } => Some(("stop", reason.clone())),
        Step::Finish => Some(("finished", String::new())),
        Step::MarkUpdated { .. }
        | Step::MarkFailed { .. }
        | Step::Retry { .. }
        | Step::FallBack { .. }
        | Step::SendPackage { .. }
        | Step::Recall { .. }
        | Step::AskVersion { .. } => None,
    }
}

fn history(step: &Step, corrected: Option<&str>) -> (&'static str, String) {
    let corrected = corrected.unwrap_or_default();
    match step {
        Step::MarkUpdated { .. } => ("updated", corrected.to_owned()),
        Step::MarkFailed { failure, .. } => {
            let join = if corrected.is_empty() { "" } else { "; " };
            ("failed", format!("{failure}{join}{corrected}"))
        }
        Step::Retry { .. } => ("retry", "by itself".to_owned()),
        Step::FallBack { .. } => ("retry", "with whole files: it refused the differences".to_owned()),
        Step::SendPackage { whole: false, .. } => ("ordered", String::new()),
        Step::SendPackage { whole: true, .. } => ("ordered", "with whole files".to_owned()),
        Step::AskVersion { .. } => ("asked", String::new()),
        Step::Recall { .. } => ("called back", String::new()),
        Step::MeetWave | Step::ReleaseWave | Step::Hold { .. } | Step::Stop { .. } | Step::Finish => {
            ("", String::new())
        }
    }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Updated => "updated".to_owned(),
        Verdict::Failed { failure } => failure.to_string(),
    }
}

//! Carrying plans out: rows in, plan, rows and mails out, in one transaction per rollout.

use super::after;
use super::course::Stand;
use super::membership::{self, JOIN_LOOK, joiners};
use super::perform::{Post, PostKind, perform};
use super::plan::{Step, Targets, next_wake, plan};
use super::retrying::{self, Next, Why};
use super::settling;
use super::terms::{Rollout, RolloutId};
use super::verdict::Verdict;
use crate::db::alarms::{self, NewAlarm};
use crate::db::outbox::{self, NewMail, Priority};
use crate::db::{Db, DbError, appliances, audit, delays, measured, rollouts};
use crate::report::minute;
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
    let before = rollout.stand.clone();
    if rollout.finished.is_none() && rollout.lapse(now) {
        audit::append(tx, now, "daemon", "approval expired", &format!("rollout {id}"), "")?;
        rollouts::save_consent(tx, id, rollout.consent.as_ref())?;
    }
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
    let steps = plan(&rollout, &targets, now);
    let mails_left = retrying::mails_left(&rollout, &targets);
    for step in &steps {
        let corrected = corrected(step, &targets);
        call_off(tx, step, &targets, now)?;
        let post = perform(step, &mut rollout, &mut targets, now, random);
        measure(tx, step, &rollout, &mut targets, now)?;
        if let Step::MarkFailed { agent, failure } = step
            && retrying::alarms(failure)
        {
            let description = format!(
                "it does not trust the package of rollout {id}: {failure}; nothing is sent to it by itself any more. See \
                 `center-manager rollout status {id} --agent {agent}`"
            );
            let subject = format!("rollout {id}");
            let alarm = NewAlarm {
                agent: Some(agent),
                kind: "update-distrusted",
                subject: &subject,
                description: &description,
                since: now,
                reported: false,
            };
            alarms::raise(tx, &alarm, now)?;
        }
        if let Some((what, detail)) = deed(step, &rollout) {
            audit::append(tx, now, "daemon", what, &format!("rollout {id}"), &detail)?;
        }
        for agent in touched(step) {
            if let Some(target) = targets.get(agent) {
                let round = format!("round {} of {}", target.tried.rounds, rollout.retrying.rounds);
                let follows = outlook(step, &rollout, &targets, mails_left);
                let (what, detail) = history(step, corrected.as_deref(), &follows, &round);
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
    let expires = rollout.consent.as_ref().and_then(|consent| consent.expires);
    if let Some(expires) = expires.filter(|_| rollout.finished.is_none()) {
        wake = Some(wake.map_or(expires, |wake| wake.min(expires)));
    }
    rollouts::save_times(tx, id, rollout.finished, wake)?;
    Ok(steps.len())
}

fn enqueue(tx: &Transaction<'_>, id: RolloutId, post: Post, now: Timestamp) -> Result<(), DbError> {
    let package = post.command.update_order().map(|order| order.package);
    let priority = match post.kind {
        PostKind::Order => Priority::Bulk,
        PostKind::Ask if post.urgent => Priority::Urgent,
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
        | Step::TryAgain { agents }
        | Step::TryWhole { agents }
        | Step::AskAgain { agents }
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
        | Step::TryAgain { .. }
        | Step::TryWhole { .. }
        | Step::AskAgain { .. }
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
        Step::TryAgain { agents } | Step::TryWhole { agents } => {
            Some(("retry", format!("by itself, the package to {} appliances", agents.len())))
        }
        Step::AskAgain { agents } => {
            Some(("retry", format!("by itself, the question to {} appliances", agents.len())))
        }
        Step::MarkUpdated { .. }
        | Step::MarkFailed { .. }
        | Step::Retry { .. }
        | Step::FallBack { .. }
        | Step::SendPackage { .. }
        | Step::Recall { .. }
        | Step::AskVersion { .. } => None,
    }
}

fn history(step: &Step, corrected: Option<&str>, outlook: &str, round: &str) -> (&'static str, String) {
    let corrected = corrected.unwrap_or_default();
    match step {
        Step::MarkUpdated { .. } => ("updated", corrected.to_owned()),
        Step::MarkFailed { failure, .. } => {
            let join = if corrected.is_empty() { "" } else { "; " };
            ("failed", format!("{failure}{join}{corrected}{outlook}"))
        }
        Step::Retry { .. } => ("retry", String::new()),
        Step::TryAgain { .. } => ("retry", format!("by itself; {round}")),
        Step::TryWhole { .. } => ("retry", format!("by itself, with whole files; {round}")),
        Step::AskAgain { .. } => ("asked", format!("again by itself; {round}")),
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

/// What follows a mark by itself; nothing where the operator wants no rounds.
fn outlook(step: &Step, rollout: &Rollout, targets: &Targets, mails_left: u32) -> String {
    match step {
        Step::MarkFailed { agent, .. } => {
            match targets.get(agent).and_then(|target| retrying::outlook(rollout, target, mails_left)) {
                Some(Next::At { at, how }) => {
                    format!("; {how} by itself after {}", minute(retrying::goes_at(rollout, at)))
                }
                Some(Next::Never { why: Why::NotWanted | Why::Ended }) | None => String::new(),
                Some(Next::Never { .. }) if rollout.retrying.rounds == 0 => String::new(),
                Some(Next::Never { why }) => format!("; not again by itself: {why}"),
            }
        }
        _ => String::new(),
    }
}

/// A target that is updated needs no mail any more that still lies in the outbox, and one that is asked again not the
/// question before.
fn call_off(tx: &Transaction<'_>, step: &Step, targets: &Targets, now: Timestamp) -> Result<(), DbError> {
    let (agents, order_too) = match step {
        Step::MarkUpdated { agent } => (std::slice::from_ref(agent), true),
        Step::AskAgain { agents } => (agents.as_slice(), false),
        _ => return Ok(()),
    };
    for target in agents.iter().filter_map(|agent| targets.get(agent)) {
        let (order, ask) = target.mails();
        if let Some(ask) = ask {
            outbox::call_off(tx, ask.message, &target.agent, true, now)?;
        }
        if let Some(order) = order.filter(|_| order_too) {
            outbox::call_off(tx, order.message, &target.agent, false, now)?;
        }
    }
    Ok(())
}

/// Notes how long updates take, and lets new orders be followed by what was learned.
fn measure(
    tx: &Transaction<'_>,
    step: &Step,
    rollout: &Rollout,
    targets: &mut Targets,
    now: Timestamp,
) -> Result<(), DbError> {
    match step {
        // Where sites wait for their hours, the time says when those came.
        Step::MarkUpdated { agent } if rollout.openings.is_always() => {
            if let Some(took) = targets.get(agent).and_then(settling::took) {
                measured::took(tx, rollout.id, agent, took)?;
            }
        }
        Step::SendPackage { agents, whole } => {
            let order = rollout.whole.as_ref().filter(|_| *whole).unwrap_or(&rollout.order);
            let mut learned = measured::Learned::new(order.package);
            for agent in agents {
                let settle = learned.settle(tx, rollout.id, agent)?;
                let delay = delays::mail_delay(tx, agent, now)?;
                if let Some(target) = targets.get_mut(agent) {
                    target.expect(settle, delay);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

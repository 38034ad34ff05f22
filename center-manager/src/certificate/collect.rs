//! What a certificate says, from the database.

use super::{Answered, Record, Sent};
use crate::db::{Db, DbError};
use crate::rollout::{RolloutId, Target, TargetState};
use jiff::Timestamp;
use mailfmt::{AgentId, CenterId};

/// Why there is nothing to certify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// It takes no part.
    #[error(
        "{agent} is no target of rollout {rollout}; `center-manager rollout report {rollout}` lists them"
    )]
    NoTarget {
        /// Which appliance.
        agent: AgentId,
        /// Which rollout.
        rollout: RolloutId,
    },
    /// Somebody has meddled with the log that every certificate names.
    #[error(
        "line {line} of the audit log does not fit the one before it; nothing is certified on such a log"
    )]
    AuditBroken {
        /// The line.
        line: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Everything that is on record about one appliance in one rollout.
///
/// # Errors
/// [`CollectError`].
pub fn collect(
    db: &Db,
    center: &CenterId,
    id: RolloutId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<Record, CollectError> {
    let rollout = db.rollout(id)?;
    let mut targets = db.rollout_targets(id)?;
    let target =
        targets.remove(agent).ok_or_else(|| CollectError::NoTarget { agent: agent.clone(), rollout: id })?;
    let chain = db.check_deeds()?;
    if let Some(line) = chain.broken_at {
        return Err(CollectError::AuditBroken { line });
    }
    let answer = match &target.answer {
        None => None,
        Some(answer) => {
            let filed = db.filed_version(agent, answer.created, answer.received)?;
            Some(Answered {
                finding: answer.finding.clone(),
                created: answer.created,
                received: answer.received,
                number: filed.as_ref().map(|filed| filed.number),
                message: filed.as_ref().map(|filed| filed.message),
                report: filed.map(|filed| filed.report),
            })
        }
    };
    let (verdict, decided) = match &target.state {
        TargetState::Decided { verdict, at, .. } => (Some(verdict.clone()), Some(*at)),
        TargetState::Planned | TargetState::Ordered { .. } | TargetState::Asked { .. } => (None, None),
    };
    let (order, question) = mails(&target);
    let whole = rollout.whole.as_ref().filter(|_| target.whole);
    Ok(Record {
        center: center.clone(),
        made: now,
        agent: agent.clone(),
        rollout: id,
        started: rollout.started,
        finished: rollout.finished,
        deeds: db.deeds_about(&format!("rollout {id}"))?,
        package: whole.unwrap_or(&rollout.order).package,
        release: rollout.release,
        attempt: target.attempt,
        order,
        question,
        nonces: target.nonces,
        answer,
        verdict,
        decided,
        history: db.rollout_history(id, agent)?,
        audit_rows: chain.rows,
        audit_head: chain.head,
    })
}

fn mails(target: &Target) -> (Option<Sent>, Option<Sent>) {
    let (order, ask) = target.mails();
    let order = order.map(|order| Sent {
        message: order.message,
        written: order.at,
        handed_in: order.handed_in(),
        called_back: order.recalled,
    });
    let question = ask.map(|ask| Sent {
        message: ask.message,
        written: ask.at,
        handed_in: ask.transport.accepted_at(),
        called_back: None,
    });
    (order, question)
}

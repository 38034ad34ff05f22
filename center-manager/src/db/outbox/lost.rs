//! Commands that an appliance does not have although mail servers took them.

use super::{At, DbError, OutboxId, time, uncount};
use crate::sending::{HandedIn, lost};
use jiff::Timestamp;
use mailfmt::message::report::HealthReport;
use mailfmt::{AgentId, MessageId};
use rusqlite::{Transaction, params};

/// How often a command is sent again because of what an appliance tells: a mailbox that is emptied again and again is a person's
/// matter.
const SENT_AGAIN_MAX: u32 = 3;

/// Puts into the outbox again what an appliance must have lost, as its health report that was made at `made` tells; under the same
/// id and number, so that what comes twice is done once. Parts are asked for by number. Answers how many.
pub(in crate::db) fn send_lost_again(
    transaction: &Transaction<'_>,
    agent: &AgentId,
    report: &HealthReport,
    made: Timestamp,
    now: Timestamp,
) -> Result<usize, DbError> {
    if report.commands.is_none() {
        return Ok(0);
    }
    let handed_in: Vec<HandedIn> = transaction
        .prepare_cached(
            "SELECT o.id, o.message, r.sequence, r.changed FROM outbox_recipient r JOIN outbox o ON o.id = r.outbox
             WHERE r.agent = ?1 AND r.state IN ('accepted', 'delayed', 'bounced') AND r.sent_again < ?2
               AND o.family = 'command' AND o.part_of IS NULL AND o.expires > ?3
               AND NOT EXISTS (SELECT 1 FROM probe_rung p WHERE p.outbox = o.id)",
        )?
        .query_map(params![agent.as_str(), SENT_AGAIN_MAX, At(now)], |row| {
            let message: [u8; 16] = row.get(1)?;
            Ok(HandedIn {
                outbox: OutboxId(row.get(0)?),
                message: MessageId::from_bytes(message),
                sequence: uncount(row.get(2)?),
                at: time(row, 3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let lost = lost(&handed_in, report, made, now);
    let mut update = transaction.prepare_cached(
        "UPDATE outbox_recipient SET state = 'queued', next_try = ?3, changed = ?3, sent_again = sent_again + 1
         WHERE outbox = ?1 AND agent = ?2",
    )?;
    for outbox in &lost {
        update.execute(params![outbox.0, agent.as_str(), At(now)])?;
    }
    if !lost.is_empty() {
        tracing::info!(%agent, commands = lost.len(), "commands that did not come are sent again");
    }
    Ok(lost.len())
}

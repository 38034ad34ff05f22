//! Answer slots on record; see [`crate::slots`].

use super::columns::{At, maybe_time, time};
use super::outbox::OutboxId;
use super::{Db, DbError};
use crate::slots::{self, Block};
use jiff::{SignedDuration, Timestamp};
use mailfmt::AgentId;
use mailfmt::slot::AnswerSlot;
use rusqlite::{Connection, OptionalExtension as _, params};

/// Reports that are looked at to see how many come in besides answers.
const LOOKED_AT: u32 = 50_000;

/// So long after its time a mail is still answered late.
const LATE: SignedDuration = SignedDuration::from_hours(48);

impl Db {
    /// What is booked of an account's time from `now` on.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn answer_blocks(&self, account: &str, now: Timestamp) -> Result<Vec<Block>, DbError> {
        blocks(self.read(), account, now)
    }

    /// Books the time in which the recipients of one mail answer, durable when it returns; what the mail says of it. `None` where the
    /// message is for few, whose answers come as they come.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn book_answers(
        &mut self,
        account: &str,
        outbox: OutboxId,
        agents: &[AgentId],
        each_millis: u32,
        now: Timestamp,
    ) -> Result<Option<AnswerSlot>, DbError> {
        let Some(first) = agents.first() else { return Ok(None) };
        self.write(|tx| {
            let all: u32 = tx
                .prepare_cached("SELECT count(*) FROM outbox_recipient WHERE outbox = ?1")?
                .query_row([outbox.0], |row| row.get(0))?;
            if all < slots::MANY {
                return Ok(None);
            }
            let is_order: bool = tx
                .prepare_cached("SELECT kind = 'update' FROM outbox WHERE id = ?1")?
                .query_row([outbox.0], |row| row.get(0))?;
            tx.prepare_cached("DELETE FROM answer_block WHERE until < ?1 OR (outbox = ?2 AND agent = ?3)")?
                .execute(params![At(now), outbox.0, first.as_str()])?;
            let count = u32::try_from(agents.len()).unwrap_or(u32::MAX);
            let taken = blocks(tx, account, now)?;
            let block = slots::book(&taken, slots::earliest(now, is_order), count, each_millis);
            tx.prepare_cached(
                "INSERT INTO answer_block (account, begins, until, outbox, agent) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![account, At(block.from), At(block.until), outbox.0, first.as_str()])?;
            let slot = slots::slot(block, each_millis, all, now);
            let mut update = tx
                .prepare_cached("UPDATE outbox_recipient SET answer_at = ?3 WHERE outbox = ?1 AND agent = ?2")?;
            for (place, agent) in agents.iter().enumerate() {
                let at = now.saturating_add(slot.wait(place, now)).unwrap_or(Timestamp::MAX);
                update.execute(params![outbox.0, agent.as_str(), At(at)])?;
            }
            Ok(Some(slot))
        })
    }

    /// The most reports of an hour of the last day that came besides the answers to messages for many.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn unplanned_reports(&self, now: Timestamp) -> Result<u32, DbError> {
        let since = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        let mut statement = self.read().prepare_cached(
            "SELECT ifnull(max(reports), 0) FROM (
                SELECT count(*) AS reports FROM report
                WHERE number > (SELECT ifnull(max(number), 0) FROM report) - ?2
                  AND received >= ?1 AND kind NOT IN ('version', 'update-result')
                GROUP BY received / 3600000)",
        )?;
        Ok(statement.query_row(params![At(since), LOOKED_AT], |row| row.get(0))?)
    }
}

fn blocks(connection: &Connection, account: &str, now: Timestamp) -> Result<Vec<Block>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT begins, until FROM answer_block WHERE account = ?1 AND until > ?2 ORDER BY begins",
    )?;
    let rows = statement.query_map(params![account, At(now)], |row| {
        Ok(Block { from: time(row, 0)?, until: time(row, 1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When a recipient answers, at the earliest: `now`, or its slot.
pub(super) fn answers_from(
    connection: &Connection,
    outbox: OutboxId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<Timestamp, DbError> {
    let at = connection
        .prepare_cached("SELECT answer_at FROM outbox_recipient WHERE outbox = ?1 AND agent = ?2")?
        .query_row(params![outbox.0, agent.as_str()], |row| maybe_time(row, 0))
        .optional()?;
    Ok(at.flatten().map_or(now, |at| at.max(now)))
}

/// Whether an appliance was given a slot lately: then it waits long enough for its receipt.
pub(super) fn answers_in_slots(
    connection: &Connection,
    agent: &AgentId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let since = now.saturating_sub(LATE).unwrap_or(Timestamp::MIN);
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM outbox_recipient WHERE agent = ?1 AND answer_at > ?2")?;
    Ok(statement.exists(params![agent.as_str(), At(since)])?)
}

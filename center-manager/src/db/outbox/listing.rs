//! The outbox as a person looks at it.

use super::{Delivery, OutboxId, Transport, deliveries};
use crate::db::columns::{At, Id, time};
use crate::db::{Db, DbError};
use jiff::Timestamp;
use mailfmt::MessageId;
use rusqlite::params;

/// One message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OutboxLine {
    /// Its number in the outbox.
    pub number: i64,
    /// Its message id.
    pub message: MessageId,
    /// Its kind: of command, or `receipt`.
    pub kind: String,
    /// When it was put there.
    pub created: Timestamp,
    /// After this it is not sent any more.
    pub expires: Timestamp,
    /// How many recipients stand where; states without any are left out.
    pub states: Vec<(Transport, u32)>,
}

/// Which messages are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxFilter {
    /// Those that did not reach everybody yet: some recipient is queued, delayed, bounced, refused or expired.
    Open,
    /// All commands.
    Commands,
    /// All commands and receipts.
    All,
}

impl Db {
    /// Messages in the outbox, newest last; at most `limit`, the newest ones.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn outbox(&self, filter: OutboxFilter, limit: u32) -> Result<Vec<OutboxLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT o.id, o.message, o.kind, o.created, o.expires FROM outbox o
             WHERE (?1 OR o.family <> 'receipt')
               AND (?2 OR EXISTS (SELECT 1 FROM outbox_recipient r
                                  WHERE r.outbox = o.id AND r.state NOT IN ('accepted', 'answered')))
             ORDER BY o.id DESC LIMIT ?3",
        )?;
        let with_receipts = matches!(filter, OutboxFilter::Open | OutboxFilter::All);
        let all = filter != OutboxFilter::Open;
        let rows = statement.query_map(params![with_receipts, all, limit], |row| {
            Ok(OutboxLine {
                number: row.get(0)?,
                message: row.get::<_, Id>(1)?.message(),
                kind: row.get(2)?,
                created: time(row, 3)?,
                expires: time(row, 4)?,
                states: Vec::new(),
            })
        })?;
        let mut lines = rows.collect::<Result<Vec<_>, _>>()?;
        lines.reverse();
        for line in &mut lines {
            line.states = self.states(OutboxId(line.number))?;
        }
        Ok(lines)
    }

    fn states(&self, outbox: OutboxId) -> Result<Vec<(Transport, u32)>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT state, count(*) FROM outbox_recipient WHERE outbox = ?1 GROUP BY state ORDER BY state",
        )?;
        let rows =
            statement.query_map([outbox.0], |row| Ok((crate::db::columns::parsed(row, 0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The state of every recipient of a message, in order of their ids.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn deliveries(&self, outbox: OutboxId) -> Result<Vec<Delivery>, DbError> {
        deliveries(self.read(), outbox)
    }

    /// Marks what was not sent in time, and forgets receipts long past their use; returns how many were not sent.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn expire_outbox(&mut self, now: Timestamp) -> Result<usize, DbError> {
        self.write(|transaction| {
            let expired = transaction.execute(
                "UPDATE outbox_recipient SET state = 'expired', changed = ?1
                 WHERE state = 'queued' AND outbox IN (SELECT id FROM outbox WHERE expires < ?1)",
                [At(now)],
            )?;
            // A report that is repeated so late gets its receipt from the journal.
            transaction.execute("DELETE FROM outbox WHERE family = 'receipt' AND expires < ?1", [At(now)])?;
            Ok(expired)
        })
    }
}

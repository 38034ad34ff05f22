//! Reports to be sent, until their receipts come.

use super::{Change, Store, StoreError, holds, row};
use crate::outbox::Priority;
use jiff::Timestamp;
use mailfmt::message::{Family, Message};
use mailfmt::{CenterId, MessageId, Report};
use rusqlite::{OptionalExtension as _, Params, Row};
use std::time::Duration;

/// A report before it is stored; [`crate::context::Context::outgoing`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its id for ever, however often it is sent.
    pub id: MessageId,
    /// To which center.
    pub center: CenterId,
    /// What it says.
    pub report: Report,
    /// The command that it answers.
    pub in_reply_to: Option<MessageId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxState {
    /// To be sent until a receipt comes.
    Waiting,
    /// The center has it.
    Receipted,
    /// Given up.
    Expired,
}

impl OutboxState {
    /// The word for tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Receipted => "receipted",
            Self::Expired => "expired",
        }
    }
}

/// A stored report without its content.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OutboxRow {
    /// Row number.
    pub id: i64,
    /// The report's id.
    pub message: MessageId,
    /// Its number in the channel to the center; never used again.
    pub sequence: u64,
    /// Kind of report, as on the wire.
    pub kind: String,
    /// What goes first.
    pub priority: Priority,
    /// The command that it answers.
    pub in_reply_to: Option<MessageId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// What became of it.
    pub state: OutboxState,
    /// When it is to be sent next.
    pub due: Timestamp,
    /// How often a server took it.
    pub sendings: u32,
    /// How often a server refused this very mail.
    pub refusals: u32,
    /// When a server last took it.
    pub last_sent: Option<Timestamp>,
    /// Why the last try failed; empty if it did not.
    pub last_error: String,
    /// The center's reception number.
    pub receipt_number: Option<u64>,
    /// How long it may be put off, beyond the usual pauses.
    pub patience: Duration,
}

const COLUMNS: &str =
    "id, message, sequence, kind, priority, in_reply_to, created_ms, expires_ms, state, due_ms,
    sendings, refusals, last_sent_ms, last_error, receipt_number, patience_ms";

fn read(row: &Row<'_>) -> Result<OutboxRow, StoreError> {
    let text = |index: usize| row.get::<_, String>(index);
    let time = |index: usize| -> Result<Timestamp, StoreError> { row::time(row.get(index)?, "outbox row") };
    let damaged = || StoreError::Damaged { what: "outbox row" };
    Ok(OutboxRow {
        id: row.get(0)?,
        message: row::id(&text(1)?)?,
        sequence: row::to_u64(row.get(2)?),
        kind: text(3)?,
        priority: Priority::from_number(row.get(4)?).ok_or_else(damaged)?,
        in_reply_to: row.get::<_, Option<String>>(5)?.as_deref().map(row::id).transpose()?,
        created: time(6)?,
        expires: time(7)?,
        state: match text(8)?.as_str() {
            "waiting" => OutboxState::Waiting,
            "receipted" => OutboxState::Receipted,
            "expired" => OutboxState::Expired,
            _ => return Err(damaged()),
        },
        due: time(9)?,
        sendings: row.get(10)?,
        refusals: row.get(11)?,
        last_sent: row.get::<_, Option<i64>>(12)?.map(|ms| row::time(ms, "outbox row")).transpose()?,
        last_error: text(13)?,
        receipt_number: row.get::<_, Option<i64>>(14)?.map(row::to_u64),
        patience: Duration::from_millis(row::to_u64(row.get(15)?)),
    })
}

impl Store {
    /// Reports that wait for a receipt: by priority, then by age; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_waiting(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows("WHERE state = 'waiting' ORDER BY priority, id LIMIT ?1", (limit,))
    }

    /// The waiting reports that a plan for `now` may concern: due or expired, or due only after `due_latest`, which no
    /// sound clock has written. By priority, then by age; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_due(
        &self,
        now: Timestamp,
        due_latest: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows(
            "WHERE state = 'waiting' AND (due_ms <= ?1 OR due_ms > ?2 + patience_ms OR expires_ms <= ?1)
             ORDER BY priority, id LIMIT ?3",
            (now.as_millisecond(), due_latest.as_millisecond(), limit),
        )
    }

    /// The few waiting reports on which the next wake depends: the next one due, the next one to expire, and the fault
    /// report that was sent last and not more than `sendings_max` times.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_next(&self, sendings_max: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = self.outbox_rows("WHERE state = 'waiting' ORDER BY due_ms LIMIT 1", ())?;
        rows.extend(self.outbox_rows("WHERE state = 'waiting' ORDER BY expires_ms LIMIT 1", ())?);
        rows.extend(self.outbox_rows(
            "WHERE state = 'waiting' AND priority = ?1 AND sendings BETWEEN 1 AND ?2
             ORDER BY last_sent_ms DESC LIMIT 1",
            (Priority::Fault.number(), sendings_max),
        )?);
        Ok(rows)
    }

    /// The newest reports, whatever became of them; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_newest(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows("ORDER BY id DESC LIMIT ?1", (limit,))
    }

    fn outbox_rows(&self, which: &str, parameters: impl Params) -> Result<Vec<OutboxRow>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM outbox {which}"))?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// The report in row `id`, if it is still there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_row(&self, id: i64) -> Result<Option<OutboxRow>, StoreError> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1"))?
            .query_row((id,), |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// How many reports wait for a receipt.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn outbox_waiting_count(&self) -> Result<u32, StoreError> {
        Ok(self
            .connection
            .query_row("SELECT count(*) FROM outbox WHERE state = 'waiting'", (), |row| row.get(0))?)
    }

    /// What a stored report says.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no such row.
    pub fn outbox_message(&self, id: i64) -> Result<Message, StoreError> {
        let payload: Vec<u8> = self
            .connection
            .prepare_cached("SELECT payload FROM outbox WHERE id = ?1")?
            .query_row((id,), |row| row.get(0))?;
        Message::parse(Family::Report, &payload).map_err(|_| StoreError::Damaged { what: "report" })
    }
}

impl Change<'_> {
    /// Stores a report with the next sequence number of its channel; it is due at once, or in its slot where the answer is held
    /// ([`Change::hold_answer`]). Returns its row number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn enqueue(&self, outgoing: &Outgoing) -> Result<i64, StoreError> {
        self.enqueue_held(outgoing, outgoing.in_reply_to)
    }

    /// The same for a report that waits as an answer to `command` would.
    pub(super) fn enqueue_held(
        &self,
        outgoing: &Outgoing,
        command: Option<MessageId>,
    ) -> Result<i64, StoreError> {
        let (due, patience) = holds::put_off(self.transaction, &outgoing.report, command, outgoing.created)?;
        let sequence = self.next_sequence(&outgoing.center, outgoing.created)?;
        let message = Message::Report(outgoing.report.clone());
        self.transaction
            .prepare_cached(
                "INSERT INTO outbox (message, center, sequence, kind, priority, in_reply_to, payload,
                     created_ms, expires_ms, due_ms, patience_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .insert((
                outgoing.id.to_string(),
                outgoing.center.as_str(),
                row::from_u64(sequence),
                message.kind(),
                Priority::of(&outgoing.report, outgoing.in_reply_to.is_some()).number(),
                outgoing.in_reply_to.map(|id| id.to_string()),
                message.write(),
                outgoing.created.as_millisecond(),
                outgoing.expires.as_millisecond(),
                due.as_millisecond(),
                i64::try_from(patience.as_millis()).unwrap_or(i64::MAX),
            ))
            .map_err(StoreError::Sql)
    }

    /// A server took the report: one more sending, and the next one due at `due` unless a receipt comes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn mark_sent(&self, id: i64, at: Timestamp, due: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "UPDATE outbox SET sendings = sendings + 1, last_sent_ms = ?2, due_ms = ?3, last_error = ''
                 WHERE id = ?1",
            )?
            .execute((id, at.as_millisecond(), due.as_millisecond()))?;
        Ok(())
    }

    /// A server refused this very mail: it is tried again at `due`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn mark_refused(&self, id: i64, error: &str, due: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "UPDATE outbox SET refusals = refusals + 1, due_ms = ?3, last_error = ?2 WHERE id = ?1",
            )?
            .execute((id, error, due.as_millisecond()))?;
        Ok(())
    }

    /// The center has the report. False if there is no such report, or it was settled before.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn settle(&self, message: MessageId, number: u64, at: Timestamp) -> Result<bool, StoreError> {
        let changed = self
            .transaction
            .prepare_cached(
                "UPDATE outbox SET state = 'receipted', receipt_number = ?2, ended_ms = ?3
                 WHERE message = ?1 AND state <> 'receipted'",
            )?
            .execute((message.to_string(), row::from_u64(number), at.as_millisecond()))?;
        Ok(changed > 0)
    }

    /// Gives a report up, and counts it for the next health report.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn expire(&self, id: i64, at: Timestamp) -> Result<(), StoreError> {
        let changed = self
            .transaction
            .prepare_cached(
                "UPDATE outbox SET state = 'expired', ended_ms = ?2 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute((id, at.as_millisecond()))?;
        if changed > 0 {
            self.count(super::Tally::ReportsExpired)?;
            self.take_ledger_back(id)?;
        }
        Ok(())
    }

    /// Gives up the oldest waiting reports beyond `waiting_max`, those of the lowest priority first, and counts them.
    /// Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn expire_surplus(&self, waiting_max: u32, at: Timestamp) -> Result<usize, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id FROM outbox WHERE state = 'waiting' ORDER BY priority, id DESC LIMIT -1 OFFSET ?1",
        )?;
        let surplus: Vec<i64> =
            statement.query_map((waiting_max,), |row| row.get(0))?.collect::<Result<_, _>>()?;
        for id in &surplus {
            self.expire(*id, at)?;
        }
        Ok(surplus.len())
    }

    /// Makes a waiting report one that was made at `created`, due at once.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn redate(&self, id: i64, created: Timestamp, expires: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "UPDATE outbox SET created_ms = ?2, expires_ms = ?3, due_ms = ?2 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute((id, created.as_millisecond(), expires.as_millisecond()))?;
        Ok(())
    }

    /// A command came again: its stored answers are due again, but not before `pause_ms` have passed since they were
    /// last sent, so that copies of one mail do not multiply answers; one that waits for its slot goes on waiting. Returns how
    /// many answers there are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn answer_again(
        &self,
        command: MessageId,
        now: Timestamp,
        pause_ms: i64,
    ) -> Result<usize, StoreError> {
        let changed = self
            .transaction
            .prepare_cached(
                "UPDATE outbox
                 SET state = 'waiting', ended_ms = NULL, receipt_number = NULL,
                     due_ms = CASE WHEN state = 'waiting' AND sendings = 0 AND patience_ms > 0 THEN due_ms
                         ELSE MIN(CASE state WHEN 'waiting' THEN due_ms ELSE 9223372036854775807 END,
                                  MAX(?2, coalesce(last_sent_ms + ?3, ?2))) END
                 WHERE in_reply_to = ?1 AND expires_ms > ?2",
            )?
            .execute((command.to_string(), now.as_millisecond(), pause_ms))?;
        Ok(changed)
    }
}

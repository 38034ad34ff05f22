//! The journal of reports, and the counts of what was thrown away.

use super::columns::{Id, maybe_parsed, parsed, time, uncount};
use super::{Db, DbError};
use jiff::Timestamp;
use mailfmt::{AgentId, MessageId};
use rusqlite::{OptionalExtension as _, Row, params};

/// One report in the journal.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct JournalEntry {
    /// Reception number.
    pub number: u64,
    /// Who sent it.
    pub agent: AgentId,
    /// Its message id.
    pub message: MessageId,
    /// The command that it answers.
    pub in_reply_to: Option<MessageId>,
    /// Its kind.
    pub kind: String,
    /// What it says, in words; the same as in its receipt.
    pub description: String,
    /// When the appliance wrote it.
    pub created: Timestamp,
    /// When it was filed.
    pub received: Timestamp,
    /// How often it came again.
    pub repeats: u32,
    /// How far its receipt came; absent when the receipt is long past its use.
    pub receipt: Option<super::outbox::Transport>,
}

/// Mails that were thrown away for one reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Discarded {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub last: Timestamp,
}

/// Which reports are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// Of one appliance only.
    pub agent: Option<AgentId>,
    /// Of one kind only.
    pub kind: Option<String>,
    /// At most so many, the newest ones; `None` means all.
    pub limit: Option<u32>,
}

const COLUMNS: &str =
    "j.number, j.agent, j.message, j.in_reply_to, j.kind, j.description, j.created, j.received,
    j.repeats, (SELECT r.state FROM outbox o JOIN outbox_recipient r ON r.outbox = o.id
                WHERE o.message = j.receipt)";

fn read_entry(row: &Row<'_>) -> rusqlite::Result<JournalEntry> {
    Ok(JournalEntry {
        number: uncount(row.get(0)?),
        agent: parsed(row, 1)?,
        message: row.get::<_, Id>(2)?.message(),
        in_reply_to: row.get::<_, Option<Id>>(3)?.map(Id::message),
        kind: row.get(4)?,
        description: row.get(5)?,
        created: time(row, 6)?,
        received: time(row, 7)?,
        repeats: row.get(8)?,
        receipt: maybe_parsed(row, 9)?,
    })
}

impl Db {
    /// Reports, newest last.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn journal(&self, filter: &JournalFilter) -> Result<Vec<JournalEntry>, DbError> {
        let mut statement = self.read().prepare_cached(&format!(
            "SELECT {COLUMNS} FROM report j
             WHERE (?1 IS NULL OR j.agent = ?1) AND (?2 IS NULL OR j.kind = ?2)
             ORDER BY j.number DESC LIMIT ?3"
        ))?;
        let limit = filter.limit.map_or(-1, i64::from);
        let agent = filter.agent.as_ref().map(AgentId::as_str);
        let rows = statement.query_map(params![agent, filter.kind, limit], read_entry)?;
        let mut entries = rows.collect::<Result<Vec<_>, _>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// One report with its JSON payload as it came.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn journaled(&self, number: u64) -> Result<Option<(JournalEntry, String)>, DbError> {
        let mut statement = self
            .read()
            .prepare_cached(&format!("SELECT {COLUMNS}, j.body FROM report j WHERE j.number = ?1"))?;
        let number = super::columns::count(number);
        Ok(statement.query_row([number], |row| Ok((read_entry(row)?, row.get(10)?))).optional()?)
    }

    /// What was thrown away, by reason.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn discarded(&self) -> Result<Vec<Discarded>, DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT reason, count, last FROM discarded ORDER BY reason")?;
        let rows = statement.query_map([], |row| {
            Ok(Discarded { reason: row.get(0)?, count: uncount(row.get(1)?), last: time(row, 2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

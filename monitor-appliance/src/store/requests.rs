//! Work for `version-report`.

use super::outbox::Outgoing;
use super::{Change, Store, StoreError, row};
use crate::clock::Reading;
use jiff::Timestamp;
use mailfmt::{MessageId, Nonce};
use rusqlite::OptionalExtension as _;

/// A version report that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequestRow {
    /// Row number.
    pub id: i64,
    /// The command that asked; `None` after an installation that reports by itself.
    pub command: Option<MessageId>,
    /// To be given back in the report.
    pub nonce: Option<Nonce>,
    /// Since when it is wanted.
    pub created: Timestamp,
    /// The command in whose slot it goes out, where it answers none.
    pub held_by: Option<MessageId>,
}

impl Store {
    /// Version reports that are wanted and do not wait for their slot, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn version_requests_due(
        &self,
        now: Timestamp,
        reading: &Reading,
    ) -> Result<Vec<VersionRequestRow>, StoreError> {
        let mut due = self.version_requests()?;
        let mut over = Vec::new();
        for request in &due {
            let hold =
                request.held_by.or(request.command).map(|command| self.hold_of(command)).transpose()?;
            over.push(hold.flatten().is_none_or(|hold| hold.is_over(now, reading)));
        }
        let mut over = over.into_iter();
        due.retain(|_| over.next().unwrap_or(true));
        Ok(due)
    }

    /// Version reports that are wanted, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn version_requests(&self) -> Result<Vec<VersionRequestRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, command, nonce, created_ms, held_by FROM version_request ORDER BY id LIMIT 100",
        )?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let nonce: Option<String> = row.get(2)?;
            found.push(VersionRequestRow {
                id: row.get(0)?,
                command: row.get::<_, Option<String>>(1)?.as_deref().map(row::id).transpose()?,
                nonce: nonce
                    .map(|nonce| nonce.parse())
                    .transpose()
                    .map_err(|_| StoreError::Damaged { what: "nonce" })?,
                created: row::time(row.get(3)?, "version request")?,
                held_by: row.get::<_, Option<String>>(4)?.as_deref().map(row::id).transpose()?,
            });
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// Asks `version-report` for a report.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn request_version(
        &self,
        command: Option<MessageId>,
        nonce: Option<Nonce>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("INSERT INTO version_request (command, nonce, created_ms) VALUES (?1, ?2, ?3)")?
            .execute((
                command.map(|id| id.to_string()),
                nonce.map(|nonce| nonce.to_string()),
                now.as_millisecond(),
            ))?;
        Ok(())
    }

    /// Asks `version-report` for a report that answers nothing, in the slot of the answer to `command`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn request_version_in_slot(&self, command: MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.request_version(None, None, now)?;
        self.transaction
            .prepare_cached("UPDATE version_request SET held_by = ?1 WHERE id = last_insert_rowid()")?
            .execute((command.to_string(),))?;
        Ok(())
    }

    /// Answers a wanted version report. False, and nothing sent, if somebody else has answered it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn answer_version(&self, id: i64, answer: &Outgoing) -> Result<bool, StoreError> {
        let deleted: Option<Option<String>> = self
            .transaction
            .prepare_cached("DELETE FROM version_request WHERE id = ?1 RETURNING held_by")?
            .query_row((id,), |row| row.get(0))
            .optional()?;
        let Some(held_by) = deleted else { return Ok(false) };
        let held_by = held_by.as_deref().map(row::id).transpose()?;
        self.enqueue_held(answer, held_by.or(answer.in_reply_to))?;
        Ok(true)
    }
}

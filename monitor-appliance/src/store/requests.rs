//! Work for `version-report`.

use super::outbox::Outgoing;
use super::{Change, Store, StoreError, row};
use jiff::Timestamp;
use mailfmt::{MessageId, Nonce};

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
}

impl Store {
    /// Version reports that are wanted, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn version_requests(&self) -> Result<Vec<VersionRequestRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, command, nonce, created_ms FROM version_request ORDER BY id LIMIT 100",
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

    /// Answers a wanted version report. False, and nothing sent, if somebody else has answered it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn answer_version(&self, id: i64, answer: &Outgoing) -> Result<bool, StoreError> {
        let deleted =
            self.transaction.prepare_cached("DELETE FROM version_request WHERE id = ?1")?.execute((id,))?;
        if deleted > 0 {
            self.enqueue(answer)?;
        }
        Ok(deleted > 0)
    }
}

//! Mail that came back: bounces of our reports, warnings, automatic answers. Hints for a person; the newest are kept.

use super::{Change, Store, StoreError, row};
use jiff::Timestamp;
use mailfmt::MessageId;
use mailfmt::mail::returned::{Cause, Returned};

/// Rows kept; anybody may send such mails.
const KEPT: u32 = 100;

/// One mail that came back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReturnedRow {
    /// When it was filed.
    pub at: Timestamp,
    /// What it is, a word of [`mailfmt::mail::returned::Kind`].
    pub kind: String,
    /// Why our mail did not arrive, a word of [`Cause`]; empty where nothing says so.
    pub cause: String,
    /// The report that it names.
    pub message: Option<MessageId>,
    /// What became of the mail, with the mail system's words.
    pub words: String,
}

impl Store {
    /// The newest mails that came back, newest first; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn returned(&self, limit: u32) -> Result<Vec<ReturnedRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at_ms, kind, cause, message, words FROM returned ORDER BY id DESC LIMIT ?1",
        )?;
        let mut rows = statement.query((limit,))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let message: Option<String> = row.get(3)?;
            found.push(ReturnedRow {
                at: row::time(row.get(0)?, "returned mail")?,
                kind: row.get(1)?,
                cause: row.get(2)?,
                message: message.as_deref().map(row::id).transpose()?,
                words: row.get(4)?,
            });
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// Notes a mail that came back. Where it names a report that waits for its receipt, the reason stands there, too; the report
    /// is sent again all the same, for nothing in such a mail is authentic.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_returned(&self, returned: &Returned, at: Timestamp) -> Result<(), StoreError> {
        let cause = returned.cause.map(Cause::as_str).unwrap_or_default();
        let words: String =
            returned.words().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let mut ours = None;
        if returned.cause.is_some() {
            let mut mark = self.transaction.prepare_cached(
                "UPDATE outbox SET last_error = ?2 WHERE message = ?1 AND state = 'waiting'",
            )?;
            for message in &returned.messages {
                if mark.execute((message.to_string(), format!("the mail {words}")))? > 0 {
                    ours.get_or_insert(*message);
                }
            }
        }
        let message = ours.or_else(|| returned.messages.first().copied()).map(|message| message.to_string());
        self.transaction
            .prepare_cached(
                "INSERT INTO returned (at_ms, kind, cause, message, words) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((at.as_millisecond(), returned.kind.as_str(), cause, message, &words))?;
        self.transaction
            .prepare_cached(
                "DELETE FROM returned WHERE id <= (SELECT id FROM returned ORDER BY id DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute((KEPT,))?;
        Ok(())
    }
}

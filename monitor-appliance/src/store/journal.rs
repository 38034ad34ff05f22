//! What came in and was acted on, by message id, so that nothing is done twice.

use super::{Change, Store, StoreError, row};
use jiff::Timestamp;
use mailfmt::message::report::CommandsHeld;
use mailfmt::{CenterId, MessageId};
use rusqlite::OptionalExtension as _;

/// What was done with an authentic message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A command that is or was carried out.
    Accepted,
    /// A command that was answered with a refusal.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// One message for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The message.
    pub message: MessageId,
    /// The center that sent it.
    pub center: CenterId,
    /// Its number in the channel.
    pub sequence: u64,
    /// Its kind, as on the wire.
    pub kind: String,
    /// What was done.
    pub outcome: Outcome,
    /// When it came.
    pub received: Timestamp,
    /// When it expires; it need not be remembered longer.
    pub expires: Timestamp,
}

/// What the journal knows that bears on one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// This very message came before.
    pub before: bool,
    /// When the newest message in its channel was made.
    pub newest: Option<Timestamp>,
}

impl Store {
    /// What the journal knows about `message` from `center`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn seen(&self, message: MessageId, center: &CenterId) -> Result<Seen, StoreError> {
        let before = self
            .connection
            .prepare_cached("SELECT 1 FROM journal WHERE message = ?1")?
            .exists((message.to_string(),))?;
        Ok(Seen { before, newest: self.newest_of(center)? })
    }

    /// The commands that have come and have not expired, the latest first, as many as a health report has room for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commands_held(&self, now: Timestamp) -> Result<CommandsHeld, StoreError> {
        let most = i64::try_from(CommandsHeld::IDS_MAX).unwrap_or(i64::MAX);
        let rows: Vec<(String, i64)> = self
            .connection
            .prepare_cached(
                "SELECT message, received_ms FROM journal WHERE expires_ms > ?1 ORDER BY received_ms DESC, message LIMIT ?2",
            )?
            .query_map((now.as_millisecond(), most), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let oldest = rows.last().and_then(|(_, received)| Timestamp::from_millisecond(*received).ok());
        let ids: Vec<MessageId> = rows.iter().filter_map(|(message, _)| message.parse().ok()).collect();
        let since = oldest.filter(|_| ids.len() >= CommandsHeld::IDS_MAX);
        Ok(CommandsHeld { ids, since })
    }

    /// Highest sequence number that came from `center`; 0 if none did.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn sequence_seen(&self, center: &CenterId) -> Result<u64, StoreError> {
        let sequence: Option<i64> = self
            .connection
            .prepare_cached("SELECT sequence_seen FROM channel WHERE center = ?1")?
            .query_row((center.as_str(),), |row| row.get(0))
            .optional()?;
        Ok(sequence.map_or(0, row::to_u64))
    }
}

impl Change<'_> {
    /// Writes a message into the journal. False, and nothing written, if it stands there already.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn journal(&self, entry: &JournalEntry) -> Result<bool, StoreError> {
        let written = self
            .transaction
            .prepare_cached(
                "INSERT INTO journal (message, sequence, kind, outcome, received_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (message) DO NOTHING",
            )?
            .execute((
                entry.message.to_string(),
                row::from_u64(entry.sequence),
                &entry.kind,
                entry.outcome.as_str(),
                entry.received.as_millisecond(),
                entry.expires.as_millisecond(),
            ))?;
        self.see_sequence(&entry.center, entry.sequence)?;
        Ok(written > 0)
    }

    /// Notes a sequence number that came from `center`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn see_sequence(&self, center: &CenterId, sequence: u64) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO channel (center, sequence_seen) VALUES (?1, ?2)
                 ON CONFLICT (center) DO UPDATE SET sequence_seen = MAX(sequence_seen, excluded.sequence_seen)",
            )?
            .execute((center.as_str(), row::from_u64(sequence)))?;
        Ok(())
    }
}

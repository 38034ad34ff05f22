//! Orders that were called back, so that one which comes after its recall is not carried out.

use super::{Change, Store, StoreError};
use jiff::Timestamp;
use mailfmt::MessageId;

impl Store {
    /// Whether the order of this command was called back.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn is_called_back(&self, command: MessageId) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM update_recall WHERE command = ?1")?
            .exists((command.to_string(),))?)
    }
}

impl Change<'_> {
    /// Notes that the order of this command was called back; it is remembered until `expires`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn call_back(
        &self,
        command: MessageId,
        received: Timestamp,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO update_recall (command, received_ms, expires_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (command) DO UPDATE SET expires_ms = MAX(expires_ms, excluded.expires_ms)",
            )?
            .execute((command.to_string(), received.as_millisecond(), expires.as_millisecond()))?;
        Ok(())
    }

    /// Forgets recalls of orders that could not be acted on any more if they came.
    pub(super) fn prune_recalls(&self, before: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .transaction
            .prepare_cached("DELETE FROM update_recall WHERE expires_ms < ?1")?
            .execute((before.as_millisecond(),))?)
    }
}

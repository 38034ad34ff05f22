//! When ordered updates may begin.

use super::{Change, Store, StoreError};
use mailfmt::MessageId;
use mailfmt::conditions::Conditions;
use rusqlite::OptionalExtension as _;

impl Store {
    /// When the order of this command may begin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conditions_of(&self, command: MessageId) -> Result<Conditions, StoreError> {
        let text: Option<String> = self
            .connection
            .prepare_cached("SELECT conditions FROM update_conditions WHERE command = ?1")?
            .query_row((command.to_string(),), |row| row.get(0))
            .optional()?;
        let damaged = |_| StoreError::Damaged { what: "conditions of an update order" };
        text.map_or(Ok(Conditions::default()), |text| serde_json::from_str(&text).map_err(damaged))
    }
}

impl Change<'_> {
    /// Keeps when the order of this command may begin, together with the order itself.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_conditions(&self, command: MessageId, conditions: &Conditions) -> Result<(), StoreError> {
        if conditions.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(conditions).expect("conditions have no failing serializers");
        self.transaction
            .prepare_cached(
                "INSERT INTO update_conditions (command, conditions) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute((command.to_string(), text))?;
        Ok(())
    }

    /// Forgets the conditions of orders that are over.
    pub(super) fn prune_conditions(&self) -> Result<usize, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "DELETE FROM update_conditions WHERE command IN (SELECT command FROM update_order WHERE done = 1)",
            )?
            .execute(())?)
    }
}

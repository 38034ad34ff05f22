//! What is remembered of supplies over time.

use super::{Change, Store, StoreError};
use rusqlite::OptionalExtension as _;

impl Store {
    /// What is remembered of the supplies of the device at `address`: JSON of [`crate::supply::DeviceSupplies`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn supply_memory(&self, address: &str) -> Result<Option<String>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT supply_memory FROM device WHERE address = ?1")?
            .query_row((address,), |row| row.get::<_, Option<String>>(0))
            .optional()?
            .flatten())
    }
}

impl Change<'_> {
    /// Keeps what is remembered of the supplies of the device at `address`; it goes with the device wherever that goes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_supply_memory(&self, address: &str, memory: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE device SET supply_memory = ?2 WHERE address = ?1")?
            .execute((address, memory))?;
        Ok(())
    }
}

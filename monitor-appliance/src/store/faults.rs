//! Fault episodes, as shown to people; what is reported of them stands in the outbox.

use super::{Change, Store, StoreError, row};
use jiff::Timestamp;

/// One fault episode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FaultRow {
    /// Its name.
    pub episode: String,
    /// Address of the device.
    pub address: String,
    /// Who has to act.
    pub class: String,
    /// The alert's name.
    pub code: String,
    /// The device's own text.
    pub description: String,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Store {
    /// Faults that are not over, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_faults(&self) -> Result<Vec<FaultRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT episode, address, class, code, description, since_ms FROM fault
             WHERE cleared_ms IS NULL ORDER BY since_ms, episode",
        )?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(FaultRow {
                episode: row.get(0)?,
                address: row.get(1)?,
                class: row.get(2)?,
                code: row.get(3)?,
                description: row.get(4)?,
                since: row::time(row.get(5)?, "fault")?,
            });
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// A fault began.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn open_fault(&self, fault: &FaultRow) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO fault (episode, address, class, code, description, since_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (episode) DO NOTHING",
            )?
            .execute((
                &fault.episode,
                &fault.address,
                &fault.class,
                &fault.code,
                &fault.description,
                fault.since.as_millisecond(),
            ))?;
        Ok(())
    }

    /// A fault is over.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn clear_fault(&self, episode: &str, at: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE fault SET cleared_ms = ?2 WHERE episode = ?1 AND cleared_ms IS NULL")?
            .execute((episode, at.as_millisecond()))?;
        Ok(())
    }
}

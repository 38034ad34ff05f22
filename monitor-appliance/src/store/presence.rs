//! Signs of life of the modules, and who must not be replaced just now.

use super::{Change, Store, StoreError, row};
use jiff::Timestamp;

/// The last sign of life of a resident module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The module.
    pub module: String,
    /// Grows by one with every sign; whoever watches compares it over time of its own, since the clock may jump.
    pub beats: u64,
    /// When it came.
    pub at: Timestamp,
    /// The process that gave it.
    pub pid: u32,
}

/// A module that must not be replaced just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The module.
    pub module: String,
    /// What it does, for a person.
    pub reason: String,
    /// Whether it is work that billing depends on: collecting or sending counters.
    pub billing: bool,
    /// Since when.
    pub since: Timestamp,
    /// The process that does it; if it is gone, so is the work.
    pub pid: u32,
}

impl Store {
    /// The last sign of life of `module`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT module, beats, at_ms, pid FROM heartbeat ORDER BY module")?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Heartbeat {
                module: row.get(0)?,
                beats: row::to_u64(row.get(1)?),
                at: row::time(row.get(2)?, "heartbeat")?,
                pid: row.get(3)?,
            });
        }
        Ok(found)
    }

    /// Who must not be replaced just now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn busy(&self) -> Result<Vec<Busy>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT module, reason, billing, since_ms, pid FROM busy ORDER BY module")?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Busy {
                module: row.get(0)?,
                reason: row.get(1)?,
                billing: row.get(2)?,
                since: row::time(row.get(3)?, "busy row")?,
                pid: row.get(4)?,
            });
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// Gives a sign of life for this process.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn beat(&self, module: &str, at: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO heartbeat (module, beats, at_ms, pid) VALUES (?1, 1, ?2, ?3)
                 ON CONFLICT (module) DO UPDATE SET beats = beats + 1, at_ms = excluded.at_ms, pid = excluded.pid",
            )?
            .execute((module, at.as_millisecond(), std::process::id()))?;
        Ok(())
    }

    /// Says that `module`, in this process, must not be replaced until [`Change::end_busy`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn begin_busy(
        &self,
        module: &str,
        reason: &str,
        billing: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO busy (module, reason, billing, since_ms, pid) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (module) DO UPDATE SET reason = excluded.reason, billing = excluded.billing,
                     since_ms = excluded.since_ms, pid = excluded.pid",
            )?
            .execute((module, reason, billing, at.as_millisecond(), std::process::id()))?;
        Ok(())
    }

    /// Takes [`Change::begin_busy`] back; also called at start, for a predecessor that was killed.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn end_busy(&self, module: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM busy WHERE module = ?1")?.execute((module,))?;
        Ok(())
    }
}

//! Computers: what they told last, what is remembered of them, what the center was told.

use super::{Change, Store, StoreError, row};
use crate::computer::ComputerMemory;
use jiff::Timestamp;
use mailfmt::message::census::ComputerState;
use rusqlite::OptionalExtension as _;

impl Store {
    /// What is remembered of the computer at `address`; nothing where it was not read before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn computer_memory(&self, address: &str) -> Result<ComputerMemory, StoreError> {
        let memory: Option<String> = self
            .connection
            .prepare_cached("SELECT memory FROM computer WHERE address = ?1")?
            .query_row((address,), |row| row.get(0))
            .optional()?;
        // What cannot be read begins anew: better a fault reported twice than not at all.
        Ok(memory.and_then(|memory| serde_json::from_str(&memory).ok()).unwrap_or_default())
    }

    /// All computers as they told last, by address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn computers(&self) -> Result<Vec<ComputerState>, StoreError> {
        self.states("SELECT state FROM computer WHERE ?1 = ?1 ORDER BY address", Timestamp::MIN)
    }

    /// The computers that were read since the center was told, and of which it was told before `before`, or never.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn untold_computers(&self, before: Timestamp) -> Result<Vec<ComputerState>, StoreError> {
        self.states("SELECT state FROM computer WHERE told_ms IS NULL OR told_ms < ?1 AND told_ms < read_ms ORDER BY address", before)
    }

    fn states(&self, statement: &str, time: Timestamp) -> Result<Vec<ComputerState>, StoreError> {
        let mut statement = self.connection.prepare_cached(statement)?;
        let rows = statement
            .query_map((time.as_millisecond(),), |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(rows.iter().filter_map(|state| serde_json::from_str(state).ok()).collect())
    }

    /// When the computer at `address` was read last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn computer_read(&self, address: &str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT read_ms FROM computer WHERE address = ?1")?
            .query_row((address,), |row| row.get(0))
            .optional()?;
        at.map(|ms| row::time(ms, "computer")).transpose()
    }
}

impl Change<'_> {
    /// Keeps what a computer told; `urgent` has the center told at the next occasion.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_computer(
        &self,
        state: &ComputerState,
        memory: &ComputerMemory,
        urgent: bool,
    ) -> Result<(), StoreError> {
        let damaged = |_| StoreError::Damaged { what: "computer" };
        self.transaction
            .prepare_cached(
                "INSERT INTO computer (address, memory, state, read_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (address) DO UPDATE SET memory = excluded.memory, state = excluded.state,
                     read_ms = excluded.read_ms, told_ms = CASE WHEN ?5 THEN NULL ELSE told_ms END",
            )?
            .execute((
                &state.address,
                serde_json::to_string(memory).map_err(damaged)?,
                serde_json::to_string(state).map_err(damaged)?,
                state.at.as_millisecond(),
                urgent,
            ))?;
        Ok(())
    }

    /// Notes that the center is told of these computers.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_computers_told(&self, computers: &[ComputerState], at: Timestamp) -> Result<(), StoreError> {
        let mut statement =
            self.transaction.prepare_cached("UPDATE computer SET told_ms = ?2 WHERE address = ?1")?;
        for computer in computers {
            statement.execute((&computer.address, at.as_millisecond()))?;
        }
        Ok(())
    }

    /// Forgets the computers that are not at any of these addresses.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_computers_but(&self, addresses: &[String]) -> Result<(), StoreError> {
        let known: Vec<String> = self
            .transaction
            .prepare_cached("SELECT address FROM computer")?
            .query_map((), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for gone in known.iter().filter(|known| !addresses.contains(known)) {
            self.transaction.prepare_cached("DELETE FROM computer WHERE address = ?1")?.execute((gone,))?;
        }
        Ok(())
    }
}

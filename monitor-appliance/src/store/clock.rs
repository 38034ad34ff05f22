//! What is known of the true time, and what follows for the outbox when more becomes known.

use super::{Change, Store, StoreError, row};
use crate::clock::{Correction, Evidence, Known, Reading, Uptime};
use mailfmt::MessageId;
use rusqlite::{Connection, OptionalExtension as _};

fn read(connection: &Connection) -> Result<Known, StoreError> {
    let known: Option<String> = connection
        .prepare_cached("SELECT known FROM clock WHERE id = 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    // What cannot be read is as good as unknown: the next message tells the time again.
    Ok(known.and_then(|known| serde_json::from_str(&known).ok()).unwrap_or_default())
}

impl Store {
    /// What is known of the time.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn known_time(&self) -> Result<Known, StoreError> {
        read(&self.connection)
    }
}

impl Change<'_> {
    /// Takes in what tells something of the time, and puts the times of what waits right if it moves the clock.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn learn_time(&self, evidence: &Evidence, reading: &Reading) -> Result<Known, StoreError> {
        let mut known = read(self.transaction)?;
        let before = known.state(reading);
        if known.learn(evidence, reading) {
            self.transaction
                .prepare_cached(
                    "INSERT INTO clock (id, known) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET known = excluded.known",
                )?
                .execute((serde_json::to_string(&known).unwrap_or_default(),))?;
        }
        if let Some(correction) = Correction::between(&before, &known.state(reading), reading) {
            self.correct_times(&correction)?;
        }
        Ok(known)
    }

    /// Forgets all that is known of the time: for a box that gets another center, whose clock may be another.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_time(&self) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM clock", ())?;
        Ok(())
    }

    fn correct_times(&self, correction: &Correction) -> Result<(), StoreError> {
        let Correction { made: (from, to), shift_ms, keep_until } = correction;
        if *shift_ms != 0 {
            self.transaction
                .prepare_cached(
                    "UPDATE outbox SET created_ms = created_ms + ?3, expires_ms = expires_ms + ?3, due_ms = due_ms + ?3
                     WHERE state = 'waiting' AND created_ms BETWEEN ?1 AND ?2",
                )?
                .execute((from.as_millisecond(), to.as_millisecond(), shift_ms))?;
        }
        if let Some(keep_until) = keep_until {
            self.transaction
                .prepare_cached(
                    "UPDATE outbox SET expires_ms = ?1 WHERE state = 'waiting' AND expires_ms < ?1",
                )?
                .execute((keep_until.as_millisecond(),))?;
        }
        Ok(())
    }

    /// A report is about to be handed in. Only the first time counts: a server may have taken it although nobody here
    /// knows, and then the center's receipt speaks of that time.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn hand_in(&self, id: i64, at: &Uptime) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "UPDATE outbox SET handed_boot = ?2, handed_since_boot_ms = ?3 WHERE id = ?1 AND handed_boot IS NULL",
            )?
            .execute((id, &at.boot, row::from_u64(at.since_boot_ms)))?;
        Ok(())
    }

    /// When a report was first handed in.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn handed_in(&self, message: MessageId) -> Result<Option<Uptime>, StoreError> {
        let found: Option<(Option<String>, Option<i64>)> = self
            .transaction
            .prepare_cached("SELECT handed_boot, handed_since_boot_ms FROM outbox WHERE message = ?1")?
            .query_row((message.to_string(),), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(match found {
            Some((Some(boot), Some(ms))) => Some(Uptime { boot, since_boot_ms: row::to_u64(ms) }),
            _ => None,
        })
    }
}

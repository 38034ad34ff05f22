//! The history of the center's messages and of our own numbers; what is wrong with the appliance itself.

use super::{Change, Store, StoreError, row};
use crate::context::system_random;
use jiff::Timestamp;
use mailfmt::CenterId;
use mailfmt::lineage::{Fork, Lineage, Observation, Sighting};
use mailfmt::sequence::{self, Origin};
use rusqlite::{Connection, OptionalExtension as _};

/// What is wrong with the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlarmRow {
    /// A word for it.
    pub name: String,
    /// For a person.
    pub description: String,
    /// Since when.
    pub since: Timestamp,
}

fn lineage(connection: &Connection, center: &CenterId) -> Result<(Lineage, Option<Timestamp>), StoreError> {
    let found: Option<(String, i64)> = connection
        .prepare_cached("SELECT lineage, newest_ms FROM history WHERE center = ?1")?
        .query_row((center.as_str(),), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((text, newest)) = found else { return Ok((Lineage::default(), None)) };
    // What cannot be read is as good as forgotten: it only serves to notice.
    Ok((serde_json::from_str(&text).unwrap_or_default(), Some(row::time(newest, "history")?)))
}

impl Store {
    /// When the newest authentic message of `center` was made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_of(&self, center: &CenterId) -> Result<Option<Timestamp>, StoreError> {
        Ok(lineage(&self.connection, center)?.1)
    }

    /// Where the history of `center` forks, as far as nobody has looked into it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forks_of(&self, center: &CenterId) -> Result<Vec<Fork>, StoreError> {
        Ok(lineage(&self.connection, center)?.0.forks().to_vec())
    }

    /// What is told of the epoch of `sequence`, one of our own; nothing of those of older programs.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn origin(&self, center: &CenterId, sequence: u64) -> Result<Origin, StoreError> {
        let found: Option<(i64, Option<i64>)> = self
            .connection
            .prepare_cached("SELECT follows, begins FROM epoch WHERE center = ?1 AND epoch = ?2")?
            .query_row((center.as_str(), sequence::epoch_of(sequence)), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map_or_else(Origin::default, |(follows, begins)| Origin {
            follows: Some(row::to_u64(follows)),
            begins: begins.map(row::to_u64),
        }))
    }

    /// What is wrong just now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn alarms(&self) -> Result<Vec<AlarmRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name, description, since_ms FROM alarm ORDER BY since_ms")?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let since = row::time(row.get(2)?, "alarm")?;
            found.push(AlarmRow { name: row.get(0)?, description: row.get(1)?, since });
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// Takes an authentic message of `center` into account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn observe(&self, center: &CenterId, sighting: Sighting) -> Result<Observation, StoreError> {
        let (mut history, newest) = lineage(self.transaction, center)?;
        let observation = history.observe(sighting);
        let newest = newest.map_or(sighting.created, |newest| newest.max(sighting.created));
        self.transaction
            .prepare_cached(
                "INSERT INTO history (center, lineage, newest_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (center) DO UPDATE SET lineage = excluded.lineage, newest_ms = excluded.newest_ms",
            )?
            .execute((
                center.as_str(),
                serde_json::to_string(&history).unwrap_or_default(),
                newest.as_millisecond(),
            ))?;
        Ok(observation)
    }

    /// A person has looked into the forks of `center`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle_forks(&self, center: &CenterId) -> Result<(), StoreError> {
        let (mut history, _) = lineage(self.transaction, center)?;
        history.settle();
        self.transaction.execute(
            "UPDATE history SET lineage = ?2 WHERE center = ?1",
            (center.as_str(), serde_json::to_string(&history).unwrap_or_default()),
        )?;
        Ok(())
    }

    /// Forgets what a center said about its time, its numbers and the news: none of its former keys counts any more.
    /// What was made before `since`, the date of the root that says so, stays old.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_word_of(&self, center: &CenterId, since: Timestamp) -> Result<(), StoreError> {
        self.forget_time()?;
        self.transaction.execute(
            "INSERT INTO history (center, lineage, newest_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (center) DO UPDATE SET lineage = excluded.lineage, newest_ms = excluded.newest_ms",
            (
                center.as_str(),
                serde_json::to_string(&Lineage::default()).unwrap_or_default(),
                since.as_millisecond(),
            ),
        )?;
        self.transaction
            .execute("UPDATE channel SET sequence_seen = 0 WHERE center = ?1", (center.as_str(),))?;
        self.forget_moment(super::Moment::Fresh)
    }

    /// Notes that something is wrong. False if it was known.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn raise_alarm(&self, alarm: &AlarmRow) -> Result<bool, StoreError> {
        let raised = self
            .transaction
            .prepare_cached(
                "INSERT INTO alarm (name, description, since_ms) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
            )?
            .execute((&alarm.name, &alarm.description, alarm.since.as_millisecond()))?;
        Ok(raised > 0)
    }

    /// Notes that it is over, and gives what was wrong; `None` if nothing was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_alarm(&self, name: &str) -> Result<Option<AlarmRow>, StoreError> {
        let ended: Option<(String, i64)> = self
            .transaction
            .prepare_cached("DELETE FROM alarm WHERE name = ?1 RETURNING description, since_ms")?
            .query_row((name,), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((description, since)) = ended else { return Ok(None) };
        Ok(Some(AlarmRow { name: name.to_owned(), description, since: row::time(since, "alarm")? }))
    }

    /// The next number to `center`. The first one of this connection begins an epoch, whatever was stored before, so that a
    /// store that was put back from a backup gives no number again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn next_sequence(&self, center: &CenterId, now: Timestamp) -> Result<u64, StoreError> {
        let given: i64 = self
            .transaction
            .prepare_cached("SELECT sequence_sent FROM channel WHERE center = ?1")?
            .query_row((center.as_str(),), |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let last = row::to_u64(given);
        let mut begins = 0;
        if !self.begun.replace(true) {
            let epoch = sequence::new_epoch(now, sequence::epoch_of(last));
            begins = sequence::begin(epoch, &mut system_random);
            self.transaction
                .prepare_cached(
                    "INSERT INTO epoch (center, epoch, follows, begins) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                )?
                .execute((center.as_str(), epoch, given, row::from_u64(begins)))?;
        }
        let number = sequence::next(last, begins);
        self.transaction
            .prepare_cached(
                "INSERT INTO channel (center, sequence_sent) VALUES (?1, ?2)
                 ON CONFLICT (center) DO UPDATE SET sequence_sent = excluded.sequence_sent",
            )?
            .execute((center.as_str(), row::from_u64(number)))?;
        Ok(number)
    }

    /// Forgets the epochs of which nothing waits to be sent.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub(super) fn prune_epochs(&self) -> Result<usize, StoreError> {
        Ok(self.transaction.execute(
            "DELETE FROM epoch WHERE epoch < (SELECT sequence_sent >> 32 FROM channel WHERE channel.center = epoch.center)
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.center = epoch.center
                             AND outbox.sequence BETWEEN epoch.epoch << 32 AND (epoch.epoch << 32) + 4294967295)",
            (),
        )?)
    }
}

#[cfg(test)]
mod tests;

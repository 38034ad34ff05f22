//! What happened to devices, until the center was told and for a year after; and what sort of devices they are.

use super::{Change, Store, StoreError, row};
use crate::discovery::DeviceKind;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::DeviceId;
use mailfmt::message::census::DeviceEvent;

/// How long what the center was told is kept for the site's own history.
const KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The address without what stands behind it while another device has it.
const PLAIN_ADDRESS: &str = "CASE instr(address, ' (left, ') WHEN 0 THEN address ELSE substr(address, 1, instr(address, ' (left, ') - 1) END";

fn read(row: &rusqlite::Row<'_>) -> Result<(i64, DeviceEvent), StoreError> {
    let device = match (row.get(3)?, row.get(4)?, row.get(5)?) {
        (Some(vendor), Some(model), Some(serial)) => Some(DeviceId { vendor, model, serial }),
        _ => None,
    };
    let event = DeviceEvent {
        at: row::time(row.get(1)?, "event")?,
        event: row.get(2)?,
        device,
        kind: row.get(6)?,
        address: row.get(7)?,
        before: row.get(8)?,
    };
    Ok((row.get(0)?, event))
}

const COLUMNS: &str = "id, at_ms, event, vendor, model, serial, kind, address, before";

impl Store {
    /// What the center was not told yet, oldest first, at most `most`, each with its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn untold_events(&self, most: usize) -> Result<Vec<(i64, DeviceEvent)>, StoreError> {
        self.events(&format!("SELECT {COLUMNS} FROM device_event WHERE told = 0 ORDER BY id LIMIT ?1"), most)
    }

    /// What happened to devices, newest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device_history(&self, most: usize) -> Result<Vec<DeviceEvent>, StoreError> {
        let events =
            self.events(&format!("SELECT {COLUMNS} FROM device_event ORDER BY id DESC LIMIT ?1"), most)?;
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    fn events(&self, statement: &str, most: usize) -> Result<Vec<(i64, DeviceEvent)>, StoreError> {
        let mut statement = self.connection.prepare_cached(statement)?;
        let mut rows = statement.query((i64::try_from(most).unwrap_or(i64::MAX),))?;
        let mut events = Vec::new();
        while let Some(found) = rows.next()? {
            events.push(read(found)?);
        }
        Ok(events)
    }

    /// The addresses of computers among the devices.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn computer_addresses(&self) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT address FROM device WHERE kind = ?1 ORDER BY address")?;
        let rows = statement.query_map((DeviceKind::Computer.as_str(),), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Change<'_> {
    /// Notes what happened to the device whose row stands at `address`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_event(
        &self,
        address: &str,
        event: &str,
        before: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.note_events("address = ?4", event, before, at, address)
    }

    /// The device at `address` answers; if it had vanished, it has returned.
    pub(super) fn note_return(&self, address: &str, at: Timestamp) -> Result<(), StoreError> {
        self.note_events("address = ?4 AND vanished_ms IS NOT NULL", "returned", None, at, address)
    }

    /// The devices that do not answer and last answered before `limit` have vanished.
    pub(super) fn note_vanishing(&self, limit: Timestamp, at: Timestamp) -> Result<(), StoreError> {
        let silent = "vanished_ms IS NULL AND answering = 0 AND answered_ms < ?4";
        self.note_events(silent, "vanished", None, at, limit.as_millisecond())
    }

    /// The device at `address` has another hardware address than it had.
    pub(super) fn note_board(&self, address: &str, mac: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(&format!(
                "INSERT INTO device_event (at_ms, event, vendor, model, serial, kind, address, before)
                 SELECT ifnull(polled_ms, 0), 'board-changed', vendor, model, serial, kind, {PLAIN_ADDRESS}, mac FROM device
                 WHERE address = ?1 AND mac IS NOT NULL AND lower(mac) <> lower(?2)"
            ))?
            .execute((address, mac))?;
        Ok(())
    }

    fn note_events(
        &self,
        which: &str,
        event: &str,
        before: Option<&str>,
        at: Timestamp,
        parameter: impl rusqlite::ToSql,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(&format!(
                "INSERT INTO device_event (at_ms, event, vendor, model, serial, kind, address, before)
                 SELECT ?1, ?2, vendor, model, serial, kind, {PLAIN_ADDRESS}, ?3 FROM device WHERE {which}"
            ))?
            .execute((at.as_millisecond(), event, before, parameter))?;
        Ok(())
    }

    /// Keeps what sort of device stands at `address`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_kind(&self, address: &str, kind: DeviceKind) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE device SET kind = ?2 WHERE address = ?1")?
            .execute((address, kind.as_str()))?;
        Ok(())
    }

    /// Notes that the center is told everything up to this number; what it was told long ago goes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_events_told(&self, last: i64, now: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE device_event SET told = 1 WHERE told = 0 AND id <= ?1")?
            .execute((last,))?;
        let limit = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.transaction
            .prepare_cached("DELETE FROM device_event WHERE told = 1 AND at_ms < ?1")?
            .execute((limit.as_millisecond(),))?;
        Ok(())
    }
}

//! Devices: who they are, whether they answer, what was last read of them.

use super::{Change, Store, StoreError, row};
use crate::settings::SnmpAccess;
use jiff::Timestamp;
use mailfmt::message::{Counter, DeviceId, Supply};
use rusqlite::OptionalExtension as _;

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Where it was last met: its address as in the settings or as a scan found it.
    pub address: String,
    /// Who it is, once it told.
    pub id: Option<DeviceId>,
    /// When it was last asked.
    pub polled: Option<Timestamp>,
    /// When it last answered.
    pub answered: Option<Timestamp>,
    /// Whether it answered when it was last asked.
    pub answering: bool,
    /// Why it could not be read last time; empty if it could.
    pub trouble: String,
    /// The state of its fault episodes, as JSON of [`crate::faults`]; empty before the first look.
    pub episodes: String,
    /// Its hardware address, once it told.
    pub mac: Option<String>,
    /// How it lets itself be read, where a scan found it; `None` for a device of the settings.
    pub access: Option<SnmpAccess>,
    /// When it was noticed that it had not answered for long; `None` while it answers.
    pub vanished: Option<Timestamp>,
}

/// A stored reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingRow {
    /// When it was read.
    pub at: Timestamp,
    /// Its counters.
    pub counters: Vec<Counter>,
    /// Its supplies.
    pub supplies: Vec<Supply>,
}

pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<DeviceRow, StoreError> {
    let time = |ms: Option<i64>| ms.map(|ms| row::time(ms, "device")).transpose();
    let id = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(DeviceRow {
        address: row.get(0)?,
        id: match id {
            (Some(vendor), Some(model), Some(serial)) => Some(DeviceId { vendor, model, serial }),
            _ => None,
        },
        polled: time(row.get(4)?)?,
        answered: time(row.get(5)?)?,
        answering: row.get(6)?,
        trouble: row.get(7)?,
        episodes: row.get(8)?,
        mac: row.get(9)?,
        access: row.get::<_, Option<String>>(10)?.and_then(|access| serde_json::from_str(&access).ok()),
        vanished: time(row.get(11)?)?,
    })
}

pub(super) const COLUMNS: &str = "address, vendor, model, serial, polled_ms, answered_ms, answering, trouble,
    episodes, mac, access, vanished_ms";

impl Store {
    /// All devices that were ever asked, by address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM device ORDER BY address"))?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// The device at `address`, if it was ever asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device(&self, address: &str) -> Result<Option<DeviceRow>, StoreError> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM device WHERE address = ?1"))?
            .query_row((address,), |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// The latest reading of the device at `address`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn latest_reading(&self, address: &str) -> Result<Option<ReadingRow>, StoreError> {
        let found: Option<(i64, String, String)> = self
            .connection
            .prepare_cached(
                "SELECT at_ms, counters, supplies FROM reading WHERE address = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row((address,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        found
            .map(|(at, counters, supplies)| {
                let damaged = |_| StoreError::Damaged { what: "reading" };
                Ok(ReadingRow {
                    at: row::time(at, "reading")?,
                    counters: serde_json::from_str(&counters).map_err(damaged)?,
                    supplies: serde_json::from_str(&supplies).map_err(damaged)?,
                })
            })
            .transpose()
    }
}

impl Change<'_> {
    /// The device answered.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn device_answered(&self, address: &str, at: Timestamp) -> Result<(), StoreError> {
        self.note_return(address, at)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO device (address, polled_ms, answered_ms, answering) VALUES (?1, ?2, ?2, 1)
                 ON CONFLICT (address) DO UPDATE SET polled_ms = excluded.polled_ms,
                     answered_ms = excluded.answered_ms, answering = 1, trouble = '', vanished_ms = NULL",
            )?
            .execute((address, at.as_millisecond()))?;
        Ok(())
    }

    /// The device could not be read.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn device_silent(&self, address: &str, trouble: &str, at: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO device (address, polled_ms, trouble) VALUES (?1, ?2, ?3)
                 ON CONFLICT (address) DO UPDATE SET polled_ms = excluded.polled_ms, answering = 0,
                     trouble = excluded.trouble",
            )?
            .execute((address, at.as_millisecond(), trouble))?;
        Ok(())
    }

    /// The device told who it is.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn identify_device(&self, address: &str, id: &DeviceId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE device SET vendor = ?2, model = ?3, serial = ?4 WHERE address = ?1")?
            .execute((address, &id.vendor, &id.model, &id.serial))?;
        Ok(())
    }

    /// Keeps the state of the device's fault episodes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_episodes(&self, address: &str, episodes: &str) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE device SET episodes = ?2 WHERE address = ?1")?
            .execute((address, episodes))?;
        Ok(())
    }

    /// Stores a reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn store_reading(&self, address: &str, reading: &ReadingRow) -> Result<(), StoreError> {
        let damaged = |_| StoreError::Damaged { what: "reading" };
        self.transaction
            .prepare_cached(
                "INSERT INTO reading (address, at_ms, counters, supplies) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                address,
                reading.at.as_millisecond(),
                serde_json::to_string(&reading.counters).map_err(damaged)?,
                serde_json::to_string(&reading.supplies).map_err(damaged)?,
            ))?;
        Ok(())
    }
}

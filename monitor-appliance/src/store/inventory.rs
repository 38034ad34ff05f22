//! Devices as the site's inventory: found, moved, vanished; and what was told of them.

use super::devices::{COLUMNS, read};
use super::{Change, DeviceRow, Store, StoreError, row};
use crate::settings::{DeviceEntry, RangeEntry, SnmpAccess};
use jiff::Timestamp;
use mailfmt::Digest;
use rusqlite::OptionalExtension as _;

/// Stands between the last address of a device and the number of its row while it has no address of its own.
const LEFT: &str = " (left, ";

impl DeviceRow {
    /// Whether another device has its address, and nobody knows where it is.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.address.contains(LEFT)
    }

    /// Where it was last met.
    #[must_use]
    pub fn last_address(&self) -> &str {
        self.address.split_once(LEFT).map_or(&*self.address, |(address, _)| address)
    }
}

impl Store {
    /// The devices that scans found, where they were last met, in order of their addresses. Rows that cannot be read are left out: the next scan
    /// writes them anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn found_devices(&self) -> Result<Vec<DeviceEntry>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT address, access FROM device WHERE access IS NOT NULL AND instr(address, ?1) = 0 ORDER BY address",
        )?;
        let rows = statement
            .query_map((LEFT,), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let entry = |(address, access): (String, String)| {
            serde_json::from_str(&access).ok().map(|access| DeviceEntry { address, access })
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// When this range was last scanned; `None` if never.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn range_scanned(&self, range: &RangeEntry) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT at_ms FROM range_scan WHERE range = ?1")?
            .query_row((range.range.to_string(),), |row| row.get(0))
            .optional()?;
        at.map(|ms| row::time(ms, "scan")).transpose()
    }

    /// When the scan of this range goes on with credentials that could not be tried within the hour; `None` if it need not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn range_goes_on(&self, range: &RangeEntry) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<Option<i64>> = self
            .connection
            .prepare_cached("SELECT again_ms FROM range_scan WHERE range = ?1")?
            .query_row((range.range.to_string(),), |row| row.get(0))
            .optional()?;
        at.flatten().map(|ms| row::time(ms, "scan")).transpose()
    }

    /// The inventory that was last told, and when; `None` if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn inventory_told(&self) -> Result<Option<(Digest, Timestamp)>, StoreError> {
        let told: Option<(String, i64)> = self
            .connection
            .prepare_cached("SELECT digest, at_ms FROM inventory_told")?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        told.map(|(digest, at)| {
            let digest = digest.parse().map_err(|_| StoreError::Damaged { what: "inventory" })?;
            Ok((digest, row::time(at, "inventory")?))
        })
        .transpose()
    }
}

impl Change<'_> {
    /// All devices that were ever asked, by address, as they are within this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let mut statement =
            self.transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM device ORDER BY address"))?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// The device at `address` is not there any more: its row, readings and faults wait until it is met again.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn park_device(&self, address: &str) -> Result<(), StoreError> {
        let row: Option<i64> = self
            .transaction
            .prepare_cached("SELECT rowid FROM device WHERE address = ?1")?
            .query_row((address,), |row| row.get(0))
            .optional()?;
        let Some(row) = row else { return Ok(()) };
        self.move_device(address, &format!("{address}{LEFT}{row})"))?;
        self.transaction
            .prepare_cached("UPDATE device SET answering = 0 WHERE rowid = ?1")?
            .execute((row,))?;
        Ok(())
    }

    /// The device whose row stands at `from` is at `to` now, with its readings and faults; `to` is free.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn move_device(&self, from: &str, to: &str) -> Result<(), StoreError> {
        for statement in [
            "UPDATE device SET address = ?2 WHERE address = ?1",
            "UPDATE reading SET address = ?2 WHERE address = ?1",
            "UPDATE fault SET address = ?2 WHERE address = ?1",
            "UPDATE OR REPLACE computer SET address = ?2 WHERE address = ?1",
        ] {
            self.transaction.prepare_cached(statement)?.execute((from, to))?;
        }
        Ok(())
    }

    /// Keeps the device's hardware address.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_mac(&self, address: &str, mac: &str) -> Result<(), StoreError> {
        self.note_board(address, mac)?;
        self.transaction
            .prepare_cached("UPDATE device SET mac = ?2 WHERE address = ?1")?
            .execute((address, mac))?;
        Ok(())
    }

    /// Keeps how a device that was found lets itself be read: it is watched from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_access(&self, address: &str, access: &SnmpAccess) -> Result<(), StoreError> {
        let access = serde_json::to_string(access).map_err(|_| StoreError::Damaged { what: "access" })?;
        self.transaction
            .prepare_cached("UPDATE device SET access = ?2 WHERE address = ?1")?
            .execute((address, access))?;
        Ok(())
    }

    /// Marks the devices that do not answer and last answered before `limit` as vanished. Gives how many were marked.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn mark_vanished(&self, limit: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        self.note_vanishing(limit, now)?;
        Ok(self
            .transaction
            .prepare_cached(
                "UPDATE device SET vanished_ms = ?2
                 WHERE vanished_ms IS NULL AND answering = 0 AND answered_ms < ?1",
            )?
            .execute((limit.as_millisecond(), now.as_millisecond()))?)
    }

    /// Forgets the devices that were found by scans, or lost their address, and were noticed as vanished before `limit`,
    /// with their readings; their faults end. Gives how many were forgotten.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_vanished(&self, limit: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        let gone: Vec<String> = self
            .transaction
            .prepare_cached(
                "SELECT address FROM device WHERE vanished_ms < ?1 AND (access IS NOT NULL OR instr(address, ?2) > 0)",
            )?
            .query_map((limit.as_millisecond(), LEFT), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for address in &gone {
            self.transaction
                .prepare_cached("UPDATE fault SET cleared_ms = ?2 WHERE address = ?1 AND cleared_ms IS NULL")?
                .execute((address, now.as_millisecond()))?;
            self.transaction.prepare_cached("DELETE FROM reading WHERE address = ?1")?.execute((address,))?;
            self.transaction.prepare_cached("DELETE FROM device WHERE address = ?1")?.execute((address,))?;
        }
        Ok(gone.len())
    }

    /// Notes when a range was scanned, and when that goes on.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_scan(
        &self,
        range: &RangeEntry,
        at: Timestamp,
        again: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO range_scan (range, at_ms, again_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (range) DO UPDATE SET at_ms = excluded.at_ms, again_ms = excluded.again_ms",
            )?
            .execute((range.range.to_string(), at.as_millisecond(), again.map(Timestamp::as_millisecond)))?;
        Ok(())
    }

    /// Notes which inventory was told, and when.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_inventory_told(&self, digest: &Digest, at: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO inventory_told (one, digest, at_ms) VALUES (1, ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET digest = excluded.digest, at_ms = excluded.at_ms",
            )?
            .execute((digest.to_string(), at.as_millisecond()))?;
        Ok(())
    }
}

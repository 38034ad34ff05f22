//! How devices answer, and how much they were asked.

use super::{Change, Store, StoreError, row};
use crate::snmp::Usage;
use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use std::collections::BTreeMap;

impl Store {
    /// What was learned of the device at `address`: for [`crate::snmp::Acquaintance::restore`].
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn device_layout(&self, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT body FROM layout WHERE address = ?1")?
            .query_row((address,), |row| row.get(0))
            .optional()?)
    }

    /// How many readings are kept of each device, by address.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn reading_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT address, COUNT(*) FROM reading GROUP BY address")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get::<_, u32>(1)?.into())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the device at `address` got within the hour before the time given with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn traffic(&self, address: &str) -> Result<Option<(Timestamp, Usage)>, StoreError> {
        let found: Option<(i64, i64, i64, i64)> = self
            .connection
            .prepare_cached("SELECT at_ms, requests, refusals, put_off FROM traffic WHERE address = ?1")?
            .query_row((address,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        found
            .map(|(at, requests, refusals, put_off)| {
                let usage = Usage {
                    requests: row::clamp_u32(requests),
                    refusals: row::clamp_u32(refusals),
                    put_off: row::clamp_u32(put_off),
                };
                Ok((row::time(at, "count of requests")?, usage))
            })
            .transpose()
    }
}

impl Change<'_> {
    /// Keeps what was learned of the device at `address`; `None` forgets it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_device_layout(&self, address: &str, layout: Option<&[u8]>) -> Result<(), StoreError> {
        match layout {
            Some(body) => self
                .transaction
                .prepare_cached(
                    "INSERT INTO layout (address, body) VALUES (?1, ?2)
                     ON CONFLICT (address) DO UPDATE SET body = excluded.body",
                )?
                .execute((address, body))?,
            None => self
                .transaction
                .prepare_cached("DELETE FROM layout WHERE address = ?1")?
                .execute((address,))?,
        };
        Ok(())
    }

    /// Keeps how much the device at `address` was asked within the last hour.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_traffic(&self, address: &str, usage: Usage, now: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO traffic (address, at_ms, requests, refusals, put_off) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (address) DO UPDATE SET at_ms = excluded.at_ms, requests = excluded.requests,
                 refusals = excluded.refusals, put_off = excluded.put_off",
            )?
            .execute((address, now.as_millisecond(), usage.requests, usage.refusals, usage.put_off))?;
        Ok(())
    }

    /// Forgets how devices answer that are not known any more.
    pub(super) fn prune_acquaintances(&self) -> Result<usize, StoreError> {
        let mut deleted = 0;
        for table in ["layout", "traffic"] {
            let sql = format!("DELETE FROM {table} WHERE address NOT IN (SELECT address FROM device)");
            deleted += self.transaction.prepare_cached(&sql)?.execute(())?;
        }
        Ok(deleted)
    }
}

//! Where traps are waited for, and what has come.

use super::{Change, Store, StoreError, row};
use crate::trap::Tally;
use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

/// How traps fare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapRow {
    /// UDP port that is listened on; `None` while none is.
    pub port: Option<u16>,
    /// Why none is; empty otherwise.
    pub trouble: String,
    /// Since when it is counted.
    pub since: Timestamp,
    /// What has come since then.
    pub tally: Tally,
}

impl Store {
    /// How traps fare; `None` before the first start with them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn traps(&self) -> Result<Option<TrapRow>, StoreError> {
        let count = |row: &rusqlite::Row<'_>, column| -> rusqlite::Result<u64> {
            Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
        };
        let found = self
            .connection
            .prepare_cached(
                "SELECT port, trouble, since_ms, notices, looks, acknowledged, strangers, junk, too_many FROM trap",
            )?
            .query_row((), |row| {
                let tally = Tally {
                    notices: count(row, 3)?,
                    looks: count(row, 4)?,
                    acknowledged: count(row, 5)?,
                    strangers: count(row, 6)?,
                    junk: count(row, 7)?,
                    too_many: count(row, 8)?,
                };
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, tally))
            })
            .optional()?;
        found
            .map(|(port, trouble, since, tally)| {
                Ok(TrapRow { port, trouble, since: row::time(since, "trap")?, tally })
            })
            .transpose()
    }
}

impl Change<'_> {
    /// Listening for traps begins: counts begin anew, and this appliance has started once more as an SNMPv3 engine. Gives its id and
    /// how often it has started; `fresh` is the id if it has none yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_traps(
        &self,
        port: Option<u16>,
        trouble: &str,
        fresh: &[u8],
        now: Timestamp,
    ) -> Result<(Vec<u8>, u32), StoreError> {
        let hex: String = fresh.iter().map(|octet| format!("{octet:02x}")).collect();
        let (engine, boots): (String, u32) = self
            .transaction
            .prepare_cached(
                "INSERT INTO trap (one, engine, boots, port, trouble, since_ms) VALUES (1, ?1, 1, ?2, ?3, ?4)
                 ON CONFLICT (one) DO UPDATE SET boots = boots + 1, port = excluded.port, trouble = excluded.trouble,
                     since_ms = excluded.since_ms, notices = 0, looks = 0, acknowledged = 0, strangers = 0, junk = 0, too_many = 0
                 RETURNING engine, boots",
            )?
            .query_row((hex, port, trouble, now.as_millisecond()), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let octet = |at: usize| u8::from_str_radix(engine.get(at..at + 2)?, 16).ok();
        let id: Option<Vec<u8>> = (0..engine.len()).step_by(2).map(octet).collect();
        Ok((id.ok_or(StoreError::Damaged { what: "trap engine" })?, boots))
    }

    /// What has come so far.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_traps(&self, tally: &Tally) -> Result<(), StoreError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.transaction
            .prepare_cached(
                "UPDATE trap SET notices = ?1, looks = ?2, acknowledged = ?3, strangers = ?4, junk = ?5, too_many = ?6",
            )?
            .execute((
                count(tally.notices),
                count(tally.looks),
                count(tally.acknowledged),
                count(tally.strangers),
                count(tally.junk),
                count(tally.too_many),
            ))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_keeps_its_id_and_counts_its_starts() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        assert_eq!(store.traps().unwrap(), None);
        let begin = |change: &Change<'_>, fresh: &[u8]| {
            change.begin_traps(Some(10_162), "", fresh, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(store.change(|change| begin(change, &[0x80, 0, 7])).unwrap(), (vec![0x80, 0, 7], 1));
        let tally = Tally { notices: 5, strangers: 9, ..Tally::default() };
        store.change(|change| change.count_traps(&tally)).unwrap();
        let row = store.traps().unwrap().unwrap();
        assert_eq!((row.port, row.tally), (Some(10_162), tally));
        assert_eq!(store.change(|change| begin(change, &[1, 1, 1])).unwrap(), (vec![0x80, 0, 7], 2));
        assert_eq!(store.traps().unwrap().unwrap().tally, Tally::default());
    }
}

//! The ledger of readings: entries that are only added to, and what is remembered of each device. What an entry says is
//! decided by [`crate::ledger`].

use super::{Change, Store, StoreError, row};
use crate::ledger::Line;
use jiff::Timestamp;
use mailfmt::message::ledger::{LedgerEntry, SealedEntry};
use mailfmt::message::{DeviceId, Family};
use mailfmt::{Digest, Message, Report};
use rusqlite::{Connection, OptionalExtension as _};

/// Where the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LedgerState {
    /// Its name.
    pub ledger: String,
    /// Number of its last entry.
    pub last: u64,
    /// Entries that the center was not told yet.
    pub untold: u64,
    /// The first entry that is not as it was written, or does not follow the one before; `None` while all is sound.
    pub broken: Option<u64>,
}

/// Entries that the center was not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The ledger's name.
    pub ledger: String,
    /// Whether somebody waits for one of them.
    pub pressing: bool,
    /// When the oldest was stored, by its own time; `None` if there are none.
    pub oldest: Option<Timestamp>,
    /// The device and its entry, in the order of their numbers.
    pub entries: Vec<(DeviceId, SealedEntry)>,
}

struct Head {
    ledger: String,
    sequence: u64,
    digest: Digest,
    told: u64,
}

fn digest(text: &str) -> Result<Digest, StoreError> {
    text.parse().map_err(|_| StoreError::Damaged { what: "digest of the ledger" })
}

fn head(connection: &Connection) -> Result<Option<Head>, StoreError> {
    let found: Option<(String, i64, String, i64)> = connection
        .prepare_cached("SELECT ledger, sequence, digest, told FROM ledger_head")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    found
        .map(|(ledger, sequence, text, told)| {
            Ok(Head {
                ledger,
                sequence: row::to_u64(sequence),
                digest: digest(&text)?,
                told: row::to_u64(told),
            })
        })
        .transpose()
}

fn entry(row: &rusqlite::Row<'_>) -> Result<(DeviceId, SealedEntry), StoreError> {
    let device = DeviceId { vendor: row.get(0)?, model: row.get(1)?, serial: row.get(2)? };
    let sealed = SealedEntry {
        sequence: row::to_u64(row.get(3)?),
        previous: digest(&row.get::<_, String>(4)?)?,
        body: row.get(5)?,
        digest: digest(&row.get::<_, String>(6)?)?,
    };
    Ok((device, sealed))
}

const COLUMNS: &str = "vendor, model, serial, sequence, previous, body, digest";

/// A line that cannot be read begins anew; its entries stay.
fn line(text: &str) -> Option<Line> {
    serde_json::from_str(text).ok()
}

impl Store {
    /// Goes over the whole ledger; `None` while nothing was ever entered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn check_ledger(&self) -> Result<Option<LedgerState>, StoreError> {
        let Some(head) = head(&self.connection)? else { return Ok(None) };
        let (forgotten, text): (i64, String) = self
            .connection
            .prepare_cached("SELECT forgotten, forgotten_digest FROM ledger_head")?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (mut last, mut before) = (row::to_u64(forgotten), digest(&text)?);
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM ledger_entry ORDER BY sequence"))?;
        let mut rows = statement.query(())?;
        let mut broken = None;
        while let Some(row) = rows.next()? {
            let follows = last.saturating_add(1);
            let Ok((_, sealed)) = entry(row) else {
                broken = Some(follows);
                break;
            };
            if sealed.sequence != follows || sealed.previous != before || !sealed.is_sound() {
                broken = Some(sealed.sequence.min(follows));
                break;
            }
            (last, before) = (sealed.sequence, sealed.digest);
        }
        if broken.is_none() && (last, before) != (head.sequence, head.digest) {
            broken = Some(last.saturating_add(1));
        }
        Ok(Some(LedgerState {
            untold: head.sequence.saturating_sub(head.told),
            ledger: head.ledger,
            last: head.sequence,
            broken,
        }))
    }

    /// The ledger's name, the number of its last entry, and how many the center was not told; without a look at the entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ledger_standing(&self) -> Result<Option<(String, u64, u64)>, StoreError> {
        Ok(head(&self.connection)?.map(|head| {
            let untold = head.sequence.saturating_sub(head.told);
            (head.ledger, head.sequence, untold)
        }))
    }

    /// Entries from the first untold one on, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ledger_untold(&self, limit: u32) -> Result<Option<Untold>, StoreError> {
        let Some(head) = head(&self.connection)? else { return Ok(None) };
        let told = row::from_u64(head.told);
        let pressing: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM ledger_entry WHERE sequence > ?1 AND pressing)")?
            .query_row((told,), |row| row.get(0))?;
        let oldest: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(at_ms) FROM ledger_entry WHERE sequence > ?1")?
            .query_row((told,), |row| row.get(0))?;
        Ok(Some(Untold {
            ledger: head.ledger,
            pressing,
            oldest: oldest.map(|ms| row::time(ms, "ledger")).transpose()?,
            entries: self.ledger_entries(head.told.saturating_add(1), limit)?,
        }))
    }

    /// Entries from one on, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ledger_entries(&self, from: u64, limit: u32) -> Result<Vec<(DeviceId, SealedEntry)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM ledger_entry WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2"
        ))?;
        let mut rows = statement.query((row::from_u64(from), limit))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(entry(row)?);
        }
        Ok(found)
    }
}

impl Change<'_> {
    /// The number that the next entry gets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ledger_next(&self) -> Result<u64, StoreError> {
        Ok(head(self.transaction)?.map_or(1, |head| head.sequence.saturating_add(1)))
    }

    /// What is remembered of a device.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn ledger_line(&self, device: &DeviceId) -> Result<Option<Line>, StoreError> {
        let found: Option<String> = self
            .transaction
            .prepare_cached("SELECT line FROM ledger_line WHERE vendor = ?1 AND model = ?2 AND serial = ?3")?
            .query_row((&device.vendor, &device.model, &device.serial), |row| row.get(0))
            .optional()?;
        Ok(found.as_deref().and_then(line))
    }

    /// What is remembered of the device that was last read at an address.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn ledger_line_at(&self, address: &str) -> Result<Option<Line>, StoreError> {
        let found: Option<String> = self
            .transaction
            .prepare_cached("SELECT line FROM ledger_line WHERE address = ?1 ORDER BY seen_ms DESC LIMIT 1")?
            .query_row((address,), |row| row.get(0))
            .optional()?;
        Ok(found.as_deref().and_then(line))
    }

    /// Remembers a device until its next reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_ledger_line(&self, line: &Line, address: &str, at: Timestamp) -> Result<(), StoreError> {
        let text =
            serde_json::to_string(line).map_err(|_| StoreError::Damaged { what: "line of the ledger" })?;
        let device = line.device();
        self.transaction
            .prepare_cached(
                "INSERT INTO ledger_line (vendor, model, serial, address, seen_ms, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (vendor, model, serial) DO UPDATE SET address = excluded.address,
                     seen_ms = excluded.seen_ms, line = excluded.line",
            )?
            .execute((&device.vendor, &device.model, &device.serial, address, at.as_millisecond(), text))?;
        Ok(())
    }

    /// Remembers a device that was not read just now: where and when it was last met stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn update_ledger_line(&self, line: &Line) -> Result<(), StoreError> {
        let text =
            serde_json::to_string(line).map_err(|_| StoreError::Damaged { what: "line of the ledger" })?;
        let device = line.device();
        self.transaction
            .prepare_cached(
                "UPDATE ledger_line SET line = ?4 WHERE vendor = ?1 AND model = ?2 AND serial = ?3",
            )?
            .execute((&device.vendor, &device.model, &device.serial, text))?;
        Ok(())
    }

    /// The device has another name from now on; its line goes on under that.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_ledger_line(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("DELETE FROM ledger_line WHERE vendor = ?1 AND model = ?2 AND serial = ?3")?
            .execute((&device.vendor, &device.model, &device.serial))?;
        Ok(())
    }

    /// Adds entries to the end of the chain. `name` becomes the ledger's where these are its first ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn append_to_ledger(&self, entries: &[LedgerEntry], name: &str) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (mut sequence, mut before) = match head(self.transaction)? {
            Some(head) => (head.sequence, head.digest),
            None => {
                let beginning = SealedEntry::beginning(name);
                self.transaction
                    .prepare_cached(
                        "INSERT INTO ledger_head (one, ledger, sequence, digest, forgotten_digest) VALUES (1, ?1, 0, ?2, ?2)",
                    )?
                    .execute((name, beginning.to_string()))?;
                (0, beginning)
            }
        };
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO ledger_entry (sequence, vendor, model, serial, at_ms, pressing, previous, body, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for entry in entries {
            sequence = sequence.saturating_add(1);
            let sealed = SealedEntry::seal(sequence, before, entry);
            let pressing = entry.closes.is_some() || entry.findings.iter().any(|finding| finding.review);
            insert.execute((
                row::from_u64(sequence),
                &entry.device.vendor,
                &entry.device.model,
                &entry.device.serial,
                entry.at.as_millisecond(),
                pressing,
                sealed.previous.to_string(),
                &sealed.body,
                sealed.digest.to_string(),
            ))?;
            before = sealed.digest;
        }
        self.transaction
            .prepare_cached("UPDATE ledger_head SET sequence = ?1, digest = ?2")?
            .execute((row::from_u64(sequence), before.to_string()))?;
        Ok(())
    }

    /// The entries up to `last` stand in the outbox.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_ledger_told(&self, last: u64) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE ledger_head SET told = max(told, ?1)")?
            .execute((row::from_u64(last),))?;
        Ok(())
    }

    /// A report was given up: what it would have told of the ledger is to be told again.
    pub(super) fn take_ledger_back(&self, outbox: i64) -> Result<(), StoreError> {
        let payload: Option<Vec<u8>> = self
            .transaction
            .prepare_cached("SELECT payload FROM outbox WHERE id = ?1 AND kind = 'counters'")?
            .query_row((outbox,), |row| row.get(0))
            .optional()?;
        let Some(payload) = payload else { return Ok(()) };
        let Ok(Message::Report(Report::Counters(told))) = Message::parse(Family::Report, &payload) else {
            return Ok(());
        };
        let parts = told.devices.iter().filter_map(|device| device.ledger.as_ref());
        let first = parts.flat_map(|part| &part.entries).map(|entry| entry.sequence).min();
        if let Some(first) = first {
            self.transaction
                .prepare_cached("UPDATE ledger_head SET told = max(forgotten, min(told, ?1))")?
                .execute((row::from_u64(first.saturating_sub(1)),))?;
        }
        Ok(())
    }

    /// Forgets the oldest entries that are older than `before` and were told; what follows them still says what it followed.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_ledger(&self, before: Timestamp) -> Result<usize, StoreError> {
        // Without a gap: up to the first entry that is young enough. The last entry always stays.
        let last: Option<(i64, String)> = self
            .transaction
            .prepare_cached(
                "SELECT e.sequence, e.digest FROM ledger_entry e, ledger_head h
                 WHERE e.sequence < h.sequence AND e.sequence <= h.told AND e.sequence <
                     ifnull((SELECT min(y.sequence) FROM ledger_entry y WHERE y.at_ms >= ?1), h.sequence)
                 ORDER BY e.sequence DESC LIMIT 1",
            )?
            .query_row((before.as_millisecond(),), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((last, digest)) = last else { return Ok(0) };
        self.transaction
            .prepare_cached("UPDATE ledger_head SET forgotten = ?1, forgotten_digest = ?2")?
            .execute((last, digest))?;
        Ok(self
            .transaction
            .prepare_cached("DELETE FROM ledger_entry WHERE sequence <= ?1")?
            .execute((last,))?)
    }
}

#[cfg(test)]
mod tests;

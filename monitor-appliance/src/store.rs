//! The durable store: the only meeting place of the modules, and the only place with SQL.
//!
//! SQLite in WAL mode with `synchronous = FULL`: what a finished [`Store::change`] wrote is still there after a kill
//! or a power cut at any moment, and an unfinished one has left no trace. Every process opens a connection of its own.
//!
//! Reading is done on [`Store`], writing inside [`Store::change`], so that everything that belongs together goes into
//! one transaction. Times are whole milliseconds since 1970 (columns `*_ms`); ids are lower-case hex.

mod acquaintance;
mod approvals;
mod clock;
mod collections;
mod computers;
mod conditions;
mod control;
mod devices;
mod events;
mod faults;
mod history;
mod holds;
mod inventory;
mod journal;
mod ledger;
mod noticing;
mod outbox;
mod presence;
mod proofs;
mod prune;
mod quota;
mod recalls;
mod requests;
mod returned;
mod row;
mod shared;
mod supply;
mod traps;
mod tries;
mod updates;
mod ways;

pub use collections::Wanted;
pub use control::ScriptWish;
pub use devices::{DeviceRow, ReadingRow};
pub use faults::FaultRow;
pub use history::AlarmRow;
pub use holds::Hold;
pub use journal::{JournalEntry, Outcome, Seen};
pub use ledger::{LedgerState, Untold};
pub use outbox::{OutboxRow, OutboxState, Outgoing};
pub use presence::{Busy, Heartbeat};
pub use proofs::{Proof, Work};
pub use requests::VersionRequestRow;
pub use returned::ReturnedRow;
pub use shared::SharedStore;
pub use traps::TrapRow;
pub use updates::*;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};
use std::cell::Cell;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a connection waits for another process's transaction; all of ours take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// Changes of the schema, in order; `PRAGMA user_version` counts those that were done. Never edited after a release.
const MIGRATIONS: [&str; 24] = [
    include_str!("store/schema.sql"),
    include_str!("store/updates.sql"),
    include_str!("store/clock.sql"),
    include_str!("store/proofs.sql"),
    include_str!("store/inventory.sql"),
    include_str!("store/control.sql"),
    include_str!("store/trust.sql"),
    include_str!("store/by_hand.sql"),
    include_str!("store/begins.sql"),
    include_str!("store/supply.sql"),
    include_str!("store/parts.sql"),
    include_str!("store/traps.sql"),
    include_str!("store/discovery.sql"),
    include_str!("store/ledger.sql"),
    include_str!("store/census.sql"),
    include_str!("store/acquaintance.sql"),
    include_str!("store/recall.sql"),
    mailbox::record::TABLES,
    include_str!("store/returned.sql"),
    include_str!("store/ways.sql"),
    include_str!("store/conditions.sql"),
    mailbox::record::quota::TABLE,
    include_str!("store/approvals.sql"),
    include_str!("store/answer_holds.sql"),
];

/// The schema number that a program must know at least to use a store of today; kept as `PRAGMA application_id`. It
/// stays as long as changes only add: so the release that an update replaced can go on with the store when it is
/// taken back.
const OLDEST_READER: u32 = 1;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the store {}; check that the directory exists and belongs to this user", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Written by a newer version, which says that this one must not use it.
    #[error("the store {} has schema {found}, this version knows {known}; it was written by a newer version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema number.
        found: u32,
        /// The highest number known here.
        known: u32,
    },
    /// Reading or writing failed.
    #[error("the store cannot be read or written; check free space and the disk")]
    Sql(#[from] rusqlite::Error),
    /// A transaction of several changes could not be committed; nothing of it has happened.
    #[error("what several devices told could not be stored together")]
    Together {
        /// Why, the same for all of them.
        source: std::sync::Arc<StoreError>,
    },
    /// A row holds something that this version cannot have written.
    #[error("the store holds a damaged {what}")]
    Damaged {
        /// What is damaged.
        what: &'static str,
    },
}

/// One connection to the store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Whether this connection has begun an epoch of numbers.
    begun: Cell<bool>,
}

/// One open transaction: everything written through it happens, or nothing does.
#[derive(Debug)]
pub struct Change<'a> {
    transaction: &'a Transaction<'a>,
    begun: Cell<bool>,
}

impl Store {
    /// Opens the store, creates it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Sql`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |source| StoreError::Open { path: path.into(), source };
        // Made here, since SQLite would let everybody read it; its other files follow this one's mode. Whether it can be
        // made at all SQLite says better.
        let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(path, flags).map_err(open_error)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(open_error)?;
        write_ahead(&connection).map_err(open_error)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // The WAL is cut back to this after a checkpoint, so that one large transaction does not keep its space for ever.
        connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
        let mut store = Self { connection, begun: Cell::new(false) };
        store.migrate(path)?;
        Ok(store)
    }

    fn migrate(&mut self, path: &Path) -> Result<(), StoreError> {
        let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        let done = |connection: &Connection| -> Result<u32, StoreError> {
            Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
        };
        if done(&self.connection)? == known {
            return Ok(());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again inside the lock: another process may have been faster.
        let found = done(&transaction)?;
        if found > known {
            let oldest: u32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
            return if oldest <= known {
                Ok(())
            } else {
                Err(StoreError::Newer { path: path.into(), found, known })
            };
        }
        for (_, change) in (0..).zip(MIGRATIONS).filter(|(number, _)| found <= *number) {
            transaction.execute_batch(change)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        transaction.pragma_update(None, "application_id", OLDEST_READER)?;
        transaction.commit()?;
        Ok(())
    }

    /// Runs `work` in one transaction and commits it, durably, if it succeeds; otherwise nothing of it has happened.
    ///
    /// # Errors
    /// What `work` returns, or [`StoreError::Sql`] from beginning or committing.
    pub fn change<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Change<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::Sql)?;
        let change = Change { transaction: &transaction, begun: self.begun.clone() };
        let result = work(&change)?;
        let begun = change.begun.get();
        transaction.commit().map_err(StoreError::Sql)?;
        self.begun.set(begun);
        Ok(result)
    }

    /// A number that changes whenever another connection has changed the store (`PRAGMA data_version`).
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn data_version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Checks the whole file; the texts found are SQLite's own, empty when it is sound.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let rows = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().filter(|row| row != "ok").collect())
    }

    /// A counting value such as [`Tally::Junk`]; 0 if it was never counted.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn tally(&self, tally: Tally) -> Result<u32, StoreError> {
        let count: Option<i64> = self
            .connection
            .prepare_cached("SELECT count FROM tally WHERE name = ?1")?
            .query_row((tally.name(),), |row| row.get(0))
            .optional()?;
        Ok(count.map_or(0, row::clamp_u32))
    }

    /// A time such as [`Moment::LastFetch`]; `None` if it never came.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Damaged`].
    pub fn moment(&self, moment: Moment) -> Result<Option<jiff::Timestamp>, StoreError> {
        noted(&self.connection, moment)
    }
}

/// Asking for the mode the file already has needs no lock; changing it may meet another process doing the same, and for
/// this one statement SQLite does not wait by itself.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn noted(connection: &Connection, moment: Moment) -> Result<Option<jiff::Timestamp>, StoreError> {
    let at: Option<i64> = connection
        .prepare_cached("SELECT at_ms FROM moment WHERE name = ?1")?
        .query_row((moment.name(),), |row| row.get(0))
        .optional()?;
    at.map(|ms| row::time(ms, "time")).transpose()
}

/// Things that are counted until a health report has told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// Mails discarded: junk, forged, too large, too old.
    Junk,
    /// Reports given up without a receipt.
    ReportsExpired,
}

impl Tally {
    fn name(self) -> &'static str {
        match self {
            Self::Junk => "junk",
            Self::ReportsExpired => "reports-expired",
        }
    }
}

/// Last times of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Mail was looked for, and the server answered.
    LastFetch,
    /// A mail was handed to the server.
    LastSend,
    /// A health report was written.
    LastHealth,
    /// Date of the center's newest word on the newest release.
    Fresh,
    /// Since when such a word is waited for.
    FreshWatched,
    /// The supervisor before came back, since the newer one failed; the epoch when that is over.
    SupervisorBefore,
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::LastFetch => "last-fetch",
            Self::LastSend => "last-send",
            Self::LastHealth => "last-health",
            Self::Fresh => "fresh",
            Self::FreshWatched => "fresh-watched",
            Self::SupervisorBefore => "supervisor-before",
        }
    }
}

impl Change<'_> {
    /// Counts one more.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count(&self, tally: Tally) -> Result<(), StoreError> {
        self.count_more(tally, 1)
    }

    /// Counts several more.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_more(&self, tally: Tally, more: u32) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO tally (name, count) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            )?
            .execute((tally.name(), more))?;
        Ok(())
    }

    /// Takes off what a health report has told.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn uncount(&self, tally: Tally, told: u32) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE tally SET count = MAX(0, count - ?2) WHERE name = ?1")?
            .execute((tally.name(), told))?;
        Ok(())
    }

    /// When something came; `None` if it never did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn noted(&self, moment: Moment) -> Result<Option<jiff::Timestamp>, StoreError> {
        noted(self.transaction, moment)
    }

    /// When something began, which is `now` if nothing was noted yet, or only a time that is still to come.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn first_noted(&self, moment: Moment, now: jiff::Timestamp) -> Result<jiff::Timestamp, StoreError> {
        if let Some(begun) = self.noted(moment)?.filter(|begun| *begun <= now) {
            return Ok(begun);
        }
        self.note(moment, now)?;
        Ok(now)
    }

    /// Forgets when something was last.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn forget_moment(&self, moment: Moment) -> Result<(), StoreError> {
        self.transaction.execute("DELETE FROM moment WHERE name = ?1", (moment.name(),))?;
        Ok(())
    }

    /// Notes the time of something, unless a later one is noted.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_latest(&self, moment: Moment, at: jiff::Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO moment (name, at_ms) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET at_ms = MAX(at_ms, excluded.at_ms)",
            )?
            .execute((moment.name(), at.as_millisecond()))?;
        Ok(())
    }

    /// Notes the time of something.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note(&self, moment: Moment, at: jiff::Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO moment (name, at_ms) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET at_ms = excluded.at_ms",
            )?
            .execute((moment.name(), at.as_millisecond()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The fleet database: SQLite in WAL mode. SQL stands only in this module.
//!
//! Every change is one IMMEDIATE transaction, durable when it returns (`synchronous = FULL`); a transaction that is
//! dropped half way leaves nothing behind. The daemon and any number of commands may use the file at the same time.

pub mod alarms;
pub mod appliances;
pub mod audit;
pub mod census;
mod columns;
pub mod delays;
pub mod devices;
pub mod enrolment;
mod epochs;
pub mod events;
pub mod evidence;
pub mod filed;
pub mod inventory;
pub mod journal;
pub mod ledger;
pub(crate) mod measured;
mod noticing;
pub mod outbox;
pub mod packages;
pub mod parts;
pub mod probes;
pub mod queries;
pub mod quota;
pub mod returned;
pub mod rollouts;
pub mod rotations;
pub mod slots;
pub mod spent;
pub mod standing;
pub mod ways;

use mailfmt::AgentId;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The layout that this version reads and writes (`PRAGMA user_version`).
pub const SCHEMA_VERSION: i64 = LAYOUTS.len() as i64;

/// How long a command waits while another process writes.
const BUSY: Duration = Duration::from_secs(30);

/// How each layout is made from the one before; the first from an empty file. What was released is never changed.
const LAYOUTS: &[&str] = &[
    concat!(include_str!("db/schema.sql"), include_str!("db/rollouts.sql")),
    include_str!("db/enrolment.sql"),
    include_str!("db/inventory.sql"),
    include_str!("db/epochs.sql"),
    include_str!("db/whole.sql"),
    include_str!("db/begins.sql"),
    include_str!("db/outlook.sql"),
    include_str!("db/parts.sql"),
    include_str!("db/census.sql"),
    include_str!("db/ledger.sql"),
    include_str!("db/course.sql"),
    include_str!("db/null_path.sql"),
    include_str!("db/repeats.sql"),
    include_str!("db/returned.sql"),
    mailbox::record::TABLES,
    include_str!("db/queries.sql"),
    include_str!("db/ways.sql"),
    include_str!("db/lost.sql"),
    include_str!("db/spent.sql"),
    include_str!("db/branch.sql"),
    include_str!("db/target_columns.sql"),
    include_str!("db/showing.sql"),
    include_str!("db/openings.sql"),
    mailbox::record::quota::TABLE,
    concat!(include_str!("db/round_trip.sql"), include_str!("db/probe.sql")),
    include_str!("db/retrying.sql"),
    include_str!("db/approvals.sql"),
    include_str!("db/slots.sql"),
];

/// What can go wrong with the fleet database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The file cannot be opened.
    #[error("cannot open the fleet database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file cannot be created with its owner's rights only.
    #[error("cannot create the fleet database {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such file: this is no center's home.
    #[error("there is no fleet database {}; run `center-manager init` first", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error(
        "the fleet database has layout {found}, this version knows up to {known}; use the newer center-manager"
    )]
    Newer {
        /// Layout of the file.
        found: i64,
        /// Greatest layout known.
        known: i64,
    },
    /// A statement failed: full or failing disk, damaged file.
    #[error("the fleet database failed")]
    Sql(#[from] rusqlite::Error),
    /// No appliance of that id, or it was removed.
    #[error("there is no appliance {agent}")]
    NoSuchAppliance {
        /// The id.
        agent: AgentId,
    },
    /// That id was given before.
    #[error("the agent id {agent} is taken (ids of removed appliances are not used again)")]
    AgentTaken {
        /// The id.
        agent: AgentId,
    },
    /// That appliance reports no device of that serial number.
    #[error(
        "{agent} reports no device with serial number {serial}; `center-manager devices` shows what there is"
    )]
    NoSuchDevice {
        /// The serial number.
        serial: String,
        /// The appliance.
        agent: AgentId,
    },
    /// Several devices of that appliance have that serial number.
    #[error("{agent} reports several devices with serial number {serial}; say which with --model")]
    SeveralDevices {
        /// The serial number.
        serial: String,
        /// The appliance.
        agent: AgentId,
    },
    /// It has as many devices as one appliance may have.
    #[error("{agent} has {} devices already; no appliance may have more", devices::DEVICES_MAX)]
    TooManyDevices {
        /// The appliance.
        agent: AgentId,
    },
    /// No package of that id.
    #[error("there is no package {package:?}; `center-manager package list` shows what there is")]
    NoSuchPackage {
        /// What was asked for.
        package: String,
    },
    /// No provisional code whose id begins like that, or more than one.
    #[error(
        "no single code has an id that begins with {code}; `center-manager enrol list --all` shows what there is"
    )]
    NoSuchCode {
        /// What was asked for.
        code: String,
    },
    /// No alarm of that number.
    #[error("there is no alarm {number}; `center-manager alarms --all` shows what there is")]
    NoSuchAlarm {
        /// The number.
        number: i64,
    },
    /// It is suspended: nothing is sent to it.
    #[error("{agent} is suspended; `center-manager appliance readmit {agent}` ends that")]
    Suspended {
        /// The id.
        agent: AgentId,
    },
    /// No finding of that number.
    #[error("there is no finding {number}; `center-manager counters review --all` shows what there is")]
    NoSuchFinding {
        /// The number.
        number: i64,
    },
    /// Nobody can tell what a finding comes to.
    #[error(
        "nothing is proposed for finding {number}; say what counts with `counters review correct {number} --pages COUNT`"
    )]
    NothingProposed {
        /// The number.
        number: i64,
    },
    /// No rollout of that number.
    #[error("there is no rollout {number}; `center-manager rollout list` shows what there is")]
    NoSuchRollout {
        /// The number.
        number: i64,
    },
}

/// An open fleet database.
#[derive(Debug)]
pub struct Db {
    connection: Connection,
}

impl Db {
    /// Opens an existing database and brings its layout up to date.
    ///
    /// # Errors
    /// [`DbError::Missing`], [`DbError::Open`], [`DbError::Newer`] or [`DbError::Sql`].
    pub fn open(path: &Path) -> Result<Self, DbError> {
        if !path.exists() {
            return Err(DbError::Missing { path: path.into() });
        }
        // No URI and no creation: a mistyped home must not become an empty fleet.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| DbError::Open { path: path.into(), source })?;
        Self::prepare(connection)
    }

    /// Creates a database (readable by its owner only, it holds credentials), or opens it where it exists.
    ///
    /// # Errors
    /// [`DbError::Create`] and those of [`Db::open`].
    pub fn create(path: &Path) -> Result<Self, DbError> {
        crate::home::create_secret_file(path)
            .map_err(|source| DbError::Create { path: path.into(), source })?;
        Self::open(path)
    }

    /// A database in memory, for tests and trials.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn in_memory() -> Result<Self, DbError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self, DbError> {
        connection.busy_timeout(BUSY)?;
        write_ahead(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is wiped shall not be found in the file.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        connection.set_prepared_statement_cache_capacity(128);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let made = usize::try_from(found).unwrap_or(usize::MAX);
        let missing = LAYOUTS.get(made..).ok_or(DbError::Newer { found, known: SCHEMA_VERSION })?;
        for layout in missing {
            transaction.execute_batch(layout)?;
        }
        if !missing.is_empty() {
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        transaction.commit()?;
        Ok(Self { connection })
    }

    /// Does `work` in one IMMEDIATE transaction: all of it is durable, or (on an error) none of it happened.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// For reading; several reads that must agree with each other go into one statement or into [`Db::write`].
    pub(crate) fn read(&self) -> &Connection {
        &self.connection
    }

    /// Changes whenever another connection has changed the database (`PRAGMA data_version`).
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn foreign_changes(&self) -> Result<i64, DbError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Carries what was wiped over into the file and empties the log beside it, as far as nobody is reading just now.
    pub(crate) fn settle_wiped(&self) {
        let settled: Result<i64, _> =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        if !matches!(settled, Ok(0)) {
            tracing::debug!("the log of the database is in use; it is emptied later");
        }
    }

    /// Lets SQLite look over the whole file.
    ///
    /// # Errors
    /// [`DbError::Sql`] when it cannot be read at all.
    pub fn check(&self) -> Result<Vec<String>, DbError> {
        let mut statement = self.connection.prepare("PRAGMA quick_check(10)")?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}

/// Changing the mode may meet another process doing the same, and for this one statement SQLite does not wait by itself.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;

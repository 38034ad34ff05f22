//! What is on record of an account in a program's database: how its new mail is noticed, and when its servers were asked to
//! let us in, and how full its mailbox is. Both programs keep the same tables.

pub mod quota;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Error, Row};

use crate::inbox::{Manner, Noticing, Standing};

/// The tables, empty.
pub const TABLES: &str = include_str!("record.sql");

/// Logins are counted over this time.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a login was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Fetching mail.
    Fetch,
    /// Handing mail in.
    Send,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Send => "send",
        }
    }
}

/// What is known of an account, for a person to read.
///
/// `every_secs` is the longest time between two looks by its manner, `logins_allowed` how many logins to fetch an hour may have.
///
/// # Errors
/// The database failed.
pub fn noticing(
    connection: &Connection,
    account: &str,
    every_secs: impl FnOnce(Option<Manner>) -> u64,
    logins_allowed: u32,
    now: Timestamp,
) -> Result<Noticing, Error> {
    let found = standing(connection, account)?;
    let manner = found.map(|(standing, _)| standing.manner);
    let count = |purpose| logins(connection, account, purpose, now).map(|logins| logins.len());
    Ok(Noticing {
        account: account.to_owned(),
        manner,
        session_open: found.is_some_and(|(standing, _)| standing.session_open),
        since: found.map(|(_, since)| since),
        every_secs: every_secs(manner),
        logins_to_fetch: count(Purpose::Fetch)?,
        logins_to_send: count(Purpose::Send)?,
        logins_allowed,
        fullness: quota::fullness(connection, account)?,
    })
}

/// How new mail of an account is noticed, and since when; `None` before mail was first looked for.
///
/// # Errors
/// The database failed.
pub fn standing(connection: &Connection, account: &str) -> Result<Option<(Standing, Timestamp)>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT manner, session_open, since_ms FROM mail_notice WHERE account = ?1")?;
    let mut rows = statement.query((account,))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let manner: String = row.get(0)?;
    // A word of a newer version: what every server bears.
    let manner = Manner::from_word(&manner).unwrap_or(Manner::PerLook);
    Ok(Some((Standing { manner, session_open: row.get(1)? }, time(row, 2)?)))
}

/// The logins of an account within the hour before `now`, the oldest first.
///
/// # Errors
/// The database failed.
pub fn logins(
    connection: &Connection,
    account: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Vec<Timestamp>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT at_ms FROM mail_login WHERE account = ?1 AND way = ?2 AND at_ms > ?3 AND at_ms <= ?4 ORDER BY at_ms",
    )?;
    let span = (account, purpose.as_str(), an_hour_before(now).as_millisecond(), now.as_millisecond());
    statement.query_map(span, |row| time(row, 0))?.collect()
}

/// Notes how new mail of an account is noticed; its beginning is kept as long as nothing changes.
///
/// # Errors
/// The database failed.
pub fn note_standing(
    connection: &Connection,
    account: &str,
    standing: Standing,
    now: Timestamp,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO mail_notice (account, manner, session_open, since_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account) DO UPDATE SET manner = excluded.manner, session_open = excluded.session_open,
                 since_ms = excluded.since_ms
             WHERE manner <> excluded.manner OR session_open <> excluded.session_open OR since_ms > excluded.since_ms",
        )?
        .execute((account, standing.manner.as_str(), standing.session_open, now.as_millisecond()))?;
    Ok(())
}

/// Counts logins, and forgets those that are older than an hour or, since the clock was set back, still to come.
///
/// # Errors
/// The database failed.
pub fn note_logins(
    connection: &Connection,
    account: &str,
    purpose: Purpose,
    logins: u32,
    now: Timestamp,
) -> Result<(), Error> {
    if logins == 0 {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM mail_login WHERE at_ms < ?1 OR at_ms > ?2")?
        .execute((an_hour_before(now).as_millisecond(), now.as_millisecond()))?;
    for _ in 0..logins {
        connection
            .prepare_cached("INSERT INTO mail_login (account, way, at_ms) VALUES (?1, ?2, ?3)")?
            .execute((account, purpose.as_str(), now.as_millisecond()))?;
    }
    Ok(())
}

fn an_hour_before(now: Timestamp) -> Timestamp {
    now.saturating_sub(HOUR).unwrap_or(Timestamp::MIN)
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Error> {
    let ms: i64 = row.get(column)?;
    Timestamp::from_millisecond(ms).map_err(|_| Error::IntegralValueOutOfRange(column, ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_700_000_000 + secs, 0).unwrap()
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&[TABLES, quota::TABLE].concat()).unwrap();
        connection
    }

    #[test]
    fn logins_count_for_an_hour_and_by_what_they_were_for() {
        let database = database();
        for (purpose, logins, secs) in
            [(Purpose::Fetch, 2, 0), (Purpose::Send, 1, 10), (Purpose::Fetch, 1, 3000)]
        {
            note_logins(&database, "main", purpose, logins, at(secs)).unwrap();
        }
        let count = |purpose, secs| logins(&database, "main", purpose, at(secs)).unwrap().len();
        assert_eq!((count(Purpose::Fetch, 3000), count(Purpose::Send, 3000)), (3, 1));
        assert_eq!((count(Purpose::Fetch, 3601), count(Purpose::Send, 3611)), (1, 0));
        assert!(logins(&database, "other", Purpose::Fetch, at(3000)).unwrap().is_empty());
        let told =
            noticing(&database, "main", |manner| if manner.is_none() { 180 } else { 1 }, 300, at(3000));
        let told = told.unwrap();
        assert_eq!((told.logins_to_fetch, told.logins_to_send, told.every_secs), (3, 1, 180));
    }

    #[test]
    fn a_manner_has_its_beginning_until_it_changes() {
        let database = database();
        let note = |manner, session_open, secs| {
            note_standing(&database, "main", Standing { manner, session_open }, at(secs)).unwrap();
            standing(&database, "main").unwrap().unwrap()
        };
        assert!(standing(&database, "main").unwrap().is_none(), "before mail was looked for");
        assert_eq!(note(Manner::Idle, true, 0).1, at(0));
        assert_eq!(note(Manner::Idle, true, 100).1, at(0));
        let (changed, since) = note(Manner::Asking, true, 200);
        assert_eq!((since, changed.manner), (at(200), Manner::Asking));
        // The clock was set back.
        assert_eq!(note(Manner::Asking, true, 50).1, at(50));
    }
}

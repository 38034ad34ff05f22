//! How full the mailboxes are, as their servers told last.

use jiff::Timestamp;
use rusqlite::{Connection, Error, OptionalExtension as _, Row};

use super::time;
use crate::quota::{Amount, Fullness, Quota};

/// The table, empty.
pub const TABLE: &str = include_str!("quota.sql");

fn amount(row: &Row<'_>, used: usize, limit: usize) -> Result<Option<Amount>, Error> {
    let number = |column| Ok::<_, Error>(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs));
    Ok(number(used)?.zip(number(limit)?).and_then(|(used, limit)| Amount::new(used, limit)))
}

/// How full the mailbox of an account is; `None` before it was asked.
///
/// # Errors
/// The database failed.
pub fn fullness(connection: &Connection, account: &str) -> Result<Option<Fullness>, Error> {
    connection
        .prepare_cached(
            "SELECT octets_used, octets_limit, mails_used, mails_limit, warned, at_ms FROM mail_quota
             WHERE account = ?1",
        )?
        .query_row([account], |row| {
            Ok(Fullness {
                quota: Quota { octets: amount(row, 0, 1)?, mails: amount(row, 2, 3)? },
                nearly_full: row.get(4)?,
                at: time(row, 5)?,
            })
        })
        .optional()
}

/// Notes what an account's server told, and whether the mailbox is nearly full with that: answers it. Numbers beyond all
/// bounds are cut.
///
/// # Errors
/// The database failed.
pub fn note(connection: &Connection, account: &str, quota: Quota, now: Timestamp) -> Result<bool, Error> {
    let warned = fullness(connection, account)?.is_some_and(|known| known.nearly_full);
    let nearly_full = quota.is_nearly_full(warned);
    let part = |amount: Option<Amount>, of: fn(Amount) -> u64| {
        amount.map(|amount| i64::try_from(of(amount)).unwrap_or(i64::MAX))
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO mail_quota
                 (account, octets_used, octets_limit, mails_used, mails_limit, warned, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            account,
            part(quota.octets, |amount| amount.used),
            part(quota.octets, |amount| amount.limit),
            part(quota.mails, |amount| amount.used),
            part(quota.mails, |amount| amount.limit),
            nearly_full,
            now.as_millisecond(),
        ))?;
    Ok(nearly_full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_stands_with_its_warning_and_huge_numbers_are_cut() {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch(TABLE).unwrap();
        let at = |secs: i64| Timestamp::new(1_700_000_000 + secs, 0).unwrap();
        let full = |used| Quota { octets: Amount::new(used, 100), mails: None };
        let told = |quota, secs| {
            note(&database, "main", quota, at(secs)).unwrap();
            fullness(&database, "main").unwrap().unwrap()
        };
        assert_eq!(fullness(&database, "main").unwrap(), None);
        assert!(!told(full(79), 0).nearly_full);
        assert!(told(full(80), 10).nearly_full);
        let still = told(full(77), 20);
        assert_eq!(still, Fullness { quota: full(77), nearly_full: true, at: at(20) });
        assert!(!told(full(74), 30).nearly_full);
        let huge = told(Quota { octets: None, mails: Amount::new(u64::MAX, u64::MAX) }, 40);
        assert_eq!((huge.quota.percent(), huge.nearly_full), (Some(100), true));
        assert!(!told(Quota::default(), 50).nearly_full, "a server that tells nothing any more");
    }
}

//! How new mail is noticed, and how often mail servers were asked to let us in.

use super::columns::time;
use super::{Db, DbError};
use jiff::{SignedDuration, Timestamp};
use mailbox::inbox::{Manner, Standing};

/// Logins are counted over this time.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a login was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginWay {
    /// Fetching mail.
    Fetch,
    /// Handing mail in.
    Send,
}

impl LoginWay {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Send => "send",
        }
    }
}

/// How new mail of an account is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// The account's name.
    pub account: String,
    /// In which manner, and whether a session was open.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

impl Db {
    /// How new mail of each account is noticed, as far as an account was used.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn notices(&self) -> Result<Vec<NoticeRow>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT account, manner, session_open, since_ms FROM mail_notice ORDER BY account",
        )?;
        let rows = statement.query_map((), |row| {
            let manner: String = row.get(1)?;
            // A word of a newer version: what every server bears.
            let manner = Manner::from_word(&manner).unwrap_or(Manner::PerLook);
            let standing = Standing { manner, session_open: row.get(2)? };
            Ok(NoticeRow { account: row.get(0)?, standing, since: time(row, 3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The logins of an account within the hour before `now`, the oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn logins(&self, account: &str, way: LoginWay, now: Timestamp) -> Result<Vec<Timestamp>, DbError> {
        let since = now.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
        let mut statement = self.read().prepare_cached(
            "SELECT at_ms FROM mail_login WHERE account = ?1 AND way = ?2 AND at_ms > ?3 AND at_ms <= ?4 ORDER BY at_ms",
        )?;
        let span = (account, way.as_str(), since.as_millisecond(), now.as_millisecond());
        let rows = statement.query_map(span, |row| time(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts logins and forgets those that are older than an hour; notes how new mail of the account is noticed, whose
    /// beginning is kept as long as nothing changes.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_standing(
        &mut self,
        account: &str,
        logins: u32,
        standing: Standing,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.note_logins(account, LoginWay::Fetch, logins, now)?;
        self.write(|change| {
            change
                .prepare_cached(
                    "INSERT INTO mail_notice (account, manner, session_open, since_ms) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (account) DO UPDATE SET manner = excluded.manner,
                         session_open = excluded.session_open, since_ms = excluded.since_ms
                     WHERE manner <> excluded.manner OR session_open <> excluded.session_open
                         OR since_ms > excluded.since_ms",
                )?
                .execute((account, standing.manner.as_str(), standing.session_open, now.as_millisecond()))?;
            Ok::<_, DbError>(())
        })
    }

    /// Counts logins, and forgets those that are older than an hour or, since the clock was set back, still to come.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_logins(
        &mut self,
        account: &str,
        way: LoginWay,
        logins: u32,
        now: Timestamp,
    ) -> Result<(), DbError> {
        if logins == 0 {
            return Ok(());
        }
        let since = now.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
        self.write(|change| {
            change
                .prepare_cached("DELETE FROM mail_login WHERE at_ms < ?1 OR at_ms > ?2")?
                .execute((since.as_millisecond(), now.as_millisecond()))?;
            for _ in 0..logins {
                change
                    .prepare_cached("INSERT INTO mail_login (account, way, at_ms) VALUES (?1, ?2, ?3)")?
                    .execute((account, way.as_str(), now.as_millisecond()))?;
            }
            Ok::<_, DbError>(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_700_000_000 + secs, 0).unwrap()
    }

    #[test]
    fn logins_count_for_an_hour_and_a_manner_has_its_beginning_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Db::create(&folder.path().join("fleet.db")).unwrap();
        let idle = Standing { manner: Manner::Idle, session_open: true };
        db.note_standing("main", 2, idle, at(0)).unwrap();
        db.note_standing("main", 0, idle, at(100)).unwrap();
        db.note_logins("main", LoginWay::Send, 1, at(100)).unwrap();
        assert_eq!(db.notices().unwrap().pop().unwrap().since, at(0));
        assert_eq!(db.logins("main", LoginWay::Fetch, at(200)).unwrap(), [at(0), at(0)]);
        assert_eq!(db.logins("main", LoginWay::Send, at(200)).unwrap(), [at(100)]);
        let lost = Standing { manner: Manner::Idle, session_open: false };
        db.note_standing("main", 1, lost, at(3700)).unwrap();
        let notice = db.notices().unwrap().pop().unwrap();
        assert_eq!((notice.standing, notice.since), (lost, at(3700)));
        assert_eq!(db.logins("main", LoginWay::Fetch, at(3700)).unwrap().len(), 1);
        assert!(db.logins("main", LoginWay::Send, at(3700)).unwrap().is_empty());
    }
}

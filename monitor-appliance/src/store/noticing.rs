//! How new mail is noticed, and how often mail servers were asked to let us in.

use super::{Change, Store, StoreError, row};
use jiff::{SignedDuration, Timestamp};
use mailbox::inbox::{Manner, Standing};

/// Logins are counted over this time.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a login was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
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

impl Store {
    /// How new mail of each account is noticed, as far as an account was used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn notices(&self) -> Result<Vec<NoticeRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT account, manner, session_open, since_ms FROM mail_notice ORDER BY account",
        )?;
        let mut rows = statement.query(())?;
        let mut notices = Vec::new();
        while let Some(found) = rows.next()? {
            let manner: String = found.get(1)?;
            let manner = Manner::from_word(&manner).ok_or(StoreError::Damaged { what: "mail notice" })?;
            notices.push(NoticeRow {
                account: found.get(0)?,
                standing: Standing { manner, session_open: found.get(2)? },
                since: row::time(found.get(3)?, "mail notice")?,
            });
        }
        Ok(notices)
    }

    /// The logins of an account within the hour before `now`, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn logins(&self, account: &str, way: LoginWay, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let since = now.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
        let mut statement = self.connection.prepare_cached(
            "SELECT at_ms FROM mail_login WHERE account = ?1 AND way = ?2 AND at_ms > ?3 AND at_ms <= ?4 ORDER BY at_ms",
        )?;
        let span = (account, way.as_str(), since.as_millisecond(), now.as_millisecond());
        let rows = statement.query_map(span, |row| row.get::<_, i64>(0))?;
        rows.map(|at| row::time(at?, "login")).collect()
    }
}

impl Change<'_> {
    /// Counts logins, and forgets those that are older than an hour or, since the clock was set back, still to come.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_logins(
        &self,
        account: &str,
        way: LoginWay,
        logins: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if logins == 0 {
            return Ok(());
        }
        let since = now.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
        self.transaction
            .prepare_cached("DELETE FROM mail_login WHERE at_ms < ?1 OR at_ms > ?2")?
            .execute((since.as_millisecond(), now.as_millisecond()))?;
        for _ in 0..logins {
            self.transaction
                .prepare_cached("INSERT INTO mail_login (account, way, at_ms) VALUES (?1, ?2, ?3)")?
                .execute((account, way.as_str(), now.as_millisecond()))?;
        }
        Ok(())
    }

    /// Notes how new mail of an account is noticed; its beginning is kept as long as nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_standing(&self, account: &str, standing: Standing, now: Timestamp) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO mail_notice (account, manner, session_open, since_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account) DO UPDATE SET manner = excluded.manner, session_open = excluded.session_open,
                     since_ms = excluded.since_ms
                 WHERE manner <> excluded.manner OR session_open <> excluded.session_open OR since_ms > excluded.since_ms",
            )?
            .execute((account, standing.manner.as_str(), standing.session_open, now.as_millisecond()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_700_000_000 + secs, 0).unwrap()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    #[test]
    fn logins_count_for_an_hour_and_by_what_they_were_for() {
        let (_folder, mut store) = store();
        for (way, logins, secs) in
            [(LoginWay::Fetch, 2, 0), (LoginWay::Send, 1, 10), (LoginWay::Fetch, 1, 3000)]
        {
            store.change(|change| change.note_logins("main", way, logins, at(secs))).unwrap();
        }
        let count = |way, secs| store.logins("main", way, at(secs)).unwrap().len();
        assert_eq!((count(LoginWay::Fetch, 3000), count(LoginWay::Send, 3000)), (3, 1));
        assert_eq!((count(LoginWay::Fetch, 3601), count(LoginWay::Send, 3611)), (1, 0));
        assert!(store.logins("other", LoginWay::Fetch, at(3000)).unwrap().is_empty());
    }

    #[test]
    fn a_manner_has_its_beginning_until_it_changes() {
        let (_folder, mut store) = store();
        let mut note = |manner, session_open, secs| {
            let standing = Standing { manner, session_open };
            store.change(|change| change.note_standing("main", standing, at(secs))).unwrap();
            store.notices().unwrap().pop().unwrap()
        };
        assert_eq!(note(Manner::Idle, true, 0).since, at(0));
        assert_eq!(note(Manner::Idle, true, 100).since, at(0));
        let changed = note(Manner::Asking, true, 200);
        assert_eq!((changed.since, changed.standing.manner), (at(200), Manner::Asking));
        // The clock was set back.
        assert_eq!(note(Manner::Asking, true, 50).since, at(50));
    }
}

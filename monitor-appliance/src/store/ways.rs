//! In which form mails get through, and what gateways did to those that did not.

use super::{Change, Store, StoreError};
use jiff::Timestamp;
use mailfmt::MessageId;
use mailfmt::mail::{Form, Mangling, Sign, Tried, Way};
use rusqlite::{Connection, OptionalExtension as _, Row};

/// Most mails of one kind of mangling that are counted between two health reports.
const COUNT_MAX: u32 = 1_000_000;

fn read_way(row: &Row<'_>) -> rusqlite::Result<(String, Way)> {
    let time = |place: usize| -> rusqlite::Result<Option<Timestamp>> {
        let ms: Option<i64> = row.get(place)?;
        Ok(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    };
    let way = Way {
        form: Form::from_word(&row.get::<_, String>(1)?),
        since: time(2)?,
        reason: row.get(3)?,
        probe: time(4)?,
        proven: time(5)?,
    };
    Ok((row.get(0)?, way))
}

const WAY: &str = "SELECT account, form, since_ms, reason, probe_ms, proven_ms FROM way";

fn way(connection: &Connection, account: &str) -> Result<Way, StoreError> {
    let found = connection
        .prepare_cached(&format!("{WAY} WHERE account = ?1"))?
        .query_row((account,), read_way)
        .optional()?;
    Ok(found.map(|(_, way)| way).unwrap_or_default())
}

fn tried(row: &Row<'_>) -> rusqlite::Result<Tried> {
    let last: Option<String> = row.get(2)?;
    Ok(Tried { opaque: row.get(0)?, armoured: row.get(1)?, last: Form::from_word(&last.unwrap_or_default()) })
}

impl Store {
    /// What is known of the way over a mail account.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn way(&self, account: &str) -> Result<Way, StoreError> {
        way(&self.connection, account)
    }

    /// The same of all accounts of which anything is known.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn ways(&self) -> Result<Vec<(String, Way)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!("{WAY} ORDER BY account"))?;
        Ok(statement.query_map((), read_way)?.collect::<Result<_, _>>()?)
    }

    /// How often a report was sent in which form.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn tried(&self, id: i64) -> Result<Tried, StoreError> {
        let found = self
            .connection
            .prepare_cached("SELECT sent_opaque, sent_armoured, sent_form FROM outbox WHERE id = ?1")?
            .query_row((id,), tried)
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Mails of the center that came mangled since the last health report, by what was done to them.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn mangled(&self) -> Result<Vec<(String, u32)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT how, count FROM mangled WHERE count > 0 ORDER BY how")?;
        Ok(statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }
}

impl Change<'_> {
    /// A server took a report in this form.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn note_form(&self, id: i64, account: &str, form: Form) -> Result<(), StoreError> {
        let column = match form {
            Form::Opaque => "sent_opaque",
            Form::Armoured => "sent_armoured",
        };
        self.transaction
            .prepare_cached(&format!(
                "UPDATE outbox SET {column} = {column} + 1, sent_form = ?2, sent_account = ?3 WHERE id = ?1"
            ))?
            .execute((id, form.as_str(), account))?;
        Ok(())
    }

    /// Takes a sign about the way over an account into account. What is known from now on, if that is news.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn learn_way(
        &self,
        account: &str,
        sign: &Sign<'_>,
        now: Timestamp,
    ) -> Result<Option<Way>, StoreError> {
        let Some(learned) = way(self.transaction, account)?.learn(sign, now) else { return Ok(None) };
        let ms = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO way (account, form, since_ms, reason, probe_ms, proven_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                account,
                learned.form.as_str(),
                ms(learned.since),
                &learned.reason,
                ms(learned.probe),
                ms(learned.proven),
            ))?;
        Ok(Some(learned))
    }

    /// The center has a report: so the way by which it went last works in the form in which it went.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn learn_arrival(&self, message: MessageId, now: Timestamp) -> Result<Option<Way>, StoreError> {
        let sent = self
            .transaction
            .prepare_cached(
                "SELECT sent_opaque, sent_armoured, sent_form, sent_account FROM outbox WHERE message = ?1",
            )?
            .query_row((message.to_string(),), |row| Ok((tried(row)?, row.get::<_, Option<String>>(3)?)))
            .optional()?;
        match sent {
            Some((tried, Some(account))) => self.learn_way(&account, &Sign::Arrived(tried), now),
            _ => Ok(None),
        }
    }

    /// Counts a mail of the center of which a gateway left no message.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_mangled(&self, how: Mangling) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO mangled (how, count) VALUES (?1, 1)
                 ON CONFLICT (how) DO UPDATE SET count = min(count + 1, ?2)",
            )?
            .execute((how.as_str(), COUNT_MAX))?;
        Ok(())
    }

    /// Takes back what a health report has told.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn uncount_mangled(&self, told: &[(String, u32)]) -> Result<(), StoreError> {
        let mut update = self
            .transaction
            .prepare_cached("UPDATE mangled SET count = max(count - ?2, 0) WHERE how = ?1")?;
        for (how, count) in told {
            update.execute((how, count))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        (folder, store)
    }

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn what_is_learned_of_a_way_is_known_after_a_restart_and_only_of_that_way() {
        let (folder, mut store) = store();
        let learned = store
            .change(|change| change.learn_way("main", &Sign::Mangled(Mangling::Stripped), now()))
            .unwrap()
            .unwrap();
        let again = Store::open(&folder.path().join("store.db")).unwrap();
        assert_eq!(again.way("main").unwrap(), learned);
        assert_eq!(again.way("other").unwrap(), Way::default());
        assert_eq!(again.ways().unwrap(), [("main".to_owned(), learned)]);
    }

    #[test]
    fn mangled_mails_are_counted_until_a_health_report_tells_of_them() {
        let (_folder, mut store) = store();
        store.change(|change| change.count_mangled(Mangling::Stripped)).unwrap();
        store.change(|change| change.count_mangled(Mangling::Stripped)).unwrap();
        let told = store.mangled().unwrap();
        assert_eq!(told, [("attachment stripped by a gateway".to_owned(), 2)]);
        store.change(|change| change.count_mangled(Mangling::Stripped)).unwrap();
        store.change(|change| change.uncount_mangled(&told)).unwrap();
        assert_eq!(store.mangled().unwrap(), [("attachment stripped by a gateway".to_owned(), 1)]);
    }
}

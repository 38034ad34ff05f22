//! What was handed in lately; see [`crate::budget`].

use super::columns::{At, time, uncount};
use super::{Db, DbError};
use crate::budget::Spent;
use jiff::Timestamp;
use rusqlite::params;

/// Mails that were counted before they went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpentId(i64);

impl Db {
    /// What an account handed in since `since`.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn spent(&self, account: &str, since: Timestamp) -> Result<Spent, DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT at, recipients FROM spent WHERE account = ?1 AND at >= ?2")?;
        let rows =
            statement.query_map(params![account, At(since)], |row| Ok((time(row, 0)?, row.get(1)?)))?;
        Ok(Spent::of(rows.collect::<Result<_, _>>()?))
    }

    /// How many mails an account handed in since `since`, and how many recipients they had together.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn spent_since(&self, account: &str, since: Timestamp) -> Result<(u64, u64), DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT count(*), ifnull(sum(recipients), 0) FROM spent WHERE account = ?1 AND at >= ?2",
        )?;
        Ok(statement
            .query_row(params![account, At(since)], |row| Ok((uncount(row.get(0)?), uncount(row.get(1)?))))?)
    }

    /// Counts mails that are about to be handed in, and forgets those from before `since`; durable when it returns. Answers
    /// their numbers, in the same order.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn spend(
        &mut self,
        account: &str,
        recipients: &[u32],
        now: Timestamp,
        since: Timestamp,
    ) -> Result<Vec<SpentId>, DbError> {
        self.write(|tx| {
            tx.prepare_cached("DELETE FROM spent WHERE at < ?1")?.execute([At(since)])?;
            let mut insert =
                tx.prepare_cached("INSERT INTO spent (account, at, recipients) VALUES (?1, ?2, ?3)")?;
            recipients
                .iter()
                .map(|recipients| Ok(SpentId(insert.insert(params![account, At(now), recipients])?)))
                .collect()
        })
    }

    /// Counts mails at the moment in which they were taken, and no longer those that did not go out.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn settle_spent(
        &mut self,
        taken: &[SpentId],
        unused: &[SpentId],
        now: Timestamp,
    ) -> Result<(), DbError> {
        if taken.is_empty() && unused.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut update = tx.prepare_cached("UPDATE spent SET at = max(at, ?2) WHERE id = ?1")?;
            for id in taken {
                update.execute(params![id.0, At(now)])?;
            }
            let mut delete = tx.prepare_cached("DELETE FROM spent WHERE id = ?1")?;
            for id in unused {
                delete.execute([id.0])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Bounds, Window};
    use jiff::SignedDuration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_was_spent_is_known_after_a_restart_per_account() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.db");
        let bounds = Bounds { mails: vec![Window { span_secs: 60, most: 2 }], ..Bounds::default() };
        let since = at(0) - SignedDuration::from_hours(24);
        let mut db = Db::create(&path).unwrap();
        let counted = db.spend("main", &[1, 5], at(0), since).unwrap();
        db.settle_spent(&counted[..1], &[], at(7)).unwrap();
        drop(db);
        let mut db = Db::open(&path).unwrap();
        let spent = db.spent("main", since).unwrap();
        assert!(spent.free_at(&bounds, 1, at(10)) > at(60));
        assert_eq!(db.spent("second", since).unwrap(), Spent::default());
        db.settle_spent(&[], &counted[1..], at(11)).unwrap();
        assert_eq!(db.spent("main", since).unwrap().free_at(&bounds, 1, at(12)), at(12));
    }

    #[test]
    fn what_is_too_old_to_count_is_forgotten() {
        let mut db = Db::in_memory().unwrap();
        db.spend("main", &[1], at(0), at(-86_400)).unwrap();
        db.spend("main", &[1], at(100_000), at(13_600)).unwrap();
        let rows: u32 = db.read().query_row("SELECT count(*) FROM spent", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }
}

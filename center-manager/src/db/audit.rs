//! Who did what: rows that are only ever added, each with a hash over itself and the row before. Whoever changes or takes
//! out one of them has to change all that come after it, and the last hash may stand elsewhere: in a mail, on paper.

use super::columns::{At, parsed, time};
use super::{Db, DbError};
use jiff::Timestamp;
use mailfmt::Digest;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// Its number, from 1 without a gap.
    pub number: i64,
    /// When, by the center's clock.
    pub at: Timestamp,
    /// Who: a user of the center's machine, or `daemon`.
    pub who: String,
    /// What, in a word or two.
    pub what: String,
    /// To what.
    pub subject: String,
    /// More about it; may be empty.
    pub detail: String,
    /// Hash over this row and the hash before, in hex.
    pub hash: Digest,
}

/// What checking the chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// How many rows.
    pub rows: u64,
    /// The hash of the last one; of nothing where there is none.
    pub head: Digest,
    /// The first row that does not fit the one before it; absent when all do.
    pub broken_at: Option<i64>,
}

impl Db {
    /// The newest deeds, the oldest of them first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn deeds(&self, newest: u32) -> Result<Vec<Deed>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT * FROM (SELECT id, at, who, what, subject, detail, hash FROM audit ORDER BY id DESC LIMIT ?1)
             ORDER BY id",
        )?;
        let rows = statement.query_map([newest], deed)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was done to one subject, such as `rollout 7`, oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn deeds_about(&self, subject: &str) -> Result<Vec<Deed>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, at, who, what, subject, detail, hash FROM audit WHERE subject = ?1 ORDER BY id",
        )?;
        let rows = statement.query_map([subject], deed)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Computes the chain anew.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn check_deeds(&self) -> Result<Chain, DbError> {
        let mut statement = self
            .read()
            .prepare_cached("SELECT id, at, who, what, subject, detail, hash FROM audit ORDER BY id")?;
        let mut chain = Chain { rows: 0, head: Digest::of(&[]), broken_at: None };
        for row in statement.query_map([], deed)? {
            let row = row?;
            chain.rows += 1;
            let fits = row.number == i64::try_from(chain.rows).unwrap_or(i64::MAX)
                && row.hash == link(&chain.head, &row);
            if !fits && chain.broken_at.is_none() {
                chain.broken_at = Some(row.number);
            }
            chain.head = row.hash;
        }
        Ok(chain)
    }
}

/// Adds a deed to the chain, in the transaction of what was done.
pub(crate) fn append(
    connection: &Connection,
    at: Timestamp,
    who: &str,
    what: &str,
    subject: &str,
    detail: &str,
) -> Result<(), DbError> {
    let last = connection
        .prepare_cached(
            "SELECT id, at, who, what, subject, detail, hash FROM audit ORDER BY id DESC LIMIT 1",
        )?
        .query_row([], deed)
        .optional()?;
    let (number, head) = last.map_or((0, Digest::of(&[])), |last| (last.number, last.hash));
    // As it will be read again: to the millisecond.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    let new = Deed {
        number: number.saturating_add(1),
        at,
        who: who.to_owned(),
        what: what.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        hash: head,
    };
    let hash = link(&head, &new);
    connection
        .prepare_cached(
            "INSERT INTO audit (id, at, who, what, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![new.number, At(at), who, what, subject, detail, hash.to_string()])?;
    Ok(())
}

/// Every field with its length before it, so that no two rows give the same octets.
fn link(before: &Digest, deed: &Deed) -> Digest {
    let (number, at) = (deed.number.to_be_bytes(), deed.at.as_millisecond().to_be_bytes());
    let mut octets = before.as_bytes().to_vec();
    for field in [
        &number[..],
        &at[..],
        deed.who.as_bytes(),
        deed.what.as_bytes(),
        deed.subject.as_bytes(),
        deed.detail.as_bytes(),
    ] {
        octets.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        octets.extend(field);
    }
    Digest::of(&octets)
}

fn deed(row: &Row<'_>) -> rusqlite::Result<Deed> {
    Ok(Deed {
        number: row.get(0)?,
        at: time(row, 1)?,
        who: row.get(2)?,
        what: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
        hash: parsed(row, 6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn db() -> Db {
        let mut db = Db::in_memory().unwrap();
        for nth in 1..=3 {
            let at = Timestamp::from_second(nth).unwrap();
            db.write(|tx| append(tx, at, "anna", "pause", &format!("rollout {nth}"), "")).unwrap();
        }
        db
    }

    #[test]
    fn an_untouched_chain_fits() {
        let db = db();
        let chain = db.check_deeds().unwrap();
        assert_eq!((chain.rows, chain.broken_at), (3, None));
        assert_eq!(db.deeds(2).unwrap().iter().map(|deed| deed.number).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(chain.head, db.deeds(1).unwrap()[0].hash);
    }

    #[test]
    fn a_row_that_was_changed_or_taken_out_is_found() {
        for (meddle, broken_at) in [
            ("UPDATE audit SET who = 'bert' WHERE id = 2", 2),
            ("UPDATE audit SET at = at + 1 WHERE id = 1", 1),
            ("DELETE FROM audit WHERE id = 2", 3),
            ("UPDATE audit SET what = 'paus', subject = 'e' || subject WHERE id = 3", 3),
        ] {
            let mut db = db();
            db.write(|tx| tx.execute(meddle, []).map_err(DbError::from)).unwrap();
            assert_eq!(db.check_deeds().unwrap().broken_at, Some(broken_at), "{meddle}");
        }
    }
}

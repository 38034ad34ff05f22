//! Findings, and what somebody says about them.

use super::LedgerFilter;
use crate::db::columns::{At, count, json, maybe_json, parsed, time, uncount};
use crate::db::{Db, DbError};
use crate::ledger::{Finding, Review, reviewer};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use rusqlite::{OptionalExtension as _, Row, params};

/// What an operator says about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The proposal counts.
    Accept,
    /// So much counts.
    Correct {
        /// In the counter's unit.
        pages: u64,
    },
    /// What was counted already is all.
    Reject,
}

/// A count that is back where it was settles what was found since then.
macro_rules! settled {
    () => {
        "EXISTS (SELECT 1 FROM ledger_finding s WHERE s.device = f.device AND s.ledger = f.ledger AND s.name = f.name
             AND s.class = 'returned' AND NOT s.review AND s.sequence > f.sequence
             AND json_extract(s.body, '$.from.entry') < f.sequence)"
    };
}

/// A finding that waits for somebody.
pub(super) const OPEN: &str = concat!(
    "(f.review AND NOT EXISTS (SELECT 1 FROM ledger_review r WHERE r.finding = f.id) AND NOT ",
    settled!(),
    ")"
);

pub(super) const FINDINGS: &str = concat!(
    "SELECT f.id, f.agent, d.vendor, d.model, d.serial, f.name, f.unit, f.sequence, f.at, f.body,
         (SELECT json_object('verdict', r.verdict, 'pages', r.pages, 'operator', r.operator, 'reason', r.reason,
                             'at', r.at)
          FROM ledger_review r WHERE r.finding = f.id ORDER BY r.id DESC LIMIT 1), ",
    settled!(),
    " FROM ledger_finding f JOIN device d ON d.id = f.device JOIN appliance a ON a.agent = f.agent"
);

/// A review as SQLite puts it together.
#[derive(serde::Deserialize)]
struct Said {
    verdict: String,
    pages: i64,
    operator: String,
    reason: String,
    at: i64,
}

pub(super) fn finding(row: &Row<'_>) -> rusqlite::Result<Finding> {
    let found: mailfmt::message::ledger::LedgerFinding = json(row, 9)?;
    let said: Option<Said> = maybe_json(row, 10)?;
    Ok(Finding {
        id: row.get(0)?,
        agent: parsed(row, 1)?,
        device: DeviceId { vendor: row.get(2)?, model: row.get(3)?, serial: row.get(4)? },
        name: row.get(5)?,
        unit: row.get(6)?,
        sequence: uncount(row.get(7)?),
        at: time(row, 8)?,
        settled: row.get(11)?,
        review_by: found.review.then(|| reviewer(&found.class)),
        found,
        review: said.map(|said| Review {
            verdict: said.verdict,
            pages: uncount(said.pages),
            operator: said.operator,
            reason: said.reason,
            at: Timestamp::from_millisecond(said.at).unwrap_or(Timestamp::MIN),
        }),
    })
}

impl Db {
    /// Findings, oldest first: those that wait for somebody, or all.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn ledger_findings(&self, filter: &LedgerFilter, all: bool) -> Result<Vec<Finding>, DbError> {
        let mut statement = self.read().prepare_cached(&format!(
            "{FINDINGS} WHERE (?1 IS NULL OR f.agent = ?1) AND (?2 IS NULL OR a.customer = ?2)
               AND (?3 IS NULL OR d.serial = ?3)
               AND (?4 OR {OPEN}) ORDER BY f.id"
        ))?;
        let rows = statement.query_map(
            params![filter.agent.as_ref().map(AgentId::as_str), filter.customer, filter.serial, all],
            finding,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes down what somebody says about a finding; what was said before stays. Gives what counts for that step now.
    ///
    /// # Errors
    /// [`DbError::NoSuchFinding`], [`DbError::NothingProposed`] or [`DbError::Sql`].
    pub fn review_finding(
        &mut self,
        number: i64,
        word: &Word,
        operator: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Finding, u64), DbError> {
        self.write(|transaction| {
            let known = transaction
                .prepare_cached(&format!("{FINDINGS} WHERE f.id = ?1"))?
                .query_row([number], finding)
                .optional()?
                .ok_or(DbError::NoSuchFinding { number })?;
            let (verdict, pages) = match word {
                Word::Accept => {
                    ("accepted", known.found.proposed.ok_or(DbError::NothingProposed { number })?)
                }
                Word::Correct { pages } => ("corrected", *pages),
                Word::Reject => ("rejected", known.found.sure),
            };
            transaction
                .prepare_cached(
                    "INSERT INTO ledger_review (finding, verdict, pages, operator, reason, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![number, verdict, count(pages), plain(operator), plain(reason), At(now)])?;
            Ok((known, pages))
        })
    }

    /// Everything that was said about a finding, oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn reviews_of(&self, number: i64) -> Result<Vec<Review>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT verdict, pages, operator, reason, at FROM ledger_review WHERE finding = ?1 ORDER BY id",
        )?;
        let rows = statement.query_map([number], |row| {
            Ok(Review {
                verdict: row.get(0)?,
                pages: uncount(row.get(1)?),
                operator: row.get(2)?,
                reason: row.get(3)?,
                at: time(row, 4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

//! Codes as a person looks at them; never with the code itself.

use crate::db::columns::{json, maybe_parsed, maybe_time, parsed, time, uncount};
use crate::db::{Db, DbError};
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::enrolment::CodeId;
use rusqlite::Row;

/// How a code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeState {
    /// It lets appliances in.
    Open,
    /// It has let in as many as it may.
    UsedUp,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl CodeState {
    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// One code.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CodeLine {
    /// Its public name.
    pub id: CodeId,
    /// How it stands.
    pub state: CodeState,
    /// For whom.
    pub customer: String,
    /// The tags that its appliances get.
    pub tags: Vec<String>,
    /// The appliance whose id and history the enrolled box takes over.
    pub replaces: Option<AgentId>,
    /// When it was issued.
    pub issued: Timestamp,
    /// Who issued it.
    pub issued_by: String,
    /// After this it lets nobody in.
    pub expires: Timestamp,
    /// How many appliances it lets in.
    pub uses: u32,
    /// How many more it lets in; zero when it ended.
    pub uses_left: u32,
    /// The appliances that it let in, in order of time.
    pub agents: Vec<AgentId>,
    /// Attempts that were not answered.
    pub refused: u64,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: String,
}

/// One exchange under a code.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExchangeLine {
    /// When its hello came.
    pub begun: Timestamp,
    /// The mail address that is answered to.
    pub address: String,
    /// Answers so far, repeated ones included.
    pub answers: u32,
    /// When its registration was accepted.
    pub registered: Option<Timestamp>,
    /// The appliance that it became.
    pub agent: Option<AgentId>,
    /// When that was first heard under its formal credential.
    pub confirmed: Option<Timestamp>,
}

/// Attempts that were not answered, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AttemptLine {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// What is known of the last one: the address that it wanted the answer at, or why it could not be opened.
    pub detail: String,
}

impl Db {
    /// Codes in the order in which they were issued: the open ones, or all.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn codes(&self, all: bool, now: Timestamp) -> Result<Vec<CodeLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, customer, tags, replaces, issued, issued_by, expires, uses, used, revoked, revoked_by,
                    (SELECT ifnull(sum(count), 0) FROM enrolment_attempt t WHERE t.code = c.id),
                    (SELECT group_concat(agent, ' ') FROM (SELECT agent FROM enrolment_exchange x
                         WHERE x.code = c.id AND agent IS NOT NULL ORDER BY registered))
             FROM enrolment_code c ORDER BY issued, customer, id",
        )?;
        let rows = statement.query_map([], |row| code_line(row, now))?;
        let mut codes = rows.collect::<Result<Vec<_>, _>>()?;
        codes.retain(|code| all || code.state == CodeState::Open);
        Ok(codes)
    }

    /// The code whose id begins like this.
    ///
    /// # Errors
    /// [`DbError::NoSuchCode`] when there is none, or more than one; [`DbError::Sql`].
    pub fn code(&self, beginning: &str, now: Timestamp) -> Result<CodeLine, DbError> {
        let mut found = self.codes(true, now)?;
        found.retain(|code| code.id.to_string().starts_with(beginning));
        match (found.pop(), found.is_empty()) {
            (Some(code), true) => Ok(code),
            _ => Err(DbError::NoSuchCode { code: beginning.chars().take(40).collect() }),
        }
    }

    /// The exchanges under a code, oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn exchanges(&self, code: &CodeId) -> Result<Vec<ExchangeLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT begun, address, answers, registered, agent, confirmed FROM enrolment_exchange
             WHERE code = ?1 ORDER BY id",
        )?;
        let rows = statement.query_map([code.to_string()], |row| {
            Ok(ExchangeLine {
                begun: time(row, 0)?,
                address: row.get(1)?,
                answers: row.get(2)?,
                registered: maybe_time(row, 3)?,
                agent: maybe_parsed(row, 4)?,
                confirmed: maybe_time(row, 5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Attempts under a code that were not answered; `None` for those under ids that never were a code.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn enrolment_attempts(&self, code: Option<&CodeId>) -> Result<Vec<AttemptLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT reason, count, first, last, detail FROM enrolment_attempt WHERE code = ?1 ORDER BY last",
        )?;
        let code = code.map(ToString::to_string).unwrap_or_default();
        let rows = statement.query_map([code], |row| {
            Ok(AttemptLine {
                reason: row.get(0)?,
                count: uncount(row.get(1)?),
                first: time(row, 2)?,
                last: time(row, 3)?,
                detail: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn code_line(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<CodeLine> {
    let (expires, uses, used) = (time(row, 6)?, row.get::<_, u32>(7)?, row.get::<_, u32>(8)?);
    let revoked = maybe_time(row, 9)?;
    let state = if revoked.is_some() {
        CodeState::Revoked
    } else if used >= uses {
        CodeState::UsedUp
    } else if expires < now {
        CodeState::Expired
    } else {
        CodeState::Open
    };
    let agents: Option<String> = row.get(12)?;
    Ok(CodeLine {
        id: parsed(row, 0)?,
        state,
        customer: row.get(1)?,
        tags: json(row, 2)?,
        replaces: maybe_parsed(row, 3)?,
        issued: time(row, 4)?,
        issued_by: row.get(5)?,
        expires,
        uses,
        uses_left: if state == CodeState::Open { uses.saturating_sub(used) } else { 0 },
        agents: agents
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|agent| AgentId::new(agent).ok())
            .collect(),
        refused: uncount(row.get(11)?),
        revoked,
        revoked_by: row.get(10)?,
    })
}

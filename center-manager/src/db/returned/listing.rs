//! What came back, as rows for a person.

use super::super::columns::{At, Id, maybe_parsed, parsed, time, uncount};
use super::super::{Db, DbError};
use crate::returned::next_command;
use jiff::{SignedDuration, Timestamp};
use mailfmt::mail::returned::{Cause, Kind};
use mailfmt::{AgentId, MessageId};
use rusqlite::{OptionalExtension as _, params};

/// For so long an automatic answer is a hint that somebody's auto-responder is on.
const HINT_LASTS: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Which returned mails are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnedFilter {
    /// Of one appliance only.
    pub agent: Option<AgentId>,
    /// Of one kind only.
    pub kind: Option<Kind>,
    /// Of one cause only.
    pub cause: Option<Cause>,
    /// At most so many, the newest ones.
    pub last: u32,
}

/// One mail that came back, for one appliance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReturnedLine {
    /// Its number.
    pub number: i64,
    /// When it was filed.
    pub at: Timestamp,
    /// What it is, a word of [`Kind`].
    pub kind: String,
    /// Why our mail did not arrive, a word of [`Cause`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The appliance that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The message of ours that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The kind of that message, as long as it is in the outbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_kind: Option<String>,
    /// The address that it names.
    pub recipient: String,
    /// Who says that he wrote it.
    pub sender: String,
    /// The mail system's words.
    pub words: String,
    /// By what it was attributed.
    pub known_by: String,
    /// What followed.
    pub effect: String,
    /// The command to type next.
    pub next: String,
}

/// Somebody's auto-responder answers our mails.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AutoResponder {
    /// Automatic answers of the last two weeks, as far as they are kept.
    pub answers: u64,
    /// When the last one came.
    pub last: Timestamp,
    /// Its subject.
    pub subject: String,
}

impl Db {
    /// What came back, newest last.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn returned(&self, filter: &ReturnedFilter) -> Result<Vec<ReturnedLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT r.id, r.at, r.kind, r.cause, r.agent, r.message, o.kind, r.recipient, r.sender, r.words, r.known_by, r.effect
             FROM returned r LEFT JOIN outbox o ON o.message = r.message
             WHERE (?1 IS NULL OR r.agent = ?1) AND (?2 IS NULL OR r.kind = ?2) AND (?3 IS NULL OR r.cause = ?3)
             ORDER BY r.id DESC LIMIT ?4",
        )?;
        let agent = filter.agent.as_ref().map(AgentId::as_str);
        let (kind, cause) = (filter.kind.map(Kind::as_str), filter.cause.map(Cause::as_str));
        let rows = statement.query_map(params![agent, kind, cause, filter.last], |row| {
            let (kind, cause): (Kind, Option<Cause>) = (parsed(row, 2)?, maybe_parsed(row, 3)?);
            let agent: Option<AgentId> = maybe_parsed(row, 4)?;
            Ok(ReturnedLine {
                number: row.get(0)?,
                at: time(row, 1)?,
                kind: kind.to_string(),
                cause: cause.map(|cause| cause.to_string()),
                next: next_command(kind, cause, agent.as_ref().map(AgentId::as_str)),
                agent,
                message: row.get::<_, Option<Id>>(5)?.map(Id::message),
                message_kind: row.get(6)?,
                recipient: row.get(7)?,
                sender: row.get(8)?,
                words: row.get(9)?,
                known_by: row.get(10)?,
                effect: row.get(11)?,
            })
        })?;
        let mut lines = rows.collect::<Result<Vec<_>, _>>()?;
        lines.reverse();
        Ok(lines)
    }

    /// Whether somebody's auto-responder answers our mails to an appliance.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn auto_responder(&self, agent: &AgentId, now: Timestamp) -> Result<Option<AutoResponder>, DbError> {
        let since = now.checked_sub(HINT_LASTS).unwrap_or(Timestamp::MIN);
        let mut statement = self.read().prepare_cached(
            "SELECT (SELECT count(*) FROM returned WHERE agent = ?1 AND kind = ?2 AND at >= ?3), at, words
             FROM returned WHERE agent = ?1 AND kind = ?2 AND at >= ?3 ORDER BY id DESC LIMIT 1",
        )?;
        let found =
            statement.query_row(params![agent.as_str(), Kind::AutoReply.as_str(), At(since)], |row| {
                Ok(AutoResponder { answers: uncount(row.get(0)?), last: time(row, 1)?, subject: row.get(2)? })
            });
        Ok(found.optional()?)
    }
}

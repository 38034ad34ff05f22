//! In which form mails get through to each appliance, and what gateways did to those that did not.

use super::columns::{At, Id, maybe_time, time, uncount};
use super::outbox::OutboxId;
use super::{Db, DbError};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::mail::{Form, Mangling, Sign, Tried, Way};
use mailfmt::{AgentId, MessageId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::BTreeMap;

/// Kinds of mangling that one health report may tell of.
const KINDS_MAX: usize = 16;

/// Mails of one appliance of which a gateway left no message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MangledMails {
    /// Whether they were on their way to the appliance, which told of them; else they came here in its name.
    pub to_appliance: bool,
    /// What was done to them.
    pub how: String,
    /// How many.
    pub count: u64,
    /// When it was last noticed.
    pub last: Timestamp,
}

/// Columns of a way, from this one on; without its reason.
pub(super) fn read_way(row: &Row<'_>, from: usize) -> rusqlite::Result<Way> {
    let form: Option<String> = row.get(from)?;
    Ok(Way {
        form: Form::from_word(&form.unwrap_or_default()),
        since: maybe_time(row, from.saturating_add(1))?,
        reason: String::new(),
        probe: maybe_time(row, from.saturating_add(2))?,
        proven: maybe_time(row, from.saturating_add(3))?,
    })
}

/// Columns of what was tried, from this one on.
pub(super) fn read_tried(row: &Row<'_>, from: usize) -> rusqlite::Result<Tried> {
    let last: Option<String> = row.get(from.saturating_add(2))?;
    Ok(Tried {
        opaque: row.get(from)?,
        armoured: row.get(from.saturating_add(1))?,
        last: Form::from_word(&last.unwrap_or_default()),
    })
}

fn way(connection: &Connection, agent: &AgentId) -> Result<Way, DbError> {
    let found = connection
        .prepare_cached("SELECT form, since, probe, proven, reason FROM way WHERE agent = ?1")?
        .query_row([agent.as_str()], |row| Ok(Way { reason: row.get(4)?, ..read_way(row, 0)? }))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Takes a sign about the way to an appliance into account. When only armoured text gets through from now on, what went out
/// with an attachment and was not answered goes out again. True if that is news.
pub(super) fn learn(
    transaction: &Connection,
    agent: &AgentId,
    sign: &Sign<'_>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let Some(learned) = way(transaction, agent)?.learn(sign, now) else { return Ok(false) };
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO way (agent, form, since, reason, probe, proven) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            agent.as_str(),
            learned.form.as_str(),
            learned.since.map(At),
            plain(&learned.reason),
            learned.probe.map(At),
            learned.proven.map(At),
        ])?;
    let is_news = learned.since == Some(now);
    if is_news {
        tracing::warn!(%agent, reason = learned.reason, "mails to it go out as {} from now on", learned.form);
    }
    if is_news && learned.form == Form::Armoured {
        transaction
            .prepare_cached(
                "UPDATE outbox_recipient SET state = 'queued', next_try = ?2, changed = ?2
                 WHERE agent = ?1 AND state IN ('accepted', 'delayed') AND sent_form = ?3
                   AND outbox IN (SELECT id FROM outbox WHERE family = 'command' AND expires >= ?2)",
            )?
            .execute(params![agent.as_str(), At(now), Form::Opaque.as_str()])?;
    }
    Ok(is_news)
}

/// An authentic report refers to a message of ours: it got there as it was sent last.
pub(super) fn arrived(
    transaction: &Connection,
    message: &MessageId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    let tried = transaction
        .prepare_cached(
            "SELECT sent_opaque, sent_armoured, sent_form FROM outbox_recipient
             WHERE outbox = (SELECT id FROM outbox WHERE message = ?1) AND agent = ?2 AND state <> 'answered'",
        )?
        .query_row(params![Id::of(message), agent.as_str()], |row| read_tried(row, 0))
        .optional()?;
    if let Some(tried) = tried {
        learn(transaction, agent, &Sign::Arrived(tried), now)?;
    }
    Ok(())
}

/// Notes what an appliance tells of mails that came to it mangled.
pub(super) fn told(
    transaction: &Connection,
    agent: &AgentId,
    mangled: &BTreeMap<String, u32>,
    now: Timestamp,
) -> Result<(), DbError> {
    for (how, mails) in mangled.iter().take(KINDS_MAX) {
        count(transaction, agent, "to", &plain(how).chars().take(64).collect::<String>(), *mails, now)?;
        if let Some(how) = Mangling::ALL.into_iter().find(|known| known.as_str() == how) {
            learn(transaction, agent, &Sign::Mangled(how), now)?;
        }
    }
    Ok(())
}

/// Notes a mail that came mangled from this address, if one appliance has it. Not authenticated: all that it brings is
/// the larger form.
pub(super) fn came_mangled(
    transaction: &Connection,
    from: Option<&str>,
    how: Mangling,
    now: Timestamp,
) -> Result<(), DbError> {
    let agents: Vec<AgentId> = transaction
        .prepare_cached(
            "SELECT agent FROM appliance WHERE lower(address) = lower(?1) AND state <> 'removed' LIMIT 2",
        )?
        .query_map([from], |row| super::columns::parsed(row, 0))?
        .collect::<Result<_, _>>()?;
    if let [agent] = agents.as_slice() {
        count(transaction, agent, "from", how.as_str(), 1, now)?;
        learn(transaction, agent, &Sign::Mangled(how), now)?;
    }
    Ok(())
}

fn count(
    transaction: &Connection,
    agent: &AgentId,
    direction: &str,
    how: &str,
    mails: u32,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "INSERT INTO mangled (agent, direction, how, count, last) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (agent, direction, how) DO UPDATE SET count = count + excluded.count, last = excluded.last",
        )?
        .execute(params![agent.as_str(), direction, how, mails, At(now)])?;
    Ok(())
}

impl Db {
    /// What is known of the way to an appliance.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn way(&self, agent: &AgentId) -> Result<Way, DbError> {
        way(self.read(), agent)
    }

    /// Whether armoured text is what gets through to one of the recipients of a message.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn is_armoured(&self, outbox: OutboxId) -> Result<bool, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT 1 FROM outbox_recipient r JOIN way w ON w.agent = r.agent WHERE r.outbox = ?1 AND w.form = ?2",
        )?;
        Ok(statement.exists(params![outbox.0, Form::Armoured.as_str()])?)
    }

    /// Mails of an appliance of which gateways left no message.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn mangled(&self, agent: &AgentId) -> Result<Vec<MangledMails>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT direction = 'to', how, count, last FROM mangled WHERE agent = ?1 ORDER BY direction, how",
        )?;
        let rows = statement.query_map([agent.as_str()], |row| {
            Ok(MangledMails {
                to_appliance: row.get(0)?,
                how: row.get(1)?,
                count: uncount(row.get(2)?),
                last: time(row, 3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes in which form messages were taken by our mail server.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_forms(&mut self, taken: &[(OutboxId, AgentId, Form)], now: Timestamp) -> Result<(), DbError> {
        if taken.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            for (outbox, agent, form) in taken {
                let column = match form {
                    Form::Opaque => "sent_opaque",
                    Form::Armoured => "sent_armoured",
                };
                transaction
                    .prepare_cached(&format!(
                        "UPDATE outbox_recipient SET {column} = {column} + 1, sent_form = ?3
                         WHERE outbox = ?1 AND agent = ?2"
                    ))?
                    .execute(params![outbox.0, agent.as_str(), form.as_str()])?;
                let known = way(transaction, agent)?;
                if *form == Form::Opaque && known.is_probe_due(now) {
                    learn(transaction, agent, &Sign::Probed, now)?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;

//! What happened in a rollout as a whole: its newest events, how it came on over time, and where its targets came from.

use super::columns::{At, maybe_time, parsed, time};
use super::{Db, DbError};
use crate::report::Turn;
use crate::rollout::RolloutId;
use jiff::Timestamp;
use mailfmt::{AgentId, SoftwareVersion};
use rusqlite::params;
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that happened to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, by the center's clock.
    pub at: Timestamp,
    /// To whom.
    pub agent: AgentId,
    /// What happened, as one word.
    pub what: String,
    /// More about it; may be empty.
    pub detail: String,
}

/// Changes with everything that can change how a rollout stands; cheap to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    newest_event: i64,
    finished: Option<Timestamp>,
    stand: String,
    targets: u32,
}

impl Db {
    /// The newest events of a rollout, the newest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollout_events(&self, id: RolloutId, newest: u32) -> Result<Vec<Event>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT at, agent, what, detail FROM rollout_event WHERE rollout = ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let rows = statement.query_map(params![id.0, newest], |row| {
            Ok(Event { at: time(row, 0)?, agent: parsed(row, 1)?, what: row.get(2)?, detail: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether anything of a rollout changed: two pulses that are the same say that nothing did.
    ///
    /// # Errors
    /// [`DbError::NoSuchRollout`] or [`DbError::Sql`].
    pub fn rollout_pulse(&self, id: RolloutId) -> Result<Pulse, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT ifnull((SELECT max(id) FROM rollout_event WHERE rollout = ?1), 0), finished, ifnull(stand, ''),
                    (SELECT count(*) FROM rollout_target WHERE rollout = ?1)
             FROM rollout WHERE id = ?1",
        )?;
        let pulse = statement.query_row([id.0], |row| {
            Ok(Pulse {
                newest_event: row.get(0)?,
                finished: maybe_time(row, 1)?,
                stand: row.get(2)?,
                targets: row.get(3)?,
            })
        });
        match pulse {
            Err(rusqlite::Error::QueryReturnedNoRows) => Err(DbError::NoSuchRollout { number: id.0 }),
            pulse => Ok(pulse?),
        }
    }

    /// The turns that the targets of a rollout took, oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollout_turns(&self, id: RolloutId) -> Result<Vec<(Timestamp, AgentId, Turn)>, DbError> {
        let mut statement = self
            .read()
            .prepare_cached("SELECT at, agent, what FROM rollout_event WHERE rollout = ?1 ORDER BY id")?;
        let mut rows = statement.query([id.0])?;
        let mut turns = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(turn) = Turn::of(row.get_ref(2)?.as_str().unwrap_or_default()) {
                turns.push((time(row, 0)?, parsed(row, 1)?, turn));
            }
        }
        Ok(turns)
    }

    /// What the targets of a rollout ran before it began, by their last version report until then; those that had told
    /// nothing are left out.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn versions_before(
        &self,
        id: RolloutId,
        started: Timestamp,
    ) -> Result<BTreeMap<AgentId, SoftwareVersion>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, (SELECT body FROM report WHERE report.agent = rollout_target.agent
                               AND kind = 'version-report' AND received <= ?2 ORDER BY number DESC LIMIT 1)
             FROM rollout_target WHERE rollout = ?1",
        )?;
        let mut rows = statement.query(params![id.0, At(started)])?;
        let mut before = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let version =
                row.get_ref(1)?.as_str_or_null().ok().flatten().and_then(super::evidence::version_of);
            if let Some(version) = version {
                before.insert(parsed(row, 0)?, version);
            }
        }
        Ok(before)
    }
}

#[cfg(test)]
mod tests;

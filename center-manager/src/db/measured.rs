//! How long updates took, per package and version before.

use super::DbError;
use crate::rollout::{RolloutId, settling};
use jiff::SignedDuration;
use mailfmt::AgentId;
use mailfmt::package::PackageId;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;

/// So many measured times are looked at, those of the newest rollouts.
const LOOKED_AT: i64 = 20_000;

/// What was learned of one package, asked for once per version before.
pub(crate) struct Learned {
    package: PackageId,
    by_version: BTreeMap<String, Option<SignedDuration>>,
}

impl Learned {
    /// Of that package.
    pub(crate) fn new(package: PackageId) -> Self {
        Self { package, by_version: BTreeMap::new() }
    }

    /// How long the update of this appliance probably takes; `None` while too few were measured. Notes the version that it
    /// starts from, for its own time.
    pub(crate) fn settle(
        &mut self,
        transaction: &Connection,
        rollout: RolloutId,
        agent: &AgentId,
    ) -> Result<Option<SignedDuration>, DbError> {
        let from: Option<String> = transaction
            .prepare_cached("SELECT ifnull(software, '') FROM appliance WHERE agent = ?1")?
            .query_row([agent.as_str()], |row| row.get(0))
            .optional()?;
        let from = from.unwrap_or_default();
        transaction
            .prepare_cached(
                "INSERT INTO settling (rollout, agent, package, from_version) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (rollout, agent) DO UPDATE SET package = excluded.package, from_version = excluded.from_version
                 WHERE took_secs IS NULL",
            )?
            .execute(params![rollout.0, agent.as_str(), self.package.to_string(), from])?;
        if let Some(known) = self.by_version.get(&from) {
            return Ok(*known);
        }
        let learned = settling::learned(&times(transaction, &self.package, &from)?);
        self.by_version.insert(from, learned);
        Ok(learned)
    }
}

/// The measured times of a package from one version, in seconds, the newest rollouts first.
fn times(connection: &Connection, package: &PackageId, from: &str) -> Result<Vec<u32>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT took_secs FROM settling WHERE package = ?1 AND from_version = ?2 AND took_secs IS NOT NULL
         ORDER BY rollout DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(params![package.to_string(), from, LOOKED_AT], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An update was verified; it took so long. The first time counts.
pub(crate) fn took(
    transaction: &Connection,
    rollout: RolloutId,
    agent: &AgentId,
    took: SignedDuration,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE settling SET took_secs = ?3 WHERE rollout = ?1 AND agent = ?2 AND took_secs IS NULL",
        )?
        .execute(params![rollout.0, agent.as_str(), took.as_secs()])?;
    Ok(())
}

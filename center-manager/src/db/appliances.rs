//! Appliances: who they are, what they run, and the secret shared with each.

use super::columns::{At, Id, maybe_parsed, maybe_time, parsed, time, uncount};
use super::{Db, DbError};
use crate::selection::Selection;
use jiff::Timestamp;
use mailfmt::crypto::Credential;
use mailfmt::{AgentId, Digest, ModuleName, Nonce, SoftwareVersion, VersionReport};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::{BTreeMap, BTreeSet};

/// A new appliance.
#[derive(Debug, Clone)]
pub struct NewAppliance {
    /// Its id; never used before.
    pub agent: AgentId,
    /// Its mail address.
    pub address: String,
    /// Customer or other remarks.
    pub customer: String,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// The secret shared with it.
    pub credential: Credential,
}

/// What the center knows of an appliance; never its credential.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Appliance {
    /// Its id.
    pub agent: AgentId,
    /// Its mail address.
    pub address: String,
    /// Customer or other remarks.
    pub customer: String,
    /// Words to select it by, in order.
    pub tags: Vec<String>,
    /// Whether it has been heard of yet.
    pub state: ApplianceState,
    /// When it was added.
    pub added: Timestamp,
    /// When its last authentic report was filed.
    pub last_heard: Option<Timestamp>,
    /// The software version of its last version report.
    pub software: Option<SoftwareVersion>,
    /// When that report was filed.
    pub version_checked: Option<Timestamp>,
    /// The request that it answered.
    pub version_nonce: Option<Nonce>,
    /// Hardware class, such as `x86_64`; empty when not known.
    pub hardware: String,
    /// Since when and why it is suspended.
    pub suspension: Option<Suspension>,
}

/// An appliance is suspended: what it reports is neither filed nor answered, and nothing is sent to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
    /// Authentic mails that were turned away.
    pub turned_away: u64,
    /// When the last one came.
    pub last: Option<Timestamp>,
}

/// Where an appliance stands in its life with this center.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplianceState {
    /// Added; nothing authentic came from it yet.
    Introduced,
    /// It reports.
    Active,
    /// Shut out by the operator until it is readmitted.
    Suspended,
    /// Removed; its credential is gone, its history stays.
    Removed,
}

impl ApplianceState {
    /// The word in tables and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Introduced => "introduced",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

impl std::fmt::Display for ApplianceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The last version report of an appliance in full.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownVersion {
    /// The table.
    pub table: VersionReport,
    /// SHA-256 of every module's file, read by the appliance for this report.
    pub hashes: BTreeMap<ModuleName, Digest>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The request that it answered.
    pub nonce: Option<Nonce>,
    /// When it was filed.
    pub checked: Timestamp,
}

const COLUMNS: &str = "a.agent, a.address, a.customer,
    (SELECT group_concat(tag, char(10)) FROM (SELECT tag FROM tag WHERE tag.agent = a.agent ORDER BY tag)),
    a.state, a.added, a.last_heard, a.software, a.version_checked, a.version_nonce, a.hardware,
    a.suspended, a.suspended_reason, a.turned_away, a.turned_away_last";

fn read_appliance(row: &Row<'_>) -> rusqlite::Result<Appliance> {
    let tags: Option<String> = row.get(3)?;
    let state: String = row.get(4)?;
    let suspension = match maybe_time(row, 11)? {
        Some(since) => Some(Suspension {
            since,
            reason: row.get(12)?,
            turned_away: uncount(row.get(13)?),
            last: maybe_time(row, 14)?,
        }),
        None => None,
    };
    Ok(Appliance {
        agent: parsed(row, 0)?,
        address: row.get(1)?,
        customer: row.get(2)?,
        tags: tags.map(|tags| tags.lines().map(ToOwned::to_owned).collect()).unwrap_or_default(),
        state: match state.as_str() {
            "removed" => ApplianceState::Removed,
            _ if suspension.is_some() => ApplianceState::Suspended,
            "active" => ApplianceState::Active,
            _ => ApplianceState::Introduced,
        },
        added: time(row, 5)?,
        last_heard: maybe_time(row, 6)?,
        software: maybe_parsed(row, 7)?,
        version_checked: maybe_time(row, 8)?,
        version_nonce: row.get::<_, Option<Id>>(9)?.map(|id| Nonce::from_bytes(id.0)),
        hardware: row.get(10)?,
        suspension,
    })
}

/// All appliances that were not removed, in order of their ids.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Appliance>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM appliance a WHERE a.state <> 'removed' ORDER BY a.agent"
    ))?;
    let rows = statement.query_map([], read_appliance)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One appliance that was not removed.
pub(crate) fn appliance(connection: &Connection, agent: &AgentId) -> Result<Appliance, DbError> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM appliance a WHERE a.agent = ?1 AND a.state <> 'removed'"
        ))?
        .query_row([agent.as_str()], read_appliance)
        .optional()?
        .ok_or_else(|| DbError::NoSuchAppliance { agent: agent.clone() })
}

impl Db {
    /// Adds appliances: all of them, or none.
    ///
    /// # Errors
    /// [`DbError::AgentTaken`] or [`DbError::Sql`].
    pub fn add_appliances(&mut self, appliances: &[NewAppliance], now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            for new in appliances {
                let added = transaction
                    .prepare_cached(
                        "INSERT INTO appliance (agent, address, customer, credential, credential_since, added)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![
                        new.agent.as_str(),
                        new.address,
                        new.customer,
                        new.credential.expose().as_slice(),
                        At(now)
                    ])?;
                if added == 0 {
                    return Err(DbError::AgentTaken { agent: new.agent.clone() });
                }
                add_tags(transaction, &new.agent, &new.tags)?;
            }
            Ok(())
        })
    }

    /// One appliance that was not removed.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn appliance(&self, agent: &AgentId) -> Result<Appliance, DbError> {
        appliance(self.read(), agent)
    }

    /// All appliances that were not removed, in order of their ids.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn appliances(&self) -> Result<Vec<Appliance>, DbError> {
        all(self.read())
    }

    /// The appliances that are meant, in order of their ids.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] for an id that does not exist, or [`DbError::Sql`].
    pub fn select(&self, selection: &Selection) -> Result<Vec<Appliance>, DbError> {
        let mut all = self.appliances()?;
        let known: BTreeSet<&AgentId> = all.iter().map(|appliance| &appliance.agent).collect();
        if let Some(agent) = selection.agents.iter().find(|agent| !known.contains(agent)) {
            return Err(DbError::NoSuchAppliance { agent: agent.clone() });
        }
        all.retain(|appliance| selection.means(appliance));
        Ok(all)
    }

    /// The present credentials of all appliances that were not removed.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn credentials(&self) -> Result<Vec<(AgentId, Credential)>, DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT agent, credential FROM appliance WHERE state <> 'removed'")?;
        let rows = statement
            .query_map([], |row| Ok((parsed(row, 0)?, Credential::from_bytes(row.get::<_, [u8; 32]>(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes an appliance: its credential is wiped, what waits for it is not sent, its history and its id stay.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn remove_appliance(&mut self, agent: &AgentId, now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            let removed = transaction.execute(
                "UPDATE appliance SET state = 'removed', credential = NULL, credential_before = NULL
                 WHERE agent = ?1 AND state <> 'removed'",
                [agent.as_str()],
            )?;
            if removed == 0 {
                return Err(DbError::NoSuchAppliance { agent: agent.clone() });
            }
            transaction.execute(
                "UPDATE outbox_recipient SET state = 'expired', changed = ?2, detail = 'appliance removed'
                 WHERE agent = ?1 AND state = 'queued'",
                params![agent.as_str(), At(now)],
            )?;
            super::rotations::end_all(transaction, agent, now)?;
            super::enrolment::end_pending(transaction, agent, now)?;
            super::rollouts::wake_all_of(transaction, agent, now)
        })
    }

    /// Adds and takes away tags.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn change_tags(&mut self, agent: &AgentId, add: &[String], take: &[String]) -> Result<(), DbError> {
        self.write(|transaction| {
            appliance(transaction, agent)?;
            add_tags(transaction, agent, add)?;
            for tag in take {
                transaction
                    .execute("DELETE FROM tag WHERE agent = ?1 AND tag = ?2", params![agent.as_str(), tag])?;
            }
            Ok(())
        })
    }

    /// Every agent id ever given, also to appliances that were removed.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn agent_ids_given(&self) -> Result<Vec<AgentId>, DbError> {
        let mut statement = self.read().prepare_cached("SELECT agent FROM appliance ORDER BY agent")?;
        let rows = statement.query_map([], |row| parsed(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last version report in full.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn known_version(&self, agent: &AgentId) -> Result<Option<KnownVersion>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT version_table, version_hashes, boot_id, version_nonce, version_checked FROM appliance
             WHERE agent = ?1 AND version_table IS NOT NULL",
        )?;
        let known = statement.query_row([agent.as_str()], |row| {
            let table: String = row.get(0)?;
            Ok(KnownVersion {
                table: VersionReport::try_from(table).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
                })?,
                hashes: super::columns::json(row, 1)?,
                boot_id: row.get(2)?,
                nonce: row.get::<_, Option<Id>>(3)?.map(|id| Nonce::from_bytes(id.0)),
                checked: time(row, 4)?,
            })
        });
        Ok(known.optional()?)
    }

    /// The version of the root that each appliance told to trust, in order of their ids; `None` where none was told yet.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn root_versions(&self) -> Result<Vec<(AgentId, Option<u64>)>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, json_extract(health, '$.standing.root_version') FROM appliance
             WHERE state <> 'removed' ORDER BY agent",
        )?;
        let rows = statement
            .query_map([], |row| Ok((parsed(row, 0)?, row.get::<_, Option<i64>>(1)?.map(uncount))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last health report.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn health(
        &self,
        agent: &AgentId,
    ) -> Result<Option<(Timestamp, mailfmt::message::report::HealthReport)>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT health_at, health FROM appliance WHERE agent = ?1 AND health IS NOT NULL",
        )?;
        let health = statement
            .query_row([agent.as_str()], |row| Ok((time(row, 0)?, super::columns::json(row, 1)?)))
            .optional()?;
        Ok(health)
    }

    /// The greatest sequence number sent to and received from an appliance.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn sequences(&self, agent: &AgentId) -> Result<(u64, u64), DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT sequence_out, sequence_in FROM appliance WHERE agent = ?1")?;
        statement
            .query_row([agent.as_str()], |row| Ok((uncount(row.get(0)?), uncount(row.get(1)?))))
            .optional()?
            .ok_or_else(|| DbError::NoSuchAppliance { agent: agent.clone() })
    }
}

pub(super) fn add_tags(transaction: &Connection, agent: &AgentId, tags: &[String]) -> Result<(), DbError> {
    let mut insert =
        transaction.prepare_cached("INSERT INTO tag (agent, tag) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for tag in tags {
        insert.execute(params![agent.as_str(), tag])?;
    }
    Ok(())
}

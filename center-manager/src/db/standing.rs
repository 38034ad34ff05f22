//! Where an appliance stands: heard, suspended, readmitted, moved; and the keys that it may use.

use super::appliances::{add_tags, appliance};
use super::columns::{At, count, json, maybe_time, parsed, uncount};
use super::{Db, DbError};
use crate::intake::{ApplianceKeys, KeyStanding};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::crypto::Credential;
use mailfmt::lineage::{Fork, Lineage, Observation, Sighting};
use mailfmt::sequence::epoch_of;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// What an authentic report tells of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was introduced, and this is its first word.
    First,
    /// It lives, as before.
    Again,
    /// It was removed.
    Removed,
    /// It is suspended; its word is counted and thrown away.
    Suspended,
}

/// An authentic report came: the appliance lives, and its channel has come this far. Answers also whether its history
/// forks here. One that came before (not `is_new`) may be played back by anybody and says neither.
pub(super) fn heard(
    transaction: &Connection,
    agent: &AgentId,
    sighting: Sighting,
    is_new: bool,
    now: Timestamp,
) -> Result<(Heard, Option<Fork>), DbError> {
    let known = transaction
        .prepare_cached(
            "SELECT state, suspended IS NOT NULL, sequence_in, sequence_in_made, sequence_in_begins
             FROM appliance WHERE agent = ?1",
        )?
        .query_row([agent.as_str()], |row| {
            let state: String = row.get(0)?;
            let highest = Sighting {
                sequence: uncount(row.get(2)?),
                follows: None,
                begins: row.get::<_, Option<i64>>(4)?.map(uncount),
                created: maybe_time(row, 3)?.unwrap_or(Timestamp::UNIX_EPOCH),
            };
            Ok((state, row.get::<_, bool>(1)?, highest))
        })
        .optional()?;
    let Some((state, suspended, highest)) = known else { return Ok((Heard::Removed, None)) };
    if state == "removed" {
        return Ok((Heard::Removed, None));
    }
    if suspended {
        transaction
            .prepare_cached(
                "UPDATE appliance SET turned_away = turned_away + 1, turned_away_last = ?2 WHERE agent = ?1",
            )?
            .execute(params![agent.as_str(), At(now)])?;
        return Ok((Heard::Suspended, None));
    }
    if !is_new && state == "active" {
        return Ok((Heard::Again, None));
    }
    // A box that was put back within the second in which it began takes an epoch of the same name: what differs is the
    // number with which it began.
    let same_branch =
        epoch_of(highest.sequence) == epoch_of(sighting.sequence) && highest.begins == sighting.begins;
    // Only the first number of an epoch, or one of another branch, can tell something new.
    let fork = if highest.sequence > 0 && same_branch {
        None
    } else {
        observe(transaction, agent, sighting, highest)?
    };
    let made = if same_branch { highest.created.max(sighting.created) } else { sighting.created };
    let highest = if sighting.sequence > highest.sequence {
        Sighting { created: made, ..sighting }
    } else if same_branch {
        Sighting { created: made, ..highest }
    } else {
        highest
    };
    transaction
        .prepare_cached(
            "UPDATE appliance SET last_heard = ?2, sequence_in = ?3, sequence_in_made = ?4, sequence_in_begins = ?5,
                 state = 'active'
             WHERE agent = ?1",
        )?
        .execute(params![
            agent.as_str(),
            At(now),
            count(highest.sequence),
            At(highest.created),
            highest.begins.map(count)
        ])?;
    Ok((if state == "introduced" { Heard::First } else { Heard::Again }, fork))
}

/// The slow way: what is kept of the history is brought up to date, and takes the new message in.
fn observe(
    transaction: &Connection,
    agent: &AgentId,
    sighting: Sighting,
    highest: Sighting,
) -> Result<Option<Fork>, DbError> {
    let mut lineage: Lineage = transaction
        .prepare_cached("SELECT lineage FROM appliance WHERE agent = ?1 AND lineage IS NOT NULL")?
        .query_row([agent.as_str()], |row| json(row, 0))
        .optional()?
        .unwrap_or_default();
    if highest.sequence > 0 {
        lineage.observe(highest);
    }
    let fork = match lineage.observe(sighting) {
        Observation::Forked(fork) => Some(fork),
        Observation::Continues | Observation::NewEpoch => None,
    };
    transaction
        .prepare_cached("UPDATE appliance SET lineage = ?2 WHERE agent = ?1")?
        .execute(params![agent.as_str(), serde_json::to_string(&lineage).unwrap_or_default()])?;
    Ok(fork)
}

/// Shuts an appliance out. One that is suspended already keeps its time and gets the new reason.
pub(super) fn suspend(
    transaction: &Connection,
    agent: &AgentId,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let found = transaction
        .prepare_cached(
            "UPDATE appliance SET suspended = ifnull(suspended, ?2), suspended_reason = ?3
             WHERE agent = ?1 AND state <> 'removed'",
        )?
        .execute(params![agent.as_str(), At(now), plain(reason)])?;
    if found == 0 {
        return Err(DbError::NoSuchAppliance { agent: agent.clone() });
    }
    super::rollouts::wake_all_of(transaction, agent, now)
}

/// The history of an appliance's numbers and boots begins anew: a person has looked into it.
fn settle(transaction: &Connection, agent: &AgentId) -> Result<(), DbError> {
    let lineage: Option<Lineage> = transaction
        .prepare_cached("SELECT lineage FROM appliance WHERE agent = ?1 AND lineage IS NOT NULL")?
        .query_row([agent.as_str()], |row| json(row, 0))
        .optional()?;
    let settled = lineage.map(|mut lineage| {
        lineage.settle();
        serde_json::to_string(&lineage).unwrap_or_default()
    });
    transaction
        .prepare_cached("UPDATE appliance SET lineage = ?2, boots = NULL WHERE agent = ?1")?
        .execute(params![agent.as_str(), settled])?;
    Ok(())
}

/// A new mail address or customer of an appliance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Move {
    /// Where it is reached from now on.
    pub address: Option<String>,
    /// Whose it is from now on.
    pub customer: Option<String>,
    /// Tags that it gets.
    pub add_tags: Vec<String>,
}

impl Db {
    /// Shuts an appliance out: what it reports is neither filed nor answered, nothing is sent to it, and running rollouts
    /// leave it out.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn suspend_appliance(
        &mut self,
        agent: &AgentId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.write(|transaction| {
            // Nobody comes in by an admission that was given before.
            super::enrolment::end_pending(transaction, agent, now)?;
            suspend(transaction, agent, reason, now)
        })
    }

    /// Lets a suspended appliance in again; what it could not deliver comes by itself, since it got no receipt. Answers
    /// whether it was suspended.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn readmit_appliance(&mut self, agent: &AgentId, now: Timestamp) -> Result<bool, DbError> {
        self.write(|transaction| {
            let was = appliance(transaction, agent)?.suspension.is_some();
            transaction.execute(
                "UPDATE appliance SET suspended = NULL, suspended_reason = '', turned_away = 0, turned_away_last = NULL
                 WHERE agent = ?1",
                [agent.as_str()],
            )?;
            settle(transaction, agent)?;
            super::rollouts::wake_all_of(transaction, agent, now)?;
            Ok(was)
        })
    }

    /// Notes where an appliance is from now on; what waits for it goes to the new address.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn move_appliance(&mut self, agent: &AgentId, to: &Move) -> Result<(), DbError> {
        self.write(|transaction: &Transaction<'_>| {
            appliance(transaction, agent)?;
            transaction.execute(
                "UPDATE appliance SET address = ifnull(?2, address), customer = ifnull(?3, customer) WHERE agent = ?1",
                params![agent.as_str(), to.address, to.customer],
            )?;
            add_tags(transaction, agent, &to.add_tags)
        })
    }

    /// The keys that appliances may use: their present credentials, those before as long as they count, and those that were
    /// admitted and not heard yet.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn appliance_keys(&self) -> Result<Vec<ApplianceKeys>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, credential, credential_before, suspended IS NOT NULL FROM appliance
             WHERE state <> 'removed'",
        )?;
        let rows = statement.query_map([], |row| {
            let before = row.get::<_, Option<[u8; 32]>>(2)?.map(Credential::from_bytes);
            Ok(ApplianceKeys {
                agent: parsed(row, 0)?,
                present: Credential::from_bytes(row.get(1)?),
                others: before.map(|before| (KeyStanding::Before, before)).into_iter().collect(),
                suspended: row.get(3)?,
            })
        })?;
        let mut keys = rows.collect::<Result<Vec<_>, _>>()?;
        for pending in self.pending_credentials()? {
            if let Some(keys) = keys.iter_mut().find(|keys| keys.agent == pending.agent) {
                keys.others.push((KeyStanding::Admitted { exchange: pending.exchange }, pending.credential));
            }
        }
        Ok(keys)
    }

    /// Where the history of an appliance forks, as far as nobody has looked into it.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn forks(&self, agent: &AgentId) -> Result<Vec<Fork>, DbError> {
        let lineage: Option<Lineage> = self
            .read()
            .prepare_cached("SELECT lineage FROM appliance WHERE agent = ?1 AND lineage IS NOT NULL")?
            .query_row([agent.as_str()], |row| json(row, 0))
            .optional()?;
        Ok(lineage.map(|lineage| lineage.forks().to_vec()).unwrap_or_default())
    }
}

//! Epochs of message numbers: every process that puts messages into the outbox begins one with its first, so that numbers
//! are never given twice, also when the database was put back from a backup ([`mailfmt::sequence`]).

use super::alarms::{self, NewAlarm};
use super::columns::{At, count, uncount};
use super::{Db, DbError};
use crate::system::SystemRandom;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::sequence::{self, Origin};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The first number of the epoch in which numbers are given now. This connection's first call begins a new epoch; all
/// numbers of one transaction are of one epoch.
pub(super) fn first_number(transaction: &Connection, now: Timestamp) -> Result<u64, DbError> {
    // Lives as long as the connection, and is rolled back with the transaction.
    transaction.execute_batch("CREATE TEMP TABLE IF NOT EXISTS begun (epoch INTEGER NOT NULL)")?;
    let begun: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM temp.begun)")?
        .query_row([], |row| row.get(0))?;
    let newest: Option<(i64, Option<i64>)> = transaction
        .prepare_cached("SELECT epoch, begins FROM epoch ORDER BY epoch DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (newest, begins) = newest.unwrap_or((0, None));
    let newest = u32::try_from(newest).unwrap_or(0);
    if begun {
        // Another process may have begun a later one meanwhile.
        return Ok(begins.map_or(sequence::first_of(newest), uncount));
    }
    let epoch = sequence::new_epoch(now, newest);
    let begins = sequence::begin(epoch, &mut SystemRandom);
    transaction
        .prepare_cached(
            "INSERT INTO epoch (epoch, follows, began, begins) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![epoch, count(sequence::last_of(newest)), At(now), count(begins)])?;
    transaction.prepare_cached("INSERT INTO temp.begun (epoch) VALUES (?1)")?.execute([epoch])?;
    Ok(begins)
}

/// An appliance tells the highest number that it has seen of ours. One that we do not know to have given tells that the
/// database was put back from a backup: what was done since then is forgotten here, but not there.
pub(super) fn look_for_forgotten(
    transaction: &Connection,
    agent: &AgentId,
    seen: u64,
    now: Timestamp,
) -> Result<(), DbError> {
    let given: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT sequence_before, sequence_out FROM appliance WHERE agent = ?1")?
        .query_row([agent.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((before, out)) = given.map(|(before, out)| (uncount(before), uncount(out))) else {
        return Ok(());
    };
    let begins = origin(transaction, out)?.begins;
    let newest_epoch = begins.unwrap_or(sequence::first_of(sequence::epoch_of(out)))..=out;
    if seen <= before || newest_epoch.contains(&seen) || sequence::epoch_of(out) == 0 && seen <= out {
        return Ok(());
    }
    let description = format!(
        "{agent} has seen message {} of this center, which this center does not know to have sent: its database was put \
         back from a backup. Numbers are not used again, and nothing is done twice. But what was done since the backup is \
         forgotten here: rollouts, enrolled appliances, rotated credentials. Compare `appliance list` with what you know, \
         introduce again who is missing, and acknowledge this.",
        sequence::shown(seen)
    );
    let alarm = NewAlarm {
        agent: None,
        kind: "center-restored",
        subject: "",
        description: &description,
        since: now,
        reported: false,
    };
    alarms::raise(transaction, &alarm, now).map(drop)
}

fn origin(connection: &Connection, number: u64) -> Result<Origin, DbError> {
    let found: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT follows, begins FROM epoch WHERE epoch = ?1")?
        .query_row([sequence::epoch_of(number)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map_or_else(Origin::default, |(follows, begins)| Origin {
        follows: Some(uncount(follows)),
        begins: begins.map(uncount),
    }))
}

impl Db {
    /// What is told of the epoch of this number; nothing of numbers from before there were epochs.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn origin(&self, number: u64) -> Result<Origin, DbError> {
        origin(self.read(), number)
    }
}

#[cfg(test)]
mod tests;

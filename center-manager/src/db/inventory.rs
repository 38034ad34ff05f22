//! What sites tell of their devices: who is there, who has vanished, and who is claimed by two sites.
//!
//! A device that another appliance reports already is never moved by itself: a copied serial number, a swapped
//! mainboard or a forged report would move counters from one customer's bill to another's. The operator decides.

use super::alarms::{self, NewAlarm};
use super::columns::{At, maybe_time, parsed, time};
use super::devices::{Origin, device_row};
use super::{Db, DbError};
use crate::filing::unidentified;
use crate::words;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use mailfmt::message::report::{DeviceState, InventoryDevice};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The alarm about a device that two appliances report; its subject is the serial number.
pub const CONFLICT_ALARM: &str = "device-conflict";

/// A device that two appliances report.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// The appliance that reported it first.
    pub holder: AgentId,
    /// The appliance that reports it as well.
    pub claimant: AgentId,
    /// When that was noted.
    pub noted: Timestamp,
    /// The last answer that the holder had from it, where the holder says that it has vanished: it was probably moved.
    pub vanished_at_holder: Option<Timestamp>,
    /// When the operator decided.
    pub resolved: Option<Timestamp>,
    /// `moved` or `kept`, once decided.
    pub resolution: Option<String>,
    /// Who decided; empty before.
    pub resolved_by: String,
}

/// Which device an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChoice {
    /// Its serial number.
    pub serial: String,
    /// Its model, where several have that number.
    pub model: Option<String>,
}

/// What becomes of counters, faults and supplies when a device is moved to another appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// They go with the device.
    Follows,
    /// They stay with the appliance that read them.
    Stays,
}

/// Whether a device is known by something that is its own. Devices that did not tell who they are are named by their
/// address, and every site has the same addresses.
fn is_identified(device: &DeviceId) -> bool {
    !device.serial.starts_with("at:") && !device.serial.starts_with("address:")
}

/// Files the whole inventory of an appliance, made at `made`. One that was overtaken by a newer one registers devices
/// and changes no state.
pub(super) fn file(
    transaction: &Connection,
    origin: &Origin<'_>,
    made: Timestamp,
    devices: &[InventoryDevice],
) -> Result<(), DbError> {
    let agent = origin.agent.as_str();
    let newest = transaction
        .prepare_cached(
            "UPDATE appliance SET inventory_made = ?2 WHERE agent = ?1 AND ifnull(inventory_made, ?2) <= ?2",
        )?
        .execute(params![agent, At(made)])?
        > 0;
    for device in devices {
        let id = device.id.clone().unwrap_or_else(|| unidentified(&device.address));
        let Some(row) = device_row(transaction, origin, &id, &device.address)? else { continue };
        if newest {
            note_state(transaction, row, device, made)?;
        }
        if device.state == DeviceState::Present {
            claim(transaction, origin, row, &id, made)?;
        }
    }
    if newest {
        // What is not in the inventory any more is not watched any more.
        transaction
            .prepare_cached(
                "UPDATE device SET vanished = inventoried
                 WHERE agent = ?1 AND vanished IS NULL AND inventoried < ?2",
            )?
            .execute(params![agent, At(made)])?;
    }
    Ok(())
}

fn note_state(
    transaction: &Connection,
    row: i64,
    device: &InventoryDevice,
    made: Timestamp,
) -> Result<(), DbError> {
    let vanished = match device.state {
        DeviceState::Present => None,
        DeviceState::Vanished { since } => Some(At(since)),
    };
    let mac = device.mac.as_deref().map(words::plain);
    transaction
        .prepare_cached(
            "UPDATE device SET inventoried = ?2, vanished = ?3, mac = ifnull(?4, mac) WHERE id = ?1",
        )?
        .execute(params![row, At(made), vanished, mac])?;
    Ok(())
}

/// The appliance says that the device is there. If it was moved away from it since, that is a new claim.
fn claim(
    transaction: &Connection,
    origin: &Origin<'_>,
    row: i64,
    device: &DeviceId,
    made: Timestamp,
) -> Result<(), DbError> {
    let moved: Option<Timestamp> = transaction
        .prepare_cached("SELECT moved_at FROM device WHERE id = ?1")?
        .query_row([row], |row| maybe_time(row, 0))?;
    if moved.is_some_and(|at| made <= at) {
        return Ok(());
    }
    note_conflict(transaction, origin, device)
}

/// Flags the device when another appliance reports it too, unless that is flagged or the operator has said where it
/// belongs.
pub(super) fn note_conflict(
    transaction: &Connection,
    origin: &Origin<'_>,
    device: &DeviceId,
) -> Result<(), DbError> {
    if !is_identified(device) {
        return Ok(());
    }
    let agent = origin.agent.as_str();
    let holder: Option<AgentId> = transaction
        .prepare_cached(
            "SELECT d.agent FROM device d JOIN appliance a ON a.agent = d.agent
             WHERE d.serial = ?1 AND d.model = ?2 AND d.vendor = ?3 AND d.agent <> ?4 AND d.moved_to IS NULL
             AND a.state <> 'removed' ORDER BY d.id LIMIT 1",
        )?
        .query_row(params![device.serial, device.model, device.vendor, agent], |row| parsed(row, 0))
        .optional()?;
    let Some(holder) = holder else { return Ok(()) };
    let noted = transaction
        .prepare_cached(
            "INSERT INTO device_conflict (serial, model, vendor, holder, claimant, noted)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
                 SELECT 1 FROM device_conflict c WHERE c.serial = ?1 AND c.model = ?2 AND c.vendor = ?3
                 AND (c.holder, c.claimant) IN (VALUES (?4, ?5), (?5, ?4))
                 AND (c.resolved IS NULL OR c.resolution = 'kept'))",
        )?
        .execute(params![
            device.serial,
            device.model,
            device.vendor,
            holder.as_str(),
            agent,
            At(origin.now)
        ])?;
    if noted > 0 {
        let description = format!(
            "{device} is reported by {holder} and by {agent}: `center-manager devices move` or `devices keep` decides"
        );
        let alarm = NewAlarm {
            agent: None,
            kind: CONFLICT_ALARM,
            subject: &device.serial,
            description: &description,
            since: origin.now,
            reported: false,
        };
        alarms::raise(transaction, &alarm, origin.now)?;
    }
    Ok(())
}

/// The device that is meant, at one of these appliances.
fn chosen(transaction: &Connection, choice: &DeviceChoice, at: &AgentId) -> Result<(i64, DeviceId), DbError> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, vendor, model, serial FROM device
         WHERE agent = ?1 AND serial = ?2 AND (?3 IS NULL OR model = ?3) ORDER BY id LIMIT 2",
    )?;
    let found = statement
        .query_map(params![at.as_str(), choice.serial, choice.model], |row| {
            Ok((row.get(0)?, DeviceId { vendor: row.get(1)?, model: row.get(2)?, serial: row.get(3)? }))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    match <[_; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(found) if found.is_empty() => {
            Err(DbError::NoSuchDevice { serial: choice.serial.clone(), agent: at.clone() })
        }
        Err(_) => Err(DbError::SeveralDevices { serial: choice.serial.clone(), agent: at.clone() }),
    }
}

/// Ends the open conflicts about a device in which `winner` takes part; an earlier word that it be kept somewhere is taken
/// back with them.
fn resolve(
    transaction: &Connection,
    device: &DeviceId,
    winner: &AgentId,
    resolution: &str,
    by: &str,
    now: Timestamp,
) -> Result<usize, DbError> {
    let resolved = transaction
        .prepare_cached(
            "UPDATE device_conflict SET resolved = ?5, resolution = ?6, resolved_by = ?7
             WHERE serial = ?1 AND model = ?2 AND vendor = ?3 AND ?4 IN (holder, claimant)
             AND (resolved IS NULL OR resolution = 'kept')",
        )?
        .execute(params![
            device.serial,
            device.model,
            device.vendor,
            winner.as_str(),
            At(now),
            resolution,
            words::plain(by)
        ])?;
    let open: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM device_conflict WHERE serial = ?1 AND resolved IS NULL)",
        )?
        .query_row([&device.serial], |row| row.get(0))?;
    if !open {
        alarms::over(transaction, None, CONFLICT_ALARM, &device.serial, now)?;
    }
    Ok(resolved)
}

impl Db {
    /// Devices that two appliances report, oldest first: those to be decided, or all that ever were. One of a removed
    /// appliance has decided itself.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn device_conflicts(&self, with_resolved: bool) -> Result<Vec<Conflict>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT c.vendor, c.model, c.serial, c.holder, c.claimant, c.noted,
                    (SELECT d.vanished FROM device d WHERE d.agent = c.holder AND d.serial = c.serial
                     AND d.model = c.model AND d.vendor = c.vendor),
                    c.resolved, c.resolution, c.resolved_by
             FROM device_conflict c
             WHERE ?1 OR (c.resolved IS NULL AND NOT EXISTS (
                 SELECT 1 FROM appliance a WHERE a.agent IN (c.holder, c.claimant) AND a.state = 'removed'))
             ORDER BY c.id",
        )?;
        let rows = statement.query_map([with_resolved], |row| {
            Ok(Conflict {
                device: DeviceId { vendor: row.get(0)?, model: row.get(1)?, serial: row.get(2)? },
                holder: parsed(row, 3)?,
                claimant: parsed(row, 4)?,
                noted: time(row, 5)?,
                vanished_at_holder: maybe_time(row, 6)?,
                resolved: maybe_time(row, 7)?,
                resolution: row.get(8)?,
                resolved_by: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The operator says that a device went from one appliance to another. Faults that are open at the one it left are
    /// closed there: nobody looks at it from there any more.
    ///
    /// # Errors
    /// [`DbError::NoSuchDevice`], [`DbError::SeveralDevices`], [`DbError::NoSuchAppliance`] or [`DbError::Sql`].
    pub fn move_device(
        &mut self,
        choice: &DeviceChoice,
        (from, to): (&AgentId, &AgentId),
        history: History,
        by: &str,
        now: Timestamp,
    ) -> Result<DeviceId, DbError> {
        self.write(|transaction| {
            super::appliances::appliance(transaction, to)?;
            let (old, device) = chosen(transaction, choice, from)?;
            let origin = Origin::new(to, 0, now);
            let Some(new) = device_row(transaction, &origin, &device, "")? else {
                return Err(DbError::TooManyDevices { agent: to.clone() });
            };
            transaction.execute("UPDATE device SET moved_to = NULL, moved_at = NULL WHERE id = ?1", [new])?;
            transaction.execute(
                "UPDATE device SET moved_to = ?2, moved_at = ?3 WHERE id = ?1",
                params![old, to.as_str(), At(now)],
            )?;
            transaction.execute(
                "UPDATE fault SET cleared = ?2 WHERE device = ?1 AND cleared IS NULL",
                params![old, At(now)],
            )?;
            if history == History::Follows {
                take_history(transaction, old, new)?;
            }
            resolve(transaction, &device, to, "moved", by, now)?;
            Ok(device)
        })
    }

    /// The operator says that a device belongs to `at`, whoever else reports it: that pair is not flagged again, and
    /// what the others read of it is marked as another's device.
    ///
    /// # Errors
    /// [`DbError::NoSuchDevice`], [`DbError::SeveralDevices`] or [`DbError::Sql`].
    pub fn keep_device(
        &mut self,
        choice: &DeviceChoice,
        at: &AgentId,
        by: &str,
        now: Timestamp,
    ) -> Result<(DeviceId, usize), DbError> {
        self.write(|transaction| {
            let (row, device) = chosen(transaction, choice, at)?;
            transaction.execute(
                "UPDATE device SET moved_to = CASE id WHEN ?1 THEN NULL ELSE ?2 END,
                     moved_at = CASE id WHEN ?1 THEN NULL ELSE ?3 END
                 WHERE serial = ?4 AND model = ?5 AND vendor = ?6",
                params![row, at.as_str(), At(now), device.serial, device.model, device.vendor],
            )?;
            let resolved = resolve(transaction, &device, at, "kept", by, now)?;
            Ok((device, resolved))
        })
    }
}

/// Counters, faults and supplies go over to another row of the same device. What both rows hold stays the new row's.
fn take_history(transaction: &Connection, old: i64, new: i64) -> Result<(), DbError> {
    for statement in [
        "UPDATE OR IGNORE counter SET device = ?2 WHERE device = ?1",
        "DELETE FROM counter WHERE device = ?1 AND ?1 <> ?2",
        "UPDATE fault SET device = ?2 WHERE device = ?1",
        "UPDATE ledger_entry SET device = ?2 WHERE device = ?1",
        "UPDATE ledger_finding SET device = ?2 WHERE device = ?1",
        "DELETE FROM supply WHERE device = ?1 AND EXISTS (SELECT 1 FROM supply WHERE device = ?2)",
        "UPDATE supply SET device = ?2 WHERE device = ?1",
        "UPDATE device SET first_seen = min(first_seen, (SELECT o.first_seen FROM device o WHERE o.id = ?1)),
             last_reading = (SELECT max(c.read_at) FROM counter c WHERE c.device = ?2), not_collected =
             CASE WHEN EXISTS (SELECT 1 FROM counter c WHERE c.device = ?2) THEN NULL ELSE not_collected END
         WHERE id = ?2",
        "UPDATE device SET last_reading = NULL WHERE id = ?1 AND ?1 <> ?2",
    ] {
        transaction.prepare_cached(statement)?.execute([old, new])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

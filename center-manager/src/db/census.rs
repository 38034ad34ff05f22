//! What happened to devices, and how computers fare, as their appliances tell it.

use super::alarms::{self, NewAlarm};
use super::columns::{At, json, parsed, time};
use super::devices::{Origin, device_row};
use super::{Db, DbError};
use crate::filing::unidentified;
use crate::words::plain;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use mailfmt::message::census::{CensusReport, ComputerState, DeviceEvent};
use rusqlite::{Connection, params};

/// The alarm about two devices of one site that tell one serial number; its subject is the serial number.
pub const SAME_SERIAL_ALARM: &str = "same-serial";

/// The word of the event that raises it.
const SAME_SERIAL: &str = "same-serial";

/// Events kept of one appliance; a site of a thousand devices has some hundred a year.
const EVENTS_MAX: u32 = 5_000;

/// Events and computers taken of one report; an appliance watches a thousand devices at most.
const ROWS_MAX: usize = 2_000;

/// Disks and applications kept of one computer.
const PARTS_MAX: usize = 200;

/// Something that happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// The appliance that noticed it.
    pub agent: AgentId,
    /// What happened.
    #[serde(flatten)]
    pub event: DeviceEvent,
}

/// A computer as its appliance told it last.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Computer {
    /// The appliance that watches it.
    pub agent: AgentId,
    /// What it told.
    #[serde(flatten)]
    pub state: ComputerState,
}

/// Files a report.
pub(super) fn file(
    transaction: &Connection,
    origin: &Origin<'_>,
    report: &CensusReport,
) -> Result<(), DbError> {
    for event in report.events.iter().take(ROWS_MAX) {
        file_event(transaction, origin, event)?;
    }
    let agent = origin.agent.as_str();
    transaction
        .prepare_cached(
            "DELETE FROM device_event WHERE agent = ?1 AND id <= (
                 SELECT id FROM device_event WHERE agent = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![agent, EVENTS_MAX])?;
    for computer in report.computers.iter().take(ROWS_MAX) {
        let id = computer.device.clone().unwrap_or_else(|| unidentified(&computer.address));
        let Some(device) = device_row(transaction, origin, &id, &computer.address)? else { continue };
        let state = serde_json::to_string(&tidied(computer)).unwrap_or_default();
        // One that was overtaken by a newer one changes nothing.
        transaction
            .prepare_cached(
                "INSERT INTO computer (device, read_at, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT (device) DO UPDATE SET read_at = excluded.read_at, state = excluded.state
                 WHERE read_at <= excluded.read_at",
            )?
            .execute(params![device, At(computer.at), state])?;
    }
    Ok(())
}

fn file_event(transaction: &Connection, origin: &Origin<'_>, event: &DeviceEvent) -> Result<(), DbError> {
    let told = |text: &Option<String>| text.as_deref().map(plain);
    let device = event.device.as_ref();
    transaction
        .prepare_cached(
            "INSERT INTO device_event (agent, at, event, vendor, model, serial, kind, address, before)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            origin.agent.as_str(),
            At(event.at),
            plain(&event.event),
            device.map(|device| plain(&device.vendor)),
            device.map(|device| plain(&device.model)),
            device.map(|device| plain(&device.serial)),
            told(&event.kind),
            plain(&event.address),
            told(&event.before)
        ])?;
    let (SAME_SERIAL, Some(device)) = (event.event.as_str(), device) else { return Ok(()) };
    let description = format!(
        "{device} is told by two devices of this site, at {} and at {}: a copied mainboard, or a number that somebody typed; \
         their counters are kept apart",
        event.address,
        event.before.as_deref().unwrap_or("another address")
    );
    let alarm = NewAlarm {
        agent: Some(origin.agent),
        kind: SAME_SERIAL_ALARM,
        subject: &device.serial,
        description: &description,
        since: event.at,
        reported: false,
    };
    alarms::raise(transaction, &alarm, origin.now).map(drop)
}

/// What comes from outside, with texts of one line and lists of some length.
fn tidied(computer: &ComputerState) -> ComputerState {
    let mut computer = computer.clone();
    computer.name = computer.name.as_deref().map(plain);
    computer.address = plain(&computer.address);
    computer.disks.truncate(PARTS_MAX);
    computer.applications.truncate(PARTS_MAX);
    for disk in &mut computer.disks {
        disk.name = plain(&disk.name);
    }
    for application in &mut computer.applications {
        (application.name, application.rule) = (plain(&application.name), plain(&application.rule));
    }
    computer
}

impl Db {
    /// What happened to devices, newest first: of one appliance or of all, of one serial number or of all; at most `most`.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn device_events(
        &self,
        agent: Option<&AgentId>,
        serial: Option<&str>,
        most: u32,
    ) -> Result<Vec<Event>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, at, event, vendor, model, serial, kind, address, before FROM device_event
             WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR serial = ?2) ORDER BY id DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(params![agent.map(AgentId::as_str), serial, most], |row| {
            let device = match (row.get(3)?, row.get(4)?, row.get(5)?) {
                (Some(vendor), Some(model), Some(serial)) => Some(DeviceId { vendor, model, serial }),
                _ => None,
            };
            let (at, event) = (time(row, 1)?, row.get(2)?);
            let (kind, address, before) = (row.get(6)?, row.get(7)?, row.get(8)?);
            Ok(Event {
                agent: parsed(row, 0)?,
                event: DeviceEvent { at, event, device, kind, address, before },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The computers of one appliance or of all, by appliance and name.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn computers(&self, agent: Option<&AgentId>) -> Result<Vec<Computer>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT d.agent, c.state FROM computer c JOIN device d ON d.id = c.device
             WHERE ?1 IS NULL OR d.agent = ?1 ORDER BY d.agent, d.address, d.id",
        )?;
        let rows = statement.query_map([agent.map(AgentId::as_str)], |row| {
            Ok(Computer { agent: parsed(row, 0)?, state: json(row, 1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests;

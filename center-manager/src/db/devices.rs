//! Devices with their faults, counters and supplies.

use super::alarms::{self, NewAlarm};
use super::columns::{At, count, json, maybe_parsed, maybe_time, parsed, time, uncount};
use super::{Db, DbError, inventory};
use crate::words;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::report::{FaultClearedReport, FaultReport};
use mailfmt::message::{Counter, DeviceId, Supply, SupplyLevel, SupplyOutlook};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::cell::Cell;

/// A device as the center knows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// The appliance that watches it.
    pub agent: AgentId,
    /// Who it is.
    #[serde(flatten)]
    pub device: DeviceId,
    /// Its address on the customer's LAN; empty when not told.
    pub address: String,
    /// When a report first named it.
    pub first_seen: Timestamp,
    /// When a report last named it.
    pub last_seen: Timestamp,
    /// When the appliance last said "not collected yet"; absent once there is a reading.
    pub not_collected: Option<Timestamp>,
    /// When it was last read.
    pub last_reading: Option<Timestamp>,
    /// Faults that are not over.
    pub open_faults: u32,
    /// Its hardware address, where it was told.
    pub mac: Option<String>,
    /// Whether it is still there.
    pub state: DeviceStanding,
    /// Appliances that report the same device, as long as the operator has not decided whose it is.
    pub also_at: Vec<AgentId>,
}

/// Whether a device is still there, by the last inventory of its appliance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum DeviceStanding {
    /// No inventory has named it.
    NotTold,
    /// It is there.
    Present,
    /// It is not there any more.
    Vanished {
        /// Its last answer.
        since: Timestamp,
    },
    /// The operator has said that it belongs to another appliance.
    Moved {
        /// To which.
        to: AgentId,
    },
}

/// One fault episode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The appliance that reported it.
    pub agent: AgentId,
    /// Its name on that appliance.
    pub episode: String,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// Who has to act; empty while only the clearing report has come.
    pub class: String,
    /// `PrtAlertCodeTC` by name.
    pub code: String,
    /// `PrtAlertGroupTC` by name.
    pub group: String,
    /// `PrtAlertSeverityLevelTC` by name.
    pub severity: String,
    /// The device's own text.
    pub description: String,
    /// When the appliance first saw it.
    pub since: Option<Timestamp>,
    /// When the appliance saw it gone.
    pub cleared: Option<Timestamp>,
    /// Reception number of the report that first named it.
    pub report: u64,
}

/// One stored count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CounterReading {
    /// The appliance.
    pub agent: AgentId,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// When it was read.
    pub at: Timestamp,
    /// What is counted.
    pub name: String,
    /// The count; absent where the device was never read ("not collected yet").
    pub value: Option<u64>,
    /// Unit by its RFC 3805 name.
    pub unit: String,
    /// The object it was read from.
    pub source: String,
}

/// The latest state of one supply.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SupplyReading {
    /// The appliance.
    pub agent: AgentId,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// When it was read.
    pub at: Timestamp,
    /// The device's own text.
    pub description: String,
    /// `PrtMarkerSuppliesTypeTC` by name.
    pub kind: String,
    /// Colour.
    pub colorant: Option<String>,
    /// Level or state.
    pub level: SupplyLevel,
    /// Capacity in the unit of the level.
    pub capacity: Option<u32>,
    /// Unit by its RFC 3805 name.
    pub unit: Option<String>,
    /// What the appliance concluded from its levels over time.
    #[serde(skip_serializing_if = "SupplyOutlook::is_nothing")]
    pub outlook: SupplyOutlook,
}

/// Which counts are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readings {
    /// The latest reading of every device.
    Latest,
    /// All that were ever stored.
    All,
}

/// Where a change comes from.
pub(super) struct Origin<'a> {
    pub(super) agent: &'a AgentId,
    /// Reception number of the report.
    pub(super) number: u64,
    pub(super) now: Timestamp,
    /// Devices that may be added yet, once it was counted.
    room: Cell<Option<u32>>,
    full: Cell<bool>,
}

/// Devices that one appliance may tell of: some times as many as the largest site has. Whoever stole an appliance does not
/// fill the disk with made-up ones.
pub const DEVICES_MAX: u32 = 20_000;

impl<'a> Origin<'a> {
    pub(super) fn new(agent: &'a AgentId, number: u64, now: Timestamp) -> Self {
        Self { agent, number, now, room: Cell::new(None), full: Cell::new(false) }
    }

    /// Takes room for one device more; false, and an alarm, if there is none.
    fn has_room(&self, transaction: &Connection) -> Result<bool, DbError> {
        let room = match self.room.get() {
            Some(room) => room,
            None => {
                let known: u32 = transaction
                    .prepare_cached("SELECT count(*) FROM device WHERE agent = ?1")?
                    .query_row([self.agent.as_str()], |row| row.get(0))?;
                DEVICES_MAX.saturating_sub(known)
            }
        };
        if room == 0 && !self.full.replace(true) {
            alarms::raise(transaction, &too_many(self), self.now)?;
        }
        self.room.set(Some(room.saturating_sub(1)));
        Ok(room > 0)
    }
}

fn too_many<'a>(origin: &Origin<'a>) -> NewAlarm<'a> {
    NewAlarm {
        agent: Some(origin.agent),
        kind: "too-many-devices",
        subject: "",
        description: "It tells of more devices than any site has; no further ones are listed. If they are made up, \
                      suspend it and look at the site",
        since: origin.now,
        reported: false,
    }
}

/// Counters and supplies of one device at one time.
pub(super) struct Reading<'a> {
    pub(super) at: Timestamp,
    pub(super) counters: &'a [Counter],
    pub(super) supplies: &'a [Supply],
}

/// The device's row, made where it is new; an empty address leaves the known one. A new device that another appliance
/// reports as well is flagged.
pub(super) fn device_row(
    transaction: &Connection,
    origin: &Origin<'_>,
    device: &DeviceId,
    address: &str,
) -> Result<Option<i64>, DbError> {
    let known: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM device WHERE agent = ?1 AND vendor = ?2 AND model = ?3 AND serial = ?4)",
        )?
        .query_row(params![origin.agent.as_str(), device.vendor, device.model, device.serial], |row| {
            row.get(0)
        })?;
    if !known && !origin.has_room(transaction)? {
        return Ok(None);
    }
    let id = transaction
        .prepare_cached(
            "INSERT INTO device (agent, vendor, model, serial, address, first_seen, last_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (agent, vendor, model, serial) DO UPDATE SET last_seen = excluded.last_seen,
                 address = CASE excluded.address WHEN '' THEN address ELSE excluded.address END
             RETURNING id",
        )?
        .query_row(
            params![
                origin.agent.as_str(),
                device.vendor,
                device.model,
                device.serial,
                address,
                At(origin.now)
            ],
            |row| row.get(0),
        )?;
    if !known {
        inventory::note_conflict(transaction, origin, device)?;
    }
    Ok(Some(id))
}

pub(super) fn open_fault(
    transaction: &Connection,
    origin: &Origin<'_>,
    report: &FaultReport,
) -> Result<(), DbError> {
    let Some(device) = device_row(transaction, origin, &report.device, "")? else { return Ok(()) };
    // The clearing report may have come first; its time stays.
    transaction
        .prepare_cached(
            "INSERT INTO fault (agent, episode, device, class, code, grp, severity, description, since, report)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (agent, episode) DO UPDATE SET class = excluded.class, code = excluded.code,
                 grp = excluded.grp, severity = excluded.severity, description = excluded.description,
                 since = excluded.since
             WHERE fault.since IS NULL",
        )?
        .execute(params![
            origin.agent.as_str(),
            report.episode,
            device,
            report.class.as_str(),
            report.code,
            report.group,
            report.severity,
            report.description,
            At(report.since),
            count(origin.number),
        ])?;
    Ok(())
}

pub(super) fn clear_fault(
    transaction: &Connection,
    origin: &Origin<'_>,
    report: &FaultClearedReport,
) -> Result<(), DbError> {
    let Some(device) = device_row(transaction, origin, &report.device, "")? else { return Ok(()) };
    transaction
        .prepare_cached(
            "INSERT INTO fault (agent, episode, device, cleared, report) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (agent, episode) DO UPDATE SET cleared = excluded.cleared WHERE fault.cleared IS NULL",
        )?
        .execute(params![
            origin.agent.as_str(),
            report.episode,
            device,
            At(report.cleared),
            count(origin.number)
        ])?;
    Ok(())
}

/// What is known of a fault, in words; `None` when its opening report has not come.
pub(super) fn fault_words(
    connection: &Connection,
    agent: &AgentId,
    episode: &str,
) -> Result<Option<String>, DbError> {
    let known = connection
        .prepare_cached(
            "SELECT code, grp FROM fault WHERE agent = ?1 AND episode = ?2 AND since IS NOT NULL",
        )?
        .query_row(params![agent.as_str(), episode], |row| {
            Ok(words::fault(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?))
        })
        .optional()?;
    Ok(known)
}

pub(super) fn not_collected(
    transaction: &Connection,
    origin: &Origin<'_>,
    device: &DeviceId,
    address: &str,
) -> Result<(), DbError> {
    let Some(device) = device_row(transaction, origin, device, address)? else { return Ok(()) };
    transaction
        .prepare_cached("UPDATE device SET not_collected = ?2 WHERE id = ?1 AND last_reading IS NULL")?
        .execute(params![device, At(origin.now)])?;
    Ok(())
}

pub(super) fn add_reading(
    transaction: &Connection,
    origin: &Origin<'_>,
    device: &DeviceId,
    address: &str,
    reading: &Reading<'_>,
) -> Result<(), DbError> {
    let Some(device) = device_row(transaction, origin, device, address)? else { return Ok(()) };
    let newest = transaction
        .prepare_cached(
            "UPDATE device SET not_collected = NULL, last_reading = ?2
             WHERE id = ?1 AND ifnull(last_reading, ?2) <= ?2",
        )?
        .execute(params![device, At(reading.at)])?
        > 0;
    // The device has told who it is: what stood for it until then goes, as far as nothing was stored for it.
    transaction
        .prepare_cached(
            "DELETE FROM device WHERE agent = ?1 AND vendor = 'unidentified' AND address = ?2 AND id <> ?3
             AND last_reading IS NULL AND NOT EXISTS (SELECT 1 FROM fault WHERE fault.device = device.id)",
        )?
        .execute(params![origin.agent.as_str(), address, device])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO counter (device, read_at, name, value, unit, source, report)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    for counter in reading.counters {
        insert.execute(params![
            device,
            At(reading.at),
            counter.name,
            count(counter.value),
            counter.unit,
            counter.source,
            count(origin.number),
        ])?;
    }
    if newest {
        replace_supplies(transaction, device, reading)?;
    }
    Ok(())
}

fn replace_supplies(transaction: &Connection, device: i64, reading: &Reading<'_>) -> Result<(), DbError> {
    transaction.prepare_cached("DELETE FROM supply WHERE device = ?1")?.execute([device])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO supply (device, idx, read_at, description, kind, colorant, level, capacity, unit, outlook)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
    )?;
    for supply in reading.supplies {
        insert.execute(params![
            device,
            supply.index,
            At(reading.at),
            supply.description,
            supply.kind,
            supply.colorant,
            serde_json::to_string(&supply.level).unwrap_or_default(),
            supply.capacity,
            supply.unit,
            (!supply.outlook.is_nothing())
                .then(|| serde_json::to_string(&supply.outlook).unwrap_or_default()),
        ])?;
    }
    Ok(())
}

impl Db {
    /// Devices, in order of appliance and name; of one appliance, or of all.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn devices(&self, agent: Option<&AgentId>) -> Result<Vec<Device>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT d.agent, d.vendor, d.model, d.serial, d.address, d.first_seen, d.last_seen, d.not_collected,
                    d.last_reading, (SELECT count(*) FROM fault f WHERE f.device = d.id AND f.cleared IS NULL),
                    d.mac, d.inventoried, d.vanished, d.moved_to,
                    (SELECT group_concat(CASE d.agent WHEN c.holder THEN c.claimant ELSE c.holder END, ' ')
                     FROM device_conflict c WHERE c.serial = d.serial AND c.model = d.model
                     AND c.vendor = d.vendor AND c.resolved IS NULL AND d.agent IN (c.holder, c.claimant)
                     AND NOT EXISTS (SELECT 1 FROM appliance a
                                     WHERE a.agent IN (c.holder, c.claimant) AND a.state = 'removed'))
             FROM device d WHERE ?1 IS NULL OR d.agent = ?1 ORDER BY d.agent, d.vendor, d.model, d.serial",
        )?;
        let rows = statement.query_map([agent.map(AgentId::as_str)], |row| {
            Ok(Device {
                agent: parsed(row, 0)?,
                device: device_id(row, 1)?,
                address: row.get(4)?,
                first_seen: time(row, 5)?,
                last_seen: time(row, 6)?,
                not_collected: maybe_time(row, 7)?,
                last_reading: maybe_time(row, 8)?,
                open_faults: row.get(9)?,
                mac: row.get(10)?,
                state: standing(row)?,
                also_at: agents(row.get::<_, Option<String>>(14)?.as_deref()),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Faults, oldest first: the open ones, or all with those that are over.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn faults(&self, agent: Option<&AgentId>, with_cleared: bool) -> Result<Vec<Fault>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT f.agent, f.episode, d.vendor, d.model, d.serial, f.class, f.code, f.grp, f.severity,
                    f.description, f.since, f.cleared, f.report
             FROM fault f JOIN device d ON d.id = f.device
             WHERE (?1 IS NULL OR f.agent = ?1) AND (?2 OR f.cleared IS NULL)
             ORDER BY ifnull(f.since, f.cleared), f.report",
        )?;
        let rows = statement.query_map(params![agent.map(AgentId::as_str), with_cleared], |row| {
            Ok(Fault {
                agent: parsed(row, 0)?,
                episode: row.get(1)?,
                device: device_id(row, 2)?,
                class: row.get(5)?,
                code: row.get(6)?,
                group: row.get(7)?,
                severity: row.get(8)?,
                description: row.get(9)?,
                since: maybe_time(row, 10)?,
                cleared: maybe_time(row, 11)?,
                report: uncount(row.get(12)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts, in order of appliance, device, time and name. A device that was never read has one line without a
    /// value.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn counters(
        &self,
        agent: Option<&AgentId>,
        readings: Readings,
    ) -> Result<Vec<CounterReading>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT d.agent, d.vendor, d.model, d.serial, ifnull(c.read_at, d.last_seen), ifnull(c.name, ''),
                    c.value, ifnull(c.unit, ''), ifnull(c.source, '')
             FROM device d LEFT JOIN counter c ON c.device = d.id AND (?2 OR c.read_at = d.last_reading)
             WHERE (?1 IS NULL OR d.agent = ?1) AND (c.value IS NOT NULL OR d.not_collected IS NOT NULL)
             ORDER BY d.agent, d.vendor, d.model, d.serial, 5, 6",
        )?;
        let all = readings == Readings::All;
        let rows = statement.query_map(params![agent.map(AgentId::as_str), all], |row| {
            Ok(CounterReading {
                agent: parsed(row, 0)?,
                device: device_id(row, 1)?,
                at: time(row, 4)?,
                name: row.get(5)?,
                value: row.get::<_, Option<i64>>(6)?.map(uncount),
                unit: row.get(7)?,
                source: row.get(8)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The latest supplies, in order of appliance, device and index.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn supplies(&self, agent: Option<&AgentId>) -> Result<Vec<SupplyReading>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT d.agent, d.vendor, d.model, d.serial, s.read_at, s.description, s.kind, s.colorant, s.level,
                    s.capacity, s.unit, s.outlook
             FROM supply s JOIN device d ON d.id = s.device WHERE ?1 IS NULL OR d.agent = ?1
             ORDER BY d.agent, d.vendor, d.model, d.serial, s.idx",
        )?;
        let rows = statement.query_map([agent.map(AgentId::as_str)], |row| {
            Ok(SupplyReading {
                agent: parsed(row, 0)?,
                device: device_id(row, 1)?,
                at: time(row, 4)?,
                description: row.get(5)?,
                kind: row.get(6)?,
                colorant: row.get(7)?,
                level: json(row, 8)?,
                capacity: row.get(9)?,
                unit: row.get(10)?,
                outlook: row
                    .get::<_, Option<String>>(11)?
                    .and_then(|outlook| serde_json::from_str(&outlook).ok())
                    .unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The columns 11 to 13: inventoried, vanished, moved to.
fn standing(row: &Row<'_>) -> rusqlite::Result<DeviceStanding> {
    if let Some(to) = maybe_parsed(row, 13)? {
        return Ok(DeviceStanding::Moved { to });
    }
    Ok(match (maybe_time(row, 11)?, maybe_time(row, 12)?) {
        (_, Some(since)) => DeviceStanding::Vanished { since },
        (Some(_), None) => DeviceStanding::Present,
        (None, None) => DeviceStanding::NotTold,
    })
}

/// Ids with blanks between them.
fn agents(list: Option<&str>) -> Vec<AgentId> {
    list.unwrap_or_default().split(' ').filter_map(|agent| agent.parse().ok()).collect()
}

/// Three columns from `first` on.
fn device_id(row: &Row<'_>, first: usize) -> rusqlite::Result<DeviceId> {
    Ok(DeviceId { vendor: row.get(first)?, model: row.get(first + 1)?, serial: row.get(first + 2)? })
}

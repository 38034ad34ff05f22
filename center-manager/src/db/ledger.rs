//! The ledgers of the appliances: filed as they come, and only added to.

mod review;

pub use review::Word;

use self::review::{FINDINGS, OPEN, finding};
use super::alarms::{self, NewAlarm};
use super::columns::{At, count, json, parsed, time, uncount};
use super::devices::{Origin, device_row};
use super::{Db, DbError};
use crate::ledger::{DeviceMonth, Month, Placed};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use mailfmt::message::ledger::{LedgerEntry, LedgerPart, SealedEntry};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::HashMap;

/// The alarm about a ledger that is not what it was.
pub const LEDGER_ALARM: &str = "ledger-changed";

/// Longest name of a ledger that is kept.
const NAME_CHARS_MAX: usize = 64;

/// Entries that are looked at behind the end of a month for a counter that it does not tell.
const EARLIER_MAX: u32 = 40;

/// A device in the list of ledgers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The appliance.
    pub agent: AgentId,
    /// Its customer.
    pub customer: String,
    /// The device.
    #[serde(flatten)]
    pub device: DeviceId,
    /// Entries that have come.
    pub entries: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
    /// The last month that was closed.
    pub closed: Option<String>,
    /// Findings that wait for somebody.
    pub open: u64,
    /// Whether all entries fit each other.
    pub sound: bool,
}

/// Of which devices something is wanted.
#[derive(Debug, Clone, Default)]
pub struct LedgerFilter {
    /// Of this appliance only.
    pub agent: Option<AgentId>,
    /// Of this customer only.
    pub customer: Option<String>,
    /// With this serial number only.
    pub serial: Option<String>,
}

/// Files entries of a report. What does not fit raises an alarm and is never taken for what came first.
pub(super) fn file(transaction: &Connection, origin: &Origin<'_>, part: &LedgerPart) -> Result<(), DbError> {
    let ledger: String = plain(&part.ledger).chars().take(NAME_CHARS_MAX).collect();
    for sealed in &part.entries {
        if let Some(trouble) = file_entry(transaction, origin, &ledger, sealed)? {
            let alarm = NewAlarm {
                agent: Some(origin.agent),
                kind: LEDGER_ALARM,
                subject: &ledger,
                description: &trouble,
                since: origin.now,
                reported: false,
            };
            alarms::raise(transaction, &alarm, origin.now)?;
        }
    }
    Ok(())
}

/// Files one entry; in words, what is wrong with it.
fn file_entry(
    transaction: &Connection,
    origin: &Origin<'_>,
    ledger: &str,
    sealed: &SealedEntry,
) -> Result<Option<String>, DbError> {
    let number = sealed.sequence;
    if !sealed.is_sound() {
        return Ok(Some(format!(
            "Entry {number} of its ledger of counters was changed after it was written; it is not filed. Look at the box before the next bill"
        )));
    }
    let digest_at = |sequence: u64, column: &str| -> Result<Option<String>, DbError> {
        let found = transaction
            .prepare_cached(&format!(
                "SELECT {column} FROM ledger_entry WHERE agent = ?1 AND ledger = ?2 AND sequence = ?3"
            ))?
            .query_row(params![origin.agent.as_str(), ledger, count(sequence)], |row| row.get(0))
            .optional()?;
        Ok(found)
    };
    let digest = sealed.digest.to_string();
    if let Some(known) = digest_at(number, "digest")? {
        let forked = format!(
            "Entry {number} of its ledger of counters came a second time with other words; the first one counts. The box was set back, \
             copied, or somebody has changed its ledger"
        );
        return Ok((known != digest).then_some(forked));
    }
    let Ok(entry) = sealed.open() else {
        return Ok(Some(format!(
            "Entry {number} of its ledger of counters cannot be read by this version of the center; it is not filed"
        )));
    };
    let previous = sealed.previous.to_string();
    let before = match number.checked_sub(1) {
        None | Some(0) => Some(SealedEntry::beginning(ledger).to_string()),
        Some(before) => digest_at(before, "digest")?,
    };
    let behind = number.checked_add(1).map_or(Ok(None), |behind| digest_at(behind, "previous"))?;
    let fits = before.is_none_or(|before| before == previous) && behind.is_none_or(|behind| behind == digest);
    let Some(device) = device_row(transaction, origin, &entry.device, "")? else { return Ok(None) };
    insert(transaction, origin, ledger, sealed, &entry, device, fits)?;
    let broken = format!(
        "Entry {number} of its ledger of counters does not fit its neighbours: an entry was changed, taken out or put in"
    );
    Ok((!fits).then_some(broken))
}

fn insert(
    transaction: &Connection,
    origin: &Origin<'_>,
    ledger: &str,
    sealed: &SealedEntry,
    entry: &LedgerEntry,
    device: i64,
    fits: bool,
) -> Result<(), DbError> {
    let closes = entry.closes.as_deref().and_then(|month| month.parse::<Month>().ok());
    transaction
        .prepare_cached(
            "INSERT INTO ledger_entry (agent, ledger, sequence, device, at, mode, closes, previous, body, digest, fits,
                 report)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            origin.agent.as_str(),
            ledger,
            count(sealed.sequence),
            device,
            At(entry.at),
            plain(&entry.mode),
            closes.as_ref().map(Month::as_str),
            sealed.previous.to_string(),
            sealed.body,
            sealed.digest.to_string(),
            fits,
            count(origin.number),
        ])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO ledger_finding (agent, ledger, sequence, device, name, unit, class, review, at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for finding in &entry.findings {
        let meter = entry.meters.iter().find(|meter| meter.number == finding.meter);
        insert.execute(params![
            origin.agent.as_str(),
            ledger,
            count(sealed.sequence),
            device,
            meter.map_or("", |meter| meter.name.as_str()),
            meter.map_or("", |meter| meter.unit.as_str()),
            plain(&finding.class),
            finding.review,
            At(entry.at),
            serde_json::to_string(finding).unwrap_or_default(),
        ])?;
    }
    Ok(())
}

/// A device with a ledger.
struct Known {
    id: i64,
    agent: AgentId,
    customer: String,
    device: DeviceId,
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    Ok(Placed {
        ledger: row.get(0)?,
        sequence: uncount(row.get(1)?),
        fits: row.get(2)?,
        entry: json(row, 3)?,
    })
}

const PLACED: &str = "SELECT ledger, sequence, fits, body FROM ledger_entry WHERE device = ?1";

impl Db {
    fn with_ledger(&self, filter: &LedgerFilter) -> Result<Vec<Known>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT d.id, d.agent, a.customer, d.vendor, d.model, d.serial
             FROM device d JOIN appliance a ON a.agent = d.agent
             WHERE (?1 IS NULL OR d.agent = ?1) AND (?2 IS NULL OR a.customer = ?2) AND (?3 IS NULL OR d.serial = ?3)
               AND EXISTS (SELECT 1 FROM ledger_entry e WHERE e.device = d.id)
             ORDER BY a.customer, d.agent, d.vendor, d.model, d.serial",
        )?;
        let rows = statement.query_map(
            params![filter.agent.as_ref().map(AgentId::as_str), filter.customer, filter.serial],
            |row| {
                Ok(Known {
                    id: row.get(0)?,
                    agent: parsed(row, 1)?,
                    customer: row.get(2)?,
                    device: DeviceId { vendor: row.get(3)?, model: row.get(4)?, serial: row.get(5)? },
                })
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The devices that have entries, by customer, appliance and name.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn ledger_devices(&self, filter: &LedgerFilter) -> Result<Vec<Listed>, DbError> {
        let mut statement = self.read().prepare_cached(&format!(
            "SELECT count(*), min(at), max(at), max(closes), min(fits),
                 (SELECT count(*) FROM ledger_finding f WHERE f.device = ?1 AND {OPEN})
             FROM ledger_entry WHERE device = ?1"
        ))?;
        self.with_ledger(filter)?
            .into_iter()
            .map(|known| {
                Ok(statement.query_row([known.id], |row| {
                    Ok(Listed {
                        entries: uncount(row.get(0)?),
                        first: time(row, 1)?,
                        last: time(row, 2)?,
                        closed: row.get(3)?,
                        sound: row.get(4)?,
                        open: uncount(row.get(5)?),
                        agent: known.agent.clone(),
                        customer: known.customer.clone(),
                        device: known.device.clone(),
                    })
                })?)
            })
            .collect()
    }

    /// All entries of the devices of one serial number, in the order in which they were made.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn ledger_history(&self, filter: &LedgerFilter) -> Result<Vec<(AgentId, DeviceId, Placed)>, DbError> {
        let mut statement = self.read().prepare_cached(&format!("{PLACED} ORDER BY report, sequence"))?;
        let mut found = Vec::new();
        for known in self.with_ledger(filter)? {
            for entry in statement.query_map([known.id], placed)? {
                found.push((known.agent.clone(), known.device.clone(), entry?));
            }
        }
        Ok(found)
    }

    /// What is known of every device for a month.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn ledger_month(&self, month: &Month, filter: &LedgerFilter) -> Result<Vec<DeviceMonth>, DbError> {
        let also_at: HashMap<(AgentId, DeviceId), Vec<AgentId>> = self
            .devices(filter.agent.as_ref())?
            .into_iter()
            .map(|device| ((device.agent, device.device), device.also_at))
            .collect();
        let mut found = Vec::new();
        for known in self.with_ledger(filter)? {
            if let Some(mut device) = self.device_month(month, known)? {
                let key = (device.agent.clone(), device.device.clone());
                device.also_at = also_at.get(&key).cloned().unwrap_or_default();
                found.push(device);
            }
        }
        Ok(found)
    }

    fn device_month(&self, month: &Month, known: Known) -> Result<Option<DeviceMonth>, DbError> {
        let one = |tail: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<Option<Placed>, DbError> {
            let mut statement = self.read().prepare_cached(&format!("{PLACED} {tail} LIMIT 1"))?;
            Ok(statement.query_row(parameters, placed).optional()?)
        };
        let closed = "AND closes = ?2 ORDER BY report DESC, sequence DESC";
        let closing = one(closed, &[&known.id, &month.as_str()])?;
        let closes = closing.is_some();
        let to = match closing {
            Some(to) => to,
            // Still open, or its end has not come.
            None => {
                let Some(last) = one(
                    "AND strftime('%Y-%m', at / 1000, 'unixepoch') <= ?2 ORDER BY report DESC, sequence DESC",
                    &[&known.id, &month.as_str()],
                )?
                else {
                    return Ok(None);
                };
                last
            }
        };
        let before = month.before();
        let closed_before = one(
            "AND closes = ?2 AND ledger = ?3 AND sequence < ?4 ORDER BY sequence DESC",
            &[&known.id, &before.as_str(), &to.ledger, &count(to.sequence)],
        )?;
        let from_closes = closed_before.is_some();
        if !closes && !from_closes && to.entry.at.strftime("%Y-%m").to_string() != month.as_str() {
            return Ok(None);
        }
        let from = match closed_before {
            Some(from) => Some(from),
            None => one("AND ledger = ?2 ORDER BY sequence", &[&known.id, &to.ledger])?,
        };
        let first = from
            .as_ref()
            .map_or(0, |from| if from_closes { from.sequence } else { from.sequence.saturating_sub(1) });
        let missing = self.read().prepare_cached(
            "SELECT ?4 - ?3 - count(*) FROM ledger_entry WHERE agent = ?1 AND ledger = ?2 AND sequence > ?3 AND sequence <= ?4",
        )?.query_row(
            params![known.agent.as_str(), to.ledger, count(first), count(to.sequence)],
            |row| row.get::<_, i64>(0),
        )?;
        let mut statement = self.read().prepare_cached(&format!(
            "{FINDINGS} WHERE f.device = ?1 AND f.ledger = ?2 AND f.sequence > ?3 AND f.sequence <= ?4 ORDER BY f.id"
        ))?;
        let rows =
            statement.query_map(params![known.id, to.ledger, count(first), count(to.sequence)], finding)?;
        let findings = rows.collect::<Result<Vec<_>, _>>()?;
        let mut statement = self.read().prepare_cached(&format!(
            "{PLACED} AND ledger = ?2 AND sequence > ?3 AND sequence < ?4 ORDER BY sequence DESC LIMIT {EARLIER_MAX}"
        ))?;
        let rows =
            statement.query_map(params![known.id, to.ledger, count(first), count(to.sequence)], placed)?;
        let earlier = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(DeviceMonth {
            agent: known.agent,
            customer: known.customer,
            device: known.device,
            from,
            from_closes,
            to,
            closes,
            earlier,
            findings,
            missing: uncount(missing),
            also_at: Vec::new(),
        }))
    }
}

#[cfg(test)]
mod tests;

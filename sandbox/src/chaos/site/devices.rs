//! The devices of an appliance of the play: faults that begin and end, counters that go up.

use super::super::book::Book;
use super::{Live, Site};
use anyhow::Context as _;
use jiff::Timestamp;
use mailfmt::Report;
use mailfmt::message::ledger::{
    LedgerEntry, LedgerEpoch, LedgerFinding, LedgerMeter, LedgerPart, LedgerPoint,
};
use mailfmt::message::report::{
    CountersReport, DeviceCounters, FaultClearedReport, FaultReport, StoredReading,
};
use mailfmt::message::{DeviceId, FaultClass};
use monitor_appliance::health;

/// The devices of the site.
#[derive(Debug, Clone, Default)]
pub(super) struct Devices {
    open: Vec<String>,
    count: u64,
}

impl Site {
    /// Something happens at the site's devices: the report of it is made durable.
    pub(crate) fn happen(&mut self, book: &mut Book) -> anyhow::Result<()> {
        let now = self.clock.now();
        let device = DeviceId {
            vendor: "Kyocera".to_owned(),
            model: "P2040".to_owned(),
            serial: format!("S{:04}", self.place + 1),
        };
        let begins = self.dice.hits(500_000);
        match self.dice.below(10) {
            0..=5 if begins || self.devices.open.is_empty() => {
                self.episodes += 1;
                let episode = format!("{}-{}", self.place + 1, self.episodes);
                let report = FaultReport {
                    device,
                    episode: episode.clone(),
                    class: FaultClass::UserClearable,
                    code: "jam".to_owned(),
                    group: "media-path".to_owned(),
                    severity: "critical".to_owned(),
                    description: String::new(),
                    since: now,
                };
                if self.put(Report::Fault(report))? {
                    self.devices.open.push(episode);
                }
            }
            0..=5 => {
                let place = self.dice.place(self.devices.open.len());
                let episode = self.devices.open.get(place).context("an open episode")?.clone();
                let report = FaultClearedReport { device, episode, cleared: now };
                if self.put(Report::FaultCleared(report))? {
                    self.devices.open.remove(place);
                }
            }
            6..=8 => {
                let flagged = self.dice.hits(200_000);
                let entry = ledger_entry(&device, self.devices.count + 1, flagged, now);
                self.devices.count += 1;
                drop(self.endangered(|live| tell_ledger(live, &device, &entry))?);
            }
            _ => {
                drop(self.endangered(|live| {
                    let report = health::report(&live.store, &live.context)?;
                    Ok(live.store.change(|change| health::enqueue(change, &live.context, report, None))?)
                })?);
            }
        }
        self.enter_new(book)
    }

    /// Whether the report stands in the outbox.
    fn put(&mut self, report: Report) -> anyhow::Result<bool> {
        let message = self.endangered(|live| {
            let outgoing = live.context.outgoing(report, None);
            live.store.change(|change| change.enqueue(&outgoing))?;
            Ok(())
        })?;
        if message.is_ok() {
            return Ok(true);
        }
        // Struck: before the commit, or just after it.
        let last = self.last_row;
        Ok(self
            .watch()?
            .query_row("SELECT EXISTS (SELECT 1 FROM outbox WHERE id > ?1)", (last,), |row| row.get(0))?)
    }
}

/// One reading goes into the ledger and, with all that was not told yet, into the outbox, in one transaction.
fn tell_ledger(live: &mut Live, device: &DeviceId, entry: &LedgerEntry) -> anyhow::Result<()> {
    let name = format!("{:0>32}", live.context.settings.agent.as_str().to_ascii_lowercase());
    let name: String =
        name.chars().map(|digit| if digit.is_ascii_hexdigit() { digit } else { '0' }).collect();
    live.store.change(|change| change.append_to_ledger(std::slice::from_ref(entry), &name))?;
    let Some(untold) = live.store.ledger_untold(500)? else { return Ok(()) };
    let last = untold.entries.last().map_or(0, |(_, entry)| entry.sequence);
    let entries = untold.entries.into_iter().map(|(_, entry)| entry).collect();
    let counters = CountersReport {
        devices: vec![DeviceCounters {
            device: Some(device.clone()),
            address: "192.0.2.1".to_owned(),
            reading: StoredReading::NotCollectedYet,
            ledger: Some(LedgerPart { ledger: untold.ledger, entries }),
        }],
    };
    let outgoing = live.context.outgoing(Report::Counters(counters), None);
    live.store.change(|change| {
        change.enqueue(&outgoing)?;
        change.note_ledger_told(last)
    })?;
    Ok(())
}

fn ledger_entry(device: &DeviceId, value: u64, flagged: bool, at: Timestamp) -> LedgerEntry {
    let source = "1.3.6.1.2.1.43.10.2.1.4.1.1".to_owned();
    let point = |value| LedgerPoint { entry: value, at, value, source: source.clone() };
    let finding = LedgerFinding {
        meter: 1,
        class: "reset".to_owned(),
        review: true,
        from: point(value.saturating_sub(1)),
        to: point(value),
        sure: 0,
        proposed: Some(1),
        words: "the counter went back".to_owned(),
    };
    LedgerEntry {
        device: device.clone(),
        address: "192.0.2.1".to_owned(),
        at,
        clock_sure: true,
        uptime_secs: None,
        epoch: LedgerEpoch { number: 1, serial: Some(device.serial.clone()), mac: None, model: None },
        mode: "routine".to_owned(),
        closes: None,
        between: None,
        meters: vec![LedgerMeter {
            number: 1,
            name: "total".to_owned(),
            source: source.clone(),
            unit: "impressions".to_owned(),
            value,
            sure: value,
            doubts: 0,
            leads: true,
        }],
        findings: if flagged { vec![finding] } else { Vec::new() },
    }
}

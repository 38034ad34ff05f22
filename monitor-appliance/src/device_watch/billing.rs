//! Billing: what a visit told goes into the ledger, and what the ledger holds goes to the center. What a reading means for
//! billing is decided by [`crate::ledger`].

use super::Watch;
use super::convert::nameless;
use crate::alarm;
use crate::clock::ClockState;
use crate::device::Reading;
use crate::ledger::{Closing, Identity, Line, MeterValue, Moment, Observation};
use crate::settings::LedgerSettings;
use crate::store::{Change, Store, StoreError, Untold};
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::ledger::{LedgerPart, SealedEntry};
use mailfmt::message::report::{CountersReport, DeviceCounters, StoredReading};
use mailfmt::message::{Counter, DeviceId};
use mailfmt::{MessageId, Report};
use std::time::Duration;

/// Entries of one report; some hundred octets each.
const ENTRIES_MAX: u32 = 500;

/// What nobody waits for is told once a day.
const TELL_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Looks after which something that somebody waits for is told, though more is still being added: the end of a month at a large
/// site takes some minutes.
const LOOKS_MAX: u32 = 10;

/// Times between two looks at what is to be told.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));

/// Reports that may wait for a receipt until nothing more of the ledger is put behind them: it keeps its entries itself.
const REPORTS_WAITING_MAX: u32 = 200;

/// How often what is too old is forgotten.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(6);

/// The alarm of a ledger that was changed.
const LEDGER_BROKEN: &str = "ledger-broken";

/// What a visit told for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    device: DeviceId,
    address: String,
    identity: Identity,
    uptime_secs: Option<u64>,
    values: Vec<MeterValue>,
}

impl Observed {
    /// `None` where no count was told: a device that counts nothing, or half a reading.
    #[must_use]
    pub fn of(address: &str, id: Option<&DeviceId>, reading: &Reading, counters: &[Counter]) -> Option<Self> {
        let identity = &reading.identity;
        let known = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let value = |counter: &Counter| MeterValue {
            name: counter.name.clone(),
            source: counter.source.clone(),
            unit: counter.unit.clone(),
            value: counter.value,
        };
        (!counters.is_empty()).then(|| Self {
            device: id.cloned().unwrap_or_else(|| nameless(address)),
            address: address.to_owned(),
            identity: Identity {
                model: known(&identity.model),
                serial: known(&identity.serial),
                mac: known(&identity.mac),
            },
            uptime_secs: reading.uptime_secs,
            values: counters.iter().map(value).collect(),
        })
    }

    fn at(&self, clock: &ClockState) -> Observation {
        Observation {
            device: self.device.clone(),
            address: self.address.clone(),
            identity: self.identity.clone(),
            moment: Moment { at: clock.now, clock_sure: !clock.is_doubted(), uptime_secs: self.uptime_secs },
            values: self.values.clone(),
        }
    }
}

/// Enters a reading into the ledger. `name` becomes the ledger's where it is the first one.
///
/// # Errors
/// [`StoreError`].
pub fn enter(
    change: &Change<'_>,
    observed: &Observed,
    settings: &LedgerSettings,
    clock: &ClockState,
    name: &str,
) -> Result<(), StoreError> {
    let observation = observed.at(clock);
    let mut line = match change.ledger_line(&observation.device)? {
        Some(line) => line,
        None => begin(change, &observation, name)?,
    };
    // While the clock is doubted no month ends; it is closed when the time is known.
    let passed = if observation.moment.clock_sure {
        settings.month_end.passed(line.open_since(clock.now), clock.now)
    } else {
        Vec::new()
    };
    let closing = Closing { passed, last_day: settings.month_end.is_last_day(clock.now) };
    let entries = line.take(&observation, change.ledger_next()?, &settings.rules, &closing);
    for finding in entries.iter().flat_map(|entry| &entry.findings) {
        tracing::warn!(
            device = observation.address,
            class = finding.class,
            review = finding.review,
            "a counter: {}",
            finding.words
        );
    }
    change.append_to_ledger(&entries, name)?;
    change.keep_ledger_line(&line, &observation.address, clock.now)
}

/// The line of a device that was never read: it goes on from who answered at its address before, or begins with what that one
/// ended with.
fn begin(change: &Change<'_>, observation: &Observation, name: &str) -> Result<Line, StoreError> {
    let Some(mut before) = change.ledger_line_at(&observation.address)? else {
        return Ok(Line::begin(observation.device.clone()));
    };
    if let Some(last) = before.settle(change.ledger_next()?) {
        change.append_to_ledger(&[last], name)?;
        change.update_ledger_line(&before)?;
    }
    let after = before.succeeded_by(observation);
    if after.goes_on() {
        change.forget_ledger_line(before.device())?;
    }
    Ok(after)
}

/// A name for a ledger that is begun.
pub(super) fn ledger_name() -> String {
    MessageId::generate(&mut crate::context::system_random).to_string()
}

/// What was seen of the untold entries at the look before.
#[derive(Debug, Default)]
struct Looks {
    last: u64,
    pressing: u32,
}

impl Looks {
    /// Whether the center has to be told now: when somebody waits and nothing more came since the last look, when there is
    /// enough for a report, or once a day.
    fn is_due(&mut self, untold: &Untold, now: Timestamp) -> bool {
        let Some((_, last)) = untold.entries.last() else { return false };
        let at_rest = std::mem::replace(&mut self.last, last.sequence) == last.sequence;
        self.pressing = if untold.pressing { self.pressing.saturating_add(1) } else { 0 };
        let full = u32::try_from(untold.entries.len()).unwrap_or(u32::MAX) >= ENTRIES_MAX;
        let old = untold.oldest.is_some_and(|at| now < at || now.duration_since(at) >= TELL_EVERY);
        full || old || (untold.pressing && (at_rest || self.pressing >= LOOKS_MAX))
    }
}

/// The report of some entries, by device, each with its last reading as far as that is known.
fn report(ledger: &str, entries: &[(DeviceId, SealedEntry)], store: &Store) -> Result<Report, StoreError> {
    let mut devices: Vec<DeviceCounters> = Vec::new();
    for (device, entry) in entries {
        let part = devices.iter_mut().find(|part| part.device.as_ref() == Some(device));
        if let Some(part) = part.and_then(|part| part.ledger.as_mut()) {
            part.entries.push(entry.clone());
            continue;
        }
        let address = entry.open().map(|entry| entry.address).unwrap_or_default();
        let here = store.device(&address)?.is_some_and(|row| row.id.as_ref() == Some(device));
        let reading = if here { store.latest_reading(&address)? } else { None };
        devices.push(DeviceCounters {
            device: Some(device.clone()),
            address: if here { address } else { String::new() },
            reading: reading.map_or(StoredReading::NotCollectedYet, |reading| StoredReading::Collected {
                at: reading.at,
                counters: reading.counters,
                supplies: reading.supplies,
            }),
            ledger: Some(LedgerPart { ledger: ledger.to_owned(), entries: vec![entry.clone()] }),
        });
    }
    Ok(Report::Counters(CountersReport { devices }))
}

impl Watch {
    /// Tells the center what the ledger holds, and forgets what is too old. Never returns.
    pub(super) async fn keep_billing(&self) {
        if let Err(error) = self.look_over_ledger().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the ledger cannot be read");
        }
        let pause = (self.context.settings.timers.fault_poll / 2).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        let mut looks = Looks::default();
        let mut forgotten: Option<Timestamp> = None;
        loop {
            if let Err(error) = self.tell_ledger(&mut looks, &mut forgotten).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the ledger could not be told");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether the chain is whole; if not, the center is told once.
    async fn look_over_ledger(&self) -> Result<(), StoreError> {
        let context = self.context.clone();
        self.store
            .read(move |store| {
                let broken = store.check_ledger()?.and_then(|state| state.broken);
                store.change(|change| match broken {
                    Some(entry) => {
                        let words = format!(
                            "entry {entry} of the ledger of counters is not what was written, or one is missing before it: \
                             somebody has changed the store, or the disk has"
                        );
                        alarm::raise(change, &context, LEDGER_BROKEN, words, context.now()).map(drop)
                    }
                    None => alarm::end(change, &context, LEDGER_BROKEN).map(drop),
                })
            })
            .await
    }

    async fn tell_ledger(
        &self,
        looks: &mut Looks,
        forgotten: &mut Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let clock = self.context.clock_state();
        let now = clock.now;
        let untold = self
            .store
            .read(|store| match store.outbox_waiting_count()? {
                0..REPORTS_WAITING_MAX => store.ledger_untold(ENTRIES_MAX),
                _ => Ok(None),
            })
            .await?;
        if let Some(untold) = untold.filter(|untold| looks.is_due(untold, now)) {
            let context = self.context.clone();
            self.store
                .read(move |store| {
                    let report = context.outgoing(report(&untold.ledger, &untold.entries, store)?, None);
                    let last = untold.entries.last().map_or(0, |(_, entry)| entry.sequence);
                    store.change(|change| {
                        change.enqueue(&report)?;
                        change.note_ledger_told(last)
                    })
                })
                .await?;
            looks.pressing = 0;
        }
        let lately = |at: Timestamp| at <= now && now.duration_since(at) < FORGET_EVERY;
        if !forgotten.is_some_and(lately) {
            *forgotten = Some(now);
            let before = clock.for_forgetting().saturating_sub(self.context.settings.ledger.kept);
            let before = before.unwrap_or(Timestamp::MIN);
            self.store.change(move |change| change.forget_ledger(before)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

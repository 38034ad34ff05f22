//! What follows from one visit to a device: pure, over what was known before, what it told and the time.

use super::billing::Observed;
use super::convert::{counters, device_id, nameless, pages, supplies, waste_is_full};
use super::pins::Pins;
use crate::device::Part;
use crate::faults::{DeviceFaults, Fault, FaultChange, FaultRules, Observation};
use crate::ledger::MonthEnd;
use crate::outbox::after;
use crate::settings::Timers;
use crate::store::{Change, DeviceRow, FaultRow, Outgoing, ReadingRow, StoreError};
use crate::supply::DeviceSupplies;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::DeviceId;
use mailfmt::message::report::{FaultClearedReport, FaultReport};
use mailfmt::{Digest, Report};
use std::sync::Arc;
use std::time::Duration;

/// A device that goes on as it was is written down again only this often, to spare the disk.
const NOTE_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// On the last day of a month the counters are collected at least this often.
const COLLECT_ON_LAST_DAY: Duration = Duration::from_secs(3600);

/// So many looks without an answer are as close together as all others; then their pauses double.
const SILENCES_SHORT: u32 = 3;

/// Longest reason kept for a device that cannot be read, in characters.
const TROUBLE_CHARS_MAX: usize = 300;

/// What a visit has to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Only whether something is wrong.
    Faults,
    /// All of it: the counters are due, or nobody knows yet who the device is.
    Everything,
}

/// What is remembered of a device between two visits; all of it can be restored from the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    address: String,
    id: Option<DeviceId>,
    mac: Option<String>,
    faults: DeviceFaults,
    rules: Arc<FaultRules>,
    supplies: DeviceSupplies,
    pins: Pins,
    month_end: MonthEnd,
    /// Whether it answered last time.
    pub answering: bool,
    visited: Option<Timestamp>,
    collected: Option<Timestamp>,
    noted: Option<Timestamp>,
    /// Visits in a row without an answer.
    silences: u32,
}

/// What one visit leads to; [`Told::write`] stores all of it in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Reports for the center.
    pub reports: Vec<Report>,
    address: String,
    note: Option<Note>,
    id: Option<DeviceId>,
    mac: Option<String>,
    episodes: Option<String>,
    supply_memory: Option<String>,
    opened: Vec<FaultRow>,
    cleared: Vec<String>,
    reading: Option<ReadingRow>,
    observed: Option<Observed>,
}

#[derive(Debug, Clone, PartialEq)]
enum Note {
    Answered,
    Silent(String),
}

impl Memory {
    /// What is known of the device at `address` after a restart. Episodes that cannot be read begin anew: better a
    /// fault reported twice than not at all.
    #[must_use]
    pub fn restore(address: &str, row: Option<DeviceRow>, collected: Option<Timestamp>) -> Self {
        let faults = row
            .as_ref()
            .and_then(|row| serde_json::from_str(&row.episodes).ok())
            .unwrap_or_else(|| DeviceFaults::new(address));
        Self {
            address: address.to_owned(),
            faults,
            rules: Arc::default(),
            supplies: DeviceSupplies::default(),
            pins: Pins::default(),
            month_end: MonthEnd::default(),
            answering: row.as_ref().is_some_and(|row| row.answering),
            mac: row.as_ref().and_then(|row| row.mac.clone()),
            id: row.and_then(|row| row.id),
            visited: None,
            collected,
            noted: None,
            silences: 0,
        }
    }

    /// Judges its faults by these rules; by the default ones otherwise.
    #[must_use]
    pub fn with_rules(self, rules: Arc<FaultRules>) -> Self {
        Self { rules, ..self }
    }

    /// Collects its counters when months end there.
    #[must_use]
    pub fn with_month_end(self, month_end: MonthEnd) -> Self {
        Self { month_end, ..self }
    }

    /// Adds what is remembered of its supplies: JSON of [`DeviceSupplies`]. What cannot be read begins anew.
    #[must_use]
    pub fn with_supplies(self, memory: Option<&str>) -> Self {
        let supplies = memory.and_then(|memory| serde_json::from_str(memory).ok()).unwrap_or_default();
        Self { supplies, ..self }
    }

    /// Adds which objects its counters were read from.
    #[must_use]
    pub(super) fn with_pins(self, pins: Pins) -> Self {
        Self { pins, ..self }
    }

    /// Which objects its counters were read from.
    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Whether it did not answer when it was last asked.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.visited.is_some() && !self.answering
    }

    /// The visit was put off: it was not asked, and is looked at again as if it had been.
    pub fn put_off(&mut self, now: Timestamp) {
        self.visited = Some(now);
    }

    /// Pause before the next look. One that does not answer may be asleep or just restarting; later it is asked less and less often.
    fn pause(&self, timers: &Timers) -> Duration {
        let longest = timers.silent_poll_max.max(timers.fault_poll);
        let doubled = self.silences.saturating_sub(SILENCES_SHORT).min(20);
        timers.fault_poll.saturating_mul(1 << doubled).min(longest)
    }

    /// Who it is, once it told.
    #[must_use]
    pub fn id(&self) -> Option<&DeviceId> {
        self.id.as_ref()
    }

    /// What the next visit has to ask for. Behind a silence anybody may stand at the address, so it is asked who is there.
    #[must_use]
    pub fn due(&self, timers: &Timers, now: Timestamp) -> Due {
        let fresh = self.collected.is_some_and(|at| at <= now && now < self.collect_again(at, timers));
        if self.id.is_some() && fresh && !self.is_silent() { Due::Faults } else { Due::Everything }
    }

    /// When counters that were collected at `at` are due again: after a while, on the last day of a month every hour, and
    /// when it ends.
    fn collect_again(&self, at: Timestamp, timers: &Timers) -> Timestamp {
        let pause = if self.month_end.is_last_day(at) {
            timers.counter_collect.min(COLLECT_ON_LAST_DAY)
        } else {
            timers.counter_collect
        };
        let again = after(at, pause);
        self.month_end.next(at).map_or(again, |end| again.min(end.at))
    }

    /// Takes in what a visit showed; `trouble` says why it showed nothing.
    #[must_use = "it has to be stored and reported"]
    pub fn take(&mut self, due: Due, observation: Observation<'_>, trouble: &str, now: Timestamp) -> Told {
        let mut told = Told {
            reports: Vec::new(),
            address: self.address.clone(),
            note: None,
            id: None,
            mac: None,
            episodes: None,
            supply_memory: None,
            opened: Vec::new(),
            cleared: Vec::new(),
            reading: None,
            observed: None,
        };
        self.visited = Some(now);
        if let (Due::Everything, Observation::Answered(reading)) = (due, observation) {
            if let Some(id) = device_id(&reading.identity)
                && self.id.as_ref() != Some(&id)
            {
                told.id = Some(id.clone());
                self.id = Some(id);
            }
            if reading.identity.mac.is_some() && self.mac != reading.identity.mac {
                self.mac.clone_from(&reading.identity.mac);
                told.mac.clone_from(&reading.identity.mac);
            }
            let counters = counters(reading);
            // Half a reading must not stand in the place of a whole one; it is asked for again at the next look.
            let usable = !counters.is_empty() || reading.is_complete(Part::Markers);
            if usable || self.collected.is_none() {
                self.collected = Some(now);
                self.pins.note(reading, now);
                let before = self.supplies.clone();
                for (row, replacement) in
                    self.supplies.observe(now, pages(reading), &reading.supplies, waste_is_full(reading))
                {
                    tracing::info!(
                        device = self.address,
                        row,
                        left = replacement.left,
                        "a supply was replaced"
                    );
                }
                if before != self.supplies {
                    told.supply_memory = serde_json::to_string(&self.supplies).ok();
                }
                let supplies = supplies(reading, &self.supplies, now);
                told.observed = Observed::of(&self.address, self.id.as_ref(), reading, &counters);
                told.reading = Some(ReadingRow { at: now, counters, supplies });
            }
        }
        let before = self.faults.clone();
        for change in self.faults.observe(observation, now, &self.rules) {
            self.report(change, &mut told);
        }
        if before != self.faults {
            told.episodes = serde_json::to_string(&self.faults).ok();
        }
        let answering = matches!(observation, Observation::Answered(_));
        let noted_lately = self.noted.is_some_and(|at| at <= now && now.duration_since(at) < NOTE_EVERY);
        if answering != self.answering || !noted_lately || !told.is_nothing() {
            self.noted = Some(now);
            told.note = Some(if answering {
                Note::Answered
            } else {
                Note::Silent(trouble.chars().take(TROUBLE_CHARS_MAX).collect())
            });
        }
        self.silences = if answering { 0 } else { self.silences.saturating_add(1) };
        self.answering = answering;
        told
    }

    fn report(&self, change: FaultChange, told: &mut Told) {
        let device = self.id.clone().unwrap_or_else(|| nameless(&self.address));
        match change {
            FaultChange::Started(fault) => {
                let episode = episode_name(&fault);
                told.opened.push(FaultRow {
                    episode: episode.clone(),
                    address: self.address.clone(),
                    class: fault.class.to_string(),
                    code: fault.code_name(),
                    description: fault.description.clone().unwrap_or_default(),
                    since: fault.since,
                });
                told.reports.push(Report::Fault(FaultReport {
                    device,
                    episode,
                    class: fault.class,
                    code: fault.code_name(),
                    group: fault.key.condition.group_name(),
                    severity: fault.severity.as_str().to_owned(),
                    description: fault.description.unwrap_or_default(),
                    since: fault.since,
                }));
            }
            FaultChange::Cleared { fault, at } => {
                let episode = episode_name(&fault);
                told.cleared.push(episode.clone());
                told.reports.push(Report::FaultCleared(FaultClearedReport { device, episode, cleared: at }));
            }
        }
    }
}

/// Names an episode: the same for its beginning and its end, different for every other one of this appliance.
fn episode_name(fault: &Fault) -> String {
    let condition = serde_json::to_vec(&fault.key.condition).unwrap_or_default();
    let since = fault.since.as_millisecond().to_be_bytes();
    let digest = Digest::of_pieces(&[fault.key.device.as_bytes(), b"\0", &condition, &since]);
    digest.to_string().chars().take(16).collect()
}

/// When to visit a device next: at the next look for faults, or when its counters are due, whichever is earlier.
#[must_use]
pub fn next_visit(memory: &Memory, timers: &Timers, now: Timestamp) -> Timestamp {
    let faults = memory.visited.filter(|at| *at <= now).map_or(now, |at| after(at, memory.pause(timers)));
    match memory.collected.map(|at| memory.collect_again(at, timers)) {
        // A device that is silent at that time is asked again at each look for faults.
        Some(counters) if counters > now => faults.min(counters),
        _ => faults,
    }
}

impl Told {
    /// What goes into the ledger.
    #[must_use]
    pub fn observed(&self) -> Option<&Observed> {
        self.observed.as_ref()
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.note.is_none()
            && self.id.is_none()
            && self.mac.is_none()
            && self.episodes.is_none()
            && self.reading.is_none()
            && self.reports.is_empty()
    }

    /// Stores everything in the transaction of `change`; `reports` are [`Told::reports`], ready to be sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write(&self, change: &Change<'_>, reports: &[Outgoing], now: Timestamp) -> Result<(), StoreError> {
        match &self.note {
            Some(Note::Answered) => change.device_answered(&self.address, now)?,
            Some(Note::Silent(trouble)) => change.device_silent(&self.address, trouble, now)?,
            None => {}
        }
        if let Some(id) = &self.id {
            change.identify_device(&self.address, id)?;
        }
        if let Some(mac) = &self.mac {
            change.keep_mac(&self.address, mac)?;
        }
        if let Some(episodes) = &self.episodes {
            change.keep_episodes(&self.address, episodes)?;
        }
        if let Some(memory) = &self.supply_memory {
            change.keep_supply_memory(&self.address, memory)?;
        }
        for fault in &self.opened {
            change.open_fault(fault)?;
        }
        for episode in &self.cleared {
            change.clear_fault(episode, now)?;
        }
        if let Some(reading) = &self.reading {
            change.store_reading(&self.address, reading)?;
        }
        for report in reports {
            change.enqueue(report)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

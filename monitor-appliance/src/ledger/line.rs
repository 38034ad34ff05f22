//! The line of one device: takes its readings in, one after the other, and says what goes into the ledger.

mod source;

use super::Rules;
use super::class::Class;
use super::epoch::{Identity, Relation};
use super::finding::Finding;
use super::judge::{Evidence, Found, Step, is_young, judge};
use super::meter::{Meter, MeterValue, Observation};
use super::month_end::{Deadline, ON_TIME};
use super::passage::{Moment, Passage, Running};
use super::snapshot::Snapshot;
use jiff::Timestamp;
use mailfmt::message::DeviceId;
use mailfmt::message::ledger::{LedgerEntry, LedgerEpoch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Meters taken from one reading; the largest machines have some hundred counts.
const METERS_MAX: usize = 256;

/// So many readings in a row are not late.
const STRAYS_MAX: u32 = 4;

/// What is remembered of a device between two readings; lies in the store as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    device: DeviceId,
    #[serde(default)]
    address: String,
    #[serde(default)]
    identity: Identity,
    #[serde(default)]
    epoch: u32,
    /// The last reading.
    #[serde(default)]
    moment: Option<Moment>,
    /// The last reading before the last restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_restart: Option<Moment>,
    /// The last reading that was passed over since it came late, and how many before it that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stray: Option<(u32, Moment)>,
    /// Counts the readings.
    #[serde(default)]
    reading: u64,
    /// The entry in which the last reading stands.
    #[serde(default)]
    entry: Option<u64>,
    /// When the last entry was made.
    #[serde(default)]
    entered: Option<Timestamp>,
    /// Whether a count has changed since then.
    #[serde(default)]
    changed: bool,
    #[serde(default)]
    began: Option<Timestamp>,
    /// The last deadline that was closed.
    #[serde(default)]
    closed: Option<Timestamp>,
    #[serde(default)]
    meters: Vec<Meter>,
    #[serde(default)]
    last_meter: u32,
    #[serde(default)]
    names: BTreeMap<String, NameState>,
    /// The meters of the machine that stood there before, until the first reading.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaces: Vec<Meter>,
}

/// What was counted under one name, over all meters that led it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameState {
    pub(super) sure: u64,
    pub(super) doubts: u32,
}

/// Which months end with a reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// Deadlines that have passed and are not closed yet, oldest first.
    pub passed: Vec<Deadline>,
    /// Whether one comes within a day.
    pub last_day: bool,
}

/// One meter's step in a reading.
struct Taken {
    old: Option<Meter>,
    new: Meter,
    step: Step,
}

impl Line {
    /// A device that was never read.
    #[must_use]
    pub fn begin(device: DeviceId) -> Self {
        Self {
            device,
            address: String::new(),
            identity: Identity::default(),
            epoch: 0,
            moment: None,
            before_restart: None,
            stray: None,
            reading: 0,
            entry: None,
            entered: None,
            changed: false,
            began: None,
            closed: None,
            meters: Vec::new(),
            last_meter: 0,
            names: BTreeMap::new(),
            replaces: Vec::new(),
        }
    }

    /// The line of a device that answers where `self` was met last: the same line, if nothing says that it is another
    /// machine; else a new one that begins with what `self` ended with.
    #[must_use]
    pub fn succeeded_by(&self, observation: &Observation) -> Self {
        if self.identity.relation(&observation.identity) == Relation::Swap {
            let replaces = self.meters.iter().filter(|meter| meter.leads).cloned().collect();
            Self { replaces, ..Self::begin(observation.device.clone()) }
        } else {
            Self { device: observation.device.clone(), ..self.clone() }
        }
    }

    /// Whether it has readings.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.moment.is_some()
    }

    /// Which device.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// What was surely counted under a name since the device was first read; `None` for a name that it never told.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<u64> {
        self.names.get(name).map(|name| name.sure)
    }

    /// Since when deadlines are to be looked for. A time that is still to come was noted by a clock that was wrong.
    #[must_use]
    pub fn open_since(&self, now: Timestamp) -> Timestamp {
        self.closed.or(self.began).filter(|at| *at <= now).unwrap_or(now)
    }

    /// Writes the last reading down, if it stands in no entry yet; `next` is the number that the entry gets.
    #[must_use = "it has to be stored"]
    pub fn settle(&mut self, next: u64) -> Option<LedgerEntry> {
        let before = self.snapshot().filter(|before| before.entry.is_none())?;
        let entry = before.entry(self, "before");
        self.written(&before, next);
        Some(entry)
    }

    /// Takes a reading in. The entries that it leads to get the numbers from `next` on.
    #[must_use = "they have to be stored"]
    pub fn take(
        &mut self,
        observation: &Observation,
        next: u64,
        rules: &Rules,
        closing: &Closing,
    ) -> Vec<LedgerEntry> {
        let before = self.snapshot();
        let now = observation.moment;
        let passage = before.as_ref().map(|before| self.passage(&before.moment, &now));
        if passage.is_some_and(|passage| passage.running == Running::Older) {
            let (run, last) = self.stray.unwrap_or((0, now));
            let goes_on = last.at < now.at && last.same_run(&now);
            self.stray = Some((if goes_on { run.saturating_add(1) } else { 0 }, now));
            return Vec::new();
        }
        self.stray = None;
        if passage.is_some_and(|passage| passage.running == Running::Restarted) {
            self.before_restart = self.moment;
        }
        let relation = match before {
            Some(_) => self.identity.relation(&observation.identity),
            None => Relation::Swap,
        };
        if relation != Relation::Same {
            self.epoch = self.epoch.saturating_add(1);
        }
        self.identity = match relation {
            Relation::Swap => observation.identity.clone(),
            _ => self.identity.with(&observation.identity),
        };
        self.reading = self.reading.saturating_add(1);
        self.address.clone_from(&observation.address);
        self.moment = Some(now);
        self.began.get_or_insert(now.at);
        self.entry = None;

        let evidence = passage.zip(before.as_ref());
        let evidence = evidence.map(|(passage, before)| (passage, before.moment, relation));
        let mut taken = self.steps(observation, evidence, rules);
        doubt_siblings(&mut taken);
        let gone = before.as_ref().is_some_and(|before| {
            let told = |old: &Meter| {
                taken.iter().any(|one| one.old.as_ref().is_some_and(|o| o.number == old.number))
            };
            before.meters.iter().any(|old| old.leads && old.reading == before.reading && !told(old))
        });
        let mut found = self.apply(taken);
        found.extend(self.change_sources(rules, now.at));
        self.forget();

        let (on_time, missed) = sort(closing, now.at);
        let mut entries = Vec::new();
        let mut number = next;
        let bracket = !found.is_empty() || gone || !missed.is_empty();
        let mut before = before;
        if let Some(before) = before.as_mut().filter(|before| bracket && before.entry.is_none()) {
            entries.push(before.entry(self, "before"));
            before.entry = Some(number);
            self.enter_meters(before.reading, number);
            number += 1;
        }
        let mode = self.mode(
            before.is_none(),
            on_time.is_some(),
            !found.is_empty(),
            !missed.is_empty(),
            closing,
            rules,
        );
        let Some((mode, after)) = mode.zip(self.snapshot()) else { return entries };
        let mut entry = after.entry(self, mode);
        entry.closes = on_time.map(|deadline| deadline.month.clone());
        let before_entry = before.as_ref().and_then(|before| before.entry);
        let before_reading = before.as_ref().map(|before| before.reading);
        entry.findings =
            found.into_iter().map(|one| one.written(before_reading, before_entry, number)).collect();
        entries.push(entry);
        self.written(&after, number);
        if let Some(before) = &before {
            for deadline in missed {
                entries.push(LedgerEntry {
                    at: deadline.at,
                    uptime_secs: None,
                    closes: Some(deadline.month.clone()),
                    between: Some((before.entry.unwrap_or_default(), number)),
                    meters: before.estimate(&after, deadline.at),
                    ..before.entry(self, "estimate")
                });
            }
        }
        if let Some(deadline) = closing.passed.last() {
            self.closed = Some(deadline.at);
        }
        entries
    }

    /// What passed since the last reading. One that comes late is older; but where many go on from each other, it was the clock that
    /// was set.
    fn passage(&self, before: &Moment, now: &Moment) -> Passage {
        let passage = Passage::between(before, now);
        let of_earlier_run =
            now.at < before.booted() && self.before_restart.is_some_and(|earlier| earlier.same_run(now));
        let late = of_earlier_run || passage.running == Running::Older;
        let goes_on =
            |(run, stray): (u32, Moment)| run >= STRAYS_MAX && stray.at < now.at && stray.same_run(now);
        if late && self.stray.is_some_and(goes_on) {
            let doubted = |moment: &Moment| Moment { clock_sure: false, ..*moment };
            return Passage::between(&doubted(before), &doubted(now));
        }
        if late { Passage { running: Running::Older, ..passage } } else { passage }
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let identity = self.identity.clone();
        Some(Snapshot {
            moment: self.moment?,
            epoch: LedgerEpoch {
                number: self.epoch,
                serial: identity.serial,
                mac: identity.mac,
                model: identity.model,
            },
            address: self.address.clone(),
            reading: self.reading,
            meters: self.meters.clone(),
            names: self.names.clone(),
            entry: self.entry,
        })
    }

    /// Why a reading gets an entry; `None` if it gets none.
    fn mode(
        &self,
        first: bool,
        on_time: bool,
        flagged: bool,
        missed: bool,
        closing: &Closing,
        rules: &Rules,
    ) -> Option<&'static str> {
        let now = self.moment?.at;
        let long_ago = || self.entered.is_none_or(|at| now < at || now.duration_since(at) >= rules.every);
        match () {
            () if on_time => Some("month-end"),
            () if first => Some("first"),
            () if flagged => Some("flagged"),
            () if missed => Some("routine"),
            () if closing.last_day && self.changed => Some("last-day"),
            () if long_ago() => Some("routine"),
            () => None,
        }
    }

    fn written(&mut self, snapshot: &Snapshot, number: u64) {
        self.enter_meters(snapshot.reading, number);
        self.entry = Some(number);
        self.entered = Some(snapshot.moment.at);
        self.changed = false;
    }

    fn enter_meters(&mut self, reading: u64, number: u64) {
        for meter in self.meters.iter_mut().filter(|meter| meter.reading == reading) {
            meter.entry = Some(number);
        }
        let believed = self.meters.iter_mut().filter_map(|meter| meter.believed.as_mut());
        for believed in believed.filter(|believed| believed.reading == reading) {
            believed.point.entry = number;
        }
    }

    /// Judges every count of a reading.
    fn steps(
        &mut self,
        observation: &Observation,
        evidence: Option<(Passage, Moment, Relation)>,
        rules: &Rules,
    ) -> Vec<Taken> {
        let mut taken: Vec<Taken> = Vec::new();
        let identified = self.identity.is_unique();
        for value in observation.values.iter().filter(|value| value.is_meter()).take(METERS_MAX) {
            if taken.iter().any(|one| one.new.reads(value, self.epoch)) {
                continue;
            }
            let since_power_on = observation.since_power_on(value);
            let (old, mut step) = match evidence {
                None => (None, self.first_step(value)),
                Some((passage, before, relation)) => {
                    let now = observation.moment;
                    let evidence = Evidence { passage, before, now, identified, since_power_on };
                    self.later_step(value, &evidence, relation, rules)
                }
            };
            let new = self.renewed(old.as_ref(), value, &step, since_power_on, observation.moment, &taken);
            // Beside the meter that leads nothing is found: it does not count.
            if !new.leads {
                step.found = None;
            }
            taken.push(Taken { old, new, step });
        }
        taken
    }

    fn first_step(&self, value: &MeterValue) -> Step {
        let replaced = self.replaces.iter().find(|old| old.name == value.name);
        let found = replaced.and_then(|old| {
            let words = format!(
                "another machine stands here since: the one before had {} when it was read last; what it counted after that nobody knows",
                old.value
            );
            Found::review(Class::Swap, None, words)
        });
        Step { sure: 0, high: value.value, believed: None, found }
    }

    fn later_step(
        &self,
        value: &MeterValue,
        evidence: &Evidence,
        relation: Relation,
        rules: &Rules,
    ) -> (Option<Meter>, Step) {
        let opened = Step { sure: 0, high: value.value, believed: None, found: None };
        if let Some(known) = self.meters.iter().find(|meter| meter.reads(value, self.epoch)).cloned() {
            let step = judge(&known, value.value, evidence, rules);
            return (Some(known), step);
        }
        let of_name = |meter: &&Meter| meter.leads && meter.name == value.name && meter.epoch != self.epoch;
        let Some(old) = self.meters.iter().find(of_name).cloned() else { return (None, opened) };
        // A count that its machine's first reading did not tell: nobody knows any more what it had then.
        let relation = if relation == Relation::Same { Relation::Swap } else { relation };
        let step = if old.reads(value, old.epoch) {
            let judged = judge(&old, value.value, evidence, rules);
            over_epochs(&old, value.value, judged, evidence, relation, rules)
        } else {
            let words = format!(
                "read from {} since the machine or its board is another one, before from {}",
                value.source, old.source
            );
            Step { found: Found::review(Class::Source, None, words), ..opened }
        };
        (Some(old), step)
    }

    /// The meter after its step.
    fn renewed(
        &mut self,
        old: Option<&Meter>,
        value: &MeterValue,
        step: &Step,
        since_power_on: Option<u64>,
        now: Moment,
        taken: &[Taken],
    ) -> Meter {
        let (number, sure, leads, beside, alone_since) = match old.filter(|old| old.epoch == self.epoch) {
            Some(old) => {
                (old.number, old.sure.saturating_add(step.sure), old.leads, old.beside, old.alone_since)
            }
            None => {
                self.last_meter = self.last_meter.saturating_add(1);
                let led =
                    |meter: &Meter| meter.leads && meter.name == value.name && meter.epoch == self.epoch;
                let leads = !self.meters.iter().any(led) && !taken.iter().any(|one| led(&one.new));
                (self.last_meter, 0, leads, None, None)
            }
        };
        Meter {
            number,
            name: value.name.clone(),
            source: value.source.clone(),
            unit: value.unit.clone(),
            epoch: self.epoch,
            value: value.value,
            at: now.at,
            reading: self.reading,
            entry: None,
            high: step.high,
            sure,
            leads,
            since_power_on,
            believed: step.believed.clone(),
            beside,
            alone_since,
        }
    }

    /// Takes the steps over; what was found is kept for the entry.
    fn apply(&mut self, taken: Vec<Taken>) -> Vec<Finding> {
        let mut found = Vec::new();
        let opened: Vec<u32> = taken
            .iter()
            .filter(|one| !one.new.leads && one.old.as_ref().is_none_or(|old| old.epoch != self.epoch))
            .map(|one| one.new.number)
            .collect();
        for Taken { old, new, step } in taken {
            self.changed |= old.as_ref().is_none_or(|old| old.value != new.value);
            let name = self.names.entry(new.name.clone()).or_default();
            if new.leads {
                name.sure = name.sure.saturating_add(step.sure);
                if let Some(one) = step.found {
                    name.doubts = name.doubts.saturating_add(u32::from(one.review));
                    let from = old.or_else(|| self.replaces.iter().find(|old| old.name == new.name).cloned());
                    found.push(Finding::of_step(from.as_ref(), &new, step.sure, one));
                }
            }
            self.meters.retain(|meter| meter.number != new.number);
            self.meters.push(new);
        }
        self.replaces.clear();
        let led: BTreeSet<String> =
            self.current().filter(|meter| meter.leads).map(|meter| meter.name.clone()).collect();
        // What led a name stays until another meter leads it.
        self.meters.retain(|meter| meter.epoch == self.epoch || (meter.leads && !led.contains(&meter.name)));
        found.extend(opened.into_iter().filter_map(|number| self.opened_beside(number)));
        found
    }
}

/// A step from one epoch to the next.
fn over_epochs(
    old: &Meter,
    value: u64,
    judged: Step,
    evidence: &Evidence,
    relation: Relation,
    rules: &Rules,
) -> Step {
    let ran_on = evidence.passage.running == Running::On;
    let believable = judged.found.as_ref().is_none_or(|found| !found.review);
    let (class, words) = match relation {
        Relation::Board => (Class::Board, "the same machine with another hardware address"),
        Relation::Learned => (Class::Named, "it told for the first time who it is"),
        Relation::Swap | Relation::Same => (Class::Swap, "another machine, by its serial number or model"),
    };
    let words = format!("{words}; before {}, after {value}", old.value);
    let stood_still = value == old.value && !is_young(value, &evidence.passage, rules);
    let same = relation != Relation::Swap && (ran_on || stood_still);
    if same && believable {
        return Step { found: Found::noted(class, words), ..judged };
    }
    let proposed = match &judged.found {
        // The judgement on one machine says nothing of two.
        _ if relation == Relation::Swap && !ran_on => None,
        Some(found) if found.review => found.proposed,
        _ => Some(judged.sure),
    };
    Step { sure: 0, high: value, believed: None, found: Found::review(class, proposed, words) }
}

/// Where one meter was reset, the others may have been as well, and have only come far enough since.
fn doubt_siblings(taken: &mut [Taken]) {
    let is_reset = |one: &Taken| one.step.found.as_ref().is_some_and(|found| found.class == Class::Reset);
    if !taken.iter().any(is_reset) {
        return;
    }
    for one in taken.iter_mut().filter(|one| one.step.sure > 0) {
        let sure = std::mem::take(&mut one.step.sure);
        let words = format!("it rose by {sure} while another meter of the machine was reset");
        one.step.found = Found::review(Class::Doubted, Some(sure), words);
        one.new.sure = one.new.sure.saturating_sub(sure);
    }
}

/// Which deadline this reading is in time for, and which were missed.
fn sort(closing: &Closing, now: Timestamp) -> (Option<&Deadline>, Vec<&Deadline>) {
    let in_time = |deadline: &Deadline| now.duration_since(deadline.at) <= ON_TIME;
    let on_time = closing.passed.last().filter(|deadline| in_time(deadline));
    let missed = closing.passed.iter().filter(|deadline| !in_time(deadline)).collect();
    (on_time, missed)
}

//! The episodes of one device, and what an observation makes of them.

use super::evidence::{Evidence, Seen, evidence, has_telling_row};
use super::flapping::Starts;
use super::recurrence::{Buckets, pages};
use super::{Condition, Fault, FaultChange, FaultClass, FaultKey, FaultRules, Observation, Severity};
use crate::device::Reading;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Most open faults kept of one device; a device that invents more is not followed further.
pub const OPEN_MAX: usize = 512;

/// How long a doubtful bit must stand before it counts.
const DOUBT: SignedDuration = SignedDuration::from_mins(30);

/// Everything remembered of one device's faults between two polls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceFaults {
    device: String,
    open: Vec<Standing>,
    missed_polls: u32,
    /// Once a device has shown a row that says something, its table is the authority and its error bits are not.
    has_alert_rows: bool,
    #[serde(skip_serializing_if = "Buckets::is_empty", default)]
    recurring: Buckets,
    #[serde(skip_serializing_if = "Starts::is_empty", default)]
    starts: Starts,
    /// Doubtful conditions, and since when each stands.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    doubtful: Vec<(Condition, Timestamp)>,
}

/// An open episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Standing {
    #[serde(flatten)]
    fault: Fault,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    family: Option<String>,
    /// It is part of a recurring fault and not reported by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    quiet: bool,
    /// It is gone since then; held because it came and went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    gone: Option<Timestamp>,
}

impl DeviceFaults {
    /// A device of which nothing is known yet. `device` is the caller's name for it.
    #[must_use]
    pub fn new(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            open: Vec::new(),
            missed_polls: 0,
            has_alert_rows: false,
            recurring: Buckets::default(),
            starts: Starts::default(),
            doubtful: Vec::new(),
        }
    }

    /// The open episodes that were reported, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Fault> {
        self.open.iter().filter(|standing| !standing.quiet).map(|standing| &standing.fault)
    }

    /// How many polls in a row the device has missed.
    #[must_use]
    pub fn missed_polls(&self) -> u32 {
        self.missed_polls
    }

    /// Takes one observation and returns what changed, ends first.
    ///
    /// A silent device keeps its open faults: silence is evidence of nothing but silence. So does a device whose
    /// part could not be read to the end, as far as that part is concerned.
    #[must_use = "each change has to be reported"]
    pub fn observe(
        &mut self,
        observation: Observation<'_>,
        now: Timestamp,
        rules: &FaultRules,
    ) -> Vec<FaultChange> {
        match observation {
            Observation::Missed => self.miss(now, rules),
            Observation::Answered(reading) => self.answer(reading, now, rules),
        }
    }

    fn miss(&mut self, now: Timestamp, rules: &FaultRules) -> Vec<FaultChange> {
        self.missed_polls = self.missed_polls.saturating_add(1);
        if self.missed_polls < rules.missed_polls.max(1) {
            return Vec::new();
        }
        let silent = Seen {
            condition: Condition::NotAnswering,
            class: FaultClass::UserClearable,
            severity: Severity::Critical,
            training: None,
            description: None,
            family: None,
            doubtful: false,
        };
        let mut changes = Vec::new();
        self.start(silent, now, rules, &mut changes);
        changes
    }

    fn answer(&mut self, reading: &Reading, now: Timestamp, rules: &FaultRules) -> Vec<FaultChange> {
        self.missed_polls = 0;
        self.has_alert_rows |= has_telling_row(reading, rules);
        let mut evidence = evidence(reading, self.has_alert_rows, rules);
        self.settle_doubts(&mut evidence.seen, now);
        let pages = pages(reading);
        let rising = self.rising(&evidence);

        let mut changes = Vec::new();
        self.clear(&evidence, now, rules, &mut changes);
        for family in self.recurring.leak(pages, now, &rules.recurrence) {
            let over = Condition::Recurring { family };
            close(&mut self.open, now, &mut changes, |standing| standing.fault.key.condition == over);
        }
        for family in &rising {
            self.recurring.add(family, pages, now, &rules.recurrence);
        }
        for seen in evidence.seen {
            self.start(seen, now, rules, &mut changes);
        }
        for (family, description) in self.recurring.calling(pages, now, &rules.recurrence) {
            let calling =
                Seen::technician(Condition::Recurring { family }, Severity::Warning, Some(description));
            self.start(calling, now, rules, &mut changes);
        }
        for lasting in self.lasting(now, rules) {
            self.start(lasting, now, rules, &mut changes);
        }
        changes
    }

    /// Leaves out what is in doubt and has not stood for long.
    fn settle_doubts(&mut self, seen: &mut Vec<Seen>, now: Timestamp) {
        self.doubtful.retain(|(condition, _)| seen.iter().any(|seen| seen.condition == *condition));
        let open = &self.open;
        seen.retain(|seen| {
            if !seen.doubtful || open.iter().any(|open| open.fault.key.condition == seen.condition) {
                return true;
            }
            match self.doubtful.iter().find(|(condition, _)| *condition == seen.condition) {
                Some((_, since)) => now.duration_since(*since) >= DOUBT,
                None => {
                    self.doubtful.push((seen.condition.clone(), now));
                    false
                }
            }
        });
    }

    /// The families of which one more came. One jam may show as several rows, and is one jam.
    fn rising(&self, evidence: &Evidence) -> Vec<String> {
        let mut families: Vec<String> = Vec::new();
        for seen in &evidence.seen {
            let there = |standing: &Standing| {
                standing.fault.key.condition == seen.condition && standing.gone.is_none()
            };
            if let Some(family) = &seen.family
                && !self.open.iter().any(there)
                && !families.contains(family)
            {
                families.push(family.clone());
            }
        }
        families
    }

    /// Ends the open episodes that are not seen any more, as far as the evidence goes.
    fn clear(
        &mut self,
        evidence: &Evidence,
        now: Timestamp,
        rules: &FaultRules,
        changes: &mut Vec<FaultChange>,
    ) {
        let starts = &self.starts;
        for standing in &mut self.open {
            let condition = &standing.fault.key.condition;
            if evidence.seen.iter().any(|seen| seen.condition == *condition) {
                standing.gone = None;
            } else if evidence.shows_end_of(condition) {
                standing.gone.get_or_insert(now);
            }
        }
        close(&mut self.open, now, changes, |standing| {
            let (Some(gone), condition) = (standing.gone, &standing.fault.key.condition) else {
                return false;
            };
            let held = !standing.quiet && starts.are_many(condition, standing.fault.since, &rules.flapping);
            !held || now.duration_since(gone) >= rules.flapping.cooldown
        });
        // What lasts is over with what it is about.
        let still = |of: &Condition, open: &[Standing]| {
            open.iter().any(|other| other.fault.key.condition == *of && other.gone.is_none())
        };
        let ended: Vec<Condition> = self
            .open
            .iter()
            .filter_map(|standing| match &standing.fault.key.condition {
                Condition::Lasting { of } if !still(of, &self.open) => {
                    Some(standing.fault.key.condition.clone())
                }
                _ => None,
            })
            .collect();
        close(&mut self.open, now, changes, |standing| ended.contains(&standing.fault.key.condition));
    }

    /// Opens an episode that is not open yet. One more of what has been called in already is not reported by itself.
    fn start(&mut self, seen: Seen, now: Timestamp, rules: &FaultRules, changes: &mut Vec<FaultChange>) {
        let key = FaultKey { device: self.device.clone(), condition: seen.condition };
        if self.open.len() >= OPEN_MAX || self.open.iter().any(|open| open.fault.key == key) {
            return;
        }
        let quiet = seen.family.as_ref().is_some_and(|family| self.is_called_in(family));
        let fault = Fault {
            name: key.condition.name(&rules.classes),
            key,
            class: seen.class,
            severity: seen.severity,
            training: seen.training,
            description: seen.description,
            since: now,
        };
        if !quiet {
            self.starts.note(&fault.key.condition, now, &rules.flapping);
            changes.push(FaultChange::Started(fault.clone()));
        }
        self.open.push(Standing { fault, family: seen.family, quiet, gone: None });
    }

    fn is_called_in(&self, family: &str) -> bool {
        let called = |condition: &Condition| matches!(condition, Condition::Recurring { family: known } if known == family);
        self.recurring.follow(family)
            && self.open.iter().any(|standing| called(&standing.fault.key.condition))
    }

    /// What somebody could have cleared, and nobody did.
    fn lasting(&self, now: Timestamp, rules: &FaultRules) -> Vec<Seen> {
        if rules.lasting_minutes == 0 {
            return Vec::new();
        }
        let lasts = |standing: &&Standing| {
            let Some(family) =
                standing.family.as_ref().filter(|_| !standing.quiet && standing.gone.is_none())
            else {
                return false;
            };
            !self.is_called_in(family)
                && rules.attended.reaches(standing.fault.since, now, rules.lasting_minutes)
        };
        let report = |standing: &Standing| {
            let of = Box::new(standing.fault.key.condition.clone());
            let text = standing.fault.description.clone();
            Seen::technician(Condition::Lasting { of }, standing.fault.severity, text)
        };
        self.open.iter().filter(lasts).map(report).collect()
    }
}

/// Takes out the episodes that are over; what was reported is reported as over.
fn close(
    open: &mut Vec<Standing>,
    now: Timestamp,
    changes: &mut Vec<FaultChange>,
    over: impl Fn(&Standing) -> bool,
) {
    for standing in open.extract_if(.., |standing| over(standing)) {
        if !standing.quiet {
            changes.push(FaultChange::Cleared { fault: standing.fault, at: standing.gone.unwrap_or(now) });
        }
    }
}

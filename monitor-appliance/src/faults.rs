//! Fault episodes: from what a device shows now and what was open before, to what started and what is over.
//!
//! Pure: the caller reads the device, passes the time, stores [`DeviceFaults`] together with the reports that the
//! changes lead to, and so reports each episode once when it starts and once when it is over.
//!
//! ```text
//!            row or bit seen                     answered without it
//!  (none) ------------------> open, Started ------------------------> (none), Cleared
//!                               |      ^
//!                               +------+  seen again, device silent, or its part not read to the end
//! ```

mod class_table;
mod classes;

pub use class_table::{CLASSES_MODULE, ClassTableError, FaultClasses};
pub use classes::{Assessment, alert_name, classify};
pub use mailfmt::message::FaultClass;

use crate::device::{
    Alert, AlertGroup, AlertSeverity, AlertTraining, DetectedErrors, ErrorBit, Part, Reading,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most open faults kept of one device; a device that invents more is not followed further.
pub const OPEN_MAX: usize = 512;

/// What tells one fault of a device from another, whatever row number the device gives it.
///
/// The alert's row index is not part of it: it starts again from 1 when the device restarts (RFC 3805
/// `prtAlertIndex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Condition {
    /// A row of the alert table. What the row does not tell is -2, the MIB's own "unknown".
    Alert {
        /// `prtAlertCode`.
        code: i32,
        /// `prtAlertGroup`.
        group: i32,
        /// `prtAlertGroupIndex`.
        group_index: i32,
        /// `prtAlertLocation`.
        location: i32,
    },
    /// An error bit of a device that has no alert rows.
    ErrorBit {
        /// Which bit.
        bit: ErrorBit,
    },
    /// The device has missed several polls in a row.
    NotAnswering,
}

impl Condition {
    /// The condition of an alert row.
    fn of_alert(alert: &Alert) -> Self {
        const UNKNOWN: i32 = -2;
        Self::Alert {
            code: alert.code.unwrap_or(UNKNOWN),
            group: alert.group.map_or(UNKNOWN, AlertGroup::number),
            group_index: alert.group_index.unwrap_or(UNKNOWN),
            location: alert.location.unwrap_or(UNKNOWN),
        }
    }

    /// Its name, such as `jam`, `low-toner` or `not-answering`.
    #[must_use]
    pub fn code_name(&self) -> String {
        match self {
            Self::Alert { code, .. } => alert_name(*code),
            Self::ErrorBit { bit } => bit.name().to_owned(),
            Self::NotAnswering => "not-answering".to_owned(),
        }
    }

    /// The part of the device it is about, such as `media-path`; `general-printer` where none is told.
    #[must_use]
    pub fn group_name(&self) -> String {
        match self {
            Self::Alert { group, .. } => AlertGroup::from_number(*group).to_string(),
            Self::ErrorBit { .. } | Self::NotAnswering => AlertGroup::GeneralPrinter.to_string(),
        }
    }
}

/// How grave a fault is: whether the device goes on working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It goes on working.
    Warning,
    /// It has stopped, or part of it has.
    Critical,
}

impl Severity {
    /// The name as stored and reported.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The key of an episode among all devices: at most one episode per key is open at any time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultKey {
    /// The caller's name for the device.
    pub device: String,
    /// What is wrong with it.
    pub condition: Condition,
}

/// One episode of a fault, as it was when it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fault {
    /// Device and condition.
    pub key: FaultKey,
    /// Who has to act.
    pub class: FaultClass,
    /// How grave it is.
    pub severity: Severity,
    /// Who can clear it, where the device tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training: Option<AlertTraining>,
    /// The device's own text, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// When it was first seen.
    pub since: Timestamp,
}

/// What changed with one observation. What is not mentioned is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultChange {
    /// An episode began.
    Started(Fault),
    /// An episode is over.
    Cleared {
        /// The episode.
        fault: Fault,
        /// When it was first seen gone.
        at: Timestamp,
    },
}

/// What one poll of a device showed.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// It answered.
    Answered(&'a Reading),
    /// It did not answer, or nothing that could be used.
    Missed,
}

/// Settings of the fault rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRules {
    /// So many missed polls in a row are a fault of their own; at least 1. Default 3: with the usual minute between
    /// polls a device may restart without a report.
    pub missed_polls: u32,
}

impl Default for FaultRules {
    fn default() -> Self {
        Self { missed_polls: 3 }
    }
}

/// Everything remembered of one device's faults between two polls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceFaults {
    device: String,
    open: Vec<Fault>,
    missed_polls: u32,
    /// Once a device has shown a row that says something, its table is the authority and its error bits are not.
    has_alert_rows: bool,
}

impl DeviceFaults {
    /// A device of which nothing is known yet. `device` is the caller's name for it.
    #[must_use]
    pub fn new(device: impl Into<String>) -> Self {
        Self { device: device.into(), open: Vec::new(), missed_polls: 0, has_alert_rows: false }
    }

    /// The open episodes, oldest first.
    #[must_use]
    pub fn open(&self) -> &[Fault] {
        &self.open
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
            Observation::Answered(reading) => self.answer(reading, now),
        }
    }

    fn miss(&mut self, now: Timestamp, rules: &FaultRules) -> Vec<FaultChange> {
        self.missed_polls = self.missed_polls.saturating_add(1);
        if self.missed_polls < rules.missed_polls.max(1) {
            return Vec::new();
        }
        let silent = self.fault(Condition::NotAnswering, FaultClass::UserClearable, Severity::Critical, now);
        self.start(vec![silent])
    }

    fn answer(&mut self, reading: &Reading, now: Timestamp) -> Vec<FaultChange> {
        self.missed_polls = 0;
        self.has_alert_rows |=
            reading.alerts.iter().any(|alert| alert.code.is_some_and(|code| FaultClasses::built_in().says_something(code)));
        let mut seen: Vec<Fault> =
            reading.alerts.iter().filter_map(|alert| self.alert_fault(alert, now)).collect();
        if !self.has_alert_rows {
            let bits: DetectedErrors = reading
                .status
                .iter()
                .filter_map(|printer| printer.errors)
                .flat_map(DetectedErrors::iter)
                .collect();
            seen.extend(bits.iter().filter_map(|bit| self.bit_fault(bit, now)));
        }
        let alerts_known = reading.is_complete(Part::Alerts);
        let bits_known = reading.is_complete(Part::Status) || self.has_alert_rows;
        let mut changes = self.clear(
            now,
            |condition| match condition {
                Condition::Alert { .. } => alerts_known,
                Condition::ErrorBit { .. } => bits_known,
                Condition::NotAnswering => true,
            },
            &seen,
        );
        changes.extend(self.start(seen));
        changes
    }

    /// Ends the open episodes that are not seen any more, as far as `may_end` allows.
    fn clear(
        &mut self,
        now: Timestamp,
        may_end: impl Fn(&Condition) -> bool,
        seen: &[Fault],
    ) -> Vec<FaultChange> {
        let over = |fault: &mut Fault| {
            may_end(&fault.key.condition) && seen.iter().all(|other| other.key != fault.key)
        };
        self.open.extract_if(.., over).map(|fault| FaultChange::Cleared { fault, at: now }).collect()
    }

    /// Opens those episodes that are not open yet; of several rows for one condition the first counts.
    fn start(&mut self, seen: Vec<Fault>) -> Vec<FaultChange> {
        let mut changes = Vec::new();
        for fault in seen {
            if self.open.len() < OPEN_MAX && self.open.iter().all(|open| open.key != fault.key) {
                self.open.push(fault.clone());
                changes.push(FaultChange::Started(fault));
            }
        }
        changes
    }

    fn alert_fault(&self, alert: &Alert, now: Timestamp) -> Option<Fault> {
        let class = classify(alert)?;
        let severity = match alert.severity {
            Some(AlertSeverity::Critical) => Severity::Critical,
            _ => Severity::Warning,
        };
        let fault = self.fault(Condition::of_alert(alert), class, severity, now);
        Some(Fault { training: alert.training, description: alert.description.clone(), ..fault })
    }

    fn bit_fault(&self, bit: ErrorBit, now: Timestamp) -> Option<Fault> {
        let Assessment { class, severity, .. } = FaultClasses::built_in().bit(bit)?;
        Some(self.fault(Condition::ErrorBit { bit }, class, severity, now))
    }

    fn fault(&self, condition: Condition, class: FaultClass, severity: Severity, since: Timestamp) -> Fault {
        let key = FaultKey { device: self.device.clone(), condition };
        Fault { key, class, severity, training: None, description: None, since }
    }
}

#[cfg(test)]
mod tests;

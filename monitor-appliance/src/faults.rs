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
//!
//! Three rules keep a device that misbehaves from raising a report for each time (`rules`): what comes and goes within minutes is
//! one episode until it has stayed away for a while; what comes again and again is a technician's matter, with an episode
//! of its own that stands for all of them; so is what somebody could have cleared and nobody did.

mod attended;
mod class_table;
mod classes;
mod episodes;
mod evidence;
mod flapping;
mod recurrence;

pub use attended::Attended;
pub use class_table::{CLASSES_MODULE, ClassTableError, FaultClasses};
pub use classes::{Assessment, alert_name, classify};
pub use episodes::{DeviceFaults, OPEN_MAX};
pub use flapping::FlapRule;
pub use mailfmt::message::FaultClass;
pub use recurrence::RecurrenceRule;

use crate::device::{Alert, AlertGroup, AlertTraining, ErrorBit, Reading};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What tells one fault of a device from another, whatever row number the device gives it.
///
/// The alert's row index is not part of it: it starts again from 1 when the device restarts (RFC 3805
/// `prtAlertIndex`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The maker's own code for a fault, told outside the alert table.
    ServiceCode {
        /// As the maker's manuals write it, such as `SC542`.
        code: String,
    },
    /// A keyword of `printer-state-reasons` of a device that is read by IPP.
    Reason {
        /// In lower case, without its suffix, such as `media-jam`.
        keyword: String,
    },
    /// A status code of a device of which only PJL tells what is wrong.
    Pjl {
        /// The code, such as 40021.
        code: u32,
    },
    /// The device has missed several polls in a row.
    NotAnswering,
    /// Faults of one family come again and again, such as jams.
    Recurring {
        /// What comes again, such as `jam`.
        family: String,
    },
    /// A fault that somebody could have cleared, and nobody did.
    Lasting {
        /// The fault.
        of: Box<Condition>,
    },
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

    /// Its name, such as `jam`, `low-toner`, `not-answering` or `recurring-jam`.
    #[must_use]
    pub fn name(&self, classes: &FaultClasses) -> String {
        match self {
            Self::Alert { code, .. } => classes.alert_name(*code),
            Self::ErrorBit { bit } => bit.name().to_owned(),
            Self::ServiceCode { code } => code.clone(),
            Self::Reason { keyword } => keyword.clone(),
            Self::Pjl { code } => classes.pjl_name(*code),
            Self::NotAnswering => "not-answering".to_owned(),
            Self::Recurring { family } => format!("recurring-{family}"),
            Self::Lasting { of } => format!("lasting-{}", of.name(classes)),
        }
    }

    /// Its name by the built-in table; see [`Condition::name`].
    #[must_use]
    pub fn code_name(&self) -> String {
        self.name(&FaultClasses::built_in())
    }

    /// The part of the device it is about, such as `media-path`; `general-printer` where none is told.
    #[must_use]
    pub fn group_name(&self) -> String {
        match self {
            Self::Alert { group, .. } => AlertGroup::from_number(*group).to_string(),
            Self::Lasting { of } => of.group_name(),
            Self::ErrorBit { .. }
            | Self::ServiceCode { .. }
            | Self::Reason { .. }
            | Self::Pjl { .. }
            | Self::NotAnswering
            | Self::Recurring { .. } => AlertGroup::GeneralPrinter.to_string(),
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
    /// Its name by the class table of that time; empty if an older version wrote it.
    #[serde(default)]
    name: String,
    /// Who has to act.
    pub class: FaultClass,
    /// How grave it is.
    pub severity: Severity,
    /// Who can clear it, where the device tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training: Option<AlertTraining>,
    /// The device's own text, where it tells one; of a recurring fault, how often it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Fault {
    /// Its name, such as `jam`, `low-toner`, `not-answering` or `recurring-jam`.
    #[must_use]
    pub fn code_name(&self) -> String {
        if self.name.is_empty() { self.key.condition.code_name() } else { self.name.clone() }
    }
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
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRules {
    /// So many missed polls in a row are a fault of their own; at least 1. Default 3: with the usual minute between
    /// polls a device may restart without a report.
    pub missed_polls: u32,
    /// Whose matter each condition is. Default: the built-in table.
    pub classes: Arc<FaultClasses>,
    /// When faults that come again and again are a technician's matter.
    pub recurrence: RecurrenceRule,
    /// After so many minutes in which somebody was there, a fault of a kind that can recur is a technician's matter; 0 for never.
    /// Default 30.
    pub lasting_minutes: u32,
    /// When somebody is there.
    pub attended: Attended,
    /// When a fault that comes and goes is held as one episode.
    pub flapping: FlapRule,
}

impl Default for FaultRules {
    fn default() -> Self {
        Self {
            missed_polls: 3,
            classes: FaultClasses::built_in(),
            recurrence: RecurrenceRule::default(),
            lasting_minutes: 30,
            attended: Attended::default(),
            flapping: FlapRule::default(),
        }
    }
}

#[cfg(test)]
mod tests;

//! What one reading shows: the conditions in it, each with whose matter it is, and which of them it could not show.

use super::{Condition, FaultRules, Severity};
use crate::device::{Alert, AlertTraining, DetectedErrors, Part, Reading};
use mailfmt::message::FaultClass;

/// One condition that a reading shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) condition: Condition,
    pub(super) class: FaultClass,
    pub(super) severity: Severity,
    pub(super) training: Option<AlertTraining>,
    pub(super) description: Option<String>,
    /// What it is one more of, where that matters.
    pub(super) family: Option<String>,
    /// It counts only after it has lasted.
    pub(super) doubtful: bool,
}

/// All that a reading shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    /// Each condition once.
    pub(super) seen: Vec<Seen>,
    /// Whether a row that is not there is gone.
    pub(super) alerts_known: bool,
    /// Whether a bit that is not set counts as gone.
    pub(super) bits_known: bool,
}

/// Whether a row says something of its own.
pub(super) fn has_telling_row(reading: &Reading, rules: &FaultRules) -> bool {
    let says = |alert: &Alert| alert.code.is_some_and(|code| rules.classes.says_something(code));
    reading.alerts.iter().any(says)
}

/// What `reading` shows. A device whose rows say something is not heard a second time by its bits.
pub(super) fn evidence(reading: &Reading, rows_speak: bool, rules: &FaultRules) -> Evidence {
    let mut found = Evidence {
        seen: Vec::new(),
        alerts_known: reading.is_complete(Part::Alerts),
        bits_known: reading.is_complete(Part::Status) || rows_speak,
    };
    for alert in &reading.alerts {
        let Some(assessment) = rules.classes.alert(alert) else { continue };
        found.add(Seen {
            condition: Condition::of_alert(alert),
            class: assessment.class,
            severity: assessment.severity,
            training: alert.training,
            description: alert.description.clone(),
            family: assessment.family,
            doubtful: assessment.doubtful,
        });
    }
    if !rows_speak {
        let errors = reading.status.iter().filter_map(|printer| printer.errors);
        let bits: DetectedErrors = errors.flat_map(DetectedErrors::iter).collect();
        for bit in bits.iter() {
            let Some(assessment) = rules.classes.bit(bit) else { continue };
            found.add(Seen {
                condition: Condition::ErrorBit { bit },
                class: assessment.class,
                severity: assessment.severity,
                training: None,
                description: None,
                family: assessment.family,
                doubtful: assessment.doubtful,
            });
        }
    }
    found
}

impl Evidence {
    /// Of several rows for one condition the first counts.
    fn add(&mut self, seen: Seen) {
        if self.seen.iter().all(|known| known.condition != seen.condition) {
            self.seen.push(seen);
        }
    }
}

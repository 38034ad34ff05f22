//! What one reading shows: the conditions in it, each with whose matter it is, and which of them it could not show.
//!
//! The maker's own service code goes before all else. Then the alert rows; where none says anything, the error bits; where SNMP
//! tells neither, the state reasons of IPP, and at last the status code of PJL.

use super::classes::Assessment;
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

impl Seen {
    /// A condition of which nothing but its class is known.
    fn bare(condition: Condition, assessment: Assessment) -> Self {
        let Assessment { class, severity, family, doubtful } = assessment;
        Self { condition, class, severity, training: None, description: None, family, doubtful }
    }

    /// A condition that calls a technician.
    pub(super) fn technician(condition: Condition, severity: Severity, description: Option<String>) -> Self {
        let class = FaultClass::ServiceRequired;
        Self { condition, class, severity, training: None, description, family: None, doubtful: false }
    }
}

/// All that a reading shows. What is not there is gone only if it could have been seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    /// Each condition once.
    pub(super) seen: Vec<Seen>,
    alerts_known: bool,
    bits_known: bool,
    service_codes_known: bool,
    /// Whether a state reason or a PJL code that is not told is gone.
    second_ways_known: bool,
}

/// Whether a row says something of its own.
pub(super) fn has_telling_row(reading: &Reading, rules: &FaultRules) -> bool {
    let says = |alert: &Alert| alert.code.is_some_and(|code| rules.classes.says_something(code));
    reading.alerts.iter().any(says)
}

/// What `reading` shows. A device whose rows say something is not heard a second time by its bits.
pub(super) fn evidence(reading: &Reading, rows_speak: bool, rules: &FaultRules) -> Evidence {
    // Where SNMP tells of faults at all, the other ways are not heard: they would tell the same in other words.
    let by_snmp = !reading.alerts.is_empty() || reading.status.iter().any(|printer| printer.errors.is_some());
    // A look for faults reads neither the panel nor private objects, where a code may stand.
    let whole = !reading.supplies.is_empty() || !reading.console.is_empty();
    let mut found = Evidence {
        seen: Vec::new(),
        alerts_known: reading.is_complete(Part::Alerts),
        bits_known: reading.is_complete(Part::Status) || rows_speak,
        service_codes_known: whole
            && [Part::Alerts, Part::Console, Part::Vendor].into_iter().all(|part| reading.is_complete(part)),
        second_ways_known: by_snmp || !reading.ways.is_empty(),
    };
    for alert in &reading.alerts {
        found.add_row(alert, reading, rules);
    }
    for code in &reading.service_codes {
        let in_row = |alert: &Alert| holds(alert, &code.code);
        let condition = Condition::ServiceCode { code: code.code.clone() };
        if !reading.alerts.iter().any(in_row) {
            found.add(Seen::technician(condition, Severity::Critical, None));
        }
    }
    if !rows_speak {
        let errors = reading.status.iter().filter_map(|printer| printer.errors);
        let bits: DetectedErrors = errors.flat_map(DetectedErrors::iter).collect();
        for bit in bits.iter() {
            found.add_assessed(Condition::ErrorBit { bit }, rules.classes.bit(bit));
        }
    }
    if !by_snmp {
        for reason in &reading.reasons {
            let keyword = rules.classes.reason_name(reason);
            found.add_assessed(Condition::Reason { keyword }, rules.classes.reason(reason));
        }
        if let Some(code) = reading.pjl_code.filter(|_| reading.reasons.is_empty()) {
            found.add_assessed(Condition::Pjl { code }, rules.classes.pjl(code));
        }
    }
    found
}

/// Whether the text of a row holds a service code.
fn holds(alert: &Alert, code: &str) -> bool {
    !code.is_empty() && alert.description.as_ref().is_some_and(|text| text.contains(code))
}

impl Evidence {
    /// Whether a condition that is not there is gone.
    pub(super) fn shows_end_of(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Alert { .. } => self.alerts_known,
            Condition::ErrorBit { .. } => self.bits_known,
            Condition::ServiceCode { .. } => self.service_codes_known,
            Condition::Reason { .. } | Condition::Pjl { .. } => self.second_ways_known,
            Condition::NotAnswering => true,
            Condition::Recurring { .. } | Condition::Lasting { .. } => false,
        }
    }

    /// Of several rows for one condition the first counts.
    fn add(&mut self, seen: Seen) {
        if self.seen.iter().all(|known| known.condition != seen.condition) {
            self.seen.push(seen);
        }
    }

    fn add_assessed(&mut self, condition: Condition, assessment: Option<Assessment>) {
        if let Some(assessment) = assessment {
            self.add(Seen::bare(condition, assessment));
        }
    }

    fn add_row(&mut self, alert: &Alert, reading: &Reading, rules: &FaultRules) {
        let condition = Condition::of_alert(alert);
        let assessed = rules.classes.alert(alert).map(|found| Seen::bare(condition.clone(), found));
        let has_code = reading.service_codes.iter().any(|code| holds(alert, &code.code));
        let seen = match assessed {
            Some(seen) if !has_code => seen,
            // The maker says that it is a technician's, whatever the row says.
            Some(seen) => Seen::technician(condition, seen.severity, None),
            None if has_code => Seen::technician(condition, Severity::Warning, None),
            None => return,
        };
        self.add(Seen { training: alert.training, description: alert.description.clone(), ..seen });
    }
}

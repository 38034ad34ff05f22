//! What the class table says of an alert row, an error bit, a state reason or a PJL code: whose matter it is, and how grave.
//!
//! For a row: the code and its group, then the training level, then the severity. What the maker's own service code says goes
//! before all of it; see [`super::Condition`].

use super::Severity;
use super::class_table::{Entry, FaultClasses, Kind};
use crate::device::{Alert, AlertGroup, AlertSeverity, AlertTraining, ErrorBit};
use mailfmt::message::FaultClass;
use std::ops::RangeInclusive;

/// The codes that every subunit shares (PWG 5107.3).
pub(super) const GENERIC: RangeInclusive<i32> = 3..=38;

/// The empty ones among them: what a finisher runs empty of may be its own supply.
const EMPTY: RangeInclusive<i32> = 12..=13;

/// Whose matter a condition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Who has to act.
    pub class: FaultClass,
    /// How grave it is.
    pub severity: Severity,
    /// What it is one more of, such as `jam`, where it is a technician's matter when it comes again and again.
    pub family: Option<String>,
    /// It counts only after it has lasted.
    pub doubtful: bool,
}

/// A line of the table as it applies to a code.
struct Found<'a> {
    kind: Kind,
    stays: bool,
    /// The name without the subunit.
    family: &'a str,
}

impl FaultClasses {
    /// Whose matter an alert row is; `None` if it is no fault.
    #[must_use]
    pub fn alert(&self, alert: &Alert) -> Option<Assessment> {
        let critical = alert.severity == Some(AlertSeverity::Critical);
        let severity = if critical { Severity::Critical } else { Severity::Warning };
        let Some(found) =
            self.find(alert.code.unwrap_or_default()).filter(|found| found.kind != Kind::ByTraining)
        else {
            let (class, recurring) = by_training(alert.training, alert.severity)?;
            let family = recurring.then(|| self.alert_name(alert.code.unwrap_or_default()));
            return Some(Assessment { class, severity, family, doubtful: false });
        };
        let class = self.class_of(found.kind, alert.group)?;
        let asks_for_technician = alert.training == Some(AlertTraining::FieldService) && critical;
        if class == FaultClass::UserClearable && asks_for_technician && !found.stays {
            return Some(Assessment {
                class: FaultClass::ServiceRequired,
                severity,
                family: None,
                doubtful: false,
            });
        }
        let family = (found.kind == Kind::Recurring).then(|| found.family.to_owned());
        Some(Assessment { class, severity, family, doubtful: false })
    }

    /// Whose matter an error bit is; `None` if it is no fault.
    ///
    /// The bits are coarse and makers use some of them loosely, so they count only for devices without alert rows.
    #[must_use]
    pub fn bit(&self, bit: ErrorBit) -> Option<Assessment> {
        self.plain(self.bits.get(&bit)?)
    }

    /// Whose matter a PJL status code is; `None` if it is no fault, or no code of the language.
    #[must_use]
    pub fn pjl(&self, code: u32) -> Option<Assessment> {
        self.plain(self.pjl_entry(code)?)
    }

    /// Whose matter a keyword of `printer-state-reasons` is; `None` if it is no fault. Its suffix says only how grave it is.
    ///
    /// Source: RFC 8011 section 5.4.12.
    #[must_use]
    pub fn reason(&self, keyword: &str) -> Option<Assessment> {
        let keyword = keyword.to_ascii_lowercase();
        let (entry, name, suffix) = self.find_reason(&keyword);
        let severity = match suffix {
            Some("error") => Some(Severity::Critical),
            Some(_) => Some(Severity::Warning),
            None => None,
        };
        let kind = entry.map_or(Kind::ByTraining, |entry| entry.kind);
        if kind == Kind::ByTraining {
            // A keyword that says nothing is a fault only if it says that it is grave.
            return (severity == Some(Severity::Critical)).then(|| Assessment {
                class: FaultClass::UserClearable,
                severity: Severity::Critical,
                family: Some(name.to_owned()),
                doubtful: false,
            });
        }
        let class = self.class_of(kind, None)?;
        let severity = severity.unwrap_or(match class {
            FaultClass::UserClearable | FaultClass::ServiceRequired => Severity::Critical,
            FaultClass::Consumable | FaultClass::PartReplacement => Severity::Warning,
        });
        let family = (kind == Kind::Recurring).then(|| family_of(name).to_owned());
        Some(Assessment { class, severity, family, doubtful: false })
    }

    /// The name of an alert code in lower case with hyphens, such as `jam` or `stapler-subunit-empty`; `alert-70001` for
    /// a maker's own code.
    #[must_use]
    pub fn alert_name(&self, code: i32) -> String {
        if let Some(entry) = self.alerts.get(&code) {
            return entry.name.clone();
        }
        match self.finisher(code) {
            Some((subunit, generic)) => format!("{}-{}", subunit.name, generic.name),
            None => format!("alert-{code}"),
        }
    }

    /// The name of a PJL status code, such as `cover-open`; `pjl-99999` for one outside the language.
    #[must_use]
    pub fn pjl_name(&self, code: u32) -> String {
        self.pjl_entry(code).map_or_else(|| format!("pjl-{code}"), |entry| entry.name.clone())
    }

    /// The keyword of a state reason without its suffix, in lower case.
    #[must_use]
    pub fn reason_name(&self, keyword: &str) -> String {
        self.find_reason(&keyword.to_ascii_lowercase()).1.to_owned()
    }

    /// Whether the table has a line for this code, or for the finisher and the generic code that it is made of.
    #[must_use]
    pub fn knows_alert(&self, code: i32) -> bool {
        self.find(code).is_some()
    }

    /// Whether the code says something of its own.
    pub(super) fn says_something(&self, code: i32) -> bool {
        self.find(code).is_some_and(|found| found.kind != Kind::ByTraining)
    }

    fn find(&self, code: i32) -> Option<Found<'_>> {
        if let Some(entry) = self.alerts.get(&code) {
            return Some(Found { kind: entry.kind, stays: entry.stays, family: family_of(&entry.name) });
        }
        let (subunit, generic) = self.finisher(code)?;
        let kind = match generic.kind {
            Kind::ByGroup if EMPTY.contains(&code.rem_euclid(100)) => subunit.kind,
            Kind::ByGroup => Kind::User,
            other => other,
        };
        Some(Found { kind, stays: generic.stays, family: family_of(&generic.name) })
    }

    /// Splits the code of a finishing subunit: the subunit times 100 plus a generic code (PWG 5107.3).
    fn finisher(&self, code: i32) -> Option<(&Entry, &Entry)> {
        let generic = code.rem_euclid(100);
        let subunit = self.finishers.get(&code.div_euclid(100))?;
        let generic = self.alerts.get(&generic).filter(|_| GENERIC.contains(&generic))?;
        Some((subunit, generic))
    }

    fn find_reason<'a>(&self, keyword: &'a str) -> (Option<&Entry>, &'a str, Option<&'a str>) {
        // Some keywords end like a suffix: `output-media-tray-feed-error`.
        if let Some(entry) = self.reasons.get(keyword) {
            return (Some(entry), keyword, None);
        }
        match keyword.rsplit_once('-') {
            Some((name, suffix @ ("report" | "warning" | "error"))) => {
                (self.reasons.get(name), name, Some(suffix))
            }
            _ => (None, keyword, None),
        }
    }

    fn pjl_entry(&self, code: u32) -> Option<&Entry> {
        self.pjl_codes.get(&code).or_else(|| self.pjl_categories.get(&(code / 1000)))
    }

    /// What a line says where there is neither a group nor a training level.
    fn plain(&self, entry: &Entry) -> Option<Assessment> {
        Some(Assessment {
            class: self.class_of(entry.kind, None)?,
            severity: if entry.critical { Severity::Critical } else { Severity::Warning },
            family: (entry.kind == Kind::Recurring).then(|| family_of(&entry.name).to_owned()),
            doubtful: entry.doubtful,
        })
    }

    fn class_of(&self, kind: Kind, group: Option<AlertGroup>) -> Option<FaultClass> {
        let holds_consumable = || group.is_some_and(|group| self.supply_groups.contains(&group.number()));
        match kind {
            Kind::NotAFault => None,
            Kind::Consumable => Some(FaultClass::Consumable),
            Kind::Part => Some(FaultClass::PartReplacement),
            Kind::Service => Some(FaultClass::ServiceRequired),
            Kind::ByGroup if holds_consumable() => Some(FaultClass::Consumable),
            Kind::User | Kind::Recurring | Kind::ByGroup | Kind::ByTraining => {
                Some(FaultClass::UserClearable)
            }
        }
    }
}

/// A jam is a jam, wherever it is and however it is told.
fn family_of(name: &str) -> &str {
    match name {
        "jammed" => "jam",
        jam if jam.ends_with("-jam") => "jam",
        other => other,
    }
}

/// For codes that say nothing: other, unknown, and makers' own. The second value: whether it recurring makes it a
/// technician's matter.
fn by_training(
    training: Option<AlertTraining>,
    severity: Option<AlertSeverity>,
) -> Option<(FaultClass, bool)> {
    let critical = severity == Some(AlertSeverity::Critical);
    let grave = critical
        || matches!(severity, Some(AlertSeverity::Warning | AlertSeverity::WarningBinaryChangeEvent));
    match training {
        Some(AlertTraining::Untrained | AlertTraining::Trained) if grave => {
            Some((FaultClass::UserClearable, false))
        }
        Some(AlertTraining::FieldService) if grave => Some((FaultClass::ServiceRequired, false)),
        Some(AlertTraining::Management | AlertTraining::NoInterventionRequired) => None,
        _ if critical => Some((FaultClass::UserClearable, true)),
        _ => None,
    }
}

/// Whose matter an alert row is by the built-in table; `None` if it is no fault.
#[must_use]
pub fn classify(alert: &Alert) -> Option<FaultClass> {
    FaultClasses::built_in().alert(alert).map(|found| found.class)
}

/// The name of an alert code by the built-in table; see [`FaultClasses::alert_name`].
#[must_use]
pub fn alert_name(code: i32) -> String {
    FaultClasses::built_in().alert_name(code)
}

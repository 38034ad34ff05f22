//! Which alert codes are faults, and who has to act on them.
//!
//! The classes are this project's reading of the registered names; the numbers and names are the registry's.
//!
//! Source: IANA `PrtAlertCodeTC` (ianaprinter MIB), PWG 5107.3 for finisher codes, RFC 2790 for the error bits.

use super::Severity;
use crate::device::{Alert, AlertGroup, AlertSeverity, AlertTraining, ErrorBit};
use Kind::{Consumable, Content, Event, Part, Recoverable, Service, User};
use mailfmt::message::FaultClass;

/// What a code says, before group, training and severity are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whoever stands at the device clears it.
    User,
    /// Like [`Kind::User`], but a technician's matter where the device says so.
    Recoverable,
    /// Something runs empty or full: what it is depends on the group.
    Content,
    /// A consumable is low or used up.
    Consumable,
    /// A part is worn.
    Part,
    /// A technician is needed.
    Service,
    /// Something happened; nothing is wrong.
    Event,
}

/// Registered codes with their names. 1 (other) and 2 (unknown) say nothing and are not here.
#[rustfmt::skip]
const CODES: [(i32, &str, Kind); 93] = [
    (3, "cover-open", User),
    (4, "cover-closed", Event),
    (5, "interlock-open", User),
    (6, "interlock-closed", Event),
    (7, "configuration-change", Event),
    (8, "jam", Recoverable),
    (9, "subunit-missing", User),
    (10, "subunit-life-almost-over", Part),
    (11, "subunit-life-over", Part),
    (12, "subunit-almost-empty", Content),
    (13, "subunit-empty", Content),
    (14, "subunit-almost-full", Content),
    (15, "subunit-full", Content),
    (16, "subunit-near-limit", Part),
    (17, "subunit-at-limit", Part),
    (18, "subunit-opened", User),
    (19, "subunit-closed", Event),
    (20, "subunit-turned-on", Event),
    (21, "subunit-turned-off", Event),
    (22, "subunit-offline", Event),
    (23, "subunit-power-saver", Event),
    (24, "subunit-warming-up", Event),
    (25, "subunit-added", Event),
    (26, "subunit-removed", User),
    (27, "subunit-resource-added", Event),
    (28, "subunit-resource-removed", Event),
    (29, "subunit-recoverable-failure", Recoverable),
    (30, "subunit-unrecoverable-failure", Service),
    (31, "subunit-recoverable-storage-error", Recoverable),
    (32, "subunit-unrecoverable-storage-error", Service),
    (33, "subunit-motor-failure", Service),
    (34, "subunit-memory-exhausted", User),
    (35, "subunit-under-temperature", Recoverable),
    (36, "subunit-over-temperature", Recoverable),
    (37, "subunit-timing-failure", Service),
    (38, "subunit-thermistor-failure", Service),
    (501, "door-open", User),
    (502, "door-closed", Event),
    (503, "power-up", Event),
    (504, "power-down", Event),
    (505, "printer-nmsreset", Event),
    (506, "printer-manual-reset", Event),
    (507, "printer-ready-to-print", Event),
    (801, "input-media-tray-missing", User),
    (802, "input-media-size-change", Event),
    (803, "input-media-weight-change", Event),
    (804, "input-media-type-change", Event),
    (805, "input-media-color-change", Event),
    (806, "input-media-form-parts-change", Event),
    (807, "input-media-supply-low", User),
    (808, "input-media-supply-empty", User),
    (809, "input-media-change-request", User),
    (810, "input-manual-input-request", User),
    (811, "input-tray-position-failure", Recoverable),
    (812, "input-tray-elevation-failure", Recoverable),
    (813, "input-cannot-feed-size-selected", User),
    (901, "output-media-tray-missing", User),
    (902, "output-media-tray-almost-full", User),
    (903, "output-media-tray-full", User),
    (904, "output-mailbox-select-failure", Service),
    (1001, "marker-fuser-under-temperature", Recoverable),
    (1002, "marker-fuser-over-temperature", Recoverable),
    (1003, "marker-fuser-timing-failure", Service),
    (1004, "marker-fuser-thermistor-failure", Service),
    (1005, "marker-adjusting-print-quality", Event),
    (1101, "marker-toner-empty", Consumable),
    (1102, "marker-ink-empty", Consumable),
    (1103, "marker-print-ribbon-empty", Consumable),
    (1104, "marker-toner-almost-empty", Consumable),
    (1105, "marker-ink-almost-empty", Consumable),
    (1106, "marker-print-ribbon-almost-empty", Consumable),
    (1107, "marker-waste-toner-receptacle-almost-full", Consumable),
    (1108, "marker-waste-ink-receptacle-almost-full", Consumable),
    (1109, "marker-waste-toner-receptacle-full", Consumable),
    (1110, "marker-waste-ink-receptacle-full", Consumable),
    (1111, "marker-opc-life-almost-over", Part),
    (1112, "marker-opc-life-over", Part),
    (1113, "marker-developer-almost-empty", Part),
    (1114, "marker-developer-empty", Part),
    (1115, "marker-toner-cartridge-missing", User),
    (1301, "media-path-media-tray-missing", User),
    (1302, "media-path-media-tray-almost-full", User),
    (1303, "media-path-media-tray-full", User),
    (1304, "media-path-cannot-duplex-media-selected", User),
    (1501, "interpreter-memory-increase", Event),
    (1502, "interpreter-memory-decrease", Event),
    (1503, "interpreter-cartridge-added", Event),
    (1504, "interpreter-cartridge-deleted", Event),
    (1505, "interpreter-resource-added", Event),
    (1506, "interpreter-resource-deleted", Event),
    (1507, "interpreter-resource-unavailable", User),
    (1509, "interpreter-complex-page-encountered", User),
    (1801, "alert-removal-of-binary-change-entry", Event),
];

/// Finishing subunits: their codes are the subunit times 100 plus a generic code of 3 to 38 (PWG 5107.3).
#[rustfmt::skip]
const FINISHERS: [(i32, &str); 17] = [
    (302, "stapler"),
    (303, "stitcher"),
    (304, "folder"),
    (305, "binder"),
    (306, "trimmer"),
    (307, "die-cutter"),
    (308, "puncher"),
    (309, "perforater"),
    (310, "slitter"),
    (311, "separation-cutter"),
    (312, "imprinter"),
    (313, "wrapper"),
    (314, "bander"),
    (315, "make-envelope"),
    (316, "stacker"),
    (317, "sheet-rotator"),
    (318, "inserter"),
];

/// Finishers that use up something of their own: staples, wire, tape, ink, film, bands.
const FINISHERS_WITH_SUPPLY: [i32; 6] = [302, 303, 305, 312, 313, 314];

/// Codes that a user clears even where the device asks for a technician: covers and doors, jams, paper out.
const NEVER_SERVICE: [i32; 6] = [3, 5, 8, 18, 501, 808];

fn listed(code: i32) -> Option<(&'static str, Kind)> {
    CODES.binary_search_by_key(&code, |(number, _, _)| *number).ok().map(|at| (CODES[at].1, CODES[at].2))
}

/// Splits a finisher code into subunit and generic code.
fn finisher(code: i32) -> Option<(i32, &'static str, i32)> {
    let generic = code.rem_euclid(100);
    if !(3..=38).contains(&generic) {
        return None;
    }
    let subunit = code.div_euclid(100);
    FINISHERS.iter().find(|(number, _)| *number == subunit).map(|(number, name)| (*number, *name, generic))
}

/// The name of an alert code in lower case with hyphens, such as `jam` or `stapler-subunit-empty`; `alert-70001` for
/// a maker's own code.
#[must_use]
pub fn alert_name(code: i32) -> String {
    if let Some((name, _)) = listed(code) {
        return name.to_owned();
    }
    match finisher(code).and_then(|(_, subunit, generic)| Some((subunit, listed(generic)?.0))) {
        Some((subunit, name)) => format!("{subunit}-{name}"),
        None => format!("alert-{code}"),
    }
}

/// Whether the registry knows this code, so that it says something of its own.
pub(super) fn is_registered(code: i32) -> bool {
    listed(code).is_some() || finisher(code).is_some()
}

/// Who has to act on an alert; `None` if it is no fault.
///
/// The code decides, then the training level; severity only decides about codes that say nothing.
#[must_use]
pub fn classify(alert: &Alert) -> Option<FaultClass> {
    let code = alert.code.unwrap_or_default();
    let (kind, generic) = match (listed(code), finisher(code)) {
        (Some((_, kind)), _) => (kind, code),
        (None, Some((subunit, _, generic))) => {
            let kind = match listed(generic)?.1 {
                Content if matches!(generic, 12 | 13) && FINISHERS_WITH_SUPPLY.contains(&subunit) => {
                    Consumable
                }
                Content => User,
                other => other,
            };
            (kind, generic)
        }
        (None, None) => return by_training(alert),
    };
    let class = match kind {
        Event => return None,
        Consumable => FaultClass::Consumable,
        Part => FaultClass::PartReplacement,
        Service => FaultClass::ServiceRequired,
        Content if holds_consumable(alert.group) => FaultClass::Consumable,
        User | Recoverable | Content => FaultClass::UserClearable,
    };
    let asks_for_technician = alert.training == Some(AlertTraining::FieldService)
        && alert.severity == Some(AlertSeverity::Critical)
        && !NEVER_SERVICE.contains(&generic);
    if class == FaultClass::UserClearable && asks_for_technician {
        return Some(FaultClass::ServiceRequired);
    }
    Some(class)
}

/// In these groups, empty and full speak of a supply; elsewhere of paper or a bin.
fn holds_consumable(group: Option<AlertGroup>) -> bool {
    matches!(
        group,
        Some(
            AlertGroup::Marker
                | AlertGroup::MarkerSupplies
                | AlertGroup::MarkerColorant
                | AlertGroup::FinSupply
        )
    )
}

/// For codes that say nothing: other, unknown, and makers' own.
fn by_training(alert: &Alert) -> Option<FaultClass> {
    let critical = alert.severity == Some(AlertSeverity::Critical);
    let grave = critical
        || matches!(alert.severity, Some(AlertSeverity::Warning | AlertSeverity::WarningBinaryChangeEvent));
    match alert.training {
        Some(AlertTraining::Untrained | AlertTraining::Trained) if grave => Some(FaultClass::UserClearable),
        Some(AlertTraining::FieldService) if grave => Some(FaultClass::ServiceRequired),
        Some(AlertTraining::Management | AlertTraining::NoInterventionRequired) => None,
        _ if critical => Some(FaultClass::UserClearable),
        _ => None,
    }
}

/// Who has to act on an error bit, and how grave it is; `None` if the bit is no fault.
///
/// The bits are coarse and makers use some of them loosely, so they count only for devices without alert rows.
#[must_use]
pub fn classify_bit(bit: ErrorBit) -> Option<(FaultClass, Severity)> {
    Some(match bit {
        ErrorBit::LowPaper
        | ErrorBit::InputTrayMissing
        | ErrorBit::OutputTrayMissing
        | ErrorBit::OutputNearFull => (FaultClass::UserClearable, Severity::Warning),
        ErrorBit::InputTrayEmpty => (FaultClass::UserClearable, Severity::Warning),
        ErrorBit::NoPaper | ErrorBit::DoorOpen | ErrorBit::Jammed | ErrorBit::OutputFull => {
            (FaultClass::UserClearable, Severity::Critical)
        }
        ErrorBit::MarkerSupplyMissing => (FaultClass::UserClearable, Severity::Critical),
        ErrorBit::LowToner => (FaultClass::Consumable, Severity::Warning),
        ErrorBit::NoToner => (FaultClass::Consumable, Severity::Critical),
        ErrorBit::OverduePreventMaint => (FaultClass::PartReplacement, Severity::Warning),
        ErrorBit::ServiceRequested => (FaultClass::ServiceRequired, Severity::Warning),
        ErrorBit::Offline => return None,
    })
}

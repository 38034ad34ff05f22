//! Alert rows, error bits and status (RFC 3805 `prtAlertTable`, RFC 2790 `hrPrinterTable` and `hrDeviceTable`).

use super::codes::{AlertGroup, AlertSeverity, AlertTraining, DeviceState, PrinterState};
use super::oid::{Oid, Value};
use super::text::{Charsets, text};
use super::walk::Walk;
use super::{ROWS_MAX, number, oids};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One row of the alert table. Not every row is a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// `hrDeviceIndex` of the printer it belongs to.
    pub device_index: u32,
    /// `prtAlertIndex`: counts up from the device's start, so it names the row only until the next restart.
    pub index: u32,
    /// How grave it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub severity: Option<AlertSeverity>,
    /// Who can clear it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training: Option<AlertTraining>,
    /// Which part it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<AlertGroup>,
    /// Row in the group's table; -1 for none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group_index: Option<i32>,
    /// `prtAlertLocation`: the maker's own number for the place; -1 other, -2 unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<i32>,
    /// `prtAlertCode` (IANA `PrtAlertCodeTC`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<i32>,
    /// The device's own text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// `prtAlertTime`: the device's `sysUpTime` when it happened, in hundredths of a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_ticks: Option<u32>,
}

impl Alert {
    /// The device's text and the object that it stands in.
    pub(super) fn text_with_object(&self) -> Option<(&str, Oid)> {
        let row = [self.device_index, self.index];
        Some((self.description.as_deref()?, Oid::new(&[oids::PRT_ALERT_DESCRIPTION, &row].concat())))
    }
}

/// All alert rows, in order of the index.
pub(super) fn alerts(walk: &Walk, charsets: &Charsets) -> Vec<Alert> {
    let columns = [
        oids::PRT_ALERT_SEVERITY_LEVEL,
        oids::PRT_ALERT_TRAINING_LEVEL,
        oids::PRT_ALERT_GROUP,
        oids::PRT_ALERT_GROUP_INDEX,
        oids::PRT_ALERT_LOCATION,
        oids::PRT_ALERT_CODE,
        oids::PRT_ALERT_DESCRIPTION,
    ];
    let rows = walk.rows(&columns, ROWS_MAX);
    rows.iter()
        .filter_map(|index| {
            let &[device_index, row] = index.as_slice() else { return None };
            Some(Alert {
                device_index,
                index: row,
                severity: number(walk, oids::PRT_ALERT_SEVERITY_LEVEL, index).map(AlertSeverity::from_number),
                training: number(walk, oids::PRT_ALERT_TRAINING_LEVEL, index).map(AlertTraining::from_number),
                group: number(walk, oids::PRT_ALERT_GROUP, index).map(AlertGroup::from_number),
                group_index: number(walk, oids::PRT_ALERT_GROUP_INDEX, index),
                location: number(walk, oids::PRT_ALERT_LOCATION, index),
                code: number(walk, oids::PRT_ALERT_CODE, index),
                description: text(walk, charsets, oids::PRT_ALERT_DESCRIPTION, index),
                time_ticks: walk
                    .cell(oids::PRT_ALERT_TIME, index)
                    .and_then(Value::as_i64)
                    .and_then(|ticks| u32::try_from(ticks).ok()),
            })
        })
        .collect()
}

/// A bit of `hrPrinterDetectedErrorState` (RFC 2790; bits 8 to 14 RFC 3805 section 2.2.13.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorBit {
    /// Bit 0.
    LowPaper,
    /// Bit 1.
    NoPaper,
    /// Bit 2.
    LowToner,
    /// Bit 3.
    NoToner,
    /// Bit 4.
    DoorOpen,
    /// Bit 5.
    Jammed,
    /// Bit 6.
    Offline,
    /// Bit 7.
    ServiceRequested,
    /// Bit 8.
    InputTrayMissing,
    /// Bit 9.
    OutputTrayMissing,
    /// Bit 10.
    MarkerSupplyMissing,
    /// Bit 11.
    OutputNearFull,
    /// Bit 12.
    OutputFull,
    /// Bit 13.
    InputTrayEmpty,
    /// Bit 14.
    OverduePreventMaint,
}

impl ErrorBit {
    /// All bits, in order: the place in this list is the number of the bit.
    pub const ALL: [Self; 15] = [
        Self::LowPaper,
        Self::NoPaper,
        Self::LowToner,
        Self::NoToner,
        Self::DoorOpen,
        Self::Jammed,
        Self::Offline,
        Self::ServiceRequested,
        Self::InputTrayMissing,
        Self::OutputTrayMissing,
        Self::MarkerSupplyMissing,
        Self::OutputNearFull,
        Self::OutputFull,
        Self::InputTrayEmpty,
        Self::OverduePreventMaint,
    ];

    /// The name in lower case with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LowPaper => "low-paper",
            Self::NoPaper => "no-paper",
            Self::LowToner => "low-toner",
            Self::NoToner => "no-toner",
            Self::DoorOpen => "door-open",
            Self::Jammed => "jammed",
            Self::Offline => "offline",
            Self::ServiceRequested => "service-requested",
            Self::InputTrayMissing => "input-tray-missing",
            Self::OutputTrayMissing => "output-tray-missing",
            Self::MarkerSupplyMissing => "marker-supply-missing",
            Self::OutputNearFull => "output-near-full",
            Self::OutputFull => "output-full",
            Self::InputTrayEmpty => "input-tray-empty",
            Self::OverduePreventMaint => "overdue-prevent-maint",
        }
    }
}

/// The set of error bits that a printer reports; stored as the list of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DetectedErrors(u16);

impl DetectedErrors {
    /// From the octets as read: one or two, or none. Bit 0 is the highest bit of the first octet.
    ///
    /// Further octets carry no standard meaning and are not looked at.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        let first = octets.first().copied().unwrap_or_default();
        let second = octets.get(1).copied().unwrap_or_default();
        Self(u16::from_be_bytes([first, second]) & !1)
    }

    /// Whether this bit is set.
    #[must_use]
    pub fn contains(self, bit: ErrorBit) -> bool {
        self.iter().any(|set| set == bit)
    }

    /// The bits that are set, in order.
    pub fn iter(self) -> impl Iterator<Item = ErrorBit> {
        ErrorBit::ALL
            .into_iter()
            .enumerate()
            .filter(move |(place, _)| self.0 & (0x8000 >> place) != 0)
            .map(|(_, bit)| bit)
    }

    /// Whether no bit is set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<ErrorBit> for DetectedErrors {
    fn from_iter<I: IntoIterator<Item = ErrorBit>>(bits: I) -> Self {
        let mut set = 0;
        for bit in bits {
            if let Some(place) = ErrorBit::ALL.iter().position(|known| *known == bit) {
                set |= 0x8000 >> place;
            }
        }
        Self(set)
    }
}

impl Serialize for DetectedErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for DetectedErrors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<ErrorBit>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Status of one printer in a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PrinterStatus {
    /// `hrDeviceIndex`.
    pub device_index: u32,
    /// `hrDeviceStatus`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<DeviceState>,
    /// `hrPrinterStatus`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub printer: Option<PrinterState>,
    /// `hrPrinterDetectedErrorState`; `None` if the device has no such object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errors: Option<DetectedErrors>,
}

/// Status of every printer: rows of the printer table, or rows of the device table that say they are printers, or
/// else the first row of the device table.
pub(super) fn status(walk: &Walk) -> Vec<PrinterStatus> {
    let mut printers = walk.rows(&[oids::HR_PRINTER_STATUS, oids::HR_PRINTER_DETECTED_ERROR_STATE], ROWS_MAX);
    if printers.is_empty() {
        printers = walk
            .column(oids::HR_DEVICE_TYPE)
            .filter(|(_, value)| {
                value.as_oid().is_some_and(|oid| oid.arcs() == oids::HR_DEVICE_TYPES_PRINTER)
            })
            .map(|(index, _)| index.to_vec())
            .take(ROWS_MAX)
            .collect();
    }
    if printers.is_empty() {
        printers = walk.rows(&[oids::HR_DEVICE_STATUS], 1);
    }
    printers
        .iter()
        .filter_map(|index| {
            let &[device_index] = index.as_slice() else { return None };
            Some(PrinterStatus {
                device_index,
                device: number(walk, oids::HR_DEVICE_STATUS, index).map(DeviceState::from_number),
                printer: number(walk, oids::HR_PRINTER_STATUS, index).map(PrinterState::from_number),
                errors: walk
                    .cell(oids::HR_PRINTER_DETECTED_ERROR_STATE, index)
                    .and_then(Value::as_octets)
                    .map(DetectedErrors::from_octets),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{DetectedErrors, ErrorBit};

    #[test]
    fn error_bits_come_in_one_octet_or_two_or_none() {
        let bits = |octets: &[u8]| DetectedErrors::from_octets(octets).iter().collect::<Vec<_>>();
        assert_eq!(bits(&[]), []);
        assert_eq!(bits(&[0x20]), [ErrorBit::LowToner]);
        assert_eq!(bits(&[0x80, 0x00]), [ErrorBit::LowPaper]);
        assert_eq!(bits(&[0x04, 0x02, 0xFF]), [ErrorBit::Jammed, ErrorBit::OverduePreventMaint]);
        assert_eq!(bits(&[0x00, 0x01]), []);
    }

    #[test]
    fn error_bits_are_stored_by_name() {
        let bits: DetectedErrors = [ErrorBit::Jammed, ErrorBit::NoPaper].into_iter().collect();
        let json = serde_json::to_string(&bits).unwrap();
        assert_eq!(json, r#"["no-paper","jammed"]"#);
        assert_eq!(serde_json::from_str::<DetectedErrors>(&json).unwrap(), bits);
    }
}

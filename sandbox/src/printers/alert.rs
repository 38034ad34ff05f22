//! Alerts of the Printer MIB and what they do to the state of the device.

use serde::{Deserialize, Serialize};

/// How grave an alert is (RFC 3805, PrtAlertSeverityLevelTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// other(1)
    Other,
    /// critical(3): the printer has stopped.
    Critical,
    /// warning(4): it goes on printing.
    Warning,
}

impl Severity {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Other => 1,
            Self::Critical => 3,
            Self::Warning => 4,
        }
    }
}

/// One row of prtAlertTable without its index and time (RFC 3805, section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// prtAlertSeverityLevel.
    pub severity: Severity,
    /// prtAlertTrainingLevel; 3 is untrained.
    #[serde(default = "untrained")]
    pub training: i32,
    /// prtAlertGroup: the part of the MIB it is about; 8 input, 9 output, 10 marker, 11 supplies, 13 media path.
    pub group: i32,
    /// prtAlertGroupIndex: the row there; -1 for none.
    #[serde(default = "no_row")]
    pub group_index: i32,
    /// prtAlertLocation: where in that part; -2 for unknown.
    #[serde(default = "unknown_location")]
    pub location: i32,
    /// prtAlertCode (IANA-PRINTER-MIB, PrtAlertCodeTC).
    pub code: i32,
    /// prtAlertDescription.
    pub description: String,
}

fn untrained() -> i32 {
    3
}

fn no_row() -> i32 {
    -1
}

fn unknown_location() -> i32 {
    -2
}

/// PrtAlertCodeTC jam.
pub(super) const CODE_JAM: i32 = 8;
const GROUP_COVER: i32 = 6;
const GROUP_INPUT: i32 = 8;
const GROUP_SUPPLIES: i32 = 11;
const GROUP_MEDIA_PATH: i32 = 13;

impl Alert {
    fn new(severity: Severity, group: i32, group_index: i32, code: i32, description: &str) -> Self {
        let (training, location) = (untrained(), unknown_location());
        Self { severity, training, group, group_index, location, code, description: description.to_owned() }
    }

    /// Paper is stuck in the first media path.
    pub fn jam() -> Self {
        Self::new(Severity::Critical, GROUP_MEDIA_PATH, 1, CODE_JAM, "Paper jam")
    }

    /// Cover `index` is open.
    pub fn cover_open(index: i32) -> Self {
        Self::new(Severity::Critical, GROUP_COVER, index, 3, "Cover open")
    }

    /// Tray `index` is empty.
    pub fn paper_empty(index: i32) -> Self {
        Self::new(Severity::Critical, GROUP_INPUT, index, 808, "Paper tray empty")
    }

    /// Supply `index` is nearly used up.
    pub fn toner_low(index: i32) -> Self {
        Self::new(Severity::Warning, GROUP_SUPPLIES, index, 1104, "Toner low")
    }

    /// Supply `index` is used up.
    pub fn toner_empty(index: i32) -> Self {
        Self::new(Severity::Critical, GROUP_SUPPLIES, index, 1101, "Toner empty")
    }

    /// The bits of hrPrinterDetectedErrorState this alert sets, as a mask whose highest bit is bit 0.
    ///
    /// Source: RFC 2790, hrPrinterDetectedErrorState; RFC 3805, section 2.2.13.2. A critical alert that has no bit
    /// of its own asks for service.
    pub(super) fn error_bits(&self) -> u16 {
        let bit = |number: u32| 0x8000u16 >> number;
        match self.code {
            807 => bit(0),
            808 => bit(1) | bit(13),
            12 if self.group == GROUP_INPUT => bit(0),
            13 if self.group == GROUP_INPUT => bit(1) | bit(13),
            12 | 1104..=1106 => bit(2),
            13 | 1101..=1103 => bit(3),
            3 | 5 | 18 | 501 => bit(4),
            CODE_JAM => bit(5),
            22 => bit(6),
            9 if self.group == GROUP_SUPPLIES => bit(10),
            9 | 801 => bit(8),
            901 => bit(9),
            14 | 902 => bit(11),
            15 | 903 => bit(12),
            _ if self.severity == Severity::Critical => bit(7),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_has_the_bit_of_rfc_2790() {
        assert_eq!(Alert::jam().error_bits().to_be_bytes(), [0x04, 0]);
        assert_eq!(Alert::cover_open(1).error_bits().to_be_bytes(), [0x08, 0]);
        assert_eq!(Alert::toner_empty(1).error_bits().to_be_bytes(), [0x10, 0]);
        assert_eq!(Alert::toner_low(1).error_bits().to_be_bytes(), [0x20, 0]);
        assert_eq!(Alert::paper_empty(1).error_bits().to_be_bytes(), [0x40, 0x04]);
        let strange = Alert { code: 1, ..Alert::jam() };
        assert_eq!(strange.error_bits().to_be_bytes(), [0x01, 0]);
        assert_eq!(Alert { severity: Severity::Other, ..strange }.error_bits(), 0);
    }

    #[test]
    fn an_alert_needs_only_severity_group_code_and_text_in_json() {
        let text = r#"{"severity":"warning","group":8,"code":807,"description":"Low"}"#;
        let alert: Alert = serde_json::from_str(text).unwrap();
        assert_eq!((alert.training, alert.group_index, alert.location), (3, -1, -2));
    }
}

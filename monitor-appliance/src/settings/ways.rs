//! Settings of the ways of reading a device beside SNMP: `[second_ways]`.

use serde::{Deserialize, Serialize};

/// Which further ways are tried where SNMP is off or tells little. Key in `[second_ways]`: the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondWaySettings {
    /// Whether devices are asked by IPP; default `true`: reading attributes has no effect on a printer.
    pub ipp: bool,
    /// Port of IPP; default 631.
    pub ipp_port: u16,
    /// Addresses, as in `[[devices]]`, of devices that are asked by PJL: a device that does not know it may print the question.
    /// Default: none.
    pub pjl: Vec<String>,
    /// Port of PJL; default 9100.
    pub pjl_port: u16,
}

impl Default for SecondWaySettings {
    fn default() -> Self {
        Self { ipp: true, ipp_port: 631, pjl: Vec::new(), pjl_port: crate::pjl::PORT }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSecondWays {
    ipp: Option<bool>,
    ipp_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pjl: Vec<String>,
    pjl_port: Option<u16>,
}

impl FileSecondWays {
    pub(super) fn check(self) -> SecondWaySettings {
        let default = SecondWaySettings::default();
        SecondWaySettings {
            ipp: self.ipp.unwrap_or(default.ipp),
            ipp_port: self.ipp_port.unwrap_or(default.ipp_port),
            pjl: self.pjl,
            pjl_port: self.pjl_port.unwrap_or(default.pjl_port),
        }
    }

    pub(super) fn of(settings: &SecondWaySettings) -> Self {
        let default = SecondWaySettings::default();
        Self {
            ipp: (settings.ipp != default.ipp).then_some(settings.ipp),
            ipp_port: (settings.ipp_port != default.ipp_port).then_some(settings.ipp_port),
            pjl: settings.pjl.clone(),
            pjl_port: (settings.pjl_port != default.pjl_port).then_some(settings.pjl_port),
        }
    }
}

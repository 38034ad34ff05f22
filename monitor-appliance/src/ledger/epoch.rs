//! Who a machine is, and whether it is still the same one.

use serde::{Deserialize, Serialize};

/// What a machine tells of who it is; what it does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number (`prtGeneralSerialNumber`, which some machines let anybody write: so it is not trusted alone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// How the machine of one reading relates to that of the reading before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Nothing speaks against its being the same.
    Same,
    /// It told something that was not known of it.
    Learned,
    /// Same serial number, other hardware address.
    Board,
    /// Another machine.
    Swap,
}

impl Identity {
    /// Whether it tells anything that no other machine tells.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.serial.is_some() || self.mac.is_some()
    }

    /// Compares with what a later reading tells.
    #[must_use]
    pub fn relation(&self, later: &Self) -> Relation {
        let disagree = |before: &Option<String>, after: &Option<String>| matches!((before, after), (Some(before), Some(after)) if before.trim() != after.trim());
        let learned = |before: &Option<String>, after: &Option<String>| before.is_none() && after.is_some();
        let same_serial = self.serial.is_some() && later.serial.is_some();
        if disagree(&self.serial, &later.serial) || disagree(&self.model, &later.model) {
            Relation::Swap
        } else if disagree(&self.mac, &later.mac) {
            if same_serial { Relation::Board } else { Relation::Swap }
        } else if learned(&self.serial, &later.serial)
            || learned(&self.mac, &later.mac)
            || learned(&self.model, &later.model)
        {
            Relation::Learned
        } else {
            Relation::Same
        }
    }

    /// What is known of it after a later reading of the same machine.
    #[must_use]
    pub fn with(&self, later: &Self) -> Self {
        let newer =
            |before: &Option<String>, after: &Option<String>| after.clone().or_else(|| before.clone());
        Self {
            model: newer(&self.model, &later.model),
            serial: newer(&self.serial, &later.serial),
            mac: newer(&self.mac, &later.mac),
        }
    }
}

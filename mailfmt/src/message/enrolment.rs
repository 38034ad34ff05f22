//! Enrolment: the four messages of the first contact, keyed by a provisional code that itself never travels.
//!
//! ```text
//! appliance -> center  hello         under the code: a half of an exchange, and where to answer
//! center -> appliance  offer         under the code: the other half
//! appliance -> center  registration  under code and exchange: who I am, which devices I found
//! center -> appliance  admission     under code and exchange: your id, your formal credential, whom to trust
//! ```
//! Source: JP 2003-074237.

use super::kinds;
use super::report::InventoryDevice;
use crate::crypto::Credential;
use crate::exchange::EphemeralPublic;
use crate::ids::{AgentId, CenterId};
use crate::trust::SignedRoot;
use crate::version::SoftwareVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

kinds! {
    /// A message of the first contact.
    Enrolment {
        /// Appliance to center: here I am.
        Hello(Hello) = "hello",
        /// Center to appliance: go on.
        Offer(Offer) = "offer",
        /// Appliance to center: this is what I found.
        Registration(Registration) = "registration",
        /// Center to appliance: you are admitted.
        Admission(Admission) = "admission",
    }
}

/// The first word of an appliance. Nothing in it needs to stay secret if the code leaks later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The appliance's half of the exchange; names the attempt.
    pub appliance_key: EphemeralPublic,
    /// The mail address to answer to.
    pub reply_to: String,
}

/// The center's answer to a [`Hello`]; the same hello always gets the same offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The half that it answers.
    pub appliance_key: EphemeralPublic,
    /// The center's half.
    pub center_key: EphemeralPublic,
}

/// Who the appliance is and all devices that it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The half that names the attempt.
    pub appliance_key: EphemeralPublic,
    /// Where mail reaches the appliance from now on.
    pub address: String,
    /// The box.
    pub hardware: Hardware,
    /// The software version that runs.
    pub software: SoftwareVersion,
    /// The devices.
    pub devices: Vec<InventoryDevice>,
    /// What the box's own clock says.
    pub clock: Timestamp,
}

/// What tells one box from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// The same for the life of the box, whatever is installed on it, such as a hash of the mainboard's serial
    /// numbers; empty where the box does not tell.
    pub machine: String,
    /// Hardware class, such as `x86_64`.
    pub class: String,
}

/// What an admitted appliance needs from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The half that names the attempt.
    pub appliance_key: EphemeralPublic,
    /// The appliance's id; that of the box that it replaces, if the operator said so.
    pub agent: AgentId,
    /// The formal credential.
    pub credential: Credential,
    /// The center's id.
    pub center: CenterId,
    /// The center's mail addresses, in the order in which to try them.
    pub center_addresses: Vec<String>,
    /// Every root from the first on; the appliance trusts the last one.
    pub roots: Vec<SignedRoot>,
    /// First settings.
    #[serde(default)]
    pub settings: FirstSettings,
    /// What the center says about the devices, for a person, such as that a serial is known from another site.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Settings that the center gives to a new appliance; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirstSettings {
    /// Seconds between two looks for mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_poll_secs: Option<u64>,
    /// Seconds between two looks for faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_poll_secs: Option<u64>,
    /// Seconds between two collections of counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter_collect_secs: Option<u64>,
    /// Days without a fresh word of the center after which the appliance raises an alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness_days: Option<u64>,
}

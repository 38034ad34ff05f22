//! Receipts: the center's answer to a report.

use crate::ids::MessageId;
use crate::version::SoftwareVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The center's answer to one report. A report that comes again gets the same receipt again.
///
/// Source: JP 2003-076485: time of reception, type of content, reception number, description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The report that arrived.
    pub report: MessageId,
    /// Reception number: unique at this center.
    pub number: u64,
    /// When the center filed it.
    pub received: Timestamp,
    /// Kind of the report.
    pub content: String,
    /// What the center understood, for a person at the device.
    pub description: String,
    /// The newest release, as of now: who hears nothing fresh for long is being kept from the news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Latest>,
}

/// A dated statement of the newest release; signed with the rest of the receipt by the center's command key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// When this was true.
    pub at: Timestamp,
    /// The newest software version that the center has for this appliance; `None` when it has no package.
    pub software: Option<SoftwareVersion>,
    /// Its release counter; 0 without a package.
    pub release_counter: u64,
}

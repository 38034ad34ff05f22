//! Receipts: the center's answer to a report.

use crate::ids::MessageId;
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
}

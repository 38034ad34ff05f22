//! Lives of parts and the maker's own fault codes, as profiles find them in private objects.

use super::source::Source;
use serde::{Deserialize, Serialize};

/// A number that tells the life of a part, or the level of a supply, in a private object.
///
/// The name says what it is: `_remaining_life` and `_remaining` are percent, `_remaining_pages` and `_counter` pages,
/// `_status` the maker's number for a state; a name without such an end is a coarse level in percent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartLife {
    /// What it tells, such as `drum_remaining_life`.
    pub name: String,
    /// The number.
    pub value: u64,
    /// The objects that it was read from.
    pub source: Source,
}

/// A fault code of the maker's own, such as `SC542`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceCode {
    /// The code as the maker's manuals write it.
    pub code: String,
    /// The object in whose text it stood.
    pub source: Source,
}

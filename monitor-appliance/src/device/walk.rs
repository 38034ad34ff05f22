//! What a device answered: object identifiers with their values, in order.

use super::oid::{Oid, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A part of the device's data that was asked for and could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailedPart {
    /// Which part.
    pub part: Part,
    /// Why, for a person.
    pub reason: String,
}

/// The parts in which a device is read; each fails alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// System group (RFC 3418) and single host objects.
    System,
    /// `prtGeneralTable`, `prtLocalizationTable` and the device identifications.
    General,
    /// `hrDeviceTable` and `hrPrinterTable` (RFC 2790): status and error bits.
    Status,
    /// `prtAlertTable`.
    Alerts,
    /// `prtMarkerTable`: life counts.
    Markers,
    /// `prtMarkerSuppliesTable` and `prtMarkerColorantTable`.
    Supplies,
    /// `prtInputTable`.
    Inputs,
    /// `prtOutputTable`.
    Outputs,
    /// `prtCoverTable`.
    Covers,
    /// `prtConsoleDisplayBufferTable`.
    Console,
    /// `ifTable`: hardware addresses.
    Interfaces,
    /// `hrStorageTable` and `hrProcessorTable`.
    Host,
    /// Private objects of the maker, as its profile wants them.
    Vendor,
}

impl Part {
    /// All parts. Remembered layouts number them by their place here, so further ones go to the end.
    pub const ALL: [Self; 13] = [
        Self::System,
        Self::General,
        Self::Status,
        Self::Alerts,
        Self::Markers,
        Self::Supplies,
        Self::Inputs,
        Self::Outputs,
        Self::Covers,
        Self::Console,
        Self::Interfaces,
        Self::Host,
        Self::Vendor,
    ];
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::System => "system",
            Self::General => "general",
            Self::Status => "status",
            Self::Alerts => "alerts",
            Self::Markers => "markers",
            Self::Supplies => "supplies",
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
            Self::Covers => "covers",
            Self::Console => "console",
            Self::Interfaces => "interfaces",
            Self::Host => "host",
            Self::Vendor => "vendor",
        })
    }
}

/// What a device answered, ordered by object identifier; bounded in number and size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    values: BTreeMap<Oid, Value>,
    failed: Vec<FailedPart>,
}

impl Walk {
    /// Most values kept of one device; further ones are dropped. A large machine has about 1,000 standard ones.
    pub const VALUES_MAX: usize = 20_000;
    /// Longest OCTET STRING kept, in octets; longer ones are cut. The standard texts have at most 255.
    pub const OCTETS_MAX: usize = 2_048;

    /// Adds a value; the first one under an identifier stays. Returns whether it was taken.
    pub fn insert(&mut self, oid: Oid, mut value: Value) -> bool {
        if self.values.len() >= Self::VALUES_MAX || self.values.contains_key(&oid) {
            return false;
        }
        if let Value::Octets(octets) = &mut value {
            octets.truncate(Self::OCTETS_MAX);
        }
        self.values.insert(oid, value);
        true
    }

    /// Notes that a part could not be read to its end. One note per part.
    pub fn fail(&mut self, part: Part, reason: impl Into<String>) {
        if self.failed.iter().all(|failed| failed.part != part) {
            self.failed.push(FailedPart { part, reason: reason.into() });
        }
    }

    /// The parts that could not be read to their end.
    #[must_use]
    pub fn failed(&self) -> &[FailedPart] {
        &self.failed
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the device told nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Oid, &Value)> {
        self.values.iter()
    }

    /// The value under exactly this identifier.
    #[must_use]
    pub fn get(&self, oid: &[u32]) -> Option<&Value> {
        self.values.get(oid)
    }

    /// The value of a scalar object, that is of its instance `.0`.
    #[must_use]
    pub fn scalar(&self, object: &[u32]) -> Option<&Value> {
        self.cell(object, &[0])
    }

    /// The value of a column at one row index.
    #[must_use]
    pub fn cell(&self, column: &[u32], index: &[u32]) -> Option<&Value> {
        let mut oid = Vec::with_capacity(column.len() + index.len());
        oid.extend_from_slice(column);
        oid.extend_from_slice(index);
        self.values.get(oid.as_slice())
    }

    /// The first value whose identifier begins with `prefix` and goes on.
    #[must_use]
    pub fn first_below(&self, prefix: &[u32]) -> Option<(&Oid, &Value)> {
        self.values
            .range::<[u32], _>((Bound::Excluded(prefix), Bound::Unbounded))
            .next()
            .filter(|(oid, _)| oid.arcs().starts_with(prefix))
    }

    /// The rows of a column: row index and value, in order of the index.
    pub fn column<'a>(&'a self, column: &'a [u32]) -> impl Iterator<Item = (&'a [u32], &'a Value)> {
        self.values
            .range::<[u32], _>((Bound::Excluded(column), Bound::Unbounded))
            .map_while(move |(oid, value)| Some((oid.arcs().strip_prefix(column)?, value)))
    }

    /// The row indices found in any of these columns of one table, each once, in order, at most `limit`.
    ///
    /// A device may leave out columns: no single one decides which rows there are.
    #[must_use]
    pub fn rows(&self, columns: &[&[u32]], limit: usize) -> Vec<Vec<u32>> {
        let mut rows = std::collections::BTreeSet::new();
        for column in columns {
            for (index, _) in self.column(column) {
                if !index.is_empty() {
                    rows.insert(index.to_vec());
                }
            }
        }
        rows.into_iter().take(limit).collect()
    }
}

impl FromIterator<(Oid, Value)> for Walk {
    fn from_iter<I: IntoIterator<Item = (Oid, Value)>>(values: I) -> Self {
        let mut walk = Self::default();
        for (oid, value) in values {
            walk.insert(oid, value);
        }
        walk
    }
}

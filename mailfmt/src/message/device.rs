//! What reports say about devices: identity, counters, supplies, fault classes (RFC 3805 words and units).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who a device is: registered by vendor, model and serial number.
///
/// A device that tells no serial number is known by its MAC address instead; then `serial` is `mac:` and the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId {
    /// Maker, such as `Kyocera`.
    pub vendor: String,
    /// Model name, without the maker.
    pub model: String,
    /// Serial number as the device tells it (`prtGeneralSerialNumber`).
    pub serial: String,
}

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.vendor, self.model, self.serial)
    }
}

/// One monotonic count. A count that the device does not tell is absent, never 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// What is counted, such as `total`.
    pub name: String,
    /// The count.
    pub value: u64,
    /// Unit by its RFC 3805 name (`PrtMarkerCounterUnitTC`), such as `impressions`.
    pub unit: String,
    /// The object it was read from, dotted, without leading dot.
    pub source: String,
}

/// One supply: toner, ink, drum, waste box, staples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Row index in the device (`prtMarkerSuppliesIndex`).
    pub index: u32,
    /// The device's own text.
    pub description: String,
    /// Type by its RFC 3805 name (`PrtMarkerSuppliesTypeTC`), such as `toner`.
    pub kind: String,
    /// Colour, where the device tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colorant: Option<String>,
    /// How much is left, or how much room where it fills.
    pub level: SupplyLevel,
    /// Capacity in the unit of `level`, where the device tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Unit by its RFC 3805 name (`PrtMarkerSuppliesSupplyUnitTC`), where the device tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the appliance concluded from its levels over time; absent where there is nothing to say.
    #[serde(default, skip_serializing_if = "SupplyOutlook::is_nothing")]
    pub outlook: SupplyOutlook,
}

/// What the levels of one supply say over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SupplyOutlook {
    /// When the one that is in was first seen, where its predecessor was seen, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// For a receptacle: whether its level rises as it fills (`true`) or falls; absent until the device has shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rises: Option<bool>,
    /// When it comes to its end: empty, or full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<SupplyEnds>,
}

impl SupplyOutlook {
    /// Whether nothing could be concluded.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// An 80 % interval for the end of a supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyEnds {
    /// With 90 % probability not before.
    pub earliest: Timestamp,
    /// As likely before as after.
    pub likely: Timestamp,
    /// With 90 % probability not after.
    pub latest: Timestamp,
}

/// `prtMarkerSuppliesLevel`: a number, or one of the three states that are no numbers.
///
/// Source: RFC 3805, `prtMarkerSuppliesLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SupplyLevel {
    /// So many units.
    Units(u32),
    /// -3: at least something remains; never turned into a number.
    SomeRemains,
    /// -2: unknown.
    Unknown,
    /// -1: no restriction.
    NoRestriction,
}

/// Who has to act on a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultClass {
    /// Whoever stands at the device: jam, cover, paper out.
    UserClearable,
    /// A consumable is low or empty.
    Consumable,
    /// A part must be replaced.
    PartReplacement,
    /// A technician is needed.
    ServiceRequired,
}

impl FaultClass {
    /// The class as on the wire and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserClearable => "user-clearable",
            Self::Consumable => "consumable",
            Self::PartReplacement => "part-replacement",
            Self::ServiceRequired => "service-required",
        }
    }
}

impl std::fmt::Display for FaultClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

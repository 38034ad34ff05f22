//! What counters are called.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// What a counter counts: a word such as `total` or `copy_color`, or one of a family such as `paper_a4`.
///
/// Lower case letters, digits and `_`. Stored and shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterName(Cow<'static, str>);

/// Longest name of a counter, in characters.
const CHARS_MAX: usize = 60;

/// Names that stand for themselves, beside the functions and the families.
const NAMES: &[&str] = &[
    "total",
    "marker_life",
    "since_power_on",
    "black",
    "color",
    "single_color",
    "two_color",
    "full_color",
    "scanned",
    "scan_black",
    "scan_color",
    "scan_send",
    "scan_box",
    "scan_copy",
    "scan_fax",
    "scan_other",
    "scan_mail",
    "scan_folder",
    "scan_usb",
    "scan_host",
    "scan_flatbed",
    "scan_feeder",
    "scan_duplex",
    "duplex",
    "simplex",
    "large",
    "small",
    "large_black",
    "large_color",
    "small_black",
    "small_color",
    "feeder",
    "flatbed",
    "jams",
    "feeder_jams",
    "fax_sent",
    "fax_received",
    "sheets",
    "engine",
    "images",
    "printed_length_inches",
    "printed_length_centimeters",
    "labels",
];

/// Where scans go; each counted as a whole, and by colour.
const SCANS: &[&str] = &[
    "scan_send",
    "scan_box",
    "scan_copy",
    "scan_fax",
    "scan_other",
    "scan_mail",
    "scan_folder",
    "scan_usb",
    "scan_host",
];

/// Functions of a machine, each counted by `_total` and by colour.
const FUNCTIONS: &[&str] = &["print", "copy", "fax", "other", "document"];

/// How pages of a function are told apart.
const MODES: &[&str] = &["total", "black", "color", "single_color", "two_color", "full_color"];

/// Families: what follows names the paper size, tray, mode, department, part or colour.
const FAMILIES: &[&str] = &["paper_", "tray_", "mode_", "department_", "part_", "images_", "coverage_"];

/// A text that no counter is called by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCounterName {
    /// Not of the form of a name.
    #[error("`{0}` is no name of a counter: 1 to {CHARS_MAX} small letters, digits and `_`")]
    Shape(String),
    /// Of the form, and not in the list.
    #[error("no counter is called `{0}`; {known}", known = known())]
    Unknown(String),
}

fn known() -> String {
    format!(
        "the names are {}; {}_ and scans such as scan_mail_ with {}, and perhaps _large or _small; and what begins with {}",
        NAMES.join(", "),
        FUNCTIONS.join("_, "),
        MODES.join(", "),
        FAMILIES.join(", ")
    )
}

impl CounterName {
    /// All pages, as the machine counts them.
    pub const TOTAL: Self = Self(Cow::Borrowed("total"));
    /// `prtMarkerLifeCount`: over the life of the machine, in the unit of the marker.
    pub const MARKER_LIFE: Self = Self(Cow::Borrowed("marker_life"));
    /// `prtMarkerPowerOnCount`: since the machine was switched on; not a count to bill by.
    pub const SINCE_POWER_ON: Self = Self(Cow::Borrowed("since_power_on"));

    /// A name of the right form, known here or not: a newer program may know more.
    ///
    /// # Errors
    /// [`BadCounterName::Shape`].
    pub fn new(name: &str) -> Result<Self, BadCounterName> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > CHARS_MAX || !name.chars().all(fits) {
            return Err(BadCounterName::Shape(name.chars().take(80).collect()));
        }
        Ok(NAMES
            .iter()
            .find(|known| **known == name)
            .map_or_else(|| Self(Cow::Owned(name.to_owned())), |known| Self(Cow::Borrowed(known))))
    }

    /// A name that is in the list or of one of the families.
    ///
    /// # Errors
    /// [`BadCounterName`]; says what there is.
    pub fn known(name: &str) -> Result<Self, BadCounterName> {
        let made = Self::new(name)?;
        if NAMES.contains(&name) || is_of_function(name) || made.family().is_some() {
            Ok(made)
        } else {
            Err(BadCounterName::Unknown(name.to_owned()))
        }
    }

    /// The name made of a device's own text: everything but letters and digits becomes one `_`.
    #[must_use]
    pub fn from_label(prefix: &str, label: &str) -> Option<Self> {
        let mut name = prefix.to_owned();
        for c in label.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_alphanumeric() {
                name.push(c);
            } else if !name.ends_with('_') {
                name.push('_');
            }
        }
        let name = name.trim_end_matches('_');
        let name = &name[..name.len().min(CHARS_MAX)];
        (name.len() > prefix.len()).then(|| Self::new(name).ok()).flatten()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn family(&self) -> Option<&'static str> {
        let family = FAMILIES.iter().find(|family| self.0.starts_with(**family))?;
        (self.0.len() > family.len()).then_some(family)
    }

    /// Whether it counts pages, rather than scans, jams, lengths or parts.
    #[must_use]
    pub fn counts_pages(&self) -> bool {
        let other = [
            "scan",
            "jams",
            "feeder",
            "flatbed",
            "images",
            "printed_length",
            "part_",
            "coverage_",
            "marker_life",
            "since_power_on",
            "labels",
            "sheets",
            "fax_sent",
            "fax_received",
        ];
        !other.iter().any(|start| self.0.starts_with(start)) && !self.0.ends_with("jams")
    }
}

fn is_of_function(name: &str) -> bool {
    let name = name.strip_suffix("_large").or_else(|| name.strip_suffix("_small")).unwrap_or(name);
    FUNCTIONS
        .iter()
        .chain(SCANS)
        .filter_map(|function| name.strip_prefix(function)?.strip_prefix('_'))
        .any(|mode| MODES.contains(&mode))
}

impl std::fmt::Display for CounterName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for CounterName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CounterName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadCounterName, CounterName};

    #[test]
    fn names_of_functions_and_families_are_known_and_misspelt_ones_are_not() {
        for name in ["total", "print_black", "copy_full_color_large", "paper_a4", "images_cyan", "fax_total"]
        {
            assert_eq!(CounterName::known(name).unwrap().as_str(), name);
        }
        for name in ["totals", "print_blue", "paper_", "copy", "copy_"] {
            assert!(matches!(CounterName::known(name), Err(BadCounterName::Unknown(_))), "{name}");
        }
        assert!(matches!(CounterName::known("Total"), Err(BadCounterName::Shape(_))));
        assert!(CounterName::known("toner").unwrap_err().to_string().contains("marker_life"));
    }

    #[test]
    fn a_label_becomes_a_name() {
        let name = |label| CounterName::from_label("paper_", label).map(|name| name.to_string());
        assert_eq!(name("A4"), Some("paper_a4".to_owned()));
        assert_eq!(name("8.5 x 11\" (Letter)"), Some("paper_8_5_x_11_letter".to_owned()));
        assert_eq!(name("—"), None);
        assert_eq!(name(&"x".repeat(500)).map(|name| name.len()), Some(60));
    }
}

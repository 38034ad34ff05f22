//! Versions of the whole appliance and of its modules.

use serde::{Deserialize, Serialize};

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Longer than allowed, or empty.
    #[error("a version has 1 to {max} characters, found {found}")]
    Length {
        /// Longest version accepted.
        max: usize,
        /// Length found, in octets.
        found: usize,
    },
    /// Wrong shape.
    #[error("{found:?} is not a version of the shape {shape}")]
    Shape {
        /// The shape expected, by example.
        shape: &'static str,
        /// The text found.
        found: String,
    },
}

/// The version of a whole appliance: a part common to all, then a free part (`1.0.00-1`).
///
/// Shape: `[0-9]+(\.[0-9]+){2}(-[0-9A-Za-z.]+)?`, at most [`Self::LEN_MAX`] octets of ASCII. It stands for one
/// exact set of module versions. Equal means octet for octet equal; there is no order, because success is
/// "equal to the target", never "newer".
///
/// Source: JP 2003-435644 [0069-0073].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SoftwareVersion(String);

impl SoftwareVersion {
    /// Longest version accepted, in octets.
    pub const LEN_MAX: usize = 32;

    /// Checks `text` and makes the version.
    ///
    /// # Errors
    /// [`VersionError`] says which rule `text` breaks.
    pub fn new(text: &str) -> Result<Self, VersionError> {
        check(text, Self::LEN_MAX, |count| count == 3, "1.0.00-1").map(Self)
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The version of one module, such as `1.5.08`.
///
/// Shape: `[0-9]+(\.[0-9]+){0,3}(-[0-9A-Za-z.]+)?`, at most [`Self::LEN_MAX`] octets of ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleVersion(String);

impl ModuleVersion {
    /// Longest version accepted, in octets.
    pub const LEN_MAX: usize = 32;

    /// Checks `text` and makes the version.
    ///
    /// # Errors
    /// [`VersionError`] says which rule `text` breaks.
    pub fn new(text: &str) -> Result<Self, VersionError> {
        check(text, Self::LEN_MAX, |count| (1..=4).contains(&count), "1.5.08").map(Self)
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(
    text: &str,
    max: usize,
    numbers: fn(usize) -> bool,
    shape: &'static str,
) -> Result<String, VersionError> {
    if text.is_empty() || text.len() > max {
        return Err(VersionError::Length { max, found: text.len() });
    }
    let (common, free) = match text.split_once('-') {
        Some((common, free)) => (common, Some(free)),
        None => (text, None),
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    let common_ok = common.split('.').all(number) && numbers(common.split('.').count());
    let free_ok = free.is_none_or(|free| {
        !free.is_empty() && free.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.')
    });
    if common_ok && free_ok {
        Ok(text.to_owned())
    } else {
        Err(VersionError::Shape { shape, found: text.to_owned() })
    }
}

macro_rules! text_traits {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = VersionError;
            fn try_from(text: String) -> Result<Self, VersionError> {
                Self::new(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = VersionError;
            fn from_str(text: &str) -> Result<Self, VersionError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(version: $name) -> Self {
                version.0
            }
        }
    };
}

text_traits!(SoftwareVersion);
text_traits!(ModuleVersion);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_version_is_three_numbers_and_a_free_part() {
        for good in ["1.0.00-1", "1.0.02-0", "10.20.30", "1.0.0-rc.1"] {
            assert_eq!(SoftwareVersion::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "1.0", "1.0.0.0", "1..0", "1.0.0-", "1.0.0 ", "v1.0.0", "1.0.0-a_b", &"1".repeat(40)]
        {
            assert!(SoftwareVersion::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_module_version_is_one_to_four_numbers() {
        for good in ["1", "1.5.08", "2.0.00", "1.1.1.1-b"] {
            assert!(ModuleVersion::new(good).is_ok());
        }
        for bad in ["", "a", "1.2.3.4.5", "1.0.00/2"] {
            assert!(ModuleVersion::new(bad).is_err(), "{bad:?} was taken");
        }
    }
}

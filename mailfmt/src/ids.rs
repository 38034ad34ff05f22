//! Ids: one type each, valid by construction.

use crate::digest::{HexError, from_hex, to_hex};
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// Why a text is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {length} characters of {allowed}, found {found:?}")]
pub struct IdError {
    /// Which id.
    pub what: &'static str,
    /// Allowed length.
    pub length: &'static str,
    /// Allowed characters.
    pub allowed: &'static str,
    /// The text found, at most 80 characters of it.
    pub found: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Longest text accepted, in octets.
            pub const LEN_MAX: usize = $max;

            /// Checks `text` and makes the id.
            ///
            /// # Errors
            /// [`IdError`] says which characters and lengths are allowed.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if text.is_empty() || text.len() > Self::LEN_MAX || !valid(text) {
                    return Err(IdError {
                        what: $what,
                        length: concat!("1 to ", stringify!($max)),
                        allowed: $allowed,
                        found: text.chars().take(80).collect(),
                    });
                }
                Ok(Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

fn word(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

text_id!(
    /// The id of an appliance as the operator sees it, such as `AGENT0000001`.
    ///
    /// Source: JP 2003-435644, Fig. 15.
    AgentId, "agent id", 32, "letters, digits, '-' and '_'", word
);
text_id!(
    /// The id of a center; an appliance may know several.
    CenterId, "center id", 32, "letters, digits, '-' and '_'", word
);
text_id!(
    /// The name of a module: also its file name in a release, so never a path and never hidden.
    ModuleName, "module name", 64, "letters, digits, '.', '-', '_' and '+', not starting with '.' or '-'",
    |text| !text.starts_with(['.', '-'])
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b'+'))
);

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new one from 128 random bits.
            pub fn generate(random: &mut impl Random) -> Self {
                let mut octets = [0; 16];
                random.fill(&mut octets);
                Self(octets)
            }

            /// From its 16 octets.
            #[must_use]
            pub const fn from_bytes(octets: [u8; 16]) -> Self {
                Self(octets)
            }

            /// Its 16 octets.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&to_hex(&self.0))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl std::str::FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                from_hex(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = HexError;
            fn try_from(text: String) -> Result<Self, HexError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

random_id!(
    /// The id of one message, the same however often the message is sent again. 128 bits, written as 32 hex digits.
    MessageId
);
random_id!(
    /// A number used once: a version request carries it, the version report gives it back, so that an old report cannot pass for a new one.
    Nonce
);

//! Object identifiers and the values found under them, free of any SNMP library.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// An object identifier: its arcs in order, compared as SNMP orders them (RFC 3416 section 4.2.2).
///
/// Text form is dotted without a leading dot (`1.3.6.1.2.1.1.1.0`); that is also its serialised form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// Most arcs an object identifier may have (RFC 2578 section 3.5).
    pub const ARCS_MAX: usize = 128;

    /// Takes the arcs as they are; more than [`Self::ARCS_MAX`] are cut off.
    #[must_use]
    pub fn new(arcs: &[u32]) -> Self {
        Self(arcs[..arcs.len().min(Self::ARCS_MAX)].to_vec())
    }

    /// The arcs.
    #[must_use]
    pub fn arcs(&self) -> &[u32] {
        &self.0
    }
}

impl Borrow<[u32]> for Oid {
    fn borrow(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, arc) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{arc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no object identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no object identifier: write numbers with dots between, such as 1.3.6.1.2.1.1.1.0")]
pub struct BadOid(String);

impl BadOid {
    /// This text, cut where it is long.
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(80).collect())
    }
}

impl FromStr for Oid {
    type Err = BadOid;

    fn from_str(text: &str) -> Result<Self, BadOid> {
        let bad = || BadOid::of(text);
        let arcs = text
            .strip_prefix('.')
            .unwrap_or(text)
            .split('.')
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()
            .map_err(|_| bad())?;
        if arcs.len() > Self::ARCS_MAX {
            return Err(bad());
        }
        Ok(Self(arcs))
    }
}

impl serde::Serialize for Oid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Oid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The value of one object, as far as a reading needs to tell kinds apart (RFC 2578 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// INTEGER.
    Integer(i64),
    /// Counter32, Gauge32, Unsigned32 and Counter64.
    Unsigned(u64),
    /// TimeTicks: hundredths of a second.
    Ticks(u32),
    /// OCTET STRING: text or octets.
    Octets(Vec<u8>),
    /// OBJECT IDENTIFIER.
    Oid(Oid),
    /// IpAddress.
    Ip([u8; 4]),
    /// NULL, Opaque and whatever else a device sends: present, without a meaning here.
    Other,
}

impl Value {
    /// The number in it, whichever of the number kinds a device chose; `None` for anything else.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Ticks(ticks) => Some(i64::from(*ticks)),
            Self::Octets(_) | Self::Oid(_) | Self::Ip(_) | Self::Other => None,
        }
    }

    /// The octets of an OCTET STRING.
    #[must_use]
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Self::Octets(octets) => Some(octets),
            _ => None,
        }
    }

    /// The object identifier in it.
    #[must_use]
    pub fn as_oid(&self) -> Option<&Oid> {
        match self {
            Self::Oid(oid) => Some(oid),
            _ => None,
        }
    }
}

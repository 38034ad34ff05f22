//! How profiles name objects: with their instance, or with `.*` for the first instance that answers.

use super::file::{Encoding, TextObject};
use crate::device::{Oid, Value, Walk};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::str::FromStr;

/// Fewest numbers of an object identifier in a profile: a shorter one would stand for half a device.
const ARCS_MIN: usize = 7;

/// An object as written in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) oid: Oid,
    /// The first instance below that answers.
    pub(super) any: bool,
}

impl Object {
    /// The value, and under which identifier it stands.
    pub(super) fn find<'w>(&self, walk: &'w Walk) -> Option<(Oid, &'w Value)> {
        if !self.any {
            return walk.get(self.oid.arcs()).map(|value| (self.oid.clone(), value));
        }
        let (oid, value) = walk.first_below(self.oid.arcs())?;
        Some((oid.clone(), value))
    }
}

impl FromStr for Object {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (written, any) = text.strip_suffix(".*").map_or((text, false), |head| (head, true));
        let oid: Oid = written.parse().map_err(|error: crate::device::BadOid| error.to_string())?;
        if oid.arcs().len() < ARCS_MIN || !oid.arcs().starts_with(&[1, 3, 6, 1]) {
            return Err(format!(
                "`{text}` is too short for an object: it begins with 1.3.6.1 and has at least {ARCS_MIN} numbers"
            ));
        }
        Ok(Self { oid, any })
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

/// A standard source of a part of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    HrDeviceDescr,
    PrinterName,
    SerialNumber,
    DeviceId,
    SysDescr,
    SysName,
    IfPhysAddress,
}

impl Standard {
    const ALL: [(&'static str, Self); 7] = [
        ("hrDeviceDescr", Self::HrDeviceDescr),
        ("prtGeneralPrinterName", Self::PrinterName),
        ("prtGeneralSerialNumber", Self::SerialNumber),
        ("device-id", Self::DeviceId),
        ("sysDescr", Self::SysDescr),
        ("sysName", Self::SysName),
        ("ifPhysAddress", Self::IfPhysAddress),
    ];
}

/// An entry of a list under `[identity]`.
#[derive(Debug, Clone)]
pub(super) enum TextSource {
    Standard(Standard),
    Object(TextObject),
}

impl<'de> Deserialize<'de> for TextSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = TextSource;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object, a table with `object`, or a standard source")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextSource, E> {
                if let Some((_, standard)) = Standard::ALL.iter().find(|(name, _)| *name == text) {
                    return Ok(TextSource::Standard(*standard));
                }
                let object = text.parse().map_err(|error| {
                    let names = Standard::ALL.map(|(name, _)| name).join(", ");
                    E::custom(format!("{error}; or write one of {names}"))
                })?;
                Ok(TextSource::Object(TextObject { object, text: Encoding::Plain, pattern: None }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextSource, A::Error> {
                TextObject::deserialize(MapAccessDeserializer::new(map)).map(TextSource::Object)
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

/// A number, or a text that names a column or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    Number(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a text")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                i64::try_from(number).map(Number::Number).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

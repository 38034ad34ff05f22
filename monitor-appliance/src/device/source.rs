//! Which objects a value was read from.

use super::oid::{BadOid, Oid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;

/// The objects behind a value, with their instances: mostly one; several that were added up or taken away. Or, for what came
/// on another way than SNMP, the way and the name that the value has there.
///
/// Text form `1.3.6.1.4.1.9.1.0`, or `1.3.6.1.4.1.9.1.0 + 1.3.6.1.4.1.9.2.0 - 1.3.6.1.4.1.9.3.0`, or
/// `ipp:printer-impressions-completed`; also its stored form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(Origin);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Origin {
    Objects { first: Oid, further: Vec<(Sign, Oid)> },
    Told { way: Way, name: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sign {
    Plus,
    Minus,
}

/// A way of reading a device beside SNMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Internet Printing Protocol.
    Ipp,
    /// Printer Job Language.
    Pjl,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ipp => "ipp",
            Self::Pjl => "pjl",
        }
    }
}

impl Source {
    /// What a device told on `way` under `name`, such as an IPP attribute.
    #[must_use]
    pub fn told(way: Way, name: &str) -> Self {
        Self(Origin::Told { way, name: name.to_owned() })
    }

    /// Added to what is there; nothing can be added to what was told on another way.
    pub(crate) fn add(&mut self, object: Oid) {
        if let Origin::Objects { further, .. } = &mut self.0 {
            further.push((Sign::Plus, object));
        }
    }

    /// Taken away from what is there; nothing can be taken from what was told on another way.
    pub(crate) fn take_away(&mut self, object: Oid) {
        if let Origin::Objects { further, .. } = &mut self.0 {
            further.push((Sign::Minus, object));
        }
    }

    /// All objects, in order; none of what was told on another way.
    pub fn objects(&self) -> impl Iterator<Item = &Oid> {
        let (first, further) = match &self.0 {
            Origin::Objects { first, further } => (Some(first), further.as_slice()),
            Origin::Told { .. } => (None, [].as_slice()),
        };
        first.into_iter().chain(further.iter().map(|(_, object)| object))
    }
}

impl From<Oid> for Source {
    fn from(object: Oid) -> Self {
        Self(Origin::Objects { first: object, further: Vec::new() })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Origin::Objects { first, further } => {
                write!(f, "{first}")?;
                further.iter().try_for_each(|(sign, object)| match sign {
                    Sign::Plus => write!(f, " + {object}"),
                    Sign::Minus => write!(f, " - {object}"),
                })
            }
            Origin::Told { way, name } => write!(f, "{}:{name}", way.as_str()),
        }
    }
}

impl FromStr for Source {
    type Err = BadOid;

    fn from_str(text: &str) -> Result<Self, BadOid> {
        for way in [Way::Ipp, Way::Pjl] {
            let name = text.strip_prefix(way.as_str()).and_then(|rest| rest.strip_prefix(':'));
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                return Ok(Self::told(way, name));
            }
        }
        let mut words = text.split(' ');
        let mut source = Self::from(words.next().unwrap_or_default().parse::<Oid>()?);
        while let Some(sign) = words.next() {
            let object = words.next().unwrap_or_default().parse()?;
            match sign {
                "+" => source.add(object),
                "-" => source.take_away(object),
                other => return Err(other.parse::<Oid>().err().unwrap_or_else(|| BadOid::of(text))),
            }
        }
        Ok(source)
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_source_of_several_objects_survives_being_written() {
        for text in [
            "1.3.6.1.4.1.9.1.0",
            "1.3.6.1.4.1.9.1.0 + 1.3.6.1.4.1.9.2.0 - 1.3.6.1.4.1.9.3.0",
            "pjl:PAGECOUNT",
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
        for text in ["", "ipp:", "1.3 ", "1.3 * 1.4", "1.3 + x", "1.3 1.4"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}

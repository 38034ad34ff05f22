//! A profile's file as it is written: the shapes that TOML is read into. What a key means stands in `profiles/README.md`.

use super::object::{Number, Object, TextSource};
use super::pattern::Pattern;
use crate::device::{CounterName, Unit};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use toml::Spanned;

/// A whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) vendor: Option<String>,
    #[serde(default)]
    pub(super) brands: BTreeMap<String, String>,
    pub(super) sources: Vec<String>,
    #[serde(default, rename = "match")]
    pub(super) matches: Match,
    #[serde(default)]
    pub(super) description: Vec<Spanned<Description>>,
    #[serde(default)]
    pub(super) identity: Identity,
    #[serde(default)]
    pub(super) counter: Vec<Spanned<CounterRule>>,
    #[serde(default)]
    pub(super) table: Vec<Spanned<Table>>,
    #[serde(default)]
    pub(super) records: Vec<Spanned<Records>>,
    #[serde(default)]
    pub(super) standard: Standard,
    #[serde(default)]
    pub(super) supplies: Vec<Supplies>,
    #[serde(default)]
    pub(super) part: Vec<PartRule>,
    #[serde(default)]
    pub(super) panel: Vec<TextObject>,
    #[serde(default)]
    pub(super) service_code: Vec<Spanned<ServiceCodeRule>>,
    #[serde(default)]
    pub(super) fragile: Vec<Fragile>,
}

/// When a profile applies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Match {
    pub(super) object_ids: Vec<Object>,
    pub(super) device_ids: Vec<String>,
    pub(super) descriptions: Vec<Pattern>,
    pub(super) answers: Vec<Object>,
}

/// What a `sysDescr` of this form tells.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Description {
    pub(super) pattern: Pattern,
    pub(super) vendor: Option<String>,
    pub(super) tells_model: Option<bool>,
}

/// Where the parts of an identity are found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Identity {
    pub(super) model: Vec<TextSource>,
    pub(super) serial: Vec<TextSource>,
    pub(super) firmware: Vec<TextSource>,
    pub(super) mac: Vec<TextSource>,
}

/// How octets are a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    #[default]
    Plain,
    SymbolSet,
    #[serde(rename = "utf-16")]
    Utf16,
    Hex,
}

/// A private object that holds a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextObject {
    pub(super) object: Object,
    #[serde(default)]
    pub(super) text: Encoding,
    pub(super) pattern: Option<Pattern>,
}

/// A counter in single objects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterRule {
    #[serde(deserialize_with = "known_name")]
    pub(super) name: CounterName,
    pub(super) object: Object,
    #[serde(default)]
    pub(super) plus: Vec<Object>,
    #[serde(default)]
    pub(super) minus: Vec<Object>,
    pub(super) unit: Option<Unit>,
    #[serde(default = "yes")]
    pub(super) zero: bool,
    pub(super) text: Option<Pattern>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
}

/// A condition on what the device says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Condition {
    pub(super) object: Option<Object>,
    pub(super) is: Option<Vec<i64>>,
    pub(super) not: Option<Vec<i64>>,
    pub(super) answers: Option<bool>,
    pub(super) model: Option<OneOrMore<Pattern>>,
    pub(super) not_model: Option<OneOrMore<Pattern>>,
    pub(super) description: Option<OneOrMore<Pattern>>,
    pub(super) not_description: Option<OneOrMore<Pattern>>,
}

/// One entry, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Either<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| OneOrMore(vec![one]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(OneOrMore)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// Counters in rows of a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Table {
    pub(super) value: Object,
    pub(super) code: Option<OneOrMore<Object>>,
    pub(super) label: Option<Object>,
    #[serde(default)]
    pub(super) label_text: Encoding,
    pub(super) unit: Option<Unit>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
    pub(super) each: Option<String>,
    #[serde(default)]
    pub(super) counter: Vec<RowCounter>,
}

/// A counter in a row, or in several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowCounter {
    #[serde(deserialize_with = "known_name")]
    pub(super) name: CounterName,
    #[serde(default)]
    pub(super) codes: Vec<RowCode>,
    #[serde(default)]
    pub(super) labels: Vec<Pattern>,
    #[serde(default)]
    pub(super) rows: Vec<RowIndex>,
    #[serde(default)]
    pub(super) sum: bool,
    #[serde(default)]
    pub(super) all: bool,
    #[serde(default)]
    pub(super) minus: Vec<Number>,
    pub(super) unit: Option<Unit>,
    #[serde(default = "yes")]
    pub(super) zero: bool,
    pub(super) text: Option<Pattern>,
}

/// A code as written: a number, or, of several columns, a text of numbers and `*` with dots between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowCode(pub(super) Vec<Option<i64>>);

impl RowCode {
    pub(super) fn fits(&self, code: &[i64]) -> bool {
        self.0.len() == code.len()
            && self.0.iter().zip(code).all(|(wanted, part)| wanted.is_none_or(|wanted| wanted == *part))
    }

    /// The code that a number, or a text, stands for.
    pub(super) fn of(written: &Number) -> Option<Self> {
        let part = |part: &str| if part == "*" { Some(None) } else { part.parse().ok().map(Some) };
        match written {
            Number::Number(number) => Some(Self(vec![Some(*number)])),
            Number::Text(text) => text.split('.').map(part).collect::<Option<Vec<_>>>().map(Self),
        }
    }
}

impl<'de> Deserialize<'de> for RowCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bad = || {
            serde::de::Error::custom(
                "a code is a number, or a text such as \"1.*.3\", with `*` for any one number",
            )
        };
        Self::of(&Number::deserialize(deserializer)?).ok_or_else(bad)
    }
}

/// A row index as written: numbers and `*` with dots between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowIndex(pub(super) Vec<Option<u32>>);

impl RowIndex {
    pub(super) fn fits(&self, index: &[u32]) -> bool {
        self.0.len() == index.len()
            && self.0.iter().zip(index).all(|(wanted, arc)| wanted.is_none_or(|wanted| wanted == *arc))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let arc = |arc: &str| if arc == "*" { Some(None) } else { arc.parse().ok().map(Some) };
        text.split('.').map(arc).collect::<Option<Vec<_>>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for RowIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || {
            serde::de::Error::custom(format!(
                "`{text}` is no row index; write it as \"1.2\", with `*` for any one number"
            ))
        };
        Self::parse(&text).ok_or_else(bad)
    }
}

/// A list of records in one octet string.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    pub(super) object: Object,
    pub(super) length: usize,
    pub(super) id: [usize; 2],
    pub(super) value: [usize; 2],
    pub(super) end: Option<u8>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
    #[serde(default)]
    pub(super) counter: Vec<RecordCounter>,
    #[serde(default)]
    pub(super) part: Vec<RecordPart>,
}

/// A counter in a record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordCounter {
    #[serde(deserialize_with = "known_name")]
    pub(super) name: CounterName,
    pub(super) id: u64,
    pub(super) unit: Option<Unit>,
    #[serde(default = "yes")]
    pub(super) zero: bool,
}

/// The life of a part in a record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordPart {
    #[serde(deserialize_with = "part_name")]
    pub(super) name: String,
    pub(super) id: u64,
    #[serde(default = "one")]
    pub(super) divide: std::num::NonZeroU64,
    #[serde(default = "yes")]
    pub(super) zero: bool,
    pub(super) max: Option<u64>,
}

/// What the standard tables mean on these machines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Standard {
    pub(super) life_count_is_total: bool,
}

impl Default for Standard {
    fn default() -> Self {
        Self { life_count_is_total: true }
    }
}

/// A private table of supplies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Supplies {
    pub(super) description: Object,
    #[serde(default)]
    pub(super) text: Encoding,
    pub(super) level: Object,
    pub(super) max: Option<Number>,
    #[serde(default, deserialize_with = "states")]
    pub(super) states: BTreeMap<i64, LevelState>,
    #[serde(default)]
    pub(super) beside_standard: bool,
}

/// What a number that is no level means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LevelState {
    NearlyEmpty,
    SomeRemaining,
    Unknown,
    NoRestriction,
}

/// The life of a part in an object of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartRule {
    #[serde(deserialize_with = "part_name")]
    pub(super) name: String,
    pub(super) object: Object,
    #[serde(default = "one")]
    pub(super) divide: std::num::NonZeroU64,
    #[serde(default = "yes")]
    pub(super) zero: bool,
    pub(super) max: Option<u64>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
}

/// Where a maker's own fault codes stand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceCodeRule {
    #[serde(rename = "in")]
    pub(super) places: Vec<CodePlace>,
    pub(super) pattern: Pattern,
    pub(super) shown: Option<String>,
}

/// A text to look for codes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodePlace {
    Alerts,
    Panel,
    Object(Object),
}

impl<'de> Deserialize<'de> for CodePlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "alerts" => Ok(Self::Alerts),
            "panel" => Ok(Self::Panel),
            other => other.parse().map(Self::Object).map_err(|error| {
                serde::de::Error::custom(format!("write `alerts`, `panel`, or an object: {error}"))
            }),
        }
    }
}

/// Devices to be asked with care.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Fragile {
    #[serde(default)]
    pub(super) models: Vec<Pattern>,
    #[serde(default)]
    pub(super) descriptions: Vec<Pattern>,
    pub(super) max_repetitions: Option<std::num::NonZeroU32>,
    pub(super) objects_per_request: Option<std::num::NonZeroUsize>,
    pub(super) bulk: Option<bool>,
    #[serde(default)]
    pub(super) pause_ms: u32,
    pub(super) retries: Option<u32>,
    #[serde(default)]
    pub(super) skip: Vec<Object>,
    pub(super) why: String,
}

fn yes() -> bool {
    true
}

fn one() -> std::num::NonZeroU64 {
    std::num::NonZeroU64::MIN
}

fn known_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CounterName, D::Error> {
    CounterName::known(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn part_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    CounterName::new(&name).map_err(serde::de::Error::custom)?;
    Ok(name)
}

fn states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<i64, LevelState>, D::Error> {
    let written = BTreeMap::<String, LevelState>::deserialize(deserializer)?;
    written
        .into_iter()
        .map(|(number, state)| {
            let bad = || {
                serde::de::Error::custom(format!(
                    "`{number}` is no number; write states as \"-3\" = \"some-remaining\""
                ))
            };
            number.parse().map(|number| (number, state)).map_err(|_| bad())
        })
        .collect()
}

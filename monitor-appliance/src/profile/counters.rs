//! Counters in private objects.

use super::choose::Facts;
use super::file::CounterRule;
use super::object::Object;
use super::{Chosen, Pattern, Profile, Rule};
use crate::device::{CounterName, Oid, Source, Unit, Value, Walk, decode};

/// A counter as a rule found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) name: CounterName,
    pub(crate) value: u64,
    pub(crate) unit: Option<Unit>,
    pub(crate) source: Source,
}

/// Most counters taken of one device: tables of departments can be long.
const COUNTERS_MAX: usize = 1_024;

impl Chosen {
    /// Every counter that the profiles find: the first rule that gives a value for a name counts, unless `pinned` knows the
    /// objects that this counter has been read from and they are others.
    pub(crate) fn counters(
        &self,
        walk: &Walk,
        model: Option<&str>,
        description: Option<&str>,
        pinned: &dyn Fn(&CounterName) -> Option<Source>,
    ) -> Vec<Counted> {
        let facts = Facts { walk, model, description };
        let mut found: Vec<Counted> = Vec::new();
        for profile in self.iter() {
            for rule in &profile.rules {
                for counted in profile.counted(*rule, &facts) {
                    let other = || pinned(&counted.name).is_some_and(|source| source != counted.source);
                    let known = found.iter().any(|known| known.name == counted.name);
                    if !known && found.len() < COUNTERS_MAX && !other() {
                        found.push(counted);
                    }
                }
            }
        }
        found
    }
}

impl Profile {
    fn counted(&self, rule: Rule, facts: &Facts<'_>) -> Vec<Counted> {
        match rule {
            Rule::Counter(at) => {
                let rule = self.file.counter.get(at).map(toml::Spanned::get_ref);
                rule.and_then(|rule| scalar(rule, facts)).into_iter().collect()
            }
            Rule::Table(at) => {
                let table = self.file.table.get(at).map(toml::Spanned::get_ref);
                table.map(|table| super::tables::counters(table, facts)).unwrap_or_default()
            }
            Rule::Records(at) => {
                let records = self.file.records.get(at).map(toml::Spanned::get_ref);
                records.map(|records| super::records::counters(records, facts)).unwrap_or_default()
            }
        }
    }
}

fn scalar(rule: &CounterRule, facts: &Facts<'_>) -> Option<Counted> {
    if !facts.meet(&rule.when) {
        return None;
    }
    let read = |object: &Object| {
        let (oid, value) = object.find(facts.walk)?;
        Some((number(value, rule.text.as_ref())?, oid))
    };
    let (mut value, oid) = read(&rule.object)?;
    let mut source = Source::from(oid);
    for object in &rule.plus {
        let (more, oid) = read(object)?;
        value = value.checked_add(more)?;
        source.add(oid);
    }
    for object in &rule.minus {
        let (less, oid) = read(object)?;
        value = value.checked_sub(less)?;
        source.take_away(oid);
    }
    (rule.zero || value > 0).then(|| Counted {
        unit: unit(&rule.name, rule.unit),
        name: rule.name.clone(),
        value,
        source,
    })
}

/// The number in a value: a count, or, where the rule says so, what stands at `{number}` in a text.
pub(super) fn number(value: &Value, text: Option<&Pattern>) -> Option<u64> {
    match (value, text) {
        (Value::Unsigned(count), None) => Some(*count),
        (Value::Integer(count), None) => u64::try_from(*count).ok(),
        (Value::Octets(octets), Some(pattern)) => {
            let text = decode(octets, None)?;
            let found = pattern.fit(&text)?;
            found.get("number")?.parse().ok()
        }
        _ => None,
    }
}

/// The unit that a rule names, else the one that the name implies.
pub(super) fn unit(name: &CounterName, named: Option<Unit>) -> Option<Unit> {
    named.or_else(|| name.counts_pages().then_some(Unit::Impressions)).or_else(|| {
        let items = ["scan", "jams", "feeder", "flatbed", "images", "labels", "fax_sent", "fax_received"];
        if name.as_str() == "sheets" {
            Some(Unit::Sheets)
        } else {
            items.iter().any(|start| name.as_str().starts_with(start)).then_some(Unit::Items)
        }
    })
}

/// An object identifier of a row.
pub(super) fn cell(column: &Object, index: &[u32]) -> Oid {
    Oid::new(&[column.oid.arcs(), index].concat())
}

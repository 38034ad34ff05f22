//! Lists of records of fixed length in one octet string.

use super::choose::Facts;
use super::counters::{Counted, unit};
use super::file::Records;
use crate::device::{Oid, PartLife, Source, Value};
use std::collections::BTreeMap;

/// The records by id; of several with one id the first counts.
fn records(records: &Records, facts: &Facts<'_>) -> Option<(BTreeMap<u64, u64>, Oid)> {
    if !facts.meet(&records.when) {
        return None;
    }
    let (oid, value) = records.object.find(facts.walk)?;
    let Value::Octets(octets) = value else { return None };
    let mut found = BTreeMap::new();
    for record in octets.chunks(records.length) {
        let Some(id) = high_first(record, records.id) else { break };
        if records.end.is_some() && record.get(records.id[0]) == records.end.as_ref() {
            break;
        }
        // A list that was cut in the middle of a record ends before it.
        let Some(value) = high_first(record, records.value) else { break };
        found.entry(id).or_insert(value);
    }
    Some((found, oid))
}

fn high_first(record: &[u8], [from, count]: [usize; 2]) -> Option<u64> {
    let octets = record.get(from..from.checked_add(count)?)?;
    Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

pub(super) fn counters(rule: &Records, facts: &Facts<'_>) -> Vec<Counted> {
    let Some((found, oid)) = records(rule, facts) else { return Vec::new() };
    rule.counter
        .iter()
        .filter_map(|counter| {
            let value = *found.get(&counter.id).filter(|value| counter.zero || **value > 0)?;
            Some(Counted {
                unit: unit(&counter.name, counter.unit),
                name: counter.name.clone(),
                value,
                source: Source::from(oid.clone()),
            })
        })
        .collect()
}

pub(super) fn parts(rule: &Records, facts: &Facts<'_>) -> Vec<PartLife> {
    let Some((found, oid)) = records(rule, facts) else { return Vec::new() };
    rule.part
        .iter()
        .filter_map(|part| {
            let value = *found.get(&part.id).filter(|value| part.zero || **value > 0)? / part.divide.get();
            let fits = part.max.is_none_or(|max| value <= max);
            fits.then(|| PartLife { name: part.name.clone(), value, source: Source::from(oid.clone()) })
        })
        .collect()
}

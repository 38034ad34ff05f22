#![no_main]
//! Whatever a device answers, and whatever stands in the store as what was learned of it: layouts come back as they were written, looks
//! are judged, tables are followed to an end, and nothing grows beyond its bounds.

use jiff::Timestamp;
use monitor_appliance::device::{Oid, Value, Walk};
use monitor_appliance::snmp::{Acquaintance, rehearse};

/// Entries of tables that layouts and looks are made from.
const ENTRIES: &[&[u32]] = &[
    &[1, 3, 6, 1, 2, 1, 1],
    &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1],
    &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1],
    &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1],
    &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1],
];

fn object(octets: &[u8]) -> Option<(Oid, Value)> {
    let [entry, column, row, kind, content @ ..] = octets else { return None };
    let entry = ENTRIES[usize::from(*entry) % ENTRIES.len()];
    let row = u32::from(*row % 8);
    let index: &[u32] = if entry.len() == 7 { &[0] } else { &[1, row] };
    let arcs = [entry, [u32::from(*column % 32)].as_slice(), index].concat();
    let number = content.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
    let value = match kind % 6 {
        0 => Value::Integer(number.cast_signed()),
        1 => Value::Octets(content.to_vec()),
        2 => Value::Unsigned(number),
        3 => Value::Ticks(number as u32),
        4 => Value::Oid(Oid::new(&[1, 3, 6, 1, u32::from(*kind)])),
        _ => Value::Other,
    };
    Some((Oid::new(&arcs), value))
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut known = Acquaintance::restore(Some(octets));
    assert_eq!(known.take_change(), None);
    let (walked, answered) = octets.split_at(octets.len() / 2);
    let mut walk: Walk = walked.chunks(9).filter_map(object).collect();
    walk.insert(Oid::new(&[1, 3, 6, 1, 2, 1, 1, 3, 0]), Value::Ticks(1));
    let answer: Vec<(Oid, Option<Value>)> = answered
        .chunks(9)
        .filter_map(|octets| object(octets).map(|(oid, value)| (oid, (octets[0] != 255).then_some(value))))
        .collect();
    let rehearsed = rehearse(&walk, &answer, Timestamp::UNIX_EPOCH);
    assert!(rehearsed.learned);
    assert!(rehearsed.requests <= 8 * 33 && rehearsed.values <= 8 * 32, "{rehearsed:?}");
});

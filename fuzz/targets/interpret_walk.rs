#![no_main]
//! Whatever objects a device answers with, they are interpreted without a panic, and a reading survives being stored.

use monitor_appliance::device::{Oid, Reading, Value, Walk, interpret};
use monitor_appliance::profile::Profiles;

/// The columns whose values reach the most code, without their last arcs.
const ENTRIES: &[&[u32]] = &[
    &[1, 3, 6, 1, 2, 1, 1],
    &[1, 3, 6, 1, 2, 1, 2, 2, 1],
    &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1],
    &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1],
    &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1],
    &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 7, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1],
    &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 12, 1, 1],
    &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1],
    &[1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 1, 1],
];

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut walk = Walk::default();
    for object in octets.chunks(16) {
        let [entry, column, row, kind, content @ ..] = object else { continue };
        let Some(entry) = ENTRIES.get(usize::from(*entry) % ENTRIES.len()) else { continue };
        let arcs = [entry, [u32::from(*column), 1, u32::from(*row % 4)].as_slice()].concat();
        let number = content.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
        let value = match kind % 5 {
            0 => Value::Integer(number.cast_signed() >> (kind % 64)),
            1 => Value::Octets(content.to_vec()),
            2 => Value::Unsigned(number),
            3 => Value::Oid(Oid::new(&[1, 3, 6, 1, 4, 1, u32::from(*kind), 1])),
            _ => Value::Other,
        };
        walk.insert(Oid::new(&arcs), value);
    }
    let reading = interpret(&walk, &Profiles::built_in());
    let Ok(stored) = to_json(&reading) else { panic!("a reading cannot be stored: {reading:?}") };
    assert_eq!(from_json(&stored).ok(), Some(reading));
});

fn to_json(reading: &Reading) -> Result<String, serde_json::Error> {
    serde_json::to_string(reading)
}

fn from_json(text: &str) -> Result<Reading, serde_json::Error> {
    serde_json::from_str(text)
}

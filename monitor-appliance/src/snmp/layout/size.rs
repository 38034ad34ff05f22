//! How many octets objects take in a message (BER as in RFC 3417 section 8), and how a list of them is cut into requests.

use super::Entry;
use crate::device::{Oid, Value};

/// Octets of an SNMPv1 or SNMPv2c message around its variables, with a community of eight octets.
pub(in super::super) const MESSAGE_OCTETS: usize = 34;

/// Octets by which a number may have grown since it was read.
const GROWTH: usize = 1;

/// Octets by which a text may have grown since it was read.
const TEXT_GROWTH: usize = 4;

fn oid_octets(oid: &Oid) -> usize {
    // The first two arcs share one octet.
    let arc = |arc: &u32| -> usize {
        match *arc {
            0..=0x7f => 1,
            0x80..=0x3fff => 2,
            0x4000..=0x1f_ffff => 3,
            0x20_0000..=0xfff_ffff => 4,
            _ => 5,
        }
    };
    1 + oid.arcs().iter().skip(2).map(arc).sum::<usize>()
}

fn value_octets(value: &Value) -> usize {
    let signed = |number: i64| -> usize {
        let bits = 65 - if number < 0 { (!number).leading_zeros() } else { number.leading_zeros() };
        usize::try_from(bits.div_ceil(8)).unwrap_or(9)
    };
    match value {
        Value::Integer(number) => signed(*number),
        Value::Unsigned(number) => i64::try_from(*number).map_or(9, signed),
        Value::Ticks(ticks) => signed(i64::from(*ticks)),
        Value::Octets(octets) => octets.len(),
        Value::Oid(oid) => oid_octets(oid),
        Value::Ip(_) => 4,
        Value::Other => 0,
    }
}

fn tagged(octets: usize) -> usize {
    let length = match octets {
        0..=0x7f => 1,
        0x80..=0xff => 2,
        _ => 3,
    };
    1 + length + octets
}

/// Octets of an object with its value.
pub(in super::super) fn binding_octets(oid: &Oid, value: &Value) -> usize {
    tagged(tagged(oid_octets(oid)) + tagged(value_octets(value)))
}

/// Octets of an object in a request.
pub(in super::super) fn null_octets(oid: &Oid) -> usize {
    binding_octets(oid, &Value::Other)
}

fn expected_octets(entry: &Entry) -> usize {
    let growth = match entry.value {
        Value::Octets(_) => TEXT_GROWTH,
        _ => GROWTH,
    };
    binding_octets(&entry.oid, &entry.value) + growth
}

/// Cuts instances into requests whose answers have at most `room` octets of variables and `cells` of them. Each request has at
/// least one.
pub(in super::super) fn batches<'a>(
    mut entries: &'a [&'a Entry],
    room: usize,
    cells: usize,
) -> Vec<&'a [&'a Entry]> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let mut octets = 0;
        let fitting = entries.iter().take(cells).take_while(|entry| {
            octets += expected_octets(entry);
            octets <= room
        });
        let (batch, rest) = entries.split_at(fitting.count().max(1));
        batches.push(batch);
        entries = rest;
    }
    batches
}

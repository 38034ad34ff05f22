//! A layout as octets, some four thousand per device: the form in which it is kept in memory and in the store.
//!
//! Each object begins with how many arcs it shares with the one before. Numbers are in groups of seven bits, lowest first.
//! What cannot be read is no layout: the device is then learned anew.

use super::{Entry, Layout, Manner, Role};
use crate::device::{FailedPart, Oid, Part, Value, Walk};
use jiff::Timestamp;
use std::time::Duration;

/// The form that this version writes; another one is not read.
const FORM: u8 = 1;

/// Most failed parts, and longest reason.
const FAILED_MAX: usize = 16;

/// Octets of the largest layout read.
const OCTETS_MAX: usize = 1 << 20;

const ROLES: [Role; 4] = [Role::Steady, Role::Asked, Role::Same, Role::Level];

impl Layout {
    /// Writes it; [`Self::decode`] reads it.
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![FORM]);
        out.number(self.learned.as_millisecond().max(0).unsigned_abs());
        out.number(self.edition);
        let manner = &self.manner;
        for most in [manner.max_repetitions, manner.objects_per_request, manner.retries] {
            out.number(most.map_or(0, |most| u64::from(most) + 1));
        }
        out.0.push(u8::from(manner.no_bulk));
        out.number(u64::try_from(manner.pause.as_millis()).unwrap_or(u64::MAX));
        out.number(self.room as u64);
        let failed: Vec<&FailedPart> = self.failed.iter().take(FAILED_MAX).collect();
        out.number(failed.len() as u64);
        for failed in failed {
            out.0.push(part_number(failed.part));
            out.octets(failed.reason.as_bytes());
        }
        out.number(self.entries.len() as u64);
        let mut before: &[u32] = &[];
        for entry in &self.entries {
            out.oid(before, &entry.oid);
            out.0.push(role_number(entry.role));
            out.0.push(part_number(entry.part));
            out.value(&entry.value);
            before = entry.oid.arcs();
        }
        out.0
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub(in super::super) fn decode(octets: &[u8]) -> Option<Self> {
        let mut input = Reader(octets.get(..octets.len().min(OCTETS_MAX))?);
        if input.octet()? != FORM {
            return None;
        }
        let learned = Timestamp::from_millisecond(i64::try_from(input.number()?).ok()?).ok()?;
        let edition = input.number()?;
        let mut most = || -> Option<Option<u32>> {
            let number = input.number()?;
            Some(number.checked_sub(1).and_then(|most| u32::try_from(most).ok()))
        };
        let (max_repetitions, objects_per_request, retries) = (most()?, most()?, most()?);
        let no_bulk = input.octet()? != 0;
        let pause = Duration::from_millis(input.number()?);
        let manner = Manner { max_repetitions, objects_per_request, no_bulk, pause, retries };
        let room = usize::try_from(input.number()?).ok()?.min(OCTETS_MAX);
        let mut failed = Vec::new();
        for _ in 0..input.count(FAILED_MAX)? {
            let part = part_of(input.octet()?)?;
            failed.push(FailedPart { part, reason: String::from_utf8(input.octets()?.to_vec()).ok()? });
        }
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..input.count(Self::ENTRIES_MAX)? {
            let before = entries.last().map_or(&[][..], |entry| entry.oid.arcs());
            let oid = input.oid(before)?;
            let role = *ROLES.get(usize::from(input.octet()?))?;
            let part = part_of(input.octet()?)?;
            let value = input.value()?;
            if entries.last().is_some_and(|last| oid <= last.oid) {
                return None;
            }
            entries.push(Entry { oid, part, role, value });
        }
        input.0.is_empty().then_some(Self { learned, edition, manner, room, entries, failed })
    }
}

/// Objects with their values, as octets.
pub(in super::super) fn encode_cells(cells: &[(Oid, Value)]) -> Vec<u8> {
    let mut out = Writer(Vec::new());
    out.number(cells.len() as u64);
    let mut before: &[u32] = &[];
    for (oid, value) in cells {
        out.oid(before, oid);
        out.value(value);
        before = oid.arcs();
    }
    out.0
}

/// Puts what [`encode_cells`] wrote into a walk, as far as it can be read.
pub(in super::super) fn decode_cells(octets: &[u8], walk: &mut Walk) -> Option<()> {
    let mut input = Reader(octets);
    let mut before = Oid::default();
    for _ in 0..input.count(Walk::VALUES_MAX)? {
        let oid = input.oid(before.arcs())?;
        walk.insert(oid.clone(), input.value()?);
        before = oid;
    }
    Some(())
}

fn role_number(role: Role) -> u8 {
    let place = ROLES.iter().position(|known| *known == role);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn part_number(part: Part) -> u8 {
    let place = Part::ALL.iter().position(|known| *known == part);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn part_of(number: u8) -> Option<Part> {
    Part::ALL.get(usize::from(number)).copied()
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    fn oid(&mut self, before: &[u32], oid: &Oid) {
        let shared = before.iter().zip(oid.arcs()).take_while(|(a, b)| a == b).count();
        let own = &oid.arcs()[shared..];
        self.number(shared as u64);
        self.number(own.len() as u64);
        for arc in own {
            self.number(u64::from(*arc));
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Integer(number) => {
                self.0.push(0);
                // Small negative numbers stay short.
                self.number((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
            }
            Value::Unsigned(number) => {
                self.0.push(1);
                self.number(*number);
            }
            Value::Ticks(ticks) => {
                self.0.push(2);
                self.number(u64::from(*ticks));
            }
            Value::Octets(octets) => {
                self.0.push(3);
                self.octets(octets);
            }
            Value::Oid(oid) => {
                self.0.push(4);
                self.oid(&[], oid);
            }
            Value::Ip(octets) => {
                self.0.push(5);
                self.0.extend_from_slice(octets);
            }
            Value::Other => self.0.push(6),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn count(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= max)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        let count = self.count(Walk::OCTETS_MAX)?;
        self.take(count)
    }

    fn oid(&mut self, before: &[u32]) -> Option<Oid> {
        let shared = self.count(before.len())?;
        let own = self.count(Oid::ARCS_MAX - shared)?;
        let mut arcs = Vec::with_capacity(shared + own);
        arcs.extend_from_slice(&before[..shared]);
        for _ in 0..own {
            arcs.push(u32::try_from(self.number()?).ok()?);
        }
        Some(Oid::new(&arcs))
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.octet()? {
            0 => {
                let number = self.number()?;
                Value::Integer((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
            }
            1 => Value::Unsigned(self.number()?),
            2 => Value::Ticks(u32::try_from(self.number()?).ok()?),
            3 => Value::Octets(self.octets()?.to_vec()),
            4 => Value::Oid(self.oid(&[])?),
            5 => Value::Ip(self.take(4)?.try_into().ok()?),
            6 => Value::Other,
            _ => return None,
        })
    }
}

//! What is remembered of a device's tables, so that a later visit asks for exactly what is there.
//!
//! A visit that walks every table learns a [`Layout`]: which instances exist, what those tell that do not change, and how
//! long the answers are. From then on a full visit takes a few requests. The layout is given up as soon as anything
//! contradicts it (see [`Doubt`]), and after a day in any case. Pure.

mod codec;
mod size;

pub(super) use codec::{decode_cells, encode_cells};
pub(super) use size::{MESSAGE_OCTETS, batches, binding_octets, null_octets};

use super::plan::{self, FULL};
use super::wish::{Manner, Wish};
use crate::device::{FailedPart, Oid, Part, Value, Walk, oids};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// A layout is learned anew after this time: rows may have come that nothing else tells of.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A device whose uptime is further ahead than this of what it should be is another device.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A level that is higher by this share of the last one, or more, is another cartridge with other texts; in percent.
const RISE_PERCENT: i64 = 10;

/// How the value of an instance is got at a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Remembered.
    Steady,
    /// Asked for.
    Asked,
    /// Asked for, and has to be what it was when the layout was learned.
    Same,
    /// Asked for, a supply's level: when it rises, the supply is another one.
    Level,
}

/// One instance of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) oid: Oid,
    pub(super) part: Part,
    pub(super) role: Role,
    /// What it told when the layout was learned.
    pub(super) value: Value,
}

/// Why a layout does not fit the device any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    /// `sysUpTime` fell.
    #[error("the device has restarted")]
    Restarted,
    /// `sysUpTime` is further than it can be, or the serial number is another one.
    #[error("another device answers")]
    OtherDevice,
    /// `prtGeneralConfigChanges` is another one.
    #[error("the configuration has changed")]
    Reconfigured,
    /// A capacity is another one, or a level rose.
    #[error("a supply was changed")]
    SupplyChanged,
    /// An instance is not there any more.
    #[error("an object is gone")]
    Gone,
    /// The answer is not one to the question.
    #[error("the device answers something else than it was asked")]
    Malformed,
    /// A day has passed.
    #[error("it was learned a day ago")]
    Old,
    /// A profile wants other objects than when it was learned.
    #[error("other objects are wanted")]
    OtherWish,
}

/// The instances of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// When it was learned.
    pub(super) learned: Timestamp,
    /// [`super::Wishes::edition`] of what wanted objects then.
    pub(super) edition: u64,
    /// How the device has to be treated.
    pub(super) manner: Manner,
    /// Octets of variables that an answer may have; the device has sent as many.
    pub(super) room: usize,
    /// In the order of their identifiers, each once.
    pub(super) entries: Vec<Entry>,
    /// Parts that this device never tells to their end, such as a table in a loop.
    pub(super) failed: Vec<FailedPart>,
}

impl Layout {
    /// Most instances; a device with more is walked at every visit.
    pub(super) const ENTRIES_MAX: usize = 4_000;

    /// Learns from a visit that walked everything. `None` for a device that tells no uptime, or too much.
    pub(super) fn learn(walk: &Walk, wish: &Wish, edition: u64, room: usize, now: Timestamp) -> Option<Self> {
        walk.scalar(oids::SYS_UP_TIME)?;
        let printers = printer_rows(walk);
        let mut known = BTreeSet::new();
        let mut entries = Vec::new();
        let mut add = |part, column: &[u32], role: Role| {
            for (index, value) in walk.column(column) {
                let oid = Oid::new(&[column, index].concat());
                let aside = column == oids::HR_DEVICE_STATUS && !printers.contains(index);
                let role = if aside { Role::Steady } else { role };
                if known.insert(oid.clone()) {
                    entries.push(Entry { oid, part, role, value: value.clone() });
                }
            }
        };
        for plan in FULL.iter().filter(|plan| plan.part != Part::Alerts) {
            for column in plan.columns {
                add(plan.part, column, plan::role(column));
            }
        }
        for column in wish.columns.iter().chain(wish.scalars.iter()) {
            // An object is a column with one instance; it may be named with it.
            let role = if wish.steady.contains(column) { Role::Steady } else { Role::Asked };
            add(Part::Vendor, column.arcs(), role);
        }
        for scalar in &wish.scalars {
            let Some(value) = walk.get(scalar.arcs()) else { continue };
            let role = if wish.steady.contains(scalar) { Role::Steady } else { Role::Asked };
            if known.insert(scalar.clone()) {
                entries.push(Entry { oid: scalar.clone(), part: Part::Vendor, role, value: value.clone() });
            }
        }
        entries.sort_by(|a, b| a.oid.cmp(&b.oid));
        let usable = entries.len() <= Self::ENTRIES_MAX;
        let failed = walk.failed().to_vec();
        usable.then_some(Self { learned: now, edition, manner: wish.manner, room, entries, failed })
    }

    /// Whether its time is over, or lies in a future that a wrong clock has seen.
    pub(super) fn age(&self, now: Timestamp) -> Result<(), Doubt> {
        let fresh = self.learned <= now && now.duration_since(self.learned) < LIFETIME;
        if fresh { Ok(()) } else { Err(Doubt::Old) }
    }

    /// The entry of exactly this instance.
    pub(super) fn entry(&self, oid: &[u32]) -> Option<&Entry> {
        let place = self.entries.binary_search_by(|entry| entry.oid.arcs().cmp(oid)).ok()?;
        self.entries.get(place)
    }

    /// The entries of a column, in order.
    pub(super) fn column<'a>(&'a self, column: &'a [u32]) -> impl Iterator<Item = &'a Entry> {
        let from = self.entries.partition_point(|entry| entry.oid.arcs() <= column);
        self.entries[from..].iter().take_while(move |entry| entry.oid.arcs().starts_with(column))
    }

    /// What it remembers, put into a walk as far as `wanted` says.
    pub(super) fn remember(&self, walk: &mut Walk, wanted: impl Fn(Part) -> bool) {
        for entry in self.entries.iter().filter(|entry| entry.role == Role::Steady && wanted(entry.part)) {
            walk.insert(entry.oid.clone(), entry.value.clone());
        }
        for failed in self.failed.iter().filter(|failed| wanted(failed.part)) {
            walk.fail(failed.part, failed.reason.clone());
        }
    }
}

impl Entry {
    /// Whether a value that was asked for may stand in this place; `last` is a supply's level at the visit before.
    pub(super) fn check(&self, value: &Value, last: Option<i64>) -> Result<(), Doubt> {
        match self.role {
            Role::Same if *value != self.value => {
                let arcs = self.oid.arcs();
                Err(if arcs.starts_with(oids::PRT_GENERAL_CONFIG_CHANGES) {
                    Doubt::Reconfigured
                } else if arcs.starts_with(oids::PRT_MARKER_SUPPLIES_MAX_CAPACITY) {
                    Doubt::SupplyChanged
                } else {
                    Doubt::OtherDevice
                })
            }
            Role::Level => {
                let rise = |last: i64, level: i64| {
                    last >= 0 && level > last && (level - last).saturating_mul(100) >= last * RISE_PERCENT
                };
                match (last, value.as_i64()) {
                    (Some(last), Some(level)) if rise(last, level) => Err(Doubt::SupplyChanged),
                    _ => Ok(()),
                }
            }
            Role::Same | Role::Steady | Role::Asked => Ok(()),
        }
    }
}

/// Whether an uptime goes on from an earlier one. It may lag behind, since some devices do not count while they sleep,
/// and begins anew at zero after 497 days (RFC 3418).
pub(super) fn uptime_goes_on(before: u32, at: Timestamp, ticks: u32, now: Timestamp) -> Result<(), Doubt> {
    let elapsed = now.duration_since(at).max(SignedDuration::ZERO);
    let hundredths = |time: SignedDuration| u64::try_from(time.as_millis() / 10).unwrap_or(u64::MAX);
    let expected = u64::from(before).saturating_add(hundredths(elapsed));
    let ahead_max = hundredths(AHEAD_MAX).saturating_add(hundredths(elapsed) / 20);
    let wrapped = expected.saturating_add(ahead_max) > u64::from(u32::MAX);
    if ticks < before && !wrapped {
        return Err(Doubt::Restarted);
    }
    if !wrapped && u64::from(ticks) > expected.saturating_add(ahead_max) {
        return Err(Doubt::OtherDevice);
    }
    Ok(())
}

/// The rows of the device table that are printers; the first row where nothing says so.
fn printer_rows(walk: &Walk) -> BTreeSet<Vec<u32>> {
    let in_table = [oids::HR_PRINTER_STATUS, oids::HR_PRINTER_DETECTED_ERROR_STATE];
    let mut rows: BTreeSet<Vec<u32>> = walk.rows(&in_table, crate::device::ROWS_MAX).into_iter().collect();
    let of_type = walk
        .column(oids::HR_DEVICE_TYPE)
        .filter(|(_, value)| value.as_oid().is_some_and(|oid| oid.arcs() == oids::HR_DEVICE_TYPES_PRINTER));
    rows.extend(of_type.map(|(index, _)| index.to_vec()));
    if rows.is_empty() {
        rows.extend(walk.rows(&[oids::HR_DEVICE_STATUS], 1));
    }
    rows
}

#[cfg(test)]
pub(super) mod tests;

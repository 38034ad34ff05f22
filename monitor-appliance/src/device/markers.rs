//! Life counts and supplies (RFC 3805: `prtMarkerTable`, `prtMarkerSuppliesTable`, `prtMarkerColorantTable`).

use super::codes::{SupplyClass, SupplyType, Unit};
use super::counter_name::CounterName;
use super::oid::{Oid, Value};
use super::source::Source;
use super::supply_text::Said;
use super::text::{Charsets, text};
use super::walk::Walk;
use super::{ROWS_MAX, number, oids};
use crate::profile::Counted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One monotonic count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counter {
    /// What is counted.
    pub name: CounterName,
    /// `prtMarkerIndex` of a standard count: machines with several print engines count each apart. `None` for what the
    /// machine counts as a whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub marker: Option<u32>,
    /// The count, in `unit`.
    pub value: u64,
    /// What is counted in: `prtMarkerCounterUnit`, or what the profile says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Unit>,
    /// The objects that it was read from, with their instances.
    pub source: Source,
}

/// The counts of every marker and those that profiles found. A negative or missing count is absent. Where no profile tells
/// all pages of the machine, the life count of its first marker does, if it counts pages.
pub(super) fn counters(
    walk: &Walk,
    counted: Vec<Counted>,
    life_count_is_total: bool,
    pins: &BTreeMap<CounterName, Source>,
) -> Vec<Counter> {
    let standard = standard(walk);
    let first = standard.iter().find(|counter| counter.name == CounterName::MARKER_LIFE);
    let counted = without_unused(counted, first.is_some_and(|first| first.value > 0), pins);
    let mut counters: Vec<Counter> = counted
        .into_iter()
        .map(|Counted { name, value, unit, source }| Counter { name, marker: None, value, unit, source })
        .collect();
    let told = |name: &CounterName| counters.iter().any(|counter| counter.name == *name);
    let total =
        first.filter(|first| life_count_is_total && counts_pages(first.unit) && !told(&CounterName::TOTAL));
    let total = total.map(|first| Counter { name: CounterName::TOTAL, marker: None, ..first.clone() });
    let pinned = |counter: &Counter| pins.get(&counter.name).is_none_or(|source| *source == counter.source);
    counters.extend(total.filter(pinned));
    counters.extend(standard);
    counters.sort_by(|one, other| {
        (rank(one), &one.name, one.marker).cmp(&(rank(other), &other.name, other.marker))
    });
    counters
}

/// Objects that a machine has and does not count in stay at 0: a total beside a life count, or the pages of a colour beside
/// those of a function in that colour. Then it is not what it is called. One that was read from there before stays.
fn without_unused(
    mut counted: Vec<Counted>,
    life_count: bool,
    pins: &BTreeMap<CounterName, Source>,
) -> Vec<Counted> {
    let above = |counted: &[Counted], end: &str| {
        let function = |name: &str| {
            ["print_", "copy_", "fax_"].iter().any(|start| name.strip_prefix(start) == Some(end))
        };
        counted.iter().any(|counted| counted.value > 0 && function(counted.name.as_str()))
    };
    let unused =
        [("total", life_count), ("black", above(&counted, "black")), ("color", above(&counted, "color"))];
    counted.retain(|counted| {
        counted.value > 0
            || pins.contains_key(&counted.name)
            || !unused.iter().any(|(name, unused)| *unused && counted.name.as_str() == *name)
    });
    counted
}

/// Totals first, then what the machine tells, then what the standard tells.
fn rank(counter: &Counter) -> u8 {
    match counter.name.as_str() {
        "total" => 0,
        "marker_life" | "since_power_on" => 2,
        _ => 1,
    }
}

/// Whether a unit of the standard count can be pages; makers leave it out.
fn counts_pages(unit: Option<Unit>) -> bool {
    matches!(unit, None | Some(Unit::Impressions | Unit::Sheets | Unit::Other | Unit::Unknown))
}

fn standard(walk: &Walk) -> Vec<Counter> {
    let columns: [(CounterName, &[u32]); 2] = [
        (CounterName::MARKER_LIFE, oids::PRT_MARKER_LIFE_COUNT),
        (CounterName::SINCE_POWER_ON, oids::PRT_MARKER_POWER_ON_COUNT),
    ];
    let mut counters = Vec::new();
    for index in walk.rows(&[oids::PRT_MARKER_LIFE_COUNT, oids::PRT_MARKER_POWER_ON_COUNT], ROWS_MAX) {
        for (name, column) in &columns {
            let Some(value) = walk.cell(column, &index).and_then(count) else { continue };
            counters.push(Counter {
                name: name.clone(),
                marker: Some(index.last().copied().unwrap_or_default()),
                value,
                unit: number(walk, oids::PRT_MARKER_COUNTER_UNIT, &index).map(Unit::from_number),
                source: Source::from(Oid::new(&[*column, index.as_slice()].concat())),
            });
        }
    }
    counters
}

fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Unsigned(count) => Some(*count),
        Value::Integer(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

/// A level: a number, or one of the states that are no numbers.
///
/// Source: RFC 3805 `prtMarkerSuppliesLevel`, `prtInputCurrentLevel`, `prtOutputRemainingCapacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// So many units.
    Units(u32),
    /// -3: something remains, or there is some room; how much is not told.
    SomeRemains,
    /// -2: the device does not know.
    Unknown,
    /// -1: no restriction.
    NoRestriction,
    /// A number that the standard does not know, kept as it came.
    Invalid(i64),
}

impl Level {
    /// The level for a number as read.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            -3 => Self::SomeRemains,
            -2 => Self::Unknown,
            -1 => Self::NoRestriction,
            other => u32::try_from(other).map_or(Self::Invalid(other), Self::Units),
        }
    }
}

/// A maximum capacity: a number, or a state.
///
/// Source: RFC 3805 `prtMarkerSuppliesMaxCapacity`, `prtInputMaxCapacity`, `prtOutputMaxCapacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// So many units.
    Units(u32),
    /// -2: the device does not know.
    Unknown,
    /// -1: no restriction.
    NoRestriction,
    /// A number that the standard does not know, kept as it came.
    Invalid(i64),
}

impl Capacity {
    /// The capacity for a number as read.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            -2 => Self::Unknown,
            -1 => Self::NoRestriction,
            other => u32::try_from(other).map_or(Self::Invalid(other), Self::Units),
        }
    }
}

/// What is odd about a supply's numbers. The numbers themselves are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SupplyNote {
    /// The level is above the maximum: some machines do this with a fresh or a third-party cartridge.
    LevelAboveMaximum,
    /// The maximum is 0, so no share can be told.
    MaximumZero,
    /// The level is a negative number that the standard does not know.
    LevelInvalid,
    /// The maximum is a negative number that the standard does not know.
    MaximumInvalid,
    /// The maker has a number of its own for "nearly empty".
    NearlyEmpty,
}

/// One supply, as the device tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Supply {
    /// `hrDeviceIndex` of the printer it belongs to.
    pub device_index: u32,
    /// `prtMarkerSuppliesIndex`.
    pub index: u32,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none", default, rename = "type")]
    pub supply_type: Option<SupplyType>,
    /// Whether it is used up or fills up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<SupplyClass>,
    /// `prtMarkerSuppliesColorantIndex`; 0 means that it has no colorant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub colorant_index: Option<u32>,
    /// The colorant's name, such as `cyan`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub colorant: Option<String>,
    /// The device's own text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// The maker's part number, where the device's text says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part_number: Option<String>,
    /// The supply's own serial number, where the device's text says so: another one is another supply.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// Unit of maximum and level.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Unit>,
    /// Maximum capacity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<Capacity>,
    /// Level as told: for a receptacle the standard means room left, yet makers differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// Level as a share of the maximum, rounded down, 0 to 100; only where both are plain numbers that fit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub percent: Option<u8>,
    /// What is odd about the numbers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<SupplyNote>,
}

/// Every supply row, whichever of its columns the device gives.
pub(super) fn supplies(walk: &Walk, charsets: &Charsets) -> Vec<Supply> {
    let columns = [
        oids::PRT_MARKER_SUPPLIES_CLASS,
        oids::PRT_MARKER_SUPPLIES_TYPE,
        oids::PRT_MARKER_SUPPLIES_DESCRIPTION,
        oids::PRT_MARKER_SUPPLIES_MAX_CAPACITY,
        oids::PRT_MARKER_SUPPLIES_LEVEL,
    ];
    walk.rows(&columns, ROWS_MAX).iter().filter_map(|index| supply(walk, charsets, index)).collect()
}

fn supply(walk: &Walk, charsets: &Charsets, index: &[u32]) -> Option<Supply> {
    let (device_index, row) = match *index {
        [device_index, row] => (device_index, row),
        // Some Pantum machines leave the index of the printer away.
        [row] => (1, row),
        _ => return None,
    };
    let max = walk.cell(oids::PRT_MARKER_SUPPLIES_MAX_CAPACITY, index).and_then(Value::as_i64);
    let max = max.map(Capacity::from_number);
    let level = walk.cell(oids::PRT_MARKER_SUPPLIES_LEVEL, index).and_then(Value::as_i64);
    let level = level.map(Level::from_number);
    let (percent, notes) = judge(level, max);
    let colorant_index = number(walk, oids::PRT_MARKER_SUPPLIES_COLORANT_INDEX, index)
        .and_then(|colorant| u32::try_from(colorant).ok());
    let said = text(walk, charsets, oids::PRT_MARKER_SUPPLIES_DESCRIPTION, index);
    let Said { description, part_number, serial } = said.as_deref().map(Said::of).unwrap_or_default();
    Some(Supply {
        device_index,
        index: row,
        supply_type: number(walk, oids::PRT_MARKER_SUPPLIES_TYPE, index).map(SupplyType::from_number),
        class: number(walk, oids::PRT_MARKER_SUPPLIES_CLASS, index).map(SupplyClass::from_number),
        colorant_index,
        colorant: colorant_index.filter(|colorant| *colorant > 0).and_then(|colorant| {
            text(walk, charsets, oids::PRT_MARKER_COLORANT_VALUE, &[device_index, colorant])
        }),
        description,
        part_number,
        serial,
        unit: number(walk, oids::PRT_MARKER_SUPPLIES_SUPPLY_UNIT, index).map(Unit::from_number),
        max,
        level,
        percent,
        notes,
    })
}

impl Supply {
    /// A row of which only level and maximum are known, with the share and the notes that follow from them.
    pub(crate) fn leveled(index: u32, level: Option<Level>, max: Option<Capacity>) -> Self {
        let (percent, notes) = judge(level, max);
        Self {
            device_index: 1,
            index,
            supply_type: None,
            class: None,
            colorant_index: None,
            colorant: None,
            description: None,
            part_number: None,
            serial: None,
            unit: None,
            max,
            level,
            percent,
            notes,
        }
    }
}

/// The share, where there is one, and what is odd.
fn judge(level: Option<Level>, max: Option<Capacity>) -> (Option<u8>, Vec<SupplyNote>) {
    let mut notes = Vec::new();
    if matches!(level, Some(Level::Invalid(_))) {
        notes.push(SupplyNote::LevelInvalid);
    }
    match max {
        Some(Capacity::Invalid(_)) => notes.push(SupplyNote::MaximumInvalid),
        Some(Capacity::Units(0)) => notes.push(SupplyNote::MaximumZero),
        _ => {}
    }
    let percent = match (level, max) {
        (Some(Level::Units(level)), Some(Capacity::Units(max))) if max > 0 => {
            if level > max {
                notes.push(SupplyNote::LevelAboveMaximum);
                None
            } else {
                u8::try_from(u64::from(level) * 100 / u64::from(max)).ok()
            }
        }
        _ => None,
    };
    (percent, notes)
}

#[cfg(test)]
mod tests {
    use super::{Capacity, Level, SupplyNote, judge};

    #[test]
    fn a_share_needs_two_plain_numbers() {
        assert_eq!(judge(Some(Level::Units(7500)), Some(Capacity::Units(15000))), (Some(50), vec![]));
        assert_eq!(judge(Some(Level::Units(1)), Some(Capacity::Units(300))), (Some(0), vec![]));
        for level in [Level::SomeRemains, Level::Unknown, Level::NoRestriction] {
            assert_eq!(judge(Some(level), Some(Capacity::Units(100))), (None, vec![]));
        }
        for max in [Capacity::Unknown, Capacity::NoRestriction] {
            assert_eq!(judge(Some(Level::Units(40)), Some(max)), (None, vec![]));
        }
        assert_eq!(judge(None, Some(Capacity::Units(100))), (None, vec![]));
    }

    #[test]
    fn odd_numbers_are_noted_and_never_become_a_share() {
        let odd = |level, max| judge(Some(Level::from_number(level)), Some(Capacity::from_number(max)));
        assert_eq!(odd(150, 100), (None, vec![SupplyNote::LevelAboveMaximum]));
        assert_eq!(odd(0, 0), (None, vec![SupplyNote::MaximumZero]));
        assert_eq!(odd(-100, 100), (None, vec![SupplyNote::LevelInvalid]));
        assert_eq!(odd(50, -3), (None, vec![SupplyNote::MaximumInvalid]));
        assert_eq!(Level::from_number(-100), Level::Invalid(-100));
    }
}

//! All supplies of one device, as remembered between two readings.

use super::direction::Direction;
use super::forecast::{Forecast, forecast};
use super::life::{Replacement, Sample, SupplyLife};
use super::usage::PageUsage;
use crate::device::{Capacity, Level, Supply, SupplyClass, SupplyType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most supplies followed of one device.
const SUPPLIES_MAX: usize = 64;

/// What is remembered of a device's supplies; stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct DeviceSupplies {
    usage: PageUsage,
    /// By the name that [`key`] makes.
    lives: BTreeMap<String, Followed>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Followed {
    life: SupplyLife,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Timestamp>,
}

/// What is concluded of one supply.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outlook {
    /// When the one that is in was first seen, where its predecessor was seen, too.
    pub replaced: Option<Timestamp>,
    /// Which way a waste box counts.
    pub direction: Direction,
    /// When it will come to its end.
    pub forecast: Option<Forecast>,
}

impl DeviceSupplies {
    /// Takes in one reading of everything. `pages` is the device's total; `waste_full` that it says of a waste box that
    /// it is full or nearly so. Returns the rows that were replaced.
    pub fn observe(
        &mut self,
        at: Timestamp,
        pages: Option<u64>,
        supplies: &[Supply],
        waste_full: bool,
    ) -> Vec<(u32, Replacement)> {
        if let Some(pages) = pages {
            self.usage.observe(at, pages);
        }
        let mut replaced = Vec::new();
        for supply in supplies {
            let Some(share) = share(supply) else { continue };
            let key = key(supply);
            if self.lives.len() >= SUPPLIES_MAX && !self.lives.contains_key(&key) {
                continue;
            }
            let followed = self.lives.entry(key).or_default();
            let left =
                if fills(supply) { followed.life.of_receptacle(share, waste_full) } else { Some(share) };
            let Some(left) = left else { continue };
            if let Some(replacement) = followed.life.observe(Sample { at, left, pages }) {
                followed.replaced = Some(replacement.at);
                replaced.push((supply.index, replacement));
            }
        }
        replaced
    }

    /// What is concluded of `supply` at `now`.
    #[must_use]
    pub fn outlook(&self, supply: &Supply, now: Timestamp) -> Outlook {
        let Some(followed) = self.lives.get(&key(supply)) else { return Outlook::default() };
        Outlook {
            replaced: followed.replaced,
            direction: followed.life.direction(),
            forecast: forecast(&followed.life, &self.usage, now),
        }
    }
}

/// A row is known again by its number, what it is and its colour; its text may name the cartridge that is in.
fn key(supply: &Supply) -> String {
    let kind = supply.supply_type.map_or(2, SupplyType::number);
    format!("{}.{}/{kind}/{}", supply.device_index, supply.index, supply.colorant.as_deref().unwrap_or(""))
}

fn fills(supply: &Supply) -> bool {
    supply.class == Some(SupplyClass::ReceptacleThatIsFilled)
        || matches!(
            supply.supply_type,
            Some(
                SupplyType::WasteToner
                    | SupplyType::WasteInk
                    | SupplyType::WasteWax
                    | SupplyType::WasteWater
                    | SupplyType::WastePaper
            )
        )
}

/// The level as points of 100; `None` where either number is none.
fn share(supply: &Supply) -> Option<f64> {
    match (supply.level?, supply.max?) {
        (Level::Units(level), Capacity::Units(max)) if max > 0 && level <= max => {
            Some(f64::from(level) * 100.0 / f64::from(max))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceSupplies, Direction};
    use crate::device::{Capacity, Level, Supply, SupplyClass, SupplyType};
    use jiff::{SignedDuration, Timestamp};

    fn toner(level: i64) -> Supply {
        Supply {
            index: 1,
            supply_type: Some(SupplyType::Toner),
            class: Some(SupplyClass::SupplyThatIsConsumed),
            max: Some(Capacity::Units(100)),
            level: Some(Level::from_number(level)),
            ..supply()
        }
    }

    fn supply() -> Supply {
        serde_json::from_value(serde_json::json!({ "device-index": 1, "index": 1 })).unwrap()
    }

    fn waste(level: i64) -> Supply {
        Supply {
            index: 5,
            supply_type: Some(SupplyType::WasteToner),
            class: Some(SupplyClass::ReceptacleThatIsFilled),
            ..toner(level)
        }
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(480_000 + hours)
    }

    #[test]
    fn states_that_are_no_numbers_change_nothing() {
        let mut device = DeviceSupplies::default();
        device.observe(at(0), Some(5), &[toner(80)], false);
        let before = device.clone();
        for (hour, state) in (1_i64..).zip([-1, -2, -3, -100, 101]) {
            assert!(device.observe(at(hour), None, &[toner(state)], false).is_empty());
        }
        assert_eq!(device, before);
    }

    #[test]
    fn a_replacement_is_told_once_and_kept_through_a_restart() {
        let mut device = DeviceSupplies::default();
        let mut told = Vec::new();
        for hour in 0..48 {
            let level = if hour < 10 { 6 } else { 100 };
            told.extend(device.observe(at(hour), Some(1000), &[toner(level)], false));
            device = serde_json::from_str(&serde_json::to_string(&device).unwrap()).unwrap();
        }
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, told[0].1.at, told[0].1.left), (1, at(10), 6.0));
        assert_eq!(device.outlook(&toner(100), at(48)).replaced, Some(at(10)));
    }

    #[test]
    fn a_waste_box_that_fills_is_emptied_at_its_end_and_not_before() {
        let mut device = DeviceSupplies::default();
        let mut told = 0;
        for (hour, level) in (0_i64..).zip((10..95).chain(std::iter::repeat_n(0, 40))) {
            told += device.observe(at(hour), Some(1000), &[waste(level)], level > 90).len();
        }
        assert_eq!(told, 1, "emptied");
        assert_eq!(device.outlook(&waste(0), at(200)).direction, Direction::Rises);
    }
}

//! Which way the level of a waste box counts: the standard says room left, yet makers differ.

use serde::{Deserialize, Serialize};

/// What a level means, learned from the device; for what is used up it is clear from the start.
///
/// Source: RFC 3805 `prtMarkerSuppliesLevel`; alert codes 1107 to 1110.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Nothing has shown it yet.
    #[default]
    Unknown,
    /// The level falls towards 0 as the supply comes to its end.
    Falls,
    /// The level rises towards its maximum as the box fills.
    Rises,
}

impl Direction {
    /// What one observation of a receptacle shows. `full` is an alert that it is full or nearly so: near which end the
    /// level stands then tells it for certain. `change` is a movement of the level, in points of 100, that is no
    /// emptying of the box.
    #[must_use]
    pub(super) fn shown(self, level: f64, full: bool, change: f64) -> Self {
        const NEAR_END: f64 = 25.0;
        const SLOPE: f64 = 2.0;
        match () {
            () if full && level >= 100.0 - NEAR_END => Self::Rises,
            () if full && level <= NEAR_END => Self::Falls,
            () if self == Self::Unknown && change >= SLOPE => Self::Rises,
            () if self == Self::Unknown && change <= -SLOPE => Self::Falls,
            () => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Direction;

    #[test]
    fn an_alert_tells_for_certain_and_a_slope_only_the_first_time() {
        assert_eq!(Direction::Unknown.shown(96.0, true, 0.0), Direction::Rises);
        assert_eq!(Direction::Rises.shown(4.0, true, 0.0), Direction::Falls);
        assert_eq!(Direction::Unknown.shown(40.0, false, -5.0), Direction::Falls);
        assert_eq!(Direction::Falls.shown(45.0, false, 5.0), Direction::Falls);
        assert_eq!(Direction::Unknown.shown(50.0, true, 0.0), Direction::Unknown);
    }
}

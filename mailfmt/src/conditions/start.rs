//! Not before a moment, or a time of the site's own clock.

use super::{ConditionsError, as_text};
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Before this nothing begins.
///
/// Shape: `2026-12-01T20:00:00Z`, `local 2026-12-01T20:00:00`, or `local 20:00:00 after 2026-11-22T10:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Start {
    /// A moment, the same everywhere.
    At(Timestamp),
    /// When the site's clock says this.
    Local(DateTime),
    /// When the site's clock next says this, from a moment on.
    Next {
        /// The time of the day.
        time: Time,
        /// The moment from which on it is meant: when the order was decided on.
        after: Timestamp,
    },
}

as_text!(Start);

impl Start {
    /// Reads what an operator writes at `now`, who may leave the moment away that `local 20:00` counts from.
    ///
    /// # Errors
    /// [`ConditionsError::Start`].
    pub fn read(text: &str, now: Timestamp) -> Result<Self, ConditionsError> {
        let hours_only = |text: &str| text.strip_prefix("local ")?.trim().parse::<Time>().ok();
        match hours_only(text) {
            Some(time) if !text.contains('T') => Ok(Self::Next { time, after: now }),
            _ => text.parse(),
        }
    }

    /// The moment that it means in this zone. An hour that a change of the clocks leaves out is the one after.
    #[must_use]
    pub fn moment(&self, zone: &TimeZone) -> Timestamp {
        let moment =
            |local: DateTime| zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX);
        match self {
            Self::At(at) => *at,
            Self::Local(local) => moment(*local),
            Self::Next { time, after } => {
                let today = zone.to_datetime(*after).date();
                let at = moment(today.to_datetime(*time));
                if at >= *after {
                    return at;
                }
                today.tomorrow().map_or(Timestamp::MAX, |day| moment(day.to_datetime(*time)))
            }
        }
    }
}

impl FromStr for Start {
    type Err = ConditionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ConditionsError::Start { text: text.to_owned() };
        let Some(local) = text.strip_prefix("local ") else {
            return text.parse().map(Self::At).map_err(|_| wrong());
        };
        if let Some((time, after)) = local.split_once(" after ") {
            let (time, after) = (time.parse(), after.parse());
            return Ok(Self::Next { time: time.map_err(|_| wrong())?, after: after.map_err(|_| wrong())? });
        }
        // Without hours a day would begin at its midnight, which nobody who writes so means.
        let timed = local.contains(':');
        local.parse().ok().filter(|_| timed).map(Self::Local).ok_or_else(wrong)
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "{at}"),
            Self::Local(local) => write!(f, "local {local}"),
            Self::Next { time, after } => write!(f, "local {time} after {after}"),
        }
    }
}

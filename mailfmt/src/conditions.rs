//! When an ordered update may begin, in the site's own time: not before a start, in maintenance windows, never on blackout
//! days.
//!
//! Everything here is written as text in one shape on the wire and at the command line, and is judged by [`opens`], which
//! both sides use: the appliance in its own time zone, the center in every zone that there is.

mod blackout;
mod start;
mod weekly;

pub use blackout::Blackout;
pub use start::Start;
pub use weekly::WeeklyWindow;

use crate::package::DailyWindow;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Windows and blackouts of one order, each.
const LIST_MAX: usize = 64;
/// Openings looked at in one search: more than two a day over ten years.
const STEPS_MAX: u32 = 10_000;

/// The first words of the reason with which an appliance refuses an order that it can never begin in time.
pub const WINDOW_MISSED: &str = "window missed";

/// When an order may begin. Empty: at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Only in one of these; empty: at all hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WeeklyWindow>,
    /// On none of these days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
}

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionsError {
    /// No start time.
    #[error(
        "{text:?} is no start; write a time such as 2026-12-01T20:00Z, or the site's own: \"local 2026-12-01T20:00\" or \"local 20:00\""
    )]
    Start {
        /// What was given.
        text: String,
    },
    /// No window.
    #[error(
        "{text:?} is no window; write days and hours in the site's own time, such as \"Mo-Fr 20:00-06:00\""
    )]
    Window {
        /// What was given.
        text: String,
    },
    /// No blackout.
    #[error(
        "{text:?} names no days; write 2026-12-24, 2026-12-24..2027-01-06, every year 12-24..01-06, or month-end:3 for the last three days of every month"
    )]
    Blackout {
        /// What was given.
        text: String,
    },
    /// More than any order needs.
    #[error("an order may name {LIST_MAX} windows and {LIST_MAX} blackouts at most")]
    TooMany,
}

/// When something may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// At this moment.
    Now,
    /// Then, and not before.
    At(Timestamp),
    /// At no time that is left.
    Never,
}

impl Conditions {
    /// Whether they ask for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_none() && self.windows.is_empty() && self.blackouts.is_empty()
    }

    /// Whether they are of a size that can be judged.
    ///
    /// # Errors
    /// [`ConditionsError::TooMany`].
    pub fn check(&self) -> Result<(), ConditionsError> {
        let few = self.windows.len() <= LIST_MAX && self.blackouts.len() <= LIST_MAX;
        few.then_some(()).ok_or(ConditionsError::TooMany)
    }

    /// The next local time at which the windows and the blackouts may allow it; `None` where they do at `here`.
    fn closed_until(&self, here: DateTime) -> Option<DateTime> {
        let windows = self.windows.iter().map(|window| window.opens(here));
        // One open window is enough.
        let window = windows.reduce(|one, other| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            _ => None,
        });
        let blackouts = self.blackouts.iter().filter_map(|days| days.ends(here.date()));
        blackouts.map(|day| day.at(0, 0, 0, 0)).chain(window.flatten()).max()
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        let mut clause = |f: &mut fmt::Formatter<'_>, intro: &str, words: &[String]| {
            if words.is_empty() {
                return Ok(());
            }
            let comma = if std::mem::replace(&mut said, true) { ", " } else { "" };
            write!(f, "{comma}{intro} {}", words.join(" or "))
        };
        clause(f, "not before", &self.start.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        clause(f, "only", &self.windows.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        clause(f, "not on", &self.blackouts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if said { Ok(()) } else { f.write_str("at any time") }
    }
}

/// The first moment from `now` to `until` at which the order and all of these hours of the day allow it, in this time zone.
///
/// A clock that is put forward leaves hours out, and with them a window that lies in them; one that is put back has hours
/// twice, and a window is open in both.
#[must_use]
pub fn opens(
    ordered: &Conditions,
    hours: &[DailyWindow],
    now: Timestamp,
    until: Timestamp,
    zone: &TimeZone,
) -> Opening {
    let start = ordered.start.map_or(now, |start| start.moment(zone));
    let mut at = now.max(start);
    for _ in 0..STEPS_MAX {
        if at > until {
            return Opening::Never;
        }
        let here = zone.to_datetime(at);
        let daily = hours.iter().filter_map(|hours| hours.opens(here));
        let Some(next) = daily.chain(ordered.closed_until(here)).max() else {
            return if at == now { Opening::Now } else { Opening::At(at) };
        };
        at = moment_of(next, here, at, zone);
    }
    Opening::Never
}

/// The first moment after `at`, where the clock says `here`, at which it says `next` in this zone.
fn moment_of(next: DateTime, here: DateTime, at: Timestamp, zone: &TimeZone) -> Timestamp {
    let found = zone.to_ambiguous_timestamp(next);
    let after = |moment: Result<Timestamp, jiff::Error>| moment.ok().filter(|moment| *moment > at);
    after(found.compatible()).or_else(|| after(found.later())).unwrap_or_else(|| {
        let passes = next.duration_since(here).max(SignedDuration::from_secs(1));
        at.checked_add(passes).unwrap_or(Timestamp::MAX)
    })
}

/// The number that exactly these digits write.
fn number(digits: &str, width: usize) -> Option<i16> {
    let plain = digits.len() == width && digits.bytes().all(|octet| octet.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Serializes as its text and reads it back.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = $crate::conditions::ConditionsError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
use as_text;

#[cfg(test)]
mod tests;

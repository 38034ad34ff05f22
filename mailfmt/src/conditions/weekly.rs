//! Maintenance windows: hours on days of the week.

use super::{ConditionsError, as_text};
use crate::package::DailyWindow;
use jiff::civil::{DateTime, Weekday};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Days as they are written, Monday first.
const NAMES: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// Hours on some days of the week, in the site's own time. Hours over midnight belong to the day on which they begin; both
/// ends alike are 24 hours.
///
/// Shape: `Mo-Fr 20:00-06:00`, `Sa,Su 00:00-00:00`, or hours alone for every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WeeklyWindow {
    /// From Monday.
    days: [bool; 7],
    hours: DailyWindow,
}

as_text!(WeeklyWindow);

impl WeeklyWindow {
    /// `None` when it is open at `here`; otherwise the next time of the clock at which it opens.
    #[must_use]
    pub fn opens(&self, here: DateTime) -> Option<DateTime> {
        let mut next = None;
        let mut day = here.date().yesterday().unwrap_or(here.date());
        // Yesterday's may reach into today; a week later every day has come.
        for _ in 0..9 {
            let after = day.tomorrow().unwrap_or(day);
            if self.is_on(day.weekday()) {
                let (from, to) = (day.to_datetime(self.hours.from()), self.hours.to());
                let ends = if self.hours.from() < to { day } else { after }.to_datetime(to);
                if from <= here && here < ends {
                    return None;
                }
                next = next.or(Some(from).filter(|from| *from > here));
            }
            day = after;
        }
        // Beyond the calendar's end nothing opens.
        Some(next.unwrap_or(DateTime::MAX))
    }

    fn is_on(&self, day: Weekday) -> bool {
        let at = usize::try_from(day.to_monday_zero_offset()).unwrap_or(usize::MAX);
        self.days.get(at).copied().unwrap_or(false)
    }
}

fn day(name: &str) -> Option<usize> {
    let name = name.trim();
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))
}

/// `Mo-Fr` or `Sa,Su`; a range may go over the end of the week.
fn days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for range in text.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (day(from)?, day(to)?);
        let mut at = from;
        loop {
            *days.get_mut(at)? = true;
            if at == to {
                break;
            }
            at = (at + 1) % NAMES.len();
        }
    }
    Some(days)
}

impl FromStr for WeeklyWindow {
    type Err = ConditionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ConditionsError::Window { text: text.to_owned() };
        let (days, hours) = match text.trim().rsplit_once(' ') {
            Some((named, hours)) => (days(named).ok_or_else(wrong)?, hours),
            None => ([true; 7], text.trim()),
        };
        Ok(Self { days, hours: hours.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for WeeklyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.days.iter().all(|on| *on) {
            // Runs of days that follow each other are written as one.
            let mut runs: Vec<(usize, usize)> = Vec::new();
            for (at, _) in self.days.iter().enumerate().filter(|(_, on)| **on) {
                match runs.last_mut() {
                    Some((_, last)) if *last + 1 == at => *last = at,
                    _ => runs.push((at, at)),
                }
            }
            let name = |at: usize| NAMES.get(at).copied().unwrap_or_default();
            for (index, (from, to)) in runs.into_iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                match to - from {
                    0 => write!(f, "{comma}{}", name(from))?,
                    _ => write!(f, "{comma}{}-{}", name(from), name(to))?,
                }
            }
            f.write_str(" ")?;
        }
        self.hours.fmt(f)
    }
}

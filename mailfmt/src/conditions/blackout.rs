//! Days on which nothing begins.

use super::{ConditionsError, as_text, number};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Whole days, in the site's own time, on which nothing begins.
///
/// Shape: `2026-12-24`, `2026-12-24..2027-01-06`, every year `12-24` or `12-24..01-06`, `month-end` or `month-end:3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Blackout {
    /// From the first to the last of these days.
    Dates {
        /// The first.
        from: Date,
        /// The last.
        to: Date,
    },
    /// The same of every year; may reach over its end.
    Yearly {
        /// Month and day of the first.
        from: (i8, i8),
        /// Month and day of the last.
        to: (i8, i8),
    },
    /// The last days of every month.
    MonthEnd {
        /// How many, 1 to 27.
        days: i8,
    },
}

as_text!(Blackout);

impl Blackout {
    /// The first day after it, if `day` is one of its days.
    #[must_use]
    pub fn ends(&self, day: Date) -> Option<Date> {
        let last = match *self {
            Self::Dates { from, to } => (from <= day && day <= to).then_some(to),
            Self::Yearly { from, to } => {
                let here = (day.month(), day.day());
                let inside = if from <= to { from <= here && here <= to } else { from <= here || here <= to };
                let year = if here <= to { day.year() } else { day.year().saturating_add(1) };
                // A year that has no 29 February ends it the day before.
                let last = Date::new(year, to.0, to.1).or_else(|_| Date::new(year, to.0, to.1 - 1));
                inside.then(|| last.unwrap_or(day).max(day))
            }
            Self::MonthEnd { days } => {
                let inside = day.day() > day.days_in_month().saturating_sub(days);
                inside.then(|| day.last_of_month())
            }
        };
        last.map(|last| last.tomorrow().unwrap_or(last))
    }
}

fn date(text: &str) -> Option<Date> {
    // The library reads more than one shape of a date; one is enough here.
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

fn month_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    let number = |digits| i8::try_from(number(digits, 2)?).ok();
    let (month, day) = (number(month)?, number(day)?);
    // Of a leap year, so that 29 February can be named.
    Date::new(2024, month, day).ok().map(|_| (month, day))
}

impl FromStr for Blackout {
    type Err = ConditionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ConditionsError::Blackout { text: text.to_owned() };
        if let Some(days) = text.strip_prefix("month-end") {
            let days = match days.strip_prefix(':') {
                Some(days) => days.parse().ok().filter(|days| (1..=27).contains(days)),
                None => days.is_empty().then_some(1),
            };
            return days.map(|days| Self::MonthEnd { days }).ok_or_else(wrong);
        }
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        match (date(from), date(to), month_day(from), month_day(to)) {
            (Some(from), Some(to), ..) if from <= to => Ok(Self::Dates { from, to }),
            (_, _, Some(from), Some(to)) => Ok(Self::Yearly { from, to }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dates { from, to } if from == to => write!(f, "{from}"),
            Self::Dates { from, to } => write!(f, "{from}..{to}"),
            Self::Yearly { from, to } if from == to => write!(f, "{:02}-{:02}", from.0, from.1),
            Self::Yearly { from, to } => write!(f, "{:02}-{:02}..{:02}-{:02}", from.0, from.1, to.0, to.1),
            Self::MonthEnd { days: 1 } => f.write_str("month-end"),
            Self::MonthEnd { days } => write!(f, "month-end:{days}"),
        }
    }
}

//! Hours of the day in which an update may begin.

use jiff::civil::{DateTime, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Hours of every day in the site's own time, such as `22:00-05:00`; may reach over midnight. Both ends alike mean
/// the whole day.
///
/// Shape: `HH:MM-HH:MM`; the first minute belongs to it, the last does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DailyWindow {
    from: Time,
    to: Time,
}

/// A text that names no hours of the day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hours of the day are written like 22:00-05:00, in the site's own time")]
pub struct DailyWindowError;

impl Default for DailyWindow {
    /// The whole day.
    fn default() -> Self {
        Self { from: Time::midnight(), to: Time::midnight() }
    }
}

impl DailyWindow {
    pub(crate) fn from(&self) -> Time {
        self.from
    }

    pub(crate) fn to(&self) -> Time {
        self.to
    }

    /// `None` when an update may begin at `now`; otherwise the next time of the clock at which it may.
    #[must_use]
    pub fn opens(&self, now: DateTime) -> Option<DateTime> {
        let time = now.time();
        let open = match self.from.cmp(&self.to) {
            std::cmp::Ordering::Less => self.from <= time && time < self.to,
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => self.from <= time || time < self.to,
        };
        if open {
            return None;
        }
        let today = now.date();
        let day = if time < self.from { today } else { today.tomorrow().unwrap_or(today) };
        Some(day.to_datetime(self.from))
    }
}

impl FromStr for DailyWindow {
    type Err = DailyWindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let number = |digits: &str| {
                let plain = digits.len() == 2 && digits.bytes().all(|octet| octet.is_ascii_digit());
                plain.then(|| digits.parse::<i8>().ok()).flatten()
            };
            Time::new(number(hour)?, number(minute)?, 0, 0).ok()
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
        both.map(|(from, to)| Self { from, to }).ok_or(DailyWindowError)
    }
}

impl TryFrom<String> for DailyWindow {
    type Error = DailyWindowError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DailyWindow> for String {
    fn from(window: DailyWindow) -> Self {
        window.to_string()
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn window(text: &str) -> DailyWindow {
        text.parse().unwrap()
    }

    #[test]
    fn hours_over_midnight_are_one_window() {
        let night = window("22:00-05:00");
        for (hour, minute) in [(22, 0), (23, 59), (0, 0), (4, 59)] {
            assert_eq!(night.opens(date(2026, 1, 2).at(hour, minute, 0, 0)), None);
        }
        for (hour, minute) in [(5, 0), (12, 0), (21, 59)] {
            let opens = night.opens(date(2026, 1, 2).at(hour, minute, 30, 0));
            assert_eq!(opens, Some(date(2026, 1, 2).at(22, 0, 0, 0)));
        }
    }

    #[test]
    fn after_the_hours_of_today_come_those_of_tomorrow() {
        let noon = window("12:00-13:30");
        assert_eq!(noon.opens(date(2026, 1, 31).at(13, 30, 0, 0)), Some(date(2026, 2, 1).at(12, 0, 0, 0)));
        assert_eq!(noon.opens(date(2026, 1, 31).at(3, 0, 0, 0)), Some(date(2026, 1, 31).at(12, 0, 0, 0)));
    }

    #[test]
    fn equal_ends_are_the_whole_day() {
        assert_eq!(window("00:00-00:00").opens(date(2026, 1, 2).at(3, 0, 0, 0)), None);
    }

    #[test]
    fn only_hours_and_minutes_in_digits_are_hours_of_the_day() {
        assert_eq!(window("09:05-23:00").to_string(), "09:05-23:00");
        for text in
            ["", "9:00-10:00", "24:00-01:00", "10:60-11:00", "10:00", "10:00-11:00-12:00", "+1:00-02:00"]
        {
            assert_eq!(text.parse::<DailyWindow>(), Err(DailyWindowError), "{text}");
        }
    }
}

//! When a month ends at a site, and what a meter stood at where nobody read it just then.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How long after the deadline a reading is still the one of the deadline.
pub(super) const ON_TIME: SignedDuration = SignedDuration::from_mins(15);

/// So long before a deadline readings are made, and stored, more often.
pub(super) const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Deadlines looked at in one go: two years.
const MONTHS_MAX: usize = 24;

/// The local time at which months end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthEnd {
    zone: TimeZone,
    zone_name: String,
    day: Option<u8>,
    hour: u8,
}

/// A month end that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MonthEndError {
    /// Nobody knows that time zone here.
    #[error(
        "the time zone {name:?} is not known here; install the system's time zones (tzdata), or write its rule as POSIX does, such as CET-1CEST,M3.5.0,M10.5.0/3"
    )]
    Zone {
        /// What was asked for.
        name: String,
    },
    /// Not every month has such a day.
    #[error("a month ends on `last` or on a day from 1 to 28, not on {day}")]
    Day {
        /// What was asked for.
        day: u8,
    },
    /// No such hour.
    #[error("a month ends at an hour from 0 to 23, not at {hour}")]
    Hour {
        /// What was asked for.
        hour: u8,
    },
}

/// The time zone of that IANA name or POSIX rule.
///
/// # Errors
/// [`MonthEndError::Zone`].
pub(crate) fn time_zone(name: &str) -> Result<TimeZone, MonthEndError> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    let found = TimeZone::get(name).or_else(|_| TimeZone::posix(name));
    found.map_err(|_| MonthEndError::Zone { name: name.to_owned() })
}

/// The end of one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// The month that it closes, such as `2026-11`.
    pub month: String,
}

impl Default for MonthEnd {
    /// The last day of the month at 20:00 UTC.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, zone_name: "UTC".to_owned(), day: None, hour: 20 }
    }
}

impl MonthEnd {
    /// On `day` of each month, the last one if `None`, at `hour`:00 in a time zone by its IANA name or POSIX rule.
    ///
    /// # Errors
    /// [`MonthEndError`].
    pub fn new(zone: &str, day: Option<u8>, hour: u8) -> Result<Self, MonthEndError> {
        let found = time_zone(zone)?;
        if let Some(day) = day.filter(|day| !(1..=28).contains(day)) {
            return Err(MonthEndError::Day { day });
        }
        if hour > 23 {
            return Err(MonthEndError::Hour { hour });
        }
        Ok(Self { zone: found, zone_name: zone.to_owned(), day, hour })
    }

    /// The time zone as it was named.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The day; `None`: the last one.
    #[must_use]
    pub fn day(&self) -> Option<u8> {
        self.day
    }

    /// The hour.
    #[must_use]
    pub fn hour(&self) -> u8 {
        self.hour
    }

    /// The deadline of the month in which `date` lies. An hour that a change of the clocks leaves out is the one after.
    fn of_month(&self, date: Date) -> Option<Deadline> {
        let day = match self.day {
            Some(day) => i8::try_from(day).ok()?,
            None => date.last_of_month().day(),
        };
        let hour = i8::try_from(self.hour).ok()?;
        let local = Date::new(date.year(), date.month(), day).ok()?.at(hour, 0, 0, 0);
        let at = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Deadline { at, month: format!("{:04}-{:02}", date.year(), date.month()) })
    }

    /// The deadlines after `after` up to and with `until`, oldest first; of a very long time the newest ones.
    #[must_use]
    pub fn passed(&self, after: Timestamp, until: Timestamp) -> Vec<Deadline> {
        let mut found = Vec::new();
        let mut date = self.zone.to_datetime(until).date().last_of_month();
        for _ in 0..=MONTHS_MAX {
            match self.of_month(date) {
                Some(deadline) if deadline.at <= after => break,
                Some(deadline) if deadline.at <= until => found.push(deadline),
                _ => {}
            }
            let Ok(before) = date.first_of_month().yesterday() else { break };
            date = before;
        }
        found.reverse();
        found
    }

    /// The first deadline after `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Deadline> {
        let first = self.zone.to_datetime(now).date().first_of_month();
        let after = first.last_of_month().tomorrow().ok();
        [Some(first), after]
            .into_iter()
            .flatten()
            .find_map(|date| self.of_month(date).filter(|end| end.at > now))
    }

    /// Whether a deadline comes within a day.
    #[must_use]
    pub fn is_last_day(&self, now: Timestamp) -> bool {
        self.next(now).is_some_and(|end| end.at.duration_since(now) <= LAST_DAY)
    }
}

/// What a count stood at between two readings of it, if it rose evenly; never more than the later one.
#[must_use]
pub fn interpolate(before: (Timestamp, u64), after: (Timestamp, u64), at: Timestamp) -> u64 {
    let Some(rise) = after.1.checked_sub(before.1) else { return before.1 };
    let span = after.0.duration_since(before.0).as_millis();
    let part = at.duration_since(before.0).as_millis().clamp(0, span.max(0));
    if span <= 0 {
        return before.1;
    }
    let share = u128::from(rise) * part.unsigned_abs() / span.unsigned_abs();
    before.1.saturating_add(u64::try_from(share).unwrap_or(rise))
}

//! How many pages a device makes a day.

use super::days_of;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Days that are remembered.
const DAYS_MAX: usize = 91;

/// The window of the average, in whole weeks so that each weekday counts alike.
const WINDOW_DAYS: usize = 84;

/// Pages per day of one device, from its total.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageUsage {
    /// The last total, and when it was read.
    last: Option<(Timestamp, u64)>,
    /// Day number since 1970 and the pages made on it, oldest first, without gaps.
    days: Vec<(i64, f64)>,
}

/// What is known of the pages to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Mean of a day.
    pub(super) pages: f64,
    /// Variance of a single day around that mean.
    pub(super) variance: f64,
    /// Days that it rests on.
    pub(super) days: f64,
}

impl PageUsage {
    /// Takes in the total of pages at `at`. A total that fell begins anew: what was made between is not known.
    pub fn observe(&mut self, at: Timestamp, total: u64) {
        let Some((last_at, last_total)) = self.last else {
            self.last = Some((at, total));
            return;
        };
        if at <= last_at {
            return;
        }
        self.last = Some((at, total));
        let Some(made) = total.checked_sub(last_total) else { return };
        self.spread(days_of(last_at), days_of(at), precise(made));
    }

    /// Shares `pages` out evenly over the time in which they were made.
    fn spread(&mut self, from: f64, until: f64, pages: f64) {
        let oldest = until - precise(DAYS_MAX as u64);
        let (first, last) = (whole(from.max(oldest)), whole(until));
        for day in first..=last {
            let begins = from.max(day_start(day));
            let ends = until.min(day_start(day + 1));
            let share = pages * ((ends - begins).max(0.0) / (until - from));
            match self.days.last_mut() {
                Some((known, sum)) if *known == day => *sum += share,
                _ => self.days.push((day, share)),
            }
        }
        // A device that was not heard of for long left a gap; what lies before it is not joined to what came after.
        let joined = self.days.windows(2).rposition(|pair| matches!(pair, [a, b] if b.0 != a.0 + 1));
        self.days.drain(..joined.map_or(0, |at| at + 1));
        self.days.drain(..self.days.len().saturating_sub(DAYS_MAX));
    }

    /// The total that was read last.
    #[must_use]
    pub fn latest_total(&self) -> Option<u64> {
        self.last.map(|(_, total)| total)
    }

    /// Pages of a day to come; `None` before two whole days are known, or when nothing is printed.
    pub(super) fn rate(&self) -> Option<Rate> {
        // The first and the last day are not whole.
        let whole = self.days.get(1..self.days.len().saturating_sub(1)).filter(|days| days.len() >= 2)?;
        let recent = whole.get(whole.len().saturating_sub(WINDOW_DAYS)..).unwrap_or(whole);
        let weeks = recent.len() / 7 * 7;
        let window = if weeks > 0 { recent.get(recent.len() - weeks..).unwrap_or(recent) } else { recent };
        let count = precise(window.len() as u64);
        let mean = window.iter().map(|(_, pages)| pages).sum::<f64>() / count;
        if mean <= 0.0 {
            return None;
        }
        let squares = window.iter().map(|(_, pages)| (pages - mean).powi(2)).sum::<f64>();
        Some(Rate { pages: mean, variance: squares / (count - 1.0).max(1.0), days: count })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(super) fn precise(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "day numbers are small")]
fn whole(days: f64) -> i64 {
    days.floor() as i64
}

#[expect(clippy::cast_precision_loss, reason = "day numbers are small")]
fn day_start(day: i64) -> f64 {
    day as f64
}

#[cfg(test)]
mod tests {
    use super::PageUsage;
    use jiff::{SignedDuration, Timestamp};

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 / 86_400 * 86_400).unwrap() + SignedDuration::from_hours(hours)
    }

    #[test]
    fn the_average_is_of_whole_weeks() {
        let mut usage = PageUsage::default();
        let mut total = 1000;
        for hour in 0..24 * 30 {
            if hour / 24 % 7 < 5 {
                total += 10;
            }
            usage.observe(at(hour), total);
        }
        let rate = usage.rate().unwrap();
        assert!((rate.pages - 240.0 * 5.0 / 7.0).abs() < 6.0, "{rate:?}");
        assert!((rate.days - 28.0).abs() < 0.1, "{rate:?}");
    }

    #[test]
    fn a_total_that_fell_counts_nothing_for_that_step() {
        let mut usage = PageUsage::default();
        for (hour, total) in [(0, 500_000), (24, 500_100), (48, 20), (72, 120), (96, 220), (120, 320)] {
            usage.observe(at(hour), total);
        }
        assert!(usage.rate().unwrap().pages <= 100.0);
    }

    #[test]
    fn a_clock_that_goes_back_is_not_believed() {
        let mut usage = PageUsage::default();
        usage.observe(at(48), 100);
        usage.observe(at(0), 200);
        assert_eq!(usage.latest_total(), Some(100));
    }

    #[test]
    fn years_of_silence_are_cheap() {
        let mut usage = PageUsage::default();
        usage.observe(at(0), 0);
        usage.observe(at(24 * 365 * 20), 1_000_000);
        assert!(usage.days.len() <= super::DAYS_MAX);
    }
}

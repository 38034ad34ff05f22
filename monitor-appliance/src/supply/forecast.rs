//! When a supply will be empty: an interval, not a date, that knows how coarsely the level is told.
//!
//! Pages per day come from the device's total, which is fine-grained, and points per page from the level, which may be
//! coarse. A level that is told in steps is known exactly only when it moves; how far above the shown number it stands
//! then (makers round up, down or to the nearest) is unknown and part of the interval.

use super::life::{Point, SupplyLife};
use super::usage::{PageUsage, Rate, precise};
use super::{DAY_SECS, days_of};
use jiff::{SignedDuration, Timestamp};

/// Half the width of an 80 % interval of the normal distribution.
const Z_80: f64 = 1.281_55;

/// How much the use of a page differs from cartridge to cartridge (standard deviation of its logarithm).
const CARTRIDGES_DIFFER: f64 = 0.13;

/// How fast the pages of a day drift: variance of their logarithm per day ahead.
const DRIFT: f64 = 0.000_25;

/// Pages that weigh as one independent sample of how much is used per page.
const JOB_PAGES: f64 = 8.0;

/// Nobody ships by a date so far ahead.
const DAYS_MAX: f64 = 1500.0;

/// When a supply will come to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// With 90 % probability not before.
    pub earliest: Timestamp,
    /// As likely before as after.
    pub likely: Timestamp,
    /// With 90 % probability not after.
    pub latest: Timestamp,
}

/// A value whose logarithm has this variance.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    value: f64,
    variance: f64,
}

/// The forecast at `now`; `None` as long as nothing has moved, or nothing is printed.
#[must_use]
pub fn forecast(life: &SupplyLife, usage: &PageUsage, now: Timestamp) -> Option<Forecast> {
    let latest = life.latest()?;
    let by_pages = usage.rate().filter(|_| latest.pages.is_some());
    // Without pages, days do the work.
    let rate = by_pages.unwrap_or(Rate { pages: 1.0, variance: 1.0, days: 28.0 });
    let work = |point: &Point| match (by_pages, point.pages) {
        (Some(_), Some(pages)) => Some(precise(pages)),
        (Some(_), None) => None,
        (None, _) => Some(days_of(point.at)),
    };
    let job = if by_pages.is_some() { JOB_PAGES } else { 2.0 };
    let per_work = per_work(life, &work, job)?;
    let left = left(life, &work, per_work)?;

    let days = left.value / (per_work.value * rate.pages);
    if !days.is_finite() {
        return None;
    }
    let days = days.clamp(0.0, DAYS_MAX);
    let ahead = days.max(0.5);
    let noise = rate.variance / rate.pages.powi(2);
    let variance = left.variance
        + per_work.variance
        + noise / rate.days
        + noise / ahead
        + DRIFT * (ahead + rate.days / 2.0);
    let spread = (Z_80 * variance.sqrt()).exp();
    let after = |days: f64| {
        now.checked_add(SignedDuration::try_from_secs_f64(days.min(DAYS_MAX) * DAY_SECS).ok()?).ok()
    };
    Some(Forecast { earliest: after(days / spread)?, likely: after(days)?, latest: after(days * spread)? })
}

/// Points of 100 that one page (or one day) uses.
fn per_work(life: &SupplyLife, work: &impl Fn(&Point) -> Option<f64>, job: f64) -> Option<Estimate> {
    let mut sum = 0.0;
    let mut weight = 0.0;
    let mut add = |value: f64, variance: f64| {
        if value > 0.0 && value.is_finite() && variance.is_finite() {
            sum += value.ln() / variance;
            weight += 1.0 / variance;
        }
    };
    for past in life.past() {
        let made = if past.pages > 0 { precise(past.pages) } else { past.days };
        add(past.used / made, CARTRIDGES_DIFFER.powi(2) * 2.0);
    }
    let step = life.step();
    if let (Some(first), Some(last)) = (life.points().first(), life.points().last()) {
        // Between two moves the difference is exact; from the first reading, which is no move, it is not.
        let moves = life.points().get(1..).unwrap_or_default();
        if let [first_move, .., last_move] = moves
            && let Some(made) = work(first_move).zip(work(last_move)).map(|(from, until)| until - from)
        {
            let used = first_move.left - last_move.left;
            add(used / made, (0.15 * step / used).powi(2) + job / made.max(1.0));
        } else if moves.len() == 1
            && let Some(made) = work(first).zip(work(last)).map(|(from, until)| until - from)
        {
            // From full to the first move lies between nothing and a whole step.
            let used = if life.is_watched_from_new() { 100.0 - last.left - step / 2.0 } else { step / 2.0 };
            add(used / made, (0.6 * step / used).powi(2) + job / made.max(1.0));
        }
    }
    (weight > 0.0).then(|| Estimate { value: (sum / weight).exp(), variance: 1.0 / weight })
}

/// Points of 100 that are left now: those of the last move less what was used since, within the step that is shown.
fn left(life: &SupplyLife, work: &impl Fn(&Point) -> Option<f64>, per_work: Estimate) -> Option<Estimate> {
    let latest = life.latest()?;
    let last = life.points().last()?;
    let step = life.step();
    let moved = life.points().len() > 1;
    let above =
        if moved || !life.is_watched_from_new() { rounding(life, work, per_work, step) } else { (0.0, 0.0) };
    let since = work(&latest).zip(work(last)).map_or(0.0, |(now, then)| now - then).max(0.0);
    let used = since * per_work.value;
    // Not a whole step has been used since the last move, or it would have moved again.
    let value = (last.left + above.0 - used).max(last.left + above.0 - step).max(step * 0.05).max(0.1);
    let deviation = (above.1.powi(2) + (used.min(step)).powi(2) * per_work.variance.min(0.25)).sqrt();
    Some(Estimate { value, variance: (deviation / value).powi(2).min(1.0) })
}

/// How far above the shown number the level stands when it moves, between 0 (rounded up) and a step (rounded down), and
/// how sure that is: a cartridge that was watched from new shows it.
fn rounding(
    life: &SupplyLife,
    work: &impl Fn(&Point) -> Option<f64>,
    per_work: Estimate,
    step: f64,
) -> (f64, f64) {
    let unknown = (step / 2.0, step * 0.29);
    let (Some(first), Some(moved)) = (life.points().first(), life.points().get(1)) else { return unknown };
    if !life.is_watched_from_new() {
        return unknown;
    }
    let Some(made) = work(first).zip(work(moved)).map(|(from, until)| until - from) else { return unknown };
    let used = made * per_work.value;
    let shown = (100.0 - used - moved.left).clamp(0.0, step);
    let deviation = (used * per_work.variance.sqrt()).max(step * 0.05);
    // Both are weighed by how sure they are.
    let (own, before) = (deviation.powi(-2), unknown.1.powi(-2));
    ((shown * own + unknown.0 * before) / (own + before), (own + before).sqrt().recip())
}

#[cfg(test)]
mod tests {
    use super::forecast;
    use crate::supply::{PageUsage, Sample, SupplyLife};
    use jiff::{SignedDuration, Timestamp};

    /// A printer that makes `pages` a day, whose cartridge lasts for 5,000, told in steps of `step`, for so many days.
    fn after(days: i64, pages: u64, step: f64) -> (SupplyLife, PageUsage, Timestamp) {
        let (mut life, mut usage) = (SupplyLife::default(), PageUsage::default());
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        for hour in 0..days * 24 {
            let at = start + SignedDuration::from_hours(hour);
            let total = 70_000 + u64::try_from(hour).unwrap() * pages / 24;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let left = 100.0 - (total - 70_000) as f64 / 50.0;
            usage.observe(at, total);
            life.observe(Sample { at, left: (left / step).ceil() * step, pages: Some(total) });
        }
        (life, usage, start + SignedDuration::from_hours(days * 24))
    }

    #[test]
    fn a_steady_printer_is_told_to_the_day() {
        let (life, usage, now) = after(25, 100, 1.0);
        let forecast = forecast(&life, &usage, now).unwrap();
        let days = forecast.likely.duration_since(now).as_hours() / 24;
        assert!((23..=27).contains(&days), "{days}");
        assert!(forecast.earliest < forecast.likely && forecast.likely < forecast.latest);
    }

    #[test]
    fn coarse_steps_make_a_wider_interval() {
        let width = |step| {
            let (life, usage, now) = after(30, 100, step);
            let forecast = forecast(&life, &usage, now).unwrap();
            forecast.latest.duration_since(forecast.earliest)
        };
        assert!(width(25.0) > width(10.0));
        assert!(width(10.0) > width(1.0));
    }

    #[test]
    fn nothing_is_foretold_of_what_never_moved() {
        let (life, usage, now) = after(5, 1, 25.0);
        assert_eq!(forecast(&life, &usage, now), None);
        assert_eq!(forecast(&SupplyLife::default(), &PageUsage::default(), now), None);
    }
}

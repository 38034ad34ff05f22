//! `forecast`: when a supply will be empty, foretold for simulated printers whose truth is known, beside the two ways that
//! others use: the slope between the first and the latest level, and least squares over all of them.
//!
//! Levels are told in steps of 1, 10, 20 and 25 %, rounded up, down or to the nearest; use drifts, weekends and holidays
//! happen, pages differ in coverage and cartridges in yield. The seed is printed; `FORECAST_SEED` sets it.

mod office;

use super::Figure;
use anyhow::ensure;
use jiff::Timestamp;
use monitor_appliance::supply::{PageUsage, Sample, SupplyLife, forecast};
use office::{Chance, History, Reading, history};

const STEPS: [f64; 4] = [1.0, 10.0, 20.0, 25.0];
const PRINTERS_PER_STEP: usize = 400;
const CARTRIDGES: usize = 4;
const LOOKS_PER_CARTRIDGE: usize = 3;
const SECS_PER_DAY: f64 = 86_400.0;

/// One forecast that was given, in days from when it was given.
struct Look {
    truth: f64,
    likely: f64,
    covered: bool,
    two_point: Option<f64>,
    least_squares: Option<f64>,
}

/// Measures.
///
/// # Errors
/// When the seed is no number, or nothing could be foretold.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let seed = match std::env::var("FORECAST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => now.as_millisecond().unsigned_abs(),
    };
    eprintln!("  seed {seed}; {PRINTERS_PER_STEP} printers per step, up to {CARTRIDGES} cartridges each");
    let mut chance = Chance(seed);
    let mut all = Vec::new();
    let mut withheld = 0;
    for step in STEPS {
        let mut looks = Vec::new();
        for _ in 0..PRINTERS_PER_STEP {
            let history = history(&mut chance, step, CARTRIDGES);
            withheld += look_at(&history, &mut chance, &mut looks);
        }
        eprintln!(
            "  steps of {step} %: {} forecasts, median error {:.1} days ({:.1} two-point, {:.1} least squares), {:.1} % within the 80 % interval",
            looks.len(),
            median(looks.iter().map(|look| error(look, Some(look.likely)))),
            median(looks.iter().map(|look| error(look, look.two_point))),
            median(looks.iter().map(|look| error(look, look.least_squares))),
            coverage(&looks),
        );
        all.append(&mut looks);
    }
    ensure!(!all.is_empty(), "nothing could be foretold");
    eprintln!("  {withheld} looks gave no forecast, since too little was known");
    let ours = median(all.iter().map(|look| error(look, Some(look.likely))));
    let two_point = median(all.iter().map(|look| error(look, look.two_point)));
    let least_squares = median(all.iter().map(|look| error(look, look.least_squares)));
    let figure =
        |figure, value, unit, against: String| Figure { bench: "forecast", figure, value, unit, against };
    Ok(vec![
        figure(
            "error_days_p50",
            ours,
            "days, over all steps",
            format!("two-point {two_point:.2}, least squares {least_squares:.2}, on the same looks"),
        ),
        figure("error_days_p50_two_point", two_point, "days, over all steps", format!("ours {ours:.2}")),
        figure(
            "error_days_p50_least_squares",
            least_squares,
            "days, over all steps",
            format!("ours {ours:.2}"),
        ),
        figure(
            "interval_coverage_percent",
            coverage(&all),
            "% of forecasts whose 80 % interval held the truth",
            format!("80, allowed 75 to 85; {} forecasts", all.len()),
        ),
    ])
}

/// Runs through a history as an appliance would and looks ahead at random times; returns how often nothing could be said.
fn look_at(history: &History, chance: &mut Chance, looks: &mut Vec<Look>) -> usize {
    let (mut life, mut usage) = (SupplyLife::default(), PageUsage::default());
    let mut withheld = 0;
    let mut asked: Vec<Timestamp> = Vec::new();
    let mut begins = history.readings.first().map(|reading| reading.at);
    for empty in &history.empty {
        let Some(from) = begins else { break };
        for _ in 0..LOOKS_PER_CARTRIDGE {
            let part = chance.between(0.1, 0.95);
            asked.push(
                from + jiff::SignedDuration::from_secs_f64(empty.duration_since(from).as_secs_f64() * part),
            );
        }
        begins = Some(*empty);
    }
    asked.sort();
    let mut asked = asked.into_iter().peekable();
    let mut since: Vec<Reading> = Vec::new();
    for reading in &history.readings {
        if since.last().is_some_and(|before| before.cartridge != reading.cartridge) {
            since.clear();
        }
        if reading.shown > since.last().map_or(100.0, |before| before.shown) {
            since.clear();
        }
        since.push(*reading);
        usage.observe(reading.at, reading.pages);
        life.observe(Sample { at: reading.at, left: reading.shown, pages: Some(reading.pages) });
        while asked.next_if(|at| *at <= reading.at).is_some() {
            let Some(empty) = history.empty.get(reading.cartridge).filter(|empty| **empty > reading.at)
            else {
                continue;
            };
            let Some(foretold) = forecast(&life, &usage, reading.at) else {
                withheld += 1;
                continue;
            };
            let ahead = |at: Timestamp| at.duration_since(reading.at).as_secs_f64() / SECS_PER_DAY;
            looks.push(Look {
                truth: ahead(*empty),
                likely: ahead(foretold.likely),
                covered: foretold.earliest <= *empty && *empty <= foretold.latest,
                two_point: two_point(&since),
                least_squares: least_squares(&since),
            });
        }
    }
    withheld
}

/// Days ahead by the slope between the first and the latest level.
fn two_point(readings: &[Reading]) -> Option<f64> {
    let (first, last) = (readings.first()?, readings.last()?);
    let days = last.at.duration_since(first.at).as_secs_f64() / SECS_PER_DAY;
    let slope = (first.shown - last.shown) / days;
    (slope > 0.0).then(|| last.shown / slope)
}

/// Days ahead by a straight line through all levels.
fn least_squares(readings: &[Reading]) -> Option<f64> {
    let last = readings.last()?;
    let points: Vec<(f64, f64)> = readings
        .iter()
        .map(|reading| (reading.at.duration_since(last.at).as_secs_f64() / SECS_PER_DAY, reading.shown))
        .collect();
    let count = super::octets_f64(points.len());
    let (days, level) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (days, level) = (days / count, level / count);
    let slope = points.iter().map(|(day, shown)| (day - days) * (shown - level)).sum::<f64>()
        / points.iter().map(|(day, _)| (day - days).powi(2)).sum::<f64>();
    let today = level - slope * days;
    (slope < 0.0).then(|| (today / -slope).max(0.0))
}

/// Days between forecast and truth. Who gives none is taken to say as much as the truth is long: no better, no worse than
/// saying "now".
fn error(look: &Look, foretold: Option<f64>) -> f64 {
    foretold.map_or(look.truth, |days| (days - look.truth).abs())
}

fn coverage(looks: &[Look]) -> f64 {
    super::octets_f64(looks.iter().filter(|look| look.covered).count()) * 100.0
        / super::octets_f64(looks.len().max(1))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

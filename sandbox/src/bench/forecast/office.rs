//! Simulated printers in offices: how many pages a day, how long a cartridge lasts, how coarsely its level is told.

use jiff::{SignedDuration, Timestamp};

/// Repeatable chance (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly between the two.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// Of the normal distribution.
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.between(1e-12, 1.0), self.between(0.0, std::f64::consts::TAU));
        (-2.0 * radius.ln()).sqrt() * angle.cos()
    }

    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let count = u64::try_from(values.len()).unwrap_or(1).max(1);
        values[usize::try_from(self.next() % count).unwrap_or(0)]
    }
}

/// How a maker rounds a level to its steps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rounding {
    Up,
    Down,
    Nearest,
}

/// One reading, and the truth behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Timestamp,
    pub(super) pages: u64,
    /// What the device tells, of 100.
    pub(super) shown: f64,
    /// Which cartridge is in, counted.
    pub(super) cartridge: usize,
}

/// The readings of one printer, four a day, and when each cartridge became empty.
#[derive(Debug)]
pub(super) struct History {
    pub(super) readings: Vec<Reading>,
    pub(super) empty: Vec<Timestamp>,
}

/// Longest history, in days.
const DAYS_MAX: i64 = 900;
const READINGS_A_DAY: i64 = 4;

/// Lets a printer run through `cartridges` cartridges.
pub(super) fn history(chance: &mut Chance, step: f64, cartridges: usize) -> History {
    let rounding = chance.one_of(&[Rounding::Up, Rounding::Down, Rounding::Nearest]);
    let mut workday = chance.between(15f64.ln(), 500f64.ln());
    let home = workday;
    let weekend = chance.one_of(&[0.0, 0.0, 0.05, 0.3]);
    let unsteady = chance.between(0.2, 0.8);
    let drift = chance.between(0.0, 0.04);
    let holiday = chance.between(0.0, 3000.0);
    // A cartridge lasts for two weeks to a year.
    let usual_yield = workday.exp() * chance.between(20.0, 220.0);
    let coverage = chance.between(0.1, 0.5);

    let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_088);
    let mut pages = chance.between(1e3, 5e5);
    let mut yields = usual_yield * (0.12 * chance.normal()).exp();
    let mut left = chance.between(20.0, 100.0);
    let mut history = History { readings: Vec::new(), empty: Vec::new() };
    let mut changed_on = None;
    for day in 0..DAYS_MAX {
        workday += drift * chance.normal() - 0.01 * (workday - home);
        let mut today = workday.exp() * (unsteady * chance.normal() - unsteady * unsteady / 2.0).exp();
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let away = (day as f64 - holiday).abs() < 7.0;
        if day % 7 >= 5 {
            today *= weekend;
        }
        if away {
            today *= 0.1;
        }
        let thirst = (coverage * chance.normal() - coverage * coverage / 2.0).exp();
        for part in 0..READINGS_A_DAY {
            let at = start + SignedDuration::from_hours(24 * day + 24 / READINGS_A_DAY * part);
            // A printer whose cartridge is empty stands until somebody has a new one.
            if left > 0.0 {
                let made = today / f64::from(u8::try_from(READINGS_A_DAY).unwrap_or(4));
                pages += made;
                left -= made / yields * 100.0 * thirst;
                if left <= 0.0 {
                    left = 0.0;
                    history.empty.push(at);
                    changed_on = Some(day + chance.one_of(&[0, 1, 2]));
                }
            } else if changed_on.is_some_and(|on| day > on) {
                if history.empty.len() == cartridges {
                    return history;
                }
                yields = usual_yield * (0.12 * chance.normal()).exp();
                left = 100.0;
                changed_on = None;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^52")]
            history.readings.push(Reading {
                at,
                pages: pages as u64,
                shown: shown(left, step, rounding),
                cartridge: history.empty.len(),
            });
        }
    }
    history
}

fn shown(left: f64, step: f64, rounding: Rounding) -> f64 {
    let steps = left / step;
    let whole = match rounding {
        Rounding::Up => steps.ceil(),
        Rounding::Down => steps.floor(),
        Rounding::Nearest => steps.round(),
    };
    (whole * step).clamp(0.0, 100.0)
}

//! `ledger`: counter series with all that happens to counters, and what is billed of them.
//!
//! The truth of a series is what its machines printed and counted; a page that was forgotten at a power-off and counted again is
//! one page. Each series is given, reading by reading, to the ledger's own code ([`monitor_appliance::ledger::Line`]).
//!
//! - `silently_wrong`: series whose count is not the truth, once the steps that wait for somebody's review are left aside: a count
//!   that is wrong although nobody is asked.
//! - `flagged_percent`: of the steps in which something happened that a plain difference cannot know (a wobble, a reset, a wrap,
//!   another machine or board, a clock that was set, a first reading from another object, a reading that cannot be), those that
//!   carry a finding. Doubled, late and missing readings need none as long as the count is right.
//!
//! Beside it the sum of all positive differences in the order of their times, which is how tools bill that know no ledger.

mod machine;

use super::Figure;
use jiff::Timestamp;
use machine::{Dice, Kind, Reading, series, total};
use mailfmt::message::ledger::LedgerFinding;
use monitor_appliance::ledger::{Closing, Identity, Line, Moment, Observation, Rules};

/// Seed of the corpus if none is given; `LEDGER_SEED` names another.
const SEED: u64 = 2026;

/// Series of each kind.
const SERIES: u64 = 200;

/// Readings of each series.
const VISITS: usize = 72;

/// What came of one series.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    silently_wrong: bool,
    naive_wrong: bool,
    disturbed: u64,
    disturbed_flagged: u64,
    calm: u64,
    calm_flagged: u64,
    reviews: u64,
}

/// Goes over the corpus and prints a line per kind.
///
/// # Errors
/// When `LEDGER_SEED` is no number.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let seed = match std::env::var("LEDGER_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => SEED,
    };
    eprintln!(
        "  seed {seed} (LEDGER_SEED), {SERIES} series of {VISITS} readings of each kind, and the cases by hand"
    );
    let mut sum = Outcome::default();
    let (mut wrong, mut naive, mut all) = (0u64, 0u64, 0u64);
    let mut add = |name: &str, outcomes: &[Outcome]| {
        let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|one| is(one)).count() as u64;
        let total = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        let (ours, theirs) = (count(|one| one.silently_wrong), count(|one| one.naive_wrong));
        let (disturbed, flagged) = (total(|one| one.disturbed), total(|one| one.disturbed_flagged));
        let (calm, noise) = (total(|one| one.calm), total(|one| one.calm_flagged));
        eprintln!(
            "  {name:<22} {:>4} series: silently wrong {ours}, plain sum wrong {theirs}; {flagged} of {disturbed} disturbed steps flagged, \
             {noise} of {calm} others; {} to review",
            outcomes.len(),
            total(|one| one.reviews)
        );
        wrong += ours;
        naive += theirs;
        all += outcomes.len() as u64;
        sum.disturbed += disturbed;
        sum.disturbed_flagged += flagged;
        sum.calm += calm;
        sum.calm_flagged += noise;
    };
    for (nth, kind) in (0u64..).zip(Kind::ALL) {
        let mut dice = Dice::new(seed.wrapping_add(nth.wrapping_mul(1_000_003)));
        let outcomes: Vec<Outcome> =
            (0..SERIES).map(|_| judge(&series(kind, dice.below(u64::MAX), VISITS))).collect();
        add(&format!("{kind:?}"), &outcomes);
    }
    for (name, readings) in by_hand() {
        add(name, &[judge(&readings)]);
    }
    let percent = |part: u64, of: u64| part as f64 * 100.0 / of.max(1) as f64;
    eprintln!(
        "  undisturbed steps that are flagged: {} of {} ({:.3} %)",
        sum.calm_flagged,
        sum.calm,
        percent(sum.calm_flagged, sum.calm)
    );
    let figure =
        |figure, value, unit, against: String| Figure { bench: "ledger", figure, value, unit, against };
    Ok(vec![
        figure(
            "silently_wrong",
            wrong as f64,
            "series",
            format!("limit: 0 of {all}; sum of positive differences: {naive}"),
        ),
        figure(
            "flagged_percent",
            percent(sum.disturbed_flagged, sum.disturbed),
            "% of disturbed steps",
            format!(
                "sum of positive differences: 0; of undisturbed steps: {:.3}",
                percent(sum.calm_flagged, sum.calm)
            ),
        ),
    ])
}

/// Bills a series by the ledger and by plain differences.
fn judge(readings: &[Reading]) -> Outcome {
    let rules = Rules::default();
    let mut outcome = Outcome { naive_wrong: plain_sum(readings) != truth(readings), ..Outcome::default() };
    let mut line = Line::begin(device());
    let mut next = 1u64;
    let (mut billed, mut told) = (0u64, 0u64);
    let mut ledger = Steps::default();
    for reading in readings {
        let observation = Observation {
            device: device(),
            address: "10.0.0.5".to_owned(),
            identity: reading.identity.clone(),
            moment: reading.moment,
            values: reading.values.clone(),
        };
        let entries = line.take(&observation, next, &rules, &Closing::default());
        let position = line.position("total").unwrap_or_default();
        // A reading that comes late has nothing new to say; its pages were counted with the one before.
        let printed = i128::from(reading.truth.max(told)) - i128::from(told);
        let counted = i128::from(position) - i128::from(billed);
        (told, billed) = (reading.truth.max(told), position);
        let findings: Vec<_> = entries.iter().flat_map(|entry| &entry.findings).collect();
        next += entries.len() as u64;
        if !ledger.begun(reading) {
            continue;
        }
        let review = findings.iter().any(|finding| finding.review);
        outcome.reviews += u64::from(review);
        ledger.step(counted - printed, reading, &findings);
        let flagged = !findings.is_empty();
        if reading.disturbed {
            outcome.disturbed += 1;
            outcome.disturbed_flagged += u64::from(flagged);
        } else {
            outcome.calm += 1;
            // The end of a disturbance is part of it.
            outcome.calm_flagged += u64::from(flagged && findings.iter().all(|one| one.class != "returned"));
        }
    }
    outcome.silently_wrong = ledger.error() != 0;
    outcome
}

/// The steps of a series: by how much each was counted wrong, and whether somebody is asked about it.
#[derive(Default)]
struct Steps {
    /// Time of the reading, by how much its step is wrong, and the entry whose finding asks about it.
    steps: Vec<(Timestamp, i128, Option<u64>)>,
    /// A count that fell by a few: up to where it had been, what is counted belongs to what is asked.
    asked: Option<(u64, u64)>,
}

impl Steps {
    /// Whether there was a reading before; the first one has no step.
    fn begun(&mut self, reading: &Reading) -> bool {
        if self.steps.is_empty() {
            self.steps.push((reading.moment.at, 0, None));
            return false;
        }
        true
    }

    fn step(&mut self, wrong_by: i128, reading: &Reading, findings: &[&LedgerFinding]) {
        for settled in findings.iter().filter(|one| one.class == "returned" && !one.review) {
            let between = settled.from.entry + 1..settled.to.entry;
            for (_, _, asked) in &mut self.steps {
                *asked = asked.filter(|entry| !between.contains(entry));
            }
        }
        self.steps.push((reading.moment.at, wrong_by, None));
        let shown = reading.values.first().map_or(0, |value| value.value);
        if let Some(finding) = findings.iter().find(|finding| finding.review) {
            // It asks about all that lies between its two readings.
            let from = self.steps.iter().rposition(|(at, ..)| *at == finding.from.at).unwrap_or(0);
            for (_, _, asked) in self.steps.iter_mut().skip(from + 1) {
                asked.get_or_insert(finding.to.entry);
            }
            let before = self.asked.map_or(0, |(up_to, _)| up_to);
            self.asked =
                (finding.class == "wobble").then_some((finding.from.value.max(before), finding.to.entry));
        } else if let (Some((up_to, entry)), Some(last)) = (self.asked, self.steps.last_mut()) {
            last.2 = Some(entry);
            self.asked = self.asked.filter(|_| shown < up_to);
        }
    }

    /// By how much the count is wrong where nobody is asked.
    fn error(&self) -> i128 {
        self.steps.iter().filter(|(.., asked)| asked.is_none()).map(|(_, wrong_by, _)| wrong_by).sum()
    }
}

fn truth(readings: &[Reading]) -> u64 {
    let first = readings.first().map_or(0, |reading| reading.truth);
    readings.iter().map(|reading| reading.truth).max().unwrap_or_default() - first
}

/// What tools without a ledger bill: the readings of one serial number by their times, every rise added up.
fn plain_sum(readings: &[Reading]) -> u64 {
    let mut by_time: Vec<_> = readings
        .iter()
        .filter_map(|reading| {
            let value = reading.values.first()?.value;
            Some((reading.identity.serial.clone(), reading.moment.at, value))
        })
        .collect();
    by_time.sort();
    by_time
        .iter()
        .zip(by_time.iter().skip(1))
        .filter(|((before, ..), (after, ..))| before == after)
        .map(|((_, _, before), (_, _, after))| after.saturating_sub(*before))
        .sum()
}

fn device() -> mailfmt::message::DeviceId {
    let text = |text: &str| text.to_owned();
    mailfmt::message::DeviceId { vendor: text("Maker"), model: text("M1"), serial: text("S0") }
}

/// Series that were met in practice, with their truth, from hour to hour: uptime in minutes, count, printed so far, and whether
/// something happened.
fn by_hand() -> Vec<(&'static str, Vec<Reading>)> {
    type Visit = (u64, u64, u64, bool);
    let named = Identity {
        model: Some("M1".to_owned()),
        serial: Some("S0".to_owned()),
        mac: Some("00:11:22:33:44:55".to_owned()),
    };
    let nameless = Identity { model: Some("M1".to_owned()), ..Identity::default() };
    let hour = |nth: usize| {
        let secs = 1_793_520_000 + i64::try_from(nth).unwrap_or_default() * 3600;
        Timestamp::from_second(secs).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let readings = |identity: &Identity, sources: &[usize], visits: &[Visit]| -> Vec<Reading> {
        let reading = |(nth, (uptime, count, truth, disturbed)): (usize, &Visit)| Reading {
            moment: Moment { at: hour(nth), clock_sure: true, uptime_secs: Some(uptime * 60) },
            identity: identity.clone(),
            values: vec![total(sources.get(nth).copied().unwrap_or(0), *count)],
            truth: *truth,
            disturbed: *disturbed,
        };
        visits.iter().enumerate().map(reading).collect()
    };
    let steady = |from: u64| move |nth: u64| from + nth * 60;
    let up = steady(6000);
    let mut two_collectors = readings(
        &named,
        &[],
        &[
            (up(0), 1000, 0, false),
            (up(1), 1004, 4, false),
            (up(2), 1007, 7, false),
            (up(3), 1010, 10, false),
        ],
    );
    // The other collector's clock is an hour and a half behind: by their times its readings come too early.
    let behind: Vec<Reading> = two_collectors
        .iter()
        .map(|reading| {
            let at = reading.moment.at.saturating_sub(jiff::SignedDuration::from_mins(90));
            let moment = Moment { at: at.unwrap_or(reading.moment.at), clock_sure: false, ..reading.moment };
            Reading { moment, ..reading.clone() }
        })
        .collect();
    two_collectors = two_collectors
        .into_iter()
        .zip(behind)
        .enumerate()
        // From the second collector's time to the first one's is a leap.
        .flat_map(|(nth, (one, other))| [Reading { disturbed: nth > 0, ..one }, other])
        .collect();
    vec![
        (
            "HP, ten pages at off",
            readings(
                &named,
                &[],
                &[
                    (600, 100, 0, false),
                    (660, 110, 10, false),
                    (5, 101, 10, true),
                    (65, 111, 11, false),
                    (5, 102, 11, true),
                    (65, 120, 20, false),
                ],
            ),
        ),
        ("two collectors", two_collectors),
        (
            "Kyocera, two totals",
            readings(
                &named,
                &[0, 1, 0, 1, 0],
                &[
                    (up(0), 424_405, 0, false),
                    (up(1), 432_952, 1, true),
                    (up(2), 424_407, 2, false),
                    (up(3), 432_954, 3, false),
                    (up(4), 424_410, 5, false),
                ],
            ),
        ),
        (
            "higher machine, nameless",
            readings(
                &nameless,
                &[],
                &[
                    (up(0), 50_000, 0, false),
                    (up(1), 50_050, 50, false),
                    (5, 250_050, 60, true),
                    (65, 250_070, 80, false),
                ],
            ),
        ),
        (
            "lower machine, nameless",
            readings(
                &nameless,
                &[],
                &[
                    (up(0), 50_000, 0, false),
                    (up(1), 50_300, 300, false),
                    (5, 20_000, 320, true),
                    (65, 20_100, 420, false),
                ],
            ),
        ),
        (
            "hand-set count",
            readings(
                &named,
                &[],
                &[
                    (up(0), 70_000, 0, false),
                    (up(1), 70_040, 40, false),
                    (up(2), 30_000, 60, true),
                    (up(3), 30_020, 80, false),
                ],
            ),
        ),
        (
            "uptime over its end",
            readings(
                &named,
                &[],
                &[(715_800, 9_000, 0, false), (32, 9_100, 100, false), (92, 9_150, 150, false)],
            ),
        ),
    ]
}

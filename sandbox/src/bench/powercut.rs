//! `powercut`: the power goes at durable changes of an update on an appliance, and of a rollout at the center; once every
//! program is killed, once all that was not synced is lost as well. Then it comes back.

use super::Figure;
use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::powercut::{ApplianceCuts, CenterCuts, Cut, End, Kind, Outcome, Tally, both_ways, make, spread};
use sandbox::world::{end_in_order_when_interrupted, is_interrupted};
use std::sync::{Mutex, PoisonError};

/// Cuts of all without `--points`: as many as two processors make in about ten minutes.
const POINTS: u64 = 320;

/// The kinds of package, and the center.
const SUBJECTS: u64 = 4;

/// Cuts at the same time for each processor: an appliance in its trial waits most of the time.
const AT_ONCE: usize = 5;

const POINTS_MIN: u64 = 200;
const RECOVERY_SECS_MAX: u32 = 60;

/// Makes about `points` cuts, each of them with real processes.
///
/// # Errors
/// When the programs or a C compiler are missing, or the set-up fails. What the cuts break is a figure, not an error.
pub(super) fn run(points: Option<u64>) -> anyhow::Result<Vec<Figure>> {
    end_in_order_when_interrupted()?;
    // Each point is cut in both ways.
    let each = (points.unwrap_or(POINTS) / (2 * SUBJECTS)).max(1);
    let mut all = Tally::default();
    for kind in Kind::ALL {
        let mut cuts = ApplianceCuts::prepare(kind)?;
        let tally = cut(kind.name(), cuts.count(at_once())?, each, |it| cuts.cut(it))?;
        if !is_good(&tally) {
            cuts.keep();
        }
        all.add(&tally);
    }
    let mut cuts = CenterCuts::prepare()?;
    let center = cut("a rollout at the center", cuts.count(at_once())?, each, |it| cuts.cut(it))?;
    if !is_good(&center) {
        cuts.keep();
    }
    all.add(&center);
    Ok(figures(&all))
}

fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * AT_ONCE
}

fn is_good(tally: &Tally) -> bool {
    (tally.broken, tally.lost, tally.doubled) == (0, 0, 0)
}

/// Cuts one subject at points spread over its changes, and says how it went.
fn cut(name: &str, changes: u64, points: u64, cut: impl Fn(Cut) -> Outcome + Sync) -> anyhow::Result<Tally> {
    let cuts = both_ways(&spread(changes, points));
    let style = ProgressStyle::with_template("  {msg} [{bar:40}] {pos}/{len}, {eta} to go")?;
    // Without a terminal it draws nothing.
    let bar = ProgressBar::new(u64::try_from(cuts.len())?).with_style(style).with_message(name.to_owned());
    let reasons = Mutex::new(Vec::new());
    let told = |_, outcome: &Outcome| {
        bar.inc(1);
        match &outcome.end {
            End::Broken(why) => bar.suspend(|| eprintln!("{why}")),
            End::Old => reasons.lock().unwrap_or_else(PoisonError::into_inner).push(outcome.reason.clone()),
            End::New => {}
        }
    };
    let mut tally = make(&cuts, at_once(), cut, told);
    bar.finish_and_clear();
    ensure!(!is_interrupted(), "interrupted");
    tally.changes = changes;
    let Tally { points, old, new, broken, found_old, found_new, lost, doubled, .. } = tally;
    eprintln!(
        "  {name}: {changes} changes, {points} cuts: {old} ended wholly old, {new} wholly new, {broken} broken, {lost} lost, \
         {doubled} doubled; when the power came back {found_old} were old and {found_new} new; recovered within {:.1} s",
        tally.recovered_max.as_secs_f64()
    );
    let mut reasons = reasons.into_inner().unwrap_or_else(PoisonError::into_inner);
    reasons.sort();
    reasons.dedup();
    reasons.iter().for_each(|reason| eprintln!("    ended old: {reason}"));
    Ok(tally)
}

fn figures(all: &Tally) -> Vec<Figure> {
    let figure = |figure, value, unit, against| Figure { bench: "powercut", figure, value, unit, against };
    let count = |name, value: u32, unit, against: String| figure(name, f64::from(value), unit, against);
    vec![
        count(
            "points",
            all.points,
            "cuts",
            format!(
                "limit: {POINTS_MIN} or more; one update of each kind and one rollout make {} durable changes together",
                all.changes
            ),
        ),
        count(
            "wholly_old",
            all.old,
            "cuts",
            format!("when the power came back, {} had the old version", all.found_old),
        ),
        count(
            "wholly_new",
            all.new,
            "cuts",
            format!("when the power came back, {} had the new version", all.found_new),
        ),
        count("broken", all.broken, "cuts", "limit: 0".to_owned()),
        count("lost", all.lost, "orders and reports", "limit: 0".to_owned()),
        count("doubled", all.doubled, "orders and reports", "limit: 0".to_owned()),
        figure(
            "seconds_to_recover_max",
            all.recovered_max.as_secs_f64(),
            "s from the return of the power to the end of the update, its trial included",
            format!("limit: {RECOVERY_SECS_MAX}"),
        ),
    ]
}

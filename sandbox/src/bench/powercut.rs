//! `powercut`: the power goes at durable changes of an update on an appliance, and of a rollout at the center; once every
//! program is killed, once all that was not synced is lost as well. Then it comes back.
//!
//! Without `--points` it goes at every change. What was done of that stays until all is done, so that whoever is
//! interrupted goes on where the same programs left off.

mod notes;

use super::Figure;
use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use notes::{Done, Notes};
use sandbox::powercut::{
    ApplianceCuts, CenterCuts, Cut, End, Kind, Outcome, Recording, Tally, both_ways, make, spread,
};
use sandbox::world::{end_in_order_when_interrupted, is_interrupted};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The kinds of package, and the center.
const SUBJECTS: u64 = 4;

/// Appliances at the same time for each processor: one in its trial waits most of the time.
const AT_ONCE: usize = 8;

/// Centers at the same time for each processor: each has appliances with it.
const CENTERS_AT_ONCE: usize = 5;

/// Of the cuts of one kind, at most so many points are also cut in earnest.
const IN_EARNEST: u64 = 12;

/// Of so many points of a kind, one is also cut in earnest.
const ONE_IN_EARNEST_OF: u64 = 8;

/// Without a terminal, how often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(60);

const POINTS_MIN: u64 = 200;
const RECOVERY_SECS_MAX: u32 = 60;

/// Makes about `points` cuts; without a number, one at every durable change, in both ways.
///
/// # Errors
/// When the programs or a C compiler are missing, or the set-up fails. What the cuts break is a figure, not an error.
pub(super) fn run(points: Option<u64>) -> anyhow::Result<Vec<Figure>> {
    end_in_order_when_interrupted()?;
    // Each point is cut in both ways.
    let each = points.map(|points| (points / (2 * SUBJECTS)).max(1));
    let notes = Notes::open(each.is_none())?;
    let mut all = Done::default();
    for kind in Kind::ALL {
        let done = match notes.done(kind.name())? {
            Some(done) => {
                eprintln!("  {}: done before, by the same programs", kind.name());
                done
            }
            None => {
                let done = appliance(kind, each)?;
                notes.note(kind.name(), &done)?;
                done
            }
        };
        all.add(&done);
    }
    all.add(&center(each, &notes)?);
    notes.remove()?;
    Ok(figures(&all))
}

/// Records one update and lets appliances recover from what cuts leave; some are made in earnest as well.
fn appliance(kind: Kind, each: Option<u64>) -> anyhow::Result<Done> {
    let mut cuts = ApplianceCuts::prepare(kind)?;
    let recording = cuts.record()?;
    let changes = recording.changes();
    let chosen = both_ways(&spread(changes, each.unwrap_or(changes)));
    let (tally, images) = recover(kind.name(), &cuts, &recording, &chosen)?;
    let real = spread(changes, (each.unwrap_or(changes) / ONE_IN_EARNEST_OF).clamp(1, IN_EARNEST));
    let told = Told::new(&format!("{}, in earnest", kind.name()), 2 * real.len())?;
    let real = make(&both_ways(&real), at_once(AT_ONCE), |it| cuts.cut(it), |_, outcome| told.one(outcome));
    told.end(&real)?;
    let mut done = Done { tally, images, in_earnest: real.points };
    done.tally.changes = changes;
    done.tally.broken += real.broken;
    done.tally.lost += real.lost;
    done.tally.doubled += real.doubled;
    if !is_good(&done.tally) {
        cuts.keep();
    }
    Ok(done)
}

/// Lets each image recover once, and counts it for every cut that leaves it; how many images these were.
fn recover(
    name: &str,
    cuts: &ApplianceCuts,
    recording: &Recording,
    chosen: &[Cut],
) -> anyhow::Result<(Tally, u32)> {
    let mut images: BTreeMap<usize, Vec<Cut>> = BTreeMap::new();
    for (cut, image) in recording.cuts().iter().filter(|(cut, _)| chosen.contains(cut)) {
        images.entry(*image).or_default().push(*cut);
    }
    let firsts: BTreeMap<Cut, usize> =
        images.iter().filter_map(|(image, cuts)| cuts.first().map(|cut| (*cut, *image))).collect();
    let told = Told::new(name, images.len())?;
    let tally = Mutex::new(Tally::default());
    let from_image = |cut: Cut| match firsts.get(&cut) {
        Some(image) => cuts.recover(recording, *image, cut),
        None => cuts.cut(cut),
    };
    let count = |cut: Cut, outcome: &Outcome| {
        told.one(outcome);
        let all = firsts.get(&cut).and_then(|image| images.get(image)).map_or(1, Vec::len);
        (0..all).for_each(|_| locked(&tally).count(outcome));
    };
    make(&firsts.keys().copied().collect::<Vec<_>>(), at_once(AT_ONCE), from_image, count);
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    told.end(&tally)?;
    let all = recording.changes();
    eprintln!(
        "    {all} durable changes; their {} cuts leave {} different images, of which {} recovered",
        recording.cuts().len(),
        recording.images(),
        images.len()
    );
    Ok((tally, u32::try_from(images.len())?))
}

/// Cuts the power of centers, each in earnest.
fn center(each: Option<u64>, notes: &Notes) -> anyhow::Result<Done> {
    const NAME: &str = "a rollout at the center";
    let mut cuts = CenterCuts::prepare()?;
    let changes = match notes.center_changes()? {
        Some(changes) => changes,
        None => {
            let changes = cuts.count(at_once(CENTERS_AT_ONCE))?;
            notes.note_center_changes(changes)?;
            changes
        }
    };
    let mut chosen = both_ways(&spread(changes, each.unwrap_or(changes)));
    let mut tally = Tally { changes, ..Tally::default() };
    for (cut, outcome) in notes.center_cuts()? {
        chosen.retain(|chosen| *chosen != cut);
        tally.count(&outcome);
    }
    if tally.points > 0 {
        eprintln!("  {NAME}: {} cuts were made before, by the same programs", tally.points);
    }
    let told = Told::new(NAME, chosen.len())?;
    let failed = Mutex::new(None);
    let made = make(
        &chosen,
        at_once(CENTERS_AT_ONCE),
        |it| cuts.cut(it),
        |cut, outcome| {
            told.one(outcome);
            if let Err(error) = notes.note_center_cut(cut, outcome) {
                *locked(&failed) = Some(error);
            }
        },
    );
    tally.add(&made);
    told.end(&tally)?;
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
    if !is_good(&tally) {
        cuts.keep();
    }
    let in_earnest = tally.points;
    Ok(Done { tally, images: in_earnest, in_earnest })
}

fn at_once(each: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * each
}

fn is_good(tally: &Tally) -> bool {
    (tally.broken, tally.lost, tally.doubled) == (0, 0, 0)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a person how far the cuts of one subject are, and how they went.
struct Told {
    name: String,
    bar: ProgressBar,
    begun: Instant,
    said: Mutex<Instant>,
    reasons: Mutex<Vec<String>>,
}

impl Told {
    fn new(name: &str, count: usize) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("  {msg} [{bar:40}] {pos}/{len}, {eta} to go")?;
        // Without a terminal it draws nothing.
        let bar = ProgressBar::new(u64::try_from(count)?).with_style(style).with_message(name.to_owned());
        let begun = Instant::now();
        let (said, reasons) = (Mutex::new(begun), Mutex::new(Vec::new()));
        Ok(Self { name: name.to_owned(), bar, begun, said, reasons })
    }

    fn one(&self, outcome: &Outcome) {
        self.bar.inc(1);
        match &outcome.end {
            End::Broken(why) => self.bar.suspend(|| eprintln!("{why}")),
            End::Old => locked(&self.reasons).push(outcome.reason.clone()),
            End::New => {}
        }
        let mut said = locked(&self.said);
        if self.bar.is_hidden() && said.elapsed() > SAY_EVERY {
            *said = Instant::now();
            let (made, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("  {}: {made} of {all} after {} s", self.name, self.begun.elapsed().as_secs());
        }
    }

    /// # Errors
    /// When somebody wants the end.
    fn end(&self, tally: &Tally) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        ensure!(!is_interrupted(), "interrupted; the same command goes on from here");
        let Tally { points, old, new, broken, found_old, found_new, lost, doubled, .. } = tally;
        eprintln!(
            "  {}: {points} cuts: {old} ended wholly old, {new} wholly new, {broken} broken, {lost} lost, {doubled} doubled; when the \
             power came back {found_old} were old and {found_new} new; recovered within {:.1} s; took {} s",
            self.name,
            tally.recovered_max.as_secs_f64(),
            self.begun.elapsed().as_secs(),
        );
        let mut reasons = locked(&self.reasons);
        reasons.sort();
        reasons.dedup();
        reasons.iter().for_each(|reason| eprintln!("    ended old: {reason}"));
        Ok(())
    }
}

fn figures(all: &Done) -> Vec<Figure> {
    let Done { tally: all, images, in_earnest } = all;
    let figure = |figure, value, unit, against| Figure { bench: "powercut", figure, value, unit, against };
    let count = |name, value: u32, unit, against: String| figure(name, f64::from(value), unit, against);
    vec![
        count(
            "points",
            all.points,
            "cuts",
            format!(
                "limit: {POINTS_MIN} or more; one update of each kind and one rollout make {} durable changes together, so {} cuts \
                 are all; they leave {images} different disks, each recovered once; {in_earnest} cuts were made by SIGKILL in \
                 earnest, those on appliances compared with the image taken right before",
                all.changes,
                2 * all.changes,
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

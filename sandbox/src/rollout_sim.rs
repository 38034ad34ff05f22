//! Ten thousand appliances and their center in one rollout, in virtual time, over a post office that loses a fifth of all mails,
//! delays some for days, doubles and damages them.
//!
//! What decides and stores is the real code of both sides over real databases, as in [`crate::chaos`], whose post office, clock,
//! appliances and center these are; here nothing crashes, and instead some appliances are off, sleep for days, run other
//! versions or fail the installation. At every look of the center at its rollout the play compares what the operator is told
//! with what really runs ([`Findings`]). Every decision follows from one seed; ids and keys do not.

mod appliance;
mod least;
mod nature;

use crate::chaos::book::Book;
use crate::chaos::center::{Center, Mark};
use crate::chaos::dice::Dice;
use crate::chaos::post::{PostOffice, Weather};
use crate::chaos::site::Site;
use crate::chaos::{BEGIN, Clockwork, new_appliance};
use anyhow::{Context as _, ensure};
use appliance::Appliance;
use center_manager::rollout::{RolloutId, Timing};
use jiff::{SignedDuration, Timestamp};
use nature::Nature;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Automatic rounds after the first.
const ROUNDS: u32 = 3;

/// The weather: one mail of five is lost, one of twenty copies damaged, one of ten doubled; one of five copies takes up to
/// three hours, and one of twenty up to five days.
const WEATHER: Weather = Weather {
    lost: 200_000,
    doubled: 100_000,
    damaged: 50_000,
    late: 200_000,
    very_late: 50_000,
    days_max: 5,
    ..Weather::CALM
};

/// How long the rollout waits for what. The operator knows the mail, which often takes three hours: longer than that until he
/// asks, and a day for an answer.
const SETTLE: SignedDuration = SignedDuration::from_hours(4);
const ANSWER_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);

/// What the center's looks at its mailbox and at its rollouts take of a round beyond that.
const LOOKS: SignedDuration = SignedDuration::from_hours(1);

/// Between two turns of the center.
const CENTER_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The play goes on for so long after the rollout has ended: longer than any mail is on its way.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(6 * 24);

/// Who runs the target for so long can have made itself heard: result, question and answer each went out several times.
const WORD_TIME: SignedDuration = SignedDuration::from_hours(48);

/// No rollout takes longer.
const LONGEST: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Stories that are told at most.
const STORIES_MAX: usize = 5;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// From which everything follows.
    pub seed: u64,
    /// Appliances.
    pub sites: usize,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Appliances that the operator was told to be updated at a time at which they ran something else.
    pub false_success: u64,
    /// Appliances that stand as failed at the end, six days after the rollout has ended, although they have run the target for
    /// the last two days or longer and are not off for ever: their result, the question that it leads to and the answer could arrive.
    pub false_failure: u64,
    /// Appliances with a verdict at the deadline: four rounds of settling and waiting for the answer to two questions, since an
    /// installation that ends late is asked for once more.
    pub decided: u64,
    /// Appliances.
    pub sites: u64,
    /// Those that are not off for ever and whose installer works.
    pub reachable: u64,
    /// Those of them that stand as updated when the rollout ends after its automatic rounds.
    pub reached: u64,
    /// Mails handed in by both sides, until the end of the play; a mail to many is one for each recipient.
    pub mails: u64,
    /// The same by kind.
    pub mails_by_kind: BTreeMap<String, u64>,
    /// The fewest that it could have taken: see `least.rs`.
    pub least_mails: f64,
    /// Installations beyond one for each order, and such of what ran already.
    pub double_effects: u64,
    /// From the start until the rollout ended.
    pub took: SignedDuration,
    /// The stories of some appliances that something is wrong with.
    pub stories: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Center,
    Appliance(usize),
}

struct Stage {
    clock: Arc<Clockwork>,
    post: PostOffice,
    book: Book,
    center: Center,
    rollout: RolloutId,
    appliances: Vec<Appliance>,
    turns: BinaryHeap<Reverse<(i64, u64, Turn)>>,
    turns_set: u64,
    /// When each appliance has its next turn; others of it are over.
    wakes: Vec<i64>,
    /// Who was wrongly told to be updated.
    false_success: BTreeSet<usize>,
}

impl Play {
    /// Plays in a folder of its own below `folder`, which should lie in memory; `tell` is called once for each hour of
    /// virtual time with the targets that have a verdict.
    ///
    /// # Errors
    /// When a database fails, or the rollout comes to no end. What is told wrongly is a finding, not an error.
    pub fn run(&self, folder: &Path, mut tell: impl FnMut(SignedDuration, u64)) -> anyhow::Result<Findings> {
        let room = tempfile::Builder::new().prefix("rollout.").tempdir_in(folder)?;
        let mut stage = Stage::set(self, room.path())?;
        let deadline = BEGIN + (SETTLE + ANSWER_TIMEOUT * 2 + LOOKS) * i32::try_from(ROUNDS + 1)?;
        let mut findings = Findings { sites: u64::try_from(self.sites)?, ..Findings::default() };
        let (mut ended, mut told, mut met_deadline) = (None, BEGIN, false);
        loop {
            let turn = stage.next_turn()?;
            if turn != Turn::Center {
                continue;
            }
            let now = stage.clock.now();
            let marks = stage.compare()?;
            let decided = count(&marks, |mark| mark != Mark::Pending);
            if now.duration_since(told) >= SignedDuration::from_hours(1) {
                told = now;
                tell(now.duration_since(BEGIN), decided);
            }
            if now >= deadline && !met_deadline {
                (met_deadline, findings.decided) = (true, decided);
            }
            if ended.is_none() && stage.center.is_finished(stage.rollout)? {
                ended = Some(now);
                findings.took = now.duration_since(BEGIN);
                findings.reached = stage.reached(&marks);
            }
            if ended.is_some_and(|ended| now.duration_since(ended) >= AFTERWARDS) && met_deadline {
                break;
            }
            ensure!(now.duration_since(BEGIN) < LONGEST, "the rollout comes to no end");
        }
        stage.judge(findings)
    }
}

impl Stage {
    fn set(play: &Play, folder: &Path) -> anyhow::Result<Self> {
        ensure!(play.sites > 0, "there is no rollout without appliances");
        let clock = Arc::new(Clockwork::begin());
        let (mut dice, mut random) = (Dice::new(play.seed), crate::random());
        let new: Vec<_> =
            (0..play.sites).map(|place| new_appliance(place, &mut random)).collect::<Result<_, _>>()?;
        let further = "sends_per_pass = 100000";
        let mut center = Center::set_up(folder, Arc::clone(&clock), &new, dice.fork(1), further)?;
        center.calm();
        center.know_all()?;
        let mut post = PostOffice::new(dice.fork(2));
        post.weather = WEATHER;
        let mut appliances = Vec::with_capacity(play.sites);
        let fresh = fresh_store(folder)?;
        for (place, new) in new.iter().enumerate() {
            let mut own = dice.fork(100 + u64::try_from(place)?);
            let nature = Nature::draw(&mut own, BEGIN);
            let site =
                Site::set_up(place, folder, Arc::clone(&clock), &new.credential, own.fork(1))?.steady();
            let manifest = &center.package().manifest;
            appliances.push(Appliance::set_up(place, site, nature, manifest, &fresh, own)?);
        }
        let timing = Timing {
            settle: SETTLE,
            answer_timeout: ANSWER_TIMEOUT,
            delivery_limit: Timing::DELIVERY_LIMIT,
            command_life: center.command_life(),
        };
        let rollout = center.begin_rollout(timing, ROUNDS)?;
        let mut stage = Self {
            clock,
            post,
            book: Book::new(BEGIN),
            center,
            rollout,
            appliances,
            turns: BinaryHeap::new(),
            turns_set: 0,
            wakes: vec![i64::MAX; play.sites],
            false_success: BTreeSet::new(),
        };
        stage.set_turn(BEGIN, Turn::Center);
        Ok(stage)
    }

    fn set_turn(&mut self, at: Timestamp, turn: Turn) {
        self.turns_set += 1;
        self.turns.push(Reverse((at.as_millisecond(), self.turns_set, turn)));
    }

    /// The appliance has a turn then, unless it has one before.
    fn wake(&mut self, place: usize, at: Timestamp) {
        if let Some(wake) = self.wakes.get_mut(place).filter(|wake| at.as_millisecond() < **wake) {
            *wake = at.as_millisecond();
            self.set_turn(at, Turn::Appliance(place));
        }
    }

    fn next_turn(&mut self) -> anyhow::Result<Turn> {
        let (at, turn) = loop {
            let Reverse((at, _, turn)) = self.turns.pop().context("the center always has a turn")?;
            if !matches!(turn, Turn::Appliance(place) if self.wakes.get(place) != Some(&at)) {
                break (Timestamp::from_millisecond(at)?, turn);
            }
        };
        self.clock.set(at);
        match turn {
            Turn::Center => {
                self.center.turn(&mut self.post, &mut self.book).context("the center")?;
                self.set_turn(at + CENTER_PAUSE, Turn::Center);
                for place in self.post.take_addressed() {
                    if let (Some(mail), Some(appliance)) =
                        (self.post.next_mail(place, at), self.appliances.get(place))
                    {
                        let looks = appliance.looks_at(mail.max(at));
                        self.wake(place, looks);
                    }
                }
            }
            Turn::Appliance(place) => {
                if let Some(wake) = self.wakes.get_mut(place) {
                    *wake = i64::MAX;
                }
                let appliance = self.appliances.get_mut(place).context("an appliance of the fleet")?;
                let next = appliance.turn(at, &mut self.post, &mut self.book);
                if let Some(next) = next.with_context(|| format!("appliance {} on {at}", place + 1))? {
                    self.wake(place, next);
                }
            }
        }
        Ok(turn)
    }

    /// What the operator is told just now, beside what runs.
    fn compare(&mut self) -> anyhow::Result<Vec<Mark>> {
        let marks = self.center.marks(self.rollout)?;
        for (place, (mark, appliance)) in marks.iter().zip(&self.appliances).enumerate() {
            if *mark == Mark::Updated && appliance.updated().is_none() {
                self.false_success.insert(place);
            }
        }
        Ok(marks)
    }

    fn reached(&self, marks: &[Mark]) -> u64 {
        let both = marks.iter().zip(&self.appliances);
        let reached = both.filter(|(mark, appliance)| {
            **mark == Mark::Updated && appliance.nature().is_reachable() && appliance.updated().is_some()
        });
        u64::try_from(reached.count()).unwrap_or(u64::MAX)
    }

    fn judge(mut self, mut findings: Findings) -> anyhow::Result<Findings> {
        let (now, marks) = (self.clock.now(), self.compare()?);
        let mut wrong: Vec<(usize, &str)> =
            self.false_success.iter().map(|place| (*place, "was told to be updated and was not")).collect();
        findings.false_success = u64::try_from(self.false_success.len())?;
        let p = WEATHER.arrives();
        for (place, (mark, appliance)) in marks.iter().zip(&self.appliances).enumerate() {
            let heard = appliance
                .updated()
                .is_some_and(|since| since == Timestamp::MIN || now.duration_since(since) >= WORD_TIME);
            findings.reachable += u64::from(appliance.nature().is_reachable());
            findings.least_mails += least::mails(appliance.nature(), p);
            findings.double_effects += u64::from(appliance.double_effects());
            if *mark == Mark::Failed && heard && appliance.nature().is_reachable() {
                findings.false_failure += 1;
                wrong.push((place, "stands as failed and is updated"));
            }
            if *mark != Mark::Updated && appliance.nature().is_reachable() && appliance.updated().is_none() {
                wrong.push((place, "was not reached"));
            }
        }
        let sendings = self.book.sendings();
        findings.mails = sendings.values().sum();
        findings.mails_by_kind = sendings.into_iter().map(|(kind, mails)| (kind.to_owned(), mails)).collect();
        for (place, what) in wrong.iter().take(STORIES_MAX) {
            let history = self.center.history(self.rollout, *place)?;
            let nature = self.appliances.get(*place).map(Appliance::nature);
            findings.stories.push(format!("appliance {} {what}; {nature:?}{history}", place + 1));
        }
        Ok(findings)
    }
}

fn count(marks: &[Mark], meant: impl Fn(Mark) -> bool) -> u64 {
    u64::try_from(marks.iter().filter(|mark| meant(**mark)).count()).unwrap_or(u64::MAX)
}

/// A store as it is after its first opening, in small pages: that of each appliance begins as its copy. A hundred tables in
/// pages of four kilobytes would take four gigabytes of memory for all of them.
fn fresh_store(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("fresh.db");
    drop(monitor_appliance::Store::open(&path)?);
    let connection = rusqlite::Connection::open(&path)?;
    connection.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM")?;
    Ok(path)
}

//! The course of a rollout: in which waves it goes through its targets, and when it goes on.
//!
//! A wave is released when the one before has proven itself. What counts is the verdict, so silence counts as an error.
//! A person may pause, go on, stop, or release the next wave at once; a stop takes back what has not begun.

use jiff::{SignedDuration, Timestamp};
use mailfmt::{AgentId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How far a wave reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// So many of a hundred targets, rounded down, together with the waves before; but at least so many targets.
    Percent {
        /// 1 to 100.
        percent: u8,
        /// Fewer than this teach nothing.
        at_least: u32,
    },
    /// So many targets together with the waves before.
    Count {
        /// How many.
        targets: u32,
    },
}

impl Reach {
    /// How many of `total` targets are reached when this wave is out.
    #[must_use]
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::Percent { percent, at_least } => {
                let share = u64::from(total) * u64::from(percent.min(100)) / 100;
                u32::try_from(share).unwrap_or(total).max(at_least).min(total)
            }
            Self::Count { targets } => targets.min(total),
        }
    }
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// How far it reaches.
    pub reach: Reach,
    /// How long the next wave waits after this one has proven itself, in seconds.
    pub pause_secs: u32,
    /// Whether the next wave waits for a person's word.
    pub hold: bool,
}

/// When a wave has proven itself, and when it has proven the opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// So many of a hundred must be updated before the next wave.
    pub success_percent: u8,
    /// So many of a hundred in error, of one wave or of all so far, stop the rollout.
    pub error_percent: u8,
    /// Fewer errors than this never stop it: a site that is off says nothing about the package.
    pub errors_at_least: u32,
}

impl Thresholds {
    /// 90 % to go on; 3 %, and three at least, to stop. A package that breaks one box of twenty is stopped by the first
    /// 100 boxes in 88 of 100 rollouts, by the first 500 in more than 99.
    pub const USUAL: Self = Self { success_percent: 90, error_percent: 3, errors_at_least: 3 };
}

/// In which waves, and under which thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Its name: one of [`NAMED`], or `own`.
    pub name: String,
    /// The waves; the last one takes all that is left, however far it says it reaches.
    pub waves: Vec<Wave>,
    /// When to go on and when to stop.
    pub thresholds: Thresholds,
}

/// The courses that have a name, and what each is for.
pub const NAMED: &[(&str, &str)] = &[
    ("default", "1 % (at least 10), 5, 15, 40 and 100 %; half a day to a day between"),
    ("fast", "3 % (at least 10), 12, 40 and 100 %; an hour between"),
    ("urgent", "5 % (at least 10), 25, 50 and 100 %; a quarter of an hour between"),
    ("slow", "1 % (at least 10), 2, 5, 10, 20, 40, 70 and 100 %; a day between"),
    ("at-once", "everything in one wave"),
];

const HOUR: u32 = 3_600;

impl Course {
    /// A course by its name; `None` for a name that is not in [`NAMED`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let percents: &[(u8, u32)] = match name {
            "default" => &[(1, 12 * HOUR), (5, 24 * HOUR), (15, 24 * HOUR), (40, 24 * HOUR), (100, 0)],
            "fast" => &[(3, HOUR), (12, HOUR), (40, HOUR), (100, 0)],
            "urgent" => &[(5, HOUR / 4), (25, HOUR / 4), (50, HOUR / 4), (100, 0)],
            "slow" => &[
                (1, 24 * HOUR),
                (2, 24 * HOUR),
                (5, 24 * HOUR),
                (10, 24 * HOUR),
                (20, 24 * HOUR),
                (40, 24 * HOUR),
                (70, 24 * HOUR),
                (100, 0),
            ],
            "at-once" => &[(100, 0)],
            _ => return None,
        };
        let wave = |&(percent, pause_secs): &(u8, u32)| Wave {
            reach: Reach::Percent { percent, at_least: FIRST_AT_LEAST },
            pause_secs,
            hold: false,
        };
        let thresholds = match name {
            // Nothing is left to stop, and a person who sends to all at once wants them all.
            "at-once" => Thresholds { success_percent: 0, error_percent: 100, errors_at_least: u32::MAX },
            _ => Thresholds::USUAL,
        };
        Some(Self { name: name.to_owned(), waves: percents.iter().map(wave).collect(), thresholds })
    }

    /// Everything in one wave.
    #[must_use]
    pub fn at_once() -> Self {
        Self::named("at-once").expect("at-once has a name")
    }

    /// A course of one's own from text such as `10,5%,25%,100%`, with the same pause after every wave.
    ///
    /// # Errors
    /// [`CourseError`].
    pub fn parse(text: &str, pause_secs: u32, hold: bool) -> Result<Self, CourseError> {
        let wave = |item: &str| {
            let wrong = || CourseError::Wave { text: item.trim().to_owned() };
            let reach = match item.trim().strip_suffix('%') {
                Some(number) => Reach::Percent {
                    percent: number
                        .trim()
                        .parse()
                        .ok()
                        .filter(|percent| (1..=100).contains(percent))
                        .ok_or_else(wrong)?,
                    at_least: 1,
                },
                None => Reach::Count {
                    targets: item.trim().parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?,
                },
            };
            Ok(Wave { reach, pause_secs, hold })
        };
        let waves: Vec<_> = text.split(',').map(wave).collect::<Result<_, _>>()?;
        if waves.len() > WAVES_MAX {
            return Err(CourseError::TooMany { waves: waves.len() });
        }
        Ok(Self { name: "own".to_owned(), waves, thresholds: Thresholds::USUAL })
    }

    /// In which wave each target is, from 0. Who comes first is drawn from `draw`: not the oldest customers every time.
    /// Waves that would reach nobody new are left out, so the numbers have no gap.
    #[must_use]
    pub fn waves_of(&self, agents: &BTreeSet<AgentId>, draw: &[u8]) -> BTreeMap<AgentId, u32> {
        let mut drawn: Vec<_> = agents.iter().map(|agent| (lot(agent, draw), agent)).collect();
        drawn.sort_unstable();
        let total = u32::try_from(drawn.len()).unwrap_or(u32::MAX);
        let mut waves = BTreeMap::new();
        let mut rest = drawn.into_iter().map(|(_, agent)| agent);
        for (nth, size) in self.sizes(total).into_iter().enumerate() {
            let nth = u32::try_from(nth).unwrap_or(u32::MAX);
            waves.extend(rest.by_ref().take(size as usize).map(|agent| (agent.clone(), nth)));
        }
        waves
    }

    /// How many targets each wave has, of `total`; none is empty.
    #[must_use]
    pub fn sizes(&self, total: u32) -> Vec<u32> {
        self.steps(total).into_iter().map(|(size, _)| size).collect()
    }

    /// The waves that reach somebody new among `total` targets, and how many.
    fn steps(&self, total: u32) -> Vec<(u32, &Wave)> {
        let mut reached = 0;
        let mut steps = Vec::new();
        let last = self.waves.len().saturating_sub(1);
        for (nth, wave) in self.waves.iter().enumerate() {
            let reach = if nth == last { total } else { wave.reach.of(total) };
            if reach > reached {
                steps.push((reach - reached, wave));
                reached = reach;
            }
        }
        steps
    }

    /// The same course without the waves that reach nobody new among `total` targets.
    #[must_use]
    pub fn fitted(&self, total: u32) -> Self {
        let waves = self.steps(total).into_iter().map(|(_, wave)| wave.clone()).collect();
        Self { waves, ..self.clone() }
    }

    /// How many targets at most are touched if the package breaks every one of them.
    #[must_use]
    pub fn blast_radius(&self, total: u32) -> u32 {
        let sizes = self.sizes(total);
        let mut touched = 0;
        for size in &sizes {
            touched += size;
            // Where nothing succeeds, the next wave does not go out by itself.
            if self.thresholds.success_percent > 0 || touched >= self.error_limit(touched) {
                return touched;
            }
        }
        touched
    }

    /// So many errors among `targets` stop the rollout.
    #[must_use]
    pub fn error_limit(&self, targets: u32) -> u32 {
        let Thresholds { error_percent, errors_at_least, .. } = self.thresholds;
        let share = (u64::from(targets) * u64::from(error_percent)).div_ceil(100);
        u32::try_from(share).unwrap_or(u32::MAX).max(errors_at_least)
    }
}

/// The first wave of a named course has at least so many targets.
const FIRST_AT_LEAST: u32 = 10;

/// More waves than anybody would look at.
const WAVES_MAX: usize = 100;

fn lot(agent: &AgentId, draw: &[u8]) -> [u8; 32] {
    *Digest::of(&[draw, agent.as_str().as_bytes()].concat()).as_bytes()
}

/// Why a text is no course.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CourseError {
    /// Neither a number nor a percentage.
    #[error(
        "{text:?} is no wave; write how far it reaches as a number of appliances or as 1% to 100%: 10,5%,25%,100%"
    )]
    Wave {
        /// What stands there.
        text: String,
    },
    /// More than anybody would look at.
    #[error("{waves} waves are too many; at most {WAVES_MAX}")]
    TooMany {
        /// How many.
        waves: usize,
    },
}

/// Whether a rollout goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Mode {
    /// It does.
    Running,
    /// No further package is sent; what is out is followed to its verdict.
    Paused {
        /// Since when.
        at: Timestamp,
        /// Why, in words.
        reason: String,
        /// Whether it paused by itself between two waves: then going on releases the next.
        between_waves: bool,
    },
    /// No further package is sent, and those that have not begun are called back.
    Stopped {
        /// Since when.
        at: Timestamp,
        /// Why, in words.
        reason: String,
    },
}

/// How far a rollout came on its course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// How many waves are released.
    pub released: u32,
    /// When the newest wave was released; `None` for the first of a rollout from before there were waves.
    pub released_at: Option<Timestamp>,
    /// When the newest wave had proven itself.
    pub met: Option<Timestamp>,
    /// Errors that a person has seen and gone on after.
    pub forgiven: u32,
    /// Whether it goes on.
    #[serde(flatten)]
    pub mode: Mode,
}

impl Stand {
    /// At the beginning: the first wave is out.
    #[must_use]
    pub fn begun(at: Timestamp) -> Self {
        Self { released: 1, released_at: Some(at), met: None, forgiven: 0, mode: Mode::Running }
    }

    /// The next wave is out.
    pub(super) fn release(&mut self, now: Timestamp) {
        self.released = self.released.saturating_add(1);
        self.released_at = Some(now);
        self.met = None;
    }

    /// Whether packages may be sent.
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self.mode, Mode::Running)
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.mode, Mode::Stopped { .. })
    }
}

/// How the targets of one wave stand. Those that our mail cannot reach, and those that the operator shut out, say nothing
/// about a package; they are in none of the numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Verified at the target version.
    pub updated: u32,
    /// Failed, silent ones included; until there is a success, also those that are tried again by themselves.
    pub errors: u32,
    /// How many of the errors are tried again by themselves.
    pub again: u32,
    /// Without a verdict.
    pub open: u32,
}

impl Tally {
    /// One more without an end; it may have failed before.
    pub(super) fn go_on(&mut self, is_error: bool) {
        let (errors, open) = (u32::from(is_error), u32::from(!is_error));
        self.errors = self.errors.saturating_add(errors);
        self.again = self.again.saturating_add(errors);
        self.open = self.open.saturating_add(open);
    }

    fn judged(self) -> u32 {
        self.updated.saturating_add(self.errors)
    }

    fn all(self) -> u32 {
        self.judged().saturating_add(self.open)
    }
}

/// What a course comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing now; at this time it may be looked at again.
    Wait {
        /// When; `None` while only verdicts can change it.
        until: Option<Timestamp>,
    },
    /// The newest wave has proven itself: from now on its pause runs.
    Meet,
    /// The next wave goes out.
    Release,
    /// It waits for a person.
    Hold {
        /// Why.
        reason: String,
    },
    /// Too many errors.
    Stop {
        /// How many, and of how many.
        reason: String,
    },
}

/// Whether the next wave goes out. `tallies` are those of the waves, the first one first.
#[must_use]
pub fn gate(course: &Course, stand: &Stand, tallies: &[Tally], now: Timestamp) -> Gate {
    let waiting = Gate::Wait { until: None };
    if !stand.sends() {
        return waiting;
    }
    let released = tallies.get(..stand.released as usize).unwrap_or(tallies);
    let sum = |part: fn(&Tally) -> u32| released.iter().map(part).fold(0, u32::saturating_add);
    let (errors, all) = (sum(|tally| tally.errors), sum(|tally| tally.all()));
    let newest = released.last().copied().unwrap_or_default();
    let fresh = errors.saturating_sub(stand.forgiven);
    let number = stand.released;
    if fresh > 0 && fresh >= course.error_limit(all) {
        return Gate::Stop { reason: format!("{errors} of {all} appliances in error") };
    }
    if fresh > 0 && newest.errors.min(fresh) >= course.error_limit(newest.all()) {
        let reason = format!("{} of {} appliances of wave {number} in error", newest.errors, newest.all());
        return Gate::Stop { reason };
    }
    if released.len() >= tallies.len() {
        return waiting;
    }
    let Some(wave) = course.waves.get(number.saturating_sub(1) as usize) else { return Gate::Release };
    if let Some(met) = stand.met {
        let until = super::after(met, SignedDuration::from_secs(wave.pause_secs.into()));
        return match (now < until, wave.hold) {
            (true, _) => Gate::Wait { until: Some(until) },
            (false, true) => Gate::Hold { reason: format!("a look at wave {number} was asked for") },
            (false, false) => Gate::Release,
        };
    }
    let needed = u64::from(newest.all()) * u64::from(course.thresholds.success_percent);
    if newest.open == 0 && newest.judged() == 0 {
        // Nobody of it can be reached, so there is nothing to learn from it.
        return Gate::Meet;
    }
    if u64::from(newest.updated) * 100 >= needed {
        return Gate::Meet;
    }
    // So many rounds with so long pauses at most, that a person is not asked too early, but asked.
    if newest.open > 0 || newest.again > 0 {
        return waiting;
    }
    let (updated, percent) = (newest.updated, course.thresholds.success_percent);
    Gate::Hold {
        reason: format!(
            "{updated} of {} appliances of wave {number} are updated, fewer than {percent} %",
            newest.all()
        ),
    }
}

#[cfg(test)]
mod tests;

//! What the supervisor decides: from what it sees to what it does next.
//!
//! Time is the supervisor's own uptime, which no clock change moves: a box without a battery gets its time by
//! network some minutes after its start.

use super::trial::{Evidence, TrialVerdict, judge_trial};
use crate::settings::Settings;
use crate::update::{Due, Turn, UpdateState, WaitFor};
use jiff::Timestamp;
use mailfmt::ModuleName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How patient the supervisor is. The default is that of the default settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Silence after which a module that ever gave a sign of life counts as hung.
    pub hung_after: Duration,
    /// Pause before the second restart of a module; doubled for each further one.
    pub pause_first: Duration,
    /// Longest such pause.
    pub pause_max: Duration,
    /// Time after which a module counts as running well, so that its next end is its first again.
    pub stable_after: Duration,
    /// Time that a module gets to end when it is asked to, before it is killed.
    pub stop_grace: Duration,
    /// How often a module may end within [`ALARM_WINDOW`] before the center is told.
    pub alarm_after: u32,
    /// How long beyond its trial a new release may take to show what worked before it.
    pub proof_wait: Duration,
    /// The same for mail that did not work before it either.
    pub mail_return_wait: Duration,
}

/// The time in which the ends of a module are counted.
pub const ALARM_WINDOW: Duration = Duration::from_secs(3600);

impl Patience {
    /// As patient as the settings say.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            hung_after: settings.timers.heartbeat_limit,
            alarm_after: settings.watchdog.alarm_after,
            proof_wait: settings.update.proof_wait,
            mail_return_wait: settings.update.mail_return_wait,
            ..Self::default()
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hung_after: Duration::from_secs(120),
            pause_first: Duration::from_secs(1),
            pause_max: Duration::from_secs(300),
            stable_after: Duration::from_secs(60),
            stop_grace: Duration::from_secs(10),
            alarm_after: 5,
            proof_wait: Duration::from_secs(15 * 60),
            mail_return_wait: Duration::from_secs(24 * 3600),
        }
    }
}

/// One resident module as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Whether it runs.
    pub run: Run,
    /// How often in a row it ended before it ran well.
    pub failures: u32,
    /// Whether it ever gave a sign of life, so that its silence means something.
    pub beats: bool,
    /// When it ended by itself or was hung, within [`ALARM_WINDOW`].
    pub ends: Vec<Duration>,
    /// Whether the center was told that this happens too often, and was not told yet that it is over.
    pub told: bool,
}

/// Whether a module runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// It was never started.
    New,
    /// It runs.
    Up {
        /// Its process, which leads its group.
        pid: u32,
        /// When it was started.
        since: Duration,
        /// When its last sign of life was seen.
        beat: Option<Duration>,
    },
    /// It ended by itself, or was hung and ended.
    Down {
        /// When.
        since: Duration,
        /// How, for a person.
        how: String,
    },
}

impl Resident {
    /// One that was never started.
    #[must_use]
    pub fn new(beats: bool) -> Self {
        Self { run: Run::New, failures: 0, beats, ends: Vec::new(), told: false }
    }

    /// After its process ended.
    pub fn ended(&mut self, how: String, patience: &Patience, now: Duration) {
        let lived = match self.run {
            Run::Up { since, .. } => now.saturating_sub(since),
            Run::New | Run::Down { .. } => Duration::ZERO,
        };
        self.failed(how, lived, patience, now);
    }

    /// After it gave no sign of life for too long and was ended.
    pub fn hung(&mut self, patience: &Patience, now: Duration) {
        // The time in which it hung is no time in which it ran well.
        let lived = match self.run {
            Run::Up { since, beat, .. } => beat.unwrap_or(since).saturating_sub(since),
            Run::New | Run::Down { .. } => Duration::ZERO,
        };
        self.failed("hung and was ended".to_owned(), lived, patience, now);
    }

    fn failed(&mut self, how: String, lived: Duration, patience: &Patience, now: Duration) {
        self.failures = if lived >= patience.stable_after { 1 } else { self.failures.saturating_add(1) };
        self.ends.retain(|at| now.saturating_sub(*at) < ALARM_WINDOW);
        self.ends.push(now);
        self.run = Run::Down { since: now, how };
    }

    /// How often it ended lately.
    fn ends_lately(&self, now: Duration) -> usize {
        self.ends.iter().filter(|at| now.saturating_sub(**at) < ALARM_WINDOW).count()
    }

    /// After a sign of life of process `from`; one of an earlier process only tells that the module gives such signs.
    pub fn gave_sign(&mut self, from: u32, now: Duration) {
        self.beats = true;
        if let Run::Up { pid, beat, .. } = &mut self.run
            && *pid == from
        {
            *beat = Some(now);
        }
    }
}

/// Pause before a module that failed `failures` times in a row is started again: none after the first time, then
/// doubled from [`Patience::pause_first`] up to [`Patience::pause_max`].
#[must_use]
pub fn restart_pause(failures: u32, patience: &Patience) -> Duration {
    match failures.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
            patience.pause_first.saturating_mul(factor).min(patience.pause_max)
        }
    }
}

/// Everything the supervisor looks at before it decides.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The resident modules of the running release.
    pub residents: &'a BTreeMap<ModuleName, Resident>,
    /// The update that is to be worked on now.
    pub update: Option<UpdateView<'a>>,
    /// What must not be disturbed just now.
    pub busy: Option<WaitFor>,
    /// The modules that the install script at work wants to stand still.
    pub stopped: &'a BTreeSet<String>,
    /// Whether a version report is asked for.
    pub version_wanted: bool,
    /// Whether `update-install` runs, or rests after a failure.
    pub installer_occupied: bool,
    /// Whether `version-report` runs, or rests after a failure.
    pub reporter_occupied: bool,
    /// The supervisor's uptime.
    pub now: Duration,
    /// The time of the clock, for what was stored with it.
    pub clock: Timestamp,
}

/// An update as the supervisor sees it.
#[derive(Debug, Clone)]
pub struct UpdateView<'a> {
    /// Its stored state.
    pub state: &'a UpdateState,
    /// The uptime at which this supervisor began the trial; `None` when it did not, whatever is stored.
    pub trial_since: Option<Duration>,
    /// What the release on trial has shown.
    pub evidence: &'a Evidence,
}

/// What the supervisor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start a module.
    Start(ModuleName),
    /// End a module that hangs; it is then started again like any that ended.
    EndHung(ModuleName),
    /// End a module that an install script wants to stand still.
    Stop(ModuleName),
    /// Tell the center that a module ends or hangs too often.
    Alarm {
        /// The module.
        module: ModuleName,
        /// How it ended the last time, for a person.
        how: String,
    },
    /// Tell the center that such a module runs well again.
    AllClear(ModuleName),
    /// Run `update-install`.
    RunInstaller,
    /// Run `version-report`.
    RunReporter,
    /// Store what the swap waits for.
    AwaitSwap {
        /// What.
        why: WaitFor,
    },
    /// Tell the center what the swap waits for.
    ReportWait,
    /// Store that the swap begins.
    BeginSwap,
    /// Stop the modules, change the link, start the new release's modules, store that the trial begins.
    Swap,
    /// Start the modules of the release on trial again and begin its trial anew.
    RestartTrial,
    /// Keep the new release.
    Commit,
    /// Store that the new release is to be taken back.
    GiveUp {
        /// Why, for a person.
        reason: String,
    },
    /// Stop the modules, change the link back, start the old release's modules, store that it is done.
    TakeBack,
}

/// What to do next, in this order. When a step changes the release, it is the only one: the rest is decided anew
/// over what is there afterwards.
#[must_use]
pub fn plan(view: &View<'_>, patience: &Patience) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(update) = &view.update {
        match (update.state, update.trial_since) {
            (UpdateState::Checked { wait, .. }, _) => match (&view.busy, wait) {
                (None, _) => return vec![Step::BeginSwap],
                (Some(why), Some(wait)) if wait.why == *why => match wait.due(view.clock) {
                    Due::Look => {}
                    Due::Report => steps.push(Step::ReportWait),
                    Due::GiveUp => return vec![Step::GiveUp { reason: wait.given_up() }],
                },
                (Some(why), _) => steps.push(Step::AwaitSwap { why: why.clone() }),
            },
            (UpdateState::Swapped { .. }, _) => return vec![Step::Swap],
            (UpdateState::RollingBack { .. }, _) => return vec![Step::TakeBack],
            (UpdateState::OnTrial { .. }, None) => return vec![Step::RestartTrial],
            (UpdateState::OnTrial { swap, expected, .. }, Some(since)) => {
                let trial = Duration::from_secs(u64::from(swap.trial_secs));
                let ran = view.now.saturating_sub(since);
                match judge_trial(view.residents, *expected, update.evidence, trial, ran, patience) {
                    TrialVerdict::Passed => return vec![Step::Commit],
                    TrialVerdict::Failed { reason } => return vec![Step::GiveUp { reason }],
                    TrialVerdict::StillRunning => {}
                }
            }
            (state, _) => {
                let turn = matches!(state.turn(), Turn::Installer { .. });
                if turn && !view.installer_occupied {
                    steps.push(Step::RunInstaller);
                }
            }
        }
    }
    // The verdict on an update must not come from a release that may still be taken back.
    let on_trial = view.update.as_ref().is_some_and(|update| update.trial_since.is_some());
    if view.version_wanted && !view.reporter_occupied && !on_trial {
        steps.push(Step::RunReporter);
    }
    for (name, resident) in view.residents {
        steps.extend(tend(name, resident, view.stopped.contains(name.as_str()), patience, view.now));
        steps.extend(speak_of(name, resident, patience, view.now));
    }
    steps
}

fn tend(
    name: &ModuleName,
    resident: &Resident,
    stopped: bool,
    patience: &Patience,
    now: Duration,
) -> Option<Step> {
    match &resident.run {
        Run::Up { .. } if stopped => Some(Step::Stop(name.clone())),
        Run::New | Run::Down { .. } if stopped => None,
        Run::New => Some(Step::Start(name.clone())),
        Run::Down { since, .. } => {
            let due = since.saturating_add(restart_pause(resident.failures, patience));
            (now >= due).then(|| Step::Start(name.clone()))
        }
        Run::Up { since, beat, .. } => {
            let silent = now.saturating_sub(beat.unwrap_or(*since));
            (resident.beats && silent > patience.hung_after).then(|| Step::EndHung(name.clone()))
        }
    }
}

/// What the center is to know of a module: once that it ends too often, and once that this is over.
fn speak_of(name: &ModuleName, resident: &Resident, patience: &Patience, now: Duration) -> Option<Step> {
    let often = resident.ends_lately(now) >= usize::try_from(patience.alarm_after).unwrap_or(usize::MAX);
    match (&resident.run, resident.told) {
        (Run::Down { how, .. }, false) if often => {
            Some(Step::Alarm { module: name.clone(), how: how.clone() })
        }
        (Run::Up { .. }, true) if resident.ends_lately(now) == 0 => Some(Step::AllClear(name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! What the supervisor decides: from what it sees to what it does next.
//!
//! Time is the supervisor's own uptime, which no clock change moves: a box without a battery gets its time by
//! network some minutes after its start.

use crate::settings::Timers;
use crate::update::{Turn, UpdateState};
use mailfmt::ModuleName;
use std::collections::BTreeMap;
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
}

impl Patience {
    /// As patient as the settings say.
    #[must_use]
    pub fn of(timers: &Timers) -> Self {
        Self { hung_after: timers.heartbeat_limit, ..Self::default() }
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
        Self { run: Run::New, failures: 0, beats }
    }

    /// After its process ended.
    pub fn ended(&mut self, how: String, patience: &Patience, now: Duration) {
        let well =
            matches!(self.run, Run::Up { since, .. } if now.saturating_sub(since) >= patience.stable_after);
        self.failures = if well { 1 } else { self.failures.saturating_add(1) };
        self.run = Run::Down { since: now, how };
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
    /// What some module is in the middle of and must not be disturbed in.
    pub busy: Option<&'a str>,
    /// Whether a version report is asked for.
    pub version_wanted: bool,
    /// Whether `update-install` runs, or rests after a failure.
    pub installer_occupied: bool,
    /// Whether `version-report` runs, or rests after a failure.
    pub reporter_occupied: bool,
    /// The supervisor's uptime.
    pub now: Duration,
}

/// An update as the supervisor sees it.
#[derive(Debug, Clone)]
pub struct UpdateView<'a> {
    /// Its stored state.
    pub state: &'a UpdateState,
    /// The uptime at which this supervisor began the trial; `None` when it did not, whatever is stored.
    pub trial_since: Option<Duration>,
}

/// What the supervisor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start a module.
    Start(ModuleName),
    /// End a module that hangs; it is then started again like any that ended.
    EndHung(ModuleName),
    /// Run `update-install`.
    RunInstaller,
    /// Run `version-report`.
    RunReporter,
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
            (UpdateState::ScriptRun { .. }, _) if view.busy.is_none() => return vec![Step::BeginSwap],
            (UpdateState::Swapped { .. }, _) => return vec![Step::Swap],
            (UpdateState::RollingBack { .. }, _) => return vec![Step::TakeBack],
            (UpdateState::OnTrial { .. }, None) => return vec![Step::RestartTrial],
            (UpdateState::OnTrial { swap, .. }, Some(since)) => {
                let trial = Duration::from_secs(u64::from(swap.trial_secs));
                match judge_trial(view.residents, since, trial, patience, view.now) {
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
    steps.extend(
        view.residents.iter().filter_map(|(name, resident)| tend(name, resident, patience, view.now)),
    );
    steps
}

fn tend(name: &ModuleName, resident: &Resident, patience: &Patience, now: Duration) -> Option<Step> {
    match &resident.run {
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

/// How a trial stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialVerdict {
    /// Too early to say.
    StillRunning,
    /// Every module ran through, and those that give signs of life gave one.
    Passed,
    /// A module ended or gave no sign of life.
    Failed {
        /// Which and how, for a person.
        reason: String,
    },
}

/// Judges a new release that was started at `since` and must run well for `trial`.
#[must_use]
pub fn judge_trial(
    residents: &BTreeMap<ModuleName, Resident>,
    since: Duration,
    trial: Duration,
    patience: &Patience,
    now: Duration,
) -> TrialVerdict {
    let ran = now.saturating_sub(since);
    let mut silent = None;
    for (name, resident) in residents {
        match &resident.run {
            Run::Down { how, .. } => {
                return TrialVerdict::Failed { reason: format!("module {name} {how} during its trial") };
            }
            Run::New => {
                return TrialVerdict::Failed { reason: format!("module {name} could not be started") };
            }
            Run::Up { beat: None, .. } if resident.beats => silent = silent.or(Some(name)),
            Run::Up { .. } => {}
        }
    }
    match silent {
        _ if ran < trial => TrialVerdict::StillRunning,
        None => TrialVerdict::Passed,
        // The time between two signs of life may be longer than the trial.
        Some(_) if ran <= patience.hung_after => TrialVerdict::StillRunning,
        Some(name) => TrialVerdict::Failed {
            reason: format!("module {name} gave no sign of life for {} s", ran.as_secs()),
        },
    }
}

#[cfg(test)]
mod tests;

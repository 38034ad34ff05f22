//! How a running rollout stands at one moment, for a person who watches it: a value, and that value as lines of text. Pure.

mod draw;

pub use draw::{frame, in_one_line, lines};

use super::waves::waves_with;
use super::{Rungs, WaveRow, cause, minute};
use crate::budget::Bounds;
use crate::db::events::Event;
use crate::db::rollouts::Counts;
use crate::rollout::{Gate, Mode, Rollout, RolloutId, Tally, Targets, Verdict, gate, tallies};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::{AgentId, SoftwareVersion};
use serde::Serialize;

/// A rollout at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its target version.
    pub update_to: SoftwareVersion,
    /// The moment.
    pub at: Timestamp,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// `running`, `paused`, `stopped` or `finished`.
    pub state: &'static str,
    /// Why it is paused or stopped; may be empty.
    pub reason: String,
    /// How many targets stand where.
    pub counts: Counts,
    /// Its waves, the first one first.
    pub waves: Vec<WaveRow>,
    /// Both ladders.
    pub rungs: Rungs,
    /// Errors against the threshold.
    pub errors: Errors,
    /// What the next wave waits for.
    pub next_wave: NextWave,
    /// What our accounts used of what their providers allow.
    pub mail: Vec<MailUse>,
    /// What happened last, the newest first.
    pub recent: Vec<Recent>,
    /// Whether nobody seems to send and read the mail.
    pub daemon_late: bool,
}

/// Errors of the waves that are out, against the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// So many, without those that a person has seen and gone on after.
    pub found: u32,
    /// So many of all stop the rollout.
    pub limit: u32,
    /// How many targets count.
    pub of: u32,
    /// So many in the newest wave.
    pub newest_found: u32,
    /// So many of that wave stop the rollout.
    pub newest_limit: u32,
    /// Seen by a person, and not counted any more.
    pub forgiven: u32,
}

/// What the next wave waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextWave {
    /// In words.
    pub words: String,
    /// When it goes out, where that is known.
    pub at: Option<Timestamp>,
    /// The command that changes it; `None` where nothing is to be done.
    pub next: Option<String>,
}

/// What one account used of one window of its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailUse {
    /// The account.
    pub account: String,
    /// `mails` or `recipients`.
    pub what: &'static str,
    /// Length of the window, in seconds.
    pub span_secs: u32,
    /// Handed in within it.
    pub used: u64,
    /// Allowed within it.
    pub most: u32,
}

impl MailUse {
    /// Every window of one account; `spent` tells of a span in seconds how many mails and recipients were handed in.
    ///
    /// # Errors
    /// That of `spent`.
    pub fn of<E>(
        account: &str,
        bounds: &Bounds,
        mut spent: impl FnMut(u32) -> Result<(u64, u64), E>,
    ) -> Result<Vec<Self>, E> {
        let windows = bounds.mails.iter().map(|window| (window, "mails"));
        let windows = windows.chain(bounds.recipients.iter().map(|window| (window, "recipients")));
        windows
            .map(|(window, what)| {
                let (mails, recipients) = spent(window.span_secs)?;
                let used = if what == "mails" { mails } else { recipients };
                let (account, span_secs, most) = (plain(account), window.span_secs, window.most);
                Ok(Self { account, what, span_secs, used, most })
            })
            .collect()
    }
}

/// One thing that happened lately, with what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recent {
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub agent: AgentId,
    /// What, as one word.
    pub what: String,
    /// More about it; may be empty.
    pub detail: String,
    /// The command to type next; `None` where the appliance is updated.
    pub next: Option<String>,
}

/// Everything that a [`Live`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// Its targets.
    pub targets: &'a Targets,
    /// Its newest events, the newest first.
    pub events: &'a [Event],
    /// What our accounts used.
    pub mail: &'a [MailUse],
    /// Whether the daemon is late.
    pub daemon_late: bool,
}

impl Live {
    /// How it stands at `now`.
    #[must_use]
    pub fn of(watched: &Watched<'_>, now: Timestamp) -> Self {
        let Watched { rollout, targets, events, mail, daemon_late } = *watched;
        let tallies = tallies(rollout, targets, now);
        let (state, reason) = match (&rollout.stand.mode, rollout.finished) {
            (Mode::Stopped { reason, .. }, _) => ("stopped", plain(reason)),
            (_, Some(_)) => ("finished", String::new()),
            (Mode::Paused { reason, .. }, None) => ("paused", plain(reason)),
            (Mode::Running, None) => ("running", String::new()),
        };
        Self {
            rollout: rollout.id,
            update_to: rollout.release.version.clone(),
            at: now,
            started: rollout.started,
            finished: rollout.finished,
            state,
            reason,
            counts: counts(targets),
            waves: waves_with(rollout, targets, &tallies),
            rungs: Rungs::of(targets),
            errors: errors(rollout, &tallies),
            next_wave: next_wave(rollout, &tallies, now),
            mail: mail.to_vec(),
            recent: events.iter().map(|event| recent(rollout, targets, event, now)).collect(),
            daemon_late,
        }
    }
}

fn counts(targets: &Targets) -> Counts {
    let mut counts = Counts::default();
    for target in targets.values() {
        counts.total += 1;
        *match target.verdict() {
            None => &mut counts.pending,
            Some(Verdict::Updated) => &mut counts.updated,
            Some(Verdict::Failed { .. }) => &mut counts.failed,
        } += 1;
    }
    counts
}

fn recent(rollout: &Rollout, targets: &Targets, event: &Event, now: Timestamp) -> Recent {
    let target = targets.get(&event.agent);
    let reason = target.and_then(|target| cause::explain(rollout, target, None, now));
    Recent {
        at: event.at,
        agent: event.agent.clone(),
        what: plain(&event.what),
        detail: plain(&event.detail),
        next: reason.map(|reason| reason.next),
    }
}

fn counted(tally: &Tally) -> u32 {
    tally.updated.saturating_add(tally.errors).saturating_add(tally.open)
}

/// The newest wave that is out.
fn newest<'a>(rollout: &Rollout, tallies: &'a [Tally]) -> (&'a [Tally], Tally) {
    let released = tallies.get(..rollout.stand.released as usize).unwrap_or(tallies);
    (released, released.last().copied().unwrap_or_default())
}

fn errors(rollout: &Rollout, tallies: &[Tally]) -> Errors {
    let (released, newest) = newest(rollout, tallies);
    let all: u32 = released.iter().map(|tally| tally.errors).sum();
    let of = released.iter().map(counted).sum();
    let found = all.saturating_sub(rollout.stand.forgiven);
    Errors {
        found,
        limit: rollout.course.error_limit(of),
        of,
        newest_found: newest.errors.min(found),
        newest_limit: rollout.course.error_limit(counted(&newest)),
        forgiven: all - found,
    }
}

fn next_wave(rollout: &Rollout, tallies: &[Tally], now: Timestamp) -> NextWave {
    let id = rollout.id;
    let resume = Some(format!("center-manager rollout resume {id}"));
    let wait = |words: String, next| NextWave { words, at: None, next };
    let (released, newest) = newest(rollout, tallies);
    let (out, next) = (released.len(), released.len() + 1);
    let because =
        |reason: &str| if reason.is_empty() { String::new() } else { format!(": {}", plain(reason)) };
    match &rollout.stand.mode {
        Mode::Stopped { at, reason } => {
            return wait(format!("stopped at {}{}", minute(*at), because(reason)), resume);
        }
        _ if rollout.finished.is_some() => return wait("none; the rollout has ended".to_owned(), None),
        Mode::Paused { at, reason, .. } => {
            return wait(format!("paused since {}{}", minute(*at), because(reason)), resume);
        }
        Mode::Running => {}
    }
    if out >= tallies.len() {
        return wait("none; the last wave is out".to_owned(), None);
    }
    let release = Some(format!("center-manager rollout next {id}"));
    match gate(&rollout.course, &rollout.stand, tallies, now) {
        Gate::Wait { until: Some(at) } => {
            NextWave { words: format!("wave {next} goes out at {}", minute(at)), at: Some(at), next: release }
        }
        Gate::Wait { until: None } => {
            let percent = rollout.course.thresholds.success_percent;
            let (all, updated) = (counted(&newest), newest.updated);
            let needed = (u64::from(all) * u64::from(percent)).div_ceil(100);
            let words = format!(
                "wave {next} waits until {needed} of {all} appliances of wave {out} are updated ({percent} %); {updated} are"
            );
            wait(words, release)
        }
        Gate::Meet => wait(format!("wave {out} has proven itself; its pause begins"), release),
        Gate::Release => wait(format!("wave {next} is about to go out"), None),
        Gate::Hold { reason } => wait(format!("about to pause: {}", plain(&reason)), resume),
        Gate::Stop { reason } => wait(format!("about to stop: {}", plain(&reason)), None),
    }
}

//! What to do with the outbox now: pure, over its rows and the time.

use crate::clock::ClockState;
use crate::settings::Timers;
use crate::store::OutboxRow;
use jiff::{SignedDuration, Timestamp};
use mailfmt::Report;
use std::time::Duration;

/// What goes first when several reports are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// A fault, or its end: somebody is waiting at the device.
    Fault,
    /// An answer to a command, or an alarm about the appliance itself.
    Answer,
    /// Everything else.
    Rest,
}

impl Priority {
    /// The priority of a report.
    #[must_use]
    pub fn of(report: &Report, is_answer: bool) -> Self {
        match report {
            Report::Fault(_) | Report::FaultCleared(_) => Self::Fault,
            Report::Alarm(_) => Self::Answer,
            _ if is_answer => Self::Answer,
            _ => Self::Rest,
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Fault => 0,
            Self::Answer => 1,
            Self::Rest => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Fault, Self::Answer, Self::Rest].into_iter().find(|priority| priority.number() == number)
    }
}

/// One thing to do with one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send it now.
    Send {
        /// The row.
        id: i64,
    },
    /// Give it up: it has waited for a receipt as long as the policy allows.
    Expire {
        /// The row.
        id: i64,
    },
    /// Take it for one made now: it was made while the clock was not set yet, so its times mean nothing.
    Redate {
        /// The row.
        id: i64,
    },
}

/// A time before this was told by a clock that nobody had set: a box without a battery starts in 1970.
pub const CLOCK_FLOOR: Timestamp = Timestamp::constant(1_735_689_600, 0);

/// A report that was made further in the future than this was dated by a wrong clock.
const MADE_AHEAD_MAX: Duration = Duration::from_secs(3600);

/// Most reports that wait for a receipt at the same time; beyond that the oldest are given up, so that a device which
/// fails and recovers every minute does not fill the disk while the center is away. About 15 MB.
pub const WAITING_MAX: u32 = 20_000;

/// What to do now, in this order; an empty plan if nothing is due. `rows` are those that wait for a receipt.
///
/// Nothing is given up by a time that is doubted, and what was made in the future was made by a clock that has been
/// set back since. While the clock is not set nothing is sent: the center would take it for expired.
#[must_use]
pub fn plan(rows: &[OutboxRow], timers: &Timers, clock: &ClockState) -> Vec<Step> {
    let now = clock.now;
    if now < CLOCK_FLOOR {
        return Vec::new();
    }
    let mut rows: Vec<&OutboxRow> = rows.iter().collect();
    rows.sort_by_key(|row| (row.priority, row.id));
    rows.into_iter()
        .filter_map(|row| {
            if row.created < CLOCK_FLOOR || is_made_ahead(row, clock) {
                Some(Step::Redate { id: row.id })
            } else if row.expires <= clock.for_forgetting() {
                Some(Step::Expire { id: row.id })
            } else {
                is_due(row, timers, now).then_some(Step::Send { id: row.id })
            }
        })
        .collect()
}

fn is_made_ahead(row: &OutboxRow, clock: &ClockState) -> bool {
    !clock.is_doubted() && row.created > after(clock.now, MADE_AHEAD_MAX)
}

fn is_due(row: &OutboxRow, timers: &Timers, now: Timestamp) -> bool {
    row.due <= now || row.due > after(due_latest(timers, now), row.patience)
}

/// The furthest time at which a report can be due that is not put off ([`OutboxRow::patience`]). One beyond can come only from a clock that was set back since.
#[must_use]
pub fn due_latest(timers: &Timers, now: Timestamp) -> Timestamp {
    after(now, timers.resend_pause_max.max(timers.answer_wait).max(timers.mail_poll))
}

/// When a report that a server has just taken for the `sendings`-th time is sent again, if no receipt comes:
/// after `answer_wait` the first time (Fig. 4), then in pauses that double up to `resend_pause_max`; not before `patience` is over.
#[must_use]
pub fn next_sending(sendings: u32, patience: Duration, timers: &Timers, now: Timestamp) -> Timestamp {
    let doublings = sendings.saturating_sub(1).min(31);
    let pause = timers.answer_wait.saturating_mul(1 << doublings);
    after(now, pause.min(timers.resend_pause_max.max(timers.answer_wait)).max(patience))
}

/// When a mail that a server has just refused for the `refusals`-th time is tried again.
#[must_use]
pub fn next_try(refusals: u32, timers: &Timers, now: Timestamp) -> Timestamp {
    let doublings = refusals.saturating_sub(1).min(31);
    let pause = timers.mail_poll.saturating_mul(1 << doublings);
    after(now, pause.min(timers.resend_pause_max.max(timers.mail_poll)))
}

/// The account, by its place, that a report of this kind tries first. An alarm goes over another than the first, and each
/// repetition over the next one: the first may be the one that withholds mail.
#[must_use]
pub fn preferred_account(kind: &str, sendings: u32, accounts: usize) -> Option<usize> {
    let count = u32::try_from(accounts).ok().filter(|count| *count > 1)?;
    (kind == ALARM_KIND)
        .then(|| sendings.wrapping_add(1) % count)
        .and_then(|place| usize::try_from(place).ok())
}

/// Wire name of the alarm.
const ALARM_KIND: &str = "alarm";

pub(crate) fn after(now: Timestamp, pause: Duration) -> Timestamp {
    SignedDuration::try_from(pause)
        .ok()
        .and_then(|pause| now.checked_add(pause).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;

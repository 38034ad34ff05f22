//! What passed between two readings: how long, and whether the machine was restarted.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// After so many seconds `sysUpTime` begins anew (2^32 hundredths).
const UPTIME_WRAP_SECS: u64 = 42_949_672;

/// By so much two clocks may differ over any time; a hundredth of the time is added.
const TOLERATED_SECS: u64 = 120;

/// When a reading was made, by the appliance's clock and by the machine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The appliance's trusted time.
    pub at: Timestamp,
    /// Whether that time can be relied on.
    pub clock_sure: bool,
    /// Seconds since the machine was started, where it tells.
    pub uptime_secs: Option<u64>,
}

impl Moment {
    /// When the machine was started, as far as it tells.
    pub(super) fn booted(&self) -> Timestamp {
        let up = SignedDuration::from_secs(i64_of(self.uptime_secs.unwrap_or_default()));
        self.at.saturating_sub(up).unwrap_or(Timestamp::MIN)
    }

    /// Whether both readings are of one run of the machine, by both clocks.
    pub(super) fn same_run(&self, other: &Self) -> bool {
        let (Some(up), Some(other_up)) = (self.uptime_secs, other.uptime_secs) else { return false };
        let by_clock = other.at.duration_since(self.at).as_secs();
        let by_machine = i64_of(other_up).saturating_sub(i64_of(up));
        let passed = by_clock.unsigned_abs();
        by_clock.signum() * by_machine.signum() >= 0 && by_clock.abs_diff(by_machine) <= tolerated(passed)
    }
}

/// Whether the machine ran all the time between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// It was not restarted.
    On,
    /// It was.
    Restarted,
    /// The machine tells no uptime.
    Unknown,
    /// The second reading is the older one, by a clock that can be relied on or by the machine's own.
    Older,
}

/// What passed between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Whether it was restarted.
    pub running: Running,
    /// Seconds in which it can have counted.
    pub secs: u64,
    /// Seconds since the last restart at the second reading, where told.
    pub uptime_secs: Option<u64>,
    /// Whether the appliance's times do not fit the machine's clock.
    pub clock_off: bool,
}

impl Passage {
    /// From one reading to the next.
    #[must_use]
    pub fn between(before: &Moment, after: &Moment) -> Self {
        let by_clock = after.at.duration_since(before.at).as_secs();
        let forward = u64::try_from(by_clock).unwrap_or(0);
        let passage =
            |running, secs, clock_off| Self { running, secs, uptime_secs: after.uptime_secs, clock_off };
        // A clock that can be relied on does not go back.
        let sure = before.clock_sure && after.clock_sure;
        if sure && by_clock < 0 && by_clock.unsigned_abs() > TOLERATED_SECS {
            return passage(Running::Older, 0, false);
        }
        let (Some(up_before), Some(up_after)) = (before.uptime_secs, after.uptime_secs) else {
            return passage(Running::Unknown, forward, by_clock < 0);
        };
        if let Some(ran) = up_after.checked_sub(up_before) {
            let behind = by_clock < i64_of(ran.saturating_sub(tolerated(ran)));
            let ahead = forward > ran.saturating_add(tolerated(ran));
            // It can have been restarted only if it has not run for longer than what passed by the appliance's clock.
            if ahead && up_after <= forward.saturating_add(tolerated(forward)) {
                return passage(Running::Restarted, forward, false);
            }
            // A machine that sleeps may stop its clock: only a clock that is not relied on is told of then.
            let doubtful = ahead && !sure;
            return passage(Running::On, ran, behind || doubtful);
        }
        let fell = up_before.saturating_sub(up_after);
        let back = u64::try_from(by_clock.saturating_neg()).unwrap_or(0);
        if by_clock < 0 && back.abs_diff(fell) <= tolerated(fell) {
            return passage(Running::Older, 0, false);
        }
        let over_the_end = (UPTIME_WRAP_SECS.saturating_sub(up_before)).saturating_add(up_after);
        if up_before <= UPTIME_WRAP_SECS && forward.abs_diff(over_the_end) <= tolerated(forward) {
            return passage(Running::On, over_the_end, false);
        }
        let behind = by_clock < i64_of(up_after.saturating_sub(tolerated(up_after)));
        passage(Running::Restarted, forward.max(up_after), behind)
    }

    /// Counts that can have been made in that time.
    #[must_use]
    pub fn bound(&self, per_minute: u64) -> u64 {
        counts_in(self.secs, per_minute)
    }

    /// Counts that can have been made since the last restart.
    #[must_use]
    pub fn bound_since_restart(&self, per_minute: u64) -> u64 {
        counts_in(self.uptime_secs.unwrap_or(self.secs), per_minute)
    }
}

/// A minute is added, since both times are of whole seconds and a job is counted when it ends.
fn counts_in(secs: u64, per_minute: u64) -> u64 {
    let counts = u128::from(secs) * u128::from(per_minute) / 60;
    u64::try_from(counts).unwrap_or(u64::MAX).saturating_add(per_minute)
}

fn tolerated(secs: u64) -> u64 {
    TOLERATED_SECS.saturating_add(secs / 100)
}

fn i64_of(secs: u64) -> i64 {
    i64::try_from(secs).unwrap_or(i64::MAX)
}

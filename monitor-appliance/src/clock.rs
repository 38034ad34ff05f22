//! What time it is, as far as anything proves it. Pure: what the box's clocks say is passed in.
//!
//! Expiry is what keeps an old order from being carried out, so the time must not come from whoever can set the box's
//! clock, and a box whose battery is empty must not be cut off. Two things tell the time that nobody on the way can forge:
//!
//! - an authentic message of the center was made at its `created`: it is later than that, for ever (the *floor*);
//! - a receipt says when the center filed a report. The report was handed in at one point of this boot's uptime, its
//!   receipt came at another, so the true time at the second lies between `received` and `received` plus what passed
//!   in between (the *proof*). From there on the uptime counts, whatever the wall clock says.
//!
//! ```text
//!                 no proof in this boot                     proof in this boot
//! wall < floor    the floor, known to be wrong       wall fits the proof:   the wall clock
//! wall > floor    the wall clock, unproven           it does not:           the proof's time
//! ```
//!
//! Withheld mail makes a proof wide, never wrong; a receipt settles its report once, so it cannot be replayed.

mod edge;

pub(crate) use edge::Shared;
pub use edge::{Clock, system_clock};

use crate::outbox::CLOCK_FLOOR;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// An offset of the box's clock above this is told, and a wall clock within it of the proof counts as right.
pub const OFFSET_TOLERATED: SignedDuration = SignedDuration::from_mins(5);

/// A wall clock that nothing proves and that is further beyond the floor than this does not let anything expire.
pub const LEAP_DOUBTED: SignedDuration = SignedDuration::from_hours(24);

/// Uptime without a proof after which the wall clock is taken as it is, so that nothing waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// How long a report stays valid for the center that is sent while nothing proves the time: it is what brings the proof,
/// so a box whose clock stands years behind must get it through.
const UNPROVEN_LIFE: SignedDuration = SignedDuration::from_hours(20 * 366 * 24);

/// What waits at the first proof of a boot is not given up before this has passed.
const GRACE: SignedDuration = SignedDuration::from_hours(48);

/// What the box's own clocks say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, which anybody may have set.
    pub wall: Timestamp,
    /// Time since the box started, sleep included (`CLOCK_BOOTTIME`).
    pub since_boot: Duration,
    /// The kernel's boot id; empty where there is none, and then no two readings are of the same boot.
    pub boot: Arc<str>,
}

impl Reading {
    /// A wall clock alone, in a boot that has just begun.
    #[must_use]
    pub fn of_wall(wall: Timestamp) -> Self {
        Self { wall, since_boot: Duration::ZERO, boot: Arc::from("") }
    }

    /// The point of uptime.
    #[must_use]
    pub fn uptime(&self) -> Uptime {
        Uptime { boot: self.boot.as_ref().to_owned(), since_boot_ms: millis(self.since_boot) }
    }

    /// Time since `earlier`; `None` if that was in another boot.
    pub(crate) fn since(&self, earlier: &Uptime) -> Option<Duration> {
        let same = !earlier.boot.is_empty() && *earlier.boot == *self.boot;
        same.then(|| self.since_boot.saturating_sub(Duration::from_millis(earlier.since_boot_ms)))
    }
}

/// A point of one boot's uptime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// The kernel's boot id.
    pub boot: String,
    /// Milliseconds since the box started.
    pub since_boot_ms: u64,
}

/// At this point of uptime it was `time` or later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Floor {
    at: Uptime,
    time: Timestamp,
}

/// A report handed in at one point of uptime was filed by the center at `received`, and its receipt came at another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    handed_in: Uptime,
    came: Uptime,
    received: Timestamp,
}

/// What is known of the true time; lies in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    #[serde(default)]
    floor: Option<Floor>,
    #[serde(default)]
    proof: Option<Proof>,
}

/// What tells something of the true time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// An authentic message of the center.
    Message {
        /// When it was made.
        created: Timestamp,
    },
    /// A receipt that settled a report.
    Receipt {
        /// When the center filed the report.
        received: Timestamp,
        /// When the report was first handed in, or tried to be; `None` if that is not known.
        handed_in: Option<Uptime>,
    },
    /// Nothing new; carries the uptime so far over into the next boot.
    Rest,
}

impl Known {
    /// Takes in what tells something of the time. True if anything changed.
    pub fn learn(&mut self, evidence: &Evidence, reading: &Reading) -> bool {
        let before = self.clone();
        match evidence {
            Evidence::Message { created } => self.raise(*created, reading),
            Evidence::Receipt { received, handed_in } => {
                self.raise(*received, reading);
                if let Some(handed_in) = handed_in.as_ref().filter(|at| reading.since(at).is_some()) {
                    let proof =
                        Proof { handed_in: handed_in.clone(), came: reading.uptime(), received: *received };
                    self.take(proof, reading);
                }
            }
            Evidence::Rest => {
                if let Some(earliest) = self.earliest(reading) {
                    self.floor = Some(Floor { at: reading.uptime(), time: earliest });
                }
            }
        }
        *self != before
    }

    fn raise(&mut self, time: Timestamp, reading: &Reading) {
        if self.earliest(reading).is_none_or(|earliest| earliest < time) {
            self.floor = Some(Floor { at: reading.uptime(), time });
        }
    }

    /// Keeps the narrower proof; one that the new one, or the floor, contradicts is of another life of the box, such as
    /// a virtual machine that was set back.
    fn take(&mut self, new: Proof, reading: &Reading) {
        let keep = self.bounds(reading).is_some_and(|old| {
            new.bounds(reading).is_some_and(|new| {
                let narrower = old.latest.duration_since(old.likely) < new.latest.duration_since(new.likely);
                narrower && new.likely <= old.latest && old.likely <= new.latest
            })
        });
        if !keep {
            self.proof = Some(new);
        }
    }

    /// The earliest that it can be; `None` if no message ever came. Counts the uptime a little slow, since no
    /// quartz is exact and the floor must not overtake the truth.
    #[must_use]
    pub fn earliest(&self, reading: &Reading) -> Option<Timestamp> {
        let floor = self.floor.as_ref()?;
        let passed = match reading.since(&floor.at) {
            Some(passed) => passed,
            // The box was started after it: all of its uptime came later.
            None if !reading.boot.is_empty() && !floor.at.boot.is_empty() => reading.since_boot,
            None => Duration::ZERO,
        };
        Some(after(floor.time, passed.saturating_sub(drift(passed))))
    }

    fn bounds(&self, reading: &Reading) -> Option<Bounds> {
        let bounds = self.proof.as_ref()?.bounds(reading)?;
        let contradicted = self.earliest(reading).is_some_and(|earliest| earliest > bounds.latest);
        (!contradicted).then_some(bounds)
    }

    /// What time it is.
    #[must_use]
    pub fn state(&self, reading: &Reading) -> ClockState {
        // Without any message it is at least later than this program.
        let program = after(CLOCK_FLOOR, reading.since_boot);
        let earliest = self.earliest(reading).map_or(program, |earliest| earliest.max(CLOCK_FLOOR));
        let bounds = self.bounds(reading);
        let now = match &bounds {
            Some(bounds) if bounds.fit(reading.wall) => reading.wall.max(earliest),
            Some(bounds) => bounds.likely.max(earliest),
            None => reading.wall.max(earliest),
        };
        let offset = reading.wall.duration_since(now);
        let known_wrong = offset.abs() > OFFSET_TOLERATED;
        ClockState {
            now,
            proven: bounds.is_some(),
            offset_secs: (bounds.is_some() || known_wrong).then_some(offset.as_secs()),
            earliest,
            doubt: match () {
                () if bounds.is_some() => Doubt::None,
                () if known_wrong => Doubt::Behind,
                () if now.duration_since(earliest) > LEAP_DOUBTED => Doubt::Ahead,
                () => Doubt::None,
            },
            patient: reading.since_boot < PATIENCE,
        }
    }
}

struct Bounds {
    likely: Timestamp,
    latest: Timestamp,
}

impl Bounds {
    fn fit(&self, wall: Timestamp) -> bool {
        let within = |from: Timestamp, to: Timestamp| wall >= from && wall <= to;
        within(
            self.likely.saturating_sub(OFFSET_TOLERATED).unwrap_or(Timestamp::MIN),
            self.latest.saturating_add(OFFSET_TOLERATED).unwrap_or(Timestamp::MAX),
        )
    }
}

impl Proof {
    fn bounds(&self, reading: &Reading) -> Option<Bounds> {
        let (passed, open) = (reading.since(&self.came)?, reading.since(&self.handed_in)?);
        Some(Bounds {
            likely: after(self.received, passed),
            latest: after(self.received, open.saturating_add(drift(passed))),
        })
    }
}

/// By how much a quartz may be wrong: one in a thousand is far more than any.
fn drift(passed: Duration) -> Duration {
    passed / 1000
}

/// The time, and how far it can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// What time it is, as far as known. Never before the floor.
    pub now: Timestamp,
    /// Whether a receipt of this boot proves it.
    pub proven: bool,
    /// By how much the wall clock is ahead, in seconds, negative if behind; `None` while nothing speaks against it.
    pub offset_secs: Option<i64>,
    /// It is not earlier than this.
    pub earliest: Timestamp,
    doubt: Doubt,
    patient: bool,
}

/// In which direction an unproven time may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// The wall clock stands before the floor; the true time is the floor or any later.
    Behind,
    /// The wall clock stands far beyond the floor; the true time may be any in between.
    Ahead,
}

/// Whether something has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It has not.
    Valid,
    /// It has, whatever time it is.
    Expired,
    /// It depends on a time that nothing proves yet: wait for a receipt.
    Undecided,
}

impl ClockState {
    /// A time that is beyond doubt.
    #[must_use]
    pub fn certain(now: Timestamp) -> Self {
        Self { now, proven: true, offset_secs: Some(0), earliest: now, doubt: Doubt::None, patient: true }
    }

    /// Whether what expires at `expires` has expired.
    #[must_use]
    pub fn expiry(&self, expires: Timestamp) -> Expiry {
        if expires < self.earliest {
            Expiry::Expired
        } else {
            match self.doubt {
                Doubt::Behind if self.patient => Expiry::Undecided,
                Doubt::Ahead if self.patient && expires < self.now => Expiry::Undecided,
                _ if expires < self.now => Expiry::Expired,
                _ => Expiry::Valid,
            }
        }
    }

    /// Whether nothing may be given up by this time yet.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.patient && !self.is_credible()
    }

    /// Whether it is proven, or at least nothing speaks against it.
    #[must_use]
    pub fn is_credible(&self) -> bool {
        self.doubt == Doubt::None
    }

    /// Whether hours of the day can be told by it: it is proven, or no proof is waited for any more.
    #[must_use]
    pub fn tells_hours(&self) -> bool {
        self.proven || !self.patient
    }

    /// The time by which things are given up or forgotten: an unproven one does not count while it is doubted.
    #[must_use]
    pub fn for_forgetting(&self) -> Timestamp {
        if self.is_doubted() { self.earliest } else { self.now }
    }

    /// The offset, if it is worth telling.
    #[must_use]
    pub fn told_offset(&self) -> Option<i64> {
        self.offset_secs.filter(|offset| offset.unsigned_abs() > OFFSET_TOLERATED.as_secs().unsigned_abs())
    }

    /// The expiry that a report carries on its way; `expires` is what the outbox says.
    #[must_use]
    pub fn expiry_on_the_way(&self, expires: Timestamp) -> Timestamp {
        if self.proven {
            return expires;
        }
        expires.max(self.now.saturating_add(UNPROVEN_LIFE).unwrap_or(Timestamp::MAX))
    }
}

/// How the times of what waits are put right when more becomes known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// What was made between these two times was made in this boot, by the clock that was wrong.
    pub made: (Timestamp, Timestamp),
    /// By so many milliseconds its times are moved.
    pub shift_ms: i64,
    /// Nothing that waits is given up before this.
    pub keep_until: Option<Timestamp>,
}

impl Correction {
    /// What the step from one state to another asks for; `None` unless it moves the clock or is the first proof of a boot.
    #[must_use]
    pub fn between(before: &ClockState, after: &ClockState, reading: &Reading) -> Option<Self> {
        let shift = after.now.duration_since(before.now);
        let moved = shift.abs() > OFFSET_TOLERATED;
        let keeps = after.proven && (moved || !before.proven);
        if !moved && !keeps {
            return None;
        }
        let uptime = SignedDuration::try_from(reading.since_boot).unwrap_or(SignedDuration::MAX);
        let begun = before.now.saturating_sub(uptime).unwrap_or(Timestamp::MIN);
        Some(Self {
            made: (begun, before.now),
            shift_ms: if moved { i64::try_from(shift.as_millis()).unwrap_or(0) } else { 0 },
            keep_until: keeps.then(|| after.now.saturating_add(GRACE).unwrap_or(Timestamp::MAX)),
        })
    }
}

fn after(time: Timestamp, passed: Duration) -> Timestamp {
    crate::outbox::after(time, passed)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

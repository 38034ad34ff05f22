//! What a person does to a running rollout: pause, go on, release the next wave, stop.

use super::course::{Mode, Stand};
use super::plan::tallies;
use super::terms::{Rollout, RolloutId};
use crate::db::{Db, DbError, audit, rollouts};
use jiff::Timestamp;

/// Why a rollout cannot be conducted so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConductError {
    /// It has ended.
    #[error(
        "rollout {rollout} has ended; `center-manager rollout retry {rollout}` begins again with the failed"
    )]
    Ended {
        /// Which.
        rollout: RolloutId,
    },
    /// It goes on already.
    #[error("rollout {rollout} is running; nothing holds it up")]
    Running {
        /// Which.
        rollout: RolloutId,
    },
    /// It is paused or stopped already.
    #[error("rollout {rollout} is {how} already; `center-manager rollout resume {rollout}` lets it go on")]
    Halted {
        /// Which.
        rollout: RolloutId,
        /// `paused` or `stopped`.
        how: &'static str,
    },
    /// All waves are out.
    #[error("the last wave of rollout {rollout} is out")]
    LastWave {
        /// Which.
        rollout: RolloutId,
    },
    /// No appliance would install the package any more.
    #[error("the package of rollout {rollout} expired at {expires}; build it again and start a new rollout")]
    Expired {
        /// Which.
        rollout: RolloutId,
        /// When.
        expires: Timestamp,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for ConductError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// No further package is sent until [`go_on`]; what is out is followed to its verdict.
///
/// # Errors
/// [`ConductError`]; then nothing was changed.
pub fn pause(
    db: &mut Db,
    id: RolloutId,
    who: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), ConductError> {
    conduct(db, id, ("pause", who, reason), now, |rollout, _| {
        running(rollout)?;
        let mode = Mode::Paused { at: now, reason: reason.to_owned(), between_waves: false };
        Ok(Stand { mode, ..rollout.stand.clone() })
    })
}

/// A paused or stopped rollout goes on. One that waited between two waves releases the next; after a stop, the errors so
/// far are forgiven and appliances that were called back get the package again.
///
/// # Errors
/// [`ConductError`]; then nothing was changed.
pub fn go_on(
    db: &mut Db,
    id: RolloutId,
    who: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), ConductError> {
    conduct(db, id, ("resume", who, reason), now, |rollout, errors| {
        let mut stand = Stand { mode: Mode::Running, ..rollout.stand.clone() };
        match &rollout.stand.mode {
            Mode::Running => return Err(ConductError::Running { rollout: id }),
            Mode::Paused { between_waves: true, .. } => stand.release(now),
            Mode::Paused { .. } => {}
            Mode::Stopped { .. } => stand.forgiven = errors,
        }
        Ok(stand)
    })
}

/// The next wave goes out now, whatever the one before has shown.
///
/// # Errors
/// [`ConductError`]; then nothing was changed.
pub fn release_next(
    db: &mut Db,
    id: RolloutId,
    who: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), ConductError> {
    conduct(db, id, ("next wave", who, reason), now, |rollout, errors| {
        if rollout.stand.released as usize >= rollout.course.waves.len() {
            return Err(ConductError::LastWave { rollout: id });
        }
        let mut stand = Stand { mode: Mode::Running, forgiven: errors, ..rollout.stand.clone() };
        stand.release(now);
        Ok(stand)
    })
}

/// No further package is sent, and appliances that have not begun are called back by the next tick.
///
/// # Errors
/// [`ConductError`]; then nothing was changed.
pub fn stop(db: &mut Db, id: RolloutId, who: &str, reason: &str, now: Timestamp) -> Result<(), ConductError> {
    conduct(db, id, ("stop", who, reason), now, |rollout, _| {
        if rollout.stand.is_stopped() {
            return Err(ConductError::Halted { rollout: id, how: "stopped" });
        }
        let mode = Mode::Stopped { at: now, reason: reason.to_owned() };
        Ok(Stand { mode, ..rollout.stand.clone() })
    })
}

fn running(rollout: &Rollout) -> Result<(), ConductError> {
    let how = match rollout.stand.mode {
        Mode::Running => return Ok(()),
        Mode::Paused { .. } => "paused",
        Mode::Stopped { .. } => "stopped",
    };
    Err(ConductError::Halted { rollout: rollout.id, how })
}

/// `decide` gets the rollout and the errors so far.
fn conduct(
    db: &mut Db,
    id: RolloutId,
    (what, who, reason): (&str, &str, &str),
    now: Timestamp,
    decide: impl FnOnce(&Rollout, u32) -> Result<Stand, ConductError>,
) -> Result<(), ConductError> {
    db.write(|tx| {
        let rollout = rollouts::load(tx, id)?;
        // A rollout that ended because it was stopped may still go on.
        if rollout.finished.is_some() && !rollout.stand.is_stopped() {
            return Err(ConductError::Ended { rollout: id });
        }
        if rollout.package_expires <= now {
            return Err(ConductError::Expired { rollout: id, expires: rollout.package_expires });
        }
        let targets = rollouts::targets(tx, id)?;
        let errors = tallies(&rollout, &targets, now).iter().map(|tally| tally.errors).sum();
        let stand = decide(&rollout, errors)?;
        rollouts::save_stand(tx, id, &stand)?;
        rollouts::save_times(tx, id, None, Some(now))?;
        audit::append(tx, now, who, what, &format!("rollout {id}"), reason)?;
        Ok(())
    })
}

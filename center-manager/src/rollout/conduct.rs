//! What a person does to a running rollout: pause, go on, release the next wave, stop.

use super::approval::ConsentError;
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
    /// Nobody has approved it.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for ConductError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What a person does to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// No further package is sent until it goes on; what is out is followed to its verdict.
    Pause,
    /// A paused or stopped rollout goes on. One that waited between two waves releases the next; after a stop, the errors
    /// so far are forgiven and appliances that were called back get the package again.
    GoOn,
    /// The next wave goes out now, whatever the one before has shown.
    ReleaseNext,
    /// No further package is sent, and appliances that have not begun are called back by the next tick.
    Stop,
}

/// What, who and why: for the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What.
    pub act: Act,
    /// Who.
    pub who: &'a str,
    /// Why, in words; may be empty.
    pub reason: &'a str,
}

impl Act {
    /// The word in the audit log.
    fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::GoOn => "resume",
            Self::ReleaseNext => "next wave",
            Self::Stop => "stop",
        }
    }
}

/// How a rollout stands after a deed; `errors` are those so far.
fn stand_after(
    deed: &Deed<'_>,
    rollout: &Rollout,
    errors: u32,
    now: Timestamp,
) -> Result<Stand, ConductError> {
    let (id, reason) = (rollout.id, deed.reason.to_owned());
    let mut stand = rollout.stand.clone();
    // What nobody approved may only be stopped.
    if deed.act != Act::Stop {
        rollout.check_consent()?;
    }
    match (deed.act, &rollout.stand.mode) {
        (Act::Pause, Mode::Paused { .. }) => {
            return Err(ConductError::Halted { rollout: id, how: "paused" });
        }
        (Act::Pause | Act::Stop, Mode::Stopped { .. }) => {
            return Err(ConductError::Halted { rollout: id, how: "stopped" });
        }
        (Act::Pause, Mode::Running) => {
            stand.mode = Mode::Paused { at: now, reason, between_waves: false };
        }
        (Act::Stop, Mode::Running | Mode::Paused { .. }) => stand.mode = Mode::Stopped { at: now, reason },
        (Act::GoOn, Mode::Running) => return Err(ConductError::Running { rollout: id }),
        (Act::GoOn, before) => {
            match before {
                Mode::Paused { between_waves: true, .. } => stand.release(now),
                Mode::Stopped { .. } => stand.forgiven = errors,
                Mode::Paused { .. } | Mode::Running => {}
            }
            stand.mode = Mode::Running;
        }
        (Act::ReleaseNext, _) => {
            if rollout.stand.released as usize >= rollout.course.waves.len() {
                return Err(ConductError::LastWave { rollout: id });
            }
            stand.release(now);
            (stand.mode, stand.forgiven) = (Mode::Running, errors);
        }
    }
    Ok(stand)
}

/// Does it, and writes into the audit log who did.
///
/// # Errors
/// [`ConductError`]; then nothing was changed.
pub fn conduct(db: &mut Db, id: RolloutId, deed: &Deed<'_>, now: Timestamp) -> Result<(), ConductError> {
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
        let stand = stand_after(deed, &rollout, errors, now)?;
        rollouts::save_stand(tx, id, &stand)?;
        rollouts::save_times(tx, id, None, Some(now))?;
        audit::append(tx, now, deed.who, deed.act.as_str(), &format!("rollout {id}"), deed.reason)?;
        Ok(())
    })
}

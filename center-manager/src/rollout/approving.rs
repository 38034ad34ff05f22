//! What people do to a rollout that waits for them: approve, deny.

use super::approval::{ApproveError, Consent, ConsentError, Denied, approved};
use super::course::{Mode, Stand};
use super::terms::RolloutId;
use crate::db::{Db, DbError, audit, rollouts};
use jiff::Timestamp;
use mailfmt::trust::{Root, SignedApproval};

/// Why a word about a rollout is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovingError {
    /// The approval does not count.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// It was denied before.
    #[error(transparent)]
    Denied(#[from] ConsentError),
    /// It waits for nobody.
    #[error("rollout {rollout} does not wait for approval; `center-manager rollout stop {rollout}` stops it")]
    NotWaiting {
        /// Which.
        rollout: RolloutId,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for ApprovingError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Takes the word of one person; how the rollout stands then. With the last word that is needed it begins with the next tick.
///
/// # Errors
/// [`ApprovingError`]; then nothing was changed.
pub fn approve(
    db: &mut Db,
    id: RolloutId,
    root: &Root,
    signed: &SignedApproval,
    who: &str,
    now: Timestamp,
) -> Result<Consent, ApprovingError> {
    db.write(|tx| {
        let rollout = rollouts::load(tx, id)?;
        let (consent, stand) = approved(&rollout, root, signed.clone(), who, now)?;
        rollouts::save_consent(tx, id, Some(&consent))?;
        rollouts::save_stand(tx, id, &stand)?;
        if consent.is_given() {
            rollouts::wake(tx, id, now)?;
        }
        let key = consent.given.last().map_or("", |given| given.key.as_str());
        let until = consent.expires.map_or_else(String::new, |expires| format!(" until {expires}"));
        let detail = format!("with key {key}{until}; {}", consent.in_words());
        audit::append(tx, now, who, "approve", &format!("rollout {id}"), &detail)?;
        Ok(consent)
    })
}

/// A rollout that waits for approval never begins.
///
/// # Errors
/// [`ApprovingError`]; then nothing was changed.
pub fn deny(
    db: &mut Db,
    id: RolloutId,
    who: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), ApprovingError> {
    db.write(|tx| {
        let rollout = rollouts::load(tx, id)?;
        let consent = match (&rollout.consent, rollout.check_consent()) {
            (_, Err(denied @ ConsentError::Denied { .. })) => return Err(denied.into()),
            (Some(consent), Err(ConsentError::Waits { .. })) => consent,
            _ => return Err(ApprovingError::NotWaiting { rollout: id }),
        };
        let denied = Denied { who: who.to_owned(), reason: reason.to_owned(), at: now };
        let consent = consent.against(denied);
        let mode = Mode::Stopped { at: now, reason: consent.in_words() };
        rollouts::save_stand(tx, id, &Stand { mode, ..rollout.stand.clone() })?;
        rollouts::save_consent(tx, id, Some(&consent))?;
        rollouts::wake(tx, id, now)?;
        audit::append(tx, now, who, "deny", &format!("rollout {id}"), reason)?;
        Ok(())
    })
}

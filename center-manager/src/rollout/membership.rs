//! Who takes part in a running rollout: added and taken out by a person, or joining by themselves.

use super::target::{Target, TargetState};
use super::terms::{Rollout, RolloutId};
use crate::db::appliances::Appliance;
use crate::db::{Db, DbError, audit, rollouts};
use crate::selection::Selection;
use jiff::{SignedDuration, Timestamp};
use mailfmt::AgentId;
use serde::Serialize;
use std::collections::BTreeSet;

/// Appliances that come to be meant while a rollout runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// Which are meant.
    pub selection: Selection,
    /// How many join in 24 hours at most.
    pub per_day: u32,
}

/// How long until a rollout that others may join is looked at again.
pub(super) const JOIN_LOOK: SignedDuration = SignedDuration::from_mins(10);

/// Why nobody can be added or taken out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// No appliance would install the package any more.
    #[error("the package of rollout {rollout} expired at {expires}; build it again and start a new rollout")]
    Expired {
        /// Which.
        rollout: RolloutId,
        /// When.
        expires: Timestamp,
    },
    /// It takes no part.
    #[error("{agent} is no target of rollout {rollout}")]
    NoTarget {
        /// Which appliance.
        agent: AgentId,
        /// Which rollout.
        rollout: RolloutId,
    },
    /// The package is on its way to it.
    #[error(
        "{agent} was sent the package already; `center-manager rollout stop {rollout}` calls back what has not begun"
    )]
    Sent {
        /// Which appliance.
        agent: AgentId,
        /// Which rollout.
        rollout: RolloutId,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for MembershipError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What adding came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Added {
    /// New targets.
    pub added: Vec<AgentId>,
    /// Those that took part already.
    pub known: usize,
}

/// Adds targets to a running or ended rollout, to its last wave.
///
/// # Errors
/// [`MembershipError`]; then nothing was changed.
pub fn add(
    db: &mut Db,
    id: RolloutId,
    agents: &BTreeSet<AgentId>,
    who: &str,
    now: Timestamp,
) -> Result<Added, MembershipError> {
    db.write(|tx| {
        let rollout = rollouts::load(tx, id)?;
        if rollout.package_expires <= now {
            return Err(MembershipError::Expired { rollout: id, expires: rollout.package_expires });
        }
        let targets = rollouts::targets(tx, id)?;
        let (known, new): (Vec<_>, Vec<_>) =
            agents.iter().cloned().partition(|agent| targets.contains_key(agent));
        insert(tx, &rollout, &new, now, "added")?;
        if !new.is_empty() {
            rollouts::save_times(tx, id, None, Some(now))?;
            let detail = format!("{} appliances", new.len());
            audit::append(tx, now, who, "add", &format!("rollout {id}"), &detail)?;
        }
        Ok(Added { added: new, known: known.len() })
    })
}

/// Takes out targets that were not sent the package.
///
/// # Errors
/// [`MembershipError`]; then nothing was changed.
pub fn take_out(
    db: &mut Db,
    id: RolloutId,
    agents: &BTreeSet<AgentId>,
    who: &str,
    now: Timestamp,
) -> Result<(), MembershipError> {
    db.write(|tx| {
        let targets = rollouts::targets(tx, id)?;
        for agent in agents {
            let target = targets
                .get(agent)
                .ok_or_else(|| MembershipError::NoTarget { agent: agent.clone(), rollout: id })?;
            if target.first_ordered.is_some() {
                return Err(MembershipError::Sent { agent: agent.clone(), rollout: id });
            }
            rollouts::record(tx, id, target, now, "taken out", "by the operator")?;
            rollouts::delete_target(tx, id, agent)?;
        }
        rollouts::wake(tx, id, now)?;
        let detail = agents.iter().map(AgentId::as_str).collect::<Vec<_>>().join(" ");
        Ok(audit::append(tx, now, who, "take out", &format!("rollout {id}"), &detail)?)
    })
}

/// Which appliances join now: meant, not yet taking part, not suspended, and known to run something else than the target.
/// `today` have joined in the last 24 hours.
#[must_use]
pub fn joiners(
    joining: &Joining,
    rollout: &Rollout,
    taking_part: impl Fn(&AgentId) -> bool,
    fleet: &[Appliance],
    today: u32,
) -> Vec<AgentId> {
    let room = joining.per_day.saturating_sub(today) as usize;
    let behind = |appliance: &&Appliance| {
        appliance.suspension.is_none()
            && appliance.software.as_ref().is_some_and(|version| *version != rollout.release.version)
            && joining.selection.means(appliance)
            && !taking_part(&appliance.agent)
    };
    fleet.iter().filter(behind).map(|appliance| appliance.agent.clone()).take(room).collect()
}

/// Writes new targets, into the last wave.
pub(super) fn insert(
    tx: &rusqlite::Transaction<'_>,
    rollout: &Rollout,
    agents: &[AgentId],
    now: Timestamp,
    what: &str,
) -> Result<(), DbError> {
    let wave = u32::try_from(rollout.course.waves.len()).unwrap_or(u32::MAX).saturating_sub(1);
    for agent in agents {
        let target = Target::new(agent.clone(), wave);
        debug_assert!(matches!(target.state, TargetState::Planned));
        rollouts::insert_target(tx, rollout.id, &target)?;
        rollouts::record(tx, rollout.id, &target, now, what, "")?;
    }
    Ok(())
}

//! Beginning a rollout, and beginning again with its failed targets.

use super::approval::ConsentError;
use super::compare::Release;
use super::course::Course;
use super::membership::Joining;
use super::opening::Openings;
use super::perform::perform;
use super::plan::Step;
use super::retrying::Policy;
use super::terms::{RolloutId, Timing};
use crate::db::{Db, DbError, audit, rollouts};
use jiff::Timestamp;
use mailfmt::crypto::{ContentKey, Random};
use mailfmt::message::UpdateOrder;
use mailfmt::package::{PackageId, enclose as encrypt};
use mailfmt::{AgentId, Digest, SoftwareVersion};
use std::collections::BTreeSet;

/// Everything that a new rollout is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What every target runs afterwards.
    pub release: Release,
    /// The order that every target gets.
    pub order: UpdateOrder,
    /// The order for the package with whole files, where `order` brings differences.
    pub whole: Option<UpdateOrder>,
    /// How long to wait for what.
    pub timing: Timing,
    /// When the sites may begin.
    pub openings: Openings,
    /// How far it goes by itself with those that fail.
    pub retrying: Policy,
    /// In which waves it goes.
    pub course: Course,
    /// Who joins while it runs.
    pub joining: Option<Joining>,
    /// How many other people must approve before anything is sent; 0 where nobody has to.
    pub approvals: u32,
    /// After this no appliance installs the package.
    pub package_expires: Timestamp,
    /// The targets.
    pub agents: BTreeSet<AgentId>,
}

/// A rollout that cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Nobody to send to.
    #[error("no appliance is meant; choose some with --all, --tag, --agents or --failed-of")]
    NoTargets,
    /// No appliance would install it.
    #[error("the package expired at {expires}; build it again with a later expiry")]
    PackageExpired {
        /// When.
        expires: Timestamp,
    },
    /// An agent that is named but is no target.
    #[error("{agent} is no target of rollout {rollout}")]
    NoTarget {
        /// The agent.
        agent: AgentId,
        /// The rollout.
        rollout: RolloutId,
    },
    /// Nobody has approved it.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for StartError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The order for a package file under a fresh content key: encrypted once, however many sites it goes to. The same key
/// and file give the same octets again, so nothing but the order needs to be kept.
#[must_use]
pub fn enclose(
    file: &[u8],
    package: PackageId,
    target: SoftwareVersion,
    random: &mut impl Random,
) -> UpdateOrder {
    let content_key = ContentKey::generate(random);
    let enclosure = encrypt(file, &content_key);
    UpdateOrder {
        package,
        target,
        enclosure: Digest::of(&enclosure),
        enclosure_octets: u64::try_from(enclosure.len()).unwrap_or(u64::MAX),
        content_key,
        permit: None,
        parts: None,
        approval: None,
    }
}

/// Writes a rollout, and into the audit log who began it; it begins with the next tick.
///
/// # Errors
/// [`StartError`]; then nothing was written.
pub fn start(db: &mut Db, draft: &Draft, who: &str, now: Timestamp) -> Result<RolloutId, StartError> {
    if draft.agents.is_empty() {
        return Err(StartError::NoTargets);
    }
    if draft.package_expires <= now {
        return Err(StartError::PackageExpired { expires: draft.package_expires });
    }
    db.write(|tx| {
        let id = rollouts::insert(tx, draft, who, now)?;
        let detail = format!(
            "{} to {} appliances, course {}{}",
            draft.release.version,
            draft.agents.len(),
            draft.course.name,
            match &draft.openings.ordered {
                conditions if conditions.is_empty() => String::new(),
                conditions => format!(", {conditions}"),
            }
        );
        audit::append(tx, now, who, "start", &format!("rollout {id}"), &detail)?;
        Ok(id)
    })
}

/// Begins again with the failed targets (only those of `only`, if it is not empty): same rollout, next attempt. Returns
/// which; the rest is done by the next tick.
///
/// Source: JP 2003-435644 [0075-0083], Fig. 14, last step.
///
/// # Errors
/// [`StartError`]; then nothing was changed.
pub fn retry(
    db: &mut Db,
    id: RolloutId,
    only: &[AgentId],
    who: &str,
    now: Timestamp,
    random: &mut impl Random,
) -> Result<Vec<AgentId>, StartError> {
    db.write(|tx| {
        let mut rollout = rollouts::load(tx, id)?;
        rollout.check_consent()?;
        if rollout.package_expires <= now {
            return Err(StartError::PackageExpired { expires: rollout.package_expires });
        }
        let mut targets = rollouts::targets(tx, id)?;
        if let Some(agent) = only.iter().find(|agent| !targets.contains_key(*agent)) {
            return Err(StartError::NoTarget { agent: agent.clone(), rollout: id });
        }
        let failed = |agent: &AgentId| {
            targets
                .get(agent)
                .and_then(|target| target.verdict())
                .is_some_and(|verdict| !verdict.is_updated())
        };
        let meant = |agent: &&AgentId| (only.is_empty() || only.contains(agent)) && failed(agent);
        let agents: Vec<_> = targets.keys().filter(meant).cloned().collect();
        if agents.is_empty() {
            return Ok(agents);
        }
        perform(&Step::Retry { agents: agents.clone() }, &mut rollout, &mut targets, now, random);
        for target in agents.iter().filter_map(|agent| targets.get(agent)) {
            rollouts::save_target(tx, id, target)?;
            rollouts::record(tx, id, target, now, "retry", "by the operator")?;
        }
        rollouts::save_times(tx, id, rollout.finished, Some(now))?;
        let detail = format!("{} appliances", agents.len());
        audit::append(tx, now, who, "retry", &format!("rollout {id}"), &detail)?;
        Ok(agents)
    })
}

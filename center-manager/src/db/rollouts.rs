//! Rollout rows: rollouts, their targets, their mails and what happened to each target.

mod target;

use super::columns::{At, Id, json, maybe_json, maybe_parsed, maybe_time, parsed, time};
use super::{Db, DbError};
use crate::rollout::retrying::Policy;
use crate::rollout::{
    Consent, Course, Draft, Joining, PostKind, Rollout, RolloutId, Stand, Target, Targets, Timing,
};
use jiff::{SignedDuration, Timestamp};
use mailfmt::package::PackageId;
use mailfmt::{AgentId, MessageId, SoftwareVersion};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use target::target_columns;

/// How many rollouts of one appliance, newest first, still listen to its reports. Commands live for days, so an answer
/// that is older than this many rollouts is nobody's.
const LISTENING: i64 = 20;

/// A rollout in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolloutLine {
    /// Its number.
    pub id: RolloutId,
    /// The target version.
    pub target: SoftwareVersion,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// Whether nothing of it is sent before other people approve it.
    pub waits_for_approval: bool,
    /// How many targets stand where.
    pub counts: Counts,
}

/// How many targets stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All targets.
    pub total: u32,
    /// Verified at the target version.
    pub updated: u32,
    /// Marked failed.
    pub failed: u32,
    /// Without a verdict.
    pub pending: u32,
}

/// What is known of an appliance, as the operator's table shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Its id.
    pub agent: AgentId,
    /// Its mail address.
    pub address: String,
    /// Remarks: the customer.
    pub customer: String,
    /// The latest known version.
    pub software: Option<SoftwareVersion>,
    /// When that was heard.
    pub checked: Option<Timestamp>,
}

/// One line of a target's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryLine {
    /// When, by the center's clock.
    pub at: Timestamp,
    /// In which attempt.
    pub attempt: u32,
    /// What happened, as one word.
    pub what: String,
    /// More about it; may be empty.
    pub detail: String,
}

impl Db {
    /// The rollout of that number.
    ///
    /// # Errors
    /// [`DbError::NoSuchRollout`] or [`DbError::Sql`].
    pub fn rollout(&self, id: RolloutId) -> Result<Rollout, DbError> {
        load(self.read(), id)
    }

    /// The newest rollout, if there is any.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn newest_rollout(&self) -> Result<Option<RolloutId>, DbError> {
        Ok(self
            .read()
            .query_row("SELECT max(id) FROM rollout", [], |row| row.get::<_, Option<i64>>(0))?
            .map(RolloutId))
    }

    /// The targets of a rollout; none where it does not exist.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollout_targets(&self, id: RolloutId) -> Result<Targets, DbError> {
        targets(self.read(), id)
    }

    /// All rollouts, newest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollouts(&self) -> Result<Vec<RolloutLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, json_extract(release, '$.version'), started, finished,
                    count(agent), sum(mark = 'updated'), sum(mark = 'failed'), sum(mark = 'pending'),
                    consent
             FROM rollout JOIN rollout_target ON rollout = id GROUP BY id ORDER BY id DESC",
        )?;
        let lines = statement.query_map([], |row| {
            Ok(RolloutLine {
                id: RolloutId(row.get(0)?),
                target: parsed(row, 1)?,
                started: time(row, 2)?,
                finished: maybe_time(row, 3)?,
                waits_for_approval: maybe_json::<Consent>(row, 8)?.is_some_and(|consent| consent.waits()),
                counts: counts(row, 4)?,
            })
        })?;
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// How many targets of a rollout stand where, and when it ended.
    ///
    /// # Errors
    /// [`DbError::NoSuchRollout`] or [`DbError::Sql`].
    pub fn rollout_counts(&self, id: RolloutId) -> Result<(Counts, Option<Timestamp>), DbError> {
        // One statement, so that the numbers and the end agree with each other.
        let mut statement = self.read().prepare_cached(
            "SELECT count(agent), sum(mark = 'updated'), sum(mark = 'failed'), sum(mark = 'pending'), finished
             FROM rollout JOIN rollout_target ON rollout = id WHERE id = ?1 GROUP BY id",
        )?;
        let found =
            statement.query_row([id.0], |row| Ok((counts(row, 0)?, maybe_time(row, 4)?))).optional()?;
        found.ok_or(DbError::NoSuchRollout { number: id.0 })
    }

    /// When a rollout's plan may change next; `None` when only a word from outside can change it. A time in the past waits
    /// for the daemon.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollout_wake(&self, id: RolloutId) -> Result<Option<Timestamp>, DbError> {
        let mut statement = self.read().prepare_cached("SELECT wake FROM rollout WHERE id = ?1")?;
        Ok(statement.query_row([id.0], |row| maybe_time(row, 0)).optional()?.flatten())
    }

    /// What is known of every target of a rollout, in the order of their ids. Removed appliances stay in the table.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn known_targets(&self, id: RolloutId) -> Result<Vec<Known>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, address, customer, software, version_checked
             FROM rollout_target JOIN appliance USING (agent) WHERE rollout = ?1 ORDER BY agent",
        )?;
        let rows = statement.query_map([id.0], known)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of every appliance of the fleet, in the order of their ids.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn known_versions(&self) -> Result<Vec<Known>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, address, customer, software, version_checked
             FROM appliance WHERE state <> 'removed' ORDER BY agent",
        )?;
        let rows = statement.query_map([], known)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What happened to one target, oldest first.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rollout_history(&self, id: RolloutId, agent: &AgentId) -> Result<Vec<HistoryLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT at, attempt, what, detail FROM rollout_event WHERE rollout = ?1 AND agent = ?2 ORDER BY id",
        )?;
        let lines = statement.query_map(params![id.0, agent.as_str()], |row| {
            Ok(HistoryLine {
                at: time(row, 0)?,
                attempt: row.get(1)?,
                what: row.get(2)?,
                detail: row.get(3)?,
            })
        })?;
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// Which of these appliances are targets without a verdict in a running rollout, and in which one.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn busy_in_rollouts(&self, agents: &[AgentId]) -> Result<Vec<(AgentId, RolloutId)>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT rollout FROM rollout_target JOIN rollout ON id = rollout
             WHERE agent = ?1 AND mark = 'pending' AND finished IS NULL",
        )?;
        let mut busy = Vec::new();
        for agent in agents {
            let found = statement.query_map([agent.as_str()], |row| row.get(0))?;
            for number in found {
                busy.push((agent.clone(), RolloutId(number?)));
            }
        }
        Ok(busy)
    }
}

/// Writes a new rollout and its targets; it begins with the next tick.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    draft: &Draft,
    who: &str,
    started: Timestamp,
) -> Result<RolloutId, DbError> {
    let (stand, consent) = draft.begin(who, started);
    let total = u32::try_from(draft.agents.len()).unwrap_or(u32::MAX);
    tx.prepare_cached(
        "INSERT INTO rollout (package, release, update_order, settle_secs, answer_timeout_secs, delivery_limit_secs,
                              command_life_secs, retries, package_expires, started, wake, whole_order, course, stand,
                              joining, joining_per_day, openings, mails_per_target, retry_pause_secs, consent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        draft.order.package.to_string(),
        text(&draft.release)?,
        text(&draft.order)?,
        draft.timing.settle.as_secs(),
        draft.timing.answer_timeout.as_secs(),
        draft.timing.delivery_limit.as_secs(),
        draft.timing.command_life.as_secs(),
        draft.retrying.rounds,
        At(draft.package_expires),
        At(started),
        draft.whole.as_ref().map(text).transpose()?,
        text(&draft.course.fitted(total))?,
        text(&stand)?,
        draft.joining.as_ref().map(|joining| text(&joining.selection)).transpose()?,
        draft.joining.as_ref().map(|joining| joining.per_day),
        Some(&draft.openings).filter(|openings| !openings.is_always()).map(text).transpose()?,
        draft.retrying.mails_per_target,
        draft.retrying.first_pause.as_secs(),
        consent.as_ref().map(text).transpose()?,
    ])?;
    let id = RolloutId(tx.last_insert_rowid());
    let draw = [id.0.to_be_bytes(), started.as_millisecond().to_be_bytes()].concat();
    for (agent, wave) in &draft.course.waves_of(&draft.agents, &draw) {
        target::insert(tx, id, &Target::new(agent.clone(), *wave))?;
    }
    Ok(id)
}

/// The rollouts whose plan may have changed by `now`, oldest first.
pub(crate) fn due(connection: &Connection, now: Timestamp) -> Result<Vec<RolloutId>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id FROM rollout WHERE wake <= ?1 ORDER BY id")?;
    let ids = statement.query_map([At(now)], |row| row.get(0).map(RolloutId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Reads a rollout.
pub(crate) fn load(connection: &Connection, id: RolloutId) -> Result<Rollout, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT release, update_order, settle_secs, answer_timeout_secs, delivery_limit_secs, command_life_secs,
                retries, package_expires, started, finished, whole_order, course, stand,
                joining, joining_per_day, openings, mails_per_target, retry_pause_secs, consent
         FROM rollout WHERE id = ?1",
    )?;
    let found = statement.query_row([id.0], |row| {
        let seconds = |column| row.get(column).map(SignedDuration::from_secs);
        let started = time(row, 8)?;
        Ok(Rollout {
            id,
            release: json(row, 0)?,
            order: json(row, 1)?,
            timing: Timing {
                settle: seconds(2)?,
                answer_timeout: seconds(3)?,
                delivery_limit: seconds(4)?,
                command_life: seconds(5)?,
            },
            openings: maybe_json(row, 15)?.unwrap_or_default(),
            retrying: Policy {
                rounds: row.get(6)?,
                // A rollout from before counts no mails.
                mails_per_target: row.get::<_, Option<u32>>(16)?.unwrap_or(u32::MAX),
                first_pause: row
                    .get::<_, Option<i64>>(17)?
                    .map_or(Policy::USUAL.first_pause, SignedDuration::from_secs),
            },
            package_expires: time(row, 7)?,
            started,
            finished: maybe_time(row, 9)?,
            whole: maybe_json(row, 10)?,
            course: maybe_json(row, 11)?.unwrap_or_else(Course::at_once),
            stand: maybe_json(row, 12)?.unwrap_or_else(|| Stand::begun(started)),
            joining: maybe_json(row, 13)?
                .map(|selection| {
                    let per_day = row.get::<_, Option<u32>>(14)?.unwrap_or(u32::MAX);
                    Ok::<_, rusqlite::Error>(Joining { selection, per_day })
                })
                .transpose()?,
            consent: maybe_json(row, 18)?,
        })
    });
    found.optional()?.ok_or(DbError::NoSuchRollout { number: id.0 })
}

/// Reads the targets of a rollout.
pub(crate) fn targets(connection: &Connection, id: RolloutId) -> Result<Targets, DbError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        target_columns!(),
        " FROM rollout_target WHERE rollout = ?1 ORDER BY agent"
    ))?;
    let rows = statement.query_map([id.0], |row| target::read(row, 0))?;
    rows.map(|target| target.map(|target| (target.agent.clone(), target)).map_err(DbError::from)).collect()
}

/// The targets that this appliance is in the rollouts that still listen to it, newest first.
pub(crate) fn targets_of(
    connection: &Connection,
    agent: &AgentId,
) -> Result<Vec<(RolloutId, Target)>, DbError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT rollout, ",
        target_columns!(),
        " FROM rollout_target WHERE agent = ?1 ORDER BY rollout DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![agent.as_str(), LISTENING], numbered)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The target that this appliance is in the newest rollout of a package.
pub(crate) fn target_of_package(
    connection: &Connection,
    agent: &AgentId,
    package: &PackageId,
) -> Result<Option<(RolloutId, Target)>, DbError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT rollout, ",
        target_columns!(),
        " FROM rollout_target JOIN rollout ON id = rollout
         WHERE agent = ?1 AND (package = ?2 OR json_extract(whole_order, '$.package') = ?2)
         ORDER BY rollout DESC LIMIT 1"
    ))?;
    let found = statement.query_row(params![agent.as_str(), package.to_string()], numbered);
    Ok(found.optional()?)
}

/// The targets of a rollout whose appliance was removed from the fleet, and those whose appliance is suspended.
pub(crate) fn shut_out(
    connection: &Connection,
    id: RolloutId,
) -> Result<(BTreeSet<AgentId>, BTreeSet<AgentId>), DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT agent, appliance.state = 'removed' FROM rollout_target JOIN appliance USING (agent)
         WHERE rollout = ?1 AND (appliance.state = 'removed' OR appliance.suspended IS NOT NULL)",
    )?;
    let rows = statement.query_map([id.0], |row| Ok((parsed(row, 0)?, row.get::<_, bool>(1)?)))?;
    let (mut removed, mut suspended) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let (agent, gone) = row?;
        if gone { &mut removed } else { &mut suspended }.insert(agent);
    }
    Ok((removed, suspended))
}

/// The target that a rollout's message went to.
pub(crate) fn target_of_mail(
    connection: &Connection,
    message: MessageId,
    agent: &AgentId,
) -> Result<Option<(RolloutId, Target)>, DbError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT rollout, ",
        target_columns!(),
        " FROM rollout_mail JOIN rollout_target USING (rollout) WHERE message = ?1 AND agent = ?2"
    ))?;
    let found = statement.query_row(params![Id::of(&message), agent.as_str()], numbered);
    Ok(found.optional()?)
}

/// Writes a target that was added to a rollout.
pub(crate) fn insert_target(connection: &Connection, id: RolloutId, target: &Target) -> Result<(), DbError> {
    target::insert(connection, id, target)
}

/// Forgets a target that was taken out; its history stays.
pub(crate) fn delete_target(connection: &Connection, id: RolloutId, agent: &AgentId) -> Result<(), DbError> {
    connection
        .prepare_cached("DELETE FROM rollout_target WHERE rollout = ?1 AND agent = ?2")?
        .execute(params![id.0, agent.as_str()])?;
    Ok(())
}

/// How many targets have joined by themselves since `since`.
pub(crate) fn joined_since(connection: &Connection, id: RolloutId, since: Timestamp) -> Result<u32, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM rollout_event WHERE rollout = ?1 AND what = 'joined' AND at > ?2",
    )?;
    Ok(statement.query_row(params![id.0, At(since)], |row| row.get(0))?)
}

/// Writes a target's state.
pub(crate) fn save_target(connection: &Connection, id: RolloutId, target: &Target) -> Result<(), DbError> {
    target::update(connection, id, target)
}

/// Writes how far a rollout came on its course.
pub(crate) fn save_stand(connection: &Connection, id: RolloutId, stand: &Stand) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE rollout SET stand = ?2 WHERE id = ?1")?
        .execute(params![id.0, text(stand)?])?;
    Ok(())
}

/// Writes how a rollout stands with those who have to approve it.
pub(crate) fn save_consent(
    connection: &Connection,
    id: RolloutId,
    consent: Option<&Consent>,
) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE rollout SET consent = ?2 WHERE id = ?1")?
        .execute(params![id.0, consent.map(text).transpose()?])?;
    Ok(())
}

/// Writes when a rollout ended and when its plan may change next.
pub(crate) fn save_times(
    connection: &Connection,
    id: RolloutId,
    finished: Option<Timestamp>,
    wake: Option<Timestamp>,
) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE rollout SET finished = ?2, wake = ?3 WHERE id = ?1")?
        .execute(params![id.0, finished.map(At), wake.map(At)])?;
    Ok(())
}

/// Lets the next tick look at a rollout.
pub(crate) fn wake(connection: &Connection, id: RolloutId, now: Timestamp) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE rollout SET wake = min(ifnull(wake, ?2), ?2) WHERE id = ?1")?
        .execute(params![id.0, At(now)])?;
    Ok(())
}

/// Lets the next tick look at every running rollout that this appliance is a target of: it was suspended, readmitted or
/// removed.
pub(crate) fn wake_all_of(connection: &Connection, agent: &AgentId, now: Timestamp) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "UPDATE rollout SET wake = min(ifnull(wake, ?2), ?2)
             WHERE finished IS NULL AND id IN (SELECT rollout FROM rollout_target WHERE agent = ?1)",
        )?
        .execute(params![agent.as_str(), At(now)])?;
    Ok(())
}

/// Remembers that a message is a rollout's.
pub(crate) fn insert_mail(
    connection: &Connection,
    id: RolloutId,
    message: MessageId,
    kind: PostKind,
) -> Result<(), DbError> {
    let kind = match kind {
        PostKind::Order => "order",
        PostKind::Ask => "ask",
        // What a mail server says of it moves no target.
        PostKind::Recall => return Ok(()),
    };
    connection
        .prepare_cached("INSERT INTO rollout_mail (message, rollout, kind) VALUES (?1, ?2, ?3)")?
        .execute(params![Id::of(&message), id.0, kind])?;
    Ok(())
}

/// Appends to a target's history.
pub(crate) fn record(
    connection: &Connection,
    id: RolloutId,
    target: &Target,
    now: Timestamp,
    what: &str,
    detail: &str,
) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "INSERT INTO rollout_event (rollout, agent, attempt, at, what, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id.0, target.agent.as_str(), target.attempt, At(now), what, detail])?;
    Ok(())
}

/// A row whose first column is the rollout and whose others are the target's.
fn numbered(row: &Row<'_>) -> rusqlite::Result<(RolloutId, Target)> {
    Ok((RolloutId(row.get(0)?), target::read(row, 1)?))
}

fn text<T: Serialize>(value: &T) -> Result<String, rusqlite::Error> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn counts(row: &Row<'_>, first: usize) -> rusqlite::Result<Counts> {
    Ok(Counts {
        total: row.get(first)?,
        updated: row.get(first + 1)?,
        failed: row.get(first + 2)?,
        pending: row.get(first + 3)?,
    })
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        agent: target::read_agent(row, 0)?,
        address: row.get(1)?,
        customer: row.get(2)?,
        software: maybe_parsed(row, 3)?,
        checked: maybe_time(row, 4)?,
    })
}

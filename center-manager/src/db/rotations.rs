//! Rotations of formal credentials: begun by the operator, answered and confirmed by reports.

use super::columns::{At, Id, maybe_time, time};
use super::outbox::{self, NewMail, Priority};
use super::{Db, DbError};
use crate::intake::{Arrived, KeyStanding};
use crate::rotation::Credentials;
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::crypto::{Credential, Random};
use mailfmt::exchange::{EphemeralSecret, Halves};
use mailfmt::message::command::RotateRequest;
use mailfmt::message::report::RotationAnswer;
use mailfmt::{AgentId, Command, Message, MessageId, Nonce, rotation};
use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

/// How far a rotation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RotationState {
    /// The appliance was asked for its half.
    Asked,
    /// Both have the next credential and take both.
    Answered,
    /// The appliance was heard under the next credential; the one before is dead.
    Done,
    /// A newer rotation, or a new enrolment, took its place.
    Replaced,
    /// No answer in time; the present credential stays.
    Expired,
    /// The appliance cannot do it; the present credential stays.
    Refused,
}

impl RotationState {
    const ALL: [Self; 6] =
        [Self::Asked, Self::Answered, Self::Done, Self::Replaced, Self::Expired, Self::Refused];

    /// The word in tables and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Done => "done",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// One rotation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RotationLine {
    /// How far it came.
    pub state: RotationState,
    /// When the operator began it.
    pub begun: Timestamp,
    /// Who.
    pub begun_by: String,
    /// When the answer was filed.
    pub answered: Option<Timestamp>,
    /// When the appliance was heard under the new credential.
    pub confirmed: Option<Timestamp>,
}

/// When a rotation begins and ends, and who wants it.
#[derive(Debug, Clone, Copy)]
pub struct RotationTerms<'a> {
    /// Who.
    pub by: &'a str,
    /// Now.
    pub now: Timestamp,
    /// After this no answer counts.
    pub expires: Timestamp,
}

impl Db {
    /// Begins a rotation with each of these appliances: all of them, or none. One that is under way takes its place.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`], [`DbError::Suspended`] or [`DbError::Sql`].
    pub fn begin_rotations(
        &mut self,
        agents: &[AgentId],
        terms: RotationTerms<'_>,
        random: &mut impl Random,
    ) -> Result<(), DbError> {
        self.write(|transaction| {
            for agent in agents {
                end(transaction, agent, RotationState::Replaced, terms.now)?;
                let (nonce, ours) = (Nonce::generate(random), EphemeralSecret::generate(random));
                let id = MessageId::generate(random);
                transaction
                    .prepare_cached(
                        "INSERT INTO rotation (agent, rotation, center_secret, message, begun, begun_by, expires)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        agent.as_str(),
                        Id(*nonce.as_bytes()),
                        ours.expose_hex().as_str(),
                        Id::of(&id),
                        At(terms.now),
                        plain(terms.by),
                        At(terms.expires),
                    ])?;
                let request = RotateRequest { rotation: nonce, center_key: ours.public() };
                let mail = NewMail {
                    message: &Message::Command(Command::RotateCredential(request)),
                    id,
                    in_reply_to: None,
                    package: None,
                    priority: Priority::Command,
                    created: terms.now,
                    expires: terms.expires,
                    not_before: terms.now,
                };
                outbox::enqueue(transaction, &mail, std::slice::from_ref(agent))?;
            }
            Ok(())
        })
    }

    /// Rotations with an appliance, the newest first; at most `limit`.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn rotations(&self, agent: &AgentId, limit: u32) -> Result<Vec<RotationLine>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT state, begun, begun_by, answered, confirmed FROM rotation WHERE agent = ?1
             ORDER BY id DESC LIMIT ?2",
        )?;
        let rows = statement.query_map(params![agent.as_str(), limit], |row| {
            let state: String = row.get(0)?;
            Ok(RotationLine {
                state: RotationState::ALL
                    .into_iter()
                    .find(|known| known.as_str() == state)
                    .unwrap_or(RotationState::Replaced),
                begun: time(row, 1)?,
                begun_by: row.get(2)?,
                answered: maybe_time(row, 3)?,
                confirmed: maybe_time(row, 4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Since when an appliance has its present credential; `None` where that is not known.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn credential_since(&self, agent: &AgentId) -> Result<Option<Timestamp>, DbError> {
        Ok(self
            .read()
            .prepare_cached("SELECT credential_since FROM appliance WHERE agent = ?1")?
            .query_row([agent.as_str()], |row| maybe_time(row, 0))
            .optional()?
            .flatten())
    }

    /// Puts the requests of open rotations into the outbox again that went out some time ago and were not answered:
    /// after two hours, then after twice as long each time, up to a day and a third.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn repeat_rotations(&mut self, now: Timestamp) -> Result<usize, DbError> {
        const DUE: &str = "state IN ('accepted', 'delayed', 'bounced', 'refused')
             AND changed + (3600000 << min(max(attempts, 1), 5)) <= ?1
             AND outbox IN (SELECT o.id FROM rotation r JOIN outbox o ON o.message = r.message
                            WHERE r.state = 'asked' AND r.expires >= ?1)";
        // Mostly there is nothing to do, and then nothing is written.
        let due: bool = self
            .read()
            .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM outbox_recipient WHERE {DUE})"))?
            .query_row([At(now)], |row| row.get(0))?;
        if !due {
            return Ok(0);
        }
        self.write(|transaction| {
            Ok(transaction.execute(
                &format!(
                    "UPDATE outbox_recipient SET state = 'queued', next_try = ?1, changed = ?1 WHERE {DUE}"
                ),
                [At(now)],
            )?)
        })
    }

    /// Ends rotations that were not answered in time, and wipes their halves; answers how many.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn sweep_rotations(&mut self, now: Timestamp) -> Result<usize, DbError> {
        let due: bool = self
            .read()
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM rotation WHERE state = 'asked' AND expires < ?1)")?
            .query_row([At(now)], |row| row.get(0))?;
        if !due {
            return Ok(0);
        }
        self.write(|transaction| {
            Ok(transaction.execute(
                "UPDATE rotation SET state = 'expired', ended = ?1, center_secret = NULL
                 WHERE state = 'asked' AND expires < ?1",
                [At(now)],
            )?)
        })
    }
}

/// Ends what is asked of an appliance; an answered rotation goes on.
fn end(
    transaction: &Connection,
    agent: &AgentId,
    state: RotationState,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE rotation SET state = ?2, ended = ?3, center_secret = NULL WHERE agent = ?1 AND state = 'asked'",
        )?
        .execute(params![agent.as_str(), state.as_str(), At(now)])?;
    Ok(())
}

/// Another credential takes the place of all that rotations were about.
pub(super) fn end_all(transaction: &Connection, agent: &AgentId, now: Timestamp) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE rotation SET state = 'replaced', ended = ?2, center_secret = NULL
             WHERE agent = ?1 AND state IN ('asked', 'answered')",
        )?
        .execute(params![agent.as_str(), At(now)])?;
    Ok(())
}

/// The appliance's half came. It counts once, for the rotation that is under way, and only under the present credential:
/// both sides derive from that. Answers whether there is a
/// new credential now.
pub(super) fn answered(
    transaction: &Connection,
    arrived: &Arrived,
    answer: &RotationAnswer,
    now: Timestamp,
) -> Result<bool, DbError> {
    match arrived.key {
        KeyStanding::Only | KeyStanding::Present => {}
        KeyStanding::Before | KeyStanding::Admitted { .. } => return Ok(false),
    }
    let half: Option<Zeroizing<String>> = transaction
        .prepare_cached(
            "SELECT center_secret FROM rotation
             WHERE rotation = ?1 AND agent = ?2 AND state = 'asked' AND center_secret IS NOT NULL",
        )?
        .query_row(params![Id(*answer.rotation.as_bytes()), arrived.agent.as_str()], |row| {
            row.get::<_, String>(0).map(Zeroizing::new)
        })
        .optional()?;
    let Some(ours) = half.and_then(|half| EphemeralSecret::from_hex(&half).ok()) else { return Ok(false) };
    let known = credentials(transaction, &arrived.agent)?;
    let halves = Halves { appliance: answer.appliance_key, center: ours.public() };
    // A half that is no proper key ends nothing: the present credential stays, and the rotation runs out.
    let Ok(next) = rotation::next(&answer.rotation, &known.present, &ours, &answer.appliance_key, halves)
    else {
        return Ok(false);
    };
    store(transaction, &arrived.agent, &known.answered(next))?;
    transaction
        .prepare_cached("UPDATE appliance SET credential_since = ?2 WHERE agent = ?1")?
        .execute(params![arrived.agent.as_str(), At(now)])?;
    transaction
        .prepare_cached(
            "UPDATE rotation SET state = 'answered', answered = ?2, center_secret = NULL WHERE rotation = ?1",
        )?
        .execute(params![Id(*answer.rotation.as_bytes()), At(now)])?;
    Ok(true)
}

/// The appliance was heard under its present credential: the one before is dead.
pub(super) fn confirmed(transaction: &Connection, agent: &AgentId, now: Timestamp) -> Result<(), DbError> {
    let known = credentials(transaction, agent)?;
    if known.before.is_none() {
        return Ok(());
    }
    store(transaction, agent, &known.heard())?;
    transaction
        .prepare_cached(
            "UPDATE rotation SET state = 'done', confirmed = ?2, ended = ?2
             WHERE agent = ?1 AND state = 'answered'",
        )?
        .execute(params![agent.as_str(), At(now)])?;
    Ok(())
}

/// The appliance says that it does not carry this message out; left alone if it is no rotation.
pub(super) fn refused(
    transaction: &Connection,
    agent: &AgentId,
    message: &MessageId,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE rotation SET state = 'refused', ended = ?3, center_secret = NULL
             WHERE agent = ?1 AND message = ?2 AND state = 'asked'",
        )?
        .execute(params![agent.as_str(), Id::of(message), At(now)])?;
    Ok(())
}

fn credentials(transaction: &Connection, agent: &AgentId) -> Result<Credentials, DbError> {
    transaction
        .prepare_cached(
            "SELECT credential, credential_before FROM appliance WHERE agent = ?1 AND credential IS NOT NULL",
        )?
        .query_row([agent.as_str()], |row| {
            Ok(Credentials {
                present: Credential::from_bytes(row.get(0)?),
                before: row.get::<_, Option<[u8; 32]>>(1)?.map(Credential::from_bytes),
            })
        })
        .optional()?
        .ok_or_else(|| DbError::NoSuchAppliance { agent: agent.clone() })
}

fn store(transaction: &Connection, agent: &AgentId, known: &Credentials) -> Result<(), DbError> {
    transaction
        .prepare_cached("UPDATE appliance SET credential = ?2, credential_before = ?3 WHERE agent = ?1")?
        .execute(params![
            agent.as_str(),
            known.present.expose().as_slice(),
            known.before.as_ref().map(|before| before.expose().to_vec()),
        ])?;
    Ok(())
}

//! The outbox: everything that must be sent, durably, before the first try.
//!
//! One row per message, one per recipient. A recipient's row moves like this:
//!
//! ```text
//! queued -> accepted (taken by our mail server) -> answered (an authentic report refers to the message)
//!    ^          |-> delayed (its server says: still trying) -> answered | bounced
//!    |          |-> bounced (a delivery report says: given up) -> answered (the authentic answer wins)
//!    |-- pause  |
//!    |-> refused (our mail server will never take it)      |-> expired (not sent in time)
//! ```

mod handing;
mod listing;
mod lost;
mod repeats;

pub use listing::{OutboxFilter, OutboxLine};
pub(super) use lost::send_lost_again;

use super::columns::{At, Id, count, maybe_parsed, parsed, time, uncount};
use super::parts::{self, Cut};
use super::{Db, DbError, delays, epochs, slots, ways};
use crate::rollout::TransportOutcome;
use jiff::Timestamp;
use mailfmt::mail::Form;
use mailfmt::message::Family;
use mailfmt::package::PackageId;
use mailfmt::{AgentId, Message, MessageId};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

/// Names a message in the outbox; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub i64);

/// What goes first when more is due than can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Receipts: an appliance waits for them.
    Receipt,
    /// Commands that were not answered before.
    Urgent,
    /// Commands.
    Command,
    /// Packages: large, and not in a hurry.
    Bulk,
    /// Receipts of answers that came in slots: nobody repeats these for two days.
    Late,
    /// Test mails.
    Probe,
}

impl Priority {
    fn column(self) -> i64 {
        match self {
            Self::Receipt | Self::Urgent => 0,
            Self::Command => 1,
            Self::Bulk => 2,
            Self::Late => 3,
            Self::Probe => 4,
        }
    }
}

/// A message that shall be sent.
#[derive(Debug)]
pub struct NewMail<'a> {
    /// The message: a command or a receipt.
    pub message: &'a Message,
    /// Its id; one id for all recipients and all tries.
    pub id: MessageId,
    /// The report that it answers.
    pub in_reply_to: Option<MessageId>,
    /// The package that follows the envelope. The message must then be an update order, which holds its key.
    pub package: Option<PackageId>,
    /// What goes first.
    pub priority: Priority,
    /// Now, in whole milliseconds.
    pub created: Timestamp,
    /// After this it is not sent, and nobody acts on it.
    pub expires: Timestamp,
    /// Not sent before this.
    pub not_before: Timestamp,
}

/// How far one message came on its way to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Waits in the outbox.
    Queued,
    /// Taken by our mail server.
    Accepted,
    /// Its mail server is still trying.
    Delayed,
    /// Given up by a mail server on the way.
    Bounced,
    /// Our mail server will never take it.
    Refused,
    /// The appliance has answered: it was fetched.
    Answered,
    /// Not sent in time.
    Expired,
}

impl Transport {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Accepted,
        Self::Delayed,
        Self::Bounced,
        Self::Refused,
        Self::Answered,
        Self::Expired,
    ];

    /// The word in tables and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Delayed => "delayed",
            Self::Bounced => "bounced",
            Self::Refused => "refused",
            Self::Answered => "answered",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Not a word for a transport state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no transport state")]
pub struct TransportWordError(String);

impl std::str::FromStr for Transport {
    type Err = TransportWordError;
    fn from_str(text: &str) -> Result<Self, TransportWordError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| TransportWordError(text.chars().take(40).collect()))
    }
}

/// One recipient's state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Delivery {
    /// The recipient.
    pub agent: AgentId,
    /// How far it came.
    pub state: Transport,
    /// Tries so far.
    pub attempts: u32,
    /// When the state last changed.
    pub changed: Timestamp,
    /// The mail server's words, or empty.
    pub detail: String,
}

/// One recipient that is due, with all that is needed to compose its mail.
#[derive(Debug, Clone)]
pub struct Due {
    /// The message.
    pub outbox: OutboxId,
    /// The recipient; of an enrolment's answer, the id of its code.
    pub agent: AgentId,
    /// Its mail address.
    pub address: String,
    /// Sequence number of the message in the channel to it.
    pub sequence: u64,
    /// Tries so far.
    pub attempts: u32,
    /// In which form it goes out.
    pub form: Form,
}

/// A message in the outbox, as it is sealed.
#[derive(Clone)]
pub struct Outgoing {
    /// Its row.
    pub outbox: OutboxId,
    /// Its id.
    pub id: MessageId,
    /// Command, receipt, or an answer of an enrolment.
    pub family: Family,
    /// JSON.
    pub payload: String,
    /// The report that it answers.
    pub in_reply_to: Option<MessageId>,
    /// The package that follows.
    pub package: Option<PackageId>,
    /// When it was made.
    pub created: Timestamp,
    /// After this nobody acts on it.
    pub expires: Timestamp,
    /// Mails composed so far.
    pub sendings: u32,
    /// How its package goes out; `None` while that is not decided, or where it has none.
    pub cut: Option<Cut>,
    /// The order that it is a part of, and which part, from 1.
    pub part: Option<(OutboxId, u32)>,
}

impl std::fmt::Debug for Outgoing {
    /// Without the payload, which may hold a content key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("outbox", &self.outbox)
            .field("id", &self.id)
            .field("family", &self.family)
            .field("package", &self.package)
            .finish_non_exhaustive()
    }
}

/// What became of one try for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    /// Taken.
    Accepted,
    /// Will never be taken.
    Refused {
        /// The server's words.
        detail: String,
    },
    /// Try again.
    Later {
        /// When.
        at: Timestamp,
        /// The server's words.
        detail: String,
    },
}

/// Puts a message into the outbox within a transaction of the caller, so that it appears together with the state
/// that it belongs to. Each recipient gets the next sequence number of its channel.
pub(crate) fn enqueue(
    transaction: &Connection,
    mail: &NewMail<'_>,
    recipients: &[AgentId],
) -> Result<OutboxId, DbError> {
    let payload = String::from_utf8(mail.message.write()).unwrap_or_default();
    transaction
        .prepare_cached(
            "INSERT INTO outbox (message, family, kind, payload, in_reply_to, package, priority, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            Id::of(&mail.id),
            mail.message.family().to_string(),
            mail.message.kind(),
            payload,
            mail.in_reply_to.map(|id| Id::of(&id)),
            mail.package.map(|id| id.to_string()),
            mail.priority.column(),
            At(mail.created),
            At(mail.expires),
        ])?;
    let id = OutboxId(transaction.last_insert_rowid());
    add_recipients(transaction, id, recipients, (mail.created, mail.not_before))?;
    Ok(id)
}

/// Adds recipients to a message, each with the next sequence number of its channel; the times are those of the numbers and of
/// the first try.
fn add_recipients(
    transaction: &Connection,
    id: OutboxId,
    recipients: &[AgentId],
    (created, not_before): (Timestamp, Timestamp),
) -> Result<(), DbError> {
    let first = count(epochs::first_number(transaction, created)?);
    let mut next_sequence = transaction.prepare_cached(
        "UPDATE appliance SET sequence_out = max(sequence_out + 1, ?2),
             sequence_before = CASE WHEN sequence_out < ?2 THEN sequence_out ELSE sequence_before END
         WHERE agent = ?1 AND state <> 'removed' AND suspended IS NULL
         RETURNING sequence_out",
    )?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO outbox_recipient (outbox, agent, sequence, next_try, changed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for agent in recipients {
        let sequence: i64 = next_sequence
            .query_row(params![agent.as_str(), first], |row| row.get(0))
            .optional()?
            .map_or_else(|| Err(unreachable(transaction, agent)?), Ok)?;
        insert.execute(params![id.0, agent.as_str(), sequence, At(not_before), At(created)])?;
    }
    Ok(())
}

/// Adds one recipient to a message that stands in the outbox already; nothing changes where it is there, or cannot be
/// written to.
pub(super) fn add_recipient(
    transaction: &Connection,
    id: OutboxId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    let is_there = transaction
        .prepare_cached("SELECT 1 FROM outbox_recipient WHERE outbox = ?1 AND agent = ?2")?
        .exists(params![id.0, agent.as_str()])?;
    if is_there {
        return Ok(());
    }
    match add_recipients(transaction, id, std::slice::from_ref(agent), (now, now)) {
        Err(DbError::Suspended { .. } | DbError::NoSuchAppliance { .. }) => Ok(()),
        result => result,
    }
}

/// Why nothing can be sent to an appliance.
fn unreachable(connection: &Connection, agent: &AgentId) -> Result<DbError, DbError> {
    let suspended = super::appliances::appliance(connection, agent).is_ok();
    Ok(if suspended {
        DbError::Suspended { agent: agent.clone() }
    } else {
        DbError::NoSuchAppliance { agent: agent.clone() }
    })
}

/// Puts an answer of an enrolment into the outbox: to the address of its exchange, since there is no appliance yet.
pub(super) fn enqueue_enrolment(
    transaction: &Connection,
    mail: &NewMail<'_>,
    exchange: i64,
    code: &AgentId,
) -> Result<(), DbError> {
    let payload = Zeroizing::new(String::from_utf8(mail.message.write()).unwrap_or_default());
    transaction
        .prepare_cached(
            "INSERT INTO outbox (message, family, kind, payload, in_reply_to, exchange, priority, created, expires)
             VALUES (?1, 'enrolment', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            Id::of(&mail.id),
            mail.message.kind(),
            payload.as_str(),
            mail.in_reply_to.map(|id| Id::of(&id)),
            exchange,
            mail.priority.column(),
            At(mail.created),
            At(mail.expires),
        ])?;
    // Offer and admission are the only mails in this channel; their numbers say no more than that.
    transaction
        .prepare_cached(
            "INSERT INTO outbox_recipient (outbox, agent, sequence, next_try, changed)
             SELECT id, ?2, (SELECT count(*) FROM outbox o WHERE o.exchange = ?3), ?4, ?5 FROM outbox WHERE message = ?1",
        )?
        .execute(params![Id::of(&mail.id), code.as_str(), exchange, At(mail.not_before), At(mail.created)])?;
    Ok(())
}

/// The state of every recipient of a message, in order of their ids.
pub(crate) fn deliveries(connection: &Connection, outbox: OutboxId) -> Result<Vec<Delivery>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT agent, state, attempts, changed, detail FROM outbox_recipient WHERE outbox = ?1 ORDER BY agent",
    )?;
    let rows = statement.query_map([outbox.0], read_delivery)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A message is not needed any more by one recipient: as far as it still lies here, it is not sent, and neither are its parts.
/// One of which copies follow each other is not repeated either, if `repeats` says so.
pub(crate) fn call_off(
    transaction: &Connection,
    message: MessageId,
    agent: &AgentId,
    repeats: bool,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = 'expired', changed = ?3, detail = 'not needed any more'
             WHERE agent = ?2 AND (state = 'queued' OR ?4 AND state IN ('accepted', 'delayed', 'bounced'))
               AND outbox IN (SELECT id FROM outbox WHERE message = ?1
                              UNION SELECT part.id FROM outbox part JOIN outbox whole ON part.part_of = whole.id
                                    WHERE whole.message = ?1)",
        )?
        .execute(params![Id::of(&message), agent.as_str(), At(now), repeats])?;
    Ok(())
}

/// An authentic report refers to a message of ours: its sender has it.
pub(super) fn answered(
    transaction: &Connection,
    message: &MessageId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    ways::arrived(transaction, message, agent, now)?;
    delays::measure(transaction, message, agent, now)?;
    transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = 'answered', changed = ?3, detail = ''
             WHERE outbox = (SELECT id FROM outbox WHERE message = ?1) AND agent = ?2 AND state <> 'answered'",
        )?
        .execute(params![Id::of(message), agent.as_str(), At(now)])?;
    Ok(())
}

impl Db {
    /// Puts a message into the outbox, in a transaction of its own.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] when a recipient is unknown or removed (then nothing is sent to anybody), or
    /// [`DbError::Sql`].
    pub fn enqueue(&mut self, mail: &NewMail<'_>, recipients: &[AgentId]) -> Result<OutboxId, DbError> {
        self.write(|transaction| enqueue(transaction, mail, recipients))
    }

    /// Recipients that are due, most urgent first, recipients of one message together; at most `limit` of them.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT r.outbox, r.agent, ifnull(x.address, a.address), r.sequence, r.attempts, o.family,
                    r.sent_opaque, r.sent_armoured, r.sent_form, w.form, w.since, w.probe, w.proven
             FROM outbox_recipient r JOIN outbox o ON o.id = r.outbox
                  LEFT JOIN way w ON w.agent = r.agent
                  LEFT JOIN enrolment_exchange x ON x.id = o.exchange
                  LEFT JOIN appliance a ON a.agent = r.agent AND o.exchange IS NULL
             WHERE r.state = 'queued' AND r.next_try <= ?1 AND o.expires >= ?1
               AND (x.center_secret IS NOT NULL OR (a.state <> 'removed' AND a.suspended IS NULL))
             ORDER BY o.priority, r.outbox, w.form, r.agent LIMIT ?2",
        )?;
        let rows =
            statement.query_map(params![At(now), i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(Due {
                    outbox: OutboxId(row.get(0)?),
                    agent: parsed(row, 1)?,
                    address: row.get(2)?,
                    sequence: uncount(row.get(3)?),
                    attempts: row.get(4)?,
                    form: form(row, now)?,
                })
            })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A message as it is sealed; `None` once it is gone.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn outgoing(&self, outbox: OutboxId) -> Result<Option<Outgoing>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, message, family, payload, in_reply_to, package, created, expires, sendings,
                    part_octets, part_parity, part_of, part_number
             FROM outbox WHERE id = ?1",
        )?;
        Ok(statement.query_row([outbox.0], read_outgoing).optional()?)
    }

    /// Counts the mails that are about to be composed for each of these messages.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn count_sendings(&mut self, mails: &[(OutboxId, u32)]) -> Result<(), DbError> {
        self.write(|transaction| {
            let mut update =
                transaction.prepare_cached("UPDATE outbox SET sendings = sendings + ?2 WHERE id = ?1")?;
            for (outbox, sendings) in mails {
                update.execute(params![outbox.0, sendings])?;
            }
            Ok(())
        })
    }

    /// Notes what became of tries.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn record_tries(
        &mut self,
        tries: &[(OutboxId, AgentId, Try)],
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.write(|transaction| {
            // An answer may have overtaken our own note; it stays.
            let mut update = transaction.prepare_cached(
                "UPDATE outbox_recipient
                 SET state = ?3, attempts = attempts + 1, next_try = ?4, changed = ?5, detail = ?6
                 WHERE outbox = ?1 AND agent = ?2 AND state <> 'answered'",
            )?;
            for (outbox, agent, tried) in tries {
                let (state, next, detail) = match tried {
                    Try::Accepted => (Transport::Accepted, now, ""),
                    Try::Refused { detail } => (Transport::Refused, now, detail.as_str()),
                    Try::Later { at, detail } => (Transport::Queued, *at, detail.as_str()),
                };
                let parameters = params![outbox.0, agent.as_str(), state.as_str(), At(next), At(now), detail];
                if update.execute(parameters)? > 0 {
                    tell_rollouts(transaction, *outbox, agent, tried, now)?;
                }
            }
            Ok(())
        })
    }

    /// When the next recipient is due, where one waits.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn next_due(&self) -> Result<Option<Timestamp>, DbError> {
        let mut statement = self
            .read()
            .prepare_cached("SELECT min(next_try) FROM outbox_recipient WHERE state = 'queued'")?;
        Ok(statement.query_row([], |row| super::columns::maybe_time(row, 0))?)
    }
}

/// Our own mail server's word, for the rollout that the message belongs to. "Later" is no news for it: the mail is
/// still queued.
fn tell_rollouts(
    transaction: &Transaction<'_>,
    outbox: OutboxId,
    agent: &AgentId,
    tried: &Try,
    now: Timestamp,
) -> Result<(), DbError> {
    let outcome = match tried {
        Try::Accepted => TransportOutcome::Accepted,
        Try::Refused { detail } => TransportOutcome::Bounced { reason: detail.clone() },
        Try::Later { .. } => return Ok(()),
    };
    // Who answers in a slot is waited for from then on.
    let from = match outcome {
        TransportOutcome::Accepted => slots::answers_from(transaction, outbox, agent, now)?,
        _ => now,
    };
    parts::tell(transaction, outbox, agent, outcome, from)
}

/// In which form a recipient's mail goes out. A receipt is no trial: nobody answers it.
fn form(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Form> {
    let (tried, way) = (ways::read_tried(row, 6)?, ways::read_way(row, 9)?);
    Ok(match row.get::<_, String>(5)?.as_str() {
        "receipt" => way.form,
        _ => way.next(tried, now),
    })
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        agent: parsed(row, 0)?,
        state: parsed(row, 1)?,
        attempts: row.get(2)?,
        changed: time(row, 3)?,
        detail: row.get(4)?,
    })
}

fn read_outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    let family: String = row.get(2)?;
    Ok(Outgoing {
        outbox: OutboxId(row.get(0)?),
        id: row.get::<_, Id>(1)?.message(),
        family: match family.as_str() {
            "receipt" => Family::Receipt,
            "enrolment" => Family::Enrolment,
            _ => Family::Command,
        },
        payload: row.get(3)?,
        in_reply_to: row.get::<_, Option<Id>>(4)?.map(Id::message),
        package: maybe_parsed(row, 5)?,
        created: time(row, 6)?,
        expires: time(row, 7)?,
        sendings: row.get(8)?,
        cut: parts::read_cut(row.get(9)?, row.get::<_, Option<String>>(10)?.as_deref()),
        part: row.get::<_, Option<i64>>(11)?.map(OutboxId).zip(row.get(12)?),
    })
}

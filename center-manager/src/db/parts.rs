//! Packages that go out in parts: each part is a message of its own in the outbox, behind its order.
//!
//! How a package is cut is stored before its first mail goes out, and never changes for that order; its parts keep their
//! message ids however often they are sent. A recipient that says which parts did not come gets just these again.

use super::columns::{At, Id, parsed, uncount};
use super::outbox::{self, NewMail, OutboxId, Outgoing, Priority};
use super::{Db, DbError};
use crate::rollout::{self, PartsSent, TransportOutcome};
use crate::sending::Carriage;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::message::report::PartsMissingReport;
use mailfmt::message::{PackagePart, UpdateOrder};
use mailfmt::parts::{Parity, Parts};
use mailfmt::{AgentId, Command, Message, MessageId};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

/// How often one part is sent to one appliance at most, whatever it asks for.
const SENDINGS_MAX: u32 = 40;

/// How long a limit that a refusal taught is believed; then a larger mail is tried again.
const BELIEVED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How a package goes out, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Whole, behind the order.
    Whole,
    /// In parts.
    Parts {
        /// Octets of a part.
        part_octets: u32,
        /// Parity parts among them.
        parity: Option<Parity>,
    },
}

/// The two columns of a [`Cut`]; `None` where it is not decided.
pub(super) fn read_cut(part_octets: Option<u32>, parity: Option<&str>) -> Option<Cut> {
    Some(match part_octets? {
        0 => Cut::Whole,
        part_octets => {
            Cut::Parts { part_octets, parity: parity.and_then(|text| serde_json::from_str(text).ok()) }
        }
    })
}

impl Db {
    /// The largest mail that gets through to every recipient of a message that still waits; `None` where none is known.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn way_limit(&self, outbox: OutboxId) -> Result<Option<u64>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT min(a.mail_octets_max) FROM outbox_recipient r JOIN appliance a ON a.agent = r.agent
             WHERE r.outbox = ?1 AND r.state = 'queued'",
        )?;
        Ok(statement.query_row([outbox.0], |row| row.get::<_, Option<i64>>(0))?.map(uncount))
    }

    /// The largest mail that gets through to one appliance, where it is known.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn mail_limit(&self, agent: &AgentId) -> Result<Option<u64>, DbError> {
        let mut statement =
            self.read().prepare_cached("SELECT mail_octets_max FROM appliance WHERE agent = ?1")?;
        let found = statement.query_row([agent.as_str()], |row| row.get::<_, Option<i64>>(0)).optional()?;
        Ok(found.flatten().map(uncount))
    }

    /// Notes the largest mail that gets through to one appliance; `None`: nothing is known of it.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`], [`DbError::Sql`].
    pub fn set_mail_limit(&mut self, agent: &AgentId, octets: Option<u64>) -> Result<(), DbError> {
        self.write(|transaction| {
            super::appliances::appliance(transaction, agent)?;
            transaction.execute(
                "UPDATE appliance SET mail_octets_max = ?2 WHERE agent = ?1",
                params![agent.as_str(), octets.map(super::columns::count)],
            )?;
            Ok(())
        })
    }

    /// A mail of so many octets was too large for one appliance: the next package for it is cut for half of that.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn lower_mail_limit(&mut self, agent: &AgentId, octets: usize) -> Result<(), DbError> {
        let half = u64::try_from(octets / 2).unwrap_or(u64::MAX);
        self.write(|transaction| lower(transaction, agent, half))
    }

    /// The largest mail that an account takes, as far as its refusals taught it.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn account_limit(&self, account: &str, now: Timestamp) -> Result<Option<u64>, DbError> {
        let since = now.saturating_sub(BELIEVED).unwrap_or(Timestamp::MIN);
        let mut statement = self
            .read()
            .prepare_cached("SELECT octets FROM account_limit WHERE account = ?1 AND learned > ?2")?;
        let found = statement.query_row(params![account, At(since)], |row| row.get(0)).optional()?;
        Ok(found.map(uncount))
    }

    /// Notes that an account takes mails up to this size only.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn learn_account_limit(&mut self, account: &str, octets: u64, now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO account_limit (account, octets, learned) VALUES (?1, ?2, ?3)
                     ON CONFLICT (account) DO UPDATE SET octets = excluded.octets, learned = excluded.learned",
                )?
                .execute(params![account, super::columns::count(octets), At(now)])?;
            Ok(())
        })
    }

    /// Stores how the package behind an order goes out, with a message for every part and recipient that waits for it. What was
    /// decided before stays.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn store_cut(
        &mut self,
        order: &Outgoing,
        carriage: &Carriage,
        parts: Option<(&UpdateOrder, &Parts)>,
        now: Timestamp,
        random: &mut impl Random,
    ) -> Result<(), DbError> {
        let (part_octets, parity) = match carriage {
            Carriage::Whole => (0, None),
            Carriage::Parts { part_octets, parity, .. } => (*part_octets, *parity),
        };
        let parity = parity.and_then(|parity| serde_json::to_string(&parity).ok());
        self.write(|transaction| {
            let decided = transaction
                .prepare_cached(
                    "UPDATE outbox SET part_octets = ?2, part_parity = ?3 WHERE id = ?1 AND part_octets IS NULL",
                )?
                .execute(params![order.outbox.0, part_octets, parity])?;
            let Some((update, parts)) = parts.filter(|_| decided > 0) else { return Ok(()) };
            let agents = waiting(transaction, order.outbox)?;
            let of = parts.shape().parts();
            for number in 1..=of {
                let Some(sha256) = parts.cutting().hash(number) else { continue };
                let part = PackagePart { enclosure: update.enclosure, number, of, sha256 };
                let mail = NewMail {
                    message: &Message::Command(Command::Part(part)),
                    id: MessageId::generate(random),
                    in_reply_to: None,
                    package: order.package,
                    priority: Priority::Bulk,
                    created: now,
                    expires: order.expires,
                    not_before: now,
                };
                let outbox = outbox::enqueue(transaction, &mail, &agents)?;
                transaction
                    .prepare_cached("UPDATE outbox SET part_of = ?2, part_number = ?3 WHERE id = ?1")?
                    .execute(params![outbox.0, order.outbox.0, number])?;
            }
            for agent in &agents {
                let sent = PartsSent { of, sent: 0, at: now };
                rollout::on_parts(transaction, order.id, agent, sent, now)?;
            }
            Ok(())
        })
    }
}

/// The recipients of an order that can be written to.
fn waiting(connection: &Connection, order: OutboxId) -> Result<Vec<AgentId>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.agent FROM outbox_recipient r JOIN appliance a ON a.agent = r.agent
         WHERE r.outbox = ?1 AND r.state = 'queued' AND a.state <> 'removed' AND a.suspended IS NULL ORDER BY r.agent",
    )?;
    let agents = statement.query_map([order.0], |row| parsed(row, 0))?;
    Ok(agents.collect::<Result<_, _>>()?)
}

/// A message of the outbox in its place: the order that it is or belongs to.
struct Place {
    order: i64,
    message: MessageId,
    /// Which part it is.
    number: Option<u32>,
    /// How many parts there are; 0 where the package goes whole, or there is none.
    of: u32,
}

fn place(connection: &Connection, outbox: OutboxId) -> Result<Option<Place>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT f.id, f.message, o.part_number,
                (SELECT count(*) FROM outbox p WHERE p.part_of = f.id)
         FROM outbox o JOIN outbox f ON f.id = ifnull(o.part_of, o.id)
         WHERE o.id = ?1 AND o.family = 'command'",
    )?;
    let found = statement.query_row([outbox.0], |row| {
        Ok(Place {
            order: row.get(0)?,
            message: row.get::<_, Id>(1)?.message(),
            number: row.get(2)?,
            of: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// How many parts of an order were taken for one recipient, and whether the order itself was.
fn sent(connection: &Connection, order: i64, agent: &AgentId) -> Result<(u32, bool), DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE o.part_of = ?1), count(*) FILTER (WHERE o.id = ?1)
         FROM outbox o JOIN outbox_recipient r ON r.outbox = o.id
         WHERE (o.id = ?1 OR o.part_of = ?1) AND r.agent = ?2 AND r.state IN ('accepted', 'delayed', 'answered')",
    )?;
    Ok(statement.query_row(params![order, agent.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// A mail server's word about one message, for the rollout that it belongs to. An order in parts has gone out when it and all of
/// its parts have; one part that does not arrive is told as the order's trouble.
pub(super) fn tell(
    transaction: &Transaction<'_>,
    outbox: OutboxId,
    agent: &AgentId,
    outcome: TransportOutcome,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(place) = place(transaction, outbox)? else { return Ok(()) };
    if place.of == 0 {
        return rollout::on_transport(transaction, place.message, agent, &outcome, now);
    }
    let of_part = |reason: String| match place.number {
        Some(number) => format!("part {number} of {}: {reason}", place.of),
        None => reason,
    };
    let outcome = match outcome {
        TransportOutcome::Accepted => {
            let (sent, ordered) = sent(transaction, place.order, agent)?;
            let parts = PartsSent { of: place.of, sent, at: now };
            rollout::on_parts(transaction, place.message, agent, parts, now)?;
            if sent < place.of || !ordered {
                return Ok(());
            }
            TransportOutcome::Accepted
        }
        TransportOutcome::Delayed { reason } => TransportOutcome::Delayed { reason: of_part(reason) },
        TransportOutcome::Bounced { reason } => TransportOutcome::Bounced { reason: of_part(reason) },
    };
    rollout::on_transport(transaction, place.message, agent, &outcome, now)
}

/// An appliance says which parts of an order's package did not come: they are sent again, under their ids, as long as the order
/// is valid. Returns how many wait to be sent now.
pub(crate) fn send_again(
    transaction: &Transaction<'_>,
    agent: &AgentId,
    order: &MessageId,
    report: &PartsMissingReport,
    now: Timestamp,
) -> Result<u32, DbError> {
    let mut find = transaction.prepare_cached(
        "SELECT p.id FROM outbox p JOIN outbox o ON o.id = p.part_of
         WHERE o.message = ?1 AND p.part_number = ?2 AND p.expires > ?4
           AND EXISTS (SELECT 1 FROM outbox_recipient r WHERE r.outbox = o.id AND r.agent = ?3)",
    )?;
    let mut queue = transaction.prepare_cached(
        "UPDATE outbox_recipient SET state = 'queued', next_try = ?3, changed = ?3, detail = ''
         WHERE outbox = ?1 AND agent = ?2 AND state <> 'queued' AND attempts < ?4",
    )?;
    let mut queued = transaction.prepare_cached(
        "SELECT 1 FROM outbox_recipient WHERE outbox = ?1 AND agent = ?2 AND state = 'queued'",
    )?;
    let mut again = 0u32;
    for number in report.missing.iter().take(mailfmt::Limits::default().parts) {
        let parameters = params![Id::of(order), number, agent.as_str(), At(now)];
        let Some(part) = find.query_row(parameters, |row| row.get::<_, i64>(0)).optional()? else { continue };
        queue.execute(params![part, agent.as_str(), At(now), SENDINGS_MAX])?;
        // One that was suspended when the parts were made has no row of its own yet.
        outbox::add_recipient(transaction, OutboxId(part), agent, now)?;
        again = again.saturating_add(u32::from(queued.exists(params![part, agent.as_str()])?));
    }
    Ok(again)
}

/// A mail to an appliance came back as too large: the next package for it is cut for half of that size.
pub(super) fn learn_way_limit(
    transaction: &Transaction<'_>,
    message: &MessageId,
    agent: &AgentId,
) -> Result<(), DbError> {
    let mut statement = transaction.prepare_cached(
        "SELECT CASE WHEN o.part_of IS NOT NULL THEN f.part_octets
                     ELSE json_extract(o.payload, '$.body.enclosure_octets') END
         FROM outbox o LEFT JOIN outbox f ON f.id = o.part_of WHERE o.message = ?1",
    )?;
    let octets =
        statement.query_row([Id::of(message)], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten();
    let Some(octets) = octets.map(uncount) else { return Ok(()) };
    // In base64, four octets stand for three; half of that.
    lower(transaction, agent, octets.saturating_mul(2) / 3)
}

fn lower(transaction: &Transaction<'_>, agent: &AgentId, octets: u64) -> Result<(), DbError> {
    let limit = super::columns::count(octets.max(crate::sending::MAIL_OCTETS_MIN));
    transaction
        .prepare_cached(
            "UPDATE appliance SET mail_octets_max = ?2 WHERE agent = ?1 AND ifnull(mail_octets_max, ?2 + 1) > ?2",
        )?
        .execute(params![agent.as_str(), limit])?;
    Ok(())
}

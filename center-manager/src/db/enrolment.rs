//! Provisional codes and what came under them.
//!
//! The code itself is a secret column as the credentials are: a center must be able to open what comes under it. It is
//! wiped when the code ends: revoked, or expired or used up with nobody still waiting for an admission.

mod admission;
mod contact;
mod listing;

pub use contact::ContactStep;
pub use listing::{AttemptLine, CodeLine, CodeState, ExchangeLine};

pub(in crate::db) use admission::{first_heard, take_over};
pub(in crate::db) use contact::{Desk, file_contact, file_knock};

use super::columns::{At, Id, count, parsed};
use super::{Db, DbError};
use crate::enrolment::ANSWER_LIFE;
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::enrolment::{CodeId, ProvisionalCode, Session, session};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::{AgentId, MessageId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A code that shall be issued.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// The code.
    pub code: ProvisionalCode,
    /// For whom.
    pub customer: String,
    /// The tags that its appliances get.
    pub tags: Vec<String>,
    /// The appliance whose id and history the enrolled box takes over.
    pub replaces: Option<AgentId>,
    /// How many appliances it lets in; at least one.
    pub uses: u32,
    /// After this it lets nobody in.
    pub expires: Timestamp,
    /// Who issues it.
    pub by: String,
}

/// A code with what is needed to read what comes under it.
#[derive(Debug)]
pub struct OpenCode {
    /// The code.
    pub code: ProvisionalCode,
    /// Its exchanges that are not over, the newest first.
    pub exchanges: Vec<OpenExchange>,
}

/// One exchange that is not over.
#[derive(Debug)]
pub struct OpenExchange {
    /// Its row.
    pub id: i64,
    /// Our offer, which a registration answers.
    pub offer: MessageId,
    /// Its keys.
    pub session: Session,
}

/// A credential that was admitted and that the center waits to hear.
#[derive(Debug)]
pub struct PendingCredential {
    /// The appliance, which has another credential until then.
    pub agent: AgentId,
    /// The exchange in which it was admitted.
    pub exchange: i64,
    /// The credential.
    pub credential: Credential,
}

impl Db {
    /// Issues codes: all of them, or none.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`] when one replaces an appliance that does not exist, or [`DbError::Sql`].
    pub fn issue_codes(&mut self, codes: &[NewCode], now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            for new in codes {
                if let Some(agent) = &new.replaces {
                    super::appliances::appliance(transaction, agent)?;
                }
                let tags = serde_json::to_string(&new.tags).unwrap_or_default();
                transaction
                    .prepare_cached(
                        "INSERT INTO enrolment_code (id, customer, tags, replaces, issued, issued_by, expires, uses, secret)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    )?
                    .execute(params![
                        new.code.id().to_string(),
                        new.customer,
                        tags,
                        new.replaces.as_ref().map(AgentId::as_str),
                        At(now),
                        plain(&new.by),
                        At(new.expires),
                        new.uses,
                        new.code.expose().as_str(),
                    ])?;
            }
            Ok(())
        })
    }

    /// Takes a code back: from now on nothing under it is answered, and its secrets are wiped. An appliance that it let in
    /// and that was not heard of yet is suspended. Answers which.
    ///
    /// # Errors
    /// [`DbError::NoSuchCode`] or [`DbError::Sql`].
    pub fn revoke_code(&mut self, id: &CodeId, by: &str, now: Timestamp) -> Result<Vec<AgentId>, DbError> {
        let waiting = self.write(|transaction| {
            let code = id.to_string();
            let found = transaction.execute(
                "UPDATE enrolment_code SET revoked = ifnull(revoked, ?2),
                     revoked_by = CASE WHEN revoked IS NULL THEN ?3 ELSE revoked_by END WHERE id = ?1",
                params![code, At(now), plain(by)],
            )?;
            if found == 0 {
                return Err(DbError::NoSuchCode { code });
            }
            let mut statement = transaction.prepare_cached(
                "SELECT a.agent FROM enrolment_exchange x JOIN appliance a ON a.agent = x.agent
                 WHERE x.code = ?1 AND x.confirmed IS NULL AND x.credential IS NULL AND a.state = 'introduced'
                   AND a.suspended IS NULL ORDER BY a.agent",
            )?;
            let waiting: Vec<AgentId> =
                statement.query_map([&code], |row| parsed(row, 0))?.collect::<Result<_, _>>()?;
            for agent in &waiting {
                super::standing::suspend(
                    transaction,
                    agent,
                    "its code was revoked before it was heard",
                    now,
                )?;
            }
            wipe(transaction, &code, now)?;
            Ok(waiting)
        })?;
        self.settle_wiped();
        Ok(waiting)
    }

    /// Wipes the secrets of codes that have ended; answers how many ended.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn sweep_codes(&mut self, now: Timestamp) -> Result<usize, DbError> {
        // Mostly there is nothing to do, and then nothing is written.
        if ended(self.read(), now)?.is_empty() {
            return Ok(0);
        }
        let ended = self.write(|transaction| {
            let ended = ended(transaction, now)?;
            for code in &ended {
                wipe(transaction, code, now)?;
            }
            Ok::<_, DbError>(ended.len())
        })?;
        self.settle_wiped();
        Ok(ended)
    }

    /// The codes under which something may come, by their ids.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn open_codes(&self) -> Result<BTreeMap<CodeId, OpenCode>, DbError> {
        let mut codes = BTreeMap::new();
        let mut statement =
            self.read().prepare_cached("SELECT id, secret FROM enrolment_code WHERE secret IS NOT NULL")?;
        for row in statement.query_map([], |row| Ok((parsed::<CodeId>(row, 0)?, secret_code(row, 1)?)))? {
            let (id, code) = row?;
            codes.insert(id, OpenCode { code, exchanges: Vec::new() });
        }
        let mut statement = self.read().prepare_cached(
            "SELECT code, id, offer, appliance_key, center_secret FROM enrolment_exchange
             WHERE center_secret IS NOT NULL ORDER BY id DESC",
        )?;
        let rows = statement.query_map([], |row| {
            let exchange = (row.get(1)?, row.get::<_, Id>(2)?.message());
            Ok((parsed::<CodeId>(row, 0)?, exchange, theirs(row, 3)?, ours(row, 4)?))
        })?;
        for row in rows {
            let (id, (exchange, offer), theirs, ours) = row?;
            if let Some(open) = codes.get_mut(&id)
                && let Some(session) = session_of(&open.code, &ours, &theirs)
            {
                open.exchanges.push(OpenExchange { id: exchange, offer, session });
            }
        }
        Ok(codes)
    }

    /// Credentials that were admitted for appliances which have another one until they are heard under it.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn pending_credentials(&self) -> Result<Vec<PendingCredential>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT agent, id, credential FROM enrolment_exchange WHERE credential IS NOT NULL AND agent IS NOT NULL",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(PendingCredential {
                agent: parsed(row, 0)?,
                exchange: row.get(1)?,
                credential: Credential::from_bytes(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The key under which a mail of an enrolment is sealed; `None` once its exchange is over.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn enrolment_key(&self, outbox: super::outbox::OutboxId) -> Result<Option<ChannelKey>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT o.kind, c.secret, x.appliance_key, x.center_secret
             FROM outbox o JOIN enrolment_exchange x ON x.id = o.exchange JOIN enrolment_code c ON c.id = x.code
             WHERE o.id = ?1 AND c.secret IS NOT NULL AND x.center_secret IS NOT NULL",
        )?;
        let found = statement
            .query_row([outbox.0], |row| {
                Ok((row.get::<_, String>(0)?, secret_code(row, 1)?, theirs(row, 2)?, ours(row, 3)?))
            })
            .optional()?;
        Ok(found.and_then(|(kind, code, theirs, ours)| match kind.as_str() {
            "offer" => Some(code.channel(Direction::ToAppliance)),
            _ => Some(session_of(&code, &ours, &theirs)?.channel(Direction::ToAppliance)),
        }))
    }
}

/// The codes whose secrets are not needed any more: revoked, or ended with no admission that may have to be repeated.
fn ended(connection: &Connection, now: Timestamp) -> Result<Vec<String>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM enrolment_code c
         WHERE secret IS NOT NULL AND (revoked IS NOT NULL OR ((expires < ?1 OR used >= uses)
           AND NOT EXISTS (SELECT 1 FROM enrolment_exchange x WHERE x.code = c.id AND x.center_secret IS NOT NULL
                           AND x.registered IS NOT NULL AND x.registered >= ?2)))",
    )?;
    let oldest = now.checked_sub(ANSWER_LIFE).unwrap_or(Timestamp::MIN);
    let codes = statement.query_map(params![At(now), At(oldest)], |row| row.get(0))?;
    Ok(codes.collect::<Result<_, _>>()?)
}

/// Wipes a code and all its exchanges.
fn wipe(transaction: &Connection, code: &str, now: Timestamp) -> Result<(), DbError> {
    transaction.prepare_cached("UPDATE enrolment_code SET secret = NULL WHERE id = ?1")?.execute([code])?;
    let mut statement = transaction
        .prepare_cached("SELECT id FROM enrolment_exchange WHERE code = ?1 AND center_secret IS NOT NULL")?;
    let exchanges: Vec<i64> = statement.query_map([code], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for exchange in exchanges {
        end_exchange(transaction, exchange, now)?;
    }
    Ok(())
}

/// Wipes an exchange: its half, a credential that was not taken, and what waits to be sent.
fn end_exchange(transaction: &Connection, exchange: i64, now: Timestamp) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE enrolment_exchange SET center_secret = NULL, credential = NULL, becomes = NULL WHERE id = ?1",
        )?
        .execute([exchange])?;
    transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = 'expired', changed = ?2, detail = 'the enrolment is over'
             WHERE state = 'queued' AND outbox IN (SELECT id FROM outbox WHERE exchange = ?1)",
        )?
        .execute(params![exchange, At(now)])?;
    // An admission holds the credential.
    transaction
        .prepare_cached("UPDATE outbox SET payload = '{}' WHERE exchange = ?1")?
        .execute([exchange])?;
    Ok(())
}

/// Ends every enrolment that was to become this appliance.
pub(in crate::db) fn end_pending(
    transaction: &Connection,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    contact::end_others(transaction, agent, 0, now)
}

fn session_of(code: &ProvisionalCode, ours: &EphemeralSecret, theirs: &EphemeralPublic) -> Option<Session> {
    session(code, ours, theirs, Halves { appliance: *theirs, center: ours.public() }).ok()
}

fn secret_code(row: &Row<'_>, column: usize) -> rusqlite::Result<ProvisionalCode> {
    let text: Zeroizing<String> = Zeroizing::new(row.get(column)?);
    text.parse().map_err(|error: mailfmt::enrolment::CodeError| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn ours(row: &Row<'_>, column: usize) -> rusqlite::Result<EphemeralSecret> {
    let text: Zeroizing<String> = Zeroizing::new(row.get(column)?);
    EphemeralSecret::from_hex(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn theirs(row: &Row<'_>, column: usize) -> rusqlite::Result<EphemeralPublic> {
    EphemeralPublic::try_from(row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// Records an attempt that is not answered. `code` is empty for ids that never were a code.
fn record_attempt(
    transaction: &Connection,
    code: &str,
    reason: &str,
    detail: &str,
    now: Timestamp,
) -> Result<u64, DbError> {
    let times: i64 = transaction
        .prepare_cached(
            "INSERT INTO enrolment_attempt (code, reason, count, first, last, detail) VALUES (?1, ?2, 1, ?3, ?3, ?4)
             ON CONFLICT (code, reason) DO UPDATE SET count = min(count + 1, ?5), last = excluded.last,
                 detail = excluded.detail
             RETURNING count",
        )?
        .query_row(params![code, reason, At(now), plain(detail), count(u64::MAX)], |row| row.get(0))?;
    Ok(super::columns::uncount(times))
}

#[cfg(test)]
mod tests;

//! Filing what came under a code: decided by [`crate::enrolment::decide`], carried out here in the caller's transaction.

use super::{end_exchange, record_attempt};
use crate::db::DbError;
use crate::db::alarms::{self, NewAlarm};
use crate::db::columns::{At, Id, time};
use crate::db::outbox::{self, NewMail, Priority};
use crate::enrolment::{
    ANSWER_LIFE, AdmissionTerms, CodeStanding, Contact, Decision, ExchangeStanding, Refusal, decide,
};
use jiff::Timestamp;
use mailfmt::crypto::Random;
use mailfmt::enrolment::CodeId;
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::message::Enrolment;
use mailfmt::message::enrolment::{Hello, Offer};
use mailfmt::{AgentId, Message, MessageId};
use rusqlite::{Connection, OptionalExtension as _, params};

/// What became of a word under a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactStep {
    /// A first word was answered with our half.
    Offered,
    /// The same word came again and gets the same answer.
    Repeated,
    /// A box was let in.
    Admitted {
        /// Who it is from now on.
        agent: AgentId,
        /// What it registered, in words.
        description: String,
    },
    /// Not answered.
    Refused(Refusal),
}

/// The row of an exchange.
pub(super) struct ExchangeRow {
    pub(super) id: i64,
    pub(super) standing: ExchangeStanding,
    pub(super) offer: MessageId,
    pub(super) admission: Option<MessageId>,
}

/// The row of a code.
pub(super) struct CodeRow {
    pub(super) id: CodeId,
    pub(super) standing: CodeStanding,
    pub(super) customer: String,
    pub(super) tags: Vec<String>,
    pub(super) replaces: Option<AgentId>,
    /// Whether its secret is there.
    open: bool,
}

/// Who files, and when.
pub(in crate::db) struct Desk<'a, R> {
    pub(in crate::db) transaction: &'a Connection,
    pub(in crate::db) terms: &'a AdmissionTerms,
    pub(in crate::db) now: Timestamp,
    pub(in crate::db) random: &'a mut R,
}

/// Files one authentic word, with everything that follows from it.
pub(in crate::db) fn file_contact<R: Random>(
    desk: &mut Desk<'_, R>,
    contact: &Contact,
) -> Result<ContactStep, DbError> {
    let (transaction, now) = (desk.transaction, desk.now);
    let Some(code) = code(transaction, &contact.code)? else {
        // Only the database of another center holds no row of a code whose key it has.
        return Ok(ContactStep::Refused(Refusal::NotExpected));
    };
    if desk.terms.roots.is_empty() {
        // Nobody is let in who could trust nothing; the box tries again by itself, and no use of the code is lost.
        alarms::raise(transaction, &no_roots(now), now)?;
        return refuse(transaction, &code, contact, Refusal::NoRoots, now);
    }
    let exchange = named(transaction, contact)?;
    let decision = match &exchange {
        // It may have ended since the mail was judged.
        _ if !code.open => Decision::Refuse(ending(&code.standing, now)),
        Named::Nothing => Decision::Refuse(Refusal::NotExpected),
        Named::New => decide(&code.standing, None, &contact.word, &desk.terms.addresses, now),
        Named::Known(row) => {
            decide(&code.standing, Some(&row.standing), &contact.word, &desk.terms.addresses, now)
        }
    };
    match (decision, exchange, &contact.word) {
        (Decision::Offer, _, Enrolment::Hello(hello)) => offer(desk, &code, contact, hello),
        (Decision::Admit, Named::Known(row), Enrolment::Registration(registration)) => {
            match super::admission::admit(desk, &code, &row, contact, registration)? {
                Ok(admitted) => Ok(admitted),
                Err(refusal) => refuse(transaction, &code, contact, refusal, now),
            }
        }
        (Decision::OfferAgain, Named::Known(row), _) => {
            answer_again(transaction, row.id, Some(row.offer), now)?;
            Ok(ContactStep::Repeated)
        }
        (Decision::AdmitAgain, Named::Known(row), _) => {
            answer_again(transaction, row.id, row.admission, now)?;
            Ok(ContactStep::Repeated)
        }
        (Decision::Refuse(refusal), ..) => refuse(transaction, &code, contact, refusal, now),
        _ => refuse(transaction, &code, contact, Refusal::NotExpected, now),
    }
}

/// Which exchange a word is about. A registration counts only under the session of the exchange that it names.
enum Named {
    Nothing,
    New,
    Known(ExchangeRow),
}

fn named(transaction: &Connection, contact: &Contact) -> Result<Named, DbError> {
    Ok(match (&contact.word, contact.exchange) {
        (Enrolment::Hello(hello), None) => {
            let found = exchange(transaction, &contact.code, &hello.appliance_key)?;
            found.map_or(Named::New, Named::Known)
        }
        (Enrolment::Registration(registration), Some(id)) => {
            let found = exchange(transaction, &contact.code, &registration.appliance_key)?;
            found.filter(|row| row.id == id).map_or(Named::Nothing, Named::Known)
        }
        _ => Named::Nothing,
    })
}

fn code(transaction: &Connection, id: &CodeId) -> Result<Option<CodeRow>, DbError> {
    let found = transaction
        .prepare_cached(
            "SELECT customer, tags, replaces, expires, uses, used, revoked IS NOT NULL, secret IS NOT NULL,
                    (SELECT count(*) FROM enrolment_exchange x WHERE x.code = c.id)
             FROM enrolment_code c WHERE id = ?1",
        )?
        .query_row([id.to_string()], |row| {
            Ok(CodeRow {
                id: *id,
                customer: row.get(0)?,
                tags: crate::db::columns::json(row, 1)?,
                replaces: crate::db::columns::maybe_parsed(row, 2)?,
                standing: CodeStanding {
                    expires: time(row, 3)?,
                    uses: row.get(4)?,
                    used: row.get(5)?,
                    revoked: row.get(6)?,
                    exchanges: row.get(8)?,
                },
                open: row.get(7)?,
            })
        })
        .optional()?;
    Ok(found)
}

fn exchange(
    transaction: &Connection,
    code: &CodeId,
    key: &EphemeralPublic,
) -> Result<Option<ExchangeRow>, DbError> {
    let found = transaction
        .prepare_cached(
            "SELECT id, offer, admission, answers, registered IS NOT NULL, center_secret IS NULL
             FROM enrolment_exchange WHERE code = ?1 AND appliance_key = ?2",
        )?
        .query_row([code.to_string(), key.to_string()], |row| {
            Ok(ExchangeRow {
                id: row.get(0)?,
                offer: row.get::<_, Id>(1)?.message(),
                admission: row.get::<_, Option<Id>>(2)?.map(Id::message),
                standing: ExchangeStanding { answers: row.get(3)?, admitted: row.get(4)?, over: row.get(5)? },
            })
        })
        .optional()?;
    Ok(found)
}

fn offer<R: Random>(
    desk: &mut Desk<'_, R>,
    code: &CodeRow,
    contact: &Contact,
    hello: &Hello,
) -> Result<ContactStep, DbError> {
    let ours = EphemeralSecret::generate(desk.random);
    let halves = Halves { appliance: hello.appliance_key, center: ours.public() };
    // Tried here, so that nobody waits for a session that cannot be.
    if ours.agree(&hello.appliance_key, halves, &[], b"").is_err() {
        return refuse(desk.transaction, code, contact, Refusal::WeakKey, desk.now);
    }
    let message = MessageId::generate(desk.random);
    desk.transaction
        .prepare_cached(
            "INSERT INTO enrolment_exchange (code, appliance_key, center_key, center_secret, address, begun, hello, offer,
                                             answers)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
        )?
        .execute(params![
            code.id.to_string(),
            hello.appliance_key.to_string(),
            ours.public().to_string(),
            ours.expose_hex().as_str(),
            hello.reply_to,
            At(desk.now),
            Id::of(&contact.message),
            Id::of(&message),
        ])?;
    let exchange = desk.transaction.last_insert_rowid();
    let offer = Offer { appliance_key: hello.appliance_key, center_key: ours.public() };
    send(desk.transaction, exchange, &code.id, Enrolment::Offer(offer), message, contact.message, desk.now)?;
    alarms::over(desk.transaction, None, NO_ROOTS, "", desk.now)?;
    Ok(ContactStep::Offered)
}

/// The alarm of a center that cannot let anybody in.
const NO_ROOTS: &str = "no-roots";

fn no_roots(now: Timestamp) -> NewAlarm<'static> {
    NewAlarm {
        agent: None,
        kind: NO_ROOTS,
        subject: "",
        description: "A box wants to enrol, but this center has no roots that it could trust. `center-manager root show` tells \
                      why; `root create` makes the first one. The box tries again by itself",
        since: now,
        reported: false,
    }
}

/// Puts an answer of ours into the outbox.
pub(super) fn send(
    transaction: &Connection,
    exchange: i64,
    code: &CodeId,
    word: Enrolment,
    id: MessageId,
    in_reply_to: MessageId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mail = NewMail {
        message: &Message::Enrolment(word),
        id,
        in_reply_to: Some(in_reply_to),
        package: None,
        // A person stands in front of the box and waits.
        priority: Priority::Receipt,
        created: now,
        expires: now.checked_add(ANSWER_LIFE).unwrap_or(Timestamp::MAX),
        not_before: now,
    };
    outbox::enqueue_enrolment(transaction, &mail, exchange, &AgentId::from(*code))
}

/// The same answer once more, under its id.
fn answer_again(
    transaction: &Connection,
    exchange: i64,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(message) = message else { return Ok(()) };
    transaction
        .prepare_cached("UPDATE enrolment_exchange SET answers = answers + 1 WHERE id = ?1")?
        .execute([exchange])?;
    let expires = now.checked_add(ANSWER_LIFE).unwrap_or(Timestamp::MAX);
    transaction
        .prepare_cached("UPDATE outbox SET expires = max(expires, ?2) WHERE message = ?1")?
        .execute(params![Id::of(&message), At(expires)])?;
    transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = 'queued', next_try = ?2, changed = ?2
             WHERE outbox = (SELECT id FROM outbox WHERE message = ?1) AND state <> 'queued'",
        )?
        .execute(params![Id::of(&message), At(now)])?;
    Ok(())
}

fn refuse(
    transaction: &Connection,
    code: &CodeRow,
    contact: &Contact,
    refusal: Refusal,
    now: Timestamp,
) -> Result<ContactStep, DbError> {
    let from = match &contact.word {
        Enrolment::Hello(hello) => hello.reply_to.as_str(),
        Enrolment::Registration(registration) => registration.address.as_str(),
        Enrolment::Offer(_) | Enrolment::Admission(_) | Enrolment::Unknown { .. } => "",
    };
    note_refusal(transaction, &code.id, &code.customer, refusal, from, now)?;
    Ok(ContactStep::Refused(refusal))
}

fn note_refusal(
    transaction: &Connection,
    code: &CodeId,
    customer: &str,
    refusal: Refusal,
    from: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    record_attempt(transaction, &code.to_string(), refusal.as_str(), from, now)?;
    if refusal.is_suspicious() {
        let from = if from.is_empty() { String::new() } else { format!(", from {from}") };
        let description = format!(
            "Somebody tried to enrol with code {code} of {customer:?}{from}: {refusal}. Ask who has the paper; \
             `center-manager enrol show {code}` tells more, `enrol revoke {code}` ends it"
        );
        let alarm = NewAlarm {
            agent: None,
            kind: "enrolment-attempt",
            subject: &format!("{code} {refusal}"),
            description: &description,
            since: now,
            reported: false,
        };
        alarms::raise(transaction, &alarm, now)?;
    }
    Ok(())
}

/// A mail that names a code and does not open under it. Anybody can write the name of a code that he saw on another mail,
/// so this is a hint, not a proof. `reason` is how such a mail is counted.
pub(in crate::db) fn file_knock(
    transaction: &Connection,
    claimed: Option<CodeId>,
    message: &MessageId,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(row) = claimed.map(|id| code(transaction, &id)).transpose()?.flatten() else {
        let detail = claimed.map(|id| id.to_string()).unwrap_or_default();
        record_attempt(transaction, "", "there is no such code", &detail, now)?;
        return Ok(());
    };
    if row.open {
        record_attempt(transaction, &row.id.to_string(), Refusal::NotOpened.as_str(), reason, now)?;
        return Ok(());
    }
    // Late copies of mails that were answered in their time are no attempt.
    let known: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM enrolment_exchange WHERE code = ?1 AND (hello = ?2 OR registration = ?2))",
        )?
        .query_row(params![row.id.to_string(), Id::of(message)], |row| row.get(0))?;
    let refusal = if known { Refusal::Over } else { ending(&row.standing, now) };
    note_refusal(transaction, &row.id, &row.customer, refusal, "", now)
}

/// Why a code that has ended lets nobody in.
fn ending(code: &CodeStanding, now: Timestamp) -> Refusal {
    if code.revoked {
        Refusal::Revoked
    } else if code.used >= code.uses {
        Refusal::UsedUp
    } else if code.expires < now {
        Refusal::Expired
    } else {
        Refusal::Over
    }
}

/// Ends all other exchanges that were to become this appliance.
pub(super) fn end_others(
    transaction: &Connection,
    agent: &AgentId,
    exchange: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM enrolment_exchange WHERE agent = ?1 AND id <> ?2 AND center_secret IS NOT NULL",
    )?;
    let others: Vec<i64> = statement
        .query_map(params![agent.as_str(), exchange], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for other in others {
        end_exchange(transaction, other, now)?;
    }
    Ok(())
}

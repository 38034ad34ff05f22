//! Mail that came back: attributed to a message and an appliance, noted, and carried over to the outbox.

mod listing;

pub use listing::{AutoResponder, ReturnedFilter, ReturnedLine};

use super::columns::{At, Id, parsed, uncount};
use super::filed::Filed;
use super::outbox::OutboxId;
use super::{Db, DbError, parts, ways as ways_of};
use crate::returned::{Effect, effect};
use crate::rollout::TransportOutcome;
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::crypto::Random;
use mailfmt::mail::Sign;
use mailfmt::mail::returned::{Cause, Kind, Recipient, ReturnKey, Returned, Standing};
use mailfmt::{AgentId, MessageId};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

/// Rows kept of each appliance; anybody may send such mails.
const KEPT_PER_APPLIANCE: i64 = 200;

/// Rows kept of what nobody can attribute.
const KEPT_OF_NOBODY: i64 = 1_000;

/// By what a returned mail was attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// The tag of its return path, which only we can make.
    Tag,
    /// An id of ours that it quotes.
    Id,
    /// An address that one appliance only has.
    Address,
    /// Nothing.
    Nothing,
}

impl KnownBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Id => "id",
            Self::Address => "address",
            Self::Nothing => "nothing",
        }
    }
}

/// One recipient of one of our messages.
struct Way {
    outbox: OutboxId,
    message: MessageId,
    agent: AgentId,
    tries: u32,
    expires: Timestamp,
    on_its_way: bool,
}

/// One row to be noted.
struct Note<'a> {
    kind: Kind,
    cause: Option<Cause>,
    agent: Option<&'a AgentId>,
    message: Option<MessageId>,
    recipient: &'a str,
    words: &'a str,
    known_by: KnownBy,
    effect: &'static str,
}

/// Files one.
pub(super) fn file(
    transaction: &Transaction<'_>,
    returned: &Returned,
    now: Timestamp,
) -> Result<Filed, DbError> {
    let (key, demanded) = key(transaction)?.unzip();
    let tagged: Vec<MessageId> =
        key.iter().flat_map(|key| returned.tags.iter().filter_map(|tag| key.message(tag))).collect();
    let (known_by, messages) = match (tagged.is_empty(), returned.messages.is_empty()) {
        (false, _) => (KnownBy::Tag, &tagged),
        (true, false) => (KnownBy::Id, &returned.messages),
        (true, true) => (KnownBy::Address, &returned.messages),
    };
    // Where every mail of ours has a tag, a bounce without one comes from somebody who has not seen the mail.
    let believed = known_by == KnownBy::Tag || demanded != Some(true);
    let mut marked = 0usize;
    let mut first = None;
    for message in messages {
        for way in ways(transaction, message)? {
            let Some(told) = told(transaction, returned, message, &way)? else { continue };
            let tried_anew = believed
                && way.on_its_way
                && told.cause == Some(Cause::ContentRefused)
                && ways_of::learn(transaction, &way.agent, &Sign::Rejected(&words(returned, &told)), now)?;
            let follows = if tried_anew {
                // It is in the outbox again, as armoured text.
                Effect::Noted
            } else if believed && way.on_its_way {
                effect(returned.kind, told.standing, told.cause, way.tries, way.expires, now)
            } else {
                Effect::Noted
            };
            let words = words(returned, &told);
            marked =
                marked.saturating_add(usize::from(apply(transaction, &way, follows, &told, &words, now)?));
            let note = Note {
                kind: returned.kind,
                cause: told.cause,
                agent: Some(&way.agent),
                message: Some(way.message),
                recipient: &told.address,
                words: &words,
                known_by,
                effect: if believed { follows.as_str() } else { "not believed: no tag" },
            };
            write(transaction, returned, &note, now)?;
            first.get_or_insert(way.agent);
        }
    }
    if first.is_none() {
        first = file_by_address(transaction, returned, now)?;
    }
    Ok(Filed::Returned { kind: returned.kind, cause: returned.cause, agent: first, marked })
}

/// Without a message of ours in it: noted for the one appliance that has the address, or for nobody.
fn file_by_address(
    transaction: &Transaction<'_>,
    returned: &Returned,
    now: Timestamp,
) -> Result<Option<AgentId>, DbError> {
    let told =
        returned.recipients.iter().flat_map(|one| [Some(&one.address), one.original.as_ref()]).flatten();
    // Whoever is away answers himself.
    let addresses = told.chain(&returned.sender);
    let mut agent = None;
    for address in addresses.take(16) {
        agent = only_one_with(transaction, address)?;
        if agent.is_some() {
            break;
        }
    }
    let recipient = returned.recipients.first().map_or("", |recipient| recipient.address.as_str());
    let note = Note {
        kind: returned.kind,
        cause: returned.cause,
        agent: agent.as_ref(),
        message: None,
        recipient,
        words: &plain(&returned.diagnostic),
        known_by: if agent.is_some() { KnownBy::Address } else { KnownBy::Nothing },
        effect: Effect::Noted.as_str(),
    };
    write(transaction, returned, &note, now)?;
    Ok(agent)
}

/// What a returned mail says of one recipient: what it says of its address; for the only recipient of a message what it says at
/// all, since the mail may have been forwarded to an address that we do not know. `None` where it is about others.
fn told(
    transaction: &Connection,
    returned: &Returned,
    message: &MessageId,
    way: &Way,
) -> Result<Option<Recipient>, DbError> {
    let address: Option<String> = transaction
        .prepare_cached("SELECT address FROM appliance WHERE agent = ?1")?
        .query_row([way.agent.as_str()], |row| row.get(0))
        .optional()?;
    let named =
        address.and_then(|address| returned.recipients.iter().find(|recipient| recipient.is(&address)));
    if let Some(recipient) = named {
        return Ok(Some(recipient.clone()));
    }
    let recipients: i64 = transaction
        .prepare_cached(
            "SELECT count(*) FROM outbox_recipient WHERE outbox = (SELECT id FROM outbox WHERE message = ?1)",
        )?
        .query_row([Id::of(message)], |row| row.get(0))?;
    if recipients != 1 {
        return Ok(None);
    }
    let worst = |wanted| returned.recipients.iter().find(|recipient| recipient.standing == wanted);
    let standing = if returned.kind == Kind::Delay { Standing::Delayed } else { Standing::Failed };
    let recipient =
        worst(Standing::Failed).or_else(|| worst(Standing::Delayed)).or(returned.recipients.first());
    Ok(Some(recipient.cloned().unwrap_or(Recipient {
        address: String::new(),
        original: None,
        standing,
        status: None,
        cause: returned.cause,
        diagnostic: returned.diagnostic.clone(),
    })))
}

/// The recipients of a message.
fn ways(transaction: &Connection, message: &MessageId) -> Result<Vec<Way>, DbError> {
    let mut statement = transaction.prepare_cached(
        "SELECT o.id, r.agent, r.attempts, o.expires, r.state IN ('accepted', 'delayed')
         FROM outbox o JOIN outbox_recipient r ON r.outbox = o.id WHERE o.message = ?1 ORDER BY r.agent",
    )?;
    let rows = statement.query_map([Id::of(message)], |row| {
        Ok(Way {
            outbox: OutboxId(row.get(0)?),
            message: *message,
            agent: parsed(row, 1)?,
            tries: row.get(2)?,
            expires: super::columns::time(row, 3)?,
            on_its_way: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Why, in words, with the status and the mail server's own words.
fn words(returned: &Returned, told: &Recipient) -> String {
    let cause = told.cause.or(returned.cause).map(Cause::words).unwrap_or_default();
    let diagnostic = if told.diagnostic.is_empty() { &returned.diagnostic } else { &told.diagnostic };
    let status =
        told.status.map(|status| status.to_string()).filter(|status| !diagnostic.contains(status.as_str()));
    let said = [status.unwrap_or_default(), diagnostic.clone()].join(" ");
    match (cause, said.trim()) {
        ("", said) => plain(said),
        (cause, "") => plain(cause),
        (cause, said) => plain(&format!("{cause}: {said}")),
    }
}

/// Carries it over to the outbox and to the rollout that the message belongs to; only what is on its way changes.
fn apply(
    transaction: &Transaction<'_>,
    way: &Way,
    follows: Effect,
    told: &Recipient,
    words: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let (state, next, outcome) = match follows {
        Effect::Noted => return Ok(false),
        Effect::Delayed => ("delayed", None, TransportOutcome::Delayed { reason: words.to_owned() }),
        Effect::Again(at) => {
            let reason = format!("{words}; it is sent again at {}", crate::report::minute(at));
            ("queued", Some(At(at)), TransportOutcome::Delayed { reason })
        }
        Effect::Bounced => ("bounced", None, TransportOutcome::Bounced { reason: words.to_owned() }),
    };
    let cause = told.cause.map(Cause::as_str).unwrap_or_default();
    let changed = transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = ?3, next_try = ifnull(?4, next_try), changed = ?5, detail = ?6, cause = ?7
             WHERE outbox = ?1 AND agent = ?2 AND state IN ('accepted', 'delayed')",
        )?
        .execute(params![way.outbox.0, way.agent.as_str(), state, next, At(now), words, cause])?;
    if changed == 0 {
        return Ok(false);
    }
    if told.cause == Some(Cause::TooLarge) && follows == Effect::Bounced {
        parts::learn_way_limit(transaction, &way.message, &way.agent)?;
    }
    parts::tell(transaction, way.outbox, &way.agent, outcome, now)?;
    Ok(true)
}

fn write(
    transaction: &Transaction<'_>,
    returned: &Returned,
    note: &Note<'_>,
    now: Timestamp,
) -> Result<(), DbError> {
    let agent = note.agent.map(AgentId::as_str);
    transaction
        .prepare_cached(
            "INSERT INTO returned (at, kind, cause, agent, message, recipient, sender, words, known_by, effect)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            At(now),
            note.kind.as_str(),
            note.cause.map(Cause::as_str),
            agent,
            note.message.map(|message| Id::of(&message)),
            plain(note.recipient),
            plain(returned.sender.as_deref().unwrap_or_default()),
            note.words,
            note.known_by.as_str(),
            note.effect,
        ])?;
    let kept = if agent.is_some() { KEPT_PER_APPLIANCE } else { KEPT_OF_NOBODY };
    transaction
        .prepare_cached(
            "DELETE FROM returned WHERE agent IS ?1
               AND id <= (SELECT id FROM returned WHERE agent IS ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![agent, kept])?;
    Ok(())
}

/// The appliance with that address, where there is only one.
fn only_one_with(connection: &Connection, address: &str) -> Result<Option<AgentId>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT agent FROM appliance WHERE lower(address) = lower(?1) AND state <> 'removed' LIMIT 2",
    )?;
    let found: Vec<AgentId> =
        statement.query_map([address], |row| parsed(row, 0))?.collect::<Result<_, _>>()?;
    let [only] = <[AgentId; 1]>::try_from(found).map_or([None], |[only]| [Some(only)]);
    Ok(only)
}

/// The key of return paths, and whether a tag is demanded of every bounce.
fn key(connection: &Connection) -> Result<Option<(ReturnKey, bool)>, DbError> {
    let mut statement = connection.prepare_cached("SELECT octets, demand FROM return_key WHERE one = 1")?;
    let found = statement
        .query_row([], |row| Ok((Zeroizing::new(row.get::<_, [u8; 32]>(0)?), row.get::<_, bool>(1)?)))
        .optional()?;
    Ok(found.map(|(octets, demand)| (ReturnKey::from_bytes(*octets), demand)))
}

impl Db {
    /// The key of return paths; made where there is none. `demand`: every mail goes out with a tag from now on, so that bounces
    /// without one change nothing any more.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn return_key(&mut self, demand: bool, random: &mut impl Random) -> Result<ReturnKey, DbError> {
        self.write(|transaction| {
            if let Some((key, demanded)) = key(transaction)? {
                if demanded != demand {
                    transaction.execute("UPDATE return_key SET demand = ?1", [demand])?;
                }
                return Ok(key);
            }
            let key = ReturnKey::generate(random);
            transaction.execute(
                "INSERT INTO return_key (one, octets, demand) VALUES (1, ?1, ?2)",
                params![key.as_bytes().as_slice(), demand],
            )?;
            Ok(key)
        })
    }

    /// No account has return paths of its own any more: bounces are attributed by what they quote.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn demand_no_tags(&mut self) -> Result<(), DbError> {
        self.write(|transaction| {
            transaction.execute("UPDATE return_key SET demand = 0 WHERE demand <> 0", [])?;
            Ok(())
        })
    }

    /// How many mails of a kind came back so far, as far as they are kept.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn returned_count(&self, kind: Kind) -> Result<u64, DbError> {
        let mut statement = self.read().prepare_cached("SELECT count(*) FROM returned WHERE kind = ?1")?;
        Ok(uncount(statement.query_row([kind.as_str()], |row| row.get(0))?))
    }
}

#[cfg(test)]
mod tests;

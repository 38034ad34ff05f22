//! How long mail takes to an appliance and back, learned from ordinary commands and their answers.
//!
//! Only commands count that are answered as soon as they are read, and were handed in once: of one that was repeated nobody
//! can say which mail the answer is to.

use super::columns::{At, Id, time};
use super::{Db, DbError};
use crate::rollout::after;
use jiff::{SignedDuration, Timestamp};
use mailfmt::{AgentId, MessageId};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Round trips that are kept of each appliance, the newest ones.
const KEPT: u32 = 32;

/// Round trips older than this say nothing about how mail goes today.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 90);

/// The time within which nineteen of twenty round trips end, by nearest rank; `None` without any.
fn p95(mut millis: Vec<i64>) -> Option<SignedDuration> {
    millis.sort_unstable();
    let rank = millis.len().saturating_mul(95).div_ceil(100);
    let at_rank = millis.get(rank.checked_sub(1)?)?;
    Some(SignedDuration::from_millis(*at_rank))
}

/// An authentic answer to a command came: how long that took, where it can be told. To be called before the command is noted as
/// answered.
pub(super) fn measure(
    transaction: &Connection,
    message: &MessageId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    // An answer that was asked for at a later time says nothing.
    let handed_in = transaction
        .prepare_cached(
            "SELECT r.changed FROM outbox o JOIN outbox_recipient r ON r.outbox = o.id
             WHERE o.message = ?1 AND r.agent = ?2 AND r.state = 'accepted' AND r.attempts = 1
               AND o.kind IN ('ping', 'counter-request', 'version-request')
               AND json_extract(o.payload, '$.body.answer_after') IS NULL",
        )?
        .query_row(params![Id::of(message), agent.as_str()], |row| time(row, 0))
        .optional()?;
    let Some(handed_in) = handed_in.filter(|handed_in| *handed_in <= now) else { return Ok(()) };
    let millis = i64::try_from(now.duration_since(handed_in).as_millis()).unwrap_or(i64::MAX);
    transaction
        .prepare_cached("INSERT OR REPLACE INTO round_trip (agent, at, millis) VALUES (?1, ?2, ?3)")?
        .execute(params![agent.as_str(), At(now), millis])?;
    transaction
        .prepare_cached(
            "DELETE FROM round_trip WHERE agent = ?1 AND at <
                 (SELECT min(at) FROM (SELECT at FROM round_trip WHERE agent = ?1 ORDER BY at DESC LIMIT ?2))",
        )?
        .execute(params![agent.as_str(), KEPT])?;
    Ok(())
}

/// As [`Db::mail_delay`], within a transaction.
pub(crate) fn mail_delay(
    connection: &Connection,
    agent: &AgentId,
    now: Timestamp,
) -> Result<Option<SignedDuration>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT millis FROM round_trip WHERE agent = ?1 AND at >= ?2")?;
    let rows = statement.query_map(params![agent.as_str(), At(after(now, -LASTS))], |row| row.get(0))?;
    Ok(p95(rows.collect::<Result<_, _>>()?))
}

impl Db {
    /// How long mail takes to an appliance and back: nineteen of twenty answers came within this time. `None` where none was
    /// measured within the last 90 days.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn mail_delay(&self, agent: &AgentId, now: Timestamp) -> Result<Option<SignedDuration>, DbError> {
        mail_delay(self.read(), agent, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::outbox::{NewMail, OutboxId, Priority, Try, answered};
    use crate::sample::{agent, fleet, later, now};
    use mailfmt::Nonce;
    use mailfmt::message::{Command, Message, VersionRequest};

    fn ask(db: &mut Db, id: u8, message: &Message, at: Timestamp) -> OutboxId {
        let mail = NewMail {
            message,
            id: MessageId::from_bytes([id; 16]),
            in_reply_to: None,
            package: None,
            priority: Priority::Command,
            created: at,
            expires: after(at, SignedDuration::from_hours(24 * 200)),
            not_before: at,
        };
        db.enqueue(&mail, &[agent(1)]).unwrap()
    }

    fn taken(db: &mut Db, outbox: OutboxId, at: Timestamp) {
        db.record_tries(&[(outbox, agent(1), Try::Accepted)], at).unwrap();
    }

    fn answer(db: &mut Db, id: u8, at: Timestamp) {
        db.write(|change| answered(change, &MessageId::from_bytes([id; 16]), &agent(1), at)).unwrap();
    }

    fn ping() -> Message {
        Message::Command(Command::Ping(Default::default()))
    }

    #[test]
    fn round_trips_are_learned_from_ordinary_commands_and_answers() {
        let mut db = fleet(2);
        assert_eq!(db.mail_delay(&agent(1), now()).unwrap(), None);
        let version = VersionRequest { nonce: Nonce::from_bytes([1; 16]) };
        for (id, message, secs) in
            [(1, ping(), 40), (2, Message::Command(Command::Version(version)), 90), (3, ping(), 20)]
        {
            let begun = later(i64::from(id) * 1_000);
            let outbox = ask(&mut db, id, &message, begun);
            taken(&mut db, outbox, begun);
            answer(&mut db, id, after(begun, SignedDuration::from_secs(secs)));
            // The same answer comes again a day later.
            answer(&mut db, id, after(begun, SignedDuration::from_hours(24)));
        }
        let delay = db.mail_delay(&agent(1), later(5_000)).unwrap();
        assert_eq!(delay, Some(SignedDuration::from_secs(90)));
        assert_eq!(db.mail_delay(&agent(2), later(5_000)).unwrap(), None, "of another site");
        let long_after = after(later(5_000), LASTS);
        assert_eq!(db.mail_delay(&agent(1), long_after).unwrap(), None, "what is old says nothing");
    }

    #[test]
    fn an_answer_to_a_repeated_command_is_not_measured() {
        let mut db = fleet(1);
        let outbox = ask(&mut db, 1, &ping(), now());
        taken(&mut db, outbox, now());
        assert_eq!(db.repeat_commands(later(3_600)).unwrap(), 1);
        taken(&mut db, outbox, later(3_600));
        answer(&mut db, 1, later(3_610));
        assert_eq!(db.mail_delay(&agent(1), later(3_700)).unwrap(), None);
    }

    #[test]
    fn only_the_newest_round_trips_count_and_one_late_answer_of_twenty_does_not() {
        let mut db = fleet(1);
        for nth in 0..60_u8 {
            let begun = later(i64::from(nth) * 10_000);
            let outbox = ask(&mut db, nth, &ping(), begun);
            taken(&mut db, outbox, begun);
            // The old ones were slow; of the newest one was.
            let secs = if nth < 28 || nth == 45 { 5_000 } else { 60 };
            answer(&mut db, nth, after(begun, SignedDuration::from_secs(secs)));
        }
        let delay = db.mail_delay(&agent(1), later(700_000)).unwrap();
        assert_eq!(delay, Some(SignedDuration::from_secs(60)));
    }
}

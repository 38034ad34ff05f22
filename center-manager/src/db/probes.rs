//! Ladders of test mails ([`crate::probe`]): what was sent, and what is to be sent next.

use super::columns::{At, count, maybe_time, parsed, time, uncount};
use super::outbox::{NewMail, OutboxId, Priority, Transport, enqueue};
use super::{Db, DbError};
use crate::probe::{self, Rung, Step};
use crate::rollout::after;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Random;
use mailfmt::message::command::PingRequest;
use mailfmt::{AgentId, Command, Message, MessageId};
use rusqlite::{Connection, OptionalExtension as _, params};

/// After this long nobody answers a test mail any more.
const LIFE: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A ladder as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    /// To whom.
    pub agent: AgentId,
    /// When it was ordered.
    pub begun: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended; empty while it goes on.
    pub reason: String,
    /// The largest mail that gets through, in octets with base64, where a larger one was lost.
    pub mail_octets_max: Option<u64>,
    /// Its test mails, the smallest first.
    pub rungs: Vec<ShownRung>,
}

/// One test mail, for a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ShownRung {
    /// Octets behind its envelope.
    pub octets: u64,
    /// The mail that it became, in octets with base64, about.
    pub mail_octets: u64,
    /// How far it came.
    pub state: Transport,
    /// Since when.
    pub changed: Timestamp,
    /// Mails handed in.
    pub mails: u32,
    /// In which form it went out last; none before it did.
    pub form: Option<String>,
}

fn rungs(connection: &Connection, agent: &AgentId) -> Result<Vec<(OutboxId, ShownRung)>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT p.outbox, p.octets, r.state, r.changed, r.attempts, r.sent_form
         FROM probe_rung p JOIN outbox_recipient r ON r.outbox = p.outbox AND r.agent = p.agent
         WHERE p.agent = ?1 ORDER BY p.octets",
    )?;
    let rows = statement.query_map([agent.as_str()], |row| {
        let octets = uncount(row.get(1)?);
        let rung = ShownRung {
            octets,
            mail_octets: probe::mail_octets(octets),
            state: parsed(row, 2)?,
            changed: time(row, 3)?,
            mails: row.get(4)?,
            form: row.get(5)?,
        };
        Ok((OutboxId(row.get(0)?), rung))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Db {
    /// Orders a ladder; false where one is on its way already. What an earlier one taught is forgotten with it.
    ///
    /// # Errors
    /// [`DbError::NoSuchAppliance`], [`DbError::Sql`].
    pub fn begin_probe(&mut self, agent: &AgentId, now: Timestamp) -> Result<bool, DbError> {
        self.write(|transaction| {
            super::appliances::appliance(transaction, agent)?;
            let open = transaction
                .prepare_cached("SELECT 1 FROM probe WHERE agent = ?1 AND ended IS NULL")?
                .exists([agent.as_str()])?;
            if open {
                return Ok(false);
            }
            transaction
                .prepare_cached(
                    "UPDATE appliance SET mail_octets_max = NULL
                     WHERE agent = ?1 AND mail_octets_max = (SELECT taught FROM probe WHERE agent = ?1)",
                )?
                .execute([agent.as_str()])?;
            transaction
                .prepare_cached("DELETE FROM probe_rung WHERE agent = ?1")?
                .execute([agent.as_str()])?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO probe (agent, begun) VALUES (?1, ?2)")?
                .execute(params![agent.as_str(), At(now)])?;
            Ok(true)
        })
    }

    /// The newest ladder to an appliance.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn probe(&self, agent: &AgentId) -> Result<Option<Probe>, DbError> {
        let found = self
            .read()
            .prepare_cached("SELECT begun, ended, reason, taught FROM probe WHERE agent = ?1")?
            .query_row([agent.as_str()], |row| {
                Ok(Probe {
                    agent: agent.clone(),
                    begun: time(row, 0)?,
                    ended: maybe_time(row, 1)?,
                    reason: row.get(2)?,
                    mail_octets_max: row.get::<_, Option<i64>>(3)?.map(uncount),
                    rungs: Vec::new(),
                })
            })
            .optional()?;
        let Some(found) = found else { return Ok(None) };
        let rungs = rungs(self.read(), agent)?.into_iter().map(|(_, rung)| rung).collect();
        Ok(Some(Probe { rungs, ..found }))
    }

    /// How many octets follow the envelope of a ping, where it is a test mail.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn padding_octets(&self, outbox: OutboxId) -> Result<Option<u64>, DbError> {
        let mut statement = self.read().prepare_cached("SELECT octets FROM probe_rung WHERE outbox = ?1")?;
        Ok(statement.query_row([outbox.0], |row| row.get(0)).optional()?.map(uncount))
    }

    /// Takes every ladder a step further; how many steps. `mail_octets_max`: the largest mail that our own side sends.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn advance_probes(
        &mut self,
        mail_octets_max: u64,
        now: Timestamp,
        random: &mut impl Random,
    ) -> Result<usize, DbError> {
        let open: Vec<AgentId> = self
            .read()
            .prepare_cached("SELECT agent FROM probe WHERE ended IS NULL ORDER BY agent")?
            .query_map((), |row| parsed(row, 0))?
            .collect::<Result<_, _>>()?;
        let mut steps = 0_usize;
        for agent in &open {
            let limit = self.mail_limit(agent)?.unwrap_or(u64::MAX).min(mail_octets_max);
            let patience = probe::patience(self.mail_delay(agent, now)?);
            steps = steps.saturating_add(usize::from(self.advance(agent, limit, patience, now, random)?));
        }
        Ok(steps)
    }

    fn advance(
        &mut self,
        agent: &AgentId,
        limit: u64,
        patience: SignedDuration,
        now: Timestamp,
        random: &mut impl Random,
    ) -> Result<bool, DbError> {
        self.write(|transaction| {
            let known = rungs(transaction, agent)?;
            let sent: Vec<Rung> = known
                .iter()
                .map(|(_, rung)| Rung {
                    octets: rung.octets,
                    state: rung.state,
                    changed: rung.changed,
                    mails: rung.mails,
                })
                .collect();
            let (words, taught) = match probe::next(&sent, limit, patience, now) {
                Step::Wait => return Ok(false),
                Step::Again => {
                    let Some((last, _)) = known.last() else { return Ok(false) };
                    transaction
                        .prepare_cached(
                            "UPDATE outbox_recipient SET state = 'queued', next_try = ?3, changed = ?3
                             WHERE outbox = ?1 AND agent = ?2 AND state <> 'answered'",
                        )?
                        .execute(params![last.0, agent.as_str(), At(now)])?;
                    return Ok(true);
                }
                Step::Send(octets) => {
                    match send(transaction, agent, octets, now, random) {
                        Ok(()) => return Ok(true),
                        // It was suspended or removed meanwhile.
                        Err(DbError::Suspended { .. } | DbError::NoSuchAppliance { .. }) => {
                            ("nothing can be sent to it now".to_owned(), None)
                        }
                        Err(error) => return Err(error),
                    }
                }
                Step::End(outcome) => (outcome.words(), probe::taught(&sent, outcome)),
            };
            tracing::info!(%agent, mail_octets_max = taught, "test mails: {words}");
            transaction
                .prepare_cached("UPDATE probe SET ended = ?2, reason = ?3, taught = ?4 WHERE agent = ?1")?
                .execute(params![agent.as_str(), At(now), words, taught.map(count)])?;
            if let Some(octets) = taught {
                transaction
                    .prepare_cached("UPDATE appliance SET mail_octets_max = ?2 WHERE agent = ?1")?
                    .execute(params![agent.as_str(), count(octets)])?;
            }
            Ok(true)
        })
    }
}

fn send(
    transaction: &Connection,
    agent: &AgentId,
    octets: u64,
    now: Timestamp,
    random: &mut impl Random,
) -> Result<(), DbError> {
    let message = Message::Command(Command::Ping(PingRequest::default()));
    let mail = NewMail {
        message: &message,
        id: MessageId::generate(random),
        in_reply_to: None,
        package: None,
        priority: Priority::Probe,
        created: now,
        expires: after(now, LIFE),
        not_before: now,
    };
    let outbox = enqueue(transaction, &mail, std::slice::from_ref(agent))?;
    transaction
        .prepare_cached("INSERT INTO probe_rung (agent, octets, outbox) VALUES (?1, ?2, ?3)")?
        .execute(params![agent.as_str(), count(octets), outbox.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::outbox::{Try, answered};
    use crate::sample::{Numbers, agent, center, credential, fleet, later, now};
    use crate::sending::{Behind, From, write_mail};
    use mailfmt::Limits;
    use mailfmt::crypto::Direction;
    use mailfmt::mail::{Classified, Parcel, classify};

    /// Hands in all that is due; a gateway on the way drops what is larger than `most`, the site answers the rest a minute
    /// later. Answers the sizes of the mails.
    fn post(db: &mut Db, most: usize, at: Timestamp) -> Vec<usize> {
        let mut sizes = Vec::new();
        for due in db.due(at, 10).unwrap() {
            let outgoing = db.outgoing(due.outbox).unwrap().unwrap();
            let padding = probe::padding(&outgoing.id, db.padding_octets(due.outbox).unwrap().unwrap_or(0));
            let key = credential(&due.agent).channel(Direction::ToAppliance, &due.agent, &center());
            let from = From {
                center: &center(),
                address: "center@center.example",
                signer: None,
                follows: None,
                begins: None,
                date: at,
                latest: None,
                slot: None,
            };
            let recipients = [(due.clone(), key)];
            let behind = Behind::Octets(&padding);
            let mail = write_mail(&outgoing, 1, &recipients, from, behind, &mut Numbers::new(9)).unwrap();
            let Classified::Ours { attachment } = classify(&mail.raw, &Limits::default()) else { panic!() };
            let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
            assert_eq!(parcel.enclosure, padding);
            assert!(mail.raw.len() as u64 <= probe::mail_octets(padding.len() as u64));
            db.record_tries(&[(due.outbox, due.agent.clone(), Try::Accepted)], at).unwrap();
            if mail.raw.len() <= most {
                let answer_at = after(at, SignedDuration::from_mins(1));
                db.write(|change| answered(change, &outgoing.id, &due.agent, answer_at)).unwrap();
            }
            sizes.push(mail.raw.len());
        }
        sizes
    }

    /// Lets hours pass until the ladder has ended; the sizes of all mails.
    fn climb(db: &mut Db, most: usize, begun: i64) -> Vec<usize> {
        let mut sizes = Vec::new();
        for hour in 0..100 {
            let at = later(begun + hour * 3_600);
            db.advance_probes(u64::MAX, at, &mut Numbers::new(u64::try_from(begun + hour).unwrap())).unwrap();
            db.repeat_commands(at).unwrap();
            sizes.extend(post(db, most, at));
            if db.probe(&agent(1)).unwrap().unwrap().ended.is_some() {
                return sizes;
            }
        }
        panic!("no end: {:?}", db.probe(&agent(1)));
    }

    #[test]
    fn a_gateway_that_drops_large_mails_is_found_and_packages_are_cut_for_it() {
        let mut db = fleet(2);
        assert!(db.begin_probe(&agent(1), now()).unwrap());
        assert!(!db.begin_probe(&agent(1), later(1)).unwrap(), "one at a time");
        let sizes = climb(&mut db, 5_000_000, 0);
        // 0.1, 1 and 3 MB come; 7 MB is sent twice and does not.
        assert_eq!(sizes.len(), 5);
        let found = db.probe(&agent(1)).unwrap().unwrap();
        assert_eq!(found.mail_octets_max, Some(probe::mail_octets(3_000_000)));
        assert!(found.reason.contains("7000000 octets did not come"), "{}", found.reason);
        assert_eq!(db.mail_limit(&agent(1)).unwrap(), found.mail_octets_max);
        assert_eq!(db.mail_limit(&agent(2)).unwrap(), None);
        assert_eq!(db.mail_delay(&agent(1), later(999)).unwrap(), Some(SignedDuration::from_mins(1)));
        // The gateway was replaced: what the ladder before taught is no limit to the next.
        assert!(db.begin_probe(&agent(1), later(900_000)).unwrap());
        assert_eq!(climb(&mut db, usize::MAX, 900_000).len(), probe::RUNGS.len());
        assert_eq!(db.mail_limit(&agent(1)).unwrap(), None);
    }

    #[test]
    fn a_limit_that_a_person_set_stays_and_nothing_larger_is_sent() {
        let mut db = fleet(1);
        db.set_mail_limit(&agent(1), Some(2_000_000)).unwrap();
        db.begin_probe(&agent(1), now()).unwrap();
        assert_eq!(climb(&mut db, usize::MAX, 0).len(), 2);
        assert_eq!(db.mail_limit(&agent(1)).unwrap(), Some(2_000_000));
    }

    #[test]
    fn test_mails_go_out_behind_everything_else() {
        let mut db = fleet(1);
        db.begin_probe(&agent(1), now()).unwrap();
        db.advance_probes(u64::MAX, now(), &mut Numbers::new(1)).unwrap();
        let message = Message::Command(Command::Ping(PingRequest::default()));
        let mail = NewMail {
            message: &message,
            id: MessageId::from_bytes([8; 16]),
            in_reply_to: None,
            package: None,
            priority: Priority::Bulk,
            created: later(1),
            expires: later(100),
            not_before: later(1),
        };
        let bulk = db.enqueue(&mail, &[agent(1)]).unwrap();
        let order: Vec<_> = db.due(later(2), 10).unwrap().iter().map(|due| due.outbox).collect();
        assert_eq!((order.len(), order[0]), (2, bulk));
    }
}

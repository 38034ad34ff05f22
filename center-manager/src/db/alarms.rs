//! What a person should look at: raised by the center or reported by an appliance, acknowledged by the operator.

use super::columns::{At, maybe_parsed, maybe_time, time};
use super::{Db, DbError};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::AgentId;
use rusqlite::{Connection, Row, params};

/// Open alarms that one appliance may have raised: those that there are, several times over. More are only filed as reports.
const REPORTED_MAX: u32 = 32;

/// Names an alarm; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct AlarmId(pub i64);

impl std::fmt::Display for AlarmId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for AlarmId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlarm<'a> {
    /// The appliance that it is about, if it is about one.
    pub agent: Option<&'a AgentId>,
    /// A word for it, such as `cloned`.
    pub kind: &'a str,
    /// Tells alarms of one kind apart, such as a serial number; mostly empty.
    pub subject: &'a str,
    /// What is wrong and what to do, for a person.
    pub description: &'a str,
    /// Since when.
    pub since: Timestamp,
    /// Whether the appliance itself raised it, and so will say when it is over.
    pub reported: bool,
}

/// One alarm as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    /// Its number.
    pub id: AlarmId,
    /// The appliance that it is about, if it is about one.
    pub agent: Option<AgentId>,
    /// A word for it.
    pub kind: String,
    /// Tells alarms of one kind apart.
    pub subject: String,
    /// What is wrong and what to do.
    pub description: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last raised.
    pub last: Timestamp,
    /// How often it was raised.
    pub count: u32,
    /// When a person took note of it.
    pub acknowledged: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: String,
    /// Since when it is over.
    pub over: Option<Timestamp>,
}

/// Raises an alarm, or counts it on the one that is open already. Answers whether it is news: opened now, or raised again
/// with other words.
pub(crate) fn raise(transaction: &Connection, alarm: &NewAlarm<'_>, now: Timestamp) -> Result<bool, DbError> {
    let (kind, subject, description) = (plain(alarm.kind), plain(alarm.subject), plain(alarm.description));
    let agent = alarm.agent.map(AgentId::as_str);
    if alarm.reported && is_full(transaction, agent, &kind, &subject)? {
        return Ok(false);
    }
    let news = transaction
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM alarm WHERE ifnull(agent, '') = ifnull(?1, '') AND kind = ?2
                                AND subject = ?3 AND description = ?4 AND over IS NULL)",
        )?
        .query_row(params![agent, kind, subject, description], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO alarm (agent, kind, subject, description, since, last, reported)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (ifnull(agent, ''), kind, subject) WHERE over IS NULL DO UPDATE
             SET count = count + 1, last = excluded.last, description = excluded.description,
                 acknowledged = CASE WHEN alarm.reported > excluded.reported THEN NULL ELSE acknowledged END,
                 reported = excluded.reported
             WHERE alarm.reported OR NOT excluded.reported",
        )?
        .execute(params![agent, kind, subject, description, At(alarm.since), At(now), alarm.reported])?;
    Ok(news)
}

/// What raised an alarm is gone. One that was never raised is left alone.
pub(crate) fn over(
    transaction: &Connection,
    agent: Option<&AgentId>,
    kind: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE alarm SET over = ?4 WHERE ifnull(agent, '') = ifnull(?1, '') AND kind = ?2 AND subject = ?3
             AND over IS NULL",
        )?
        .execute(params![agent.map(AgentId::as_str), plain(kind), plain(subject), At(now)])?;
    Ok(())
}

/// Ends an open alarm that the appliance itself raised. What the center says about it is not the appliance's to end.
pub(crate) fn told_over(
    transaction: &Connection,
    agent: &AgentId,
    kind: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE alarm SET over = ?3 WHERE agent = ?1 AND kind = ?2 AND subject = '' AND over IS NULL AND reported",
        )?
        .execute(params![agent.as_str(), plain(kind), At(now)])?;
    Ok(())
}

/// Whether an appliance has raised as many alarms as are listed of one, and this is a further one.
fn is_full(
    transaction: &Connection,
    agent: Option<&str>,
    kind: &str,
    subject: &str,
) -> Result<bool, DbError> {
    Ok(transaction
        .prepare_cached(
            "SELECT count(*) >= ?4 AND NOT max(kind = ?2 AND subject = ?3) FROM alarm
             WHERE ifnull(agent, '') = ifnull(?1, '') AND over IS NULL AND reported",
        )?
        .query_row(params![agent, kind, subject, REPORTED_MAX], |row| {
            Ok(row.get::<_, Option<bool>>(0)?.unwrap_or(false))
        })?)
}

fn read_alarm(row: &Row<'_>) -> rusqlite::Result<Alarm> {
    Ok(Alarm {
        id: AlarmId(row.get(0)?),
        agent: maybe_parsed(row, 1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        description: row.get(4)?,
        since: time(row, 5)?,
        last: time(row, 6)?,
        count: row.get(7)?,
        acknowledged: maybe_time(row, 8)?,
        acknowledged_by: row.get(9)?,
        over: maybe_time(row, 10)?,
    })
}

impl Db {
    /// Raises an alarm in a transaction of its own; whether it is news.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn raise_alarm(&mut self, alarm: &NewAlarm<'_>, now: Timestamp) -> Result<bool, DbError> {
        self.write(|transaction| raise(transaction, alarm, now))
    }

    /// Ends an alarm in a transaction of its own.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn end_alarm(
        &mut self,
        agent: Option<&AgentId>,
        kind: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.write(|transaction| over(transaction, agent, kind, subject, now))
    }

    /// Alarms, oldest first: those that nobody has taken note of, or all; of one appliance, or of all.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn alarms(&self, agent: Option<&AgentId>, all: bool) -> Result<Vec<Alarm>, DbError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, agent, kind, subject, description, since, last, count, acknowledged, acknowledged_by, over
             FROM alarm WHERE (?1 IS NULL OR agent = ?1) AND (?2 OR (over IS NULL AND acknowledged IS NULL))
             ORDER BY id",
        )?;
        let rows = statement.query_map(params![agent.map(AgentId::as_str), all], read_alarm)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A person takes note of an alarm. One that the center raised by itself is over with that, and is raised anew when
    /// it happens again; one that an appliance reported stays open until the appliance says that it is over.
    ///
    /// # Errors
    /// [`DbError::NoSuchAlarm`] or [`DbError::Sql`].
    pub fn acknowledge_alarm(&mut self, id: AlarmId, by: &str, now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            let found = transaction.execute(
                "UPDATE alarm SET acknowledged = ?2, acknowledged_by = ?3,
                     over = CASE WHEN reported THEN over ELSE ifnull(over, ?2) END
                 WHERE id = ?1",
                params![id.0, At(now), plain(by)],
            )?;
            if found == 0 { Err(DbError::NoSuchAlarm { number: id.0 }) } else { Ok(()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{agent, fleet, later, now};

    fn cloned<'a>(agent: &'a AgentId, description: &'a str) -> NewAlarm<'a> {
        NewAlarm {
            agent: Some(agent),
            kind: "cloned",
            subject: "",
            description,
            since: now(),
            reported: false,
        }
    }

    #[test]
    fn what_is_raised_again_is_counted_and_not_listed_twice() {
        let mut db = fleet(2);
        let (one, two) = (agent(1), agent(2));
        assert!(db.raise_alarm(&cloned(&one, "two boxes"), now()).unwrap());
        assert!(!db.raise_alarm(&cloned(&one, "two boxes"), later(5)).unwrap());
        assert!(db.raise_alarm(&cloned(&two, "two boxes"), later(6)).unwrap());
        let alarms = db.alarms(Some(&one), false).unwrap();
        assert_eq!((alarms.len(), alarms[0].count, alarms[0].last), (1, 2, later(5)));
        assert_eq!(db.alarms(None, false).unwrap().len(), 2);
    }

    #[test]
    fn an_alarm_of_the_center_ends_with_the_operators_word_and_comes_again_when_it_happens_again() {
        let mut db = fleet(1);
        let one = agent(1);
        db.raise_alarm(&cloned(&one, "two boxes"), now()).unwrap();
        let id = db.alarms(None, false).unwrap()[0].id;
        db.acknowledge_alarm(id, "kim", later(60)).unwrap();
        assert!(db.alarms(None, false).unwrap().is_empty());
        let kept = &db.alarms(None, true).unwrap()[0];
        assert_eq!((kept.over, kept.acknowledged_by.as_str()), (Some(later(60)), "kim"));
        assert!(db.raise_alarm(&cloned(&one, "two boxes"), later(70)).unwrap());
        assert_eq!(db.alarms(None, false).unwrap().len(), 1);
        assert!(matches!(
            db.acknowledge_alarm(AlarmId(99), "kim", now()),
            Err(DbError::NoSuchAlarm { number: 99 })
        ));
    }

    #[test]
    fn an_alarm_of_an_appliance_stays_open_until_it_says_that_it_is_over() {
        let mut db = fleet(1);
        let one = agent(1);
        let clock = NewAlarm { kind: "clock-wrong", reported: true, ..cloned(&one, "ten years ahead") };
        db.raise_alarm(&clock, now()).unwrap();
        let id = db.alarms(None, false).unwrap()[0].id;
        db.acknowledge_alarm(id, "kim", later(1)).unwrap();
        assert!(!db.raise_alarm(&clock, later(2)).unwrap(), "still the same one");
        assert_eq!(db.alarms(None, true).unwrap()[0].over, None);
        db.end_alarm(Some(&one), "clock-wrong", "", later(3)).unwrap();
        assert_eq!(db.alarms(None, true).unwrap()[0].over, Some(later(3)));
    }
}

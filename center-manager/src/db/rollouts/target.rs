//! How a target stands in its row. What its table, its plan and its counts look at has a column; what few targets have
//! stands together as JSON ([`Seldom`]).

use crate::db::DbError;
use crate::db::columns::{At, Id, json, maybe_time, time};
use crate::rollout::retrying::Tried;
use crate::rollout::{
    Answer, Ask, Failure, Finding, Order, PartsSent, Progress, RolloutId, Target, TargetState, Transport,
    Verdict,
};
use jiff::Timestamp;
use mailfmt::{AgentId, MessageId, Nonce};
use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, ToSql};
use serde::{Deserialize, Serialize};

/// The columns of a target's state, as they are read and written, from the verdict's mark on; then `?3` and the following.
macro_rules! state_columns {
    () => {
        "mark, decided, failure, wave, attempt, first_ordered, newest_report, nonces,
         finding, answer_created, answer_received, answer_asked,
         order_message, order_at, order_way, order_accepted, order_heard, order_words,
         progress, progress_at, progress_created, progress_words,
         ask_message, ask_nonce, ask_at, ask_way, ask_accepted, ask_heard, ask_words, seldom,
         mails, order_settle_secs, order_mail_delay_secs"
    };
}
macro_rules! state_values {
    () => {
        "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
         ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35"
    };
}
/// The columns that [`read`] wants, in their order.
macro_rules! target_columns {
    () => {
        concat!("agent, ", $crate::db::rollouts::target::state_columns!())
    };
}
pub(super) use {state_columns, target_columns};

/// What few targets have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Seldom {
    #[serde(skip_serializing_if = "is_default")]
    removed: bool,
    #[serde(skip_serializing_if = "is_default")]
    suspended: bool,
    #[serde(skip_serializing_if = "is_default")]
    whole: bool,
    #[serde(skip_serializing_if = "is_default")]
    parts: Option<PartsSent>,
    #[serde(skip_serializing_if = "is_default")]
    recalled: Option<Timestamp>,
    /// But for its mails, which every target has.
    #[serde(skip_serializing_if = "is_default")]
    tried: Tried,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a new target.
pub(super) fn insert(connection: &Connection, id: RolloutId, target: &Target) -> Result<(), DbError> {
    let sql = concat!(
        "INSERT INTO rollout_target (rollout, agent, ",
        state_columns!(),
        ") VALUES (?1, ?2, ",
        state_values!(),
        ")"
    );
    write(connection, sql, id, target)
}

/// Writes the state of a target that is there.
pub(super) fn update(connection: &Connection, id: RolloutId, target: &Target) -> Result<(), DbError> {
    let sql = concat!(
        "UPDATE rollout_target SET (",
        state_columns!(),
        ") = (",
        state_values!(),
        ") WHERE rollout = ?1 AND agent = ?2"
    );
    write(connection, sql, id, target)
}

fn write(connection: &Connection, sql: &str, id: RolloutId, target: &Target) -> Result<(), DbError> {
    // Named one by one, so that a further field is not forgotten here.
    let Target {
        agent,
        wave,
        attempt,
        first_ordered,
        nonces,
        newest_report,
        answer,
        removed,
        suspended,
        whole,
        tried,
        state: _,
    } = target;
    let (order, ask) = target.mails();
    let (mark, decided, failure) = match &target.state {
        TargetState::Planned | TargetState::Ordered { .. } | TargetState::Asked { .. } => {
            ("pending", None, None)
        }
        TargetState::Decided { verdict: Verdict::Updated, at, .. } => ("updated", Some(At(*at)), None),
        TargetState::Decided { verdict: Verdict::Failed { failure }, at, .. } => {
            ("failed", Some(At(*at)), Some(super::text(failure)?))
        }
    };
    let nonces: Vec<u8> = nonces.iter().flat_map(Nonce::as_bytes).copied().collect();
    let finding = answer.as_ref().map(|answer| match &answer.finding {
        Finding::Same => Ok(SAME.to_owned()),
        finding => super::text(finding),
    });
    let seldom = Seldom {
        removed: *removed,
        suspended: *suspended,
        whole: *whole,
        parts: order.and_then(|order| order.parts),
        recalled: order.and_then(|order| order.recalled),
        tried: Tried { mails: 0, ..tried.clone() },
    };
    let seldom = if is_default(&seldom) { None } else { Some(super::text(&seldom)?) };
    let order_way = order.map(|order| Way::of(&order.transport));
    let ask_way = ask.map(|ask| Way::of(&ask.transport));
    let said = order.map(|order| Said::of(&order.progress)).unwrap_or_default();
    let values: [&dyn ToSql; 35] = [
        &id.0,
        &agent.as_str(),
        &mark,
        &decided,
        &failure,
        wave,
        attempt,
        &first_ordered.map(At),
        &newest_report.map(At),
        &nonces,
        &finding.transpose()?,
        &answer.as_ref().map(|answer| At(answer.created)),
        &answer.as_ref().map(|answer| At(answer.received)),
        &answer.as_ref().map(|answer| answer.asked),
        &order.map(|order| Id::of(&order.message)),
        &order.map(|order| At(order.at)),
        &order_way.map(|way| way.word),
        &order_way.and_then(|way| way.accepted),
        &order_way.and_then(|way| way.heard),
        &order_way.and_then(|way| way.words),
        &said.word,
        &said.at,
        &said.created,
        &said.words,
        &ask.map(|ask| Id::of(&ask.message)),
        &ask.map(|ask| Id(*ask.nonce.as_bytes())),
        &ask.map(|ask| At(ask.at)),
        &ask_way.map(|way| way.word),
        &ask_way.and_then(|way| way.accepted),
        &ask_way.and_then(|way| way.heard),
        &ask_way.and_then(|way| way.words),
        &seldom,
        &tried.mails,
        &order.and_then(|order| order.settle_secs),
        &order.and_then(|order| order.mail_delay_secs),
    ];
    connection.prepare_cached(sql)?.execute(values.as_slice())?;
    Ok(())
}

/// Reads a target whose columns ([`target_columns`]) begin at `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Target> {
    let agent = read_agent(row, first)?;
    let seldom = match row.get_ref(first + 30)? {
        ValueRef::Null => Seldom::default(),
        _ => json(row, first + 30)?,
    };
    let order = match maybe_id(row, first + 13)? {
        None => None,
        Some(message) => Some(Order {
            message: MessageId::from_bytes(message),
            at: time(row, first + 14)?,
            transport: read_way(row, first + 15)?,
            progress: read_said(row, first + 19)?,
            parts: seldom.parts,
            recalled: seldom.recalled,
            settle_secs: row.get(first + 32)?,
            mail_delay_secs: row.get(first + 33)?,
        }),
    };
    let ask = match maybe_id(row, first + 23)? {
        None => None,
        Some(message) => Some(Ask {
            message: MessageId::from_bytes(message),
            nonce: Nonce::from_bytes(row.get::<_, Id>(first + 24)?.0),
            at: time(row, first + 25)?,
            transport: read_way(row, first + 26)?,
        }),
    };
    let verdict = match maybe_str(row, first + 1)? {
        Some("updated") => Some(Verdict::Updated),
        Some("failed") => Some(json::<Failure>(row, first + 3)?.into()),
        _ => None,
    };
    let state = match (verdict, order, ask) {
        (Some(verdict), order, ask) => {
            TargetState::Decided { order, ask, verdict, at: time(row, first + 2)? }
        }
        (None, Some(order), Some(ask)) => TargetState::Asked { order, ask },
        (None, Some(order), None) => TargetState::Ordered { order },
        (None, None, _) => TargetState::Planned,
    };
    let answer = match maybe_str(row, first + 9)? {
        None => None,
        Some(finding) => Some(Answer {
            finding: if finding == SAME { Finding::Same } else { json(row, first + 9)? },
            created: time(row, first + 10)?,
            received: time(row, first + 11)?,
            asked: row.get(first + 12)?,
        }),
    };
    Ok(Target {
        agent,
        wave: row.get(first + 4)?,
        attempt: row.get(first + 5)?,
        first_ordered: maybe_time(row, first + 6)?,
        newest_report: maybe_time(row, first + 7)?,
        nonces: read_nonces(row, first + 8)?,
        answer,
        removed: seldom.removed,
        suspended: seldom.suspended,
        whole: seldom.whole,
        tried: Tried { mails: row.get(first + 31)?, ..seldom.tried },
        state,
    })
}

/// An answer that finds nothing different: by far the most.
const SAME: &str = "same";

/// A [`Transport`] in its columns.
#[derive(Debug, Clone, Copy)]
struct Way<'a> {
    word: &'static str,
    accepted: Option<At>,
    heard: Option<At>,
    words: Option<&'a str>,
}

impl<'a> Way<'a> {
    fn of(transport: &'a Transport) -> Self {
        let way = |word, accepted: Option<Timestamp>, heard: Option<Timestamp>, words| Self {
            word,
            accepted: accepted.map(At),
            heard: heard.map(At),
            words,
        };
        match transport {
            Transport::Queued { since } => way("queued", None, Some(*since), None),
            Transport::Accepted { at } => way("accepted", Some(*at), None, None),
            Transport::Delayed { accepted, reason } => way("delayed", Some(*accepted), None, Some(reason)),
            Transport::Bounced { at, reason } => way("bounced", None, Some(*at), Some(reason)),
            Transport::Heard { accepted, at } => way("heard", Some(*accepted), Some(*at), None),
        }
    }
}

fn read_way(row: &Row<'_>, first: usize) -> rusqlite::Result<Transport> {
    let accepted = || time(row, first + 1);
    let heard = || time(row, first + 2);
    Ok(match maybe_str(row, first)? {
        Some("accepted") => Transport::Accepted { at: accepted()? },
        Some("heard") => Transport::Heard { accepted: accepted()?, at: heard()? },
        Some("delayed") => Transport::Delayed { accepted: accepted()?, reason: row.get(first + 3)? },
        Some("bounced") => Transport::Bounced { at: heard()?, reason: row.get(first + 3)? },
        _ => Transport::Queued { since: heard()? },
    })
}

/// A [`Progress`] in its columns.
#[derive(Debug, Clone, Copy, Default)]
struct Said<'a> {
    word: Option<&'static str>,
    at: Option<At>,
    created: Option<At>,
    words: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn of(progress: &'a Progress) -> Self {
        let (word, at, created, words) = match progress {
            Progress::Ordered => return Self::default(),
            Progress::Waiting { reason, at } => ("waiting", at, None, Some(reason.as_str())),
            Progress::InstalledSaid { at, created } => ("installed-said", at, Some(At(*created)), None),
            Progress::Refused { reason, at } => ("refused", at, None, Some(reason.as_str())),
            Progress::Undone { reason, at } => ("undone", at, None, Some(reason.as_str())),
        };
        Self { word: Some(word), at: Some(At(*at)), created, words }
    }
}

fn read_said(row: &Row<'_>, first: usize) -> rusqlite::Result<Progress> {
    let at = || time(row, first + 1);
    let reason = || row.get(first + 3);
    Ok(match maybe_str(row, first)? {
        Some("waiting") => Progress::Waiting { reason: reason()?, at: at()? },
        Some("installed-said") => Progress::InstalledSaid { at: at()?, created: time(row, first + 2)? },
        Some("refused") => Progress::Refused { reason: reason()?, at: at()? },
        Some("undone") => Progress::Undone { reason: reason()?, at: at()? },
        _ => Progress::Ordered,
    })
}

fn read_nonces(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Nonce>> {
    let octets = from_sql(column, row.get_ref(column)?.as_blob())?;
    let (nonces, _) = octets.as_chunks();
    Ok(nonces.iter().copied().map(Nonce::from_bytes).collect())
}

/// The appliance of a row, without a copy on the way.
pub(super) fn read_agent(row: &Row<'_>, column: usize) -> rusqlite::Result<AgentId> {
    let text = from_sql(column, row.get_ref(column)?.as_str())?;
    AgentId::new(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn maybe_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<[u8; 16]>> {
    Ok(row.get::<_, Option<Id>>(column)?.map(|id| id.0))
}

fn maybe_str<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    from_sql(column, row.get_ref(column)?.as_str_or_null())
}

fn from_sql<T>(column: usize, result: FromSqlResult<T>) -> rusqlite::Result<T> {
    result.map_err(|error: FromSqlError| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Null, Box::new(error))
    })
}

#[cfg(test)]
mod tests;

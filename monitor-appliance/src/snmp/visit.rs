//! One visit to one device: requests one after the other, within bounds.

mod known;

use super::acquaintance::Acquaintance;
use super::columns::{self, Ask, Cell, Columns};
use super::layout::{Layout, binding_octets};
use super::plan::{self, COLUMNS_MAX, PartPlan};
use super::wish::{Manner, Wish, Wishes};
use super::{Depth, ReadLimits};
use crate::device::{Oid, Part, Value, Walk};
use async_snmp::{Client, ErrorKind, ErrorStatus, UdpHandle, Version};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio::time::{Instant, timeout_at};

/// Unanswered requests in a row after which the rest of a visit is given up.
const SILENCES_MAX: u32 = 2;

/// Single objects of a profile that are asked for in one request.
const SCALARS_AT_ONCE: usize = 32;

/// Times that what is wanted may grow by what was answered.
const WISH_ROUNDS_MAX: usize = 3;

/// Octets of variables that any device can send (RFC 3417 section 3.2: messages of 484 octets), and that none is asked for more of,
/// so that an answer is one packet.
const ROOM: std::ops::RangeInclusive<usize> = 400..=1_200;

/// What a visit is for.
pub(super) enum Errand<'a> {
    /// Walks the parts.
    Walk(&'static [PartPlan]),
    /// Asks who the device is, in its maker's own objects, too.
    Who,
    /// Walks everything, and what is wanted beyond.
    Everything,
    /// Asks a device that may be known for what it is known to have.
    Known { depth: Depth, acquaintance: &'a mut Acquaintance, now: Timestamp },
}

/// Why a visit ended before its last part.
pub(super) enum Stop {
    /// No more answers came, or the time was over.
    Silent,
    /// The device or the credential says no.
    Refused(Box<async_snmp::Error>),
}

/// What a request came to, when not an answer.
enum Miss {
    /// No answer in time.
    Silent,
    /// The visit's time or its number of requests is used up.
    Spent(&'static str),
    /// The answer does not fit; ask for less.
    TooBig,
    /// SNMPv1: something asked for is not there.
    NoSuchName,
    /// Anything else; the text is for a person.
    Other(String),
    /// The credential is not accepted.
    Refused(Box<async_snmp::Error>),
}

impl Miss {
    fn reason(self) -> Result<String, Box<async_snmp::Error>> {
        Ok(match self {
            Self::Refused(source) => return Err(source),
            Self::Silent => "no answer".to_owned(),
            Self::Spent(what) => what.to_owned(),
            Self::TooBig => "the device cannot send even a single object".to_owned(),
            Self::NoSuchName => "noSuchName".to_owned(),
            Self::Other(text) => text,
        })
    }
}

/// A question: the objects, and by which operation.
enum Question {
    Get,
    Next,
    Bulk { once: u32, repetitions: u32 },
}

pub(super) struct Visit<'a> {
    client: &'a Client<UdpHandle>,
    limits: &'a ReadLimits,
    wishes: &'a dyn Wishes,
    deadline: Instant,
    /// Further requests, repetitions not counted.
    requests_left: u32,
    /// Further requests of this hour, repetitions counted.
    budget_left: u32,
    /// Requests that were sent, repetitions counted.
    sent: u32,
    silences: u32,
    /// What the device can send at once, as far as is known.
    cells: u32,
    /// Octets of variables of the largest answer.
    room: usize,
    /// Something went wrong that may be otherwise at the next visit.
    incomplete: bool,
    manner: Manner,
    /// What must not be asked for.
    skip: Vec<Oid>,
    walk: Walk,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        client: &'a Client<UdpHandle>,
        limits: &'a ReadLimits,
        wishes: &'a dyn Wishes,
        deadline: Instant,
        budget_left: u32,
    ) -> Self {
        Self {
            client,
            limits,
            wishes,
            deadline,
            requests_left: limits.requests,
            budget_left,
            sent: 0,
            silences: 0,
            cells: columns::CELLS_MAX,
            room: *ROOM.start(),
            incomplete: false,
            manner: Manner::default(),
            skip: Vec::new(),
            walk: Walk::default(),
        }
    }

    /// What was read, how it ended, and how many requests were sent.
    pub(super) async fn run(mut self, errand: &mut Errand<'_>) -> (Walk, Result<(), Stop>, u32) {
        let outcome = match errand {
            Errand::Walk(parts) => self.read_parts(parts).await,
            Errand::Who => self.read_who().await,
            Errand::Everything => self.read_everything().await.map(drop),
            Errand::Known { depth, acquaintance, now } => self.read_known(*depth, acquaintance, *now).await,
        };
        (self.walk, outcome, self.sent)
    }

    /// Walks everything; gives what was wanted beyond the standard.
    async fn read_everything(&mut self) -> Result<Wish, Stop> {
        let (who, rest) = plan::FULL.split_at(1);
        self.read_parts(who).await?;
        let wish = self.wishes.wish(&self.walk);
        self.treat(wish.manner);
        self.skip = wish.skip;
        self.read_parts(rest).await?;
        self.read_wish(|wish| wish).await
    }

    /// Reads who the device is, in its maker's own objects, too.
    async fn read_who(&mut self) -> Result<(), Stop> {
        let (who, rest) = plan::IDENTITY.split_at(1);
        self.read_parts(who).await?;
        let wish = self.wishes.wish(&self.walk);
        self.treat(wish.manner);
        self.skip = wish.skip;
        self.read_parts(rest).await?;
        self.read_wish(Wish::of_identity).await.map(drop)
    }

    /// Treats the device so from now on.
    fn treat(&mut self, manner: Manner) {
        self.manner = manner;
        self.cells = self.cells.min(manner.objects_per_request.unwrap_or(u32::MAX)).max(1);
    }

    /// What is wanted beyond the standard tables; it may become more as the device answers.
    async fn read_wish(&mut self, part: fn(Wish) -> Wish) -> Result<Wish, Stop> {
        let mut asked = BTreeSet::new();
        let mut wish = part(self.wishes.wish(&self.walk));
        for _ in 0..WISH_ROUNDS_MAX {
            let mut fresh = |objects: &[Oid], walk: &Walk| -> Vec<Oid> {
                let touches = |oid: &Oid, other: &Oid| {
                    oid.arcs().starts_with(other.arcs()) || other.arcs().starts_with(oid.arcs())
                };
                let unknown = |oid: &&Oid| {
                    let skipped = wish.skip.iter().any(|skip| touches(oid, skip));
                    !oid.arcs().is_empty() && !skipped && walk.get(oid.arcs()).is_none()
                };
                let room = Wish::OBJECTS_MAX.saturating_sub(asked.len());
                let fresh = objects.iter().filter(unknown).take(room);
                fresh.filter(|oid| asked.insert((*oid).clone())).cloned().collect()
            };
            let (scalars, columns) = (fresh(&wish.scalars, &self.walk), fresh(&wish.columns, &self.walk));
            if scalars.is_empty() && columns.is_empty() {
                break;
            }
            let mut outcome = self.read_scalars(&scalars).await;
            for some in columns.chunks(COLUMNS_MAX) {
                if outcome.is_ok() {
                    let some: Vec<&[u32]> = some.iter().map(Oid::arcs).collect();
                    outcome = self.read_columns(&some, None).await;
                }
            }
            if let Err(miss) = outcome {
                self.fail(Part::Vendor, miss)?;
                break;
            }
            wish = part(self.wishes.wish(&self.walk));
        }
        Ok(wish)
    }

    /// Single objects, those that are there.
    async fn read_scalars(&mut self, scalars: &[Oid]) -> Result<(), Miss> {
        let mut left = scalars;
        let mut width = SCALARS_AT_ONCE;
        while !left.is_empty() {
            width = width.min(left.len()).min(usize::try_from(self.cells).unwrap_or(usize::MAX)).max(1);
            let some = &left[..width];
            // SNMPv1 refuses all of them when one is not there; asked from just before, none is.
            let (question, starts) = if self.client.version() == Version::V1 {
                (Question::Next, some.iter().map(super::look::just_before).collect())
            } else {
                (Question::Get, some.to_vec())
            };
            match self.exchange(&question, &starts).await {
                Ok(cells) => {
                    for (oid, cell) in cells {
                        if let Cell::Value(value) = cell
                            && some.contains(&oid)
                        {
                            self.walk.insert(oid, value);
                        }
                    }
                    left = &left[width..];
                }
                Err(Miss::TooBig) if width > 1 => width /= 2,
                Err(Miss::NoSuchName | Miss::TooBig) if width == 1 => left = &left[1..],
                Err(Miss::NoSuchName) => width = 1,
                Err(miss) => return Err(miss),
            }
        }
        Ok(())
    }

    async fn read_parts(&mut self, parts: &[PartPlan]) -> Result<(), Stop> {
        for (at, part) in parts.iter().enumerate() {
            let Err(miss) = self.read_columns(part.columns, part.rows).await else { continue };
            if let Err(stop) = self.fail(part.part, miss) {
                for rest in &parts[at + 1..] {
                    self.walk.fail(rest.part, self.why_given_up());
                }
                return Err(stop);
            }
        }
        Ok(())
    }

    fn is_spent(&self) -> bool {
        self.requests_left == 0 || self.budget_left <= self.limits.retries || Instant::now() >= self.deadline
    }

    fn why_given_up(&self) -> &'static str {
        if self.is_spent() { "time was over" } else { "the device stopped answering" }
    }

    /// Notes that a part could not be read.
    ///
    /// # Errors
    /// [`Stop`] when the others need not be tried.
    fn fail(&mut self, part: Part, miss: Miss) -> Result<(), Stop> {
        let reason = miss.reason().map_err(Stop::Refused)?;
        self.walk.fail(part, reason);
        let silent = self.silences >= SILENCES_MAX || (self.silences > 0 && self.walk.is_empty());
        if silent || self.is_spent() { Err(Stop::Silent) } else { Ok(()) }
    }

    async fn read_columns(&mut self, wanted: &[&[u32]], rows: Option<usize>) -> Result<(), Miss> {
        let first_only = rows.is_some();
        let rows = rows.unwrap_or(self.limits.rows).min(self.limits.rows);
        let repetitions = if self.is_next_only() { 1 } else { self.repetitions() };
        let wanted: Vec<&[u32]> = wanted.iter().copied().filter(|column| self.may_ask(column)).collect();
        let mut columns = Columns::new(&wanted, rows, first_only, repetitions, self.cells);
        while let Some(ask) = columns.next_ask() {
            match self.ask(&ask).await {
                Ok(cells) => {
                    self.silences = 0;
                    columns.take(&ask, cells, &mut self.walk);
                }
                Err(Miss::TooBig) if columns.ask_for_less(&ask) => self.cells = columns.cells(),
                Err(Miss::NoSuchName) => columns.not_there(&ask),
                Err(miss) => {
                    self.incomplete = true;
                    return Err(miss);
                }
            }
        }
        columns.refusal().map_or(Ok(()), |refusal| Err(Miss::Other(refusal.to_string())))
    }

    fn may_ask(&self, object: &[u32]) -> bool {
        let touches = |skip: &Oid| object.starts_with(skip.arcs()) || skip.arcs().starts_with(object);
        !self.skip.iter().any(touches)
    }

    fn repetitions(&self) -> u32 {
        let most = self.manner.max_repetitions.unwrap_or(u32::MAX);
        self.limits.max_repetitions.min(most).max(1)
    }

    /// Whether GETBULK is out of the question.
    fn is_next_only(&self) -> bool {
        self.client.version() == Version::V1
            || self.manner.no_bulk
            || self.manner.objects_per_request == Some(1)
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Vec<(Oid, Cell)>, Miss> {
        let starts: Vec<Oid> = ask.starts.iter().map(|(_, start)| start.clone()).collect();
        let question = if self.is_next_only() {
            Question::Next
        } else {
            Question::Bulk { once: 0, repetitions: ask.repetitions }
        };
        self.exchange(&question, &starts).await
    }

    /// One request and its answer.
    async fn exchange(&mut self, question: &Question, starts: &[Oid]) -> Result<Vec<(Oid, Cell)>, Miss> {
        self.requests_left = self.requests_left.checked_sub(1).ok_or(Miss::Spent("too many requests"))?;
        if self.budget_left <= self.limits.retries {
            return Err(Miss::Spent("the requests of this hour are used up"));
        }
        if !self.manner.pause.is_zero() && self.sent > 0 {
            tokio::time::sleep_until(self.deadline.min(Instant::now() + self.manner.pause)).await;
        }
        let starts: Vec<async_snmp::Oid> =
            starts.iter().map(|start| async_snmp::Oid::from_slice(start.arcs())).collect();
        let exchange = async {
            match question {
                Question::Get => self.client.get_many(&starts).await.map(|response| response.varbinds),
                Question::Next => self.client.get_next_many(&starts).await.map(|response| response.varbinds),
                Question::Bulk { once, repetitions } => {
                    self.client.get_bulk(&starts, *once, *repetitions).await
                }
            }
        };
        let begun = Instant::now();
        // Boxed: the client's futures are so deep that a caller's would not compile around them.
        let answer = timeout_at(self.deadline, exchange.boxed()).await;
        self.count(begun.elapsed());
        match answer {
            Err(_) => {
                self.silences += 1;
                Err(Miss::Spent("time was over"))
            }
            Ok(Ok(varbinds)) => {
                let cells: Vec<(Oid, Cell)> = varbinds.into_iter().map(cell).collect();
                let octets = |(oid, cell): &(Oid, Cell)| match cell {
                    Cell::Value(value) => binding_octets(oid, value),
                    Cell::End => 0,
                };
                self.room = self.room.max(cells.iter().map(octets).sum()).min(*ROOM.end());
                Ok(cells)
            }
            Ok(Err(error)) => {
                let miss = miss(error);
                if matches!(miss, Miss::Silent) {
                    self.silences += 1;
                }
                Err(miss)
            }
        }
    }

    /// Counts a request; the client repeats it each time that its wait is over.
    fn count(&mut self, elapsed: std::time::Duration) {
        let wait = self.limits.request_timeout.as_millis().max(1);
        let repeated = u32::try_from(elapsed.as_millis() / wait).unwrap_or(u32::MAX);
        let sent = repeated.min(self.limits.retries).saturating_add(1);
        self.sent = self.sent.saturating_add(sent);
        self.budget_left = self.budget_left.saturating_sub(sent);
    }

    /// What a walk of everything has taught.
    fn learn(&self, acquaintance: &mut Acquaintance, wish: &Wish, now: Timestamp) {
        let learned = (!self.incomplete)
            .then(|| Layout::learn(&self.walk, wish, self.wishes.edition(), self.room, now))
            .flatten();
        acquaintance.learn(learned.as_ref());
        acquaintance.set_retries(wish.manner.retries);
    }
}

fn miss(error: Box<async_snmp::Error>) -> Miss {
    use async_snmp::Error;
    match error.exchange_source() {
        Error::Timeout { .. } => Miss::Silent,
        Error::Snmp { status: ErrorStatus::TooBig, .. } => Miss::TooBig,
        Error::Snmp { status: ErrorStatus::NoSuchName, .. } => Miss::NoSuchName,
        Error::Snmp { status: ErrorStatus::AuthorizationError | ErrorStatus::NoAccess, .. } => {
            Miss::Refused(error)
        }
        _ => match error.kind() {
            ErrorKind::Auth | ErrorKind::Report | ErrorKind::Closed => Miss::Refused(error),
            // An ICMP "port unreachable" is silence with a reason.
            ErrorKind::Network => Miss::Silent,
            _ => Miss::Other(error.to_string()),
        },
    }
}

fn cell(varbind: async_snmp::VarBind) -> (Oid, Cell) {
    use async_snmp::Value as Wire;
    let value = match varbind.value {
        Wire::Integer(number) => Value::Integer(i64::from(number)),
        Wire::Counter32(count) | Wire::Gauge32(count) | Wire::UInteger32(count) => {
            Value::Unsigned(u64::from(count))
        }
        Wire::Counter64(count) => Value::Unsigned(count),
        Wire::TimeTicks(ticks) => Value::Ticks(ticks),
        Wire::OctetString(octets) => Value::Octets(octets.to_vec()),
        Wire::ObjectIdentifier(oid) => Value::Oid(Oid::new(oid.arcs())),
        Wire::IpAddress(octets) => Value::Ip(octets),
        Wire::NoSuchObject | Wire::NoSuchInstance | Wire::EndOfMibView => {
            return (Oid::new(varbind.oid.arcs()), Cell::End);
        }
        _ => Value::Other,
    };
    (Oid::new(varbind.oid.arcs()), Cell::Value(value))
}

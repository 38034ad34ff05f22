//! Asks devices over SNMP: the thin shell between the network and [`crate::device`].
//!
//! What to ask stands in `plan`, how to follow a table in `columns`; both are pure. Here is only the socket: one
//! for all devices, one request at a time per device, every request and every visit with a time limit, and a bound
//! on everything a device can send. A part that fails is noted in the [`Walk`], the others are kept.

mod columns;
mod credential;
mod error;
mod plan;

pub use credential::{AuthProtocol, PrivacyProtocol, Secret, SnmpCredential, V3Auth, V3Privacy, V3User};
pub use error::ReadError;

use crate::device::{Oid, Value, Walk};
use async_snmp::{
    Client, EngineCache, ErrorKind, ErrorStatus, MasterKeys, Retry, UdpHandle, UdpTransport, Version,
};
use columns::{Cell, Columns};
use futures_util::FutureExt;
use plan::PartPlan;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Where a device is and how it lets itself be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceTarget {
    /// Host name or address, with `:port` where it is not 161; IPv6 in brackets.
    pub address: String,
    /// The credential.
    pub credential: SnmpCredential,
}

/// How long and how much one visit to a device may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Wait for one answer. Default 2 s.
    pub request_timeout: Duration,
    /// Repetitions of a request without an answer. Default 2: some printers need 2 to 5 s to wake up.
    pub retries: u32,
    /// Longest visit, all requests together. Default 30 s.
    pub deadline: Duration,
    /// Most requests in one visit, repetitions not counted. Default 300; a v2c visit takes about 15, one to a device
    /// that can send only a single object at once about 200.
    pub requests: u32,
    /// Most rows of any table. Default 256.
    pub rows: usize,
    /// GETBULK max-repetitions. Default 15: some devices fail at 25.
    pub max_repetitions: u32,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(2),
            retries: 2,
            deadline: Duration::from_secs(30),
            requests: 300,
            rows: crate::device::ROWS_MAX,
            max_repetitions: 15,
        }
    }
}

/// Most SNMPv3 users whose keys are kept; each costs 1 MB of hashing to derive again.
const KEYS_MAX: usize = 64;

/// Unanswered requests in a row after which the rest of a visit is given up.
const SILENCES_MAX: u32 = 2;

/// Reads any number of devices over one socket. Cheap to share behind an [`Arc`].
pub struct SnmpReader {
    transport: UdpTransport,
    engines: Arc<EngineCache>,
    keys: Mutex<Vec<(V3User, MasterKeys)>>,
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl SnmpReader {
    /// Opens the socket: for IPv6 and IPv4 where the machine has both, else for IPv4.
    ///
    /// # Errors
    /// [`ReadError::Socket`] if neither can be opened.
    pub async fn bind() -> Result<Self, ReadError> {
        let transport = match UdpTransport::bind("[::]:0").await {
            Ok(transport) => transport,
            Err(_) => UdpTransport::bind("0.0.0.0:0").await.map_err(|source| ReadError::Socket { source })?,
        };
        Ok(Self {
            transport,
            engines: Arc::new(EngineCache::new()),
            keys: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    /// Reads everything of a device: identity, counters, supplies, trays, alerts, status, host resources.
    ///
    /// # Errors
    /// [`ReadError`] if nothing could be read; each variant says what to do. A device that gives only some parts is
    /// no error: see [`Walk::failed`].
    pub async fn read_full(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, &plan::FULL, limits).boxed().await
    }

    /// Reads what fault watching needs: uptime, status, error bits and the alert table, in about four requests.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_faults(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, &plan::FAULTS, limits).boxed().await
    }

    /// Asks whether somebody is there: the system group, in one request where the device can.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_greeting(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, &plan::GREETING, limits).boxed().await
    }

    /// Reads who a device is: vendor, model, serial number, hardware address, and what sort of device.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_identity(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, &plan::IDENTITY, limits).boxed().await
    }

    async fn visit(
        &self,
        target: &DeviceTarget,
        parts: &[PartPlan],
        limits: &ReadLimits,
    ) -> Result<Walk, ReadError> {
        let turn = self.turn(&target.address);
        let _turn = turn.lock().await;
        let deadline = Instant::now() + limits.deadline;
        let client = self.client(target, limits).await?;
        let by_user = matches!(target.credential, SnmpCredential::V3(_));
        let engine_known = by_user && self.engines.get(&client.peer_addr()).is_some();
        let (mut walk, mut outcome) = Visit::new(&client, limits, deadline).read(parts).await;
        // Who asks without repetition wants to be refused once at most.
        let again = engine_known && limits.retries > 0;
        if again && walk.is_empty() && matches!(outcome, Err(Stop::Silent)) {
            // A device whose SNMPv3 engine has changed (new board, reset) is silent to the old one: ask for it anew.
            self.engines.remove(&client.peer_addr());
            let client = self.client(target, limits).await?;
            (walk, outcome) = Visit::new(&client, limits, deadline).read(parts).await;
        }
        match outcome {
            Err(Stop::Refused(source)) => Err(ReadError::of_refusal(&target.address, source)),
            _ if !walk.is_empty() => Ok(walk),
            Ok(()) => Err(ReadError::of_empty(&target.address, &walk)),
            // It told its SNMPv3 engine and then nothing: it is there and does not like the user.
            Err(Stop::Silent) if by_user && self.engines.remove(&client.peer_addr()).is_some() => {
                Err(ReadError::AuthenticationFailed { address: target.address.clone(), source: None })
            }
            Err(Stop::Silent) => {
                let waited = limits.request_timeout.saturating_mul(limits.retries.saturating_add(1));
                Err(ReadError::NoAnswer {
                    address: target.address.clone(),
                    waited: waited.min(limits.deadline),
                })
            }
        }
    }

    /// The turn of this device: one outstanding request per device, whoever asks.
    fn turn(&self, address: &str) -> Arc<tokio::sync::Mutex<()>> {
        // The same device, whether or not its port is written.
        let address = address.strip_suffix(":161").unwrap_or(address);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(address).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(address.to_owned(), Arc::downgrade(&turn));
        turn
    }

    async fn client(
        &self,
        target: &DeviceTarget,
        limits: &ReadLimits,
    ) -> Result<Client<UdpHandle>, ReadError> {
        let auth = self.auth(&target.credential)?;
        let retry =
            Retry::fixed(limits.retries.min(async_snmp::MAX_RETRIES), Duration::ZERO).unwrap_or_default();
        Client::builder(target.address.as_str(), auth)
            .request_timeout(limits.request_timeout)
            .construction_timeout(limits.deadline)
            .retry(retry)
            .max_oids_per_request(plan::COLUMNS_MAX)
            .engine_cache(Arc::clone(&self.engines))
            .build_with(&self.transport)
            .boxed()
            .await
            .map_err(|source| ReadError::BadAddress { address: target.address.clone(), source })
    }

    fn auth(&self, credential: &SnmpCredential) -> Result<async_snmp::Auth, ReadError> {
        let user = match credential {
            SnmpCredential::V1 { community } => {
                return Ok(async_snmp::Auth::v1(community.expose().to_owned()));
            }
            SnmpCredential::V2c { community } => {
                return Ok(async_snmp::Auth::v2c(community.expose().to_owned()));
            }
            SnmpCredential::V3(user) => user,
        };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = keys.iter().find(|(known, _)| known == user) {
            return user.config(Some(known.clone()));
        }
        let derived = user.master_keys()?;
        if let Some(derived) = &derived {
            if keys.len() >= KEYS_MAX {
                keys.remove(0);
            }
            keys.push((user.clone(), derived.clone()));
        }
        user.config(derived)
    }
}

impl std::fmt::Debug for SnmpReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnmpReader").field("local", &self.transport.local_addr()).finish_non_exhaustive()
    }
}

/// Why a visit ended before its last part.
enum Stop {
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

struct Visit<'a> {
    client: &'a Client<UdpHandle>,
    limits: &'a ReadLimits,
    deadline: Instant,
    requests_left: u32,
    silences: u32,
    /// What the device can send at once, as far as is known.
    cells: u32,
    walk: Walk,
}

impl<'a> Visit<'a> {
    fn new(client: &'a Client<UdpHandle>, limits: &'a ReadLimits, deadline: Instant) -> Self {
        let requests_left = limits.requests;
        Self {
            client,
            limits,
            deadline,
            requests_left,
            silences: 0,
            cells: columns::CELLS_MAX,
            walk: Walk::default(),
        }
    }

    async fn read(mut self, parts: &[PartPlan]) -> (Walk, Result<(), Stop>) {
        let outcome = self.read_parts(parts).await;
        (self.walk, outcome)
    }

    async fn read_parts(&mut self, parts: &[PartPlan]) -> Result<(), Stop> {
        for (at, part) in parts.iter().enumerate() {
            let Err(miss) = self.read_part(part).await else { continue };
            let reason = match miss {
                Miss::Refused(source) => return Err(Stop::Refused(source)),
                Miss::Silent => "no answer".to_owned(),
                Miss::Spent(what) => what.to_owned(),
                Miss::TooBig => "the device cannot send even a single object".to_owned(),
                Miss::NoSuchName => "noSuchName".to_owned(),
                Miss::Other(text) => text,
            };
            self.walk.fail(part.part, reason);
            let spent = self.requests_left == 0 || Instant::now() >= self.deadline;
            if spent || self.silences >= SILENCES_MAX || (self.silences > 0 && self.walk.is_empty()) {
                for rest in &parts[at + 1..] {
                    self.walk.fail(
                        rest.part,
                        if spent { "time was over" } else { "the device stopped answering" },
                    );
                }
                return Err(Stop::Silent);
            }
        }
        Ok(())
    }

    async fn read_part(&mut self, part: &PartPlan) -> Result<(), Miss> {
        let rows = part.rows.unwrap_or(self.limits.rows).min(self.limits.rows);
        let repetitions = if self.client.version() == Version::V1 { 1 } else { self.limits.max_repetitions };
        let mut columns = Columns::new(part.columns, rows, part.rows.is_some(), repetitions, self.cells);
        while let Some(ask) = columns.next_ask() {
            match self.request(&ask).await {
                Ok(cells) => {
                    self.silences = 0;
                    columns.take(&ask, cells, &mut self.walk);
                }
                Err(Miss::TooBig) if columns.ask_for_less(&ask) => self.cells = columns.cells(),
                Err(Miss::NoSuchName) => columns.not_there(&ask),
                Err(miss) => {
                    if matches!(miss, Miss::Silent) {
                        self.silences += 1;
                    }
                    return Err(miss);
                }
            }
        }
        columns.refusal().map_or(Ok(()), |refusal| Err(Miss::Other(refusal.to_string())))
    }

    async fn request(&mut self, ask: &columns::Ask) -> Result<Vec<(Oid, Cell)>, Miss> {
        self.requests_left = self.requests_left.checked_sub(1).ok_or(Miss::Spent("too many requests"))?;
        let starts: Vec<async_snmp::Oid> =
            ask.starts.iter().map(|(_, start)| async_snmp::Oid::from_slice(start.arcs())).collect();
        let exchange = async {
            if self.client.version() == Version::V1 {
                self.client.get_next_many(&starts).await.map(|response| response.varbinds)
            } else {
                self.client.get_bulk(&starts, 0, ask.repetitions).await
            }
        };
        // Boxed: the client's futures are so deep that a caller's would not compile around them.
        match timeout_at(self.deadline, exchange.boxed()).await {
            Err(_) => {
                self.silences += 1;
                Err(Miss::Spent("time was over"))
            }
            Ok(Ok(varbinds)) => Ok(varbinds.into_iter().map(cell).collect()),
            Ok(Err(error)) => Err(miss(error)),
        }
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

#[cfg(test)]
mod tests;

//! Asks devices over SNMP: the thin shell between the network and [`crate::device`].
//!
//! What to ask stands in `plan`, how to follow a table in `columns`; both are pure. Here is only the socket: one
//! for all devices, one request at a time per device, every request and every visit with a time limit, and a bound
//! on everything a device can send. A part that fails is noted in the [`Walk`], the others are kept.

mod acquaintance;
mod columns;
mod credential;
mod error;
mod layout;
mod look;
mod plan;
mod rehearsal;
mod traffic;
mod visit;
mod wish;

pub use acquaintance::Acquaintance;
pub use credential::{AuthProtocol, PrivacyProtocol, Secret, SnmpCredential, V3Auth, V3Privacy, V3User};
pub use error::ReadError;
pub use rehearsal::{Rehearsed, rehearse};
pub use traffic::Usage;
pub use wish::{Manner, NoWishes, Wish, Wishes};

use crate::device::Walk;
use async_snmp::{Client, EngineCache, MasterKeys, Retry, UdpHandle, UdpTransport};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;
use traffic::Traffic;
use visit::{Errand, Stop, Visit};

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
    /// Most requests that a device gets within an hour, repetitions and all visits counted; what would go beyond is put off.
    /// Default 1,200: one in three seconds on average.
    pub requests_per_hour: u32,
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
            requests_per_hour: 1_200,
        }
    }
}

/// Most SNMPv3 users whose keys are kept; each costs 1 MB of hashing to derive again.
const KEYS_MAX: usize = 64;

/// Most objects in one request.
const OBJECTS_AT_ONCE: u32 = 96;

/// How much a visit to a known device is to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether something is wrong.
    Faults,
    /// All that it tells.
    Everything,
}

/// Reads any number of devices over one socket. Cheap to share behind an [`Arc`].
pub struct SnmpReader {
    transport: UdpTransport,
    engines: Arc<EngineCache>,
    keys: Mutex<Vec<(V3User, MasterKeys)>>,
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    traffic: Mutex<Traffic>,
    begun: Instant,
    wishes: Arc<dyn Wishes>,
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
            traffic: Mutex::default(),
            begun: Instant::now(),
            wishes: Arc::new(NoWishes),
        })
    }

    /// Asks devices for what is wanted beyond the standard tables, too, and treats them as they have to be treated.
    #[must_use]
    pub fn with_wishes(mut self, wishes: Arc<dyn Wishes>) -> Self {
        self.wishes = wishes;
        self
    }

    /// Reads a device by what is known of it: a look for faults in one request, everything in a few. What is not known, or not so any
    /// more, is learned by a walk.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_known(
        &self,
        target: &DeviceTarget,
        limits: &ReadLimits,
        depth: Depth,
        acquaintance: &mut Acquaintance,
        now: Timestamp,
    ) -> Result<Walk, ReadError> {
        let retries = limits.retries.min(acquaintance.retries().unwrap_or(u32::MAX));
        let limits = ReadLimits { retries, ..*limits };
        self.visit(target, &limits, Errand::Known { depth, acquaintance, now }).boxed().await
    }

    /// Reads everything of a device: identity, counters, supplies, trays, alerts, status, host resources.
    ///
    /// # Errors
    /// [`ReadError`] if nothing could be read; each variant says what to do. A device that gives only some parts is
    /// no error: see [`Walk::failed`].
    pub async fn read_full(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, limits, Errand::Everything).boxed().await
    }

    /// Reads what fault watching needs: uptime, status, error bits and the alert table, in about four requests.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_faults(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, limits, Errand::Walk(plan::FAULTS)).boxed().await
    }

    /// Asks whether somebody is there: the system group, in one request where the device can.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_greeting(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, limits, Errand::Walk(plan::GREETING)).boxed().await
    }

    /// Reads who a device is: vendor, model, serial number, hardware address, and what sort of device.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_identity(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, limits, Errand::Who).boxed().await
    }

    /// Reads how a computer fares: memory, disks, load, programs that run, software that is installed.
    ///
    /// # Errors
    /// As [`Self::read_full`].
    pub async fn read_computer(&self, target: &DeviceTarget, limits: &ReadLimits) -> Result<Walk, ReadError> {
        self.visit(target, limits, Errand::Walk(plan::COMPUTER)).boxed().await
    }

    async fn visit(
        &self,
        target: &DeviceTarget,
        limits: &ReadLimits,
        mut errand: Errand<'_>,
    ) -> Result<Walk, ReadError> {
        let turn = self.turn(&target.address);
        let _turn = turn.lock().await;
        let deadline = Instant::now() + limits.deadline;
        let client = self.client(target, limits).await?;
        let budget = self.budget(&target.address, limits)?;
        let by_user = matches!(target.credential, SnmpCredential::V3(_));
        let engine_known = by_user && self.engines.get(&client.peer_addr()).is_some();
        let visit = Visit::new(&client, limits, &*self.wishes, deadline, budget);
        let (mut walk, mut outcome, mut sent) = visit.run(&mut errand).await;
        // Who asks without repetition wants to be refused once at most.
        let again = engine_known && limits.retries > 0;
        if again && walk.is_empty() && matches!(outcome, Err(Stop::Silent)) {
            // A device whose SNMPv3 engine has changed (new board, reset) is silent to the old one: ask for it anew.
            self.engines.remove(&client.peer_addr());
            let client = self.client(target, limits).await?;
            let visit = Visit::new(&client, limits, &*self.wishes, deadline, budget.saturating_sub(sent));
            let before = sent;
            (walk, outcome, sent) = visit.run(&mut errand).await;
            sent = sent.saturating_add(before);
        }
        // The question for the engine is one more request.
        let requests = sent.saturating_add(u32::from(by_user && !engine_known));
        self.note(&target.address, Usage { requests, ..Usage::default() });
        let result = match outcome {
            Err(Stop::Refused(source)) => Err(ReadError::of_refusal(&target.address, source)),
            _ if tells_standard_objects(&walk) => Ok(walk),
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
        };
        if matches!(result, Err(ReadError::AuthenticationFailed { .. })) {
            self.note(&target.address, Usage { refusals: 1, ..Usage::default() });
        }
        result
    }

    /// How many requests the device may still get within this hour.
    fn budget(&self, address: &str, limits: &ReadLimits) -> Result<u32, ReadError> {
        let left = {
            let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.left(plain(address), limits.requests_per_hour, self.minute())
        };
        if left > limits.retries {
            return Ok(left);
        }
        self.note(address, Usage { put_off: 1, ..Usage::default() });
        let address = address.to_owned();
        Err(ReadError::BudgetSpent { address, requests_per_hour: limits.requests_per_hour })
    }

    fn note(&self, address: &str, more: Usage) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.note(plain(address), more, self.minute());
    }

    fn minute(&self) -> u64 {
        self.begun.elapsed().as_secs() / 60
    }

    /// A device got this much before this reader was there; it counts as if it were now.
    pub fn recall(&self, address: &str, usage: Usage) {
        self.note(address, usage);
    }

    /// What a device got within the last hour, whoever asked.
    #[must_use]
    pub fn usage(&self, address: &str) -> Usage {
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.usage(plain(address), self.minute())
    }

    /// The turn of this device: one outstanding request per device, whoever asks.
    fn turn(&self, address: &str) -> Arc<tokio::sync::Mutex<()>> {
        let address = plain(address);
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
            .max_oids_per_request(OBJECTS_AT_ONCE as usize)
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

/// The same device, whether or not its port is written.
fn plain(address: &str) -> &str {
    address.strip_suffix(":161").unwrap_or(address)
}

/// Whether there is anything but makers' private objects: a device that tells only those answers at random.
fn tells_standard_objects(walk: &Walk) -> bool {
    /// `enterprises`, and the one of them that makes standards (PWG).
    const PRIVATE: [u32; 6] = [1, 3, 6, 1, 4, 1];
    const PWG: u32 = 2699;
    walk.iter().any(|(oid, _)| match oid.arcs().strip_prefix(&PRIVATE) {
        Some(below) => below.first() == Some(&PWG),
        None => true,
    })
}

#[cfg(test)]
mod tests;

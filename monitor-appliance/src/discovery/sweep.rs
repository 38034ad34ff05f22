//! Asks the addresses of a scan order: so many at the same time, so many a second, within one deadline.

use super::call::general_call;
use super::found::{FoundDevice, merge};
use super::order::{Round, ScanOrder, ScanTarget, attempts, is_excluded};
use crate::settings::SnmpAccess;
use crate::snmp::{DeviceTarget, ReadError, ReadLimits, SnmpCredential, SnmpReader};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use mailfmt::message::DeviceId;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanProgress {
    /// Addresses that were asked in this round.
    pub asked: usize,
    /// Addresses that are asked in this round.
    pub of: usize,
    /// Devices that answered so far.
    pub found: usize,
    /// First, or second for those that said nothing.
    pub round: Round,
}

/// What a scan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The devices, in order of their addresses, each once.
    pub found: Vec<FoundDevice>,
    /// Addresses at which somebody speaks SNMP and takes none of the credentials, in order.
    pub refused: Vec<String>,
    /// What went wrong with whole ranges, for a person.
    pub problems: Vec<String>,
    /// Addresses asked.
    pub asked: usize,
    /// Addresses left out since there were too many.
    pub left_out: u32,
    /// Whether all addresses were asked before the deadline.
    pub finished: bool,
}

/// Carries out a scan order. `credential` turns an access into what goes over the wire (it reads password files);
/// `known` tells where a device is known to be; `progress` is called after each address.
pub async fn scan(
    reader: &SnmpReader,
    order: &ScanOrder,
    credential: &(dyn Fn(&SnmpAccess) -> Result<SnmpCredential, String> + Sync),
    known: &(dyn Fn(&DeviceId) -> Option<String> + Sync),
    progress: &(dyn Fn(ScanProgress) + Sync),
) -> Scan {
    let deadline = Instant::now() + order.deadline;
    let sweep = Sweep {
        reader,
        order,
        progress,
        pace: Pace::new(order.per_second),
        credentials: Mutex::default(),
        state: Mutex::default(),
    };
    sweep.prepare(credential);
    let finished = timeout_at(deadline, sweep.run()).await.is_ok();
    let State { mut found, refused, problems, silent, asked, .. } = sweep.into_state();
    found.sort_by_key(|(address, _)| *address);
    let found = merge(found.into_iter().map(|(_, device)| device).collect(), known);
    // A device that answered under another credential or address in the end has not refused.
    let refused = refused.difference(&silent).map(|address| shown(*address));
    let refused = refused.filter(|address| found.iter().all(|device| device.address != *address)).collect();
    Scan { found, refused, problems, asked, left_out: order.left_out, finished }
}

/// The address as in settings.
fn shown(address: SocketAddrV4) -> String {
    if address.port() == 161 { address.ip().to_string() } else { address.to_string() }
}

#[derive(Default)]
struct State {
    found: Vec<(SocketAddrV4, FoundDevice)>,
    refused: BTreeSet<SocketAddrV4>,
    silent: BTreeSet<SocketAddrV4>,
    problems: Vec<String>,
    asked: usize,
    in_round: usize,
}

/// A credential of a range, ready for the wire.
type Ready = (SnmpAccess, SnmpCredential);

struct Sweep<'a> {
    reader: &'a SnmpReader,
    order: &'a ScanOrder,
    progress: &'a (dyn Fn(ScanProgress) + Sync),
    pace: Pace,
    /// Per range and round.
    credentials: Mutex<Vec<[Vec<Ready>; 2]>>,
    state: Mutex<State>,
}

/// What one address came to.
enum Answer {
    Found(Box<FoundDevice>),
    Refused,
    Silent,
}

impl Sweep<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, credential: &(dyn Fn(&SnmpAccess) -> Result<SnmpCredential, String> + Sync)) {
        let mut problems = BTreeSet::new();
        let mut ready = |accesses: Vec<SnmpAccess>| -> Vec<Ready> {
            let mut usable = Vec::new();
            for access in accesses {
                match credential(&access) {
                    Ok(wire) => usable.push((access, wire)),
                    Err(problem) => {
                        problems.insert(problem);
                    }
                }
            }
            usable
        };
        let credentials = self.order.ranges.iter().map(|range| {
            [Round::First, Round::Second].map(|round| ready(attempts(&range.credentials, round)))
        });
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = credentials.collect();
        self.state().problems.extend(problems);
    }

    fn credentials(&self, range: usize, round: Round) -> Vec<Ready> {
        let all = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let of_range = all.get(range);
        of_range.map_or_else(Vec::new, |rounds| rounds[usize::from(round == Round::Second)].clone())
    }

    async fn run(&self) {
        let mut targets = self.call().await;
        targets.extend(&self.order.targets);
        self.round(&targets, Round::First).await;
        let silent = self.state().silent.clone();
        targets.retain(|target| silent.contains(&target.address));
        self.round(&targets, Round::Second).await;
    }

    /// Makes the general calls. Gives the addresses that answered and would not be asked anyway.
    async fn call(&self) -> Vec<ScanTarget> {
        let swept: BTreeSet<SocketAddrV4> = self.order.targets.iter().map(|target| target.address).collect();
        let mut heard: BTreeSet<SocketAddrV4> = BTreeSet::new();
        let mut targets = Vec::new();
        for call in &self.order.calls {
            let Some(range) = self.order.ranges.get(call.range) else { continue };
            let communities: Vec<&str> = range.credentials.iter().filter_map(community).collect();
            let users = range.credentials.iter().any(|access| matches!(access, SnmpAccess::V3 { .. }));
            let wait = self.order.answer_wait.saturating_mul(2);
            match general_call(call.address, &communities, users, request_id(), wait).await {
                Ok(answered) => {
                    for address in answered {
                        let asked_anyway = swept.contains(&address) || !heard.insert(address);
                        if !asked_anyway && !is_excluded(&range.excludes, address) {
                            targets.push(ScanTarget { address, range: call.range });
                        }
                    }
                }
                Err(error) => self.state().problems.push(in_full(&error)),
            }
        }
        targets
    }

    async fn round(&self, targets: &[ScanTarget], round: Round) {
        self.state().in_round = 0;
        let of = targets.len();
        // Boxed: the client's futures are so deep that a caller's would not compile around them.
        stream::iter(targets.to_vec())
            .map(|target| self.ask_and_tell(target, of, round).boxed())
            .buffer_unordered(self.order.parallel.max(1))
            .for_each(|()| async {})
            .await;
    }

    async fn ask_and_tell(&self, target: ScanTarget, of: usize, round: Round) {
        let answer = self.ask(target, round).await;
        (self.progress)(self.take(target.address, answer, of, round));
    }

    fn take(&self, address: SocketAddrV4, answer: Answer, of: usize, round: Round) -> ScanProgress {
        let mut state = self.state();
        state.asked += usize::from(round == Round::First);
        state.in_round += 1;
        state.silent.remove(&address);
        match answer {
            Answer::Found(device) => state.found.push((address, *device)),
            Answer::Refused => {
                state.refused.insert(address);
            }
            Answer::Silent => {
                state.silent.insert(address);
            }
        }
        ScanProgress { asked: state.in_round, of, found: state.found.len(), round }
    }

    async fn ask(&self, target: ScanTarget, round: Round) -> Answer {
        let Some(range) = self.order.ranges.get(target.range) else { return Answer::Silent };
        let mut refused = false;
        for (access, credential) in self.credentials(target.range, round) {
            self.pace.wait().await;
            let device = DeviceTarget { address: target.address.to_string(), credential };
            match self.ask_once(&device).await {
                Ok(walk) => {
                    let device = FoundDevice::of(shown(target.address), &walk, access, range.others);
                    return Answer::Found(Box::new(device));
                }
                Err(ReadError::NoAnswer { .. }) => {}
                Err(ReadError::Socket { .. } | ReadError::BadAddress { .. }) => return Answer::Silent,
                // Somebody is there. What is said no to is not said again.
                Err(_) => refused = true,
            }
        }
        if refused { Answer::Refused } else { Answer::Silent }
    }

    async fn ask_once(&self, device: &DeviceTarget) -> Result<crate::device::Walk, ReadError> {
        // One question without repetition tells who is there; only who answered is asked in full, with patience.
        let once = ReadLimits {
            request_timeout: self.order.answer_wait,
            retries: 0,
            deadline: self.order.answer_wait.saturating_mul(4),
            ..ReadLimits::default()
        };
        match self.reader.read_greeting(device, &once).await {
            // Somebody is there, who only tells other things than were asked.
            Ok(_) | Err(ReadError::NothingToRead { .. }) => {}
            Err(error) => return Err(error),
        }
        self.reader.read_identity(device, &ReadLimits::default()).await
    }
}

fn community(access: &SnmpAccess) -> Option<&str> {
    match access {
        SnmpAccess::V1 { community } | SnmpAccess::V2c { community } => Some(community.expose()),
        SnmpAccess::V3 { .. } => None,
    }
}

/// A number that answers must bring back, so that answers to others are not taken for ours.
fn request_id() -> i32 {
    let mut octets = [0; 4];
    crate::context::system_random(&mut octets);
    i32::from_be_bytes(octets) & 0x7fff_ffff
}

fn in_full(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", in_full(source)),
        None => error.to_string(),
    }
}

/// Lets at most so many questions a second go.
struct Pace {
    step: Duration,
    next: tokio::sync::Mutex<Instant>,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            step: Duration::from_secs(1) / per_second.max(1),
            next: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    async fn wait(&self) {
        let turn = {
            let mut next = self.next.lock().await;
            let turn = (*next).max(Instant::now());
            *next = turn + self.step;
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test]
    async fn questions_go_no_faster_than_allowed() {
        let begun = Instant::now();
        let pace = Pace::new(100);
        for _ in 0..21 {
            pace.wait().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(200), "20 steps of 10 ms");
    }
}

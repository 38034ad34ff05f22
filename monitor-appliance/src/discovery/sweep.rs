//! Asks the addresses of a scan order: so many at the same time, so many a second, within one deadline.
//!
//! In passes: each asks every address that has not answered yet with one credential, the next that its book of tries lets
//! it have. What is to be tried is kept before it is sent, so that whatever happens to the program nothing is tried that
//! is not in the book.

use super::call::{Answered, general_call};
use super::dns_sd::{self, Announced};
use super::found::{FoundDevice, merge};
use super::order::{ScanCall, ScanOrder, ScanTarget, ladder, range_of};
use super::range::address_text;
use super::tries::{Choice, Outcome, Try, TryBook, credential_name};
use crate::profile::Profiles;
use crate::settings::SnmpAccess;
use crate::snmp::{DeviceTarget, ReadError, ReadLimits, SnmpCredential, SnmpReader};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use mailfmt::Digest;
use mailfmt::message::DeviceId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Printers wake up from the first question and may need some seconds: so many waits for an answer lie between two tries.
const ASLEEP_WAITS: u32 = 3;

/// What is kept before it is sent is sent within so many seconds.
const KEPT_AHEAD_SECS: u32 = 10;

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanProgress {
    /// Addresses that were asked in this pass.
    pub asked: usize,
    /// Addresses that are asked in this pass.
    pub of: usize,
    /// Devices that answered so far.
    pub found: usize,
    /// Counts from 1; later ones ask those that said nothing with the next credential.
    pub pass: usize,
}

/// What a scan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The devices, in order of their addresses, each once.
    pub found: Vec<FoundDevice>,
    /// Addresses at which somebody speaks SNMP and takes none of the credentials, in order.
    pub refused: Vec<String>,
    /// Who announced itself and did not answer.
    pub announced: Vec<Announced>,
    /// What went wrong with whole ranges, for a person.
    pub problems: Vec<String>,
    /// Addresses asked.
    pub asked: usize,
    /// Addresses left out since there were too many.
    pub left_out: u32,
    /// Addresses that did not answer and must be told no further credential before [`Scan::again`].
    pub spared: usize,
    /// When those that were spared may be told the next credential, where one is left that none of them was ever told.
    pub again: Option<Timestamp>,
    /// Whether all addresses were asked before the deadline.
    pub finished: bool,
}

/// What a scan needs of the world around it.
pub struct Surroundings<'a> {
    /// Asks.
    pub reader: &'a SnmpReader,
    /// What is known of makers and models.
    pub profiles: &'a Profiles,
    /// Turns an access into what goes over the wire; it reads password files.
    pub credential: &'a (dyn Fn(&SnmpAccess) -> Result<SnmpCredential, String> + Sync),
    /// Where a device is known to be.
    pub known: &'a (dyn Fn(&DeviceId) -> Option<String> + Sync),
    /// Keeps tries where a restart does not lose them; nothing is sent that could not be kept.
    pub keep: &'a (dyn Fn(Vec<Try>) -> BoxFuture<'static, Result<(), String>> + Sync),
    /// The time.
    pub now: &'a (dyn Fn() -> Timestamp + Sync),
    /// Called after each address.
    pub progress: &'a (dyn Fn(ScanProgress) + Sync),
}

/// Carries out a scan order, with what was tried before in the `book`.
pub async fn scan(around: &Surroundings<'_>, order: &ScanOrder, book: TryBook) -> Scan {
    let deadline = Instant::now() + order.deadline;
    let state = State { book, ..State::default() };
    let mut sweep = Sweep {
        around,
        order,
        since: (around.now)(),
        pace: Pace::new(order.per_second),
        ladders: Vec::new(),
        state: Mutex::new(state),
    };
    sweep.prepare();
    let finished = timeout_at(deadline, sweep.run()).await.is_ok();
    let spared = sweep.spared();
    let State { mut found, refused, problems, announced, asked, .. } = sweep.into_state();
    found.sort_by_key(|(address, _)| *address);
    let answered: BTreeSet<SocketAddr> = found.iter().map(|(address, _)| *address).collect();
    let found = merge(found.into_iter().map(|(_, device)| device).collect(), around.known);
    let refused = refused.difference(&answered).map(|address| address_text(*address)).collect();
    let silent = |one: &Announced| one.addresses.iter().all(|address| !answered.contains(address));
    Scan {
        found,
        refused,
        announced: announced.into_iter().filter(silent).collect(),
        problems,
        asked,
        left_out: order.left_out,
        spared: spared.0,
        again: spared.1,
        finished,
    }
}

#[derive(Default)]
struct State {
    book: TryBook,
    found: Vec<(SocketAddr, FoundDevice)>,
    refused: BTreeSet<SocketAddr>,
    announced: Vec<Announced>,
    problems: Vec<String>,
    targets: Vec<ScanTarget>,
    asked: usize,
    in_pass: usize,
}

/// A rung of a range's ladder.
struct Rung {
    access: SnmpAccess,
    wire: SnmpCredential,
    name: Digest,
}

struct Sweep<'a> {
    around: &'a Surroundings<'a>,
    order: &'a ScanOrder,
    since: Timestamp,
    pace: Pace,
    /// Per range, what can be tried there and the names of it.
    ladders: Vec<(Vec<Rung>, Vec<Digest>)>,
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

    fn prepare(&mut self) {
        let mut problems = BTreeSet::new();
        let mut rung = |access: SnmpAccess| match (self.around.credential)(&access) {
            Ok(wire) => Some(Rung { name: credential_name(&access), access, wire }),
            Err(problem) => {
                problems.insert(problem);
                None
            }
        };
        for range in &self.order.ranges {
            let rungs: Vec<Rung> = ladder(&range.credentials).into_iter().filter_map(&mut rung).collect();
            let names = rungs.iter().map(|rung| rung.name).collect();
            self.ladders.push((rungs, names));
        }
        self.state().problems.extend(problems);
    }

    async fn run(&self) {
        let (called, ()) = tokio::join!(self.call(), self.listen());
        let mut open = self.targets(called);
        for pass in 1.. {
            let begun = Instant::now();
            let plan = self.plan(&open);
            if plan.is_empty() {
                return;
            }
            self.state().in_pass = 0;
            let of = plan.len();
            let ahead = usize::try_from(self.order.per_second.saturating_mul(KEPT_AHEAD_SECS));
            for part in plan.chunks(ahead.unwrap_or(usize::MAX).max(1)) {
                if !self.ask_all(part, of, pass).await {
                    return;
                }
            }
            let answered: BTreeSet<SocketAddr> =
                self.state().found.iter().map(|(address, _)| *address).collect();
            open.retain(|target| !answered.contains(&target.address));
            if !self.plan(&open).is_empty() {
                sleep_until(begun + self.order.answer_wait.saturating_mul(ASLEEP_WAITS)).await;
            }
        }
    }

    /// The addresses to ask, with those that answered a call or were announced.
    fn targets(&self, called: Vec<(SocketAddr, ScanCall)>) -> Vec<ScanTarget> {
        let mut state = self.state();
        state.targets = merged(called, &state.announced, self.order);
        state.targets.clone()
    }

    /// Makes the general calls. Gives the addresses that answered.
    async fn call(&self) -> Vec<(SocketAddr, ScanCall)> {
        let mut heard = Vec::new();
        for call in &self.order.calls {
            match self.call_once(*call).await {
                Ok(answered) => {
                    let all = answered.community.union(&answered.engine);
                    heard.extend(all.map(|address| (SocketAddr::V4(*address), *call)));
                }
                Err(problem) => self.state().problems.push(problem),
            }
        }
        heard
    }

    async fn call_once(&self, call: ScanCall) -> Result<Answered, String> {
        let Some((rungs, _)) = self.ladders.get(call.range) else { return Ok(Answered::default()) };
        let spoken: Vec<&Rung> =
            rungs.iter().filter(|rung| matches!(rung.access, SnmpAccess::V2c { .. })).collect();
        let names: Vec<Digest> = spoken.iter().map(|rung| rung.name).collect();
        let users = rungs.iter().any(|rung| matches!(rung.access, SnmpAccess::V3 { .. }));
        let now = (self.around.now)();
        let chosen = self.state().book.choose_call(call.address.into(), &names, now);
        let rung = chosen.and_then(|place| spoken.get(place).copied());
        if rung.is_none() && !users {
            return match spoken.is_empty() {
                true => Err(format!(
                    "{}: a general call goes by SNMPv2c or SNMPv3, and its range knows neither",
                    call.address
                )),
                false => Err(format!(
                    "{}: no general call now, since somebody who hears it has been told two credentials within the hour",
                    call.address
                )),
            };
        }
        if let Some(rung) = rung {
            let one = Try {
                address: call.address.into(),
                call: true,
                credential: rung.name,
                at: now,
                outcome: Outcome::Wrong,
            };
            self.keep(vec![one]).await?;
        }
        let wait = self.order.answer_wait.saturating_mul(2);
        let community = rung.and_then(|rung| community(&rung.access));
        let answered = general_call(call.address, community, users, request_id(), wait).await;
        let answered = answered.map_err(|error| in_full(&error))?;
        if let Some(rung) = rung {
            let good = |address: &std::net::SocketAddrV4| Try {
                address: (*address).into(),
                call: false,
                credential: rung.name,
                // As if before this scan, in which it is asked with it first.
                at: self.since.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(self.since),
                outcome: Outcome::Good,
            };
            let good: Vec<Try> = answered.community.iter().map(good).collect();
            let mut state = self.state();
            good.into_iter().for_each(|one| state.book.note(one));
        }
        Ok(answered)
    }

    /// Asks for announcements.
    async fn listen(&self) {
        for asked in &self.order.announced {
            let wait = self.order.answer_wait.saturating_mul(3);
            match dns_sd::ask(asked.address, wait).await {
                Ok(found) => {
                    let found = found.into_iter().map(|one| Announced { range: asked.range, ..one });
                    self.state().announced.extend(found);
                }
                Err(error) => self.state().problems.push(in_full(&error)),
            }
        }
    }

    fn names(&self, range: usize) -> &[Digest] {
        self.ladders.get(range).map(|(_, names)| names.as_slice()).unwrap_or_default()
    }

    /// What to try next at these addresses.
    fn plan(&self, open: &[ScanTarget]) -> Vec<(ScanTarget, usize)> {
        let (state, now) = (self.state(), (self.around.now)());
        let choice = |target: &ScanTarget| match state.book.choose(
            target.address,
            self.names(target.range),
            self.since,
            now,
        ) {
            Choice::Try(place) => Some((*target, place)),
            Choice::Wait(_) | Choice::Done => None,
        };
        open.iter().filter_map(choice).collect()
    }

    /// Keeps what is about to be tried, tries it, and keeps what it came to. False when it could not be kept.
    async fn ask_all(&self, part: &[(ScanTarget, usize)], of: usize, pass: usize) -> bool {
        let now = (self.around.now)();
        let one = |(target, place): &(ScanTarget, usize)| {
            let rung = self.ladders.get(target.range)?.0.get(*place)?;
            let (address, credential) = (target.address, rung.name);
            Some(Try { address, call: false, credential, at: now, outcome: Outcome::Wrong })
        };
        let reserved: Vec<Try> = part.iter().filter_map(one).collect();
        if let Err(problem) = self.keep(reserved).await {
            self.state().problems.push(problem);
            return false;
        }
        // Boxed: the client's futures are so deep that a caller's would not compile around them.
        let told: Vec<Try> = stream::iter(part.to_vec())
            .map(|(target, place)| self.ask_and_tell(target, place, of, pass, now).boxed())
            .buffer_unordered(self.order.parallel.max(1))
            .filter_map(|told| async { told })
            .collect()
            .await;
        if let Err(problem) = self.keep(told).await {
            self.state().problems.push(problem);
            return false;
        }
        true
    }

    async fn keep(&self, tries: Vec<Try>) -> Result<(), String> {
        if tries.is_empty() {
            return Ok(());
        }
        (self.around.keep)(tries.clone()).await?;
        let mut state = self.state();
        tries.into_iter().for_each(|one| state.book.note(one));
        Ok(())
    }

    /// Asks one address; gives the try where it did not turn out as was noted beforehand.
    async fn ask_and_tell(
        &self,
        target: ScanTarget,
        place: usize,
        of: usize,
        pass: usize,
        at: Timestamp,
    ) -> Option<Try> {
        let (answer, outcome) = self.ask(target, place).await;
        (self.around.progress)(self.take(target.address, answer, of, pass));
        let credential = self.ladders.get(target.range)?.0.get(place)?.name;
        let told = Try { address: target.address, call: false, credential, at, outcome };
        (outcome != Outcome::Wrong).then_some(told)
    }

    fn take(&self, address: SocketAddr, answer: Answer, of: usize, pass: usize) -> ScanProgress {
        let mut state = self.state();
        state.asked += usize::from(pass == 1);
        state.in_pass += 1;
        match answer {
            Answer::Found(device) => state.found.push((address, *device)),
            Answer::Refused => drop(state.refused.insert(address)),
            Answer::Silent => {}
        }
        ScanProgress { asked: state.in_pass, of, found: state.found.len(), pass }
    }

    async fn ask(&self, target: ScanTarget, place: usize) -> (Answer, Outcome) {
        let ladder = self.ladders.get(target.range).map(|(rungs, _)| rungs.as_slice()).unwrap_or_default();
        let Some(rung) = ladder.get(place) else { return (Answer::Silent, Outcome::NoEngine) };
        self.pace.wait().await;
        let mut device = DeviceTarget { address: target.address.to_string(), credential: rung.wire.clone() };
        let by_user = matches!(rung.access, SnmpAccess::V3 { .. });
        match self.greet(&device).await {
            Ok(()) => {}
            // Nobody was told the user: no engine answered, or nothing was sent.
            Err(ReadError::NoAnswer { .. }) if by_user => return (Answer::Silent, Outcome::NoEngine),
            Err(ReadError::BadCredential { .. }) => return (Answer::Refused, Outcome::NoEngine),
            Err(ReadError::Socket { .. } | ReadError::BadAddress { .. } | ReadError::BudgetSpent { .. }) => {
                return (Answer::Silent, Outcome::NoEngine);
            }
            Err(ReadError::NoAnswer { .. }) => return (Answer::Silent, Outcome::Wrong),
            Err(_) => return (Answer::Refused, Outcome::Wrong),
        }
        let mut access = &rung.access;
        // It slept through the first question: what it takes by SNMPv1 it mostly takes by SNMPv2c.
        if let Some(newer) = ladder.iter().find(|other| is_newer(&other.access, access)) {
            let by_newer = DeviceTarget { credential: newer.wire.clone(), ..device.clone() };
            if self.greet(&by_newer).await.is_ok() {
                (access, device) = (&newer.access, by_newer);
            }
        }
        match self.around.reader.read_identity(&device, &ReadLimits::default()).await {
            Ok(walk) => {
                let others = self.order.ranges.get(target.range).is_some_and(|range| range.others);
                let found = FoundDevice::of(
                    address_text(target.address),
                    &walk,
                    access.clone(),
                    others,
                    self.around.profiles,
                );
                let found = found.hinted(self.announcement(target.address).as_ref(), others);
                (Answer::Found(Box::new(found)), Outcome::Good)
            }
            Err(ReadError::NoAnswer { .. }) => (Answer::Silent, Outcome::Good),
            Err(_) => (Answer::Refused, Outcome::Good),
        }
    }

    fn announcement(&self, address: SocketAddr) -> Option<Announced> {
        self.state().announced.iter().find(|one| one.addresses.contains(&address)).cloned()
    }

    /// One question without repetition tells who is there; only who answered is asked in full, with patience.
    async fn greet(&self, device: &DeviceTarget) -> Result<(), ReadError> {
        let once = ReadLimits {
            request_timeout: self.order.answer_wait,
            retries: 0,
            deadline: self.order.answer_wait.saturating_mul(4),
            ..ReadLimits::default()
        };
        match self.around.reader.read_greeting(device, &once).await {
            // Somebody is there, who only tells other things than were asked.
            Ok(_) | Err(ReadError::NothingToRead { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How many addresses were spared a further credential, and when they may be told one that was never tried there.
    fn spared(&self) -> (usize, Option<Timestamp>) {
        let (state, now) = (self.state(), (self.around.now)());
        let answered: BTreeSet<SocketAddr> = state.found.iter().map(|(address, _)| *address).collect();
        let (mut spared, mut again) = (0, None);
        for target in state.targets.iter().filter(|target| !answered.contains(&target.address)) {
            let names = self.names(target.range);
            if let Choice::Wait(until) = state.book.choose(target.address, names, self.since, now) {
                spared += 1;
                if state.book.has_untried(target.address, names) {
                    again = again.max(Some(until));
                }
            }
        }
        (spared, again)
    }
}

/// All addresses to ask, each once: those that are named, those that answered a call, those that were announced.
fn merged(
    called: Vec<(SocketAddr, ScanCall)>,
    announced: &[Announced],
    order: &ScanOrder,
) -> Vec<ScanTarget> {
    let mut ranges: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    let mut targets = Vec::new();
    let heard = called.into_iter().map(|(address, call)| (address, call.range));
    let announced = announced.iter().filter_map(|one| one.addresses.first().map(|first| (*first, one.range)));
    for (address, asked) in heard.chain(announced) {
        let Some(range) = range_of(&order.ranges, address, asked) else { continue };
        if ranges.insert(address, range).is_none() {
            targets.push(ScanTarget { address, range });
        }
    }
    targets.extend(order.targets.iter().filter(|target| !ranges.contains_key(&target.address)));
    targets
}

/// Whether one is the other's community by a later version.
fn is_newer(access: &SnmpAccess, than: &SnmpAccess) -> bool {
    match (access, than) {
        (SnmpAccess::V2c { community }, SnmpAccess::V1 { community: older }) => community == older,
        _ => false,
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

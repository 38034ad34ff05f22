//! Which credential is tried next at an address, and which must not be: a printer that is told wrong ones too often locks
//! itself. Pure; the book of what was tried is kept by the store, so that a restart forgets nothing.
//!
//! ```text
//! the one that was good here last, then those never tried here, then the one whose try is longest ago
//! at most WRONG_MAX without success within WINDOW; what every device of a network heard counts for each of them
//! ```
//!
//! Silence counts as a wrong credential, since a wrong community is answered by nothing. Asking for the SNMPv3 engine tells
//! no credential and counts nothing.

use crate::outbox::after;
use crate::settings::SnmpAccess;
use jiff::{SignedDuration, Timestamp};
use mailfmt::Digest;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Most credentials tried in vain at one address within [`WINDOW`].
pub const WRONG_MAX: usize = 2;

/// How long a try in vain counts: an hour, and the time that it may take to send what was noted.
pub const WINDOW: Duration = Duration::from_secs(3660);

/// How long a try in vain is remembered, so that the others have their turn first.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// How long the credential that was good at an address is remembered.
pub const GOOD_REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Names an access without telling it: its digest.
#[must_use]
pub fn credential_name(access: &SnmpAccess) -> Digest {
    let text = serde_json::to_vec(access).unwrap_or_default();
    Digest::of_pieces(&[b"snmp access\0", &text])
}

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The device answered.
    Good,
    /// It said no, or nothing; or it is not known since the program was stopped.
    Wrong,
    /// No SNMPv3 engine was there to be told a user: nothing was tried.
    NoEngine,
}

/// One credential at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// The address; that of a general call stands for all who hear it.
    pub address: SocketAddr,
    /// Whether it was a general call.
    pub call: bool,
    /// Which credential: [`credential_name`].
    pub credential: Digest,
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
}

/// What to do at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Try the credential at this place of the ladder.
    Try(usize),
    /// Something is left to try, not before this time.
    Wait(Timestamp),
    /// Each was tried since the scan began.
    Done,
}

/// What was tried where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TryBook {
    of: BTreeMap<SocketAddr, Vec<Try>>,
    calls: Vec<Try>,
}

impl TryBook {
    /// The book with these tries in it, as the store kept them. Those of a future that a wrong clock has seen count as made
    /// now.
    #[must_use]
    pub fn of(tries: impl IntoIterator<Item = Try>, now: Timestamp) -> Self {
        let mut book = Self::default();
        for one in tries {
            book.note(Try { at: one.at.min(now), ..one });
        }
        book
    }

    /// Notes a try; a later word on the same one takes its place.
    pub fn note(&mut self, one: Try) {
        put(if one.call { &mut self.calls } else { self.of.entry(one.address).or_default() }, one);
    }

    /// Whether one more credential may be tried in vain at `address`; if not, when.
    ///
    /// # Errors
    /// The time from which on it may.
    pub fn may_try(&self, address: SocketAddr, now: Timestamp) -> Result<(), Timestamp> {
        let own = self.of.get(&address).into_iter().flatten();
        let heard = self.calls.iter().filter(|call| hears(call.address.ip(), address.ip()));
        let counts = |one: &&Try| one.outcome == Outcome::Wrong && now < after(one.at, WINDOW);
        let mut wrong: Vec<Timestamp> = own.chain(heard).filter(counts).map(|one| one.at).collect();
        wrong.sort_unstable();
        match wrong.len().checked_sub(WRONG_MAX).and_then(|over| wrong.get(over)) {
            Some(ends) => Err(after(*ends, WINDOW)),
            None => Ok(()),
        }
    }

    /// What to try at `address` of a ladder of credentials, in a scan that began at `since`.
    #[must_use]
    pub fn choose(&self, address: SocketAddr, ladder: &[Digest], since: Timestamp, now: Timestamp) -> Choice {
        let tries = self.of.get(&address).map(Vec::as_slice).unwrap_or_default();
        let last = |credential: &Digest| tries.iter().rfind(|one| one.credential == *credential);
        let good = tries.iter().rfind(|one| one.outcome == Outcome::Good).map(|one| one.credential);
        let rank = |(place, credential): &(usize, &Digest)| {
            let at = last(credential).map_or(Timestamp::MIN, |one| one.at);
            (good != Some(**credential), at, *place)
        };
        let mut open = ladder
            .iter()
            .enumerate()
            .filter(|(_, credential)| last(credential).is_none_or(|one| one.at < since));
        let Some(first) = open.next() else { return Choice::Done };
        let (place, _) =
            open.fold(first, |best, other| if rank(&other) < rank(&best) { other } else { best });
        match self.may_try(address, now) {
            Ok(()) => Choice::Try(place),
            Err(until) => Choice::Wait(until),
        }
    }

    /// Whether something of the ladder was never tried at `address`, as far as the book goes back.
    #[must_use]
    pub fn has_untried(&self, address: SocketAddr, ladder: &[Digest]) -> bool {
        let tries = self.of.get(&address).map(Vec::as_slice).unwrap_or_default();
        ladder.iter().any(|credential| tries.iter().all(|one| one.credential != *credential))
    }

    /// Which credential of a ladder a general call to `address` is made with: the one whose last call is longest ago. `None`
    /// when somebody who hears it must be told none now.
    #[must_use]
    pub fn choose_call(&self, address: SocketAddr, ladder: &[Digest], now: Timestamp) -> Option<usize> {
        let hearing = self.of.keys().filter(|device| hears(address.ip(), device.ip()));
        let heard = self.calls.iter().map(|call| &call.address);
        if hearing.chain(heard).chain([&address]).any(|device| self.may_try(*device, now).is_err()) {
            return None;
        }
        let last = |credential: &Digest| {
            let told = |one: &&Try| one.address == address && one.credential == *credential;
            self.calls.iter().rfind(told).map(|one| one.at)
        };
        let ladder = ladder.iter().enumerate();
        ladder.min_by_key(|(place, credential)| (last(credential), *place)).map(|(place, _)| place)
    }
}

/// A later word on the try of a moment takes the place of the earlier one.
fn put(tries: &mut Vec<Try>, one: Try) {
    match tries.iter_mut().find(|known| known.credential == one.credential && known.at == one.at) {
        Some(known) => *known = one,
        None => {
            let place = tries.partition_point(|known| known.at <= one.at);
            tries.insert(place, one);
        }
    }
}

/// Whether several devices hear what is sent there.
fn is_for_many(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_multicast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

/// Whether a device may have heard a general call: whose mask it went by is not told, so the largest network counts whose
/// broadcast address it can be.
fn hears(call: IpAddr, device: IpAddr) -> bool {
    let (IpAddr::V4(call), IpAddr::V4(device)) = (call, device) else { return is_for_many(call) };
    is_for_many(call.into()) || same_network(call, device)
}

fn same_network(broadcast: Ipv4Addr, device: Ipv4Addr) -> bool {
    let host = u32::MAX.checked_shr(32 - broadcast.to_bits().trailing_ones()).unwrap_or(0);
    broadcast.to_bits() | host == device.to_bits() | host
}

#[cfg(test)]
mod tests;

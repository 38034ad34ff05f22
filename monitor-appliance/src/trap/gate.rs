//! Who is heard, and when a device is looked at for it. Pure: the time is passed in.
//!
//! Every device has a pace and a number of looks per hour, and every address a number of datagrams per second that are read at
//! all. So neither a device that floods nor somebody who sends in its name makes more than that of work, here or for the
//! device.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// The bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateRules {
    /// Least time between two looks at a device that notices lead to. Default 2 s.
    pub pause: Duration,
    /// Most such looks at a device in an hour; further notices wait for the next look of the usual pace. Default 120.
    pub looks_per_hour: u32,
    /// Datagrams of one address that are read in a second; further ones are dropped unread. Default 20.
    pub datagrams_per_second: u32,
}

impl Default for GateRules {
    fn default() -> Self {
        Self { pause: Duration::from_secs(2), looks_per_hour: 120, datagrams_per_second: 20 }
    }
}

/// Whether a datagram is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It comes from the address of a watched device.
    Known,
    /// Nobody is watched at its address.
    Stranger,
    /// Its address has sent too many in this second.
    TooMany,
}

/// What has come so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Notifications of watched devices.
    pub notices: u64,
    /// Looks that they led to.
    pub looks: u64,
    /// Informs among them that were acknowledged.
    pub acknowledged: u64,
    /// Datagrams from addresses at which nobody is watched.
    pub strangers: u64,
    /// Datagrams of watched devices that were no notifications.
    pub junk: u64,
    /// Datagrams that were dropped unread, and notices that led to no look of their own, because there were too many.
    pub too_many: u64,
}

#[derive(Debug)]
struct Sender {
    devices: Vec<String>,
    second: Option<Instant>,
    in_second: u32,
}

#[derive(Debug, Default)]
struct Looks {
    /// When it is, or was last, to be looked at.
    planned: Option<Instant>,
    hour: Option<Instant>,
    in_hour: u32,
}

/// Who may send notices, and what they have led to.
#[derive(Debug)]
pub struct Gate {
    rules: GateRules,
    senders: HashMap<IpAddr, Sender>,
    looks: HashMap<String, Looks>,
    /// What has come so far.
    pub tally: Tally,
}

impl Gate {
    /// A gate at which nobody is known yet.
    #[must_use]
    pub fn new(rules: GateRules) -> Self {
        Self { rules, senders: HashMap::new(), looks: HashMap::new(), tally: Tally::default() }
    }

    /// From now on these are known: addresses, each with the device there. What is counted of those that were known stays.
    pub fn know(&mut self, devices: impl IntoIterator<Item = (IpAddr, String)>) {
        let mut senders: HashMap<IpAddr, Sender> = HashMap::new();
        for (address, device) in devices {
            let address = address.to_canonical();
            let before = &self.senders;
            let sender = senders.entry(address).or_insert_with(|| {
                let before = before.get(&address);
                Sender {
                    devices: Vec::new(),
                    second: before.and_then(|sender| sender.second),
                    in_second: before.map_or(0, |sender| sender.in_second),
                }
            });
            if !sender.devices.contains(&device) {
                sender.devices.push(device);
            }
        }
        self.looks.retain(|device, _| senders.values().any(|sender| sender.devices.contains(device)));
        self.senders = senders;
    }

    /// Whether a datagram from this address is read.
    pub fn admit(&mut self, from: IpAddr, now: Instant) -> Admission {
        let Some(sender) = self.senders.get_mut(&from.to_canonical()) else {
            self.tally.strangers = self.tally.strangers.saturating_add(1);
            return Admission::Stranger;
        };
        if sender.second.is_none_or(|began| now.saturating_duration_since(began) >= SECOND) {
            sender.second = Some(now);
            sender.in_second = 0;
        }
        sender.in_second = sender.in_second.saturating_add(1);
        if sender.in_second > self.rules.datagrams_per_second {
            self.tally.too_many = self.tally.too_many.saturating_add(1);
            return Admission::TooMany;
        }
        Admission::Known
    }

    /// A notice has come: which devices are to be looked at, and when. A look that is still to come serves for it, too.
    pub fn hear(&mut self, from: IpAddr, now: Instant) -> Vec<(String, Instant)> {
        let Some(sender) = self.senders.get(&from.to_canonical()) else { return Vec::new() };
        self.tally.notices = self.tally.notices.saturating_add(1);
        let mut planned = Vec::new();
        for device in &sender.devices {
            let looks = self.looks.entry(device.clone()).or_default();
            if let Some(at) = looks.plan(&self.rules, now) {
                self.tally.looks = self.tally.looks.saturating_add(1);
                planned.push((device.clone(), at));
            } else {
                self.tally.too_many = self.tally.too_many.saturating_add(1);
            }
        }
        planned
    }
}

impl Looks {
    fn plan(&mut self, rules: &GateRules, now: Instant) -> Option<Instant> {
        if self.planned.is_some_and(|at| at > now) {
            return None;
        }
        if self.hour.is_none_or(|began| now.saturating_duration_since(began) >= HOUR) {
            self.hour = Some(now);
            self.in_hour = 0;
        }
        if self.in_hour >= rules.looks_per_hour {
            return None;
        }
        let at = self.planned.map_or(now, |last| now.max(last + rules.pause));
        self.in_hour += 1;
        self.planned = Some(at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRINTER: &str = "192.0.2.7";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn gate() -> Gate {
        let mut gate = Gate::new(GateRules::default());
        gate.know([(ip(PRINTER), PRINTER.to_owned())]);
        gate
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_watched_device_is_looked_at_at_once() {
        let (mut gate, now) = (gate(), Instant::now());
        assert_eq!(gate.admit(ip(PRINTER), now), Admission::Known);
        assert_eq!(gate.hear(ip(PRINTER), now), [(PRINTER.to_owned(), now)]);
        assert_eq!(
            gate.admit(ip("::ffff:192.0.2.7"), now),
            Admission::Known,
            "as a socket for both families names it"
        );
    }

    #[test]
    fn strangers_are_counted_and_not_heard() {
        let (mut gate, now) = (gate(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(gate.admit(ip("192.0.2.8"), now), Admission::Stranger);
            assert!(gate.hear(ip("192.0.2.8"), now).is_empty());
        }
        assert_eq!(gate.tally, Tally { strangers: 1000, ..Tally::default() });
    }

    #[test]
    fn several_notices_lead_to_one_look_and_to_one_more_after_it() {
        let (mut gate, now) = (gate(), Instant::now());
        let from = ip(PRINTER);
        assert_eq!(gate.hear(from, now).len(), 1);
        let soon = now + Duration::from_millis(10);
        assert_eq!(
            gate.hear(from, soon),
            [(PRINTER.to_owned(), now + secs(2))],
            "it may tell more than the first look saw"
        );
        for milli in 11..2000 {
            assert!(gate.hear(from, now + Duration::from_millis(milli)).is_empty());
        }
        assert_eq!(gate.hear(from, now + secs(9)), [(PRINTER.to_owned(), now + secs(9))]);
    }

    #[test]
    fn an_address_with_several_devices_wakes_all_of_them() {
        let (mut gate, now) = (gate(), Instant::now());
        gate.know([(ip(PRINTER), "192.0.2.7:161".to_owned()), (ip(PRINTER), "192.0.2.7:9161".to_owned())]);
        assert_eq!(gate.hear(ip(PRINTER), now).len(), 2);
    }

    #[test]
    fn who_is_not_watched_any_more_is_not_heard_any_more() {
        let (mut gate, now) = (gate(), Instant::now());
        gate.hear(ip(PRINTER), now);
        gate.know([(ip("192.0.2.9"), "other".to_owned())]);
        assert_eq!(gate.admit(ip(PRINTER), now), Admission::Stranger);
        assert!(gate.looks.is_empty());
    }

    #[test]
    fn learning_who_is_there_does_not_give_a_flood_new_room() {
        let (mut gate, now) = (gate(), Instant::now());
        for _ in 0..20 {
            assert_eq!(gate.admit(ip(PRINTER), now), Admission::Known);
        }
        gate.know([(ip(PRINTER), PRINTER.to_owned())]);
        assert_eq!(gate.admit(ip(PRINTER), now), Admission::TooMany);
        assert_eq!(gate.admit(ip(PRINTER), now + secs(1)), Admission::Known);
    }

    proptest! {
        #[test]
        fn whatever_comes_a_device_is_looked_at_no_more_often_than_the_rules_allow(
            gaps in prop::collection::vec(0..4000u64, 1..2000),
        ) {
            let (mut gate, start) = (gate(), Instant::now());
            let mut now = start;
            let mut looks: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if gate.admit(ip(PRINTER), now) == Admission::Known {
                    looks.extend(gate.hear(ip(PRINTER), now).into_iter().map(|(_, at)| at));
                }
            }
            prop_assert!(looks.array_windows().all(|[first, second]| *second >= *first + secs(2)));
            let hours = now.duration_since(start).as_secs() / 3600 + 1;
            prop_assert!(u64::try_from(looks.len()).unwrap() <= hours * 120);
        }
    }
}

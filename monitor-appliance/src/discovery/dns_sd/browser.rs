//! What was announced, how long it holds, and when to ask again.

use super::announced::Announced;
use super::message::{Asked, Data, DnsName, KnownAnswer, Record, write};
use super::{SERVICES, read};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

/// Most instances, hosts and TXT records kept, each; further ones are not taken.
const NAMES_MAX: usize = 1024;

/// Most addresses kept of one host.
const ADDRESSES_MAX: usize = 8;

/// Most questions in one round after those for the services.
const FOLLOW_UPS_MAX: usize = 256;

/// Longest that anything holds without being announced again; usual are 75 minutes.
const HOLDS_MAX: Duration = Duration::from_secs(24 * 3600);

/// First and longest pause between two questions (RFC 6762 section 5.2).
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// What was taken back is gone after this time (RFC 6762 section 10.1).
const GOODBYE: Duration = Duration::from_secs(1);

const SNMP_PORT: u16 = 161;

#[derive(Debug, Clone)]
struct Held<T> {
    what: T,
    heard: Instant,
    until: Instant,
}

impl<T> Held<T> {
    fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    /// When it is asked for again before it ends: at 80 % of its time (RFC 6762 section 5.2).
    fn renewal(&self) -> Instant {
        self.heard + self.until.saturating_duration_since(self.heard) * 4 / 5
    }
}

/// Browses for the services of printers: takes datagrams and the time, says what to ask and who is there.
#[derive(Debug)]
pub struct Browser {
    services: Vec<(&'static str, DnsName)>,
    instances: BTreeMap<DnsName, Held<(&'static str, String)>>,
    hosts: BTreeMap<DnsName, Held<DnsName>>,
    pairs: BTreeMap<DnsName, Held<Vec<(String, String)>>>,
    addresses: BTreeMap<DnsName, BTreeMap<SocketAddr, Held<()>>>,
    next: Instant,
    pause: Duration,
    /// When each name was asked for after the services.
    followed: BTreeMap<(DnsName, Asked), Instant>,
}

impl Browser {
    /// A browser that has heard nothing yet and asks at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            services: SERVICES.iter().map(|service| (*service, DnsName::of_service(service))).collect(),
            instances: BTreeMap::new(),
            hosts: BTreeMap::new(),
            pairs: BTreeMap::new(),
            addresses: BTreeMap::new(),
            next: now,
            pause: PAUSE_FIRST,
            followed: BTreeMap::new(),
        }
    }

    /// When something is to be asked next.
    #[must_use]
    pub fn due(&self) -> Instant {
        let renewals =
            self.instances.values().map(Held::renewal).filter(|renewal| *renewal > self.asked_last());
        renewals.chain([self.next]).min().unwrap_or(self.next)
    }

    fn asked_last(&self) -> Instant {
        self.next.checked_sub(self.pause / 2).unwrap_or(self.next)
    }

    /// The datagrams to send now, if it is time: for all services, with what is known, and for what is missing of those that
    /// were heard. `id` is 0 except in a question that is asked only once.
    pub fn questions(&mut self, id: u16, now: Instant) -> Vec<Vec<u8>> {
        if now < self.due() {
            return Vec::new();
        }
        self.forget(now);
        // Each time twice as late as before.
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        let missing = self.missing(now);
        let mut questions: Vec<(&DnsName, Asked)> =
            self.services.iter().map(|(_, name)| (name, Asked::Instances)).collect();
        questions.extend(missing.iter().map(|(name, asked)| (name, *asked)));
        let known: Vec<KnownAnswer<'_>> = self
            .instances
            .iter()
            .filter_map(|(instance, held)| {
                let left = held.until.saturating_duration_since(now);
                // Only what holds for half its time yet (RFC 6762 section 7.1).
                let fresh = left * 2 >= held.until.saturating_duration_since(held.heard);
                let service = self
                    .services
                    .iter()
                    .find(|(service, _)| *service == held.what.0)
                    .map(|(_, name)| name)?;
                let ttl = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
                fresh.then_some(KnownAnswer { service, instance, ttl })
            })
            .collect();
        write(id, &questions, &known)
    }

    /// Questions for what is missing of what was heard, each at most once in a while; none if nothing is missing.
    pub fn follow_ups(&mut self, id: u16, now: Instant) -> Vec<Vec<u8>> {
        let missing = self.missing(now);
        if missing.is_empty() {
            return Vec::new();
        }
        write(id, &missing.iter().map(|(name, asked)| (name, *asked)).collect::<Vec<_>>(), &[])
    }

    fn missing(&mut self, now: Instant) -> Vec<(DnsName, Asked)> {
        let mut missing = BTreeSet::new();
        for instance in self.instances.keys() {
            match self.hosts.get(instance) {
                None => drop(missing.insert((instance.clone(), Asked::Host))),
                Some(host) if !self.addresses.contains_key(&host.what) => {
                    missing.insert((host.what.clone(), Asked::Address4));
                    missing.insert((host.what.clone(), Asked::Address6));
                }
                Some(_) => {}
            }
            if !self.pairs.contains_key(instance) {
                missing.insert((instance.clone(), Asked::Pairs));
            }
        }
        self.followed.retain(|_, asked| now.saturating_duration_since(*asked) < PAUSE_FIRST);
        missing.retain(|question| !self.followed.contains_key(question));
        let missing: Vec<_> = missing.into_iter().take(FOLLOW_UPS_MAX).collect();
        self.followed.extend(missing.iter().map(|question| (question.clone(), now)));
        missing
    }

    /// Takes in a datagram that came `from` somewhere. Whether something new was heard.
    pub fn hear(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) -> bool {
        let mut news = false;
        for record in read(datagram) {
            news |= self.take(record, from, now);
        }
        news
    }

    fn take(&mut self, record: Record, from: SocketAddr, now: Instant) -> bool {
        let Record { name, ttl, flush, data } = record;
        let holds = if ttl == 0 { GOODBYE } else { Duration::from_secs(ttl.into()).min(HOLDS_MAX) };
        let until = now + holds;
        match data {
            Data::Instance(instance, label) => {
                let Some((service, _)) =
                    self.services.iter().find(|(_, known)| *known == name && instance.is_instance_of(known))
                else {
                    return false;
                };
                put(&mut self.instances, instance, (*service, label), ttl, now, until)
            }
            Data::Host(host) if self.is_of_service(&name) => {
                put(&mut self.hosts, name, host, ttl, now, until)
            }
            Data::Pairs(pairs) if self.is_of_service(&name) => {
                put(&mut self.pairs, name, pairs, ttl, now, until)
            }
            Data::Host(_) | Data::Pairs(_) => false,
            Data::Address(ip) => {
                let Some(address) = usable(ip, from) else { return false };
                if self.addresses.len() >= NAMES_MAX && !self.addresses.contains_key(&name) {
                    return false;
                }
                let of_host = self.addresses.entry(name).or_default();
                if flush {
                    of_host.retain(|known, held| {
                        known.is_ipv4() != address.is_ipv4()
                            || now.saturating_duration_since(held.heard) < GOODBYE
                    });
                }
                if ttl == 0 {
                    of_host.remove(&address);
                    return false;
                }
                if of_host.len() >= ADDRESSES_MAX && !of_host.contains_key(&address) {
                    return false;
                }
                of_host.insert(address, Held { what: (), heard: now, until }).is_none()
            }
        }
    }

    fn is_of_service(&self, instance: &DnsName) -> bool {
        self.services.iter().any(|(_, service)| instance.is_instance_of(service))
    }

    fn forget(&mut self, now: Instant) {
        self.instances.retain(|_, held| held.holds(now));
        self.hosts.retain(|_, held| held.holds(now));
        self.pairs.retain(|_, held| held.holds(now));
        for addresses in self.addresses.values_mut() {
            addresses.retain(|_, held| held.holds(now));
        }
        self.addresses.retain(|_, addresses| !addresses.is_empty());
    }

    /// Who is there: one entry per host, whatever it announces, in order of their names.
    #[must_use]
    pub fn announced(&self, now: Instant) -> Vec<Announced> {
        let mut devices: BTreeMap<&DnsName, Announced> = BTreeMap::new();
        let holding = |(_, held): &(&DnsName, &Held<(&'static str, String)>)| held.holds(now);
        // In the order of the services: what `_ipp._tcp` tells goes before what the others tell.
        let mut instances: Vec<_> = self.instances.iter().filter(holding).collect();
        instances.sort_by_key(|(_, held)| SERVICES.iter().position(|service| *service == held.what.0));
        for (instance, held) in instances {
            let Some(host) = self.hosts.get(instance).filter(|host| host.holds(now)) else { continue };
            let Some(addresses) = self.addresses.get(&host.what) else { continue };
            let device = devices.entry(&host.what).or_insert_with(|| Announced {
                name: held.what.1.clone(),
                addresses: addresses
                    .iter()
                    .filter(|(_, held)| held.holds(now))
                    .map(|(address, _)| *address)
                    .collect(),
                ..Announced::default()
            });
            device.services.insert(held.what.0);
            if let Some(pairs) = self.pairs.get(instance).filter(|pairs| pairs.holds(now)) {
                device.take(&pairs.what);
            }
        }
        devices.into_values().filter(|device| !device.addresses.is_empty()).collect()
    }
}

fn put<T: PartialEq>(
    map: &mut BTreeMap<DnsName, Held<T>>,
    name: DnsName,
    what: T,
    ttl: u32,
    now: Instant,
    until: Instant,
) -> bool {
    let Some(held) = map.get_mut(&name) else {
        let taken = ttl > 0 && map.len() < NAMES_MAX;
        if taken {
            map.insert(name, Held { what, heard: now, until });
        }
        return taken;
    };
    if ttl == 0 {
        held.until = held.until.min(until);
        return false;
    }
    let news = held.what != what;
    *held = Held { what, heard: now, until };
    news
}

/// Where an announced address may be asked: on the link, or where the announcement itself came from. Nobody on the LAN
/// sends the appliance's questions to a place of his choice.
fn usable(ip: IpAddr, from: SocketAddr) -> Option<SocketAddr> {
    if ip == from.ip().to_canonical() {
        let mut address = from;
        address.set_port(SNMP_PORT);
        address.set_ip(ip);
        return Some(address);
    }
    match ip {
        IpAddr::V4(v4) => (v4.is_private() || v4.is_link_local()).then(|| SocketAddr::new(ip, SNMP_PORT)),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            // Without its interface a link-local address leads nowhere.
            let SocketAddr::V6(from) = from else { return None };
            let interface = (from.scope_id() != 0).then_some(from.scope_id())?;
            Some(SocketAddr::V6(SocketAddrV6::new(v6, SNMP_PORT, 0, interface)))
        }
        IpAddr::V6(v6) => v6.is_unique_local().then(|| SocketAddr::new(ip, SNMP_PORT)),
    }
}

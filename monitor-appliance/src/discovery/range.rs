//! Address ranges as a person writes them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

/// Most addresses of one range, and of one scan: a network of 16 bits.
pub const ADDRESSES_MAX: u32 = 65_536;

/// Longest text read as a range.
const TEXT_OCTETS_MAX: usize = 100;

/// What a general call is written with: `broadcast:192.168.1.255`.
const CALL: &str = "broadcast:";

/// What listening to announcements is written with: `mdns`, or `mdns:192.168.1.9` to ask one address.
const ANNOUNCED: &str = "mdns";

/// Where announcements are asked for (RFC 6762 section 3).
pub(super) const MDNS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

/// Where SNMP is asked unless a port is written.
const SNMP_PORT: u16 = 161;

/// Addresses that are asked, or left out.
///
/// Written as `192.168.1.0/24` (the addresses of the network and of its broadcast are left out), as
/// `192.168.1.10-192.168.1.20` or `192.168.1.10-20`, as one address, which may be an IPv6 one, or as
/// `broadcast:192.168.1.255` for a general call that all devices of that network hear. Behind each `:PORT` where it is not
/// 161, behind an IPv6 address in brackets. A multicast address and 255.255.255.255 are always a general call. `mdns` is
/// whoever announces a printer by multicast DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    text: String,
    reach: Reach,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reach {
    /// From the first to the last IPv4 address.
    Span(u32, u32),
    /// One IPv6 address, and the number of its interface where it is link-local.
    Ipv6(Ipv6Addr, u32),
    /// One question to all who hear this address.
    Call(Ipv4Addr),
    /// Who is announced, asked for there.
    Announced(SocketAddrV4),
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Not of any of the known shapes.
    #[error(
        "`{0}` is no range: write 192.168.1.0/24, 192.168.1.10-192.168.1.20, 192.168.1.7, broadcast:192.168.1.255 or mdns, with :port behind an address where it is not 161"
    )]
    Shape(String),
    /// The end lies before the beginning.
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
    /// Too many addresses.
    #[error(
        "the range `{text}` has {addresses} addresses, at most {ADDRESSES_MAX} are asked: write several smaller ones"
    )]
    TooLarge {
        /// The range.
        text: String,
        /// How many addresses it has.
        addresses: u64,
    },
}

impl AddressRange {
    /// Reads a range that is to be asked: one of at most [`ADDRESSES_MAX`] addresses. What is left out may be larger.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn to_ask(text: &str) -> Result<Self, RangeError> {
        let range: Self = text.parse()?;
        if let Reach::Span(first, last) = range.reach
            && range.count() > ADDRESSES_MAX
        {
            return Err(RangeError::TooLarge { text: range.text, addresses: u64::from(last - first) + 1 });
        }
        Ok(range)
    }

    /// The port, where one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Where one question goes to all devices at once, if it is a general call.
    #[must_use]
    pub fn general_call(&self) -> Option<SocketAddrV4> {
        match self.reach {
            Reach::Call(address) => Some(SocketAddrV4::new(address, self.port.unwrap_or(SNMP_PORT))),
            Reach::Span(..) | Reach::Ipv6(..) | Reach::Announced(_) => None,
        }
    }

    /// Where announcements are asked for, if that is what it is.
    #[must_use]
    pub fn announced(&self) -> Option<SocketAddrV4> {
        match self.reach {
            Reach::Announced(asked) => Some(asked),
            Reach::Span(..) | Reach::Ipv6(..) | Reach::Call(_) => None,
        }
    }

    /// How many addresses it names; 0 for a general call and for announcements, which name nobody.
    #[must_use]
    pub fn count(&self) -> u32 {
        match self.reach {
            Reach::Span(first, last) => last.saturating_sub(first).saturating_add(1),
            Reach::Ipv6(..) => 1,
            Reach::Call(_) | Reach::Announced(_) => 0,
        }
    }

    /// The addresses that it names, in order, with the port written or else 161.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.port.unwrap_or(SNMP_PORT);
        let (span, single) = match self.reach {
            Reach::Span(first, last) => (Some(first..=last), None),
            Reach::Ipv6(address, interface) => {
                (None, Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, interface))))
            }
            Reach::Call(_) | Reach::Announced(_) => (None, None),
        };
        let spanned = span.into_iter().flatten();
        spanned
            .map(move |bits| SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from_bits(bits), port)))
            .chain(single)
    }

    /// Whether it names `address`; a range without a port names it whatever its port.
    #[must_use]
    pub fn contains(&self, address: SocketAddr) -> bool {
        let named = match (self.reach, address.ip()) {
            (Reach::Span(first, last), IpAddr::V4(ip)) => (first..=last).contains(&ip.to_bits()),
            (Reach::Ipv6(named, _), IpAddr::V6(ip)) => named == ip,
            _ => false,
        };
        named && self.port.is_none_or(|port| port == address.port())
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        let shape = || RangeError::Shape(text.chars().take(TEXT_OCTETS_MAX).collect());
        if text.len() > TEXT_OCTETS_MAX {
            return Err(shape());
        }
        let made = |reach, port| Self { text: text.to_owned(), reach, port };
        if let Some(rest) = text.strip_prefix(ANNOUNCED) {
            let asked =
                if rest.is_empty() { Some(MDNS) } else { rest.strip_prefix(':').and_then(mdns_server) };
            return Ok(made(Reach::Announced(asked.ok_or_else(shape)?), None));
        }
        let (rest, called) = text.strip_prefix(CALL).map_or((text, false), |rest| (rest, true));
        if rest.matches(':').count() > 1 {
            let (address, port) = ipv6(rest).filter(|_| !called).ok_or_else(shape)?;
            return Ok(made(Reach::Ipv6(*address.ip(), address.scope_id()), port));
        }
        let (body, port) = match rest.split_once(':') {
            Some((body, port)) => {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(shape)?;
                (body, Some(port))
            }
            None => (rest, None),
        };
        let (first, last) = span(body).ok_or_else(shape)?;
        if last < first {
            return Err(RangeError::Backwards(text.to_owned()));
        }
        let heard_by_many = first == last && is_for_many(Ipv4Addr::from_bits(first));
        let holds_some = first <= MULTICAST_LAST && MULTICAST_FIRST <= last || last == u32::MAX;
        if (called && first != last) || holds_some != heard_by_many {
            return Err(shape());
        }
        let call = called || heard_by_many;
        let reach = if call { Reach::Call(Ipv4Addr::from_bits(first)) } else { Reach::Span(first, last) };
        Ok(made(reach, port))
    }
}

/// An address of the settings or of a found device, with its port; `None` for a name.
#[must_use]
pub fn socket_address(address: &str) -> Option<SocketAddr> {
    if let Ok(ip) = address.parse::<Ipv4Addr>() {
        return Some(SocketAddr::new(ip.into(), SNMP_PORT));
    }
    let ipv6 = || {
        ipv6(address).map(|(mut address, port)| {
            address.set_port(port.unwrap_or(SNMP_PORT));
            SocketAddr::V6(address)
        })
    };
    address.parse::<SocketAddrV4>().ok().map(SocketAddr::V4).or_else(ipv6)
}

/// An address as in settings: without the port where that is 161; an IPv6 one in brackets.
#[must_use]
pub fn address_text(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.port() == SNMP_PORT => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.port() == SNMP_PORT => {
            let text = v6.to_string();
            text.strip_suffix(":161").map(str::to_owned).unwrap_or(text)
        }
        other => other.to_string(),
    }
}

/// An IPv6 address with or without brackets and port; `%2` behind a link-local one is its interface.
fn ipv6(text: &str) -> Option<(SocketAddrV6, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddrV6>() {
        let port = (address.port() != 0).then_some(address.port())?;
        return Some((address, Some(port)));
    }
    let bare = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let (ip, interface) = match bare.split_once('%') {
        Some((ip, interface)) => (ip, interface.parse().ok()?),
        None => (bare, 0),
    };
    let ip: Ipv6Addr = ip.parse().ok().filter(|ip: &Ipv6Addr| !ip.is_multicast() && !ip.is_unspecified())?;
    Some((SocketAddrV6::new(ip, SNMP_PORT, 0, interface), None))
}

/// Where announcements are asked for: an address with or without a port.
fn mdns_server(text: &str) -> Option<SocketAddrV4> {
    let bare = || text.parse::<Ipv4Addr>().ok().map(|ip| SocketAddrV4::new(ip, MDNS.port()));
    text.parse::<SocketAddrV4>()
        .ok()
        .or_else(bare)
        .filter(|asked| asked.port() != 0 && !asked.ip().is_broadcast())
}

/// The multicast addresses (RFC 5771): 224.0.0.0 to 239.255.255.255.
const MULTICAST_FIRST: u32 = 0xe000_0000;
const MULTICAST_LAST: u32 = 0xefff_ffff;

/// Whether several devices hear what is sent there (RFC 919, RFC 5771).
fn is_for_many(address: Ipv4Addr) -> bool {
    address.is_broadcast() || address.is_multicast()
}

/// First and last address of what stands before the port.
fn span(body: &str) -> Option<(u32, u32)> {
    let address = |text: &str| text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
    if let Some((network, bits)) = body.split_once('/') {
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let host = u32::MAX.checked_shr(bits).unwrap_or(0);
        let first = address(network)? & !host;
        let last = first | host;
        // Networks of one or two addresses have neither a name nor a broadcast of their own (RFC 3021).
        return Some(if bits < 31 { (first + 1, last - 1) } else { (first, last) });
    }
    let Some((first, last)) = body.split_once('-') else {
        let only = address(body)?;
        return Some((only, only));
    };
    let first = address(first.trim())?;
    let last = last.trim();
    let last = match last.parse::<u8>() {
        Ok(octet) => (first & !0xff) | u32::from(octet),
        Err(_) => address(last)?,
    };
    Some((first, last))
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(text: &str) -> (String, String, u32) {
        let range: AddressRange = text.parse().unwrap();
        let first = range.addresses().next().unwrap().to_string();
        (first, range.addresses().last().unwrap().to_string(), range.count())
    }

    #[test]
    fn a_network_leaves_out_its_name_and_its_broadcast_address() {
        assert_eq!(shape("192.168.1.0/24"), ("192.168.1.1:161".into(), "192.168.1.254:161".into(), 254));
        assert_eq!(shape("192.168.1.77/24"), shape("192.168.1.0/24"));
        assert_eq!(shape("10.0.0.4/31"), ("10.0.0.4:161".into(), "10.0.0.5:161".into(), 2));
        assert_eq!(shape("10.0.0.4/32").2, 1);
        assert_eq!(shape("10.1.0.0/16").2, 65_534);
    }

    #[test]
    fn from_to_and_single_addresses_may_have_a_port() {
        assert_eq!(shape("10.0.0.9-10.0.1.2"), ("10.0.0.9:161".into(), "10.0.1.2:161".into(), 250));
        assert_eq!(shape("10.0.0.9 - 12"), ("10.0.0.9:161".into(), "10.0.0.12:161".into(), 4));
        assert_eq!(shape("127.0.0.2-21:1161"), ("127.0.0.2:1161".into(), "127.0.0.21:1161".into(), 20));
        assert_eq!(shape("127.0.0.1:1161").2, 1);
    }

    #[test]
    fn a_broadcast_or_multicast_address_is_a_general_call() {
        for text in
            ["broadcast:192.168.1.255", "255.255.255.255", "224.0.0.1:1161", "broadcast:127.255.255.255:99"]
        {
            assert!(text.parse::<AddressRange>().unwrap().general_call().is_some(), "{text}");
        }
        assert!("192.168.1.255".parse::<AddressRange>().unwrap().general_call().is_none());
    }

    #[test]
    fn what_is_no_range_is_refused_with_an_example_of_one() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "printer1",
            "10.0.0.1:0",
            "10.0.0.1:99999",
            "broadcast:10.0.0.0/24",
            "224.0.0.0/24",
            "broadcast:fe80::1",
            "ff02::fb",
            "fe80::/64",
            "mdns:",
            "mdns:printer",
        ] {
            let error = text.parse::<AddressRange>().unwrap_err();
            assert!(error.to_string().contains("192.168.1.0/24"), "{text}: {error}");
        }
        assert!(matches!("10.0.0.9-8".parse::<AddressRange>(), Err(RangeError::Backwards(_))));
        assert!("10.0.0.0/8".parse::<AddressRange>().unwrap().contains("10.9.9.9:161".parse().unwrap()));
        assert!(matches!(
            AddressRange::to_ask("10.0.0.0/8"),
            Err(RangeError::TooLarge { addresses: 16_777_214, .. })
        ));
    }

    #[test]
    fn the_address_of_a_device_is_known_with_and_without_port() {
        let port = |port| Some(SocketAddr::from(([10, 0, 0, 1], port)));
        assert_eq!(socket_address("10.0.0.1"), port(161));
        assert_eq!(socket_address("10.0.0.1:1161"), port(1161));
        assert_eq!(socket_address("printer.example"), None);
        let six = socket_address("[fe80::7%3]:1161").unwrap();
        assert_eq!((six.port(), six.is_ipv6()), (1161, true));
        for text in ["10.0.0.1", "10.0.0.1:1161", "[fd00::7]", "[fe80::7%3]", "[fd00::7]:1161"] {
            assert_eq!(address_text(socket_address(text).unwrap()), text);
        }
        assert_eq!(socket_address("fd00::7"), socket_address("[fd00::7]:161"));
    }

    #[test]
    fn an_ipv6_address_is_a_range_of_one() {
        let range: AddressRange = "[fd00::7]:1161".parse().unwrap();
        assert_eq!(
            range.addresses().map(|address| address.to_string()).collect::<Vec<_>>(),
            ["[fd00::7]:1161"]
        );
        let exclude: AddressRange = "fe80::7".parse().unwrap();
        assert!(exclude.contains("[fe80::7%2]:161".parse().unwrap()));
        assert!(!exclude.contains("[fe80::8%2]:161".parse().unwrap()));
    }

    #[test]
    fn announcements_are_asked_for_by_multicast_unless_an_address_is_written() {
        let asked = |text: &str| text.parse::<AddressRange>().unwrap().announced().map(|at| at.to_string());
        assert_eq!(asked("mdns").as_deref(), Some("224.0.0.251:5353"));
        assert_eq!(asked("mdns:10.0.0.7").as_deref(), Some("10.0.0.7:5353"));
        assert_eq!(asked("mdns:127.0.0.1:5999").as_deref(), Some("127.0.0.1:5999"));
        assert_eq!("mdns".parse::<AddressRange>().unwrap().count(), 0);
    }

    #[test]
    fn a_range_without_port_holds_an_address_whatever_its_port() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let range: AddressRange = "10.0.0.1-3".parse().unwrap();
        assert!(range.contains(address("10.0.0.3:1161")) && !range.contains(address("10.0.0.4:161")));
        let range: AddressRange = "10.0.0.1-3:161".parse().unwrap();
        assert!(range.contains(address("10.0.0.3:161")) && !range.contains(address("10.0.0.3:1161")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_a_range_reads_back_as_it_was_written(text in "[0-9./:b-]{0,30}|\\[?[0-9a-f:%]{2,20}\\]?|mdns[0-9.:]{0,9}|\\PC{0,20}") {
            if let Ok(range) = text.parse::<AddressRange>() {
                let names_nobody = range.general_call().is_some() || range.announced().is_some();
                prop_assert!(range.addresses().next().is_some() != names_nobody);
                prop_assert_eq!(range.to_string().parse::<AddressRange>().unwrap(), range);
            }
        }
    }
}

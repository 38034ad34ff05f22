//! Address ranges as a person writes them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

/// Most addresses of one range, and of one scan: a network of 16 bits.
pub const ADDRESSES_MAX: u32 = 65_536;

/// Longest text read as a range.
const TEXT_OCTETS_MAX: usize = 100;

/// What a general call is written with: `broadcast:192.168.1.255`.
const CALL: &str = "broadcast:";

/// IPv4 addresses that are asked, or left out.
///
/// Written as `192.168.1.0/24` (the addresses of the network and of its broadcast are left out), as
/// `192.168.1.10-192.168.1.20` or `192.168.1.10-20`, as one address, or as `broadcast:192.168.1.255` for a general call
/// that all devices of that network hear. Behind each `:PORT` where it is not 161. A multicast address and
/// 255.255.255.255 are always a general call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    text: String,
    first: u32,
    last: u32,
    port: Option<u16>,
    call: bool,
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Not of any of the known shapes.
    #[error(
        "`{0}` is no range: write 192.168.1.0/24, 192.168.1.10-192.168.1.20, 192.168.1.7 or broadcast:192.168.1.255, with :port behind it where it is not 161"
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
    /// An IPv6 address.
    #[error("`{0}`: ranges are IPv4 only; write a device with an IPv6 address under [[devices]]")]
    Ipv6(String),
}

impl AddressRange {
    /// Reads a range that is to be asked: one of at most [`ADDRESSES_MAX`] addresses. What is left out may be larger.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn to_ask(text: &str) -> Result<Self, RangeError> {
        let range: Self = text.parse()?;
        if range.count() > ADDRESSES_MAX {
            return Err(RangeError::TooLarge {
                text: range.text,
                addresses: u64::from(range.last - range.first) + 1,
            });
        }
        Ok(range)
    }

    /// The port, where one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether one question goes to all devices at once.
    #[must_use]
    pub fn is_general_call(&self) -> bool {
        self.call
    }

    /// How many addresses it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// The addresses in order, with the port written or else 161.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddrV4> {
        let port = self.port.unwrap_or(161);
        (self.first..=self.last).map(move |address| SocketAddrV4::new(Ipv4Addr::from_bits(address), port))
    }

    /// Whether `address` is in it; a range without a port holds it whatever its port.
    #[must_use]
    pub fn contains(&self, address: SocketAddrV4) -> bool {
        let bits = address.ip().to_bits();
        self.first <= bits && bits <= self.last && self.port.is_none_or(|port| port == address.port())
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
        let (rest, called) = text.strip_prefix(CALL).map_or((text, false), |rest| (rest, true));
        if rest.matches(':').count() > 1 {
            return Err(RangeError::Ipv6(text.to_owned()));
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
        Ok(Self { text: text.to_owned(), first, last, port, call: called || heard_by_many })
    }
}

/// An IPv4 address of the settings or of a found device, with its port; `None` for a name or an IPv6 address.
#[must_use]
pub fn socket_address(address: &str) -> Option<SocketAddrV4> {
    let with_port = || address.parse::<SocketAddrV4>().ok();
    address.parse::<Ipv4Addr>().ok().map(|ip| SocketAddrV4::new(ip, 161)).or_else(with_port)
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
            assert!(text.parse::<AddressRange>().unwrap().is_general_call(), "{text}");
        }
        assert!(!"192.168.1.255".parse::<AddressRange>().unwrap().is_general_call());
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
        ] {
            let error = text.parse::<AddressRange>().unwrap_err();
            assert!(error.to_string().contains("192.168.1.0/24"), "{text}: {error}");
        }
        assert!(matches!("10.0.0.9-8".parse::<AddressRange>(), Err(RangeError::Backwards(_))));
        assert!(matches!("fe80::1".parse::<AddressRange>(), Err(RangeError::Ipv6(_))));
        assert!("10.0.0.0/8".parse::<AddressRange>().unwrap().contains("10.9.9.9:161".parse().unwrap()));
        assert!(matches!(
            AddressRange::to_ask("10.0.0.0/8"),
            Err(RangeError::TooLarge { addresses: 16_777_214, .. })
        ));
    }

    #[test]
    fn the_address_of_a_device_is_known_with_and_without_port() {
        let port = |port| Some(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port));
        assert_eq!(socket_address("10.0.0.1"), port(161));
        assert_eq!(socket_address("10.0.0.1:1161"), port(1161));
        assert_eq!(socket_address("printer.example"), None);
    }

    #[test]
    fn a_range_without_port_holds_an_address_whatever_its_port() {
        let address = |text: &str| text.parse::<SocketAddrV4>().unwrap();
        let range: AddressRange = "10.0.0.1-3".parse().unwrap();
        assert!(range.contains(address("10.0.0.3:1161")) && !range.contains(address("10.0.0.4:161")));
        let range: AddressRange = "10.0.0.1-3:161".parse().unwrap();
        assert!(range.contains(address("10.0.0.3:161")) && !range.contains(address("10.0.0.3:1161")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_a_range_reads_back_as_it_was_written(text in "[0-9./:b-]{0,30}|\\PC{0,20}") {
            if let Ok(range) = text.parse::<AddressRange>() {
                prop_assert!(range.addresses().next().is_some());
                prop_assert_eq!(range.to_string().parse::<AddressRange>().unwrap(), range);
            }
        }
    }
}

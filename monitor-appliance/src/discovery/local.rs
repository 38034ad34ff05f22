//! The networks that this machine is in, so that nobody has to type them.

use super::range::AddressRange;
use std::net::Ipv4Addr;

/// A network that is scanned without having been asked for has at most so many addresses: the largest that offices
/// have, and far from the huge ones of virtual machines.
const ADDRESSES_MAX: u32 = 1024;

/// The kernel's table of routes.
const ROUTES: &str = "/proc/net/route";

/// Flag of a route that leads through a gateway (`RTF_GATEWAY`).
const GATEWAY: u32 = 2;

/// The networks that this machine is in, as ranges, as far as they are small enough to be asked unasked for. Empty
/// where the kernel does not tell.
#[must_use]
pub fn local_ranges() -> Vec<AddressRange> {
    networks(&std::fs::read_to_string(ROUTES).unwrap_or_default())
}

/// The networks in a table of routes: reached without a gateway, neither loopback nor link-local, at most 1,024
/// addresses; each once, in the order of the table.
///
/// Source: the columns of Linux' `/proc/net/route` (Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask); numbers are hexadecimal
/// in the machine's order of octets.
#[must_use]
pub fn networks(routes: &str) -> Vec<AddressRange> {
    let mut found: Vec<AddressRange> = Vec::new();
    for line in routes.lines().skip(1) {
        if let Some(range) = network(line)
            && range.count() <= ADDRESSES_MAX
            && !found.contains(&range)
        {
            found.push(range);
        }
    }
    found
}

fn network(line: &str) -> Option<AddressRange> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let number = |column: usize| u32::from_str_radix(columns.get(column)?, 16).ok();
    let address = |column: usize| Some(Ipv4Addr::from(number(column)?.to_ne_bytes()));
    if number(3)? & GATEWAY != 0 {
        return None;
    }
    let (network, mask) = (address(1)?, address(7)?.to_bits());
    if network.is_loopback() || network.is_link_local() || network.is_multicast() || mask == 0 {
        return None;
    }
    format!("{network}/{}", mask.leading_ones()).parse().ok()
}

/// The broadcast addresses of the networks that this machine is in: whom a general call without an address goes to.
#[must_use]
pub fn local_calls() -> Vec<AddressRange> {
    let calls = local_ranges().into_iter().filter_map(|range| {
        let last = match range.addresses().last()? {
            std::net::SocketAddr::V4(last) => last.ip().to_bits(),
            std::net::SocketAddr::V6(_) => return None,
        };
        format!("broadcast:{}", Ipv4Addr::from_bits(last.checked_add(1)?)).parse().ok()
    });
    calls.collect()
}

/// Most interfaces taken of the kernel's tables.
const INTERFACES_MAX: usize = 64;

/// The interfaces with an IPv4 network, by their numbers; not the one to itself.
pub(super) fn ipv4_interfaces() -> Vec<u32> {
    let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
    let mut found = Vec::new();
    for name in with_network(&routes) {
        let number =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
                .and_then(|socket| rustix::net::netdevice::name_to_index(socket, name));
        found.extend(number);
    }
    found
}

/// The names of interfaces that reach a network without a gateway, each once.
fn with_network(routes: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for line in routes.lines().skip(1).take(INTERFACES_MAX * 16) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(flags)) = (columns.first(), columns.get(3)) else { continue };
        let direct = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & GATEWAY == 0);
        if direct && *name != "lo" && !names.contains(name) && names.len() < INTERFACES_MAX {
            names.push(name);
        }
    }
    names
}

/// The kernel's table of IPv6 addresses.
const IPV6_ADDRESSES: &str = "/proc/net/if_inet6";

/// The interfaces with a link-local IPv6 address, by their numbers.
pub(super) fn ipv6_interfaces() -> Vec<u32> {
    link_local(&std::fs::read_to_string(IPV6_ADDRESSES).unwrap_or_default())
}

/// The numbers of interfaces with a link-local address, each once.
///
/// Source: the columns of Linux' `/proc/net/if_inet6`: address, number of the interface, length of the prefix, scope,
/// flags, name; numbers are hexadecimal.
fn link_local(addresses: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for line in addresses.lines().take(INTERFACES_MAX * 16) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = columns.get(1).and_then(|number| u32::from_str_radix(number, 16).ok());
        if let (Some(number), Some(&"20")) = (number, columns.get(3))
            && !numbers.contains(&number)
            && numbers.len() < INTERFACES_MAX
        {
            numbers.push(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::{link_local, networks, with_network};

    #[test]
    fn interfaces_are_those_with_a_network_and_those_with_a_link() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\n\
            lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\nbroken\n";
        assert_eq!(with_network(routes), ["eth0"]);
        let addresses = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\n\
            fe800000000000000000000000000002 0a 40 20 80    wlan0\nbroken\n";
        assert_eq!(link_local(addresses), [2, 10]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_networks_of_this_machine_are_those_that_need_no_gateway_and_are_small() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
            wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n\
            lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
            eth0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            broken\tline\n";
        let ranges: Vec<String> = networks(routes).iter().map(ToString::to_string).collect();
        assert_eq!(ranges, ["192.168.1.0/24"]);
    }
}

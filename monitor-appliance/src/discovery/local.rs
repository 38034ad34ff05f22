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

#[cfg(test)]
mod tests {
    use super::networks;

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

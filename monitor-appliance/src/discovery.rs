//! Finds the devices of a LAN: which addresses to ask, with which credentials, and who answered.
//!
//! ```text
//! range   what a person writes: a network, from-to, one address, a general call
//! local   the networks that this machine is in
//! order   ranges with excludes and credentials -> the addresses to ask. Pure
//! found   what one answer tells, and how answers of one device are put together. Pure
//! call    the general call: one question to a broadcast or multicast address
//! sweep   the sockets: asks all addresses, so many at once and so many a second, within one deadline
//! ```
//!
//! Gentleness: one outstanding request per device; no address is asked more than twice with one community; an SNMPv3
//! user is tried once per device, behind the communities, and only where an SNMPv3 engine answers, since some
//! printers lock themselves after a few wrong passwords.

mod call;
mod found;
mod local;
mod order;
mod range;
mod sweep;

pub use call::CallError;
pub use found::{DeviceKind, FoundDevice, merge};
pub use local::{local_ranges, networks};
pub use order::{Round, ScanOrder, ScanTarget, attempts, is_left_out, order};
pub use range::{ADDRESSES_MAX, AddressRange, RangeError, socket_address};
pub use sweep::{Scan, ScanProgress, scan};

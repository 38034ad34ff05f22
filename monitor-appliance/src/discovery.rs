//! Finds the devices of a LAN: which addresses to ask, with which credentials, and who answered.
//!
//! ```text
//! range   what a person writes: a network, from-to, one address, a general call, announcements
//! local   the networks that this machine is in
//! order   ranges with excludes and credentials -> the addresses to ask. Pure
//! tries   which credential may be tried next at an address, and when. Pure
//! kind    what sort of device answers. Pure
//! found   what one answer tells, and how answers of one device are put together. Pure
//! call    the general call: one question to a broadcast or multicast address
//! dns_sd  who announces itself by multicast DNS
//! sweep   the sockets: asks all addresses, so many at once and so many a second, within one deadline
//! ```
//!
//! Gentleness: one outstanding request per device; at most two credentials in vain per device and hour, whoever asks and
//! whatever is restarted; the one that was good last comes first; SNMPv3 users are told only to who has told an engine.

mod call;
mod dns_sd;
mod found;
mod kind;
mod local;
mod order;
mod range;
mod sweep;
mod tries;

pub use call::CallError;
pub use dns_sd::{
    Announced, Browser, Data, DnsName, Ears, EarsError, Record, SERVICES, read as read_announcement,
};
pub(crate) use found::is_other;
pub use found::{FoundDevice, merge};
pub use kind::DeviceKind;
pub use local::{local_calls, local_ranges, networks};
pub use order::{ScanCall, ScanOrder, ScanTarget, is_left_out, ladder, order, range_of};
pub use range::{ADDRESSES_MAX, AddressRange, RangeError, address_text, socket_address};
pub use sweep::{Scan, ScanProgress, Surroundings, scan};
pub use tries::{
    Choice, GOOD_REMEMBERED, Outcome, REMEMBERED, Try, TryBook, WINDOW, WRONG_MAX, credential_name,
};

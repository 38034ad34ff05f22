//! Printers that announce themselves: multicast DNS (RFC 6762) and DNS-based service discovery (RFC 6763).
//!
//! ```text
//! message    one datagram -> records, within bounds; questions -> datagrams. Pure
//! browser    what was announced and how long it holds; when to ask what again. Pure
//! announced  the records of one device -> who it says it is. Pure
//! ears       the sockets: one question and its answers, or listening for good
//! ```
//!
//! Whatever is announced is a hint: anybody on the LAN can announce anything. It says where to ask; who somebody is tells
//! only the device itself.

mod announced;
mod browser;
mod ears;
mod message;

pub use announced::Announced;
pub use browser::Browser;
pub(super) use ears::ask;
pub use ears::{Ears, EarsError};
pub use message::{Data, DnsName, Record, read};

/// The services by which printers and scanners announce themselves, by their first label: Bonjour Printing Specification
/// 1.2.1, and eSCL for scanners.
pub const SERVICES: [&str; 6] =
    ["_ipp._tcp", "_ipps._tcp", "_pdl-datastream._tcp", "_printer._tcp", "_uscan._tcp", "_scanner._tcp"];

#[cfg(test)]
mod tests;

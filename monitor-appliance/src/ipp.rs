//! A second way to read a printer: IPP, where SNMP is off or tells little (RFC 8010, RFC 8011, PWG 5100.9, 5100.13).
//!
//! Good for who a device is, what is wrong with it and its supplies; a poor source for billing, so a count from here never
//! stands beside one that SNMP gave. [`Told::complete`] only fills what is missing and says for each value where it is from.

mod client;
mod message;
mod told;

pub use client::{IppError, IppLimits, ask};
pub use message::{Answer, BadAnswer, Value, parse, request};
pub use told::{ATTRIBUTES, Told};

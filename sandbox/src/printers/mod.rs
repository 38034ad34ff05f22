//! Printers that answer real SNMP over UDP from recordings, and can be changed while they run.
//!
//! ```text
//! recording   one walk.snmprec file, read once and shared by all printers made from it
//! objects     a recording and what was changed since: get, next, set, remove
//! machine     what happens to a printer: pages, alerts, toner, serial number, a restart
//! answer      the answer to one request PDU (RFC 3416, 1157)
//! usm         the SNMPv3 envelope of the answering side (RFC 3414)
//! tally       what came to a printer, counted by itself
//! station     one datagram in, one datagram out, and the ways to misbehave
//! printer     the socket around it
//! office      printers by name; `control` lets another process change them
//! ```
//!
//! Everything above `printer` is plain functions over values; the time since power-on is passed in. The agent of the
//! SNMP library is not used: it owns its socket and cannot be silent, garbled or wrong, which is half of what is
//! needed here. Its codec and key derivation are.

mod alert;
mod answer;
mod behaviour;
pub mod control;
mod machine;
mod objects;
mod office;
mod oids;
mod printer;
mod recording;
mod station;
mod tally;
mod trap;
mod usm;

pub use alert::{Alert, Severity};
pub use behaviour::Behaviour;
pub use machine::{MachineError, Summary};
pub use office::{Office, OfficeError};
pub use printer::{Printer, PrinterError, PrinterSettings};
pub use recording::{LineProblem, Recording, RecordingError, parse_value};
pub use tally::Tally;
pub use trap::Notify;
pub use usm::{V3User, V3UserError};

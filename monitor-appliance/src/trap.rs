//! SNMP traps and informs: a device says that something has happened, and is looked at at once.
//!
//! Nothing that a notice says is believed: anybody on the LAN can send one in a device's name. It only brings the next look
//! forward, within a pace and a number per hour, so that a flood of notices costs no more than the looks that the settings would
//! have allowed anyway. Whoever sends a notice and is not watched is counted and not heard.
//!
//! ```text
//! datagram -> gate: known? too many? -> notice: a notification at all? -> gate: when to look -> the device's loop
//! ```
//!
//! Source: RFC 1157 section 4.1.6 (v1 traps), RFC 3416 sections 4.2.6 and 4.2.7 (v2 traps and informs), RFC 3414 (v3), RFC
//! 3805 (`printerV2Alert`: sent for critical alerts only, without the training level or the text, so that the row has to be read).

mod gate;
mod inform_engine;
mod notice;
mod socket;

pub use gate::{Admission, Gate, GateRules, Tally};
pub use inform_engine::{Inform, InformEngine, InformUser};
pub use notice::{Happened, NotANotice, Notice, read_notice};
pub use socket::{DATAGRAM_OCTETS_MAX, PORT, PORT_UNPRIVILEGED, TrapSocket, TrapSocketError};

//! The ledger: what a device's counters say for billing, reading after reading. Pure.
//!
//! A counter is not a number that only grows. It falls by some pages when a machine is switched off, begins anew behind its
//! last digit, goes back to zero with a new board, belongs to another machine since yesterday, or is suddenly read from
//! another object. So nothing here is a plain difference. Every reading is taken in by the [`Line`] of its device, which
//! judges each step ([`judge`]): either it is sure, or it is a finding, with its class and the two readings between which it
//! lies. What is not sure is counted only as far as somebody says so at the center.
//!
//! - An *epoch* is one machine: serial number, hardware address and model. Where one of them disagrees, another epoch begins.
//! - A *meter* is one count of one epoch, read from one object. A reading from another object opens another meter; which one
//!   *leads*, and so counts for its name, is not changed by a single reading.
//! - The *position* of a name is what was surely counted under it since the device was first read. It never falls, so
//!   the pages of a month are the difference of two positions, each of which stands in a stored reading.
//! - Entries are chained by digests ([`mailfmt::message::ledger::SealedEntry`]) and only added to; a correction is a new entry
//!   at the center, with the name of who made it.

mod class;
mod epoch;
mod finding;
mod judge;
mod line;
mod meter;
mod month_end;
mod passage;
mod snapshot;

pub use class::Class;
pub use epoch::{Identity, Relation};
pub use judge::{Evidence, Found, Step, judge};
pub use line::{Closing, Line};
pub use meter::{Meter, MeterValue, Observation};
pub(crate) use month_end::time_zone;
pub use month_end::{Deadline, MonthEnd, MonthEndError, interpolate};
pub use passage::{Moment, Passage, Running};

use jiff::SignedDuration;

/// By what a step is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Counts per minute that no machine exceeds; a faster rise is never taken as it is. Default 350: above the fastest
    /// cut-sheet presses.
    pub per_minute_max: u64,
    /// Counts that a machine may forget when it is switched off, since it writes them down only every so often. Default 10:
    /// what HP's machines do.
    pub wobble_max: u64,
    /// How long the object of a meter may stay away until another object counts for its name. Default 24 h.
    pub source_patience: SignedDuration,
    /// Longest time between two entries of a device that answers. Default 24 h.
    pub every: SignedDuration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            per_minute_max: 350,
            wobble_max: 10,
            source_patience: SignedDuration::from_hours(24),
            every: SignedDuration::from_hours(24),
        }
    }
}

#[cfg(test)]
mod tests;

//! The wire format by its public interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod census;
mod first_contact;
mod format_paper;
mod golden;
mod in_parts;
mod ledger;
mod returned;
mod samples;
mod upkeep;
mod version_report;

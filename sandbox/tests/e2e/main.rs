//! The whole chain from outside: real processes, printers that answer SNMP, and a post office that does its worst.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod at_once;
mod bad_devices;
mod bad_mail;
mod bad_package;
mod boxes;
mod by_stick;
mod differences;
mod emptied;
mod enrolment;
mod in_parts;
mod job;
mod kills;
mod ledger;
mod mail_trouble;
mod main_job;
mod outages;
mod play;
mod traps;
mod trust;
mod voice;
mod waves;

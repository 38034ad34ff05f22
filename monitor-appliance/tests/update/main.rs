//! Updates and the supervisor, with real processes and real files in temporary folders.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod approved;
mod bad_packages;
mod by_hand;
mod differences;
mod going_back;
mod hours;
mod install;
mod kill;
#[path = "../mail/post_office.rs"]
#[expect(dead_code, reason = "the tests of the mail agent use all of it")]
mod post_office;
mod scripts;
mod self_update;
mod site;
mod supervisor;
mod trial;
mod version_report;
mod watchdog;
mod way_back;

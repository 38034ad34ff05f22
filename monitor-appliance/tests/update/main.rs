//! Updates and the supervisor, with real processes and real files in temporary folders.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod bad_packages;
mod install;
mod kill;
mod scripts;
mod site;
mod supervisor;
mod version_report;

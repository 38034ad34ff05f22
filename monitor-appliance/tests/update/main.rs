//! Updates and the supervisor, with real processes and real files in temporary folders.

mod bad_packages;
mod install;
mod kill;
mod site;
mod supervisor;
mod version_report;

//! The on-site program: reads printers, reports by mail, installs updates that arrive by mail.
//!
//! A few small modules that meet only in one durable [`store`]: `supervisor` starts and swaps the others,
//! [`device_watch`] reads devices, [`mail_agent`] does the mail, `update-install` and `version-report` run on demand.
//! Any of them may be killed at any time. What they decide is pure and stands in modules of its own: [`outbox`],
//! [`mail_schedule`], [`judge`], [`clock`], [`commands`], [`faults`], [`device`], [`update`].

pub mod alarm;
pub mod clock;
pub mod commands;
pub mod computer;
pub mod context;
pub mod device;
pub mod device_watch;
pub mod discovery;
pub mod enrolment;
pub mod faults;
pub mod freshness;
pub mod health;
pub mod heartbeat;
pub mod inventory;
pub mod ipp;
pub mod judge;
pub mod keyring;
pub mod layout;
pub mod ledger;
pub mod logging;
pub mod mail_agent;
pub mod mail_schedule;
pub mod module;
pub mod outbox;
pub mod pjl;
pub mod profile;
pub mod release;
pub mod release_counter;
pub mod replace_file;
pub mod rotation;
pub mod settings;
pub mod setup;
pub mod shutdown;
pub mod snmp;
pub mod store;
pub mod supervisor;
pub mod supply;
pub mod trap;
pub mod trust;
pub mod update;
pub mod version_report;

pub use context::Context;
pub use layout::Layout;
pub use settings::Settings;
pub use shutdown::{Shutdown, ShutdownHandle, shutdown};
pub use store::Store;

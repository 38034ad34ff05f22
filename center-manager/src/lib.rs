//! The center: fleet database, rollouts, version comparison report, command line and daemon.
//!
//! How a mail becomes knowledge: [`serve`] fetches mails in batches, [`intake::judge`] says what each one is (pure),
//! [`filing`] turns authentic reports into changes (pure) and [`db`] writes the whole batch in one durable
//! transaction, receipts included; only then are the mails deleted. How a wish becomes mail: commands and rollouts
//! write rows into the outbox, [`sending`] plans and composes the mails that are due, and `serve` hands them in.
//!
//! The command line ([`cli`]) works on the same database whether or not the daemon runs.

pub mod budget;
pub mod certificate;
pub mod cli;
pub mod clones;
pub mod db;
pub mod dkim;
pub mod enrolment;
pub mod filing;
pub mod forecast;
pub mod home;
pub mod intake;
pub mod keys;
pub mod latest;
pub mod ledger;
pub mod probe;
pub mod release;
pub mod report;
pub mod returned;
pub mod rollout;
pub mod roots;
pub mod rotation;
#[cfg(test)]
mod sample;
pub mod selection;
pub mod sending;
pub mod serve;
pub mod settings;
pub mod slots;
pub mod system;
pub mod words;

//! The command line: one file per subcommand; each parses, calls the library and prints.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong use, 3 partly done.

mod account;
mod alarms;
mod appliance;
mod ask;
mod audit;
mod certificate;
mod counters;
mod devices;
mod dkim;
mod doctor;
mod enrol;
mod faults;
mod init;
mod key;
mod mail;
mod outbox;
mod package;
mod passphrase;
mod ping;
mod print;
mod query;
mod reports;
mod returned;
mod rollout;
mod root;
mod serve;
mod status;
mod versions;
mod which;

use crate::db::Db;
use crate::home::Home;
use crate::settings::Settings;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;

/// Heading of the options that every subcommand takes.
const GLOBAL: &str = "Options of every command";

/// What a person types.
#[derive(Debug, Parser)]
#[command(
    name = "center-manager",
    version,
    about = "The center: fleet, reports, counters, packages and rollouts, all by mail"
)]
#[command(after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong use, 3 partly done.\n\
    Every command works whether or not the daemon (`serve`) runs; the daemon sends and reads the mail.\n\
    Times in tables are UTC.")]
pub struct Cli {
    /// Folder with settings, keys, packages and the fleet database.
    #[arg(long, global = true, env = "CENTER_MANAGER_HOME", value_name = "DIR")]
    #[arg(default_value = "/var/lib/center-manager", help_heading = GLOBAL, display_order = 900)]
    pub home: PathBuf,
    /// What to log to standard error, such as `info` or `center_manager=debug`.
    #[arg(long, global = true, env = "CENTER_MANAGER_LOG", value_name = "FILTER")]
    #[arg(default_value = "info", help_heading = GLOBAL, display_order = 901)]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home: settings, fleet database, keys.
    Init(init::InitArgs),
    /// Try everything that is needed and say what does not work.
    Doctor(doctor::DoctorArgs),
    /// Show how the center fares: the daemon, and how new mail is noticed.
    Status(status::StatusArgs),
    /// Change how the center logs in to its mail servers.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Look up what is known of mail providers.
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Run the daemon: read mail, file reports, answer receipts, drive rollouts, send.
    Serve(serve::ServeArgs),
    /// Issue provisional codes with which appliances enrol by themselves; list, show and revoke them.
    #[command(subcommand)]
    Enrol(enrol::EnrolCommand),
    /// List what a person should look at, and take note of it.
    Alarms(alarms::AlarmsArgs),
    /// Add, list, show, tag, move, suspend and remove appliances.
    #[command(subcommand)]
    Appliance(appliance::ApplianceCommand),
    /// List the devices that the appliances watch.
    Devices(devices::DevicesArgs),
    /// List faults that are not over.
    Faults(faults::FaultsArgs),
    /// Ask for counters, show and export them.
    #[command(subcommand)]
    Counters(counters::CountersCommand),
    /// Build, sign, inspect and list update packages.
    #[command(subcommand)]
    Package(package::PackageCommand),
    /// Make, list and encrypt keys, and take them away from the center.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make keys by which outgoing mail is signed for the mail systems on the way, and show their DNS records.
    #[command(subcommand)]
    Dkim(dkim::DkimCommand),
    /// Say who may sign what: make, sign, bring in and send roots.
    #[command(subcommand)]
    Root(root::RootCommand),
    /// Send a package to many appliances and compare what they run afterwards.
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Save searches for appliances under a name.
    #[command(subcommand)]
    Query(query::QueryCommand),
    /// Show who did what, and check that nothing of it was changed.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check what the center certified of a verdict, offline.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Ask appliances for their versions, and show what they run.
    #[command(subcommand)]
    Versions(versions::VersionsCommand),
    /// List the reports that came in.
    Reports(reports::ReportsArgs),
    /// List what waits to be sent, and what did not reach its recipients.
    Outbox(outbox::OutboxArgs),
    /// List the mail that came back: bounces, delays, automatic answers.
    #[command(subcommand)]
    Returned(returned::ReturnedCommand),
    /// Ask appliances for a sign of life.
    Ping(ping::PingArgs),
}

/// What was typed cannot be meant; exit code 2, like what `clap` refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All of it is done.
    Done,
    /// It was refused or failed.
    Failed,
    /// Some of it is done.
    Partly,
}

/// The exit code of a command that ended with an error: 2 for [`WrongUse`], 1 for anything else.
#[must_use]
pub fn error_code(error: &anyhow::Error) -> u8 {
    if error.is::<WrongUse>() { 2 } else { 1 }
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Partly => 3,
        }
    }
}

/// What every subcommand gets.
#[derive(Debug)]
pub struct Context {
    /// The center's home.
    pub home: Home,
}

impl Context {
    /// The fleet database.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn db(&self) -> anyhow::Result<Db> {
        Ok(Db::open(&self.home.database())?)
    }

    /// The settings.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(self.home.settings()?)
    }
}

/// Who is at the keyboard: what was said, or the user of this system.
fn operator(said: Option<&str>) -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    said.map(ToOwned::to_owned)
        .or_else(|| named("SUDO_USER"))
        .or_else(|| named("USER"))
        .or_else(|| named("LOGNAME"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Does what was typed; prints results to `out`.
///
/// # Errors
/// Whatever made the command fail, for a person.
pub fn run(cli: Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // The database keeps paths; they must hold wherever the next command is started.
    let home =
        std::path::absolute(&cli.home).with_context(|| format!("{} is no path", cli.home.display()))?;
    let context = Context { home: Home::new(&home) };
    match cli.command {
        Command::Init(args) => init::run(&args, &context, out),
        Command::Doctor(args) => doctor::run(&args, &context, out),
        Command::Serve(args) => serve::run(&args, &context, out),
        Command::Status(args) => status::run(&args, &context, out),
        Command::Enrol(command) => enrol::run(&command, &context, out),
        Command::Alarms(args) => alarms::run(&args, &context, out),
        Command::Appliance(command) => appliance::run(&command, &context, out),
        Command::Devices(args) => devices::run(&args, &context, out),
        Command::Faults(args) => faults::run(&args, &context, out),
        Command::Counters(command) => counters::run(&command, &context, out),
        Command::Package(command) => package::run(&command, &context, out),
        Command::Key(command) => key::run(&command, &context, out),
        Command::Dkim(command) => dkim::run(&command, &context, out),
        Command::Root(command) => root::run(&command, &context, out),
        Command::Rollout(command) => rollout::run(&command, &context, out),
        Command::Query(command) => query::run(&command, &context, out),
        Command::Audit(command) => audit::run(&command, &context, out),
        Command::Certificate(command) => certificate::run(&command, &context, out),
        Command::Versions(command) => versions::run(&command, &context, out),
        Command::Reports(args) => reports::run(&args, &context, out),
        Command::Account(command) => account::run(&command, &context, out),
        Command::Outbox(args) => outbox::run(&args, &context, out),
        Command::Returned(command) => returned::run(&command, &context, out),
        Command::Mail(command) => mail::run(&command, out),
        Command::Ping(args) => ping::run(&args, &context, out),
    }
}

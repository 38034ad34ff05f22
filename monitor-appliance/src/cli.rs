//! Arguments, and what all subcommands share: where the appliance lies and how results are written.

mod account;
mod device;
mod doctor;
mod enrol;
mod login;
mod mail;
mod mail_servers;
mod outbox;
mod profiles;
mod programs;
mod questions;
mod setup;
mod snmp_user;
mod status;
mod table;
mod update;

use clap::{Parser, Subcommand, ValueEnum};
use monitor_appliance::{Context, layout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Heading of the options that every subcommand takes.
const GLOBAL: &str = "Options of every command";

/// Sets up and looks after a device monitor that talks to its service center by mail.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 partly done.")]
pub(crate) struct Arguments {
    /// The appliance's root directory.
    #[arg(long, global = true, env = layout::ROOT_VARIABLE, value_name = "DIR", display_order = 900)]
    #[arg(default_value = layout::ROOT_DEFAULT, help_heading = GLOBAL)]
    root: PathBuf,
    /// What is logged to standard error, such as `info` or `monitor_appliance=debug`. What a device does wrong is in the results.
    #[arg(long, global = true, default_value = "error,async_snmp=off")]
    pub(crate) log: String,
    /// How results are written.
    #[arg(long, global = true, value_enum, display_order = 902)]
    #[arg(default_value_t = Format::Text, help_heading = GLOBAL)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set the appliance up, or add to a set-up.
    Setup(Box<setup::Arguments>),
    /// Enrol the appliance with the code from the center: asks, looks for devices, registers them, sets everything up.
    Enrol(Box<enrol::Arguments>),
    /// Show devices, open faults, what waits to be sent, and which version runs.
    Status,
    /// Say of each thing that the appliance needs whether it works, and what to do.
    Doctor(doctor::Arguments),
    /// Change how a mail account logs in.
    #[command(subcommand)]
    Account(login::Command),
    /// Look up what is known of mail providers.
    #[command(subcommand)]
    Mail(mail::Command),
    /// Read devices.
    #[command(subcommand)]
    Device(device::Command),
    /// Look at the device profiles: what is known of each maker's own objects.
    #[command(subcommand)]
    Profiles(profiles::Command),
    /// Show reports and what became of them.
    Outbox(outbox::Arguments),
    /// Install a package from a stick or a file: checked, tried and taken back like one that comes by mail, and reported
    /// by mail later.
    Update(update::Arguments),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Done,
    Failed,
    Partly,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        // 2, wrong use, is clap's.
        Self::from(match code {
            Code::Done => 0,
            Code::Failed => 1,
            Code::Partly => 3,
        })
    }
}

/// A result: a value first, then a text or JSON.
trait Output: serde::Serialize {
    /// For people; ends with a line break.
    fn text(&self) -> String;
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Code> {
    let Arguments { root, format, command, .. } = arguments;
    let context = || Context::load(&root);
    match command {
        Command::Setup(arguments) => print(format, &setup::run(&root, &arguments)?, Code::Done),
        Command::Enrol(arguments) => {
            let (enrolled, code) = enrol::run(&root, *arguments).await?;
            print(format, &enrolled, code)
        }
        Command::Status => print(format, &status::look(&context()?)?, Code::Done),
        Command::Doctor(arguments) => {
            let findings = doctor::examine(&root, &arguments).await;
            let code = findings.code();
            print(format, &findings, code)
        }
        Command::Account(login::Command::Login(arguments)) => {
            let changed = login::change(&root, &arguments).await?;
            print(format, &changed, changed.code())
        }
        Command::Device(device::Command::Read(arguments)) => {
            let (shown, code) = device::read::read(&root, &arguments).await?;
            print(format, &shown, code)
        }
        Command::Mail(command) => print(format, &mail::run(&command)?, Code::Done),
        Command::Profiles(command) => {
            let (shown, code) = profiles::run(&root, &command)?;
            print(format, &shown, code)
        }
        Command::Device(device::Command::History(arguments)) => {
            print(format, &device::history::history(&context()?, &arguments)?, Code::Done)
        }
        Command::Device(device::Command::Computers) => {
            print(format, &device::history::computers(&context()?)?, Code::Done)
        }
        Command::Device(device::Command::Classes(arguments)) => {
            print(format, &device::classes::run(&root, &arguments)?, Code::Done)
        }
        Command::Device(device::Command::Scan(arguments)) => {
            print(format, &device::scan::run(&root, &arguments).await?, Code::Done)
        }
        Command::Update(arguments) => {
            let (updated, code) = update::run(&context()?, &arguments)?;
            print(format, &updated, code)
        }
        Command::Outbox(arguments) => print(format, &outbox::list(&context()?, &arguments)?, Code::Done),
    }
}

fn print(format: Format, output: &impl Output, code: Code) -> anyhow::Result<Code> {
    use std::io::Write as _;
    let text = match format {
        Format::Text => output.text(),
        Format::Json => serde_json::to_string_pretty(output)? + "\n",
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(code),
        result => Ok(result.map(|()| code)?),
    }
}

//! The sandbox's command line: the demo, the benches, fleets in one process, and its printers and post office by themselves.

mod bench;
mod demo;
mod fleet_command;
mod worlds;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A whole world on one machine: printers from recordings, a post office with scripted faults, the demo and the benches.
#[derive(Parser)]
#[command(name = "sandbox", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job: seventeen appliances report and are updated by mail.
    Demo(demo::DemoArguments),
    /// A center and many appliances in one process to play with, until Ctrl-C.
    Fleet(fleet_command::FleetArguments),
    /// Measure; one JSON line per figure comes last.
    Bench {
        /// Which benches; all without a name. Behind `accuracy` folders of recordings may follow.
        #[arg(value_name = "NAME|PATH")]
        names: Vec<bench::Operand>,
        /// Cuts that `powercut` makes, of all kinds and in both ways together; at every durable change if not given.
        #[arg(long)]
        points: Option<u64>,
        /// Deliveries that `chaos` plays; a million if not given.
        #[arg(long)]
        deliveries: Option<u64>,
    },
    /// The part of `bench stranger` that needs a network of its own.
    #[command(hide = true)]
    Stranger {
        /// A folder for all of it.
        folder: PathBuf,
    },
    /// Printers that answer SNMP from recordings, changeable over a control channel, until Ctrl-C.
    Printers(worlds::PrintersArguments),
    /// A post office on free ports of the loopback address, until Ctrl-C.
    PostOffice(worlds::PostOfficeArguments),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(log_filter()).with_writer(std::io::stderr).init();
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What `RUST_LOG` says, else errors; not those of the SNMP client, for which every silent address is one.
fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,async_snmp=off"))
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = || tokio::runtime::Runtime::new().context("cannot start the async runtime");
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Fleet(arguments) => fleet_command::run(&arguments),
        Command::Bench { names, points, deliveries } => bench::run(&names, points, deliveries, &runtime()?),
        Command::Stranger { folder } => bench::stranger_inside(&folder, &runtime()?),
        Command::Printers(arguments) => runtime()?.block_on(worlds::printers(arguments)),
        Command::PostOffice(arguments) => runtime()?.block_on(worlds::post_office(arguments)),
    }
}

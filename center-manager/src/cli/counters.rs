//! `center-manager counters`.

mod ledger;
mod review;

use super::ask::ask;
use super::print::{self, Format, TableFormat};
use super::which::Which;
use super::{Context, Exit};
use crate::db::devices::{CounterReading, Readings, SupplyReading};
use crate::home;
use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};
use mailfmt::message::{CounterRequest, SupplyEnds, SupplyLevel};
use mailfmt::{AgentId, Command};
use std::io::Write;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CountersCommand {
    /// Ask appliances for the counters that they have stored.
    Request(RequestArgs),
    /// List the devices whose readings are kept for billing.
    List(ledger::ListArgs),
    /// Show the latest counters, the latest supplies, or with a serial number all that is kept of a device.
    Show(ShowArgs),
    /// What every counter comes to in a month, with the readings that it rests on.
    Month(ledger::MonthArgs),
    /// Show what somebody has to decide, and decide it.
    Review(review::ReviewArgs),
    /// Write all stored counters, or the latest, for billing.
    Export(ExportArgs),
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// Whom.
    #[command(flatten)]
    pub which: Which,
    /// Only the device with this serial number; may be given several times.
    #[arg(long = "serial", value_name = "NUMBER")]
    pub serials: Vec<String>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// All entries of the device with this serial number.
    #[arg(value_name = "DEVICE", conflicts_with = "supplies")]
    pub device: Option<String>,
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Supplies instead of counters.
    #[arg(long)]
    pub supplies: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// What to write.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// The latest reading of every device only.
    #[arg(long)]
    pub latest: bool,
    /// Into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: ExportFormat,
}

/// Formats for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values (RFC 4180); times in RFC 3339.
    #[default]
    Csv,
    /// JSON.
    Json,
}

pub(super) fn run(command: &CountersCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        CountersCommand::Request(args) => request(args, context, out),
        CountersCommand::List(args) => ledger::list(args, context, out),
        CountersCommand::Month(args) => ledger::month(args, context, out),
        CountersCommand::Review(args) => review::run(args, context, out),
        CountersCommand::Show(ShowArgs { device: Some(serial), agent, format, .. }) => {
            ledger::show(serial, agent.as_ref(), *format, context, out)
        }
        CountersCommand::Show(args) if args.supplies => show_supplies(args, context, out),
        CountersCommand::Show(args) => show(args, context, out),
        CountersCommand::Export(args) => export(args, context, out),
    }
}

fn request(args: &RequestArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let mut appliances = args.which.select(&db)?;
    let mut devices = Vec::new();
    if !args.serials.is_empty() {
        let mut known = db.devices(None)?;
        known.retain(|device| args.serials.contains(&device.device.serial));
        for serial in &args.serials {
            ensure!(
                known.iter().any(|device| device.device.serial == *serial),
                "no device has serial number {serial:?}"
            );
        }
        appliances.retain(|appliance| known.iter().any(|device| device.agent == appliance.agent));
        ensure!(!appliances.is_empty(), "none of these appliances watches such a device");
        known.retain(|device| appliances.iter().any(|appliance| appliance.agent == device.agent));
        devices.extend(known.into_iter().map(|device| device.device));
    }
    ask(context, &appliances, Command::Counters(CounterRequest { devices }), args.format, out)
}

fn show(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let counters = context.db()?.counters(args.agent.as_ref(), Readings::Latest)?;
    let names = ["agent id", "device", "read", "counter", "count", "unit"];
    let rows = counters.iter().map(|counter| {
        vec![
            counter.agent.to_string(),
            counter.device.to_string(),
            if counter.value.is_some() { crate::report::minute(counter.at) } else { "-".to_owned() },
            counter.name.clone(),
            counter.value.map_or_else(|| "not collected yet".to_owned(), |value| value.to_string()),
            counter.unit.clone(),
        ]
    });
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &counters)?,
    }
    Ok(Exit::Done)
}

fn show_supplies(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let supplies = context.db()?.supplies(args.agent.as_ref())?;
    let names = ["agent id", "device", "read", "supply", "kind", "colour", "level", "replaced", "ends"];
    let rows = supplies.iter().map(|supply| {
        vec![
            supply.agent.to_string(),
            supply.device.to_string(),
            crate::report::minute(supply.at),
            supply.description.clone(),
            supply.kind.clone(),
            print::maybe(supply.colorant.as_ref()),
            level(supply),
            print::maybe(supply.outlook.replaced.map(crate::report::minute).as_ref()),
            print::maybe(supply.outlook.ends.map(ends).as_ref()),
        ]
    });
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &supplies)?,
    }
    Ok(Exit::Done)
}

/// The day that is likeliest, and the interval that holds the end four times out of five.
fn ends(ends: SupplyEnds) -> String {
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    format!("{} ({} to {})", day(ends.likely), day(ends.earliest), day(ends.latest))
}

fn level(supply: &SupplyReading) -> String {
    // "other" and "unknown" are the Printer MIB's words for a unit that it has no word for.
    let unit = supply.unit.as_deref().filter(|unit| !["other", "unknown"].contains(unit)).unwrap_or("units");
    match (supply.level, supply.capacity) {
        (SupplyLevel::Units(units), Some(capacity)) => format!("{units} of {capacity} {unit}"),
        (SupplyLevel::Units(units), None) => format!("{units} {unit}"),
        (SupplyLevel::SomeRemains, _) => "some remains".to_owned(),
        (SupplyLevel::Unknown, _) => "unknown".to_owned(),
        (SupplyLevel::NoRestriction, _) => "no restriction".to_owned(),
    }
}

fn export(args: &ExportArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let readings = if args.latest { Readings::Latest } else { Readings::All };
    let counters = context.db()?.counters(args.agent.as_ref(), readings)?;
    let mut octets = Vec::new();
    match args.format {
        ExportFormat::Json => print::json(&mut octets, &counters)?,
        ExportFormat::Csv => write_csv(&mut octets, &counters)?,
    }
    match &args.output {
        Some(file) => {
            home::write_whole(file, &octets)?;
            writeln!(out, "{} lines written to {}", counters.len(), file.display())?;
        }
        None => out.write_all(&octets)?,
    }
    Ok(Exit::Done)
}

fn write_csv(out: &mut dyn Write, counters: &[CounterReading]) -> anyhow::Result<()> {
    let names = ["agent", "vendor", "model", "serial", "at", "name", "value", "unit", "source"];
    let rows = counters.iter().map(|counter| {
        vec![
            counter.agent.to_string(),
            counter.device.vendor.clone(),
            counter.device.model.clone(),
            counter.device.serial.clone(),
            counter.at.to_string(),
            counter.name.clone(),
            counter.value.map(|value| value.to_string()).unwrap_or_default(),
            counter.unit.clone(),
            counter.source.clone(),
        ]
    });
    print::csv(out, &names, rows)
}

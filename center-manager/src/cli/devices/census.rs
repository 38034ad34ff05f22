//! `center-manager devices history` and `devices computers`.

use super::super::print::{self, TableFormat};
use super::super::{Context, Exit};
use clap::Args;
use mailfmt::AgentId;
use mailfmt::message::census::ComputerState;
use std::io::Write;

/// Whose history.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Of devices with this serial number only.
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// The newest so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    pub most: u32,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// Which computers.
#[derive(Debug, Args)]
pub struct ComputersArgs {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn history(args: &HistoryArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let events = context.db()?.device_events(args.agent.as_ref(), args.serial.as_deref(), args.most)?;
    let names =
        ["time", "agent id", "event", "kind", "vendor", "model", "serial number", "address", "before"];
    let rows = events.iter().map(|noticed| {
        let event = &noticed.event;
        let [vendor, model, serial] = match &event.device {
            Some(device) => [device.vendor.clone(), device.model.clone(), device.serial.clone()],
            None => ["-", "-", "not told"].map(str::to_owned),
        };
        vec![
            crate::report::minute(event.at),
            noticed.agent.to_string(),
            event.event.clone(),
            or_dash(event.kind.as_ref()),
            vendor,
            model,
            serial,
            event.address.clone(),
            or_dash(event.before.as_ref()),
        ]
    });
    match args.format {
        TableFormat::Text if events.is_empty() => writeln!(out, "Nothing has happened to devices.")?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &events)?,
    }
    Ok(Exit::Done)
}

pub(super) fn computers(
    args: &ComputersArgs,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let computers = context.db()?.computers(args.agent.as_ref())?;
    let names = [
        "agent id",
        "computer",
        "address",
        "read",
        "load",
        "memory",
        "disks",
        "running since",
        "restarts",
        "applications",
    ];
    let rows = computers.iter().map(|known| {
        let state = &known.state;
        vec![
            known.agent.to_string(),
            or_dash(state.name.as_ref()),
            state.address.clone(),
            crate::report::minute(state.at),
            state.load_percent.map_or_else(|| "-".to_owned(), |load| format!("{load} %")),
            memory(state),
            disks(state),
            state.started.map_or_else(|| "-".to_owned(), crate::report::minute),
            state.restarts.to_string(),
            applications(state),
        ]
    });
    match args.format {
        TableFormat::Text if computers.is_empty() => writeln!(out, "No appliance watches a computer.")?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &computers)?,
    }
    Ok(Exit::Done)
}

fn or_dash(text: Option<&String>) -> String {
    text.filter(|text| !text.is_empty()).cloned().unwrap_or_else(|| "-".to_owned())
}

/// Octets in the unit that a person thinks in.
fn gigabytes(octets: u64) -> String {
    format!("{}.{} GB", octets / 1_000_000_000, octets % 1_000_000_000 / 100_000_000)
}

fn memory(state: &ComputerState) -> String {
    match (state.memory_used_octets, state.memory_octets) {
        (Some(used), Some(all)) => format!("{} of {}", gigabytes(used), gigabytes(all)),
        (None, Some(all)) => gigabytes(all),
        _ => "-".to_owned(),
    }
}

fn disks(state: &ComputerState) -> String {
    let percent = |used: u64, all: u64| u128::from(used) * 100 / u128::from(all.max(1));
    let disks: Vec<String> = state
        .disks
        .iter()
        .map(|disk| {
            format!(
                "{} {} % of {}",
                disk.name,
                percent(disk.used_octets, disk.octets),
                gigabytes(disk.octets)
            )
        })
        .collect();
    if disks.is_empty() { "-".to_owned() } else { disks.join(", ") }
}

/// What a person should know: what is required and does not run, what is forbidden and runs, how many licensed ones run.
fn applications(state: &ComputerState) -> String {
    let told: Vec<String> = state
        .applications
        .iter()
        .filter_map(|application| match (application.rule.as_str(), application.running) {
            ("required", 0) => Some(format!("{} missing", application.name)),
            ("forbidden", running) if running > 0 || application.installed == Some(true) => {
                Some(format!("{} forbidden", application.name))
            }
            ("licensed", running) if running > 0 => Some(format!("{} {running}x", application.name)),
            _ => None,
        })
        .collect();
    if told.is_empty() { "as listed".to_owned() } else { told.join(", ") }
}

//! `center-manager devices`: the devices of all sites, those that two sites claim, and the operator's word on them.

mod census;
mod decide;

use super::print::{self, Format, TableFormat};
use super::{Context, Exit};
use crate::db::devices::{Device, DeviceStanding};
use clap::{Args, Subcommand};
use mailfmt::AgentId;
use std::io::Write;

/// Which devices.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DevicesArgs {
    /// What to do instead of listing.
    #[command(subcommand)]
    pub command: Option<DevicesCommand>,
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// What there is to do about devices.
#[derive(Debug, Subcommand)]
pub enum DevicesCommand {
    /// List devices that two appliances report; nothing is moved before you decide.
    Conflicts(ConflictsArgs),
    /// What happened to devices: new, moved, swapped, vanished, returned, boards changed, one serial number twice.
    History(census::HistoryArgs),
    /// List computers: load, memory, disks, restarts, and the applications of the site's list.
    Computers(census::ComputersArgs),
    /// Say that a device went from one appliance to another.
    Move(decide::MoveArgs),
    /// Say that a device belongs to an appliance, whoever else reports it.
    Keep(decide::KeepArgs),
}

/// Which conflicts.
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    /// Those that are decided as well.
    #[arg(long)]
    pub all: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(args: &DevicesArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(args, context, out),
        Some(DevicesCommand::Conflicts(args)) => conflicts(args, context, out),
        Some(DevicesCommand::History(args)) => census::history(args, context, out),
        Some(DevicesCommand::Computers(args)) => census::computers(args, context, out),
        Some(DevicesCommand::Move(args)) => decide::move_device(args, context, out),
        Some(DevicesCommand::Keep(args)) => decide::keep(args, context, out),
    }
}

fn list(args: &DevicesArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let devices = context.db()?.devices(args.agent.as_ref())?;
    let names = [
        "agent id",
        "vendor",
        "model",
        "serial number",
        "address",
        "last reading",
        "open faults",
        "state",
        "flag",
    ];
    let rows = devices.iter().map(|device| {
        vec![
            device.agent.to_string(),
            device.device.vendor.clone(),
            device.device.model.clone(),
            device.device.serial.clone(),
            device.address.clone(),
            device.last_reading.map_or_else(
                || if device.not_collected.is_some() { "not collected yet" } else { "-" }.to_owned(),
                crate::report::minute,
            ),
            device.open_faults.to_string(),
            state(&device.state),
            flag(device),
        ]
    });
    match args.format {
        TableFormat::Text => {
            print::table(out, &names, rows)?;
            if devices.iter().any(|device| !device.also_at.is_empty()) {
                writeln!(
                    out,
                    "\nSome devices are reported by two appliances: `center-manager devices conflicts`."
                )?;
            }
        }
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &devices)?,
    }
    Ok(Exit::Done)
}

fn state(state: &DeviceStanding) -> String {
    match state {
        DeviceStanding::NotTold => "-".to_owned(),
        DeviceStanding::Present => "present".to_owned(),
        DeviceStanding::Vanished { since } => format!("vanished since {}", crate::report::minute(*since)),
        DeviceStanding::Moved { to } => format!("belongs to {to}"),
    }
}

fn flag(device: &Device) -> String {
    if device.also_at.is_empty() {
        return "-".to_owned();
    }
    let others: Vec<String> = device.also_at.iter().map(ToString::to_string).collect();
    format!("also at {}", others.join(", "))
}

fn conflicts(args: &ConflictsArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let conflicts = context.db()?.device_conflicts(args.all)?;
    if args.format == Format::Json {
        print::json(out, &conflicts)?;
        return Ok(Exit::Done);
    }
    if conflicts.is_empty() {
        writeln!(out, "No device is reported by two appliances.")?;
        return Ok(Exit::Done);
    }
    let names = [
        "vendor",
        "model",
        "serial number",
        "reported first by",
        "and by",
        "noted",
        "first one says",
        "decision",
    ];
    let rows = conflicts.iter().map(|conflict| {
        vec![
            conflict.device.vendor.clone(),
            conflict.device.model.clone(),
            conflict.device.serial.clone(),
            conflict.holder.to_string(),
            conflict.claimant.to_string(),
            crate::report::minute(conflict.noted),
            conflict.vanished_at_holder.map_or_else(
                || "there".to_owned(),
                |since| format!("vanished since {}", crate::report::minute(since)),
            ),
            conflict.resolution.as_ref().map_or_else(
                || "open".to_owned(),
                |resolution| format!("{resolution} by {}", conflict.resolved_by),
            ),
        ]
    });
    print::table(out, &names, rows)?;
    if conflicts.iter().any(|conflict| conflict.resolved.is_none()) {
        writeln!(
            out,
            "\nIf it was moved: `center-manager devices move --serial SERIAL --from FIRST --to SECOND`.\n\
             If the second one is wrong: `center-manager devices keep --serial SERIAL --at FIRST`."
        )?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;

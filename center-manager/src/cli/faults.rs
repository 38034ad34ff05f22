//! `center-manager faults`.

use super::print::{self, TableFormat};
use super::{Context, Exit};
use crate::words;
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Which faults.
#[derive(Debug, Args)]
pub struct FaultsArgs {
    /// Also those that are over.
    #[arg(long)]
    pub all: bool,
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn run(args: &FaultsArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let faults = context.db()?.faults(args.agent.as_ref(), args.all)?;
    let names = ["agent id", "device", "fault", "class", "severity", "device says", "since", "cleared"];
    let rows = faults.iter().map(|fault| {
        vec![
            fault.agent.to_string(),
            fault.device.to_string(),
            words::fault(&fault.code, &fault.group),
            fault.class.clone(),
            fault.severity.clone(),
            fault.description.clone(),
            print::time(fault.since),
            print::time(fault.cleared),
        ]
    });
    match args.format {
        TableFormat::Text if faults.is_empty() => writeln!(out, "No faults")?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &faults)?,
    }
    Ok(Exit::Done)
}

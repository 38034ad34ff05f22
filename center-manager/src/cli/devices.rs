//! `center-manager devices`.

use super::print::{self, TableFormat};
use super::{Context, Exit};
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Which devices.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn run(args: &DevicesArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let devices = context.db()?.devices(args.agent.as_ref())?;
    let names = ["agent id", "vendor", "model", "serial number", "address", "last reading", "open faults"];
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
        ]
    });
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &devices)?,
    }
    Ok(Exit::Done)
}

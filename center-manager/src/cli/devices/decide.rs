//! `center-manager devices move` and `keep`.

use crate::cli::{Context, Exit, WrongUse};
use crate::db::inventory::{DeviceChoice, History};
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Which device.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Serial number of the device.
    #[arg(long)]
    pub serial: String,
    /// Its model, where several devices of the appliance have that number.
    #[arg(long)]
    pub model: Option<String>,
    /// Who decides, for the record.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "operator")]
    pub by: String,
}

impl Choice {
    fn device(&self) -> DeviceChoice {
        DeviceChoice { serial: self.serial.clone(), model: self.model.clone() }
    }
}

/// What went where.
#[derive(Debug, Args)]
pub struct MoveArgs {
    #[command(flatten)]
    choice: Choice,
    /// The appliance that it left.
    #[arg(long)]
    pub from: AgentId,
    /// The appliance that it is at now.
    #[arg(long)]
    pub to: AgentId,
    /// Leave counters, faults and supplies with the appliance that read them. Otherwise they go with the device.
    #[arg(long)]
    pub leave_history: bool,
}

/// What belongs where.
#[derive(Debug, Args)]
pub struct KeepArgs {
    #[command(flatten)]
    choice: Choice,
    /// The appliance to which it belongs.
    #[arg(long)]
    pub at: AgentId,
}

pub(super) fn move_device(args: &MoveArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.from == args.to {
        return Err(WrongUse("--from and --to are the same appliance".to_owned()).into());
    }
    let history = if args.leave_history { History::Stays } else { History::Follows };
    let now = crate::system::now();
    let device = context.db()?.move_device(
        &args.choice.device(),
        (&args.from, &args.to),
        history,
        &args.choice.by,
        now,
    )?;
    let whereabouts = match history {
        History::Follows => "its history went with it",
        History::Stays => "its history stays where it was read",
    };
    writeln!(out, "{device} belongs to {} now; {whereabouts}.", args.to)?;
    Ok(Exit::Done)
}

pub(super) fn keep(args: &KeepArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let now = crate::system::now();
    let (device, resolved) =
        context.db()?.keep_device(&args.choice.device(), &args.at, &args.choice.by, now)?;
    writeln!(out, "{device} belongs to {}; conflicts decided: {resolved}.", args.at)?;
    Ok(Exit::Done)
}

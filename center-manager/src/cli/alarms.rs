//! `center-manager alarms`.

use super::print::{self, TableFormat};
use super::{Context, Exit, operator};
use crate::db::alarms::AlarmId;
use crate::system::now;
use clap::{Args, Subcommand};
use mailfmt::AgentId;
use std::io::Write;

/// Which alarms.
#[derive(Debug, Args)]
pub struct AlarmsArgs {
    /// Those too that were acknowledged or are over.
    #[arg(long)]
    pub all: bool,
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
    /// What to do; without it, list.
    #[command(subcommand)]
    pub command: Option<AlarmsCommand>,
}

/// What to do with alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// Take note of alarms, by their numbers; they leave the list until they are raised anew.
    Ack(AckArgs),
}

/// Which alarms to take note of.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// Numbers.
    #[arg(required = true, value_name = "NUMBER")]
    pub alarms: Vec<AlarmId>,
    /// Who takes note; the user of this system if not given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

pub(super) fn run(args: &AlarmsArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.command {
        Some(AlarmsCommand::Ack(args)) => acknowledge(args, context, out),
        None => list(args, context, out),
    }
}

fn acknowledge(args: &AckArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    let by = operator(args.by.as_deref());
    for id in &args.alarms {
        db.acknowledge_alarm(*id, &by, now())?;
        writeln!(out, "alarm {id} acknowledged")?;
    }
    Ok(Exit::Done)
}

fn list(args: &AlarmsArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let alarms = context.db()?.alarms(args.agent.as_ref(), args.all)?;
    let names = ["number", "agent id", "alarm", "since", "last", "times", "state", "what"];
    let rows = alarms.iter().map(|alarm| {
        let state = match (alarm.over, alarm.acknowledged) {
            (Some(_), _) => "over",
            (None, Some(_)) => "acknowledged",
            (None, None) => "open",
        };
        vec![
            alarm.id.to_string(),
            print::maybe(alarm.agent.as_ref()),
            alarm.kind.clone(),
            crate::report::minute(alarm.since),
            crate::report::minute(alarm.last),
            alarm.count.to_string(),
            state.to_owned(),
            alarm.description.clone(),
        ]
    });
    match args.format {
        TableFormat::Text if alarms.is_empty() => writeln!(out, "No alarms")?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &alarms)?,
    }
    Ok(Exit::Done)
}

//! `center-manager returned`.

use super::print::{self, TableFormat};
use super::{Context, Exit};
use crate::db::returned::ReturnedFilter;
use clap::{Args, Subcommand};
use mailfmt::AgentId;
use mailfmt::mail::returned::{Cause, Kind};
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum ReturnedCommand {
    /// List what mail systems and auto-responders sent back: for whom, why, and what to type next.
    List(ListArgs),
}

/// Which to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Of one appliance only.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<AgentId>,
    /// Of one kind only, such as bounce, delay or auto-reply.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Of one cause only, such as no-such-user or mailbox-full.
    #[arg(long, value_name = "CAUSE")]
    pub cause: Option<Cause>,
    /// How many, the newest ones.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub last: u32,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn run(command: &ReturnedCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let ReturnedCommand::List(args) = command;
    let filter =
        ReturnedFilter { agent: args.agent.clone(), kind: args.kind, cause: args.cause, last: args.last };
    let lines = context.db()?.returned(&filter)?;
    let names = [
        "number",
        "came back",
        "kind",
        "cause",
        "agent id",
        "mail",
        "for",
        "what followed",
        "known by",
        "mail system says",
        "next",
    ];
    let rows = lines.iter().map(|line| {
        vec![
            line.number.to_string(),
            crate::report::minute(line.at),
            line.kind.clone(),
            print::maybe(line.cause.as_ref()),
            print::maybe(line.agent.as_ref()),
            print::maybe(line.message_kind.as_ref()),
            line.recipient.clone(),
            line.effect.clone(),
            line.known_by.clone(),
            line.words.clone(),
            line.next.clone(),
        ]
    });
    match args.format {
        TableFormat::Text if lines.is_empty() => writeln!(out, "Nothing came back")?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &lines)?,
    }
    Ok(Exit::Done)
}

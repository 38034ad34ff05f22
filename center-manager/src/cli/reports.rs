//! `center-manager reports`.

use super::print::{self, TableFormat};
use super::{Context, Exit};
use crate::db::journal::JournalFilter;
use anyhow::Context as _;
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Which reports.
#[derive(Debug, Args)]
pub struct ReportsArgs {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Of this kind only, such as `fault` or `counters`.
    #[arg(long)]
    pub kind: Option<String>,
    /// How many, the newest ones.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub last: u32,
    /// Show the whole content of one report, by its reception number.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["agent", "kind", "discarded"])]
    pub show: Option<u64>,
    /// Show what was thrown away, by reason, instead of reports.
    #[arg(long)]
    pub discarded: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn run(args: &ReportsArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    if let Some(number) = args.show {
        let (_, body) = db.journaled(number)?.with_context(|| format!("there is no report {number}"))?;
        let body: serde_json::Value = serde_json::from_str(&body).context("the journal holds no JSON")?;
        print::json(out, &body)?;
        return Ok(Exit::Done);
    }
    if args.discarded {
        return discarded(args, &db.discarded()?, out);
    }
    let filter = JournalFilter { agent: args.agent.clone(), kind: args.kind.clone(), limit: Some(args.last) };
    let reports = db.journal(&filter)?;
    let names = ["number", "received", "agent id", "kind", "what it says", "repeats", "receipt"];
    let rows = reports.iter().map(|report| {
        vec![
            report.number.to_string(),
            crate::report::minute(report.received),
            report.agent.to_string(),
            report.kind.clone(),
            report.description.clone(),
            report.repeats.to_string(),
            print::maybe(report.receipt),
        ]
    });
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &reports)?,
    }
    Ok(Exit::Done)
}

fn discarded(
    args: &ReportsArgs,
    discarded: &[crate::db::journal::Discarded],
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let names = ["reason", "mails", "last"];
    let rows = discarded
        .iter()
        .map(|line| vec![line.reason.clone(), line.count.to_string(), crate::report::minute(line.last)]);
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, discarded)?,
    }
    Ok(Exit::Done)
}

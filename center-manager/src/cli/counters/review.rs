//! `center-manager counters review`: what waits for somebody, and what somebody says about it.

use super::ledger::{Of, standing};
use crate::cli::print::{self, TableFormat};
use crate::cli::{Context, Exit, WrongUse, operator};
use crate::db::ledger::Word;
use crate::ledger::Finding;
use crate::report::minute;
use clap::{Args, Subcommand};
use std::io::Write;

/// What to review.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReviewArgs {
    /// What to say, instead of listing.
    #[command(subcommand)]
    pub command: Option<ReviewCommand>,
    #[command(flatten)]
    of: Of,
    /// Also those that are decided, and those that need no decision.
    #[arg(long)]
    pub all: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// What can be said about a finding. Nothing that was said is ever overwritten; the last word counts.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// The likeliest explanation holds: what it proposes counts.
    Accept(SaidArgs),
    /// Something else counts.
    Correct(CorrectArgs),
    /// Nothing more counts than was surely counted.
    Reject(SaidArgs),
}

/// About what, and why.
#[derive(Debug, Args)]
pub struct SaidArgs {
    /// The finding's number.
    #[arg(value_name = "NUMBER")]
    pub number: i64,
    /// Why, for whoever asks later.
    #[arg(long)]
    pub reason: String,
    /// Who decides; the user at the keyboard if not given.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// About what, how much, and why.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    #[command(flatten)]
    said: SaidArgs,
    /// What counts for this step, all in all.
    #[arg(long, value_name = "COUNT")]
    pub pages: u64,
}

pub(super) fn run(args: &ReviewArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(args, context, out),
        Some(ReviewCommand::Accept(said)) => say(said, &Word::Accept, context, out),
        Some(ReviewCommand::Correct(args)) => {
            say(&args.said, &Word::Correct { pages: args.pages }, context, out)
        }
        Some(ReviewCommand::Reject(said)) => say(said, &Word::Reject, context, out),
    }
}

fn list(args: &ReviewArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let findings = context.db()?.ledger_findings(&args.of.filter(), args.all)?;
    match args.format {
        TableFormat::Text if findings.is_empty() => writeln!(out, "Nothing waits for a review.")?,
        TableFormat::Text => {
            table(out, &findings)?;
            if findings.iter().any(Finding::is_open) {
                writeln!(
                    out,
                    "\n`counters review accept NUMBER --reason WHY` takes what is proposed; `correct NUMBER --pages COUNT` something else;\n\
                     `reject NUMBER` leaves it at what was surely counted."
                )?;
            }
        }
        TableFormat::Csv => print::csv(out, &NAMES, findings.iter().map(row))?,
        TableFormat::Json => print::json(out, &findings)?,
    }
    Ok(Exit::Done)
}

const NAMES: [&str; 11] = [
    "number",
    "agent id",
    "device",
    "counter",
    "class",
    "from",
    "to",
    "counted",
    "proposed",
    "review by",
    "standing",
];

/// Findings, each with the two readings between which it lies and, below the table, its words.
pub(super) fn table(out: &mut dyn Write, findings: &[Finding]) -> anyhow::Result<()> {
    print::table(out, &NAMES, findings.iter().map(row))?;
    for finding in findings {
        writeln!(out, "{:>6}: {}", finding.id, crate::words::plain(&finding.found.words))?;
        if let Some(review) = &finding.review {
            let (operator, reason) =
                (crate::words::plain(&review.operator), crate::words::plain(&review.reason));
            writeln!(out, "        {} by {operator} on {}: {reason}", review.verdict, minute(review.at))?;
        }
    }
    Ok(())
}

fn row(finding: &Finding) -> Vec<String> {
    let found = &finding.found;
    let point = |point: &mailfmt::message::ledger::LedgerPoint| {
        format!("{} on {} (#{})", point.value, minute(point.at), point.entry)
    };
    vec![
        finding.id.to_string(),
        finding.agent.to_string(),
        finding.device.to_string(),
        finding.name.clone(),
        found.class.clone(),
        point(&found.from),
        point(&found.to),
        found.sure.to_string(),
        print::maybe(found.proposed),
        print::maybe(finding.review_by),
        standing(finding),
    ]
}

fn say(args: &SaidArgs, word: &Word, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.reason.trim().is_empty() {
        return Err(WrongUse("a review needs a reason: --reason WHY".to_owned()).into());
    }
    let by = operator(args.by.as_deref());
    let now = crate::system::now();
    let (finding, pages) = context.db()?.review_finding(args.number, word, &by, &args.reason, now)?;
    writeln!(
        out,
        "{} of {}, {}: {pages} {} count for the step from {} to {}. Written down for {by}.",
        finding.found.class,
        finding.device,
        finding.name,
        finding.unit,
        finding.found.from.value,
        finding.found.to.value
    )?;
    Ok(Exit::Done)
}

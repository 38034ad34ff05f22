//! `center-manager outbox`.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::outbox::{OutboxFilter, OutboxId};
use clap::Args;
use std::io::Write;

/// What to show.
#[derive(Debug, Args)]
pub struct OutboxArgs {
    /// All commands, also those that reached everybody.
    #[arg(long)]
    pub all: bool,
    /// With --all: receipts too.
    #[arg(long, requires = "all")]
    pub receipts: bool,
    /// How many, the newest ones.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub last: u32,
    /// Show the recipients of one message, by its number, with the mail server's words.
    #[arg(long, value_name = "NUMBER", conflicts_with = "all")]
    pub show: Option<i64>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(args: &OutboxArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    if let Some(number) = args.show {
        let recipients = db.deliveries(OutboxId(number))?;
        anyhow::ensure!(
            !recipients.is_empty(),
            "there is no message {number}; `center-manager outbox --all` lists them"
        );
        let names = ["agent id", "state", "tries", "changed", "mail server says"];
        let rows = recipients.iter().map(|one| {
            vec![
                one.agent.to_string(),
                one.state.to_string(),
                one.attempts.to_string(),
                crate::report::minute(one.changed),
                one.detail.clone(),
            ]
        });
        match args.format {
            Format::Text => print::table(out, &names, rows)?,
            Format::Json => print::json(out, &recipients)?,
        }
        return Ok(Exit::Done);
    }
    let filter = match (args.all, args.receipts) {
        (false, _) => OutboxFilter::Open,
        (true, false) => OutboxFilter::Commands,
        (true, true) => OutboxFilter::All,
    };
    let messages = db.outbox(filter, args.last)?;
    let names = ["number", "kind", "made", "expires", "recipients"];
    let rows = messages.iter().map(|message| {
        let states: Vec<_> = message.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        vec![
            message.number.to_string(),
            message.kind.clone(),
            crate::report::minute(message.created),
            crate::report::minute(message.expires),
            states.join(", "),
        ]
    });
    match args.format {
        Format::Text if messages.is_empty() => writeln!(out, "Nothing waits")?,
        Format::Text => print::table(out, &names, rows)?,
        Format::Json => print::json(out, &messages)?,
    }
    Ok(Exit::Done)
}

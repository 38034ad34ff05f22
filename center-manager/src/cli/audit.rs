//! `center-manager audit`.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::report::minute;
use clap::{Args, Subcommand};
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List who did what, the newest last.
    List(ListArgs),
    /// Check that no line was changed or taken out. Exit code 1 when one was.
    Verify(VerifyArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// So many of the newest lines.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub last: u32,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How to print.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(command: &AuditCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    match command {
        AuditCommand::List(args) => {
            let deeds = db.deeds(args.last)?;
            match args.format {
                Format::Json => print::json(out, &deeds)?,
                Format::Text => {
                    let rows = deeds.into_iter().map(|deed| {
                        vec![
                            deed.number.to_string(),
                            minute(deed.at),
                            deed.who,
                            deed.what,
                            deed.subject,
                            deed.detail,
                        ]
                    });
                    print::table(out, &["number", "at", "who", "what", "to what", "more"], rows)?;
                }
            }
            Ok(Exit::Done)
        }
        AuditCommand::Verify(args) => {
            let chain = db.check_deeds()?;
            match (args.format, chain.broken_at) {
                (Format::Json, _) => print::json(out, &chain)?,
                (Format::Text, None) => writeln!(
                    out,
                    "{} lines, each fits the one before; the last has {}\n\
                     Keep that elsewhere: a list that was made anew from the beginning would fit, too.",
                    chain.rows, chain.head
                )?,
                (Format::Text, Some(number)) => writeln!(
                    out,
                    "line {number} does not fit the one before it: it, or one before it, was changed or taken out"
                )?,
            }
            Ok(if chain.broken_at.is_none() { Exit::Done } else { Exit::Failed })
        }
    }
}

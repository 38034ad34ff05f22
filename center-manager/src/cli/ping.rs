//! `center-manager ping`.

use super::ask::ask;
use super::print::Format;
use super::which::Which;
use super::{Context, Exit};
use clap::Args;
use mailfmt::Command;
use std::io::Write;

/// Whom to ask.
#[derive(Debug, Args)]
pub struct PingArgs {
    /// Whom.
    #[command(flatten)]
    pub which: Which,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(args: &PingArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let appliances = args.which.select(&context.db()?)?;
    ask(context, &appliances, Command::Ping(Default::default()), args.format, out)
}

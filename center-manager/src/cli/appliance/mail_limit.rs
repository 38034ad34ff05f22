//! `center-manager appliance mail-limit`.

use super::super::{Context, Exit, WrongUse};
use crate::sending::MAIL_OCTETS_MIN;
use clap::Args;
use mailfmt::AgentId;
use std::io::Write;

/// Largest limit that can be noted: nothing larger is ever mailed.
const MAIL_OCTETS_MAX: u64 = 64 << 20;

/// Whose mails may be how large.
#[derive(Debug, Args)]
pub struct MailLimitArgs {
    /// Agent ids.
    #[arg(required = true, value_name = "AGENT")]
    pub agents: Vec<AgentId>,
    /// Octets of the largest mail as it is mailed, base64 included; 65536 to 67108864. A bounce for size teaches it, too.
    #[arg(long, value_name = "OCTETS", required_unless_present = "unknown", conflicts_with = "unknown")]
    pub octets: Option<u64>,
    /// Forget the limit: the center's own settings and the mail servers decide.
    #[arg(long)]
    pub unknown: bool,
}

pub(super) fn set(args: &MailLimitArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if let Some(octets) = args.octets.filter(|octets| !(MAIL_OCTETS_MIN..=MAIL_OCTETS_MAX).contains(octets)) {
        let allowed = format!("{MAIL_OCTETS_MIN} to {MAIL_OCTETS_MAX}");
        return Err(WrongUse(format!("--octets is {octets}, allowed is {allowed}")).into());
    }
    let mut db = context.db()?;
    for agent in &args.agents {
        db.set_mail_limit(agent, args.octets)?;
        match args.octets {
            Some(octets) => writeln!(out, "{agent}: mails of {octets} octets at most")?,
            None => writeln!(out, "{agent}: no limit is known")?,
        }
    }
    Ok(Exit::Done)
}

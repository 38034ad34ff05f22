//! Commands that go to appliances as one message each.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::appliances::Appliance;
use crate::db::outbox::{NewMail, Priority};
use crate::system::{SystemRandom, now};
use jiff::Timestamp;
use mailfmt::{AgentId, Command, Message, MessageId};
use std::io::Write;

/// What was put into the outbox.
#[derive(serde::Serialize)]
struct Asked<'a> {
    /// Kind of the command.
    command: &'a str,
    /// Message id.
    message: MessageId,
    /// Recipients.
    appliances: &'a [AgentId],
    /// After this nobody answers any more.
    expires: Timestamp,
}

/// Puts one command for all `appliances` into the outbox and says so.
pub(super) fn ask(
    context: &Context,
    appliances: &[Appliance],
    command: Command,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let created = now();
    let expires = created.checked_add(context.settings()?.command_expiry)?;
    let answers = match &command {
        Command::Counters(_) => "counters show",
        Command::Version(_) => "versions show",
        _ => "reports",
    };
    let agents: Vec<AgentId> = appliances.iter().map(|appliance| appliance.agent.clone()).collect();
    let message = Message::Command(command);
    let id = MessageId::generate(&mut SystemRandom);
    let mail = NewMail {
        message: &message,
        id,
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created,
        expires,
        not_before: created,
    };
    context.db()?.enqueue(&mail, &agents)?;
    let asked = Asked { command: message.kind(), message: id, appliances: &agents, expires };
    match format {
        Format::Json => print::json(out, &asked)?,
        Format::Text => writeln!(
            out,
            "{} for {} {} put into the outbox; answers: center-manager {answers}",
            asked.command,
            agents.len(),
            if agents.len() == 1 { "appliance" } else { "appliances" },
        )?,
    }
    Ok(Exit::Done)
}

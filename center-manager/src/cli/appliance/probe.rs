//! `center-manager appliance probe`.

use super::super::print::{self, Format};
use super::super::which::Which;
use super::super::{Context, Exit};
use crate::db::probes::Probe;
use crate::system::now;
use clap::Args;
use std::io::Write;

/// Whom to send test mails, or what is known of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: center-manager appliance probe --tag new-mail-provider\n         center-manager appliance probe AGENT0000001 --show"
)]
pub struct ProbeArgs {
    /// Whom.
    #[command(flatten)]
    pub which: Which,
    /// Send nothing: show what the test mails so far have found.
    #[arg(long)]
    pub show: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What is known of the mail of one appliance.
#[derive(serde::Serialize)]
struct Found {
    #[serde(flatten)]
    probe: Probe,
    /// Nineteen of twenty answers came within this time; none where none was measured.
    mail_delay_secs: Option<i64>,
}

pub(super) fn run(args: &ProbeArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    let appliances = args.which.select(&db)?;
    let mut found = Vec::new();
    for appliance in &appliances {
        let begun = !args.show && db.begin_probe(&appliance.agent, now())?;
        if args.format == Format::Text && !args.show {
            let words = if begun { "test mails go out" } else { "test mails are on their way already" };
            writeln!(out, "{}: {words}", appliance.agent)?;
        }
        if let Some(probe) = db.probe(&appliance.agent)? {
            let mail_delay_secs = db.mail_delay(&appliance.agent, now())?.map(|delay| delay.as_secs());
            found.push(Found { probe, mail_delay_secs });
        }
    }
    match args.format {
        Format::Json => print::json(out, &found)?,
        Format::Text if !args.show => {
            writeln!(out, "what they find: center-manager appliance probe AGENT --show")?;
        }
        Format::Text if found.is_empty() => {
            writeln!(out, "No test mails were sent; `center-manager appliance probe AGENT` sends some")?;
        }
        Format::Text => table(&found, out)?,
    }
    Ok(Exit::Done)
}

fn table(found: &[Found], out: &mut dyn Write) -> anyhow::Result<()> {
    let names = ["agent id", "octets", "mail octets", "state", "since", "mails", "form"];
    let rows = found.iter().flat_map(|found| {
        found.probe.rungs.iter().map(|rung| {
            vec![
                found.probe.agent.to_string(),
                rung.octets.to_string(),
                rung.mail_octets.to_string(),
                rung.state.to_string(),
                crate::report::minute(rung.changed),
                rung.mails.to_string(),
                print::maybe(rung.form.as_ref()),
            ]
        })
    });
    print::table(out, &names, rows)?;
    for Found { probe, mail_delay_secs } in found {
        let state = if probe.ended.is_some() { probe.reason.as_str() } else { "goes on" };
        let limit =
            probe.mail_octets_max.map(|octets| format!("; packages go in mails of {octets} octets at most"));
        let delay = mail_delay_secs.map(|secs| format!("; answers come within {secs} s"));
        writeln!(out, "{}: {state}{}{}", probe.agent, limit.unwrap_or_default(), delay.unwrap_or_default())?;
    }
    Ok(())
}

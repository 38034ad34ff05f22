//! `center-manager appliance`.

mod add;
mod mail_limit;
mod probe;
mod standing;

pub(super) use add::check_tags;

use super::print::{self, Format, TableFormat};
use super::{Context, Exit};
use crate::db::alarms::Alarm;
use crate::db::appliances::Appliance;
use crate::db::probes::Probe;
use crate::db::returned::{AutoResponder, ReturnedFilter, ReturnedLine};
use crate::db::rotations::RotationLine;
use crate::selection::Selection;
use crate::system::now;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use mailfmt::AgentId;
use mailfmt::lineage::Fork;
use mailfmt::message::report::HealthReport;
use mailfmt::sequence;
use std::io::Write;

/// Rotations shown of one appliance, the newest ones.
const ROTATIONS_SHOWN: u32 = 3;

/// Mails that came back shown of one appliance, the newest ones.
const RETURNED_SHOWN: u32 = 3;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum ApplianceCommand {
    /// Add one appliance or many; writes the introduction file of each.
    Add(Box<add::AddArgs>),
    /// Write the introduction file of an appliance again.
    Introduce(add::IntroduceArgs),
    /// List appliances.
    List(ListArgs),
    /// Show all that is known of one appliance.
    Show(ShowArgs),
    /// Shut appliances out until they are readmitted.
    Suspend(standing::SuspendArgs),
    /// Let suspended appliances in again.
    Readmit(standing::ReadmitArgs),
    /// Note a new mail address or customer of an appliance.
    Move(standing::MoveArgs),
    /// Note the largest mail that gets through to an appliance; larger packages go to it in parts.
    MailLimit(mail_limit::MailLimitArgs),
    /// Send test mails from small to large, to learn how large a mail gets through and how long mail takes.
    Probe(probe::ProbeArgs),
    /// Agree on new credentials, by mail.
    Rotate(standing::RotateArgs),
    /// Remove an appliance; its history stays, its id is not used again.
    Remove(RemoveArgs),
    /// Add and take away tags.
    Tag(TagArgs),
}

/// Which to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// All that have this tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// In which form mails go out to an appliance, where that is not as ever.
#[derive(Debug, serde::Serialize)]
struct Shape {
    /// `attachment` or `armoured text`.
    form: &'static str,
    since: Option<Timestamp>,
    reason: String,
    /// When an attachment is tried again.
    next_attachment: Option<Timestamp>,
}

impl Shape {
    /// `None` as long as nothing was learned.
    fn of(way: mailfmt::mail::Way) -> Option<Self> {
        let mailfmt::mail::Way { form, since, reason, probe, .. } = way;
        since.map(|_| Self { form: form.as_str(), since, reason, next_attachment: probe })
    }
}

/// Which to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Agent id.
    pub agent: AgentId,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which to remove.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Agent ids.
    #[arg(required = true)]
    pub agents: Vec<AgentId>,
}

/// Which tags.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Agent ids.
    #[arg(required = true)]
    pub agents: Vec<AgentId>,
    /// Add this tag; may be given several times.
    #[arg(long = "add", value_name = "TAG", required_unless_present = "take")]
    pub add: Vec<String>,
    /// Take this tag away; may be given several times.
    #[arg(long = "take", value_name = "TAG")]
    pub take: Vec<String>,
}

/// All that is known of one appliance.
#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    appliance: Appliance,
    sequence_out: u64,
    sequence_in: u64,
    devices: usize,
    open_faults: usize,
    versions: Option<String>,
    health: Option<HealthReport>,
    /// The largest mail that gets through to it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_octets_max: Option<u64>,
    /// Nineteen of twenty answers came within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_delay_secs: Option<i64>,
    /// The newest test mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    way: Option<Shape>,
    mangled: Vec<crate::db::ways::MangledMails>,
    /// Somebody's auto-responder that answers our mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_responder: Option<AutoResponder>,
    /// The newest mails that came back for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    returned: Vec<ReturnedLine>,
    credential_since: Option<Timestamp>,
    rotations: Vec<RotationLine>,
    forks: Vec<Fork>,
    alarms: Vec<Alarm>,
}

pub(super) fn run(
    command: &ApplianceCommand,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    match command {
        ApplianceCommand::Add(args) => add::run(args, context, out),
        ApplianceCommand::Introduce(args) => add::introduce(args, context, out),
        ApplianceCommand::List(args) => list(args, context, out),
        ApplianceCommand::Show(args) => show(args, context, out),
        ApplianceCommand::Suspend(args) => standing::suspend(args, context, out),
        ApplianceCommand::Readmit(args) => standing::readmit(args, context, out),
        ApplianceCommand::Move(args) => standing::relocate(args, context, out),
        ApplianceCommand::MailLimit(args) => mail_limit::set(args, context, out),
        ApplianceCommand::Probe(args) => probe::run(args, context, out),
        ApplianceCommand::Rotate(args) => standing::rotate(args, context, out),
        ApplianceCommand::Remove(args) => remove(args, context, out),
        ApplianceCommand::Tag(args) => tag(args, context, out),
    }
}

fn list(args: &ListArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let selection = Selection { tags: args.tags.clone(), ..Selection::default() };
    let appliances = context.db()?.select(&selection)?;
    let names = ["agent id", "mail address", "version", "last heard", "state", "tags", "remarks (customer)"];
    let rows = appliances.iter().map(|appliance| {
        vec![
            appliance.agent.to_string(),
            appliance.address.clone(),
            print::maybe(appliance.software.as_ref()),
            print::time(appliance.last_heard),
            appliance.state.to_string(),
            appliance.tags.join(" "),
            appliance.customer.clone(),
        ]
    });
    match args.format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &appliances)?,
    }
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let appliance = db.appliance(&args.agent)?;
    let (sequence_out, sequence_in) = db.sequences(&args.agent)?;
    let shown = Shown {
        sequence_out,
        sequence_in,
        devices: db.devices(Some(&args.agent))?.len(),
        open_faults: db.faults(Some(&args.agent), false)?.len(),
        versions: db.known_version(&args.agent)?.map(|known| known.table.write()),
        health: db.health(&args.agent)?.map(|(_, health)| health),
        credential_since: db.credential_since(&args.agent)?,
        mail_octets_max: db.mail_limit(&args.agent)?,
        mail_delay_secs: db.mail_delay(&args.agent, now())?.map(|delay| delay.as_secs()),
        probe: db.probe(&args.agent)?,
        way: Shape::of(db.way(&args.agent)?),
        mangled: db.mangled(&args.agent)?,
        rotations: db.rotations(&args.agent, ROTATIONS_SHOWN)?,
        auto_responder: db.auto_responder(&args.agent, now())?,
        returned: db.returned(&ReturnedFilter {
            agent: Some(args.agent.clone()),
            last: RETURNED_SHOWN,
            ..Default::default()
        })?,
        forks: db.forks(&args.agent)?,
        alarms: db.alarms(Some(&args.agent), false)?,
        appliance,
    };
    if args.format == Format::Json {
        print::json(out, &shown)?;
        return Ok(Exit::Done);
    }
    let appliance = &shown.appliance;
    let mut line = |name: &str, value: String| {
        let value = if value.is_empty() { "-" } else { &value };
        writeln!(out, "{name:<22}{}", crate::words::plain(value))
    };
    line("Agent id", appliance.agent.to_string())?;
    line("Mail address", appliance.address.clone())?;
    line("Customer", appliance.customer.clone())?;
    line("Tags", appliance.tags.join(" "))?;
    line("State", appliance.state.to_string())?;
    if let Some(octets) = shown.mail_octets_max {
        line("Largest mail", format!("{octets} octets; larger packages go out in parts"))?;
    }
    if let Some(secs) = shown.mail_delay_secs {
        line("Mail there and back", format!("within {secs} s, nineteen times of twenty"))?;
    }
    if let Some(probe) = &shown.probe {
        let state = if probe.ended.is_some() { probe.reason.as_str() } else { "going on" };
        line("Test mails", format!("since {}: {state}", crate::report::minute(probe.begun)))?;
    }
    if let Some(way) = &shown.way {
        let since = print::time(way.since);
        line("Mail goes out as", format!("{} since {since}: {}", way.form, way.reason))?;
    }
    for mangled in &shown.mangled {
        let name = if mangled.to_appliance { "Mangled on the way to" } else { "Mangled on the way" };
        line(
            name,
            format!(
                "{} mails, the last at {}: {}",
                mangled.count,
                crate::report::minute(mangled.last),
                mangled.how
            ),
        )?;
    }
    if let Some(suspension) = &appliance.suspension {
        let since = crate::report::minute(suspension.since);
        line("Suspended", format!("since {since}: {}", suspension.reason))?;
        let last = print::time(suspension.last);
        line("Turned away", format!("{} mails, the last one at {last}", suspension.turned_away))?;
    }
    line("Last heard", print::time(appliance.last_heard))?;
    line("Credential since", print::time(shown.credential_since))?;
    for rotation in &shown.rotations {
        let begun = crate::report::minute(rotation.begun);
        line("Rotation", format!("{begun} by {}: {}", rotation.begun_by, rotation.state.as_str()))?;
    }
    for alarm in &shown.alarms {
        line("Alarm", format!("{}: {}", alarm.kind, alarm.description))?;
    }
    for returned in shown.returned.iter().filter(|returned| returned.cause.is_some()) {
        let when = crate::report::minute(returned.at);
        line("Mail came back", format!("{when} {}: {}; {}", returned.kind, returned.words, returned.effect))?;
    }
    if let Some(responder) = &shown.auto_responder {
        let last = print::time(Some(responder.last));
        let hint = format!(
            "somebody's auto-responder is on at {}: {} answers, the last at {last}: {}",
            appliance.address, responder.answers, responder.subject
        );
        line("Hint", hint)?;
    }
    line("Last version check", print::time(appliance.version_checked))?;
    line("Devices", shown.devices.to_string())?;
    line("Open faults", shown.open_faults.to_string())?;
    line("Last number sent", sequence::shown(shown.sequence_out))?;
    line("Last number received", sequence::shown(shown.sequence_in))?;
    if let Some(health) = &shown.health {
        line("Reports waiting", health.reports_waiting.to_string())?;
        line("Up for", format!("{} s, as of its last health report", health.uptime_secs))?;
    }
    if let Some(versions) = &shown.versions {
        write!(out, "{versions}")?;
    }
    Ok(Exit::Done)
}

fn remove(args: &RemoveArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    let mut removed = 0usize;
    for agent in &args.agents {
        match db.remove_appliance(agent, now()) {
            Ok(()) => {
                removed += 1;
                writeln!(out, "{agent} removed")?;
            }
            Err(error) => writeln!(out, "{agent} not removed: {}", crate::serve::chain(&error))?,
        }
    }
    Ok(match removed {
        0 => Exit::Failed,
        all if all == args.agents.len() => Exit::Done,
        _ => Exit::Partly,
    })
}

fn tag(args: &TagArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    check_tags(&args.add)?;
    let mut db = context.db()?;
    for agent in &args.agents {
        db.change_tags(agent, &args.add, &args.take)?;
        writeln!(out, "{agent} {}", db.appliance(agent)?.tags.join(" "))?;
    }
    Ok(Exit::Done)
}

//! `center-manager rollout`.

mod approve;
mod certify;
mod choose;
mod course;
mod hours;
mod plan;
mod rounds;
mod watch;
mod ways;

use super::print::{self, Format};
use super::which::Which;
use super::{Context, Exit, operator};
use crate::db::Db;
use crate::home;
use crate::report::{self, Comparison, Mark, Picture, minute};
use crate::rollout::{self, Act, RolloutId};
use crate::system::{SystemRandom, now};
use anyhow::anyhow;
use approve::{ApproveArgs, DenyArgs};
use choose::StartArgs;
use clap::{Args, Subcommand, ValueEnum};
use course::ConductArgs;
use mailfmt::AgentId;
use plan::PlanArgs;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Mail a package to many appliances, ask all for their version and compare.
    Start(Box<StartArgs>),
    /// Foresee what a rollout would take, and change nothing: finish times, mails, octets, and how many boxes a bad package would touch.
    ///
    /// Example: `center-manager rollout plan --package 1a2b3c --all --course default`
    Plan(Box<PlanArgs>),
    /// Approve a rollout that somebody else started, with a key of your own.
    Approve(ApproveArgs),
    /// Let a rollout that waits for approval never begin.
    Deny(DenyArgs),
    /// Say how far a rollout came, and who approved it; with --agent, everything that happened to one appliance.
    Status(StatusArgs),
    /// Follow a rollout to its end. Exit code 0 when all were updated, 3 when some were, 1 when none was.
    ///
    /// On a terminal it draws waves, ladders, errors and the last events anew every second; into a pipe it writes a line
    /// whenever something changed. Ctrl-C ends the watching only; the rollout goes on.
    ///
    /// Example: center-manager rollout watch 7 --once
    #[command(verbatim_doc_comment)]
    Watch(WatchArgs),
    /// The version comparison report.
    ///
    /// Example: center-manager rollout report 7 --format html --output report.html
    #[command(verbatim_doc_comment)]
    Report(ReportArgs),
    /// Write what became of one appliance, signed by the center; `certificate check` checks it anywhere, offline.
    ///
    /// Example: center-manager rollout certificate 7 --agent AGENT0000004 --output verdict.json
    #[command(verbatim_doc_comment)]
    Certificate(certify::CertifyArgs),
    /// Begin again with the failed appliances of a rollout.
    Retry(RetryArgs),
    /// Send no further package for now; what is out is followed to its end.
    Pause(ConductArgs),
    /// Let a paused or stopped rollout go on. One that waits between two waves releases the next.
    Resume(ConductArgs),
    /// Release the next wave now.
    Next(ConductArgs),
    /// Send no further package, and call back those that have not begun.
    Stop(ConductArgs),
    /// Add appliances to a rollout, to its last wave.
    Add(MembersArgs),
    /// Take appliances out of a rollout that were not sent the package yet.
    TakeOut(MembersArgs),
    /// List the courses that have a name.
    Courses(ListArgs),
    /// List all rollouts.
    List(ListArgs),
}

/// Which rollout.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Its number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Show what happened to this appliance, step by step.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which rollout.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Its number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Show how it stands now and end; exit code 0 while it runs.
    #[arg(long)]
    pub once: bool,
    /// Output; JSON is one object per line, whenever something changed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which report, and where to.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Forms of the version comparison report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// A table for the terminal.
    #[default]
    #[value(alias = "table")]
    Text,
    /// JSON; times in RFC 3339.
    Json,
    /// Comma-separated values (RFC 4180); times in RFC 3339.
    Csv,
    /// One self-contained page, light and dark, sortable, made for A4 on paper.
    Html,
}

/// What to begin again.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The rollout's number; the newest if not given.
    pub rollout: Option<RolloutId>,
    /// Only these of the failed appliances, separated by commas.
    #[arg(long, value_name = "AGENTS", value_delimiter = ',')]
    pub agents: Vec<AgentId>,
}

/// Which rollout and which appliances.
#[derive(Debug, Args)]
pub struct MembersArgs {
    /// The rollout's number; the newest if not given.
    #[arg(long, value_name = "ROLLOUT")]
    pub rollout: Option<RolloutId>,
    /// Which appliances.
    #[command(flatten)]
    pub which: Which,
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub(super) fn run(command: &RolloutCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    match command {
        RolloutCommand::Start(args) => choose::start(args, context, &mut db, out),
        RolloutCommand::Approve(args) => approve::approve(args, context, &mut db, out),
        RolloutCommand::Deny(args) => approve::deny(args, &mut db, out),
        RolloutCommand::Plan(args) => plan::plan(args, context, &db, out),
        RolloutCommand::Status(args) => status(args, &db, out),
        RolloutCommand::Watch(args) => watch::watch(args, context, &db, out),
        RolloutCommand::Report(args) => write_report(args, &db, out),
        RolloutCommand::Certificate(args) => certify::certify(args, context, &db, out),
        RolloutCommand::Retry(args) => retry(args, &mut db, out),
        RolloutCommand::Pause(args) => course::conduct(Act::Pause, args, &mut db, out),
        RolloutCommand::Resume(args) => course::conduct(Act::GoOn, args, &mut db, out),
        RolloutCommand::Next(args) => course::conduct(Act::ReleaseNext, args, &mut db, out),
        RolloutCommand::Stop(args) => course::conduct(Act::Stop, args, &mut db, out),
        RolloutCommand::Add(args) => add(args, &mut db, out),
        RolloutCommand::TakeOut(args) => take_out(args, &mut db, out),
        RolloutCommand::Courses(args) => course::list(args.format, out),
        RolloutCommand::List(args) => list(args, &db, out),
    }
}

/// The rollout that is meant.
fn number(db: &Db, given: Option<RolloutId>) -> anyhow::Result<RolloutId> {
    match given {
        Some(id) => Ok(id),
        None => db
            .newest_rollout()?
            .ok_or_else(|| anyhow!("there is no rollout yet; `center-manager rollout start` begins one")),
    }
}

/// The report as of now.
fn comparison(db: &Db, id: RolloutId) -> anyhow::Result<Comparison> {
    let rollout = db.rollout(id)?;
    Ok(Comparison::of(&rollout, &db.rollout_targets(id)?, &db.known_targets(id)?, now()))
}

/// What the page shows beside the table.
fn picture(db: &Db, report: &Comparison) -> anyhow::Result<Picture> {
    let id = report.rollout;
    Ok(Picture {
        waves: report::waves(&db.rollout(id)?, &db.rollout_targets(id)?, report.made),
        points: report::progress(&db.rollout_turns(id)?),
        before: db.versions_before(id, report.started)?,
    })
}

fn write_report(args: &ReportArgs, db: &Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let report = comparison(db, number(db, args.rollout)?)?;
    let mut text = match args.format {
        ReportFormat::Text => report::table(&report),
        ReportFormat::Json => report.json(),
        ReportFormat::Csv => report::csv(&report),
        ReportFormat::Html => report::html(&report, &picture(db, &report)?),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match &args.output {
        Some(path) => {
            home::write_whole(path, text.as_bytes())?;
            writeln!(out, "{}: {}", path.display(), report.summary())?;
        }
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

fn status(args: &StatusArgs, db: &Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    if let Some(agent) = &args.agent {
        return history(id, agent, args.format, db, out);
    }
    let rollout = db.rollout(id)?;
    let mut report = comparison(db, id)?;
    report.rows.retain(|row| row.mark != Mark::Updated || row.reason.is_some());
    if args.format == Format::Json {
        print::json(out, &approve::Standing::of(&report, &rollout))?;
        return Ok(Exit::Done);
    }
    let state = course::standing(&rollout);
    writeln!(
        out,
        "rollout {id}: update to {}, started {}, {state}",
        report.update_to,
        minute(report.started)
    )?;
    if let Some(consent) = &rollout.consent {
        approve::write_consent(consent, out)?;
    }
    writeln!(out, "{}", report.summary())?;
    if rollout.course.waves.len() > 1 {
        course::write_waves(&report::waves(&rollout, &db.rollout_targets(id)?, now()), out)?;
    }
    if !report.rows.is_empty() {
        writeln!(out)?;
        let names = ["agent id", "mark", "attempt", "mail", "installer", "reason"];
        let rows = report.rows.iter().map(|row| {
            vec![
                row.agent.to_string(),
                row.mark.as_str().to_owned(),
                row.attempt.to_string(),
                row.transport.clone(),
                if row.installer.is_empty() { "-".to_owned() } else { row.installer.to_owned() },
                print::maybe(row.reason.as_ref().map(|reason| &reason.cause)),
            ]
        });
        print::table(out, &names, rows)?;
    }
    Ok(Exit::Done)
}

fn history(
    id: RolloutId,
    agent: &AgentId,
    format: Format,
    db: &Db,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let lines = db.rollout_history(id, agent)?;
    if lines.is_empty() && !db.rollout_targets(id)?.contains_key(agent) {
        return Err(rollout::StartError::NoTarget { agent: agent.clone(), rollout: id }.into());
    }
    match format {
        Format::Json => print::json(out, &lines)?,
        Format::Text => {
            let rows = lines.iter().map(|line| {
                vec![minute(line.at), line.attempt.to_string(), line.what.clone(), line.detail.clone()]
            });
            print::table(out, &["time (UTC)", "attempt", "what", "detail"], rows)?;
        }
    }
    Ok(Exit::Done)
}

fn retry(args: &RetryArgs, db: &mut Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let agents = rollout::retry(db, id, &args.agents, &operator(None), now(), &mut SystemRandom)?;
    match agents.len() {
        0 => writeln!(out, "rollout {id}: none of them has failed, nothing to begin again")?,
        1 => writeln!(
            out,
            "rollout {id}: {} begins again",
            agents.iter().map(AgentId::as_str).collect::<String>()
        )?,
        count => writeln!(out, "rollout {id}: {count} appliances begin again")?,
    }
    Ok(Exit::Done)
}

fn add(args: &MembersArgs, db: &mut Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let agents = agents(args, db)?;
    let added = rollout::add(db, id, &agents, &operator(None), now())?;
    write!(out, "rollout {id}: {} added", added.added.len())?;
    match added.known {
        0 => writeln!(out)?,
        known => writeln!(out, ", {known} took part already")?,
    }
    Ok(Exit::Done)
}

fn take_out(args: &MembersArgs, db: &mut Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = number(db, args.rollout)?;
    let agents = agents(args, db)?;
    rollout::take_out(db, id, &agents, &operator(None), now())?;
    writeln!(out, "rollout {id}: {} taken out", agents.len())?;
    Ok(Exit::Done)
}

fn agents(args: &MembersArgs, db: &Db) -> anyhow::Result<BTreeSet<AgentId>> {
    Ok(args.which.select(db)?.into_iter().map(|appliance| appliance.agent).collect())
}

fn list(args: &ListArgs, db: &Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let lines = db.rollouts()?;
    match args.format {
        Format::Json => print::json(out, &lines)?,
        Format::Text => {
            let names =
                ["rollout", "update to", "started", "finished", "appliances", "updated", "failed", "open"];
            let rows = lines.iter().map(|line| {
                let counts = &line.counts;
                vec![
                    line.id.to_string(),
                    line.target.to_string(),
                    minute(line.started),
                    match line.waits_for_approval {
                        true => "waits for approval".to_owned(),
                        false => print::time(line.finished),
                    },
                    counts.total.to_string(),
                    counts.updated.to_string(),
                    counts.failed.to_string(),
                    counts.pending.to_string(),
                ]
            });
            print::table(out, &names, rows)?;
        }
    }
    Ok(Exit::Done)
}

//! `center-manager versions`.

use super::ask::ask;
use super::print::{self, Format, TableFormat};
use super::which::Which;
use super::{Context, Exit};
use crate::db::rollouts::Known;
use crate::report::modules_table;
use crate::rollout::{Composition, Release, composition};
use crate::system::SystemRandom;
use clap::{Args, Subcommand};
use mailfmt::message::VersionRequest;
use mailfmt::{AgentId, Command, ModuleName, Nonce};
use serde::Serialize;
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum VersionsCommand {
    /// Ask appliances for their versions.
    Request(RequestArgs),
    /// Show the latest known version of each appliance; with --agent, every module of one.
    Show(ShowArgs),
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// Whom.
    #[command(flatten)]
    pub which: Which,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The modules of this appliance.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// One module of one appliance.
#[derive(Serialize)]
struct Module {
    name: String,
    version: String,
    date: String,
    sha256: Option<String>,
}

/// One appliance: what it says, and what its modules make.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    known: Known,
    #[serde(flatten)]
    made_of: Option<Composition>,
}

pub(super) fn run(command: &VersionsCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        VersionsCommand::Request(args) => {
            let appliances = args.which.select(&context.db()?)?;
            let nonce = Nonce::generate(&mut SystemRandom);
            ask(context, &appliances, Command::Version(VersionRequest { nonce }), args.format, out)
        }
        VersionsCommand::Show(ShowArgs { agent: Some(agent), format }) => {
            modules(agent, *format, context, out)
        }
        VersionsCommand::Show(ShowArgs { agent: None, format }) => show(*format, context, out),
    }
}

fn show(format: TableFormat, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let releases: Vec<_> = db.packages()?.iter().map(|package| Release::of(&package.manifest)).collect();
    let mut known = Vec::new();
    for appliance in db.known_versions()? {
        let report = db.known_version(&appliance.agent)?;
        let made_of = report.map(|report| composition(&releases, &report.table, &report.hashes));
        known.push(Line { known: appliance, made_of });
    }
    let names =
        ["agent id", "mail address", "version", "made of", "last version check", "remarks (customer)"];
    let rows = known.iter().map(|Line { known, made_of }| {
        vec![
            known.agent.to_string(),
            known.address.clone(),
            print::maybe(known.software.as_ref()),
            made_of.as_ref().map(in_words).unwrap_or_default(),
            print::time(known.checked),
            known.customer.clone(),
        ]
    });
    match format {
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &known)?,
    }
    Ok(Exit::Done)
}

/// What the modules make, as the table says it.
fn in_words(made_of: &Composition) -> String {
    match made_of {
        Composition::Release { version } => version.to_string(),
        Composition::Mixed { modules, .. } => {
            let modules: Vec<_> = modules.iter().map(ModuleName::as_str).collect();
            format!("MIXED: {}", modules.join(", "))
        }
        Composition::Unknown => String::new(),
    }
}

fn modules(
    agent: &AgentId,
    format: TableFormat,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let db = context.db()?;
    db.appliance(agent)?;
    let Some(known) = db.known_version(agent)? else {
        anyhow::bail!(
            "{agent} has sent no version report yet; ask with: center-manager versions request {agent}"
        );
    };
    let modules = known.table.modules.iter().map(|line| Module {
        name: line.name.to_string(),
        version: line.version.to_string(),
        date: line.date.to_string(),
        sha256: known.hashes.get(&line.name).map(ToString::to_string),
    });
    match format {
        TableFormat::Text => writeln!(out, "{}", modules_table(&known))?,
        TableFormat::Json => {
            let modules: Vec<_> = modules.collect();
            let value = serde_json::json!({
                "agent": agent, "software": known.table.software, "rom": known.table.rom, "modules": modules,
                "checked": known.checked, "boot_id": known.boot_id,
            });
            print::json(out, &value)?;
        }
        TableFormat::Csv => {
            let rows = modules.map(|module| {
                vec![module.name, module.version, module.date, module.sha256.unwrap_or_default()]
            });
            print::csv(out, &["module", "version", "date", "sha256"], rows)?;
        }
    }
    Ok(Exit::Done)
}

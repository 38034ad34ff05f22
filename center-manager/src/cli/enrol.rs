//! `center-manager enrol`.

mod fleet;
mod issue;

use super::print::{self, Format, TableFormat};
use super::{Context, Exit, operator};
use crate::db::enrolment::{AttemptLine, CodeLine, ExchangeLine};
use crate::report::minute;
use crate::system::now;
use clap::{Args, Subcommand};
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum EnrolCommand {
    /// Issue a provisional code, or a fleet of them; each is shown once.
    Issue(Box<issue::IssueArgs>),
    /// List codes.
    List(ListArgs),
    /// Show what came under a code.
    Show(ShowArgs),
    /// Take codes back: nothing under them is answered any more.
    Revoke(RevokeArgs),
}

/// Which codes to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those too that were used up, revoked or have expired.
    #[arg(long)]
    pub all: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// Which code to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its number, such as E0123456789abcdef, or the beginning of it.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which codes to take back.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Their numbers, or the beginnings of them.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Who revokes; the user of this system if not given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

/// All that is known of one code.
#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    code: CodeLine,
    enrolments: Vec<ExchangeLine>,
    attempts: Vec<AttemptLine>,
}

pub(super) fn run(command: &EnrolCommand, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        EnrolCommand::Issue(args) => issue::run(args, context, out),
        EnrolCommand::List(args) => list(args, context, out),
        EnrolCommand::Show(args) => show(args, context, out),
        EnrolCommand::Revoke(args) => revoke(args, context, out),
    }
}

fn list(args: &ListArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let codes = db.codes(args.all, now())?;
    let names = [
        "number",
        "customer",
        "state",
        "issued",
        "by",
        "expires",
        "uses left",
        "enrolled",
        "refused",
        "tags",
    ];
    let rows = codes.iter().map(|code| {
        let agents: Vec<_> = code.agents.iter().map(ToString::to_string).collect();
        vec![
            code.id.to_string(),
            code.customer.clone(),
            code.state.as_str().to_owned(),
            minute(code.issued),
            code.issued_by.clone(),
            minute(code.expires),
            format!("{} of {}", code.uses_left, code.uses),
            if agents.is_empty() { "-".to_owned() } else { agents.join(" ") },
            code.refused.to_string(),
            code.tags.join(" "),
        ]
    });
    match args.format {
        TableFormat::Text if codes.is_empty() => writeln!(
            out,
            "No code is open{}",
            if args.all { "" } else { "; --all shows those that have ended" }
        )?,
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &codes)?,
    }
    let strangers: u64 = db.enrolment_attempts(None)?.iter().map(|attempt| attempt.count).sum();
    if strangers > 0 && args.format == TableFormat::Text {
        writeln!(out, "{strangers} mails named codes that were never issued here")?;
    }
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let code = db.code(&args.id, now())?;
    let shown =
        Shown { enrolments: db.exchanges(&code.id)?, attempts: db.enrolment_attempts(Some(&code.id))?, code };
    if args.format == Format::Json {
        print::json(out, &shown)?;
        return Ok(Exit::Done);
    }
    let code = &shown.code;
    let mut line = |name: &str, value: String| {
        let value = if value.is_empty() { "-" } else { &value };
        writeln!(out, "{name:<20}{}", crate::words::plain(value))
    };
    line("Number", code.id.to_string())?;
    line("State", code.state.as_str().to_owned())?;
    line("Customer", code.customer.clone())?;
    line("Tags", code.tags.join(" "))?;
    line("Replaces", print::maybe(code.replaces.as_ref()))?;
    line("Issued", format!("{} by {}", minute(code.issued), code.issued_by))?;
    line("Expires", minute(code.expires))?;
    line("Uses left", format!("{} of {}", code.uses_left, code.uses))?;
    if let Some(at) = code.revoked {
        line("Revoked", format!("{} by {}", minute(at), code.revoked_by))?;
    }
    if !shown.enrolments.is_empty() {
        writeln!(out, "\nEnrolments")?;
        let names = ["begun", "mail address", "answers", "registered", "agent id", "first heard"];
        let rows = shown.enrolments.iter().map(|one| {
            vec![
                minute(one.begun),
                one.address.clone(),
                one.answers.to_string(),
                print::time(one.registered),
                print::maybe(one.agent.as_ref()),
                print::time(one.confirmed),
            ]
        });
        print::table(out, &names, rows)?;
    }
    if !shown.attempts.is_empty() {
        writeln!(out, "\nNot answered")?;
        let names = ["why", "times", "first", "last", "detail of the last"];
        let rows = shown.attempts.iter().map(|one| {
            vec![
                one.reason.clone(),
                one.count.to_string(),
                minute(one.first),
                minute(one.last),
                one.detail.clone(),
            ]
        });
        print::table(out, &names, rows)?;
    }
    Ok(Exit::Done)
}

fn revoke(args: &RevokeArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut db = context.db()?;
    let by = operator(args.by.as_deref());
    let codes = args.ids.iter().map(|id| db.code(id, now())).collect::<Result<Vec<_>, _>>()?;
    for code in &codes {
        let suspended = db.revoke_code(&code.id, &by, now())?;
        writeln!(out, "{} revoked", code.id)?;
        for agent in suspended {
            writeln!(out, "{agent}, which it let in, was not heard of yet and is suspended")?;
        }
    }
    Ok(Exit::Done)
}

//! `center-manager status`.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::journal::JournalFilter;
use crate::report::minute;
use crate::rollout::RolloutId;
use crate::serve::{Lock, LockError};
use crate::system::now;
use clap::Args;
use jiff::Timestamp;
use mailbox::inbox::{Manner, Noticing};
use std::io::Write;

/// What to show.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How the center fares.
#[derive(Debug, serde::Serialize)]
struct Status {
    center: String,
    address: String,
    daemon_runs: bool,
    appliances: usize,
    last_report: Option<Timestamp>,
    next_sending: Option<Timestamp>,
    /// Rollouts of which nothing is sent before other people approve them.
    waiting_rollouts: Vec<RolloutId>,
    accounts: Vec<Noticing>,
}

pub(super) fn run(args: &StatusArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let status = look(context)?;
    match args.format {
        Format::Json => print::json(out, &status)?,
        Format::Text => out.write_all(text(&status).as_bytes())?,
    }
    Ok(Exit::Done)
}

fn look(context: &Context) -> anyhow::Result<Status> {
    let (db, settings) = (context.db()?, context.settings()?);
    let newest = db.journal(&JournalFilter { limit: Some(1), ..JournalFilter::default() })?;
    let noticing = |account: &mailbox::AccountSettings| {
        let every = |manner: Option<Manner>| {
            settings.mail.look_pause(manner.unwrap_or(Manner::PerLook), settings.poll).as_secs()
        };
        db.noticing(&account.name, every, settings.mail.login_budget(settings.poll), now())
    };
    Ok(Status {
        center: settings.center.to_string(),
        address: settings.address.clone(),
        daemon_runs: matches!(Lock::take(&context.home.lock_file()), Err(LockError::Held { .. })),
        appliances: db.appliances()?.len(),
        last_report: newest.first().map(|entry| entry.received),
        next_sending: db.next_due()?,
        waiting_rollouts: db
            .rollouts()?
            .iter()
            .filter(|line| line.waits_for_approval)
            .map(|line| line.id)
            .collect(),
        accounts: settings.accounts.iter().map(noticing).collect::<Result<_, _>>()?,
    })
}

fn text(status: &Status) -> String {
    let or_never = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), minute);
    let daemon = if status.daemon_runs { "running" } else { "NOT RUNNING; `center-manager serve` runs it" };
    let mut text = format!(
        "center         {}, {}\ndaemon         {daemon}\nappliances     {}\nlast report    {}\nnext sending   {}\n",
        status.center,
        status.address,
        status.appliances,
        or_never(status.last_report),
        or_never(status.next_sending),
    );
    for id in &status.waiting_rollouts {
        text +=
            &format!("rollout {id:<6} waits for approval; center-manager rollout approve {id} --key FILE\n");
    }
    for account in &status.accounts {
        let words = account.words(status.daemon_runs, &or_never(account.since));
        text += &format!("new mail       {words}\n");
        let full = account.fullness.as_ref().and_then(|known| known.words(&minute(known.at)));
        text +=
            &full.map_or_else(String::new, |words| format!("mailbox        {}: {words}\n", account.account));
    }
    text
}

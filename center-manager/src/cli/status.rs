//! `center-manager status`.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::journal::JournalFilter;
use crate::db::noticing::LoginWay;
use crate::report::minute;
use crate::serve::{Lock, LockError};
use crate::system::now;
use clap::Args;
use jiff::Timestamp;
use mailbox::inbox::Manner;
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
    accounts: Vec<Noticing>,
}

/// How one account's mail is noticed.
#[derive(Debug, serde::Serialize)]
struct Noticing {
    account: String,
    /// None before mail was first looked for.
    manner: Option<Manner>,
    session_open: bool,
    since: Option<Timestamp>,
    /// Longest time between two looks, whatever the server tells.
    every_secs: u64,
    logins_to_fetch: usize,
    logins_to_send: usize,
    /// Most logins to fetch within an hour.
    logins_allowed: u32,
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
    let (notices, time) = (db.notices()?, now());
    let noticing = |account: &mailbox::AccountSettings| -> anyhow::Result<Noticing> {
        let notice = notices.iter().find(|notice| notice.account == account.name);
        let manner = notice.map(|notice| notice.standing.manner);
        let every = settings.mail.look_pause(manner.unwrap_or(Manner::PerLook), settings.poll);
        Ok(Noticing {
            account: account.name.clone(),
            manner,
            session_open: notice.is_some_and(|notice| notice.standing.session_open),
            since: notice.map(|notice| notice.since),
            every_secs: every.as_secs(),
            logins_to_fetch: db.logins(&account.name, LoginWay::Fetch, time)?.len(),
            logins_to_send: db.logins(&account.name, LoginWay::Send, time)?.len(),
            logins_allowed: settings.mail.login_budget(settings.poll),
        })
    };
    Ok(Status {
        center: settings.center.to_string(),
        address: settings.address.clone(),
        daemon_runs: matches!(Lock::take(&context.home.lock_file()), Err(LockError::Held { .. })),
        appliances: db.appliances()?.len(),
        last_report: newest.first().map(|entry| entry.received),
        next_sending: db.next_due()?,
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
    for account in &status.accounts {
        text += &account.text(status.daemon_runs);
    }
    text
}

impl Noticing {
    fn text(&self, daemon_runs: bool) -> String {
        let (since, every) = (self.since.map_or_else(|| "-".to_owned(), minute), self.every_secs);
        let noticed = match (self.manner, self.session_open) {
            (None, _) => "not looked for yet".to_owned(),
            _ if !daemon_runs => "not looked for now".to_owned(),
            (Some(Manner::Idle), true) => {
                format!("noticed at once (IMAP IDLE since {since}), and looked for every {every} s")
            }
            (Some(Manner::Asking), true) => {
                format!(
                    "asked for every {every} s over one session since {since}: the server does not tell of it"
                )
            }
            (Some(Manner::PerLook), _) => {
                format!("looked for every {every} s since {since}, each time with a login")
            }
            (Some(Manner::Idle | Manner::Asking), false) => {
                format!("NOT noticed just now: no session with the server since {since}")
            }
        };
        format!(
            "new mail       {}: {noticed}; {} logins in the last hour to fetch ({} allowed), {} to send\n",
            self.account, self.logins_to_fetch, self.logins_allowed, self.logins_to_send
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_how_mail_is_noticed() {
        let noticing = |manner, session_open| Noticing {
            account: "main".to_owned(),
            manner,
            session_open,
            since: None,
            every_secs: 180,
            logins_to_fetch: 1,
            logins_to_send: 2,
            logins_allowed: 780,
        };
        for (manner, session_open, daemon_runs, words) in [
            (None, false, true, "not looked for yet"),
            (Some(Manner::Idle), true, true, "at once (IMAP IDLE since"),
            (Some(Manner::Idle), true, false, "not looked for now"),
            (Some(Manner::Idle), false, true, "NOT noticed just now"),
            (Some(Manner::Asking), true, true, "over one session"),
            (Some(Manner::PerLook), false, true, "each time with a login"),
        ] {
            let text = noticing(manner, session_open).text(daemon_runs);
            assert!(text.contains(words), "{text}");
            assert!(text.contains("1 logins in the last hour to fetch (780 allowed), 2 to send"), "{text}");
        }
    }
}

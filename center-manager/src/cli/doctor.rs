//! `center-manager doctor`.

use super::print::{self, Format};
use super::{Context, Exit};
use crate::db::journal::JournalFilter;
use crate::home::Home;
use crate::keys;
use crate::serve::{Lock, LockError, chain};
use crate::settings::Settings;
use crate::system::now;
use clap::Args;
use jiff::Timestamp;
use mailbox::quota::{ADVICE, Quota};
use mailbox::{Account, OutgoingMail, Protocol};
use mailfmt::trust::Root;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

/// Below this a disk is called full, in octets.
const FREE_OCTETS_MIN: u64 = 256 << 20;

/// What to try.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Connect to no mail server.
    #[arg(long)]
    pub offline: bool,
    /// Log in, but send no test mail.
    #[arg(long)]
    pub no_send: bool,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// One thing that was tried.
#[derive(Debug, serde::Serialize)]
struct Finding {
    what: String,
    works: bool,
    /// It works, but should not stay so.
    warning: bool,
    /// What was found, or why it does not work and what to do.
    detail: String,
}

#[derive(Debug, Default, serde::Serialize)]
struct Checks {
    findings: Vec<Finding>,
}

impl Checks {
    fn add<E: std::fmt::Display>(&mut self, what: &str, result: Result<String, E>) {
        let (works, detail) = match result {
            Ok(found) => (true, found),
            Err(error) => (false, format!("{error:#}")),
        };
        self.findings.push(Finding { what: what.to_owned(), works, warning: false, detail });
    }

    fn warn(&mut self, what: &str, detail: String) {
        self.findings.push(Finding { what: what.to_owned(), works: true, warning: true, detail });
    }

    fn failed(&self) -> usize {
        self.findings.iter().filter(|finding| !finding.works).count()
    }
}

pub(super) fn run(args: &DoctorArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut checks = Checks::default();
    let home = &context.home;
    let found = home_folder(home);
    let is_there = home.root().is_dir();
    checks.add("home", found);
    if is_there {
        examine(args, context, &mut checks)?;
    }
    show(&checks, args.format, out)?;
    Ok(match checks.failed() {
        0 => Exit::Done,
        all if all == checks.findings.len() => Exit::Failed,
        _ => Exit::Partly,
    })
}

fn examine(args: &DoctorArgs, context: &Context, checks: &mut Checks) -> anyhow::Result<()> {
    let home = &context.home;
    checks.add("disk", disk(home));
    let settings = home.settings();
    let found = settings.as_ref().map(|settings| format!("center {}, {}", settings.center, settings.address));
    checks.add("settings", found.map_err(|error| chain(error)));
    database(context, checks);
    roots(home, checks);
    checks.add("daemon", daemon(home));
    if let Ok(settings) = &settings {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(accounts(args, home, settings, checks));
    }
    Ok(())
}

fn show(checks: &Checks, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    if format == Format::Json {
        return print::json(out, checks);
    }
    let width = checks.findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    for Finding { what, works, warning, detail } in &checks.findings {
        let detail = crate::words::plain(detail);
        if *warning {
            writeln!(out, "WARNING {what}\n        {detail}")?;
        } else if *works {
            writeln!(out, "ok      {what:width$}  {detail}")?;
        } else {
            // Sentences and paths are too long for a table.
            writeln!(out, "FAILED  {what}\n        {detail}")?;
        }
    }
    match checks.failed() {
        0 => writeln!(out, "\neverything works")?,
        1 => writeln!(out, "\n1 thing does not work")?,
        more => writeln!(out, "\n{more} things do not work")?,
    }
    Ok(())
}

/// The causes of an error, and what to do about it where that is known.
pub(super) fn with_advice(error: &(dyn std::error::Error + 'static)) -> String {
    let text = chain(error);
    mailbox::advice(error).map_or_else(|| text.clone(), |advice| format!("{text}; {advice}"))
}

fn home_folder(home: &Home) -> Result<String, String> {
    let metadata = std::fs::metadata(home.root()).map_err(|error| {
        format!(
            "{}: {error}; run `center-manager init`, or name another folder with --home",
            home.root().display()
        )
    })?;
    for secret in [home.database(), home.root_key(), home.release_key(), home.command_key()] {
        let Ok(file) = std::fs::metadata(&secret) else { continue };
        let mode = file.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "{} has mode {mode:o}: others may read it; run `chmod 600`",
                secret.display()
            ));
        }
    }
    Ok(format!("{}, mode {:o}", home.root().display(), metadata.permissions().mode() & 0o777))
}

fn disk(home: &Home) -> Result<String, String> {
    let space = rustix::fs::statvfs(home.root()).map_err(|error| error.to_string())?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let found = format!("{} MB free", free / 1_000_000);
    if free < FREE_OCTETS_MIN { Err(format!("only {found}; make room")) } else { Ok(found) }
}

fn database(context: &Context, checks: &mut Checks) {
    let db = match context.db() {
        Ok(db) => db,
        Err(error) => return checks.add("database", Err(error)),
    };
    let whole = db
        .check()
        .map_err(|error| chain(&error))
        .and_then(|faults| if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) });
    let known = db.appliances().map_err(|error| chain(&error));
    let writable = rustix::fs::access(context.home.database(), rustix::fs::Access::WRITE_OK)
        .map_err(|error| format!("{} cannot be written: {error}", context.home.database().display()));
    let whole = whole.and(writable);
    checks.add(
        "database",
        whole.and(known).map(|known| format!("whole, writable, {} appliances", known.len())),
    );
    for rollout in db.rollouts().into_iter().flatten().filter(|line| line.waits_for_approval) {
        checks.warn(
            "rollouts",
            format!(
                "rollout {0} to {1} waits for approval: center-manager rollout approve {0} --key FILE",
                rollout.id, rollout.target
            ),
        );
    }
    let newest = db.journal(&JournalFilter { limit: Some(1), ..JournalFilter::default() });
    let newest = newest.ok().and_then(|entries| entries.first().map(|entry| entry.received));
    checks.add("clock", clock(now(), newest));
}

/// A clock that stands before this program was written, or before the newest report, is wrong.
fn clock(now: Timestamp, newest: Option<Timestamp>) -> Result<String, String> {
    let written =
        jiff::civil::date(2026, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let earliest = written.ok().into_iter().chain(newest).max();
    match earliest {
        Some(earliest) if now < earliest => Err(format!("{now} is before {earliest}; set the clock")),
        _ => Ok(now.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
    }
}

/// Below so many days a root is called about to expire.
const ROOT_DAYS_MIN: i64 = 60;

/// Keys that do not belong on a center.
const OFFLINE_KEYS: &str = "root, release and approval keys";

fn roots(home: &Home, checks: &mut Checks) {
    let trusted = match home.roots() {
        Ok((_, trusted)) => trusted,
        Err(error) => return checks.add("roots", Err::<String, _>(chain(&error))),
    };
    let root = trusted.root();
    let left = root.expires.duration_since(now()).as_hours() / 24;
    let found = format!("root {}, expires in {left} days", root.version);
    let renew = "make a newer one with `root rotate` and send it with `root send`";
    if root.is_expired(now()) {
        let why =
            format!("root {} expired at {}: appliances install nothing; {renew}", root.version, root.expires);
        checks.add("roots", Err::<String, _>(why));
    } else if left < ROOT_DAYS_MIN {
        checks.warn("roots", format!("{found}; then appliances install nothing: {renew}"));
    } else {
        checks.add("roots", Ok::<_, String>(found));
    }
    checks.add("command key", command_key(home, root));
    match keys::dangerous(&home.keys(), root) {
        Err(error) => checks.add(OFFLINE_KEYS, Err::<String, _>(chain(&error))),
        Ok(found) if found.is_empty() => {
            checks.add(OFFLINE_KEYS, Ok::<_, String>("kept elsewhere".to_owned()));
        }
        Ok(found) => {
            let files: Vec<_> = found.iter().map(|(path, _)| path.display().to_string()).collect();
            checks.warn(
                OFFLINE_KEYS,
                format!(
                    "{} on this center: whoever breaks into it can put programs on the whole fleet; `center-manager key \
                     move-out FOLDER` moves them to a stick",
                    files.join(" and ")
                ),
            );
        }
    }
}

fn command_key(home: &Home, root: &Root) -> Result<String, String> {
    let path = home.command_key();
    let failed = |error: &dyn std::error::Error| {
        format!("{}; appliances take nothing that is not signed", chain(error))
    };
    let file = keys::read_private(&path).map_err(|error| failed(&error))?;
    let key = file.open(None).map_err(|error| failed(&error))?.public();
    if root.command.key(key.id()).is_none() {
        return Err(format!(
            "root {} does not name {}: appliances take nothing from this center; add it with `root rotate --add-key command={}`",
            root.version,
            key.id(),
            keys::public_file(&path).display()
        ));
    }
    Ok(format!("{}, named by root {}", key.id(), root.version))
}

fn daemon(home: &Home) -> Result<String, String> {
    match Lock::take(&home.lock_file()) {
        Ok(_) => Ok("not running; `center-manager serve` runs it".to_owned()),
        Err(LockError::Held { .. }) => Ok("running".to_owned()),
        Err(error) => Err(chain(&error)),
    }
}

async fn accounts(args: &DoctorArgs, home: &Home, settings: &Settings, checks: &mut Checks) {
    let limits = settings.mail_limits();
    for (index, account) in settings.accounts.iter().enumerate() {
        let name = &account.name;
        let account = match Account::open(account.clone(), &home.password_file(index.saturating_add(1))) {
            Ok(account) => account,
            Err(error) => {
                checks.add(&format!("{name}: password"), Err::<String, _>(chain(&error)));
                continue;
            }
        };
        checks.add(&format!("{name}: password"), Ok::<_, String>("there".to_owned()));
        checks.add(&format!("{name}: limits"), Ok::<_, String>(account.settings.limits_in_words()));
        if args.offline {
            continue;
        }
        if let mailbox::Login::OAuth2(_) = account.settings.login {
            let token = account.access_token(&limits).await;
            let found = token.map(|_| "there".to_owned()).map_err(|error| with_advice(&error));
            checks.add(&format!("{name}: access token"), found);
        }
        let fetched = mailbox::fetch::check_login(&account, &limits).await;
        if let Ok(report) = &fetched {
            fullness(name, report.quota, checks);
        }
        let found = fetched.map(|report| {
            format!(
                "{} by {}, {} mails in the mailbox",
                protocol(report.protocol),
                report.login,
                report.mails
            )
        });
        checks.add(&format!("{name}: mail in"), found.map_err(|error| with_advice(&error)));
        let sent = if args.no_send {
            mailbox::smtp::check_login(&account, &limits)
                .await
                .map(|report| match report.login {
                    Some(way) => format!("{}, login by {way}", report.server_name),
                    None => format!("{}, without a login", report.server_name),
                })
                .map_err(|error| with_advice(&error))
        } else {
            send_test(&account, settings).await
        };
        checks.add(&format!("{name}: mail out"), sent);
    }
}

/// Nothing where the server tells of no limit.
fn fullness(account: &str, quota: Quota, checks: &mut Checks) {
    let what = format!("{account}: mailbox");
    if quota.is_nearly_full(false) {
        checks.warn(&what, format!("{quota}; {ADVICE}"));
    } else if quota.percent().is_some() {
        checks.add(&what, Ok::<_, String>(quota.to_string()));
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Pop3 => "POP3",
        Protocol::Imap => "IMAP",
    }
}

/// A plain mail to ourselves; the daemon throws it away as none of ours.
async fn send_test(account: &Account, settings: &Settings) -> Result<String, String> {
    let (address, date) = (&settings.address, now().strftime("%a, %d %b %Y %H:%M:%S +0000"));
    let raw = format!(
        "From: {address}\r\nTo: {address}\r\nSubject: Device monitor test\r\nDate: {date}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This mail only shows that mail can be sent. Nothing needs to be done.\r\n"
    );
    let mail = OutgoingMail {
        return_path: Some(address.clone()),
        recipients: vec![address.clone()],
        raw: Arc::from(raw.into_bytes()),
    };
    let outcomes = mailbox::smtp::send(account, &settings.mail_limits(), &mail)
        .await
        .map_err(|error| with_advice(&error))?;
    match outcomes.as_slice() {
        [(_, mailbox::RecipientOutcome::Accepted)] => Ok(format!("test mail to {address} accepted")),
        [(_, mailbox::RecipientOutcome::Refused(reply) | mailbox::RecipientOutcome::Deferred(reply))] => {
            Err(reply.to_string())
        }
        _ => Err("the server said nothing about the recipient".to_owned()),
    }
}

//! `ingest`: how fast the center fetches, opens and files version reports from a real Dovecot, beside a mail program
//! that stores the same mails and beside bare readers that only count them.
//!
//! Every measurement has a mailbox of its own with the same 10,000 mails, and every one of ours a home of its own.

pub(super) mod mails;
pub(super) mod peers;
pub(super) mod site;

use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::journal::JournalFilter;
use center_manager::db::outbox::Transport;
use center_manager::home::{self, Home};
use center_manager::serve::Daemon;
use center_manager::settings::SettingsFile;
use jiff::Timestamp;
use mailbox::{AccountSettings, Protocol, Security, Server};
use mails::Load;
use site::{MailSite, Mailbox};
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const REPORTS: usize = 10_000;
const APPLIANCES: usize = 100;
const RUNS: usize = 3;
/// Three for each of our plain figures, one for each other measurement.
const MAILBOXES: usize = 2 * RUNS + 6;

/// Measures.
///
/// # Errors
/// When the mail site cannot run here (it needs root and Debian's packages), when fetchmail is missing, and when a
/// single report is not filed or a single mail not deleted: such a run does not count.
pub(super) fn run(now: Timestamp, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    let peer = peers::fetchmail_version()?;
    // The mail server stands for another machine: in memory, so that its disk takes nothing from ours, to which the
    // fleet database is synced.
    let memory = Some(Path::new("/dev/shm")).filter(|memory| memory.is_dir());
    let server_folder = tempfile::Builder::new()
        .prefix("ingest-bench.")
        // Dovecot's own user must come through.
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(memory.unwrap_or(&std::env::temp_dir()))?;
    let folder = tempfile::Builder::new().prefix("ingest-bench.").tempdir()?;
    let site = MailSite::start(&server_folder.path().join("site"), MAILBOXES, &[], runtime)?;
    let load = Load::make(REPORTS, APPLIANCES, now)?;
    eprintln!("  {MAILBOXES} mailboxes with {REPORTS} mails of {} octets each ...", load.octets_each());
    let mut mailboxes = site.mailboxes()?.into_iter();
    let mut next = || -> anyhow::Result<Mailbox> {
        let mailbox = mailboxes.next().context("as many mailboxes as measurements")?;
        load.fill(&mailbox.maildir)?;
        // Indexes as a server has them for a mailbox that is in use; and nothing of ours left to write to the disk.
        peers::warm(&site, &mailbox)?;
        rustix::fs::sync();
        Ok(mailbox)
    };

    let (mut pop3, mut imap) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let ours = |fetch, mailbox| {
            let measured = ours(&site, &load, folder.path(), mailbox, fetch, Security::Plain);
            runtime.block_on(measured)
        };
        pop3.push(ours(Protocol::Pop3, next()?)?);
        imap.push(ours(Protocol::Imap, next()?)?);
    }
    let tls = |fetch, mailbox| {
        runtime.block_on(ours(&site, &load, folder.path(), mailbox, fetch, Security::Tls)).map(per_second)
    };
    let pop3_tls = tls(Protocol::Pop3, next()?)?;
    let imap_tls = tls(Protocol::Imap, next()?)?;
    let bare_pop3 = bare(&next()?, |mailbox| peers::bare_pop3(&site, mailbox, REPORTS))?;
    let bare_imap = bare(&next()?, |mailbox| peers::bare_imap(&site, mailbox, REPORTS))?;
    let fetchmail = |fetch, mailbox: &Mailbox| {
        peers::fetchmail(&site, mailbox, folder.path(), fetch, REPORTS).map(per_second)
    };
    let fetchmail_pop3 = fetchmail(Protocol::Pop3, &next()?)?;
    let fetchmail_imap = fetchmail(Protocol::Imap, &next()?)?;

    let figure = |figure, value, against| Figure {
        bench: "ingest",
        figure,
        value,
        unit: "reports per s, fetched, opened, filed durably and deleted",
        against,
    };
    let beside = |protocol: &str, fetchmail: f64, bare: &str, rate: f64| {
        format!(
            "all without TLS, mail server in memory: {peer} --bsmtp by {protocol} (stores, does not sync, deletes): \
             {fetchmail:.0}/s, bare {bare} {protocol} reader (only counts): {rate:.0}/s"
        )
    };
    let without_tls = |rate: f64| format!("the same without TLS: {rate:.0}/s");
    let (pop3, imap) = (per_second(middle(pop3)), per_second(middle(imap)));
    Ok(vec![
        figure("pop3_per_s", pop3, beside("POP3", fetchmail_pop3, "pipelined", bare_pop3)),
        figure("imap_per_s", imap, beside("IMAP", fetchmail_imap, "batched", bare_imap)),
        figure("pop3_tls_per_s", pop3_tls, without_tls(pop3)),
        figure("imap_tls_per_s", imap_tls, without_tls(imap)),
    ])
}

fn per_second(time: Duration) -> f64 {
    octets_f64(REPORTS) / time.as_secs_f64()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Reads the same mailbox several times, which leaves it as it is.
fn bare(mailbox: &Mailbox, read: impl Fn(&Mailbox) -> anyhow::Result<Duration>) -> anyhow::Result<f64> {
    let times = (0..RUNS).map(|_| read(mailbox)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(per_second(middle(times)))
}

/// The center as it is: the daemon's own reading, from connecting to the confirmed deletion of the last mail.
async fn ours(
    site: &MailSite,
    load: &Load,
    folder: &Path,
    mailbox: Mailbox,
    fetch: Protocol,
    security: Security,
) -> anyhow::Result<Duration> {
    let root = tempfile::Builder::new().prefix("home.").tempdir_in(folder)?;
    let home = make_home(root.path(), account(site, &mailbox, fetch, security)?, &site.password, load)?;
    let mut daemon = Daemon::new(&home)?;
    rustix::fs::sync();
    let start = Instant::now();
    let pass = daemon.read_waiting().await?;
    let time = start.elapsed();
    drop(daemon);

    let db = Db::open(&home.database())?;
    let journal = db.journal(&JournalFilter::default())?;
    let filed: BTreeSet<_> = journal.iter().map(|entry| entry.message).collect();
    let receipts = journal.iter().filter(|entry| entry.receipt == Some(Transport::Queued)).count();
    ensure!(
        pass.read == REPORTS && pass.reports == REPORTS && filed == load.messages && receipts == REPORTS,
        "{} of {REPORTS} reports are filed, with {receipts} receipts",
        filed.len()
    );
    let left = peers::waiting(site, &mailbox)?;
    ensure!(left == 0, "{left} mails were left in the mailbox");
    eprintln!("  center by {fetch:?}, {security:?}: {:.0}/s", per_second(time));
    Ok(time)
}

/// A center that knows the appliances and reads this one mailbox; everything else at its default.
fn make_home(root: &Path, account: AccountSettings, password: &str, load: &Load) -> anyhow::Result<Home> {
    let home = Home::new(root);
    home.create_folders()?;
    home::write_secret(&home.password_file(1), password.as_bytes())?;
    Db::create(&home.database())?.add_appliances(&load.appliances, center_manager::system::now())?;
    let address = account.address.clone();
    let settings = SettingsFile::new(&load.center, &address, account);
    home::write_whole(&home.settings_file(), toml::to_string(&settings)?.as_bytes())?;
    Ok(home)
}

fn account(
    site: &MailSite,
    mailbox: &Mailbox,
    fetch: Protocol,
    security: Security,
) -> anyhow::Result<AccountSettings> {
    let server = |port, security| -> anyhow::Result<Server> {
        Ok(Server { host: site.host()?.to_owned(), port, security })
    };
    Ok(AccountSettings {
        name: "bench".to_owned(),
        address: mailbox.user.clone(),
        username: mailbox.user.clone(),
        smtp: server(site.smtp_port()?, Security::Plain)?,
        fetch,
        fetch_server: server(site.port(fetch, security)?, security)?,
        ca_file: Some(site.ca_file()?),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    })
}

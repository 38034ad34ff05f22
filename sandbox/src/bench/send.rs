//! `send`: how fast the center hands its receipts in to a real Postfix, beside Postfix's own `smtp-source` with one of the same
//! mails and as many sessions.
//!
//! Ours is all that the daemon does for a receipt: read it from the fleet database, seal it, write the mail, hand it in, note
//! durably that it was taken. The peer sends one prepared file again and again.

use super::ingest::mails::Load;
use super::ingest::site::{MailSite, Mailbox};
use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::journal::JournalFilter;
use center_manager::db::outbox::Transport;
use center_manager::home::{self, Home};
use center_manager::keys::write_pair;
use center_manager::serve::Daemon;
use center_manager::settings::SettingsFile;
use jiff::Timestamp;
use mailbox::{AccountSettings, Protocol, Security, Server};
use mailfmt::trust::SigningKey;
use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Receipts of one measurement, unless `SEND_MAILS` says otherwise.
const RECEIPTS: usize = 10_000;
const APPLIANCES: usize = 100;
const SESSIONS: u64 = 4;
const RUNS: usize = 3;

/// Postfix takes mail for the site's mailboxes from anybody on this machine, as the peer needs it (it has neither TLS nor AUTH), and
/// delivers it into nothing, so that only the handing in is measured.
const MAIN_CF: &str = "virtual_transport = discard:\n";
const MASTER_CF: &str = "discard unix - - n - - discard\n";

/// Measures.
///
/// # Errors
/// When the mail site cannot run here (it needs root and Debian's packages), and when a single receipt is not taken, is taken twice,
/// or is not delivered: such a run does not count.
pub(super) fn run(now: Timestamp, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    let receipts = match std::env::var("SEND_MAILS") {
        Ok(number) => number.parse().context("SEND_MAILS is a number of mails")?,
        Err(_) => RECEIPTS,
    };
    let folder = tempfile::Builder::new().prefix("send-bench.").tempdir()?;
    let (main, master) = (folder.path().join("main.cf"), folder.path().join("master.cf"));
    std::fs::write(&main, MAIN_CF)?;
    std::fs::write(&master, MASTER_CF)?;
    // The mail server stands for another machine: in memory, so that its disk takes nothing from ours.
    let memory = Some(Path::new("/dev/shm")).filter(|memory| memory.is_dir());
    let server_folder = tempfile::Builder::new()
        .prefix("send-bench.")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(memory.unwrap_or(&std::env::temp_dir()))?;
    let root = server_folder.path().join("site");
    let path = |path: &PathBuf| path.to_str().context("a path of ASCII").map(ToOwned::to_owned);
    let further = ["--postfix-conf", &path(&main)?, "--postfix-master", &path(&master)?];
    let site = MailSite::start(&root, APPLIANCES, &further, runtime)?;
    let bench =
        Bench { site, log: root.join("log/postfix.log"), folder: folder.path().to_owned(), receipts, now };

    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let mut measure_ours = || -> anyhow::Result<PathBuf> {
            let (time, mail) = runtime.block_on(bench.ours(run, Security::Plain))?;
            ours.push(time);
            Ok(mail)
        };
        let mail = measure_ours()?;
        peer.push(bench.smtp_source(&mail)?);
    }
    let (secured, _) = runtime.block_on(bench.ours(RUNS, Security::Tls))?;
    let rate = |time: Duration| octets_f64(receipts) / time.as_secs_f64();
    let (ours, peer) = (rate(middle(ours)), rate(middle(peer)));
    let figure = |figure, value, unit, against| Figure { bench: "send", figure, value, unit, against };
    let each = format!(
        "{receipts} mails, {SESSIONS} sessions, Postfix in memory, plain port without login; median of {RUNS}"
    );
    Ok(vec![
        figure(
            "ratio",
            ours / peer,
            "rate of the center's sending divided by that of smtp-source",
            format!(
                "limit: 0.7 or more; {each}: center {ours:.0}/s, smtp-source -d with one of these mails {peer:.0}/s"
            ),
        ),
        figure(
            "receipts_per_s",
            ours,
            "receipts per s, read, sealed, handed in and noted durably",
            each.clone(),
        ),
        figure("smtp_source_per_s", peer, "mails per s, one prepared file", each),
        figure(
            "tls_auth_per_s",
            rate(secured),
            "receipts per s over TLS with login",
            format!("the same without TLS and login: {ours:.0}/s"),
        ),
    ])
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

struct Bench {
    site: MailSite,
    log: PathBuf,
    folder: PathBuf,
    receipts: usize,
    now: Timestamp,
}

impl Bench {
    /// A center with as many receipts in its outbox as it gets reports; then one pass of its daemon. Answers its time, and a file
    /// with one of the mails for the peer.
    async fn ours(&self, run: usize, security: Security) -> anyhow::Result<(Duration, PathBuf)> {
        let mailbox = self.site.mailboxes()?.into_iter().nth(run).context("a mailbox for every run")?;
        let mut load = Load::make(self.receipts, APPLIANCES, self.now)?;
        for (appliance, mailbox) in load.appliances.iter_mut().zip(self.site.mailboxes()?) {
            appliance.address = mailbox.user;
        }
        load.fill(&mailbox.maildir)?;
        let root = self.folder.join(format!("home{run}"));
        let home = self.make_home(&root, &mailbox, security, &load)?;
        let mut daemon = Daemon::new(&home)?;
        let read = daemon.read_waiting().await?;
        ensure!(read.reports == self.receipts, "{} of {} reports were filed", read.reports, self.receipts);
        rustix::fs::sync();
        let before = self.log_octets()?;

        let start = Instant::now();
        let pass = daemon.once().await?;
        let time = start.elapsed();

        drop(daemon);
        let db = Db::open(&home.database())?;
        let taken = db
            .journal(&JournalFilter::default())?
            .iter()
            .filter(|entry| entry.receipt == Some(Transport::Accepted))
            .count();
        ensure!(
            pass.sent == self.receipts && taken == self.receipts,
            "{} of {} receipts were sent, {taken} are noted",
            pass.sent,
            self.receipts
        );
        self.all_delivered_once(before)?;
        let rate = octets_f64(self.receipts) / time.as_secs_f64();
        eprintln!("  center, {security:?}: {rate:.0}/s, mails of {} octets", self.last_size()?);
        Ok((time, self.sample(&home)?))
    }

    fn make_home(
        &self,
        root: &Path,
        mailbox: &Mailbox,
        security: Security,
        load: &Load,
    ) -> anyhow::Result<Home> {
        std::fs::create_dir(root)?;
        let home = Home::new(root);
        home.create_folders()?;
        home::write_secret(&home.password_file(1), self.site.password.as_bytes())?;
        Db::create(&home.database())?.add_appliances(&load.appliances, center_manager::system::now())?;
        // Receipts are signed with the command key, as ever.
        let mut random = sandbox::random();
        write_pair(&home.command_key(), &SigningKey::generate(&mut random), None, &mut random)?;
        let host = self.site.host()?.to_owned();
        let (port, login) = match security {
            Security::Tls => (self.site.smtps_port()?, true),
            Security::StartTls | Security::Plain => (self.site.smtp_port()?, false),
        };
        let fetch_port = self.site.port(Protocol::Pop3, Security::Plain)?;
        let account: AccountSettings = serde_json::from_value(serde_json::json!({
            "name": "bench", "address": mailbox.user, "username": mailbox.user, "fetch": Protocol::Pop3,
            "smtp": Server { host: host.clone(), port, security },
            "fetch_server": Server { host, port: fetch_port, security: Security::Plain },
            "ca_file": self.site.ca_file()?, "smtp_login": login,
        }))?;
        let settings = SettingsFile {
            submission_sessions: Some(SESSIONS),
            ..SettingsFile::new(&load.center, &mailbox.user, account)
        };
        home::write_whole(&home.settings_file(), toml::to_string(&settings)?.as_bytes())?;
        Ok(home)
    }

    /// The size of the last mail, as Postfix tells it: with the line that it puts in front.
    fn last_size(&self) -> anyhow::Result<usize> {
        let log = std::fs::read_to_string(&self.log)?;
        let size = |line: &str| line.split_once(" size=")?.1.split(',').next()?.parse().ok();
        log.lines().rev().find_map(size).context("Postfix tells the size of no mail")
    }

    /// A mail as large as ours for the peer.
    fn sample(&self, home: &Home) -> anyhow::Result<PathBuf> {
        /// Octets that Postfix puts in front: `Received`, with the names of client and recipient.
        const RECEIVED: usize = 190;
        let head = "From: \"Service center\" <center@center.example>\nTo: agent0001@site.example\nSubject: Device monitor receipt\n\
            Date: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <0@center.example>\nMIME-Version: 1.0\n\n";
        let lines = self.last_size()?.saturating_sub(RECEIVED + head.len()) / 77;
        let path = home.root().join("mail");
        std::fs::write(&path, [head, &format!("{}\n", "x".repeat(76)).repeat(lines)].concat())?;
        Ok(path)
    }

    fn smtp_source(&self, mail: &Path) -> anyhow::Result<Duration> {
        let before = self.log_octets()?;
        let start = Instant::now();
        let status = Command::new("/usr/sbin/smtp-source")
            .args(["-4", "-d", "-s", &SESSIONS.to_string(), "-m", &self.receipts.to_string()])
            .args(["-f", "center@center.example", "-t", "agent0001@site.example", "-F"])
            .arg(mail)
            .arg(format!("{}:{}", self.site.host()?, self.site.smtp_port()?))
            .status()
            .context("cannot run smtp-source (Debian's package postfix)")?;
        let time = start.elapsed();
        ensure!(status.success(), "smtp-source failed: {status}");
        let delivered = self.delivered(before)?;
        ensure!(delivered.len() == self.receipts, "smtp-source: {} mails were delivered", delivered.len());
        let rate = octets_f64(self.receipts) / time.as_secs_f64();
        eprintln!("  smtp-source: {rate:.0}/s, mails of {} octets", self.last_size()?);
        Ok(time)
    }

    fn log_octets(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read(&self.log)?.len())
    }

    /// Every mail of ours reached its delivery, and no message twice.
    fn all_delivered_once(&self, before: usize) -> anyhow::Result<()> {
        let delivered = self.delivered(before)?;
        let log = std::fs::read_to_string(&self.log)?;
        let ids: Vec<_> = log
            .get(before..)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once("message-id=<")?.1.split('.').next())
            .collect();
        let messages: HashSet<_> = ids.iter().collect();
        ensure!(
            delivered.len() == self.receipts && messages.len() == self.receipts && ids.len() == self.receipts,
            "of {} receipts, Postfix took {} mails of {} messages and delivered {}",
            self.receipts,
            ids.len(),
            messages.len(),
            delivered.len()
        );
        Ok(())
    }

    /// The mails that Postfix has delivered since, after waiting for all.
    fn delivered(&self, before: usize) -> anyhow::Result<HashSet<String>> {
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(&self.log)?;
            let since = log.get(before..).unwrap_or_default();
            let sent: HashSet<String> = since
                .lines()
                .filter(|line| line.contains("status=sent"))
                .filter_map(|line| Some(line.split_once("]: ")?.1.split(':').next()?.to_owned()))
                .collect();
            if sent.len() >= self.receipts || begun.elapsed() > Duration::from_secs(120) {
                return Ok(sent);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

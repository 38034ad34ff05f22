//! `rollout-mail`: one rollout to everybody over a real mail site. The real center hands a package of 5 MB in to Postfix for
//! 10,000 mailboxes, asks for versions, and takes in the 10,000 version reports out of Dovecot.
//!
//! Beside the handing in stands Postfix's own `smtp-source` with a body of the same octets and as many recipients per mail;
//! beside the taking in, a bare reader that fetches the same mailbox in one batch and only counts. What Postfix has taken it
//! delivers into nothing: ten thousand copies would fill the disk, and only the handing in is measured.

use super::ingest::mails::Load;
use super::ingest::peers;
use super::ingest::site::{MailSite, Mailbox};
use super::rollout_table::{Contents, begin};
use super::{Figure, octets_f64, version_report};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use center_manager::db::Db;
use center_manager::home::{self, Home};
use center_manager::keys::write_pair;
use center_manager::rollout::RolloutId;
use center_manager::settings::SettingsFile;
use center_manager::system::now;
use jiff::SignedDuration;
use mailbox::{AccountSettings, Protocol, Security, Server};
use mailfmt::Message;
use mailfmt::crypto::Random as _;
use mailfmt::message::report::{Report, VersionReportMessage};
use mailfmt::trust::SigningKey;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::world::Programs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Appliances, unless `ROLLOUT_MAIL_SITES` says otherwise.
const SITES: usize = 10_000;
const PACKAGE_OCTETS: usize = 5_000_000;
const RECIPIENTS_PER_MAIL: usize = 500;
const SESSIONS: usize = 4;
/// Rollouts handed in, and as often the peer's mails; the figure is the one in the middle.
const RUNS: usize = 3;
/// From the handing in to the question: longer than the handing in takes, so that neither waits for the other.
const SETTLE: SignedDuration = SignedDuration::from_secs(60);
/// Longer than any step takes; what hangs must not hang the bench.
const PATIENCE: Duration = Duration::from_secs(900);
/// A port on which nobody listens: while reports are taken in, nothing goes out.
const NOBODY: u16 = 1;

/// Measures.
///
/// # Errors
/// When the mail site cannot run here (it needs root and Debian's packages), and when a single package is not taken or a single
/// report not filed: such a run does not count.
pub(super) fn run(runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    let sites = match std::env::var("ROLLOUT_MAIL_SITES") {
        Ok(number) => number.parse().context("ROLLOUT_MAIL_SITES is a number of appliances")?,
        Err(_) => SITES,
    };
    let folder = tempfile::Builder::new().prefix("rollout-mail.").tempdir()?;
    let mut bench = Bench::start(folder.path(), sites, runtime)?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let mut last = None;
    for run in 0..RUNS {
        drop(last.take());
        let center = Center::make(&bench, run)?;
        let handed = bench.hand_over(&center, run + 1 == RUNS)?;
        eprintln!(
            "  center: {sites} recipients in {:.2} s, {} mails, {:.1} MB",
            handed.time.as_secs_f64(),
            handed.mails,
            handed.octets_mb
        );
        peer.push(bench.smtp_source(&handed)?);
        ours.push(handed.time);
        last = Some((center, handed));
    }
    let (center, handed) = last.context("there is a last run")?;
    let taken = bench.take_in(&center)?;
    let (ours, peer) = (middle(ours), middle(peer));
    let figure =
        |figure, value, unit, against| Figure { bench: "rollout-mail", figure, value, unit, against };
    let each = format!(
        "{sites} mailboxes, package of {PACKAGE_OCTETS} octets, {RECIPIENTS_PER_MAIL} recipients per mail, {SESSIONS} sessions, \
         Postfix in memory, plain port; median of {RUNS}"
    );
    Ok(vec![
        figure(
            "handover_s",
            ours.as_secs_f64(),
            "s, from the start of the center to the last mail taken and noted durably",
            format!("smtp-source: {:.3} s; {each}", peer.as_secs_f64()),
        ),
        figure(
            "handover_ratio",
            ours.as_secs_f64() / peer.as_secs_f64(),
            "the center's time divided by that of smtp-source with as many octets and recipients per mail",
            "limit: 1.3".to_owned(),
        ),
        figure(
            "octets_mb",
            handed.octets_mb,
            "MB of all mails handed in, as Postfix counted them: orders and version requests",
            "limit: 150".to_owned(),
        ),
        figure(
            "center_rss_mb",
            handed.rss_mb.max(taken.rss_mb),
            "MB, greatest peak of the center's processes (VmHWM)",
            format!("limit: 200; sending {:.1}, taking in {:.1}", handed.rss_mb, taken.rss_mb),
        ),
        figure(
            "ingest_ratio",
            taken.time.as_secs_f64() / taken.bare.as_secs_f64(),
            "time from the start of the center to the last verdict divided by that of a bare batched fetch of the same mailbox",
            format!("center {:.2} s, bare fetch {:.2} s", taken.time.as_secs_f64(), taken.bare.as_secs_f64()),
        ),
    ])
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

struct Bench {
    site: MailSite,
    _server_folder: tempfile::TempDir,
    log: PathBuf,
    folder: PathBuf,
    programs: Programs,
    /// The appliances of the fleet.
    load: Load,
    /// Where the center's mail arrives.
    inbox: Mailbox,
    good: VersionReportMessage,
}

/// A rollout that was handed in.
struct Handed {
    time: Duration,
    /// Mails of the order, and octets of the largest.
    mails: usize,
    mail_octets: usize,
    octets_mb: f64,
    rss_mb: f64,
}

/// Reports that were taken in.
struct Taken {
    time: Duration,
    bare: Duration,
    rss_mb: f64,
}

impl Bench {
    fn start(folder: &Path, sites: usize, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Self> {
        let programs = Programs::find()?;
        let (main, master) = (folder.join("main.cf"), folder.join("master.cf"));
        // smtp-source puts numbers in front of one name.
        let mut numbered = "agent@site.example OK\n".to_owned();
        numbered.extend((0..=RECIPIENTS_PER_MAIL).map(|nth| format!("{nth}agent@site.example OK\n")));
        let names = folder.join("numbered");
        std::fs::write(&names, numbered)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        let maps = format!(
            "virtual_transport = discard:\nvirtual_mailbox_maps = texthash:@ROOT@/etc/postfix/mailboxes, texthash:{}\n",
            names.display()
        );
        std::fs::write(&main, maps)?;
        std::fs::write(&master, "discard unix - - n - - discard\n")?;
        // The mail server stands for another machine: in memory, so that its disk takes nothing from ours.
        let memory = Some(Path::new("/dev/shm")).filter(|memory| memory.is_dir());
        let server_folder = tempfile::Builder::new()
            .prefix("rollout-mail.")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(memory.unwrap_or(&std::env::temp_dir()))?;
        let root = server_folder.path().join("site");
        let text = |path: &Path| path.to_str().context("a path of ASCII").map(ToOwned::to_owned);
        let further = ["--postfix-conf", &text(&main)?, "--postfix-master", &text(&master)?];
        let site = MailSite::start(&root, sites + 1, &further, runtime)?;
        let mut mailboxes = site.mailboxes()?;
        let inbox = mailboxes.pop().context("a mailbox for the center")?;
        let mut random = sandbox::random();
        let mut load = Load::of(sites)?;
        for (appliance, mailbox) in load.appliances.iter_mut().zip(mailboxes) {
            appliance.address = mailbox.user;
        }
        let Message::Report(Report::Version(good)) = version_report(&mut random)? else {
            bail!("a version report is a report")
        };
        Ok(Self {
            log: root.join("log/postfix.log"),
            site,
            _server_folder: server_folder,
            folder: folder.to_owned(),
            programs,
            load,
            inbox,
            good,
        })
    }

    fn sites(&self) -> usize {
        self.load.appliances.len()
    }

    /// Lets the center hand a rollout in; where it is the last one, also ask for all versions.
    fn hand_over(&self, center: &Center, asks: bool) -> anyhow::Result<Handed> {
        center.write_settings(self, self.site.smtp_port()?)?;
        let before = self.log_octets()?;
        rustix::fs::sync();
        let begun = Instant::now();
        let mut daemon = Daemon::start(self, center)?;
        daemon.until(center, "order_accepted IS NOT NULL", self.sites())?;
        let time = begun.elapsed();
        let sizes = self.handed_in(before)?;
        if asks {
            daemon.until(center, "ask_accepted IS NOT NULL", self.sites())?;
        }
        let rss_mb = daemon.stop()?;
        let all = if asks { self.handed_in(before)? } else { sizes.clone() };
        Ok(Handed {
            time,
            mails: sizes.len(),
            mail_octets: sizes.iter().copied().max().context("Postfix tells the size of no mail")?,
            octets_mb: octets_f64(all.iter().sum()) / 1e6,
            rss_mb,
        })
    }

    /// The sizes of all mails that Postfix has taken since.
    fn handed_in(&self, before: usize) -> anyhow::Result<Vec<usize>> {
        let log = std::fs::read_to_string(&self.log)?;
        let size = |line: &str| {
            let rest = line.split_once(" size=")?.1;
            rest.contains("nrcpt=").then(|| rest.split(',').next()?.parse().ok()).flatten()
        };
        Ok(log.get(before..).unwrap_or_default().lines().filter_map(size).collect())
    }

    fn log_octets(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read(&self.log)?.len())
    }

    /// As many octets in as many mails to as many recipients each.
    fn smtp_source(&self, handed: &Handed) -> anyhow::Result<Duration> {
        let head = "From: \"Service center\" <center@center.example>\nTo: undisclosed-recipients:;\nSubject: Device monitor order\n\
            Date: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <0@center.example>\nMIME-Version: 1.0\n\n";
        let mut octets = vec![0; 57];
        let mut random = sandbox::random();
        let mut body = head.to_owned();
        while body.len() < handed.mail_octets {
            random.fill(&mut octets);
            body.push_str(&STANDARD.encode(&octets));
            body.push('\n');
        }
        let path = self.folder.join("mail");
        std::fs::write(&path, body)?;
        let recipients = RECIPIENTS_PER_MAIL.min(self.sites()).to_string();
        let (before, mails) = (self.log_octets()?, handed.mails.to_string());
        let start = Instant::now();
        let status = Command::new("/usr/sbin/smtp-source")
            .args(["-4", "-d", "-s", &SESSIONS.to_string(), "-m", &mails, "-r", &recipients])
            .args(["-f", "center@center.example", "-t", "agent@site.example", "-F"])
            .arg(&path)
            .arg(format!("{}:{}", self.site.host()?, self.site.smtp_port()?))
            .status()
            .context("cannot run smtp-source (Debian's package postfix)")?;
        let time = start.elapsed();
        ensure!(status.success(), "smtp-source failed: {status}");
        let taken = wait_for(|| {
            let taken = self.handed_in(before)?;
            Ok((taken.len() >= handed.mails).then_some(taken))
        })?;
        eprintln!(
            "  smtp-source: {} mails, {:.1} MB in {:.2} s",
            taken.len(),
            octets_f64(taken.iter().sum()) / 1e6,
            time.as_secs_f64()
        );
        Ok(time)
    }

    /// Every appliance answers its question; how long the center takes until it has all verdicts.
    fn take_in(&mut self, center: &Center) -> anyhow::Result<Taken> {
        let db = Db::open(&center.home.database())?;
        let targets = db.rollout_targets(center.rollout)?;
        drop(db);
        let created = now();
        for nth in 0..self.sites() {
            let appliance = self.load.appliances.get(nth).context("an appliance")?;
            let (_, ask) = targets.get(&appliance.agent).context("everybody takes part")?.mails();
            let ask = ask.context("everybody was asked")?;
            let report = VersionReportMessage { nonce: Some(ask.nonce), ..self.good.clone() };
            self.load.add(nth, &Message::Report(Report::Version(report)), Some(ask.message), 1, created)?;
        }
        self.load.fill(&self.inbox.maildir)?;
        peers::warm(&self.site, &self.inbox)?;
        rustix::fs::sync();
        let bare = (0..RUNS)
            .map(|_| peers::bare_imap(&self.site, &self.inbox, self.sites()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        center.write_settings(self, NOBODY)?;
        rustix::fs::sync();
        let begun = Instant::now();
        let mut daemon = Daemon::start(self, center)?;
        daemon.until(center, "mark = 'updated'", self.sites())?;
        let time = begun.elapsed();
        let rss_mb = daemon.stop()?;
        let left = peers::waiting(&self.site, &self.inbox)?;
        ensure!(left == 0, "{left} mails were left in the mailbox");
        Ok(Taken { time, bare: middle(bare), rss_mb })
    }
}

/// A center with its fleet and one rollout to everybody.
struct Center {
    home: Home,
    rollout: RolloutId,
}

impl Center {
    fn make(bench: &Bench, run: usize) -> anyhow::Result<Self> {
        let root = bench.folder.join(format!("home{run}"));
        std::fs::create_dir(&root)?;
        let home = Home::new(&root);
        home.create_folders()?;
        home::write_secret(&home.password_file(1), bench.site.password.as_bytes())?;
        let mut random = sandbox::random();
        write_pair(&home.command_key(), &SigningKey::generate(&mut random), None, &mut random)?;
        let mut db = Db::create(&home.database())?;
        db.add_appliances(&bench.load.appliances, now())?;
        let agents = bench.load.appliances.iter().map(|appliance| appliance.agent.clone()).collect();
        let modules = bench.good.hashes.len();
        let mut noise = || {
            let mut octets = vec![0; PACKAGE_OCTETS / modules];
            random.fill(&mut octets);
            octets
        };
        let contents = Contents { settle: SETTLE, file: &mut |_| noise() };
        let (rollout, package) = begin(&mut db, agents, &bench.good, contents, now())?;
        let id = db.rollout(rollout)?.order.package;
        std::fs::write(home.package(&id), package)?;
        Ok(Self { home, rollout })
    }

    fn write_settings(&self, bench: &Bench, smtp: u16) -> anyhow::Result<()> {
        let server = |port| -> anyhow::Result<Server> {
            Ok(Server { host: bench.site.host()?.to_owned(), port, security: Security::Plain })
        };
        let user = &bench.inbox.user;
        let account: AccountSettings = serde_json::from_value(serde_json::json!({
            "name": "bench", "address": user, "username": user, "fetch": Protocol::Imap,
            "smtp": server(smtp)?,
            "fetch_server": server(bench.site.port(Protocol::Imap, Security::Plain)?)?,
            "ca_file": bench.site.ca_file()?, "smtp_login": false,
        }))?;
        let settings = SettingsFile {
            submission_sessions: Some(u64::try_from(SESSIONS)?),
            recipients_per_mail: Some(u64::try_from(RECIPIENTS_PER_MAIL)?),
            ..SettingsFile::new(&bench.load.center, user, account)
        };
        Ok(home::write_whole(&self.home.settings_file(), toml::to_string(&settings)?.as_bytes())?)
    }

    /// How many targets are so far, read past the center's code and without locking anybody out.
    fn count(&self, condition: &str) -> anyhow::Result<usize> {
        let connection = Connection::open_with_flags(self.home.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(PATIENCE)?;
        let sql = format!("SELECT count(*) FROM rollout_target WHERE rollout = ?1 AND {condition}");
        let count: u32 = connection.query_row(&sql, [self.rollout.0], |row| row.get(0))?;
        Ok(usize::try_from(count)?)
    }
}

/// The real daemon.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn start(bench: &Bench, center: &Center) -> anyhow::Result<Self> {
        let log = center.home.root().join("daemon.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let child = Command::new(bench.programs.path("center-manager"))
            .arg("--home")
            .arg(center.home.root())
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("cannot start center-manager")?;
        Ok(Self { child, log })
    }

    /// Waits until so many targets are so far.
    fn until(&mut self, center: &Center, condition: &str, wanted: usize) -> anyhow::Result<()> {
        wait_for(|| {
            if let Some(status) = self.child.try_wait()? {
                bail!("the center ended ({status}): {}", self.last_words());
            }
            Ok((center.count(condition)? >= wanted).then_some(()))
        })
        .with_context(|| format!("{condition}; the center's log ends with: {}", self.last_words()))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// Ends it; the most that it held, in MB.
    fn stop(mut self) -> anyhow::Result<f64> {
        let peak = super::bigmail::peak_mb(&self.child.id().to_string()).context("the center is gone")?;
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the center has no id")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the center ended with {status}: {}", self.last_words());
        Ok(peak)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until there is something.
fn wait_for<T>(mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "not so far after {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

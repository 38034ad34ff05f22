//! A mail site with a center and appliances of real processes, and round trips between them.

use crate::bench::ingest::site::MailSite;
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::journal::JournalFilter;
use mailbox::Protocol;
use mailfmt::message::report::FaultReport;
use mailfmt::message::{DeviceId, FaultClass};
use mailfmt::{AgentId, Report};
use monitor_appliance::store::{OutboxState, Store};
use sandbox::world::{Fetch, PATIENCE, Pace, Part, Stage, eventually};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a round trip's end is looked for.
const LOOK: Duration = Duration::from_millis(4);
/// Nothing takes longer: the longest interval, and room for a slow machine.
const ROUND_MAX: Duration = Duration::from_secs(400);
/// Random pauses between two rounds, so that they fall anywhere between two looks of either program.
const PAUSE_MAX_MS: u64 = 700;
/// The appliances' usual interval.
const MAIL_POLL: u32 = 180;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a fault report in the appliance's outbox to its receipt.
    Emergency,
    /// From the operator's command line to the answer in the center's journal.
    Command,
}

/// Times of the POP3 side.
pub(super) struct Samples {
    pub(super) receipts: Vec<Duration>,
    pub(super) answers: Vec<Duration>,
    /// Logins to fetch of one appliance.
    pub(super) logins_per_hour: f64,
}

/// A center and its appliances.
pub(super) struct Office {
    // Ends before the servers do.
    stage: Stage,
    site: MailSite,
    sites: u32,
    root: tempfile::TempDir,
}

impl Office {
    /// Starts servers, center and appliances; by IMAP it waits until all have spoken with each other, which by POP3 takes a whole
    /// interval.
    pub(super) fn open(
        sites: u32,
        fetch: Protocol,
        runtime: &tokio::runtime::Runtime,
    ) -> anyhow::Result<Self> {
        let root = tempfile::Builder::new()
            .prefix("latency-bench.")
            // Dovecot's own user must come through.
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?;
        // One mailbox more, for a bare client.
        let mailboxes = usize::try_from(sites)? + 1;
        let site = MailSite::start(&root.path().join("site"), mailboxes, &[], runtime)?;
        let by = match fetch {
            Protocol::Pop3 => Fetch::Pop3,
            Protocol::Imap => Fetch::Imap,
        };
        // The intervals that a customer has.
        let pace = Pace {
            fault_poll: 60,
            counter_collect: 3600,
            mail_poll: MAIL_POLL,
            answer_wait: 1800,
            resend_max: 21_600,
        };
        let part = |number| Part { printers: 0, fetch: by, pace, ..Part::plain(number) };
        let cast: Vec<Part> = (1..=sites).map(part).collect();
        let mut stage = Stage::set(&cast, Some(site.as_world()?))?;
        let usual = |text: String| text.replace("answer_poll_secs = 180", "answer_poll_secs = 30");
        for site in &stage.sites {
            rewrite(&site.root.join("appliance.toml"), usual)?;
        }
        let world = site.as_world()?;
        let center = |text: String| {
            let text = text.replace("poll_secs = 1\n", "poll_secs = 10\n");
            match fetch {
                Protocol::Imap => text,
                Protocol::Pop3 => text
                    .replace("fetch = \"imap\"", "fetch = \"pop3\"")
                    .replace(&format!("port = {}", world.imap.port), &format!("port = {}", world.pop3.port)),
            }
        };
        rewrite(&stage.center.home().join("center.toml"), center)?;
        stage.start()?;
        let office = Self { stage, site, sites, root };
        if fetch == Protocol::Imap {
            office.all_have_spoken()?;
        }
        Ok(office)
    }

    /// The servers.
    pub(super) fn site(&self) -> &MailSite {
        &self.site
    }

    /// Every appliance has sent its first health report, and has the receipt for it.
    fn all_have_spoken(&self) -> anyhow::Result<()> {
        for number in 1..=self.sites {
            eventually("the first receipt", PATIENCE, || {
                let newest = self.store(number)?.outbox_newest(1)?;
                Ok(newest.first().filter(|row| row.state == OutboxState::Receipted).map(|_| ()))
            })?;
        }
        Ok(())
    }

    fn store(&self, number: u32) -> anyhow::Result<Store> {
        let site = self.stage.sites.iter().find(|site| site.number == number).context("no such site")?;
        let context = monitor_appliance::Context::load(&site.root)?;
        Ok(context.open_store()?)
    }

    /// So many round trips, one after the other, each with another site.
    pub(super) fn in_turn(&self, way: Way, rounds: u32) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for round in 0..rounds {
            let number = round % self.sites + 1;
            times.push(self.round(way, number)?);
            std::thread::sleep(Duration::from_millis(random() % PAUSE_MAX_MS));
        }
        Ok(times)
    }

    /// Round trips of all sites at random times, until `time` is over and the last has ended.
    pub(super) fn at_random(&self, time: Duration) -> anyhow::Result<Samples> {
        let (begun, before) = (Instant::now(), self.logins()?);
        let (receipts, answers) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let keep = |samples: &Mutex<Vec<Duration>>, sample: Duration| {
            samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(sample);
        };
        std::thread::scope(|scope| {
            let walk = |number: u32| -> anyhow::Result<()> {
                let spread = u64::from(MAIL_POLL) * 1000;
                // The first pause is part of a run's time, so that short runs have samples of every site, too.
                std::thread::sleep(Duration::from_millis(random() % (spread / 6)));
                keep(&receipts, self.round(Way::Emergency, number)?);
                while begun.elapsed() + Duration::from_secs(u64::from(MAIL_POLL)) < time {
                    std::thread::sleep(Duration::from_millis(random() % (spread / 2)));
                    keep(&answers, self.round(Way::Command, number)?);
                }
                Ok(())
            };
            let walks: Vec<_> = (1..=self.sites).map(|number| scope.spawn(move || walk(number))).collect();
            for walk in walks {
                walk.join().map_err(|_| anyhow::anyhow!("a site panicked"))??;
            }
            anyhow::Ok(())
        })?;
        let (elapsed, after) = (begun.elapsed().as_secs_f64(), self.logins()?);
        let of_appliances = |logins: &[(String, usize)]| -> usize {
            logins.iter().filter(|(account, _)| account.starts_with("agent")).map(|(_, logins)| logins).sum()
        };
        let logins = of_appliances(&after).saturating_sub(of_appliances(&before));
        Ok(Samples {
            receipts: receipts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
            answers: answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
            logins_per_hour: crate::bench::octets_f64(logins) / f64::from(self.sites) / elapsed * 3600.0,
        })
    }

    fn round(&self, way: Way, number: u32) -> anyhow::Result<Duration> {
        match way {
            Way::Emergency => self.emergency(number),
            Way::Command => self.command(number),
        }
    }

    /// A fault report, written into the outbox as the module does that watches devices.
    fn emergency(&self, number: u32) -> anyhow::Result<Duration> {
        let site = self.stage.sites.iter().find(|site| site.number == number).context("no such site")?;
        let context = monitor_appliance::Context::load(&site.root)?;
        let mut store = context.open_store()?;
        let since = context.now();
        let report = Report::Fault(FaultReport {
            device: DeviceId { vendor: "bench".into(), model: "bench".into(), serial: format!("B{number}") },
            episode: format!("episode-{:x}", random()),
            class: FaultClass::UserClearable,
            code: "jam".into(),
            group: "media-path".into(),
            severity: "critical".into(),
            description: String::new(),
            since,
        });
        let begun = Instant::now();
        let id = store.change(|change| change.enqueue(&context.outgoing(report, None)))?;
        wait(begun, "a receipt", || {
            let row = store.outbox_row(id)?.context("a report has gone")?;
            Ok(row.state == OutboxState::Receipted)
        })
    }

    /// A sign of life, asked for on the operator's command line.
    fn command(&self, number: u32) -> anyhow::Result<Duration> {
        let agent = AgentId::new(&format!("AGENT{number:07}"))?;
        let db = Db::open(&PathBuf::from(self.stage.center.home()).join("fleet.db"))?;
        let filter =
            JournalFilter { agent: Some(agent.clone()), kind: Some("health".to_owned()), limit: Some(1) };
        let newest = |db: &Db| -> anyhow::Result<Option<u64>> {
            Ok(db.journal(&filter)?.first().map(|entry| entry.number))
        };
        let known = newest(&db)?;
        let begun = Instant::now();
        self.stage.center.run(&["ping", agent.as_str()])?;
        wait(begun, "an answer", || Ok(newest(&db)? > known))
    }

    /// Logins of each account since the start, to fetch and to send, as the servers logged them.
    pub(super) fn logins(&self) -> anyhow::Result<Vec<(String, usize)>> {
        let log = self.root.path().join("site/log");
        let dovecot = std::fs::read_to_string(log.join("dovecot.log"))?;
        let postfix = std::fs::read_to_string(log.join("postfix.log"))?;
        ensure!(dovecot.contains("-login: Info: Login: user=<"), "Dovecot logs no logins");
        let world = self.site.as_world()?;
        let accounts = (1..=self.sites).map(|number| world.agent_address(number));
        let accounts = accounts.chain([world.center_address()]);
        let count = |account: String| {
            let (fetch, send) =
                (format!("-login: Info: Login: user=<{account}>"), format!("sasl_username={account}"));
            let logins =
                dovecot.lines().filter(|line| line.contains(&fetch)).count() + sessions(&postfix, &send);
            (account, logins)
        };
        Ok(accounts.map(count).collect())
    }

    /// Whether every program says that its server tells it of mail at once.
    pub(super) fn is_noticed_at_once(&self) -> anyhow::Result<bool> {
        let mut told = vec![self.stage.center.json(&["status"])?.pointer("/accounts/0").cloned()];
        for site in &self.stage.sites {
            told.push(site.json(&["status"])?.pointer("/noticing/0").cloned());
        }
        Ok(told.into_iter().all(|account| {
            account.is_some_and(|account| {
                account.get("manner").and_then(serde_json::Value::as_str) == Some("idle")
                    && account.get("session_open").and_then(serde_json::Value::as_bool) == Some(true)
            })
        }))
    }
}

/// Connections of Postfix by which somebody logged in. It names the login with every mail, and each connection once by the
/// process that serves it and the client's port; a process serves one connection at a time.
fn sessions(log: &str, login: &str) -> usize {
    let mut processes = std::collections::BTreeMap::<&str, bool>::new();
    let mut sessions = 0;
    for line in log.lines() {
        let Some((_, rest)) = line.split_once("/smtpd[").or_else(|| line.split_once("smtpd[")) else {
            continue;
        };
        let Some((process, rest)) = rest.split_once(']') else { continue };
        if rest.starts_with(": connect from") {
            processes.insert(process, false);
        } else if rest.contains(login) && processes.insert(process, true) != Some(true) {
            sessions += 1;
        }
    }
    sessions
}

fn wait(
    begun: Instant,
    what: &str,
    mut is_there: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    while !is_there()? {
        ensure!(begun.elapsed() < ROUND_MAX, "waited {} s in vain for {what}", ROUND_MAX.as_secs());
        std::thread::sleep(LOOK);
    }
    Ok(begun.elapsed())
}

fn rewrite(path: &std::path::Path, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let changed = change(text.clone());
    ensure!(changed != text, "{} is not as expected", path.display());
    Ok(std::fs::write(path, changed)?)
}

fn random() -> u64 {
    let mut octets = [0; 8];
    monitor_appliance::context::system_random(&mut octets);
    u64::from_ne_bytes(octets)
}

//! One appliance: its real store and its real decisions, with the play in place of sockets, devices and processes.

mod mailing;

use super::book::{Book, Step, What};
use super::dice::Dice;
use super::post::{Answer, PostOffice};
use super::{Clockwork, center_address, site_address};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Credential;
use mailfmt::message::ledger::{
    LedgerEntry, LedgerEpoch, LedgerFinding, LedgerMeter, LedgerPart, LedgerPoint,
};
use mailfmt::message::report::{
    CountersReport, DeviceCounters, FaultClearedReport, FaultReport, StoredReading, UpdateOutcome,
    UpdateResultReport, VersionReportMessage,
};
use mailfmt::message::{DeviceId, FaultClass};
use mailfmt::version_report::VersionReport;
use mailfmt::{MessageId, Report};
use monitor_appliance::clock::{Evidence, Reading};
use monitor_appliance::keyring::{Keyring, replace_credential};
use monitor_appliance::store::{Moment, Store, StoreError};
use monitor_appliance::update::UpdateState;
use monitor_appliance::{Context, Layout, Settings, health, mail_schedule, outbox};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Crashes in a million, at each place where the process may end.
const CRASHES: u32 = 4_000;

/// Of these, such in which the power goes, so that the box boots anew.
const POWER_CUTS: u32 = 300_000;

/// Mails handed in between two plans, as in the program.
const MAILS_PER_PLAN: usize = 20;

/// What a transaction may be broken off at.
const BREAKING_POINTS: [&str; 8] = [
    "INSERT ON outbox",
    "UPDATE ON outbox",
    "INSERT ON journal",
    "UPDATE ON channel",
    "INSERT ON update_order",
    "INSERT ON version_request",
    "INSERT ON clock",
    "UPDATE ON tally",
];

/// What lives only in the process.
struct Live {
    context: Context,
    store: Store,
    keys: Keyring,
    /// Mails that only need deleting.
    dispensable: HashSet<u64>,
    /// Mails that wait until the time is known.
    undecided: HashSet<u64>,
    looked: Option<Timestamp>,
    housekept: Option<Timestamp>,
    /// Whether what was left undone before the start was looked at.
    begun: bool,
    /// The server has failed: nothing is sent until then.
    rests_until: Timestamp,
}

/// The devices of the site.
#[derive(Debug, Clone, Default)]
struct Devices {
    open: Vec<String>,
    count: u64,
}

struct Backup {
    file: PathBuf,
    last_row: i64,
    devices: Devices,
}

/// One appliance.
pub(super) struct Site {
    place: usize,
    settings: Settings,
    root: PathBuf,
    clock: Arc<Clockwork>,
    boot: u32,
    booted: Timestamp,
    live: Option<Live>,
    watch: Option<Connection>,
    last_row: i64,
    devices: Devices,
    episodes: u64,
    backup: Option<Backup>,
    dice: Dice,
    /// Whether it crashes at all.
    pub(super) unsteady: bool,
    /// Crashes so far.
    pub(super) crashes: u64,
    /// Installations by the executor, by command.
    pub(super) installed: BTreeMap<MessageId, u32>,
}

/// The process ended in the middle of something.
pub(super) struct Crashed;

fn settings(place: usize) -> anyhow::Result<Settings> {
    let text = format!(
        r#"
agent = "AGENT{:07}"
center = "CENTER"
center_address = "{}"
[[accounts]]
name = "main"
address = "{address}"
username = "{address}"
smtp = {{ host = "127.0.0.1", port = 25, security = "plain" }}
fetch = "pop3"
fetch_server = {{ host = "127.0.0.1", port = 110, security = "plain" }}
[[devices]]
address = "192.0.2.1"
[retention]
report_receipted_days = 5
"#,
        place + 1,
        center_address(),
        address = site_address(place),
    );
    Ok(Settings::parse(&text, Path::new("appliance.toml"))?)
}

impl Site {
    /// Sets an appliance up below `folder`.
    pub(super) fn set_up(
        place: usize,
        folder: &Path,
        clock: Arc<Clockwork>,
        credential: &Credential,
        dice: Dice,
    ) -> anyhow::Result<Self> {
        let root = folder.join(format!("site{:04}", place + 1));
        let booted = clock.now();
        let mut site = Self {
            place,
            settings: settings(place)?,
            root,
            clock,
            boot: 0,
            booted,
            live: None,
            watch: None,
            last_row: 0,
            devices: Devices::default(),
            episodes: 0,
            backup: None,
            dice,
            unsteady: true,
            crashes: 0,
            installed: BTreeMap::new(),
        };
        let context = site.context();
        std::fs::create_dir_all(context.layout.secrets_dir())?;
        replace_credential(&context, credential)?;
        drop(context);
        site.live()?;
        Ok(site)
    }

    fn context(&self) -> Context {
        let (clock, booted) = (Arc::clone(&self.clock), self.booted);
        let boot: Arc<str> = Arc::from(format!("boot-{}-{}", self.place, self.boot));
        let read = move || {
            let wall = clock.now();
            let since_boot = wall.duration_since(booted).unsigned_abs();
            Reading { wall, since_boot, boot: Arc::clone(&boot) }
        };
        Context::new(Layout::new(&self.root), self.settings.clone(), Arc::new(read))
    }

    /// The process, started if it does not run.
    fn live(&mut self) -> anyhow::Result<&mut Live> {
        if self.live.is_none() {
            let context = self.context();
            let store = context.open_store()?;
            let keys = Keyring::load(&context)?;
            self.live = Some(Live {
                context,
                store,
                keys,
                dispensable: HashSet::new(),
                undecided: HashSet::new(),
                looked: None,
                housekept: None,
                begun: false,
                rests_until: Timestamp::MIN,
            });
        }
        if self.watch.is_none() {
            self.watch = Some(Connection::open(self.root.join("store.db"))?);
        }
        self.live.as_mut().context("it was just started")
    }

    /// The process ends, sometimes with the power.
    fn crash(&mut self) -> Crashed {
        self.live = None;
        self.crashes += 1;
        if self.dice.hits(POWER_CUTS) {
            self.boot += 1;
            self.booted = self.clock.now();
        }
        Crashed
    }

    fn fate(&mut self) -> Result<(), Crashed> {
        if self.unsteady && self.dice.hits(CRASHES) { Err(self.crash()) } else { Ok(()) }
    }

    /// Everything new in the outbox goes into the book, as it stands on the disk.
    fn enter_new(&mut self, book: &mut Book) -> anyhow::Result<()> {
        self.live()?;
        let Some(watch) = &self.watch else { return Ok(()) };
        let mut statement = watch.prepare_cached(
            "SELECT id, message, kind, in_reply_to, expires_ms FROM outbox WHERE id > ?1 ORDER BY id",
        )?;
        let mut rows = statement.query((self.last_row,))?;
        let now = self.clock.now();
        while let Some(row) = rows.next()? {
            self.last_row = row.get(0)?;
            let message: MessageId = row.get::<_, String>(1)?.parse()?;
            let expires = Timestamp::from_millisecond(row.get(4)?)?;
            let report =
                book.enter(What::Report, message, self.place, &row.get::<_, String>(2)?, expires, now);
            if let Some(command) = row.get::<_, Option<String>>(3)? {
                book.answered(command.parse()?, report, self.place, now);
            }
        }
        Ok(())
    }

    /// Runs `work`, which may be broken off in the middle of a transaction by the process's end.
    fn endangered<T>(
        &mut self,
        work: impl FnOnce(&mut Live) -> anyhow::Result<T>,
    ) -> anyhow::Result<Result<T, Crashed>> {
        self.live()?;
        let struck = self.unsteady && self.dice.hits(CRASHES);
        if struck {
            let point = BREAKING_POINTS.get(self.dice.place(BREAKING_POINTS.len())).context("a point")?;
            self.arm(point)?;
        }
        let done = work(self.live()?);
        if struck {
            let crashed = self.crash();
            self.disarm()?;
            return Ok(Err(crashed));
        }
        done.map(Ok)
    }

    /// From now on a transaction that does this is broken off.
    fn arm(&self, point: &str) -> anyhow::Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let table = point.rsplit(' ').next().unwrap_or_default();
        let known: bool = watch
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)")?
            .query_row((table,), |row| row.get(0))?;
        if known {
            watch.execute_batch(&format!(
                "CREATE TRIGGER chaos BEFORE {point} BEGIN SELECT RAISE(ABORT, 'the process ends'); END"
            ))?;
        }
        Ok(())
    }

    fn disarm(&self) -> anyhow::Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        Ok(watch.execute_batch("DROP TRIGGER IF EXISTS chaos")?)
    }

    /// One turn of the mail agent; gives when it wakes again.
    pub(super) fn turn(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<Timestamp> {
        let now = self.clock.now();
        // What is broken off goes on when the process has been started again.
        if self.work(post, book)?.is_err() {
            self.enter_new(book)?;
            return Ok(now + SignedDuration::from_secs(5));
        }
        self.enter_new(book)?;
        let live = self.live()?;
        let waiting = live.store.outbox_next(mail_schedule::SENDINGS_WATCHED)?;
        let timers = &live.context.settings.timers;
        let wake = mail_schedule::next_wake(&waiting, live.looked, timers, now);
        let send = wake.send.map_or(wake.look, |send| send.max(live.rests_until));
        Ok(send.min(wake.look).max(now + SignedDuration::from_secs(2)))
    }

    fn work(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<Result<(), Crashed>> {
        macro_rules! survive {
            ($step:expr) => {
                if let Err(crashed) = $step {
                    return Ok(Err(crashed));
                }
            };
        }
        survive!(self.housekeep()?);
        self.enter_new(book)?;
        let now = self.clock.now();
        let live = self.live()?;
        if !std::mem::replace(&mut live.begun, true) {
            // What was left undone before the start.
            survive!(self.execute()?);
            self.enter_new(book)?;
        }
        let live = self.live()?;
        let waiting = live.store.outbox_next(mail_schedule::SENDINGS_WATCHED)?;
        let wake = mail_schedule::next_wake(&waiting, live.looked, &live.context.settings.timers, now);
        let rests = live.rests_until > now;
        if wake.send.is_some_and(|send| send <= now) && !rests {
            survive!(self.send_due(post, book)?);
        }
        if wake.look <= now {
            survive!(self.look(post, book)?);
            survive!(self.execute()?);
            self.enter_new(book)?;
            if !rests {
                survive!(self.send_due(post, book)?);
            }
        }
        Ok(Ok(()))
    }

    /// What the mail agent does once an hour.
    fn housekeep(&mut self) -> anyhow::Result<Result<(), Crashed>> {
        let now = self.clock.now();
        let live = self.live()?;
        if live.housekept.is_some_and(|at| now.duration_since(at) < SignedDuration::from_hours(1)) {
            return Ok(Ok(()));
        }
        live.housekept = Some(now);
        self.endangered(|live| {
            let (clock, reading) = (live.context.clock_state(), live.context.reading());
            let retention = live.context.settings.retention.clone();
            let known = live.store.change(|change| {
                change.prune(&retention, clock.for_forgetting(), clock.earliest)?;
                change.expire_surplus(outbox::WAITING_MAX, clock.now)?;
                change.learn_time(&Evidence::Rest, &reading)
            })?;
            live.context.learned_time(known);
            let due = live
                .store
                .moment(Moment::LastHealth)?
                .is_none_or(|last| clock.now.duration_since(last) >= SignedDuration::from_hours(24));
            if due {
                let report = health::report(&live.store, &live.context)?;
                live.store.change(|change| health::enqueue(change, &live.context, report, None))?;
            }
            Ok(())
        })
    }

    /// The other modules: version reports and installations, each in one transaction with its answer.
    fn execute(&mut self) -> anyhow::Result<Result<(), Crashed>> {
        let requests = self.live()?.store.version_requests()?;
        for request in requests {
            let report = Report::Version(VersionReportMessage {
                nonce: request.nonce,
                table: VersionReport {
                    software: mailfmt::SoftwareVersion::new("1.0.00-1")?,
                    rom: mailfmt::ModuleVersion::new("1.5.08")?,
                    modules: Vec::new(),
                },
                hashes: BTreeMap::new(),
                boot_id: String::new(),
            });
            let done = self.endangered(|live| {
                let answer = live.context.outgoing(report, request.command);
                Ok(live.store.change(|change| change.answer_version(request.id, &answer))?)
            })?;
            if let Err(crashed) = done {
                return Ok(Err(crashed));
            }
        }
        let orders = self.live()?.store.update_orders_open()?;
        for order in orders {
            let command = order.command;
            let result = Report::UpdateResult(UpdateResultReport {
                package: order.package,
                target: order.target.clone(),
                running: order.target.clone(),
                outcome: UpdateOutcome::Installed,
                output: String::new(),
            });
            let done = self.endangered(|live| {
                let now = live.context.now();
                let answer = live.context.outgoing(result, Some(command));
                Ok(live.store.change(|change| {
                    let moved = change.move_update(&order, &UpdateState::Committed, now)?;
                    if moved {
                        change.enqueue(&answer)?;
                    }
                    Ok::<_, StoreError>(moved)
                })?)
            })?;
            match done {
                Ok(true) => *self.installed.entry(command).or_default() += 1,
                Ok(false) => {}
                Err(crashed) => {
                    // It may have ended just after the commit.
                    if self
                        .live()?
                        .store
                        .update_order(order.id)?
                        .is_some_and(|row| row.state == UpdateState::Committed)
                    {
                        *self.installed.entry(command).or_default() += 1;
                    }
                    return Ok(Err(crashed));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Something happens at the site's devices: the report of it is made durable.
    pub(super) fn happen(&mut self, book: &mut Book) -> anyhow::Result<()> {
        let now = self.clock.now();
        let device = DeviceId {
            vendor: "Kyocera".to_owned(),
            model: "P2040".to_owned(),
            serial: format!("S{:04}", self.place + 1),
        };
        let begins = self.dice.hits(500_000);
        match self.dice.below(10) {
            0..=5 if begins || self.devices.open.is_empty() => {
                self.episodes += 1;
                let episode = format!("{}-{}", self.place + 1, self.episodes);
                let report = FaultReport {
                    device,
                    episode: episode.clone(),
                    class: FaultClass::UserClearable,
                    code: "jam".to_owned(),
                    group: "media-path".to_owned(),
                    severity: "critical".to_owned(),
                    description: String::new(),
                    since: now,
                };
                if self.put(Report::Fault(report))? {
                    self.devices.open.push(episode);
                }
            }
            0..=5 => {
                let place = self.dice.place(self.devices.open.len());
                let episode = self.devices.open.get(place).context("an open episode")?.clone();
                let report = FaultClearedReport { device, episode, cleared: now };
                if self.put(Report::FaultCleared(report))? {
                    self.devices.open.remove(place);
                }
            }
            6..=8 => {
                let flagged = self.dice.hits(200_000);
                let entry = ledger_entry(&device, self.devices.count + 1, flagged, now);
                self.devices.count += 1;
                drop(self.endangered(|live| tell_ledger(live, &device, &entry))?);
            }
            _ => {
                drop(self.endangered(|live| {
                    let report = health::report(&live.store, &live.context)?;
                    Ok(live.store.change(|change| health::enqueue(change, &live.context, report, None))?)
                })?);
            }
        }
        self.enter_new(book)
    }

    /// Whether the report stands in the outbox.
    fn put(&mut self, report: Report) -> anyhow::Result<bool> {
        let message = self.endangered(|live| {
            let outgoing = live.context.outgoing(report, None);
            live.store.change(|change| change.enqueue(&outgoing))?;
            Ok(())
        })?;
        if message.is_ok() {
            return Ok(true);
        }
        // Struck: before the commit, or just after it.
        self.live()?;
        let watch = self.watch.as_ref().context("it was just opened")?;
        Ok(watch.query_row(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE id > ?1)",
            (self.last_row,),
            |row| row.get(0),
        )?)
    }

    /// Keeps a copy of the store, as a backup would.
    pub(super) fn back_up(&mut self) -> anyhow::Result<()> {
        self.live = None;
        self.watch = None;
        let file = self.root.join("backup.db");
        copy_database(&self.root.join("store.db"), &file)?;
        self.backup = Some(Backup { file, last_row: self.last_row, devices: self.devices.clone() });
        Ok(())
    }

    /// The disk is put back to the last backup. False if there is none.
    pub(super) fn restore(&mut self, book: &mut Book) -> anyhow::Result<bool> {
        self.enter_new(book)?;
        let (now, place) = (self.clock.now(), self.place);
        let Some(backup) = self.backup.take() else { return Ok(false) };
        let watch = self.watch.as_ref().context("it was just opened")?;
        let mut statement = watch.prepare("SELECT message, in_reply_to FROM outbox WHERE id > ?1")?;
        let mut rows = statement.query((backup.last_row,))?;
        while let Some(row) = rows.next()? {
            let in_reply_to = row.get::<_, Option<String>>(1)?.map(|id| id.parse()).transpose()?;
            book.forget_at_site(row.get::<_, String>(0)?.parse()?, in_reply_to, place, now);
            if let Some(command) = in_reply_to {
                self.installed.remove(&command);
            }
        }
        drop(rows);
        drop(statement);
        self.watch = None;
        self.crash();
        (self.boot, self.booted) = (self.boot + 1, now);
        copy_database(&backup.file, &self.root.join("store.db"))?;
        self.last_row = backup.last_row;
        self.devices = backup.devices;
        Ok(true)
    }

    /// Reports that wait for a receipt.
    pub(super) fn waiting(&mut self) -> anyhow::Result<u32> {
        self.live()?;
        let watch = self.watch.as_ref().context("it was just opened")?;
        Ok(watch
            .prepare_cached("SELECT count(*) FROM outbox WHERE state = 'waiting'")?
            .query_row((), |row| row.get(0))?)
    }

    /// Turns of the mail agent without crashes from now on.
    pub(super) fn calm(&mut self) {
        self.unsteady = false;
    }
}

/// What a server's answer means for the story of a message.
pub(super) fn step_of(answer: Answer) -> Step {
    match answer {
        Answer::Taken => Step::Taken,
        Answer::Refused => Step::Refused,
        Answer::Died => Step::Died,
    }
}

/// A database that nobody has open, with its log where one is left.
pub(super) fn copy_database(from: &Path, to: &Path) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(with(to));
        if suffix != "-shm" && with(from).exists() {
            std::fs::copy(with(from), with(to)).context("a database cannot be copied")?;
        }
    }
    Ok(())
}

/// One reading goes into the ledger and, with all that was not told yet, into the outbox, in one transaction.
fn tell_ledger(live: &mut Live, device: &DeviceId, entry: &LedgerEntry) -> anyhow::Result<()> {
    let name = format!("{:0>32}", live.context.settings.agent.as_str().to_ascii_lowercase());
    let name: String =
        name.chars().map(|digit| if digit.is_ascii_hexdigit() { digit } else { '0' }).collect();
    live.store.change(|change| change.append_to_ledger(std::slice::from_ref(entry), &name))?;
    let Some(untold) = live.store.ledger_untold(500)? else { return Ok(()) };
    let last = untold.entries.last().map_or(0, |(_, entry)| entry.sequence);
    let entries = untold.entries.into_iter().map(|(_, entry)| entry).collect();
    let counters = CountersReport {
        devices: vec![DeviceCounters {
            device: Some(device.clone()),
            address: "192.0.2.1".to_owned(),
            reading: StoredReading::NotCollectedYet,
            ledger: Some(LedgerPart { ledger: untold.ledger, entries }),
        }],
    };
    let outgoing = live.context.outgoing(Report::Counters(counters), None);
    live.store.change(|change| {
        change.enqueue(&outgoing)?;
        change.note_ledger_told(last)
    })?;
    Ok(())
}

fn ledger_entry(device: &DeviceId, value: u64, flagged: bool, at: Timestamp) -> LedgerEntry {
    let source = "1.3.6.1.2.1.43.10.2.1.4.1.1".to_owned();
    let point = |value| LedgerPoint { entry: value, at, value, source: source.clone() };
    let finding = LedgerFinding {
        meter: 1,
        class: "reset".to_owned(),
        review: true,
        from: point(value.saturating_sub(1)),
        to: point(value),
        sure: 0,
        proposed: Some(1),
        words: "the counter went back".to_owned(),
    };
    LedgerEntry {
        device: device.clone(),
        address: "192.0.2.1".to_owned(),
        at,
        clock_sure: true,
        uptime_secs: None,
        epoch: LedgerEpoch { number: 1, serial: Some(device.serial.clone()), mac: None, model: None },
        mode: "routine".to_owned(),
        closes: None,
        between: None,
        meters: vec![LedgerMeter {
            number: 1,
            name: "total".to_owned(),
            source: source.clone(),
            unit: "impressions".to_owned(),
            value,
            sure: value,
            doubts: 0,
            leads: true,
        }],
        findings: if flagged { vec![finding] } else { Vec::new() },
    }
}

//! One appliance: its real store and its real decisions, with the play in place of sockets, devices and processes.

mod backup;
mod devices;
mod mailing;
mod modules;

use backup::Backup;
pub(crate) use backup::copy_database;
use devices::Devices;

use super::book::{Book, Step, What};
use super::dice::Dice;
use super::post::{Answer, PostOffice};
use super::{Clockwork, center_address, site_address};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use mailfmt::MessageId;
use mailfmt::crypto::Credential;
use monitor_appliance::clock::{Evidence, Reading};
use monitor_appliance::keyring::{Keyring, replace_credential};
use monitor_appliance::store::{Moment, Store};
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
pub(crate) struct Live {
    pub(crate) context: Context,
    pub(crate) store: Store,
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

/// One appliance.
pub(crate) struct Site {
    place: usize,
    settings: Settings,
    root: PathBuf,
    clock: Arc<Clockwork>,
    boot: u32,
    booted: Timestamp,
    live: Option<Live>,
    watch: Option<Connection>,
    /// Whether the book follows its outbox.
    watched: bool,
    last_row: i64,
    devices: Devices,
    episodes: u64,
    backup: Option<Backup>,
    dice: Dice,
    /// Whether it crashes at all.
    pub(crate) unsteady: bool,
    /// Crashes so far.
    pub(crate) crashes: u64,
    /// Installations by the executor, by command.
    pub(crate) installed: BTreeMap<MessageId, u32>,
}

/// The process ended in the middle of something.
pub(crate) struct Crashed;

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
    pub(crate) fn set_up(
        place: usize,
        folder: &Path,
        clock: Arc<Clockwork>,
        credential: &Credential,
        dice: Dice,
    ) -> anyhow::Result<Self> {
        let root = folder.join(format!("site{:04}", place + 1));
        let booted = clock.now();
        let site = Self {
            place,
            settings: settings(place)?,
            root,
            clock,
            boot: 0,
            booted,
            live: None,
            watch: None,
            watched: true,
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
        Ok(site)
    }

    /// The same without crashes, and without the book's eye on its outbox, which would hold the store open.
    pub(crate) fn steady(self) -> Self {
        Self { unsteady: false, watched: false, ..self }
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The process ends in good order; the next turn starts it again.
    pub(crate) fn close(&mut self) {
        (self.live, self.watch) = (None, None);
    }

    pub(crate) fn context(&self) -> Context {
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
    pub(crate) fn live(&mut self) -> anyhow::Result<&mut Live> {
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
        self.live.as_mut().context("it was just started")
    }

    /// A connection of the play's own.
    fn watch(&mut self) -> anyhow::Result<&Connection> {
        self.live()?;
        if self.watch.is_none() {
            self.watch = Some(Connection::open(self.root.join("store.db"))?);
        }
        self.watch.as_ref().context("it was just opened")
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
        if !self.watched {
            return Ok(());
        }
        self.watch()?;
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
    fn arm(&mut self, point: &str) -> anyhow::Result<()> {
        let watch = self.watch()?;
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

    fn disarm(&mut self) -> anyhow::Result<()> {
        Ok(self.watch()?.execute_batch("DROP TRIGGER IF EXISTS chaos")?)
    }

    /// One turn of the mail agent; gives when it wakes again.
    pub(crate) fn turn(&mut self, post: &mut PostOffice, book: &mut Book) -> anyhow::Result<Timestamp> {
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

    /// Reports that wait for a receipt.
    pub(crate) fn waiting(&mut self) -> anyhow::Result<u32> {
        Ok(self
            .watch()?
            .prepare_cached("SELECT count(*) FROM outbox WHERE state = 'waiting'")?
            .query_row((), |row| row.get(0))?)
    }

    /// Turns of the mail agent without crashes from now on.
    pub(crate) fn calm(&mut self) {
        self.unsteady = false;
    }
}

/// What a server's answer means for the story of a message.
pub(crate) fn step_of(answer: Answer) -> Step {
    match answer {
        Answer::Taken => Step::Taken,
        Answer::Refused => Step::Refused,
        Answer::Died => Step::Died,
    }
}

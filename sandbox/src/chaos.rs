//! Chaos: a fleet and its center over the worst post office there is, in one process and in virtual time.
//!
//! Mails are lost, doubled, delayed, overtaken, damaged and played back; servers let nobody in, refuse, and die before and
//! after they took a mail; both sides end in the middle of transactions, between durable steps and after them, boxes lose
//! their power, and now and then a disk is put back to an old backup. What decides and stores is the real code of both
//! sides over real databases; the play takes only the place of sockets, devices, processes and the operator.
//!
//! When enough mails were delivered the weather turns calm. Then everything must drain, and the book in which the play has
//! written what was made durable is compared with what stands in the tables ([`Findings`]). Every decision follows from
//! one seed; ids and keys do not, and nothing depends on them.

pub(crate) mod book;
pub(crate) mod center;
mod check;
pub(crate) mod dice;
pub(crate) mod orders;
pub(crate) mod post;
pub(crate) mod site;

use anyhow::{Context as _, ensure};
use book::Book;
use center::Center;
use center_manager::db::appliances::NewAppliance;
use dice::Dice;
use jiff::{SignedDuration, Timestamp};
use mailfmt::AgentId;
use mailfmt::crypto::{Credential, Random};
use post::{PostOffice, Weather};
use site::Site;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// When the play begins.
pub(crate) const BEGIN: Timestamp = Timestamp::constant(1_796_083_200, 0);

/// The center's mailbox; those of the appliances have their places.
pub(crate) const CENTER_BOX: usize = usize::MAX >> 1;

/// After so long in calm weather everything must have drained: longer than a command is valid.
const DRAIN_MAX: SignedDuration = SignedDuration::from_hours(24 * 12);

/// A command that nobody answered although the weather was calm for so long, while it was valid, is lost.
const CALM_ENOUGH: SignedDuration = SignedDuration::from_hours(48);

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// From which everything follows.
    pub seed: u64,
    /// Mails read by their recipients, copies and damaged ones included, until the weather turns calm.
    pub deliveries: u64,
    /// Appliances.
    pub appliances: usize,
}

/// What was found at the end, and how hard it was tried.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Mails read by their recipients, copies and damaged ones included.
    pub deliveries: u64,
    /// Reports filed twice, commands carried out twice, installations, ledger findings and fault episodes that stand twice.
    pub double_effects: u64,
    /// Reports that stood in an outbox and are neither filed nor given up by policy; commands that were not answered.
    pub lost: u64,
    /// Reports and commands that were made durable.
    pub messages: u64,
    /// Times that a process ended in the middle of its work, on both sides.
    pub crashes: u64,
    /// Times that an appliance's disk or the center's database was put back to an old backup.
    pub restores: u64,
    /// Reports that a disk alone held which was put back to before them, and such that a database forgot after it had filed
    /// and receipted them.
    pub forgotten: u64,
    /// Commands that an appliance carried out once more, since its disk was put back to before it had done so.
    pub done_again_after_restore: u64,
    /// Reports given up by policy.
    pub given_up: u64,
    /// Commands that expired in bad weather and without an answer.
    pub expired: u64,
    /// What a peer would have doubled that acts on every copy it reads, and lost that sends everything once.
    pub naive: (u64, u64),
    /// How long it took in virtual time.
    pub took: SignedDuration,
    /// The stories of the first messages that something is wrong with.
    pub stories: Vec<String>,
}

/// The clock of the play, and the count of deliveries.
pub(crate) struct Clockwork {
    millis: AtomicI64,
    deliveries: AtomicU64,
}

impl Clockwork {
    /// At the beginning of a play.
    pub(crate) fn begin() -> Self {
        Self { millis: AtomicI64::new(BEGIN.as_millisecond()), deliveries: AtomicU64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millisecond(), Ordering::Relaxed);
    }

    fn count_delivery(&self) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }
}

fn center_address() -> &'static str {
    "center@center.example"
}

pub(crate) fn site_address(place: usize) -> String {
    format!("agent{:04}@site.example", place + 1)
}

/// The appliance at a place, as the center introduces it.
pub(crate) fn new_appliance(place: usize, random: &mut impl Random) -> anyhow::Result<NewAppliance> {
    Ok(NewAppliance {
        agent: AgentId::new(&format!("AGENT{:07}", place + 1))?,
        address: site_address(place),
        customer: String::new(),
        tags: Vec::new(),
        credential: Credential::generate(random),
    })
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Center,
    MailAgent(usize),
    Devices(usize),
    Operator,
    SiteBackup(usize),
    SiteRestore(usize),
    CenterBackup,
    CenterRestore,
}

/// Everything that takes part.
struct Stage {
    clock: Arc<Clockwork>,
    dice: Dice,
    post: PostOffice,
    book: Book,
    center: Center,
    sites: Vec<Site>,
    turns: BinaryHeap<Reverse<(i64, u64, Turn)>>,
    turns_set: u64,
    /// When each mail agent wakes; other turns of it are over.
    wakes: Vec<i64>,
    restores: u64,
}

impl Play {
    /// Plays in a folder of its own below `folder`, which should lie in memory; `tell` is called now and then with the
    /// deliveries so far.
    ///
    /// # Errors
    /// When a database fails that nobody made fail, or something does not drain in calm weather. What is lost or doubled
    /// is a finding, not an error.
    pub fn run(&self, folder: &Path, mut tell: impl FnMut(u64)) -> anyhow::Result<Findings> {
        let room = tempfile::Builder::new().prefix("chaos.").tempdir_in(folder)?;
        let mut stage = Stage::set(self, room.path())?;
        let mut told = 0;
        while stage.clock.deliveries() < self.deliveries {
            stage.next_turn()?;
            let deliveries = stage.clock.deliveries();
            if deliveries >= told + 1_000 {
                told = deliveries;
                tell(deliveries);
            }
        }
        let calm_since = stage.clock.now();
        stage.drain()?;
        stage.findings(calm_since)
    }
}

impl Stage {
    fn set(play: &Play, folder: &Path) -> anyhow::Result<Self> {
        ensure!(play.appliances > 0, "there is no play without appliances");
        let clock = Arc::new(Clockwork::begin());
        let mut dice = Dice::new(play.seed);
        let mut random = crate::random();
        let mut appliances = Vec::with_capacity(play.appliances);
        for place in 0..play.appliances {
            appliances.push(new_appliance(place, &mut random)?);
        }
        let center = Center::set_up(folder, Arc::clone(&clock), &appliances, dice.fork(1), "")?;
        let mut sites = Vec::with_capacity(play.appliances);
        for (place, new) in appliances.iter().enumerate() {
            let own = dice.fork(100 + u64::try_from(place)?);
            sites.push(Site::set_up(place, folder, Arc::clone(&clock), &new.credential, own)?);
        }
        let post = PostOffice::new(dice.fork(2));
        let mut stage = Self {
            clock,
            dice,
            post,
            book: Book::new(BEGIN),
            center,
            sites,
            turns: BinaryHeap::new(),
            turns_set: 0,
            wakes: vec![0; play.appliances],
            restores: 0,
        };
        for turn in [Turn::Center, Turn::Operator, Turn::CenterBackup, Turn::CenterRestore] {
            stage.set_next(turn)?;
        }
        for place in 0..stage.sites.len() {
            for turn in [Turn::Devices(place), Turn::SiteBackup(place), Turn::SiteRestore(place)] {
                stage.set_next(turn)?;
            }
            stage.wake(place, BEGIN);
        }
        Ok(stage)
    }

    fn set_turn(&mut self, at: Timestamp, turn: Turn) {
        // One second for several is enough, and the order in which they were set decides.
        self.turns_set += 1;
        self.turns.push(Reverse((at.as_millisecond(), self.turns_set, turn)));
    }

    /// The mail agent of an appliance wakes then, and not at the time that was set before.
    fn wake(&mut self, place: usize, at: Timestamp) {
        if let Some(wake) = self.wakes.get_mut(place) {
            *wake = at.as_millisecond();
        }
        self.set_turn(at, Turn::MailAgent(place));
    }

    /// When it is this turn next.
    fn set_next(&mut self, turn: Turn) -> anyhow::Result<()> {
        let minutes = SignedDuration::from_mins;
        let fleet = i64::try_from(self.sites.len())?.max(1);
        let (least, most) = match turn {
            Turn::Center => (SignedDuration::from_secs(10), SignedDuration::from_secs(11)),
            Turn::Devices(_) => (minutes(1), minutes(13)),
            Turn::Operator => (minutes(1), minutes(1 + 60 / fleet.min(30))),
            Turn::SiteBackup(_) => (minutes(2 * 60), minutes(12 * 60)),
            Turn::SiteRestore(_) => (minutes(5 * 60), minutes(7 * 24 * 60)),
            Turn::CenterBackup => (minutes(90), minutes(5 * 60)),
            Turn::CenterRestore => (minutes(4 * 60), minutes(40 * 60)),
            // It says itself when it wakes.
            Turn::MailAgent(_) => return Ok(()),
        };
        let at = self.clock.now() + self.dice.time(least, most);
        self.set_turn(at, turn);
        Ok(())
    }

    fn next_turn(&mut self) -> anyhow::Result<()> {
        let Reverse((at, _, turn)) = self.turns.pop().context("somebody always has a turn")?;
        if matches!(turn, Turn::MailAgent(place) if self.wakes.get(place) != Some(&at)) {
            return Ok(());
        }
        self.clock.set(Timestamp::from_millisecond(at)?.max(self.clock.now()));
        let restored = match turn {
            Turn::Center => self.center.turn(&mut self.post, &mut self.book).map(|()| false),
            Turn::Operator => self.center.command(&mut self.book).map(|()| false),
            Turn::CenterBackup => self.center.back_up().map(|()| false),
            Turn::CenterRestore => self.center.restore(&mut self.book),
            Turn::MailAgent(place)
            | Turn::Devices(place)
            | Turn::SiteBackup(place)
            | Turn::SiteRestore(place) => {
                let site = self.sites.get_mut(place).context("a site of the fleet")?;
                match turn {
                    Turn::Devices(_) => site.happen(&mut self.book).map(|()| false),
                    Turn::SiteBackup(_) => site.back_up().map(|()| false),
                    Turn::SiteRestore(_) => site.restore(&mut self.book),
                    _ => {
                        let wake = site.turn(&mut self.post, &mut self.book)?;
                        self.wake(place, wake);
                        Ok(false)
                    }
                }
            }
        };
        self.restores += u64::from(restored.with_context(|| format!("{turn:?} on {}", self.clock.now()))?);
        if let Turn::Devices(place) = turn {
            // What a module stores wakes the mail agent.
            let now = self.clock.now();
            self.wake(place, now + SignedDuration::from_secs(1));
        }
        self.set_next(turn)
    }

    /// Calm weather, no crashes, nothing new: until nothing waits any more.
    fn drain(&mut self) -> anyhow::Result<()> {
        self.post.weather = Weather::CALM;
        self.center.calm();
        self.sites.iter_mut().for_each(Site::calm);
        let begun = self.clock.now();
        let mut looked = begun;
        while let Some(Reverse((_, _, turn))) = self.turns.peek() {
            if matches!(turn, Turn::Center | Turn::MailAgent(_)) {
                self.next_turn()?;
            } else {
                self.turns.pop();
            }
            let now = self.clock.now();
            if now.duration_since(looked) < SignedDuration::from_mins(30) {
                continue;
            }
            looked = now;
            let mut waiting = self.center.waiting()?;
            for site in &mut self.sites {
                waiting += site.waiting()?;
            }
            let mails = self.post.waiting();
            if waiting == 0 && mails == 0 {
                break;
            }
            ensure!(
                now.duration_since(begun) < DRAIN_MAX,
                "after {DRAIN_MAX:#} of calm {waiting} messages still wait, and {mails} mails lie in mailboxes: {}",
                self.center.unanswered(&self.book)?
            );
        }
        Ok(())
    }
}

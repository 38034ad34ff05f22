//! Many appliances in one process: the appliance's own logic in full, only without processes of its own.
//!
//! Every appliance has a root of its own, as on a customer's box, which the appliance's command line can look into.
//! `mail-agent` and `device-watch` run as tasks; what the supervisor does for an appliance does its caretaker:
//! version reports, installations with their scripts, and the swap, in which the tasks are stopped and started again.
//! What is not played: a release's resident programs, and the trial that they would have to pass.

mod appliance;
mod caretaker;
mod introductions;
mod process;
mod residents;

pub use introductions::introduce;
pub use process::{raise_open_files, resident_octets};

use crate::world::{MailSite, Pace};
use anyhow::{Context as _, ensure};
use appliance::Appliance;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mailfmt::Introduction;
use monitor_appliance::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Appliances that are set up at the same time: each waits for the disk most of the time.
const SET_UPS: usize = 8;

/// Installations and version reports at the same time. More would only keep the mail waiting for a free thread.
const ERRANDS: usize = 8;

/// Threads for work that may block, in [`runtime`].
const BLOCKING_THREADS: usize = 48;

/// Files and sockets that an appliance has open at most: three connections to its store with their journal, a socket
/// for SNMP, two for mail, one in and one out, at both ends, and a running script with its pipe.
const FILES_EACH: u64 = 18;

/// Files that everything else has open.
const FILES_BESIDE: u64 = 200;

/// By which protocols the appliances fetch their mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FetchMix {
    /// All by POP3.
    Pop3,
    /// All by IMAP.
    Imap,
    /// Those with odd numbers by POP3, the others by IMAP.
    Both,
}

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// The folder for the roots, `appliance0001` and so on.
    pub folder: PathBuf,
    /// Where the mail goes; its mailboxes must be there.
    pub mail: MailSite,
    /// What the center wrote for each; there are as many appliances as introductions, and the mailbox of each follows
    /// from its place, counted from 1.
    pub introductions: Vec<Introduction>,
    /// The folder of the first release, see [`crate::world::ReleaseFolder::without_programs`].
    pub release: PathBuf,
    /// The timers of all.
    pub pace: Pace,
    /// How mail is fetched.
    pub fetch: FetchMix,
    /// Printers, each `HOST:PORT`; they are shared out in turn, so that several appliances may watch the same one.
    pub devices: Vec<String>,
    /// How many printers each appliance watches.
    pub devices_each: usize,
}

impl FleetSettings {
    /// The printers of appliance `number`, counted from 1.
    fn devices_of(&self, number: u32) -> impl Iterator<Item = &String> {
        let each = self.devices_each.min(self.devices.len());
        let first = usize::try_from(number).unwrap_or(0).saturating_sub(1).saturating_mul(each);
        self.devices.iter().cycle().skip(first % self.devices.len().max(1)).take(each)
    }
}

/// What all appliances of a fleet share.
#[derive(Debug)]
struct Shared {
    errands: Semaphore,
    /// Modules that ended although nobody asked them to.
    crashes: AtomicU64,
}

/// Appliances in this process. Those that run end when it is dropped; [`Fleet::stop`] also waits for them.
#[derive(Debug)]
pub struct Fleet {
    appliances: Vec<Appliance>,
    shared: Arc<Shared>,
}

/// A runtime for a fleet: few threads, also for what may block, because each keeps memory of its own.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("cannot start the async runtime")
}

impl Fleet {
    /// Sets all appliances up and starts each as soon as it is ready. Must be called within a tokio runtime, best one
    /// made by [`runtime`].
    ///
    /// # Errors
    /// When one cannot be set up, or the system lets this process open too few files.
    pub async fn start(settings: FleetSettings) -> anyhow::Result<Self> {
        let count = u64::try_from(settings.introductions.len())?;
        let (needed, allowed) = (count * FILES_EACH + FILES_BESIDE, raise_open_files());
        ensure!(
            allowed >= needed,
            "{count} appliances in one process need {needed} open files, the system allows {allowed}; raise it with `ulimit -Hn`"
        );
        let shared = Arc::new(Shared { errands: Semaphore::new(ERRANDS), crashes: AtomicU64::new(0) });
        let settings = Arc::new(settings);
        let appliances = stream::iter(1..=u32::try_from(count)?)
            .map(|number| {
                let (settings, shared) = (Arc::clone(&settings), Arc::clone(&shared));
                async move {
                    let made = tokio::task::spawn_blocking(move || Appliance::set_up(&settings, number));
                    let mut appliance =
                        made.await?.with_context(|| format!("appliance {number} cannot be set up"))?;
                    appliance.start(shared);
                    anyhow::Ok(appliance)
                }
            })
            .buffered(SET_UPS)
            .try_collect()
            .await?;
        Ok(Self { appliances, shared })
    }

    /// How many appliances there are, those that are off included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.appliances.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appliances.is_empty()
    }

    /// The root and settings of an appliance, counted from 1; whether it runs or not.
    ///
    /// # Errors
    /// When there is no such appliance.
    pub fn context(&self, number: u32) -> anyhow::Result<&Context> {
        let place = place(number);
        Ok(&self.appliances.get(place).with_context(|| no_such(number))?.context)
    }

    /// How many modules ended although nobody asked them to: anything but 0 is a defect, or a disk that is full. Each
    /// was started again.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.shared.crashes.load(Ordering::Relaxed)
    }

    /// Switches an appliance off and waits until nothing of it runs. Harmless when it is off.
    ///
    /// # Errors
    /// When there is no such appliance.
    pub async fn stop_one(&mut self, number: u32) -> anyhow::Result<()> {
        self.appliance(number)?.stop().await;
        Ok(())
    }

    /// Switches an appliance on again. Harmless when it is on.
    ///
    /// # Errors
    /// When there is no such appliance.
    pub fn start_one(&mut self, number: u32) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.appliance(number)?.start(shared);
        Ok(())
    }

    fn appliance(&mut self, number: u32) -> anyhow::Result<&mut Appliance> {
        self.appliances.get_mut(place(number)).with_context(|| no_such(number))
    }

    /// Switches all appliances off and waits until nothing of them runs.
    pub async fn stop(mut self) {
        futures_util::future::join_all(self.appliances.iter_mut().map(Appliance::stop)).await;
    }
}

/// The place of an appliance that is counted from 1; number 0 gets one that is never taken.
fn place(number: u32) -> usize {
    number.checked_sub(1).and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX)
}

fn no_such(number: u32) -> String {
    format!("there is no appliance {number} in the fleet")
}

#[cfg(test)]
mod tests;

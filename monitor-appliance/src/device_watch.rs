//! `device-watch`: looks for faults on every device, collects counters, and stores both.
//!
//! What a device says is read by [`crate::snmp`] and [`crate::device`], what is a fault decides [`crate::faults`], what
//! follows from one visit [`Memory::take`] (pure). Here is only the loop: one per device, a bounded number of visits at a time.
//!
//! Source: JP 2003-435644, Fig. 3 and 5 [0038-0044].

mod billing;
mod census;
mod computers;
mod convert;
mod knocks;
mod listening;
mod pins;
mod profiles;
mod roster;
mod second_ways;
mod visit;

pub use billing::{Observed, enter};
pub use convert::{counters, device_id, supplies};
pub use visit::{Due, Memory, Told, next_visit};

use crate::context::Context;
use crate::device::{DeviceIdentity, interpret, interpret_pinned};
use crate::discovery::DeviceKind;
use crate::faults::{FaultClasses, FaultRules, Observation};
use crate::heartbeat::{Progress, beat};
use crate::inventory;
use crate::layout::Layout;
use crate::profile::{ProfileWishes, Profiles};
use crate::settings::{DeviceEntry, SecondWaySettings, SnmpAccess};
use crate::shutdown::Shutdown;
use crate::snmp::{
    Acquaintance, Depth, DeviceTarget, ReadError, ReadLimits, Secret, SnmpCredential, SnmpReader, V3Auth,
    V3Privacy, V3User,
};
use crate::store::{SharedStore, StoreError, Work};
use jiff::Timestamp;
use knocks::Knocks;
use mailbox::PasswordError;
use mailfmt::message::DeviceId;
use second_ways::SecondWays;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use zeroize::Zeroizing;

/// The module's name.
pub const MODULE: &str = "device-watch";

/// Visits at the same time; a device that does not answer holds its place for some seconds.
const VISITS_MAX: usize = 64;

/// Why the module cannot begin. Once it runs, it goes on whatever fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceWatchError {
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// No socket.
    #[error("devices cannot be asked")]
    Read(#[from] ReadError),
    /// A device's password.
    #[error("the SNMPv3 password for {address} cannot be used")]
    Password {
        /// The device.
        address: String,
        /// Why.
        source: PasswordError,
    },
}

/// Runs until `shutdown`.
///
/// # Errors
/// [`DeviceWatchError`] when it cannot begin.
pub async fn run(context: Context, mut shutdown: Shutdown) -> Result<(), DeviceWatchError> {
    let mut store = context.open_store()?;
    store.change(|change| change.end_busy(MODULE))?;
    let profiles = profiles::begin(&context, &mut store)?;
    let requests_per_hour = context.settings.timers.request_budget();
    let watch = Watch {
        reader: SnmpReader::bind().await?.with_wishes(Arc::new(ProfileWishes::new(profiles.clone()))),
        store: SharedStore::new(store),
        places: Semaphore::new(VISITS_MAX),
        collecting: Mutex::new(0),
        progress: Progress::default(),
        stale: Mutex::default(),
        found: Notify::new(),
        knocks: Knocks::default(),
        second_ways: SecondWays::default(),
        rules: Arc::new(fault_rules(&context)),
        proved: AtomicBool::new(false),
        limits: ReadLimits { requests_per_hour, ..ReadLimits::default() },
        profiles,
        context,
    };
    for entry in &watch.context.settings.devices {
        target(&watch.context, entry)?;
    }
    let timers = &watch.context.settings.timers;
    let silence_max = timers.fault_poll.saturating_add(watch.limits.deadline.saturating_mul(4));
    let work = async {
        tokio::join!(
            watch.follow_all(),
            watch.keep_inventory(),
            watch.keep_scanning(),
            watch.keep_listening(),
            watch.keep_billing(),
            watch.keep_computers()
        );
    };
    tokio::select! {
        () = work => {}
        () = beat(&watch.context, &watch.store, MODULE, &watch.progress, silence_max) => {}
        // A visit that is broken off has stored nothing, or all of it.
        () = shutdown.requested() => {}
    }
    watch.store.change(|change| change.end_busy(MODULE)).await?;
    Ok(())
}

/// The rules of the settings, with the class table of the running release.
fn fault_rules(context: &Context) -> FaultRules {
    let classes = FaultClasses::of_release(&context.layout.current()).unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the release's fault classes cannot be used; going on with those that came with this program"
        );
        FaultClasses::built_in()
    });
    FaultRules { classes, ..context.settings.faults.rules() }
}

/// A device of the settings with its passwords read.
///
/// # Errors
/// [`DeviceWatchError::Password`].
pub fn target(context: &Context, entry: &DeviceEntry) -> Result<DeviceTarget, DeviceWatchError> {
    let credential = credential(&context.layout, &entry.access)
        .map_err(|source| DeviceWatchError::Password { address: entry.address.clone(), source })?;
    Ok(DeviceTarget { address: entry.address.clone(), credential })
}

/// An access with its passwords read.
///
/// # Errors
/// [`PasswordError`].
pub fn credential(layout: &Layout, access: &SnmpAccess) -> Result<SnmpCredential, PasswordError> {
    let secret = |path: &PathBuf| read_secret(&layout.resolve(path));
    Ok(match access {
        SnmpAccess::V1 { community } => SnmpCredential::V1 { community: community.clone() },
        SnmpAccess::V2c { community } => SnmpCredential::V2c { community: community.clone() },
        SnmpAccess::V3 { user, auth, privacy } => SnmpCredential::V3(V3User {
            user: user.clone(),
            context: String::new(),
            auth: match auth {
                Some((protocol, file)) => Some(V3Auth { protocol: *protocol, password: secret(file)? }),
                None => None,
            },
            privacy: match privacy {
                Some((protocol, file)) => Some(V3Privacy { protocol: *protocol, password: secret(file)? }),
                None => None,
            },
        }),
    })
}

/// The first line of a password file that only its owner may read.
fn read_secret(path: &Path) -> Result<Secret, PasswordError> {
    // The mail side's check covers mode, length and shape.
    mailbox::Password::from_file(path)?;
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| PasswordError::Read { path: path.into(), source })?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

struct Watch {
    profiles: Profiles,
    context: Context,
    reader: SnmpReader,
    store: SharedStore,
    places: Semaphore,
    /// Devices whose counters are being collected; the first one marks the module busy, the last one frees it.
    collecting: Mutex<usize>,
    progress: Progress,
    /// Addresses at which the store knows of another device than before.
    stale: Mutex<BTreeSet<String>>,
    /// Somebody was found, or has moved.
    found: Notify,
    /// Wakes the loop of a device that has sent a trap.
    knocks: Knocks,
    second_ways: SecondWays,
    rules: Arc<FaultRules>,
    /// Whether it was noted that a device answered.
    proved: AtomicBool,
    limits: ReadLimits,
}

impl Watch {
    /// How long to wait before the next visit.
    fn pause(&self, memory: &Memory) -> Duration {
        let now = self.context.now();
        let next = next_visit(memory, &self.context.settings.timers, now);
        Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
    }

    async fn visit(
        &self,
        entry: &DeviceEntry,
        target: &DeviceTarget,
        memory: &mut Memory,
        known: &mut Acquaintance,
    ) {
        // The semaphore is never closed.
        let Ok(_place) = self.places.acquire().await else { return };
        self.progress.made();
        if let Err(error) = self.refresh(memory, &entry.address).await {
            tracing::error!(
                device = entry.address,
                error = &error as &dyn std::error::Error,
                "what is known of a device cannot be read"
            );
            return;
        }
        let timers = &self.context.settings.timers;
        let due = match memory.due(timers, self.context.now()) {
            // It restarted, or is another one: it is asked at once what it has.
            Due::Faults if known.is_lost() => Due::Everything,
            due => due,
        };
        if let Err(error) = self.visit_and_store(entry, target, memory, known, due).await {
            tracing::error!(
                device = target.address,
                error = &error as &dyn std::error::Error,
                "what a device told could not be stored"
            );
        }
    }

    /// Reads what is known of the device anew where a scan has put another device at its address.
    async fn refresh(&self, memory: &mut Memory, address: &str) -> Result<(), StoreError> {
        let stale =
            |address: &str| self.stale.lock().unwrap_or_else(PoisonError::into_inner).take(address).is_some();
        if stale(address) {
            match self.remember(address).await {
                Ok(fresh) => *memory = fresh,
                Err(error) => {
                    let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
                    stale.insert(address.to_owned());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn visit_and_store(
        &self,
        entry: &DeviceEntry,
        target: &DeviceTarget,
        memory: &mut Memory,
        known: &mut Acquaintance,
        due: Due,
    ) -> Result<(), StoreError> {
        // A device that is off must not hold up an update every minute.
        let collecting = due == Due::Everything && !memory.is_silent();
        if collecting {
            self.begin_collecting().await?;
        }
        let result = self.visit_device(entry, target, memory, known, due).await;
        if collecting {
            self.end_collecting().await?;
        }
        result
    }

    async fn visit_device(
        &self,
        entry: &DeviceEntry,
        target: &DeviceTarget,
        memory: &mut Memory,
        known: &mut Acquaintance,
        due: Due,
    ) -> Result<(), StoreError> {
        let depth = match due {
            Due::Faults => Depth::Faults,
            Due::Everything => Depth::Everything,
        };
        let begun = self.context.now();
        let walk = self.reader.read_known(target, &self.limits, depth, known, begun).await;
        let now = self.context.now();
        if let Err(error @ ReadError::BudgetSpent { .. }) = &walk {
            tracing::warn!(device = target.address, "{error}");
            // It was not asked, so nothing is known of it: neither that it answers nor that it does not.
            memory.put_off(now);
            return Ok(());
        }
        let mut after = memory.clone();
        if walk.is_ok() {
            self.prove_once(now).await?;
        }
        let (address, ways) = (&target.address, &self.context.settings.second_ways);
        let told = match walk {
            Ok(walk) => {
                let held = memory.pins().held(now);
                let mut reading = interpret_pinned(&walk, &self.profiles, &held);
                inventory::keep_apart(&mut reading.identity, memory.id());
                if due == Due::Everything {
                    self.second_ways.complete(address, &mut reading, &self.profiles, ways, now).await;
                    memory.pins().keep(&mut reading, now);
                }
                if due == Due::Everything
                    && let Some(id) = device_id(&reading.identity)
                    && memory.id() != Some(&id)
                {
                    let mac = reading.identity.mac.clone();
                    self.settle(entry, id, mac, DeviceKind::of(&walk), now).await?;
                    after = self.remember(&target.address).await?;
                    if !held.is_empty() {
                        // Another machine: its counters stay with its own objects, not with those of the one before.
                        let own = after.pins().held(now);
                        reading.counters = interpret_pinned(&walk, &self.profiles, &own).counters;
                    }
                    inventory::keep_apart(&mut reading.identity, after.id());
                }
                after.take(due, Observation::Answered(&reading), "", now)
            }
            Err(error) => {
                let instead = self.second_ways.instead(address, &self.profiles, ways, now).await;
                if let Some(mut reading) = instead {
                    match (memory.id(), device_id(&reading.identity)) {
                        // The same machine, in IPP's spelling: it stays registered as SNMP told it.
                        (Some(known), Some(told)) if known.serial == told.serial => {
                            reading.identity = DeviceIdentity::default();
                        }
                        (_, Some(id)) => {
                            self.settle(entry, id, reading.identity.mac.clone(), DeviceKind::Printer, now)
                                .await?;
                            after = self.remember(&target.address).await?;
                        }
                        (_, None) => reading.identity = DeviceIdentity::default(),
                    }
                    after.pins().keep(&mut reading, now);
                    let told = after.take(due, Observation::Answered(&reading), "", now);
                    self.keep(&target.address, told, known, now).await?;
                    *memory = after;
                    return Ok(());
                }
                if memory.answering {
                    tracing::warn!(
                        device = target.address,
                        error = &error as &dyn std::error::Error,
                        "a device cannot be read"
                    );
                }
                after.take(due, Observation::Missed, &error.to_string(), now)
            }
        };
        self.keep(&target.address, told, known, now).await?;
        // Only what is stored counts as known: after a failed store the next visit finds the same changes again.
        *memory = after;
        Ok(())
    }

    /// Notes, once per process, that the running release can read a device.
    async fn prove_once(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.proved.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let releases = crate::release::Releases::below(self.context.layout.root());
        let release = releases.current_name().unwrap_or_default();
        self.store.change(move |change| change.prove(Work::DeviceRead, &release, now)).await
    }

    /// Another device answers at this address than the one that was known there: puts the rows in order.
    async fn settle(
        &self,
        entry: &DeviceEntry,
        id: DeviceId,
        mac: Option<String>,
        kind: DeviceKind,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let entry = entry.clone();
        let configured = self.context.settings.devices.iter().any(|known| known.address == entry.address);
        let came_from = self
            .store
            .change(move |change| {
                let arrival =
                    inventory::Arrival { id: Some(&id), mac: mac.as_ref(), kind, address: &entry.address };
                let came_from = inventory::meet(change, &arrival, now)?.from;
                // What was found stays watched where it was found, as long as a printer is there.
                if !configured && kind.is_watched() {
                    change.device_answered(&entry.address, now)?;
                    change.keep_access(&entry.address, &entry.access)?;
                }
                Ok::<_, StoreError>(came_from)
            })
            .await?;
        self.stale.lock().unwrap_or_else(PoisonError::into_inner).extend(came_from);
        Ok(())
    }

    async fn keep(
        &self,
        address: &str,
        told: Told,
        known: &mut Acquaintance,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let layout = known.take_change();
        if told.is_nothing() && layout.is_none() {
            return Ok(());
        }
        let usage = self.reader.usage(address);
        let address = address.to_owned();
        let reports: Vec<_> =
            told.reports.iter().map(|report| self.context.outgoing(report.clone(), None)).collect();
        let (settings, clock) = (Arc::clone(&self.context.settings), self.context.clock_state());
        let stored = self
            .store
            .change_together(move |change| {
                told.write(change, &reports, now)?;
                if let Some(layout) = layout {
                    change.keep_device_layout(&address, layout.as_deref())?;
                }
                change.keep_traffic(&address, usage, now)?;
                match told.observed() {
                    Some(observed) => {
                        enter(change, observed, &settings.ledger, &clock, &billing::ledger_name())
                    }
                    None => Ok(()),
                }
            })
            .await;
        if stored.is_err() {
            known.untake_change();
        }
        stored
    }

    async fn begin_collecting(&self) -> Result<(), StoreError> {
        let first = {
            let mut count = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            *count == 1
        };
        if first {
            let now = self.context.now();
            self.store
                .change(move |change| change.begin_busy(MODULE, "collecting counters", true, now))
                .await?;
        }
        Ok(())
    }

    async fn end_collecting(&self) -> Result<(), StoreError> {
        let last = {
            let mut count = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
            *count = count.saturating_sub(1);
            *count == 0
        };
        if last {
            self.store.change(|change| change.end_busy(MODULE)).await?;
        }
        Ok(())
    }
}

/// Reads everything of one device, once, for a person; where SNMP is silent or tells little, on the ways that `ways` allows.
///
/// # Errors
/// [`ReadError`].
pub async fn read_once(
    target: &DeviceTarget,
    profiles: &Profiles,
    ways: &SecondWaySettings,
) -> Result<crate::device::Reading, ReadError> {
    let (second_ways, never) = (SecondWays::default(), Timestamp::UNIX_EPOCH);
    let wishes = Arc::new(ProfileWishes::new(profiles.clone()));
    let reader = SnmpReader::bind().await?.with_wishes(wishes);
    match reader.read_full(target, &ReadLimits::default()).await {
        Ok(walk) => {
            let mut reading = interpret(&walk, profiles);
            second_ways.complete(&target.address, &mut reading, profiles, ways, never).await;
            Ok(reading)
        }
        Err(error) => second_ways.instead(&target.address, profiles, ways, never).await.ok_or(error),
    }
}

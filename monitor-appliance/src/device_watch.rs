//! `device-watch`: looks for faults on every device, collects counters, and stores both.
//!
//! What a device says is read by [`crate::snmp`] and [`crate::device`], what is a fault decides [`crate::faults`], what
//! follows from one visit [`Memory::take`] (pure). Here is only the loop: one per device, a bounded number of visits at a time.
//!
//! Source: JP 2003-435644, Fig. 3 and 5 [0038-0044].

mod convert;
mod visit;

pub use convert::{counters, device_id, supplies};
pub use visit::{Due, Memory, Told, next_visit};

use crate::context::Context;
use crate::device::interpret;
use crate::faults::Observation;
use crate::heartbeat::{Progress, beat};
use crate::settings::{DeviceEntry, SnmpAccess};
use crate::shutdown::Shutdown;
use crate::snmp::{
    DeviceTarget, ReadError, ReadLimits, Secret, SnmpCredential, SnmpReader, V3Auth, V3Privacy, V3User,
};
use crate::store::{SharedStore, StoreError};
use futures_util::future::join_all;
use jiff::Timestamp;
use mailbox::PasswordError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
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
    let watch = Watch {
        reader: SnmpReader::bind().await?,
        store: SharedStore::new(store),
        places: Semaphore::new(VISITS_MAX),
        collecting: Mutex::new(0),
        progress: Progress::default(),
        limits: ReadLimits::default(),
        context,
    };
    let mut loops = Vec::new();
    for entry in &watch.context.settings.devices {
        let target = target(&watch.context, entry)?;
        let address = entry.address.clone();
        let (row, reading) = watch
            .store
            .read(move |store| {
                Ok::<_, StoreError>((store.device(&address)?, store.latest_reading(&address)?))
            })
            .await?;
        loops.push(watch.follow(target, Memory::restore(&entry.address, row, reading.map(|row| row.at))));
    }
    let timers = &watch.context.settings.timers;
    let silence_max = timers.fault_poll.saturating_add(watch.limits.deadline.saturating_mul(4));
    let work = async {
        join_all(loops).await;
        // Reached only without devices: then there is nothing to do, and the module is well all the same.
        watch.idle().await;
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

/// A device of the settings with its passwords read.
///
/// # Errors
/// [`DeviceWatchError::Password`].
pub fn target(context: &Context, entry: &DeviceEntry) -> Result<DeviceTarget, DeviceWatchError> {
    let secret = |path: &PathBuf| {
        read_secret(&context.layout.resolve(path))
            .map_err(|source| DeviceWatchError::Password { address: entry.address.clone(), source })
    };
    let credential = match &entry.access {
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
    };
    Ok(DeviceTarget { address: entry.address.clone(), credential })
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
    context: Context,
    reader: SnmpReader,
    store: SharedStore,
    places: Semaphore,
    /// Devices whose counters are being collected; the first one marks the module busy, the last one frees it.
    collecting: Mutex<usize>,
    progress: Progress,
    limits: ReadLimits,
}

impl Watch {
    async fn idle(&self) {
        loop {
            self.progress.made();
            tokio::time::sleep(self.context.settings.timers.fault_poll).await;
        }
    }

    async fn follow(&self, target: DeviceTarget, mut memory: Memory) {
        let timers = &self.context.settings.timers;
        loop {
            self.visit(&target, &mut memory).await;
            let now = self.context.now();
            let next = next_visit(&memory, timers, now);
            let pause = Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO);
            tokio::time::sleep(pause).await;
        }
    }

    async fn visit(&self, target: &DeviceTarget, memory: &mut Memory) {
        // The semaphore is never closed.
        let Ok(_place) = self.places.acquire().await else { return };
        self.progress.made();
        let timers = &self.context.settings.timers;
        let due = memory.due(timers, self.context.now());
        if let Err(error) = self.visit_and_store(target, memory, due).await {
            tracing::error!(
                device = target.address,
                error = &error as &dyn std::error::Error,
                "what a device told could not be stored"
            );
        }
    }

    async fn visit_and_store(
        &self,
        target: &DeviceTarget,
        memory: &mut Memory,
        due: Due,
    ) -> Result<(), StoreError> {
        // A device that is off must not hold up an update every minute.
        let collecting = due == Due::Everything && !memory.is_silent();
        if collecting {
            self.begin_collecting().await?;
        }
        let result = self.visit_device(target, memory, due).await;
        if collecting {
            self.end_collecting().await?;
        }
        result
    }

    async fn visit_device(
        &self,
        target: &DeviceTarget,
        memory: &mut Memory,
        due: Due,
    ) -> Result<(), StoreError> {
        let walk = match due {
            Due::Faults => self.reader.read_faults(target, &self.limits).await,
            Due::Everything => self.reader.read_full(target, &self.limits).await,
        };
        let now = self.context.now();
        let mut after = memory.clone();
        let told = match walk {
            Ok(walk) => {
                let reading = interpret(&walk);
                after.take(due, Observation::Answered(&reading), "", now)
            }
            Err(error) => {
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
        self.keep(told, now).await?;
        // Only what is stored counts as known: after a failed store the next visit finds the same changes again.
        *memory = after;
        Ok(())
    }

    async fn keep(&self, told: Told, now: Timestamp) -> Result<(), StoreError> {
        if told.is_nothing() {
            return Ok(());
        }
        let reports: Vec<_> =
            told.reports.iter().map(|report| self.context.outgoing(report.clone(), None)).collect();
        self.store.change(move |change| told.write(change, &reports, now)).await
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

/// Reads everything of one device, once, for a person.
///
/// # Errors
/// [`ReadError`].
pub async fn read_once(target: &DeviceTarget) -> Result<crate::device::Reading, ReadError> {
    let reader = Arc::new(SnmpReader::bind().await?);
    let walk = reader.read_full(target, &ReadLimits::default()).await?;
    Ok(interpret(&walk))
}

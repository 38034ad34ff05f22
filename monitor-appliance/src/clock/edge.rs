//! Where the box's clocks are read, and where a process keeps what the store knows of the time.

use super::{Known, Reading};
use crate::store::Store;
use crate::supervisor::processes::boot_id;
use jiff::Timestamp;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Reads the box's clocks. Tests pass their own.
pub type Clock = Arc<dyn Fn() -> Reading + Send + Sync>;

/// How long a process goes by what it last read of another's knowledge.
const REREAD: Duration = Duration::from_secs(1);

/// The system's clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the appliance reads the clock")]
pub fn system_clock() -> Reading {
    static BOOT: OnceLock<Arc<str>> = OnceLock::new();
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Reading {
        wall: Timestamp::now(),
        since_boot: Duration::new(
            u64::try_from(uptime.tv_sec).unwrap_or(0),
            u32::try_from(uptime.tv_nsec).unwrap_or(0),
        ),
        boot: BOOT.get_or_init(|| Arc::from(boot_id())).clone(),
    }
}

/// What the store knows of the time, read again now and then: the modules are processes of their own, and `mail-agent`
/// alone learns.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    known: Known,
    read: Option<Instant>,
    store: Option<Store>,
}

impl Shared {
    /// What is known, at most a second old. Where there is no store yet, nothing is.
    pub(crate) fn known(&self, store_file: &Path) -> Known {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.read.is_none_or(|read| read.elapsed() >= REREAD) {
            cache.read = Some(Instant::now());
            cache.refresh(store_file);
        }
        cache.known.clone()
    }

    /// What this process has just learned, and stored.
    pub(crate) fn learned(&self, known: Known) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (cache.known, cache.read) = (known, Some(Instant::now()));
    }
}

impl Cache {
    fn refresh(&mut self, store_file: &Path) {
        if self.store.is_none() && store_file.exists() {
            self.store = Store::open(store_file).ok();
        }
        let Some(store) = &self.store else { return };
        match store.known_time() {
            Ok(known) => self.known = known,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is known of the time cannot be read"
                );
                self.store = None;
            }
        }
    }
}

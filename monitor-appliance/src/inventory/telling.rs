//! When the center is told the inventory anew. Pure.

use crate::outbox::after;
use jiff::Timestamp;
use mailfmt::Digest;
use mailfmt::message::report::InventoryDevice;
use std::time::Duration;

/// Of a pause, the part for which the inventory must have stayed the same before it is told.
const QUIET_PART: u32 = 10;

/// Whether the inventory has to be told: when it is another than the one told last, has come to rest (or has been in
/// motion for a whole pause), and a pause has gone by since the last telling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// What was told last, and when.
    pub told: Option<(Digest, Timestamp)>,
    /// What is to be told, since when it has stayed the same, and since when something is to be told.
    pending: Option<(Digest, Timestamp, Timestamp)>,
}

impl Telling {
    /// Goes on from what was told last.
    #[must_use]
    pub fn new(told: Option<(Digest, Timestamp)>) -> Self {
        Self { told, pending: None }
    }

    /// The digest by which two inventories are the same.
    #[must_use]
    pub fn digest(devices: &[InventoryDevice]) -> Digest {
        Digest::of(&serde_json::to_vec(devices).unwrap_or_default())
    }

    /// Takes a look at the inventory; whether it has to be told now.
    #[must_use]
    pub fn look(&mut self, devices: &[InventoryDevice], pause: Duration, now: Timestamp) -> bool {
        let digest = Self::digest(devices);
        let told = self.told.as_ref().map(|(told, _)| *told);
        if told == Some(digest) || (told.is_none() && devices.is_empty()) {
            self.pending = None;
            return false;
        }
        let (rest, since) = match self.pending {
            // A clock that was set back begins the wait anew.
            Some((pending, rest, since)) if since <= now && rest <= now => {
                (if pending == digest { rest } else { now }, since)
            }
            _ => (now, now),
        };
        self.pending = Some((digest, rest, since));
        let at_rest = after(rest, pause / QUIET_PART) <= now || after(since, pause) <= now;
        let paused = self.told.is_none_or(|(_, at)| now < at || after(at, pause) <= now);
        at_rest && paused
    }

    /// It was told.
    pub fn told(&mut self, digest: Digest, now: Timestamp) {
        *self = Self::new(Some((digest, now)));
    }
}

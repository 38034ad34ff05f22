//! Knocking at a device's loop: what a trap does. The listener plans a look; the loop of that device wakes for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How soon a device is looked at again after a look that a trap led to: some send the trap before the row is there.
pub(super) const SECOND_LOOK: Duration = Duration::from_secs(5);

/// The devices that are followed, each with a door to knock at.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    doors: Mutex<BTreeMap<String, watch::Sender<Option<Instant>>>>,
    /// Somebody has come or gone.
    pub(super) changed: Notify,
}

/// Where the loop of one device waits for a knock.
#[derive(Debug)]
pub(super) struct Door {
    knocks: watch::Receiver<Option<Instant>>,
    /// A knock whose time has not come yet.
    pending: Option<Instant>,
}

impl Knocks {
    /// A device is followed from now on.
    pub(super) fn open(&self, address: &str) -> Door {
        let (sender, receiver) = watch::channel(None);
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), sender);
        self.changed.notify_one();
        Door { knocks: receiver, pending: None }
    }

    /// A device is not followed any more.
    pub(super) fn close(&self, address: &str) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
        self.changed.notify_one();
    }

    /// Wakes the loop of a device at this time, if it is followed.
    pub(super) fn knock(&self, address: &str, at: Instant) {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(address) {
            door.send_replace(Some(at));
        }
    }

    /// Who is followed.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Door {
    /// Waits for a knock, and for the time that it is for. Given up and begun anew, it has forgotten nothing.
    pub(super) async fn knocked(&mut self) {
        if self.pending.is_none() {
            if self.knocks.changed().await.is_err() {
                // Nobody knocks any more.
                std::future::pending::<()>().await;
            }
            self.pending = *self.knocks.borrow_and_update();
        }
        if let Some(at) = self.pending {
            tokio::time::sleep_until(at.into()).await;
        }
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_knock_wakes_its_device_at_its_time_and_no_other() {
        let knocks = Knocks::default();
        let (mut one, mut other) = (knocks.open("one"), knocks.open("other"));
        assert!(one.knocked().now_or_never().is_none());
        let at = Instant::now() + Duration::from_millis(300);
        knocks.knock("one", at);
        knocks.knock("nobody", at);
        assert!(one.knocked().now_or_never().is_none(), "its time has not come; giving up loses nothing");
        one.knocked().await;
        assert!(Instant::now() >= at);
        assert!(one.knocked().now_or_never().is_none(), "a knock is answered once");
        assert!(other.knocked().now_or_never().is_none());
        assert_eq!(knocks.addresses(), ["one", "other"]);
        knocks.close("one");
        assert_eq!(knocks.addresses(), ["other"]);
    }
}

//! Back after a while without mail: a provider may have deleted meanwhile what was not fetched, and nothing in the mailbox tells
//! of it. So the center is told what has come, and sends again what has not.

use super::super::{Agent, complain};
use crate::health;
use crate::store::{Moment, StoreError};
use jiff::{SignedDuration, Timestamp};

/// A pause of this length between two looks is told. Providers keep mail for days; but a box that was off for hours may as well have
/// been off for weeks by another's clock.
const AWAY_MIN: SignedDuration = SignedDuration::from_hours(2);

/// Whether the box was away when mail was fetched at `before` and then at `now`. Pure.
fn was_away(before: Option<Timestamp>, now: Timestamp) -> bool {
    before.is_some_and(|before| now.duration_since(before) >= AWAY_MIN)
}

impl Agent {
    /// When mail was last fetched, before the look at hand is noted.
    pub(super) async fn fetched_before(&self) -> Option<Timestamp> {
        match self.store.read(|store| store.moment(Moment::LastFetch)).await {
            Ok(before) => before,
            Err(error) => {
                complain("the time of the last look for mail cannot be read", &error as &StoreError);
                None
            }
        }
    }

    /// Sends a health report, which names what has come, if the look before this one was long ago.
    pub(super) async fn tell_after_absence(&self, before: Option<Timestamp>, now: Timestamp) {
        if !was_away(before, now) {
            return;
        }
        let context = self.context.clone();
        let told = self.store.read(move |store| {
            let report = health::report(store, &context)?;
            store.change(|change| health::enqueue(change, &context, report, None))
        });
        match told.await {
            Ok(()) => tracing::info!(
                "mail was fetched for the first time in hours; the center is told what has come"
            ),
            Err(error) => complain("what has come could not be told", &error as &StoreError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_without_a_look_are_an_absence_and_the_first_look_ever_is_none() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let ago = |minutes| now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap();
        assert!(was_away(Some(ago(121)), now));
        assert!(!was_away(Some(ago(3)), now));
        assert!(!was_away(None, now));
        assert!(
            !was_away(Some(ago(-500)), now),
            "a time in the future was written before the clock was set back"
        );
    }
}

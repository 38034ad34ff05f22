//! Which SNMP credential was tried where: the durable side of [`crate::discovery::TryBook`].

use super::{Change, SharedStore, Store, StoreError, row};
use crate::discovery::{GOOD_REMEMBERED, Outcome, REMEMBERED, Try};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Good => "good",
        Outcome::Wrong => "wrong",
        Outcome::NoEngine => "no-engine",
    }
}

impl Store {
    /// All tries that are remembered, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credential_tries(&self) -> Result<Vec<Try>, StoreError> {
        let damaged = || StoreError::Damaged { what: "try of a credential" };
        let mut statement = self.connection.prepare_cached(
            "SELECT address, call, credential, at_ms, outcome FROM credential_try ORDER BY at_ms",
        )?;
        let mut rows = statement.query(())?;
        let mut tries = Vec::new();
        while let Some(found) = rows.next()? {
            let (address, credential): (String, String) = (found.get(0)?, found.get(2)?);
            let outcome: String = found.get(4)?;
            tries.push(Try {
                address: address.parse().map_err(|_| damaged())?,
                call: found.get(1)?,
                credential: credential.parse().map_err(|_| damaged())?,
                at: row::time(found.get(3)?, "try of a credential")?,
                outcome: [Outcome::Good, Outcome::Wrong, Outcome::NoEngine]
                    .into_iter()
                    .find(|known| word(*known) == outcome)
                    .ok_or_else(damaged)?,
            });
        }
        Ok(tries)
    }
}

impl Change<'_> {
    /// Keeps tries; a later word on one takes the place of the earlier one. What need not be remembered any more goes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn keep_credential_tries(&self, tries: &[Try]) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO credential_try (address, call, credential, at_ms, outcome) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (address, credential, at_ms) DO UPDATE SET outcome = excluded.outcome",
        )?;
        for one in tries {
            statement.execute((
                one.address.to_string(),
                one.call,
                one.credential.to_string(),
                one.at.as_millisecond(),
                word(one.outcome),
            ))?;
        }
        let Some(now) = tries.iter().map(|one| one.at).max() else { return Ok(()) };
        let before = |age| now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_millisecond();
        self.transaction
            .prepare_cached(
                "DELETE FROM credential_try WHERE at_ms < ?1 AND (outcome <> 'good' OR at_ms < ?2)",
            )?
            .execute((before(REMEMBERED), before(GOOD_REMEMBERED)))?;
        Ok(())
    }
}

impl SharedStore {
    /// Keeps tries for a scan: see [`crate::discovery::Surroundings`].
    #[must_use]
    pub fn keep_tries(&self, tries: Vec<Try>) -> BoxFuture<'static, Result<(), String>> {
        let store = self.clone();
        async move {
            store.change(move |change| change.keep_credential_tries(&tries)).await.map_err(
                |error: StoreError| {
                    format!("nothing is asked, since it cannot be kept what was tried: {error}")
                },
            )
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use mailfmt::Digest;

    #[test]
    fn tries_outlive_a_restart_and_are_forgotten_in_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let one = |hours: i64, outcome| Try {
            address: "[fe80::7%2]:161".parse().unwrap(),
            call: false,
            credential: Digest::of(b"x"),
            at: start.saturating_add(SignedDuration::from_hours(hours)).unwrap(),
            outcome,
        };
        let mut store = Store::open(&file).unwrap();
        let keep = |store: &mut Store, one: Try| {
            store.change(|change| change.keep_credential_tries(&[one])).unwrap();
        };
        keep(&mut store, one(0, Outcome::Wrong));
        keep(&mut store, one(0, Outcome::Good));
        keep(&mut store, one(1, Outcome::Wrong));
        drop(store);
        let mut store = Store::open(&file).unwrap();
        assert_eq!(store.credential_tries().unwrap(), [one(0, Outcome::Good), one(1, Outcome::Wrong)]);
        keep(&mut store, one(30, Outcome::NoEngine));
        assert_eq!(store.credential_tries().unwrap(), [one(0, Outcome::Good), one(30, Outcome::NoEngine)]);
    }
}

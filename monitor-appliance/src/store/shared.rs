//! One store connection for asynchronous code: the file work happens on a thread that may block.

use super::{Change, Store, StoreError};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// A connection that asynchronous tasks share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    together: Mutex<Together>,
}

/// Changes that wait to be committed in one transaction.
#[derive(Default)]
struct Together {
    waiting: Vec<Waiting>,
    /// Somebody works them off, and will see further ones.
    busy: bool,
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

type Work = Box<dyn FnOnce(&Change<'_>) -> Result<(), StoreError> + Send>;

struct Waiting {
    work: Work,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl SharedStore {
    /// Shares a connection.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Shared { store: Mutex::new(store), together: Mutex::default() }))
    }

    /// Reads, on a thread that may block.
    ///
    /// # Errors
    /// What `work` returns.
    ///
    /// # Panics
    /// If `work` does.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            // A panic inside a transaction has rolled it back, so the connection is still sound.
            let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut store)
        });
        match task.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Runs `work` in one transaction; see [`Store::change`].
    ///
    /// # Errors
    /// What `work` returns, or [`StoreError::Sql`].
    ///
    /// # Panics
    /// If `work` does.
    pub async fn change<T, E>(
        &self,
        work: impl FnOnce(&Change<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read(move |store| store.change(work)).await
    }

    /// Runs `work` in one transaction with whatever else waits at the time: what a thousand devices tell costs far fewer
    /// waits for the disk than there are devices. Returns when it is durable. If it fails, nothing of it has happened, and the others are
    /// not touched by it.
    ///
    /// # Errors
    /// What `work` returns, or [`StoreError::Together`] if the transaction could not be committed.
    pub async fn change_together(
        &self,
        work: impl FnOnce(&Change<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let first = {
            let mut together = self.0.together.lock().unwrap_or_else(PoisonError::into_inner);
            together.waiting.push(Waiting { work: Box::new(work), done });
            !std::mem::replace(&mut together.busy, true)
        };
        if first {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.work_off());
        }
        // The sender goes without a word only when the transaction itself panicked, which rolled it back.
        outcome.await.unwrap_or(Err(StoreError::Damaged { what: "change" }))
    }
}

impl Shared {
    fn work_off(&self) {
        let _free = Free(self);
        loop {
            let waiting = {
                let mut together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
                if together.waiting.is_empty() {
                    together.busy = false;
                    return;
                }
                std::mem::take(&mut together.waiting)
            };
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            let mut outcomes = Vec::with_capacity(waiting.len());
            let committed = store.change(|change| {
                for Waiting { work, done } in waiting {
                    let outcome = change.apart(work)?;
                    outcomes.push((done, outcome));
                }
                Ok::<_, StoreError>(())
            });
            drop(store);
            match committed {
                // Who does not wait any more has no use for the outcome.
                Ok(()) => outcomes.into_iter().for_each(|(done, outcome)| drop(done.send(outcome))),
                Err(error) => {
                    let error = Arc::new(error);
                    for (done, _) in outcomes {
                        let _ = done.send(Err(StoreError::Together { source: Arc::clone(&error) }));
                    }
                }
            }
        }
    }
}

/// Lets the next change begin anew where one panicked.
struct Free<'a>(&'a Shared);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut together = self.0.together.lock().unwrap_or_else(PoisonError::into_inner);
            together.waiting.clear();
            together.busy = false;
        }
    }
}

impl Change<'_> {
    /// Runs `work` so that, if it fails, nothing of it has happened while the rest of the transaction goes on.
    ///
    /// # Errors
    /// [`StoreError::Sql`] when the whole transaction cannot go on.
    fn apart(
        &self,
        work: impl FnOnce(&Self) -> Result<(), StoreError>,
    ) -> Result<Result<(), StoreError>, StoreError> {
        let begun = self.begun.get();
        self.transaction.execute_batch("SAVEPOINT apart")?;
        // A panic over what one device told must not take the others with it.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| work(self)));
        let outcome = outcome.unwrap_or(Err(StoreError::Damaged { what: "change" }));
        if outcome.is_err() {
            self.begun.set(begun);
            self.transaction.execute_batch("ROLLBACK TO apart")?;
        }
        self.transaction.execute_batch("RELEASE apart")?;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Tally;

    fn store() -> (tempfile::TempDir, SharedStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SharedStore::new(Store::open(&folder.path().join("store.db")).unwrap());
        (folder, store)
    }

    #[tokio::test]
    async fn changes_that_are_made_together_are_all_there_and_a_failed_one_takes_no_other_with_it() {
        let (_folder, store) = store();
        let change = |number: u32| {
            store.change_together(move |change| {
                change.count(Tally::Junk)?;
                if number.is_multiple_of(3) { Err(StoreError::Damaged { what: "test" }) } else { Ok(()) }
            })
        };
        let outcomes = futures_util::future::join_all((0..30).map(change)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 10);
        let counted = store.read(|store| store.tally(Tally::Junk)).await.unwrap();
        assert_eq!(counted, 20);
    }

    #[tokio::test]
    async fn what_panics_leaves_the_store_usable() {
        let (_folder, store) = store();
        let panicked = store.change_together(|_| panic!("as the test wants it")).await;
        assert!(panicked.is_err());
        store.change_together(|change| change.count(Tally::Junk)).await.unwrap();
        assert_eq!(store.read(|store| store.tally(Tally::Junk)).await.unwrap(), 1);
    }
}

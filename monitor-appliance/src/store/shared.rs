//! One store connection for asynchronous code: the file work happens on a thread that may block.

use super::{Change, Store, StoreError};
use std::sync::{Arc, Mutex, PoisonError};

/// A connection that asynchronous tasks share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    /// Shares a connection.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
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
        let store = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            // A panic inside a transaction has rolled it back, so the connection is still sound.
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
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
}

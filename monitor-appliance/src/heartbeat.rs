//! Signs of life of a resident module: given only while its loop gets on.

use crate::context::Context;
use crate::store::SharedStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a module's loop tells that it gets on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    started: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { started: Instant::now(), last_ms: Arc::default() }
    }
}

impl Progress {
    /// The loop got on.
    pub fn made(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// How long ago it last got on.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}

/// Gives a sign of life every `timers.heartbeat` as long as the loop's `progress` is not older than `silence_max`.
/// Never returns.
pub async fn beat(
    context: &Context,
    store: &SharedStore,
    module: &'static str,
    progress: &Progress,
    silence_max: Duration,
) {
    loop {
        if progress.silence() <= silence_max {
            let now = context.now();
            if let Err(error) = store.change(move |change| change.beat(module, now)).await {
                tracing::error!(error = &error as &dyn std::error::Error, "no sign of life could be given");
            }
        }
        tokio::time::sleep(context.settings.timers.heartbeat).await;
    }
}

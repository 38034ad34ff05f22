//! The resident modules of one appliance as tasks.

use super::Shared;
use monitor_appliance::supervisor::{Patience, restart_pause};
use monitor_appliance::update::reason;
use monitor_appliance::{Context, Shutdown, ShutdownHandle, device_watch, mail_agent};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

/// The modules of an appliance that is on. They end when this is dropped.
pub(super) struct Residents {
    stop: ShutdownHandle,
    modules: JoinSet<()>,
}

impl Residents {
    pub(super) fn start(context: &Context, shared: &Arc<Shared>) -> Self {
        let (stop, shutdown) = monitor_appliance::shutdown();
        let mut modules = JoinSet::new();
        let agent = context.clone();
        let run = move |shutdown| mail_agent::run(agent.clone(), shutdown);
        modules.spawn(keep_running(mail_agent::MODULE, Arc::clone(shared), shutdown.clone(), run));
        let watch = context.clone();
        let run = move |shutdown| device_watch::run(watch.clone(), shutdown);
        modules.spawn(keep_running(device_watch::MODULE, Arc::clone(shared), shutdown, run));
        Self { stop, modules }
    }

    /// Waits until all have ended.
    pub(super) async fn stop(&mut self) {
        self.stop.request();
        // They do not panic: what may, runs in tasks of their own.
        while self.modules.join_next().await.is_some() {}
    }
}

/// Starts a module again whenever it ends by itself, as the supervisor does with its process.
async fn keep_running<E, F>(
    module: &'static str,
    shared: Arc<Shared>,
    mut shutdown: Shutdown,
    run: impl Fn(Shutdown) -> F,
) where
    E: std::error::Error + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    let mut failures = 0u32;
    loop {
        // A task of its own: its panic ends only itself, as a process would.
        let ended = tokio::spawn(run(shutdown.clone())).await;
        let why = match &ended {
            Ok(Ok(())) if shutdown.is_requested() => return,
            Ok(Ok(())) => "no reason".to_owned(),
            Ok(Err(error)) => reason(error),
            Err(error) => reason(error),
        };
        tracing::error!(module, why, "a module ended by itself");
        shared.crashes.fetch_add(1, Ordering::Relaxed);
        failures = failures.saturating_add(1);
        if !shutdown.pause(restart_pause(failures, &Patience::default())).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use tokio::sync::{Semaphore, mpsc};

    #[tokio::test]
    async fn a_module_that_panics_is_counted_and_started_again() {
        let shared = Arc::new(Shared { errands: Semaphore::new(1), crashes: AtomicU64::new(0) });
        let (stop, shutdown) = monitor_appliance::shutdown();
        let (started, mut starts) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicU64::new(0));
        let run = move |mut shutdown: Shutdown| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let told = started.send(number);
            async move {
                assert!(told.is_ok() && number > 0, "the first time goes wrong");
                shutdown.requested().await;
                Ok::<_, std::io::Error>(())
            }
        };
        let kept = tokio::spawn(keep_running("a module", Arc::clone(&shared), shutdown, run));
        assert_eq!((starts.recv().await, starts.recv().await), (Some(0), Some(1)));
        stop.request();
        kept.await.expect("the keeper ends in order");
        assert_eq!(shared.crashes.load(Ordering::Relaxed), 1);
    }
}

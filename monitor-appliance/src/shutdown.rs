//! Asking a resident module to end, without killing it.

use tokio::sync::watch;

/// Held by whoever started a module: asks it to end.
#[derive(Debug)]
pub struct ShutdownHandle(watch::Sender<bool>);

/// Held by a module: tells when it should end. A dropped handle counts as a request.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A connected pair.
#[must_use]
pub fn shutdown() -> (ShutdownHandle, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownHandle(sender), Shutdown(receiver))
}

impl ShutdownHandle {
    /// Asks for the end; calling it twice does no harm.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the end is asked for.
    pub async fn requested(&mut self) {
        // An error means that the handle is gone, and with it whoever wanted the module.
        let _ = self.0.wait_for(|requested| *requested).await;
    }

    /// Waits for `pause`, or less if the end is asked for meanwhile; tells whether to go on.
    pub async fn pause(&mut self, pause: std::time::Duration) -> bool {
        tokio::time::timeout(pause, self.requested()).await.is_err()
    }
}

/// A shutdown that SIGTERM and SIGINT ask for.
///
/// # Errors
/// When the system does not let signals be listened to.
pub fn on_signals() -> std::io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (handle, shutdown) = shutdown();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
        handle.request();
    });
    Ok(shutdown)
}

//! Centers, sites and their mail as real processes in one folder: what the demo and the end-to-end tests are played with.
//!
//! Everything is done through the programs' own command lines, as a person would; nothing reaches into their databases.

mod center;
mod enrolling;
mod image;
mod mail_site;
mod programs;
mod release;
mod site;
mod stage;

pub use center::Center;
pub use enrolling::{NewBox, Paper};
pub use image::copy_folder;
pub use mail_site::{Door, MailSite, Protection};
pub use programs::{Programs, RunError};
pub use release::{RELEASE_NOTES, ReleaseFolder, SWEEPER};
pub use site::{Fetch, Pace, Site, SiteSettings};
pub use stage::{FIRST_VERSION, PATIENCE, Part, Stage, entries, printer_name};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether somebody wants the end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and SIGTERM) make every [`eventually`] fail, so that a stage is taken down in order.
///
/// # Errors
/// When the signals cannot be waited for.
pub fn end_in_order_when_interrupted() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            INTERRUPTED.store(true, Ordering::Relaxed);
        });
    });
    Ok(())
}

/// Whether Ctrl-C was pressed since [`end_in_order_when_interrupted`].
#[must_use]
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Waits until `look` gives something, looking every 100 ms; says what was waited for when time runs out.
///
/// # Errors
/// When `limit` is over, or as `look`.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if is_interrupted() {
            anyhow::bail!("interrupted");
        }
        if start.elapsed() > limit {
            anyhow::bail!("waited {} s in vain: {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

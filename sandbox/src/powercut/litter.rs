//! What is left lying around for ever.

use monitor_appliance::{Context, Layout, update};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Ends of the names of what is being made or removed.
const HALF: [&str; 7] = ["new", "gone", "link", "mended", "part", "tmp", "half"];

/// Longer than anything is kept for whoever may still need it.
const LONG: Duration = Duration::from_secs(3 * 24 * 3600);

/// Cleans up as the supervisor will in three days, and lists what is then left of half-made or half-removed things, of
/// packages and of working folders. The appliance must not run.
pub(super) fn litter(layout: &Layout) -> anyhow::Result<Vec<PathBuf>> {
    let context = Context::load(layout.root())?;
    update::tidy(&context, &context.open_store()?, in_three_days());
    let mut found = half_made(layout.root())?;
    for folder in [layout.packages_dir(), layout.updates_dir()] {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        found.extend(entries.filter(|entry| entry.file_name() != "lock").map(|entry| entry.path()));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// What below a folder was not made, or not removed, to its end.
pub(super) fn half_made(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let is_half = path.extension().is_some_and(|end| HALF.iter().any(|half| end == *half));
        if is_half || entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(path);
        } else if entry.file_type()?.is_dir() {
            found.extend(half_made(&path)?);
        }
    }
    Ok(found)
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of files, which the system's clock gave them"
)]
fn in_three_days() -> SystemTime {
    SystemTime::now() + LONG
}

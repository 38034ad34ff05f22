//! One run that waits before every durable change until its disk was seen, and the images that a cut leaves at each.

use super::Circuit;
use super::cuts::{Cut, Way};
use super::tree::{Contents, Kept, Seen};
use anyhow::{Context as _, ensure};
use mailfmt::Digest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time between two looks whether a change waits.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// What a cut at every change of one run leaves.
#[derive(Debug)]
pub struct Recording {
    /// The folder that was under power.
    pub(super) root: PathBuf,
    /// Where its mail came to.
    pub(super) address: String,
    changes: u64,
    /// The cuts, each with the place of the image that it leaves.
    cuts: Vec<(Cut, usize)>,
    images: Vec<Seen>,
}

/// What was seen so far of a run that goes on.
pub(super) struct Stops<'a> {
    contents: &'a Mutex<Contents>,
    seen: Mutex<Vec<Seen>>,
}

impl Stops<'_> {
    /// How many changes waited so far.
    pub(super) fn count(&self) -> usize {
        locked(&self.seen).len()
    }

    /// Writes the files `names` in `folder` as they were at the newest stop into `to`.
    pub(super) fn copy_newest(&self, folder: &Path, names: &[&str], to: &Path) -> anyhow::Result<()> {
        let newest = locked(&self.seen).last().cloned().context("nothing was seen yet")?;
        let kept = locked(self.contents).kept().clone();
        for name in names {
            kept.copy(&newest.tree, &folder.join(name), &to.join(name))?;
        }
        Ok(())
    }
}

/// Does `work`, which starts programs on a circuit that stops at every change, and sees what is on the disk and in the
/// mailbox at each. What `work` returns is how many of them belong to it.
pub(super) fn record(
    circuit: &Circuit,
    contents: &Mutex<Contents>,
    mails: impl Fn() -> Vec<Arc<[u8]>> + Sync,
    work: impl FnOnce(&Stops<'_>) -> anyhow::Result<usize>,
) -> anyhow::Result<Vec<Seen>> {
    let stops = Stops { contents, seen: Mutex::new(Vec::new()) };
    let over = AtomicBool::new(false);
    let watch = || -> anyhow::Result<()> {
        while !over.load(Ordering::Relaxed) {
            let Some(change) = circuit.stopped()? else {
                std::thread::sleep(LOOK_EVERY);
                continue;
            };
            let seen = see(circuit, contents, &mails)?;
            let mut all = locked(&stops.seen);
            all.push(seen);
            ensure!(
                u64::try_from(all.len())? == change,
                "change {change} came after {} others",
                all.len() - 1
            );
            drop(all);
            circuit.go_on(change)?;
        }
        Ok(())
    };
    let (worked, watched) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let watched = watch();
            // Whoever waits must not wait for ever.
            watched.and(circuit.go_on(u64::MAX).map_err(Into::into))
        });
        let worked = work(&stops);
        over.store(true, Ordering::Relaxed);
        (worked, watcher.join())
    });
    let count = worked?;
    watched.map_err(|_| anyhow::anyhow!("whoever watched panicked"))??;
    let mut seen = stops.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.truncate(count);
    Ok(seen)
}

/// What is on the disk and in the mailbox while a change waits.
pub(super) fn see(
    circuit: &Circuit,
    contents: &Mutex<Contents>,
    mails: impl Fn() -> Vec<Arc<[u8]>>,
) -> anyhow::Result<Seen> {
    let tree = locked(contents).see(&circuit.folders())?;
    Ok(Seen { tree: Arc::new(tree), mails: mails() })
}

impl Recording {
    /// Both images of each change that was seen: as it was, and without what had not been synced.
    pub(super) fn of(
        circuit: &Circuit,
        contents: &Kept,
        address: String,
        stops: Vec<Seen>,
    ) -> anyhow::Result<Self> {
        let [root, shadow] = circuit.folders();
        let changes = u64::try_from(stops.len())?;
        let (mut cuts, mut images) = (Vec::new(), Vec::new());
        let mut places: HashMap<(Digest, Vec<*const u8>), usize> = HashMap::new();
        for (point, kept) in (1..).zip(stops) {
            let lost =
                Seen { tree: Arc::new(kept.tree.taken_back(contents, shadow)?), mails: kept.mails.clone() };
            for (way, seen) in [(Way::Kept, kept), (Way::Lost, lost)] {
                // As long as the image is kept, no other mail lies where its mails do.
                let mails = seen.mails.iter().map(|mail| mail.as_ptr()).collect();
                let place = *places.entry((seen.tree.digest(root), mails)).or_insert(images.len());
                if place == images.len() {
                    images.push(seen);
                }
                cuts.push((Cut { point, way }, place));
            }
        }
        Ok(Self { root: root.to_owned(), address, changes, cuts, images })
    }

    /// Durable changes of the run.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// A cut at every change, in both ways, each with the number of the image that it leaves.
    #[must_use]
    pub fn cuts(&self) -> &[(Cut, usize)] {
        &self.cuts
    }

    /// How many different images the cuts leave.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images.len()
    }

    pub(super) fn image(&self, number: usize) -> anyhow::Result<&Seen> {
        self.images.get(number).with_context(|| format!("there is no image {number}"))
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

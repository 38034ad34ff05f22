//! The greatest release counter that was installed, kept in two places: in the store, and in a file beside it. Who puts one
//! of them back to an old state does not open the way for old releases; the greater one counts.

use crate::layout::Layout;
use crate::release::{ReleaseError, create_folder};
use crate::replace_file::replace_file;
use crate::store::{Store, StoreError};
use mailfmt::Digest;
use mailfmt::trust::TrustedRoot;
use serde::{Deserialize, Serialize};

/// A release counter, and under which root it was noted: a newer root may have set it back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The counter.
    pub counter: u64,
    /// Version of the root that was trusted then; 0 without one.
    pub root: u64,
}

/// The file's content. The check tells a whole file from a damaged one; it does not keep anybody from writing it.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(flatten)]
    noted: Noted,
    check: Digest,
}

fn check(noted: Noted) -> Digest {
    Digest::of(format!("release counter {} under root {}", noted.counter, noted.root).as_bytes())
}

/// What the file says; `None` where there is none, or it is damaged.
#[must_use]
pub fn in_file(layout: &Layout) -> Option<Noted> {
    let text = std::fs::read(layout.counter_file()).ok()?;
    let file: Option<File> =
        serde_json::from_slice(&text).ok().filter(|file: &File| file.check == check(file.noted));
    if file.is_none() {
        tracing::warn!(path = %layout.counter_file().display(), "the file of the release counter is damaged");
    }
    file.map(|file| file.noted)
}

/// The greatest release counter installed, from both places, as `trusted` lets it stand.
///
/// # Errors
/// [`StoreError`].
pub fn greatest(store: &Store, layout: &Layout, trusted: Option<&TrustedRoot>) -> Result<u64, StoreError> {
    let (counter, root) = store.installed_counter_and_root()?;
    let stands = |noted: Noted| {
        trusted.map_or(noted.counter, |root| root.installed_counter(noted.counter, noted.root))
    };
    Ok([Some(Noted { counter, root }), in_file(layout)].into_iter().flatten().map(stands).max().unwrap_or(0))
}

/// Notes a counter in the file; a smaller one than stands there changes nothing. Durable when it returns.
///
/// # Errors
/// [`ReleaseError`].
pub fn note(layout: &Layout, counter: u64, trusted: Option<&TrustedRoot>) -> Result<(), ReleaseError> {
    let root = trusted.map_or(0, |trusted| trusted.root().version);
    let before = in_file(layout).map_or(0, |before| {
        trusted.map_or(before.counter, |trusted| trusted.installed_counter(before.counter, before.root))
    });
    let noted = Noted { counter: counter.max(before), root };
    let path = layout.counter_file();
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    let text = serde_json::to_vec(&File { noted, check: check(noted) }).unwrap_or_default();
    replace_file(&path, &text, 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Layout, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let layout = Layout::new(folder.path());
        (folder, layout, store)
    }

    #[test]
    fn the_greater_of_both_places_counts() {
        let (_folder, layout, mut store) = home();
        assert_eq!(greatest(&store, &layout, None).unwrap(), 0);
        note(&layout, 7, None).unwrap();
        assert_eq!(greatest(&store, &layout, None).unwrap(), 7, "the store was put back");
        store.change(|change| change.raise_installed_counter(9, None)).unwrap();
        assert_eq!(greatest(&store, &layout, None).unwrap(), 9, "the file was put back");
        std::fs::remove_file(layout.counter_file()).unwrap();
        assert_eq!(greatest(&store, &layout, None).unwrap(), 9);
    }

    #[test]
    fn a_smaller_counter_does_not_replace_a_greater_one() {
        let (_folder, layout, store) = home();
        for counter in [7, 3] {
            note(&layout, counter, None).unwrap();
        }
        assert_eq!(greatest(&store, &layout, None).unwrap(), 7);
    }

    #[test]
    fn a_damaged_file_counts_for_nothing() {
        let (_folder, layout, store) = home();
        note(&layout, 7, None).unwrap();
        let text = std::fs::read_to_string(layout.counter_file()).unwrap();
        std::fs::write(layout.counter_file(), text.replace(":7,", ":9,")).unwrap();
        assert_eq!(in_file(&layout), None);
        assert_eq!(greatest(&store, &layout, None).unwrap(), 0);
    }
}

//! Releases: side by side in `releases/`, one of them named by the link `current`.
//!
//! A release is a folder with `release.json` and one file per module. It is built as `NAME.new`, checked, renamed
//! when complete, and becomes the running one by one atomic rename of the link `current`.

mod build;
mod durable;
mod proven;
mod space;

pub use build::{OnDisk, Source, plan_build};
pub use durable::{copy_durably, create_folder, remove_tree, sync_folder, write_durably};
pub use mailfmt::release::{RELEASE_FILE, Release, ReleaseModule};
pub use proven::Proven;
pub use space::Space;

use mailfmt::package::ModuleKind;
use mailfmt::{Digest, ModuleName, ModuleVersion};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the supervisor's own module: resident, but never started by itself.
pub const SUPERVISOR: &str = "supervisor";

/// Octets of `release.json` read at most; 512 modules take about 100 kB.
const RELEASE_OCTETS_MAX: u64 = 1 << 20;

/// Why a release cannot be read, built or swapped in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The disk did not do what was asked.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `release.json` is not what this version understands.
    #[error("{} cannot be read as a release", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the JSON reader found, with its place.
        source: serde_json::Error,
    },
    /// `current` is no link to a folder in `releases/`.
    #[error("{} is not a link to a folder in releases/", path.display())]
    NoCurrent {
        /// The link.
        path: PathBuf,
    },
    /// A module that the package does not carry is not here.
    #[error("module {name} {version} is neither in the package nor, with that hash, in the running release")]
    Missing {
        /// The module.
        name: ModuleName,
        /// The version wanted.
        version: ModuleVersion,
    },
    /// A module's file is not the one that the manifest names.
    #[error("the file of module {name} in the new release is not the one in the manifest")]
    Altered {
        /// The module.
        name: ModuleName,
    },
    /// The folder to build is the one that runs.
    #[error("{} is the running release", path.display())]
    Runs {
        /// The folder.
        path: PathBuf,
    },
    /// Not enough room.
    #[error("the new release needs {needed} octets of disk, {free} are free")]
    NoSpace {
        /// Octets needed, reserve included.
        needed: u64,
        /// Octets free.
        free: u64,
    },
    /// The file system has no room for the names of so many files.
    #[error("the new release needs {needed} files on the disk, there is room for {free}")]
    NoFiles {
        /// Files needed.
        needed: u64,
        /// Files that can still be made.
        free: u64,
    },
}

pub(crate) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> ReleaseError + 'a {
    move |source| ReleaseError::Io { action, path: path.to_owned(), source }
}

/// Reads the description of the release in `folder`.
///
/// # Errors
/// [`ReleaseError`] when the file is missing, too large or not a release.
pub fn read_release(folder: &Path) -> Result<Release, ReleaseError> {
    let path = folder.join(RELEASE_FILE);
    let file = std::fs::File::open(&path).map_err(io_error("open", &path))?;
    let mut text = Vec::new();
    file.take(RELEASE_OCTETS_MAX).read_to_end(&mut text).map_err(io_error("read", &path))?;
    Release::parse(&text).map_err(|source| ReleaseError::Unreadable { path, source })
}

/// The modules that the supervisor keeps running: all resident ones but itself.
pub fn residents(release: &Release) -> impl Iterator<Item = &ReleaseModule> {
    release
        .modules
        .iter()
        .filter(|module| module.kind == ModuleKind::Resident && module.name.as_str() != SUPERVISOR)
}

/// SHA-256 and length of a file, read through a small buffer.
///
/// # Errors
/// [`ReleaseError::Io`] when it cannot be read, or is no regular file.
pub fn hash_file(path: &Path) -> Result<(Digest, u64), ReleaseError> {
    let about = std::fs::symlink_metadata(path).map_err(io_error("look at", path))?;
    if !about.is_file() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file");
        return Err(ReleaseError::Io { action: "read", path: path.to_owned(), source });
    }
    let mut file = std::fs::File::open(path).map_err(io_error("open", path))?;
    let (mut hasher, mut octets, mut buffer) = (Sha256::new(), 0u64, vec![0u8; 64 << 10]);
    loop {
        let count = file.read(&mut buffer).map_err(io_error("read", path))?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        octets = octets.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Ok((Digest::from(digest), octets))
}

/// The folders of one appliance that hold releases, found from its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releases {
    root: PathBuf,
}

impl Releases {
    /// Those below the appliance root `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of the release called `name`.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join("releases").join(name)
    }

    /// The link to the running release.
    #[must_use]
    pub fn current_link(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The folder name of the running release, such as `1.0.00-1`.
    ///
    /// # Errors
    /// [`ReleaseError::NoCurrent`] when the link is missing or leads elsewhere.
    pub fn current_name(&self) -> Result<String, ReleaseError> {
        let path = self.current_link();
        let target = std::fs::read_link(&path).map_err(io_error("read the link", &path))?;
        match (target.parent(), target.file_name().and_then(std::ffi::OsStr::to_str)) {
            (Some(parent), Some(name))
                if parent == Path::new("releases") || parent == self.root.join("releases") =>
            {
                Ok(name.to_owned())
            }
            _ => Err(ReleaseError::NoCurrent { path }),
        }
    }

    /// The running release with its folder.
    ///
    /// # Errors
    /// [`ReleaseError`] when there is none or it cannot be read.
    pub fn current(&self) -> Result<(PathBuf, Release), ReleaseError> {
        let folder = self.folder(&self.current_name()?);
        let release = read_release(&folder)?;
        Ok((folder, release))
    }

    /// Makes the release called `name` the running one, by one atomic rename that outlives a power cut.
    ///
    /// # Errors
    /// [`ReleaseError`] when there is no such release, or the disk refuses.
    pub fn swap_to(&self, name: &str) -> Result<(), ReleaseError> {
        read_release(&self.folder(name))?;
        let (link, fresh) = (self.current_link(), self.root.join("current.new"));
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", &fresh)(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(Path::new("releases").join(name), &fresh)
            .map_err(io_error("make the link", &fresh))?;
        std::fs::rename(&fresh, &link).map_err(io_error("replace the link", &link))?;
        sync_folder(&self.root)
    }

    /// Removes what nobody needs any more: half-built folders, newer releases that did not stay, and all but
    /// `old_kept` old ones. The release that runs and those called `needed` stay. Returns what was removed.
    ///
    /// # Errors
    /// [`ReleaseError`] when the folder cannot be listed or an entry not removed.
    pub fn tidy(&self, old_kept: usize, needed: &BTreeSet<String>) -> Result<Vec<String>, ReleaseError> {
        let folder = self.root.join("releases");
        let current = self.current_name()?;
        let counter = self.current()?.1.release_counter;
        let mut removable = Vec::new();
        let mut old = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let entry = entry.map_err(io_error("list", &folder))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name == current || needed.contains(name.trim_end_matches(".new")) {
                continue;
            }
            match read_release(&entry.path()) {
                Ok(release) if !is_half_built(&name) && release.release_counter <= counter => {
                    old.push((release.release_counter, name));
                }
                _ => removable.push(name),
            }
        }
        old.sort();
        let surplus = old.len().saturating_sub(old_kept);
        removable.extend(old.into_iter().take(surplus).map(|(_, name)| name));
        for name in &removable {
            remove_tree(&self.folder(name))?;
        }
        Ok(removable)
    }
}

fn is_half_built(name: &str) -> bool {
    name.ends_with(".new") || name.ends_with(".gone")
}

#[cfg(test)]
mod tests;

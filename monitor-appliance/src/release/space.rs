//! Room on the disk: counted before an update begins, so that it can be finished, and taken back, or is not begun.

use super::{Release, ReleaseError, io_error};
use std::path::Path;

/// Octets for the folder, `release.json` and the working folder of the script.
const EXTRA_OCTETS: u64 = 1 << 20;
/// Files that are made beside the modules: descriptions, the script, settings kept aside.
const EXTRA_FILES: u64 = 64;

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Octets.
    pub octets: u64,
    /// Files.
    pub files: u64,
}

impl Space {
    /// What building `release` takes with `reserve` octets to stay free. Every module counts in full: those that do not
    /// change are copies until the script is done. Going back takes nothing: the release before stays as it is.
    #[must_use]
    pub fn needed(release: &Release, reserve: u64) -> Self {
        let modules = release.modules.iter().map(|module| module.octets);
        let files = u64::try_from(release.modules.len()).unwrap_or(u64::MAX);
        Self {
            octets: modules.fold(reserve.saturating_add(EXTRA_OCTETS), u64::saturating_add),
            files: files.saturating_add(EXTRA_FILES),
        }
    }

    /// What is free where `folder` lies. File systems that make files as they need them tell none as free and have no
    /// bound.
    ///
    /// # Errors
    /// [`ReleaseError::Io`].
    pub fn free(folder: &Path) -> Result<Self, ReleaseError> {
        let about = rustix::fs::statvfs(folder)
            .map_err(|error| io_error("ask for the free space of", folder)(error.into()))?;
        let files = if about.f_files == 0 { u64::MAX } else { about.f_favail };
        Ok(Self { octets: about.f_bavail.saturating_mul(about.f_frsize), files })
    }

    /// Whether this much is free where `folder` lies.
    ///
    /// # Errors
    /// [`ReleaseError::NoSpace`], [`ReleaseError::NoFiles`], [`ReleaseError::Io`].
    pub fn check(self, folder: &Path) -> Result<(), ReleaseError> {
        self.fits(Self::free(folder)?)
    }

    fn fits(self, free: Self) -> Result<(), ReleaseError> {
        if free.octets < self.octets {
            return Err(ReleaseError::NoSpace { needed: self.octets, free: free.octets });
        }
        if free.files < self.files {
            return Err(ReleaseError::NoFiles { needed: self.files, free: free.files });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_files_are_both_counted() {
        let needed = Space { octets: 100, files: 10 };
        assert!(needed.fits(needed).is_ok());
        assert!(matches!(
            needed.fits(Space { octets: 99, files: 10 }),
            Err(ReleaseError::NoSpace { needed: 100, free: 99 })
        ));
        assert!(matches!(
            needed.fits(Space { octets: 100, files: 9 }),
            Err(ReleaseError::NoFiles { needed: 10, free: 9 })
        ));
    }
}

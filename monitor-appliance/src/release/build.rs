//! Building a release beside the running one.

use super::{
    RELEASE_FILE, Release, ReleaseError, ReleaseModule, Releases, hash_file, io_error, read_release,
    remove_tree, sync_folder, write_durably,
};
use mailfmt::{Digest, ModuleName};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Octets that stay free after a release was built: room for the store, the outbox and logs.
const DISK_RESERVE: u64 = 8 << 20;

/// Where a module's file in the new release comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The running release has the same file: one more name for it.
    Link,
    /// The running release has the same octets with another mode.
    Copy,
    /// The package carries it.
    Package,
}

/// A file of the running release as it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDisk {
    /// SHA-256, read just now.
    pub sha256: Digest,
    /// Whether it is executable for its owner.
    pub executable: bool,
}

/// Decides where each module's file comes from; in the order of the release.
///
/// # Errors
/// [`ReleaseError::Missing`] for a module that is neither carried nor, with the right hash, in the running release.
pub fn plan_build<'a>(
    release: &'a Release,
    running: &BTreeMap<ModuleName, OnDisk>,
    carried: &BTreeMap<ModuleName, Vec<u8>>,
) -> Result<Vec<(&'a ReleaseModule, Source)>, ReleaseError> {
    let place = |module: &'a ReleaseModule| {
        let here = running.get(&module.name).filter(|file| file.sha256 == module.sha256);
        match here {
            Some(file) if file.executable == module.kind.is_executable() => Ok((module, Source::Link)),
            _ if carried.contains_key(&module.name) => Ok((module, Source::Package)),
            Some(_) => Ok((module, Source::Copy)),
            None => Err(ReleaseError::Missing { name: module.name.clone(), version: module.version.clone() }),
        }
    };
    release.modules.iter().map(place).collect()
}

/// Octets of disk that a plan takes, reserve included.
fn needed(plan: &[(&ReleaseModule, Source)]) -> u64 {
    let written = plan.iter().filter(|(_, source)| *source != Source::Link);
    written.map(|(module, _)| module.octets).fold(DISK_RESERVE, u64::saturating_add)
}

impl Releases {
    /// The folder name for `release`: its version, or (where the running release has that name already, because
    /// its files are to be replaced under the same version) the version with the mark `mark` behind a `+`.
    ///
    /// # Errors
    /// [`ReleaseError`] when there is no running release.
    pub fn free_name(&self, release: &Release, mark: &str) -> Result<String, ReleaseError> {
        let name = release.software.to_string();
        Ok(if self.current_name()? == name { format!("{name}+{mark}") } else { name })
    }

    /// Whether the running release is `release`, by the hashes of its files on disk.
    #[must_use]
    pub fn runs_already(&self, release: &Release) -> bool {
        let Ok((folder, running)) = self.current() else { return false };
        running.is_same_as(release) && check(&folder, release).is_ok()
    }

    /// Builds `release` as the folder `name`: unchanged files as hard links to the running release, the others
    /// from `carried`, everything hashed again, and the folder renamed to its name when it is complete and on
    /// disk. A folder of that name that is not the running release is replaced.
    ///
    /// # Errors
    /// [`ReleaseError`] when a module is missing, a hash is wrong or the disk is full; the running release is
    /// untouched.
    pub fn build(
        &self,
        release: &Release,
        carried: &BTreeMap<ModuleName, Vec<u8>>,
        name: &str,
    ) -> Result<(), ReleaseError> {
        let (current, running) = self.current()?;
        let target = self.folder(name);
        if target == current {
            return Err(ReleaseError::Runs { path: target });
        }
        let on_disk = look_at(&current, &running);
        let plan = plan_build(release, &on_disk, carried)?;

        let fresh = self.folder(&format!("{name}.new"));
        remove_tree(&fresh)?;
        let (needed, free) = (needed(&plan), free_octets(&self.folder("."))?);
        if free < needed {
            return Err(ReleaseError::NoSpace { needed, free });
        }
        std::fs::create_dir(&fresh).map_err(io_error("create", &fresh))?;
        for (module, source) in plan {
            let name = module.name.as_str();
            let (old, path) = (current.join(name), fresh.join(name));
            let mode = if module.kind.is_executable() { 0o755 } else { 0o644 };
            match source {
                Source::Link => std::fs::hard_link(&old, &path).map_err(io_error("link", &path))?,
                Source::Copy => {
                    let content = std::fs::read(&old).map_err(io_error("read", &old))?;
                    write_durably(&path, &content, mode)?;
                }
                Source::Package => {
                    write_durably(&path, carried.get(&module.name).map_or(&[], Vec::as_slice), mode)?;
                }
            }
        }
        write_durably(&fresh.join(RELEASE_FILE), &release.write(), 0o644)?;
        check(&fresh, release)?;
        sync_folder(&fresh)?;

        remove_tree(&target)?;
        std::fs::rename(&fresh, &target).map_err(io_error("rename", &fresh))?;
        sync_folder(&self.folder("."))
    }

    /// Reads every module's file of the release called `name` again and compares it with `release.json`.
    ///
    /// # Errors
    /// [`ReleaseError::Altered`] names the first that differs.
    pub fn check(&self, name: &str) -> Result<(), ReleaseError> {
        let folder = self.folder(name);
        check(&folder, &read_release(&folder)?)
    }
}

fn check(folder: &Path, release: &Release) -> Result<(), ReleaseError> {
    for module in &release.modules {
        if hash_file(&folder.join(module.name.as_str()))? != (module.sha256, module.octets) {
            return Err(ReleaseError::Altered { name: module.name.clone() });
        }
    }
    Ok(())
}

/// What the running release's files really are; a file that cannot be read is simply not there.
fn look_at(folder: &Path, release: &Release) -> BTreeMap<ModuleName, OnDisk> {
    let look = |module: &ReleaseModule| {
        let path = folder.join(module.name.as_str());
        let (sha256, _) = hash_file(&path).ok()?;
        let mode = std::fs::symlink_metadata(&path).ok()?.permissions().mode();
        Some((module.name.clone(), OnDisk { sha256, executable: mode & 0o100 != 0 }))
    };
    release.modules.iter().filter_map(look).collect()
}

fn free_octets(folder: &Path) -> Result<u64, ReleaseError> {
    let about = rustix::fs::statvfs(folder)
        .map_err(|error| io_error("ask for the free space of", folder)(error.into()))?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

//! Building a release beside the running one.

use super::{
    RELEASE_FILE, Release, ReleaseError, ReleaseModule, Releases, Space, copy_durably, hash_file, io_error,
    read_release, remove_tree, sync_folder, write_durably,
};
use mailfmt::{Digest, ModuleName};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Where a module's file in the new release comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The running release has the same file. It is copied, so that a script that writes into it does not write into
    /// the running release; [`Releases::settle`] makes it one file under two names when the script is done.
    Running,
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
            Some(file) if file.executable == module.kind.is_executable() => Ok((module, Source::Running)),
            _ if carried.contains_key(&module.name) => Ok((module, Source::Package)),
            Some(_) => Ok((module, Source::Copy)),
            None => Err(ReleaseError::Missing { name: module.name.clone(), version: module.version.clone() }),
        }
    };
    release.modules.iter().map(place).collect()
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

    /// Builds `release` as the folder `name`: unchanged files as copies of the running release's (which cost nothing
    /// where the file system shares their blocks), the others from `carried`, everything hashed again, and the folder
    /// renamed to its name when it is complete and on disk. A folder of that name that is not the running release is
    /// replaced. `reserve` is what must stay free on the disk, in octets.
    ///
    /// # Errors
    /// [`ReleaseError`] when a module is missing, a hash is wrong or the disk is too full; the running release is
    /// untouched.
    pub fn build(
        &self,
        release: &Release,
        carried: &BTreeMap<ModuleName, Vec<u8>>,
        name: &str,
        reserve: u64,
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
        // A folder of an earlier try makes room for this one.
        remove_tree(&target)?;
        Space::needed(release, reserve).check(&self.folder("."))?;
        std::fs::create_dir(&fresh).map_err(io_error("create", &fresh))?;
        for (module, source) in plan {
            let name = module.name.as_str();
            let (old, path) = (current.join(name), fresh.join(name));
            let mode = if module.kind.is_executable() { 0o755 } else { 0o644 };
            match source {
                Source::Running | Source::Copy => copy_durably(&old, &path, mode)?,
                Source::Package => {
                    write_durably(&path, carried.get(&module.name).map_or(&[], Vec::as_slice), mode)?;
                }
            }
        }
        write_durably(&fresh.join(RELEASE_FILE), &release.write(), 0o644)?;
        check(&fresh, release)?;
        sync_folder(&fresh)?;

        std::fs::rename(&fresh, &target).map_err(io_error("rename", &fresh))?;
        sync_folder(&self.folder("."))
    }

    /// Gives the disk space of unchanged modules back: each that is the same file in the running release and in the one
    /// called `name` becomes one file under two names. To be called when no script can write into them any more; may be
    /// called again after a kill. Where the file system knows no second names, the copies stay.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn settle(&self, name: &str) -> Result<(), ReleaseError> {
        let (current, running) = self.current()?;
        let folder = self.folder(name);
        let release = read_release(&folder)?;
        let (here, there) = (look_at(&current, &running), look_at(&folder, &release));
        for (module, file) in there.iter().filter(|(module, file)| here.get(*module) == Some(*file)) {
            let (old, new) = (current.join(module.as_str()), folder.join(module.as_str()));
            if same_file(&old, &new) || file.sha256 == Digest::of(b"") {
                continue;
            }
            let second = folder.join(format!(".{module}.link"));
            remove_tree(&second)?;
            if let Err(error) = std::fs::hard_link(&old, &second) {
                tracing::debug!(%module, %error, "stays a copy");
                break;
            }
            std::fs::rename(&second, &new).map_err(io_error("replace", &new))?;
        }
        sync_folder(&folder)?;
        check(&folder, &release)
    }

    /// The files of the running release as they are, to be compared after a script has run.
    ///
    /// # Errors
    /// [`ReleaseError`] when there is no running release.
    pub fn running_files(&self) -> Result<BTreeMap<ModuleName, OnDisk>, ReleaseError> {
        let (current, running) = self.current()?;
        Ok(look_at(&current, &running))
    }

    /// Looks whether a script has changed the running release since [`Releases::running_files`]. A module that it changed
    /// is mended from the release called `spare`, where that has it as it was. Returns the first that was changed, mended
    /// or not.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn mend_running(
        &self,
        before: &BTreeMap<ModuleName, OnDisk>,
        spare: &str,
    ) -> Result<Option<ModuleName>, ReleaseError> {
        let (current, running) = self.current()?;
        let now = look_at(&current, &running);
        let changed = before.iter().filter(|(name, file)| now.get(*name) != Some(*file));
        let mut first = None;
        for (name, was) in changed {
            let (file, spare) = (current.join(name.as_str()), self.folder(spare).join(name.as_str()));
            if hash_file(&spare).is_ok_and(|(sha256, _)| sha256 == was.sha256) && !same_file(&file, &spare) {
                let fresh = current.join(format!(".{name}.mended"));
                remove_tree(&fresh)?;
                copy_durably(&spare, &fresh, if was.executable { 0o755 } else { 0o644 })?;
                if file.is_dir() {
                    remove_tree(&file)?;
                }
                std::fs::rename(&fresh, &file).map_err(io_error("replace", &file))?;
                sync_folder(&current)?;
            }
            first = first.or(Some(name.clone()));
        }
        Ok(first)
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

fn same_file(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| std::fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()));
    matches!((inode(one), inode(other)), (Ok(one), Ok(other)) if one == other)
}

//! What a package is built from: a release folder, or a list of modules; and the release that it follows on.
//!
//! A release folder holds `release.json` and one file per module, as on an appliance. A module list is TOML:
//!
//! ```toml
//! target = "1.0.02-0"
//! rom = "1.5.08"
//!
//! [[module]]
//! name = "device-watch"
//! version = "1.0.02"
//! date = "2026-11-21"
//! kind = "resident"
//! file = "build/device-watch"   # from the list's folder; the name if absent
//! ```

mod describe;
mod older;

pub use describe::{Description, describe};
pub use older::Older;

use jiff::civil::Date;
use mailfmt::package::{ModuleFile, ModuleKind};
use mailfmt::release::{RELEASE_FILE, Release, ReleaseModule};
use mailfmt::{Digest, ModuleName, ModuleVersion, SoftwareVersion};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a package shall lead to: versions and files.
#[derive(Debug, Clone)]
pub struct Source {
    /// The software version after the update.
    pub target: SoftwareVersion,
    /// The version of the base image, where it is told.
    pub rom: Option<ModuleVersion>,
    /// The release counter, where it is told.
    pub release_counter: Option<u64>,
    /// Every module with its file.
    pub modules: Vec<ModuleFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleList {
    target: SoftwareVersion,
    rom: Option<ModuleVersion>,
    release_counter: Option<u64>,
    #[serde(default, rename = "module")]
    modules: Vec<ListedModule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedModule {
    name: ModuleName,
    version: ModuleVersion,
    date: Date,
    kind: ModuleKind,
    file: Option<PathBuf>,
}

/// Files that make no release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A folder is no release folder yet.
    #[error("there is no {}; `center-manager package describe` writes it", path.display())]
    Undescribed {
        /// The description.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `release.json` has another shape.
    #[error("{} is no release description", path.display())]
    Release {
        /// The file.
        path: PathBuf,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
    /// The module list has another shape.
    #[error("{} is no module list", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What the TOML reader found.
        source: toml::de::Error,
    },
    /// Something in a folder of modules cannot be one.
    #[error("{} can be no module: a module is a file with a name of letters, digits and -_.", path.display())]
    NoModule {
        /// What lies there.
        path: PathBuf,
    },
    /// A folder of modules holds none.
    #[error("{} holds no files", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file was changed after its release was described.
    #[error("module {name} in {} is not the file that {RELEASE_FILE} describes; `center-manager package describe` writes it anew", folder.display())]
    Changed {
        /// The module.
        name: ModuleName,
        /// The folder.
        folder: PathBuf,
    },
}

/// Reads `release.json` of a release folder.
///
/// # Errors
/// [`ReleaseError::Undescribed`], [`ReleaseError::Read`] or [`ReleaseError::Release`].
pub fn read_release(folder: &Path) -> Result<Release, ReleaseError> {
    let path = folder.join(RELEASE_FILE);
    if folder.is_dir() && !path.exists() {
        return Err(ReleaseError::Undescribed { path });
    }
    let octets = read(&path)?;
    Release::parse(&octets).map_err(|source| ReleaseError::Release { path, source })
}

impl Source {
    /// Reads a release folder; every file must be the one that its description names.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn from_folder(folder: &Path) -> Result<Self, ReleaseError> {
        let release = read_release(folder)?;
        let module = |module: ReleaseModule| {
            let file = read(&folder.join(module.name.as_str()))?;
            if Digest::of(&file) != module.sha256 {
                return Err(ReleaseError::Changed { name: module.name, folder: folder.into() });
            }
            let ReleaseModule { name, version, date, kind, .. } = module;
            Ok(ModuleFile { name, version, date, kind, file, carried: true })
        };
        Ok(Self {
            target: release.software,
            rom: Some(release.rom),
            release_counter: Some(release.release_counter),
            modules: release.modules.into_iter().map(module).collect::<Result<_, _>>()?,
        })
    }

    /// Reads a module list and the files that it names.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn from_list(path: &Path) -> Result<Self, ReleaseError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ReleaseError::Read { path: path.into(), source })?;
        let list: ModuleList =
            toml::from_str(&text).map_err(|source| ReleaseError::List { path: path.into(), source })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let module = |module: ListedModule| {
            let name = module.name;
            let file = read(&folder.join(module.file.unwrap_or_else(|| name.as_str().into())))?;
            let (version, date, kind) = (module.version, module.date, module.kind);
            Ok(ModuleFile { name, version, date, kind, file, carried: true })
        };
        Ok(Self {
            target: list.target,
            rom: list.rom,
            release_counter: list.release_counter,
            modules: list.modules.into_iter().map(module).collect::<Result<_, _>>()?,
        })
    }

    /// Leaves out the files that an appliance with `release` has already; answers how many travel.
    pub fn carry_changes_since(&mut self, release: &Release) -> usize {
        let there: BTreeMap<_, _> =
            release.modules.iter().map(|module| (&module.name, module.sha256)).collect();
        for module in &mut self.modules {
            module.carried = there.get(&module.name) != Some(&Digest::of(&module.file));
        }
        self.modules.iter().filter(|module| module.carried).count()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReleaseError> {
    std::fs::read(path).map_err(|source| ReleaseError::Read { path: path.into(), source })
}

#[cfg(test)]
mod tests;

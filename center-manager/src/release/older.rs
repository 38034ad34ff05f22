//! The releases that appliances run now, by which a package may travel as differences.

use super::{ReleaseError, Source};
use mailfmt::package::{ModuleFile, OlderFiles};
use mailfmt::{Digest, ModuleName, SoftwareVersion};
use std::collections::{BTreeMap, BTreeSet};

/// The older releases with all their files.
#[derive(Debug, Default)]
pub struct Older {
    releases: Vec<(SoftwareVersion, BTreeMap<ModuleName, Vec<u8>>)>,
}

impl Older {
    /// Adds a release folder.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn add_folder(&mut self, folder: &std::path::Path) -> Result<(), ReleaseError> {
        let source = Source::from_folder(folder)?;
        let files = source.modules.into_iter().map(|module| (module.name, module.file)).collect();
        self.releases.push((source.target, files));
        Ok(())
    }

    /// Adds a release as the packages of it carry it; a module that none of them carries is not known then, and
    /// travels whole.
    pub fn add_files(&mut self, version: SoftwareVersion, files: BTreeMap<ModuleName, Vec<u8>>) {
        self.releases.push((version, files));
    }

    /// The versions of all these releases.
    #[must_use]
    pub fn versions(&self) -> Vec<SoftwareVersion> {
        let versions: BTreeSet<_> = self.releases.iter().map(|(version, _)| version.to_string()).collect();
        versions.into_iter().filter_map(|version| version.parse().ok()).collect()
    }

    /// Leaves out those of `modules` that every older release has already.
    pub fn leave_out_what_all_have(&self, modules: &mut [ModuleFile]) {
        for module in modules {
            let here = |files: &BTreeMap<ModuleName, Vec<u8>>| files.get(&module.name) == Some(&module.file);
            module.carried = self.releases.is_empty() || !self.releases.iter().all(|(_, files)| here(files));
        }
    }

    /// Every different older file of every module.
    #[must_use]
    pub fn files(&self) -> OlderFiles {
        let mut files: BTreeMap<ModuleName, BTreeMap<Digest, Vec<u8>>> = BTreeMap::new();
        for (name, file) in self.releases.iter().flat_map(|(_, files)| files) {
            files.entry(name.clone()).or_default().insert(Digest::of(file), file.clone());
        }
        let files = files.into_iter().map(|(name, files)| (name, files.into_values().collect()));
        OlderFiles { files: files.collect(), whole: None }
    }
}

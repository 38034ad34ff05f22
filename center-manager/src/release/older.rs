//! The releases that appliances run now, by which a package may travel as differences.

use super::{ReleaseError, Source};
use mailfmt::package::{Manifest, ModuleFile, OlderFiles};
use mailfmt::{Digest, ModuleName, SoftwareVersion};
use std::collections::{BTreeMap, BTreeSet};

/// The older releases.
#[derive(Debug, Default)]
pub struct Older {
    releases: Vec<OlderRelease>,
}

/// What is known of one: of every module its hash, of some of them also their files.
#[derive(Debug)]
struct OlderRelease {
    version: SoftwareVersion,
    hashes: BTreeMap<ModuleName, Digest>,
    files: BTreeMap<ModuleName, Vec<u8>>,
}

impl Older {
    /// Adds a release folder.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn add_folder(&mut self, folder: &std::path::Path) -> Result<(), ReleaseError> {
        let source = Source::from_folder(folder)?;
        let files: BTreeMap<_, _> =
            source.modules.into_iter().map(|module| (module.name, module.file)).collect();
        let hashes = files.iter().map(|(name, file)| (name.clone(), Digest::of(file))).collect();
        self.releases.push(OlderRelease { version: source.target, hashes, files });
        Ok(())
    }

    /// Adds a release as one of its packages describes and carries it. A module that the package only names travels whole
    /// when it changes, and not at all when it does not.
    pub fn add_package(&mut self, manifest: &Manifest, files: BTreeMap<ModuleName, Vec<u8>>) {
        let hashes = manifest.modules.iter().map(|module| (module.name.clone(), module.sha256)).collect();
        self.releases.push(OlderRelease { version: manifest.target.clone(), hashes, files });
    }

    /// The versions of all these releases.
    #[must_use]
    pub fn versions(&self) -> Vec<SoftwareVersion> {
        let versions: BTreeSet<_> = self.releases.iter().map(|release| release.version.to_string()).collect();
        versions.into_iter().filter_map(|version| version.parse().ok()).collect()
    }

    /// Leaves out those of `modules` that every older release has already.
    pub fn leave_out_what_all_have(&self, modules: &mut [ModuleFile]) {
        for module in modules {
            let sha256 = Digest::of(&module.file);
            let has_it = |release: &OlderRelease| release.hashes.get(&module.name) == Some(&sha256);
            module.carried = self.releases.is_empty() || !self.releases.iter().all(has_it);
        }
    }

    /// Every different older file of every module.
    #[must_use]
    pub fn files(&self) -> OlderFiles {
        let mut files: BTreeMap<ModuleName, BTreeMap<Digest, Vec<u8>>> = BTreeMap::new();
        for (name, file) in self.releases.iter().flat_map(|release| &release.files) {
            files.entry(name.clone()).or_default().insert(Digest::of(file), file.clone());
        }
        let files = files.into_iter().map(|(name, files)| (name, files.into_values().collect()));
        OlderFiles { files: files.collect(), whole: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailfmt::package::{Applies, ModuleKind, PackageDraft, Rules, build, inspect};
    use mailfmt::{Limits, ModuleVersion};

    fn module(name: &str, file: &str, carried: bool) -> ModuleFile {
        ModuleFile {
            name: ModuleName::new(name).unwrap(),
            version: ModuleVersion::new("1.0.00").unwrap(),
            date: jiff::civil::date(2026, 1, 1),
            kind: ModuleKind::Data,
            file: file.into(),
            carried,
        }
    }

    /// The manifest of a package to `version` with these modules.
    fn manifest(version: &str, modules: Vec<ModuleFile>) -> Manifest {
        let draft = PackageDraft {
            target: version.parse().unwrap(),
            rom: None,
            release_counter: 1,
            created: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires: "2026-02-01T00:00:00Z".parse().unwrap(),
            modules,
            script: b"#!/bin/sh\n".to_vec(),
            script_time_limit_secs: 10,
            applies: Applies::default(),
            rules: Rules::default(),
        };
        let limits = Limits::default();
        inspect(&build(&draft, &limits).unwrap(), &limits).unwrap().manifest
    }

    fn travelling(older: &Older, mut modules: Vec<ModuleFile>) -> Vec<String> {
        older.leave_out_what_all_have(&mut modules);
        modules.into_iter().filter(|module| module.carried).map(|module| module.name.to_string()).collect()
    }

    #[test]
    fn what_an_older_package_only_names_does_not_travel_again_while_it_is_the_same() {
        let mut older = Older::default();
        older.add_package(
            &manifest("1.0.00", vec![module("agent", "same", false), module("watch", "old", false)]),
            BTreeMap::new(),
        );
        let new = || vec![module("agent", "same", true), module("watch", "new", true)];
        assert_eq!(travelling(&older, new()), ["watch"]);
        older.add_package(&manifest("1.0.01", vec![module("watch", "new", true)]), BTreeMap::new());
        assert_eq!(travelling(&older, new()), ["agent", "watch"], "one of the two lacks each");
        assert_eq!(older.versions().len(), 2);
    }
}

//! Comparing what an appliance reports with what the package makes of it.

use mailfmt::message::report::VersionReportMessage;
use mailfmt::package::Manifest;
use mailfmt::{Digest, ModuleName, SoftwareVersion, VersionReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an appliance runs after the update: the target version and the SHA-256 of every module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The target software version.
    pub version: SoftwareVersion,
    /// Every module of it.
    pub modules: BTreeMap<ModuleName, Digest>,
}

/// How a version report compares with a [`Release`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// The target version, made of exactly its modules.
    Same,
    /// Another version.
    OtherVersion {
        /// The version that runs.
        version: SoftwareVersion,
    },
    /// It calls itself the target version, but is made of other modules.
    MixedModules {
        /// The modules that are missing, surplus or different; never empty.
        modules: Vec<ModuleName>,
    },
}

impl Release {
    /// The release that a package leads to.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            version: manifest.target.clone(),
            modules: manifest.modules.iter().map(|module| (module.name.clone(), module.sha256)).collect(),
        }
    }

    /// Compares a version report with this release.
    ///
    /// The software version is looked at first, as in the source; then the hashes, since a version line is only a claim.
    /// A module that the table names without a hash counts as different.
    ///
    /// Source: JP 2003-435644 [0079-0080].
    #[must_use]
    pub fn compare(&self, report: &VersionReportMessage) -> Finding {
        if report.table.software != self.version {
            return Finding::OtherVersion { version: report.table.software.clone() };
        }
        let modules = self.differences(&report.table, &report.hashes);
        if modules.is_empty() { Finding::Same } else { Finding::MixedModules { modules } }
    }

    /// The modules that are missing, surplus or different in what an appliance says of itself, in the order of their
    /// names.
    #[must_use]
    pub fn differences(
        &self,
        table: &VersionReport,
        hashes: &BTreeMap<ModuleName, Digest>,
    ) -> Vec<ModuleName> {
        let expected = self.modules.iter().filter(|(name, hash)| hashes.get(*name) != Some(*hash));
        let surplus = hashes.keys().filter(|name| !self.modules.contains_key(*name));
        let listed = table.modules.iter().map(|line| &line.name);
        let unknown = listed.filter(|name| !self.modules.contains_key(*name) && !hashes.contains_key(*name));
        let mut modules: Vec<_> =
            expected.map(|(name, _)| name).chain(surplus).chain(unknown).cloned().collect();
        modules.sort();
        modules
    }
}

/// Which software version the modules of an appliance really make, whatever it calls itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "made-of", rename_all = "kebab-case")]
pub enum Composition {
    /// Exactly the modules of a release that the center has a package of.
    Release {
        /// That release's version.
        version: SoftwareVersion,
    },
    /// Modules of no release as a whole.
    Mixed {
        /// The release that comes nearest: the one that it calls itself, if the center knows that.
        nearest: SoftwareVersion,
        /// The modules that are missing, surplus or different in it; never empty.
        modules: Vec<ModuleName>,
    },
    /// The center has no package of the version that it calls itself, nor one with these modules.
    Unknown,
}

/// Finds out which of `known` an appliance's modules make.
///
/// Source: JP 2003-435644, paragraph 0042.
#[must_use]
pub fn composition(
    known: &[Release],
    table: &VersionReport,
    hashes: &BTreeMap<ModuleName, Digest>,
) -> Composition {
    let differences = |release: &Release| release.differences(table, hashes);
    let claimed = |release: &&Release| release.version == table.software;
    // Two releases of the same files are told apart by what the appliance calls itself.
    let same = known.iter().filter(claimed).chain(known).find(|release| differences(release).is_empty());
    if let Some(release) = same {
        return Composition::Release { version: release.version.clone() };
    }
    let nearest = known.iter().filter(claimed).map(|release| (differences(release), release));
    match nearest.min_by_key(|(modules, _)| modules.len()) {
        Some((modules, release)) => Composition::Mixed { nearest: release.version.clone(), modules },
        None => Composition::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailfmt::Limits;

    fn hash(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn release(version: &str, watch: &str) -> Release {
        let name = |name| ModuleName::new(name).unwrap();
        Release {
            version: version.parse().unwrap(),
            modules: [(name("watch"), hash(watch)), (name("agent"), hash("agent"))].into(),
        }
    }

    fn says(version: &str, watch: &str) -> Composition {
        let text = format!(
            "Software Version    {version}\nROM Version         1.5.08\nModules\n\
             watch               1.0.00    2026/01/01\nagent               1.0.00    2026/01/01\n"
        );
        let table = VersionReport::parse(&text, &Limits::default()).unwrap();
        let known = [release("1.0.00", "old"), release("1.0.01", "new")];
        composition(&known, &table, &release(version, watch).modules)
    }

    #[test]
    fn the_version_follows_from_the_modules() {
        assert_eq!(says("1.0.01", "new"), Composition::Release { version: "1.0.01".parse().unwrap() });
    }

    #[test]
    fn a_version_that_does_not_fit_its_modules_is_told_by_them() {
        assert_eq!(says("1.0.01", "old"), Composition::Release { version: "1.0.00".parse().unwrap() });
    }

    #[test]
    fn a_mixture_names_the_modules_that_differ() {
        let modules = vec![ModuleName::new("watch").unwrap()];
        assert_eq!(
            says("1.0.01", "altered"),
            Composition::Mixed { nearest: "1.0.01".parse().unwrap(), modules }
        );
    }

    #[test]
    fn a_release_that_nobody_packed_here_is_unknown() {
        assert_eq!(says("7.0.00", "altered"), Composition::Unknown);
    }
}

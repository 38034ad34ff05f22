//! Comparing what an appliance reports with what the package makes of it.

use mailfmt::message::report::VersionReportMessage;
use mailfmt::package::Manifest;
use mailfmt::{Digest, ModuleName, SoftwareVersion};
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
        let expected = self.modules.iter().filter(|(name, hash)| report.hashes.get(*name) != Some(*hash));
        let surplus = report.hashes.keys().filter(|name| !self.modules.contains_key(*name));
        let listed = report.table.modules.iter().map(|line| &line.name);
        let unknown =
            listed.filter(|name| !self.modules.contains_key(*name) && !report.hashes.contains_key(*name));
        let mut modules: Vec<_> =
            expected.map(|(name, _)| name).chain(surplus).chain(unknown).cloned().collect();
        modules.sort();
        if modules.is_empty() { Finding::Same } else { Finding::MixedModules { modules } }
    }
}

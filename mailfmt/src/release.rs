//! A release: one software version as one exact set of modules, as `release.json` describes it.
//!
//! On an appliance it stands in every release folder; at the center it tells which modules a package need not carry.

use crate::digest::Digest;
use crate::ids::ModuleName;
use crate::package::{Manifest, ModuleKind};
use crate::version::{ModuleVersion, SoftwareVersion};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file that describes a release, inside its folder.
pub const RELEASE_FILE: &str = "release.json";

/// What `release.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The version of the whole.
    pub software: SoftwareVersion,
    /// The version of the base image that it runs on.
    pub rom: ModuleVersion,
    /// Grows with every release.
    pub release_counter: u64,
    /// Every module, names unique.
    pub modules: Vec<ReleaseModule>,
}

/// One module of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseModule {
    /// Its name: also its file name.
    pub name: ModuleName,
    /// Its version.
    pub version: ModuleVersion,
    /// The day it was made.
    pub date: Date,
    /// What it is.
    pub kind: ModuleKind,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// Octets of its file.
    pub octets: u64,
}

impl Release {
    /// The release that a package leads to. A package that names no base image leaves it at `rom`.
    #[must_use]
    pub fn of_manifest(manifest: &Manifest, rom: &ModuleVersion) -> Self {
        let modules = manifest.modules.iter().map(|entry| ReleaseModule {
            name: entry.name.clone(),
            version: entry.version.clone(),
            date: entry.date,
            kind: entry.kind,
            sha256: entry.sha256,
            octets: entry.octets,
        });
        Self {
            software: manifest.target.clone(),
            rom: manifest.rom.clone().unwrap_or_else(|| rom.clone()),
            release_counter: manifest.release_counter,
            modules: modules.collect(),
        }
    }

    /// Reads the description.
    ///
    /// # Errors
    /// What the JSON reader found, with its place.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The description as it stands in `release.json`.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a release has text keys and no failing serializers")
    }

    /// Whether `other` has the same version and the same modules with the same hashes.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let hashes = |release: &Self| -> BTreeMap<ModuleName, Digest> {
            release.modules.iter().map(|module| (module.name.clone(), module.sha256)).collect()
        };
        self.software == other.software && hashes(self) == hashes(other)
    }
}

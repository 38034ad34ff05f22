//! What a package's manifest says.

use super::PackageId;
use super::delta::DeltaEntry;
use super::window::DailyWindow;
use crate::digest::Digest;
use crate::ids::ModuleName;
use crate::version::{ModuleVersion, SoftwareVersion};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The signed manifest: the target software version as one exact set of modules, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The software version after the update.
    pub target: SoftwareVersion,
    /// The version of the base image after the update; `None` leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rom: Option<ModuleVersion>,
    /// Grows with every release; an appliance never goes back below the greatest it has installed.
    pub release_counter: u64,
    /// When the package was built.
    pub created: Timestamp,
    /// After this no appliance installs it any more.
    pub expires: Timestamp,
    /// Every module of the target version, whether its file travels in this package or not.
    pub modules: Vec<ModuleEntry>,
    /// The install script.
    pub script: ScriptEntry,
    /// Where it may be installed.
    #[serde(default)]
    pub applies: Applies,
    /// Waiting and restarting.
    #[serde(default)]
    pub rules: Rules,
    /// The package with the same target that carries whole files: what to send where a delta does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<PackageId>,
    /// SHA-256 of the content (deflated tar) as it stands in the file.
    pub content: Digest,
    /// Octets of the content.
    pub content_octets: u64,
}

/// One module of the target version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleEntry {
    /// Its name: also its file name in the release.
    pub name: ModuleName,
    /// Its version.
    pub version: ModuleVersion,
    /// The day it was made.
    pub date: Date,
    /// What it is.
    pub kind: ModuleKind,
    /// Octets of its file.
    pub octets: u64,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// Whether its file is in this package; otherwise the appliance must have it already, or make it by a delta.
    pub carried: bool,
    /// Deltas to its file from older ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<DeltaEntry>,
}

/// What a module is, and so how it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleKind {
    /// Runs all the time; restarted by the supervisor after a replacement.
    Resident,
    /// Started when needed; replaced only while it does not run.
    OnDemand,
    /// Used by other modules.
    Library,
    /// Run by a person or by other modules.
    Script,
    /// Read by other modules.
    Data,
}

impl ModuleKind {
    /// Whether its file is made executable.
    #[must_use]
    pub fn is_executable(self) -> bool {
        match self {
            Self::Resident | Self::OnDemand | Self::Script => true,
            Self::Library | Self::Data => false,
        }
    }
}

/// The install script: POSIX shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptEntry {
    /// Octets of the script.
    pub octets: u64,
    /// SHA-256 of the script.
    pub sha256: Digest,
    /// Seconds after which the script and all its children are killed.
    pub time_limit_secs: u32,
}

/// Where a package may be installed; empty lists mean anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applies {
    /// Software versions that it may follow on.
    #[serde(default)]
    pub from: Vec<SoftwareVersion>,
    /// Hardware classes that it is made for, such as `x86_64`.
    #[serde(default)]
    pub hardware: Vec<String>,
}

/// When to begin, what to wait for, what to do afterwards.
///
/// Source: JP 2003-435644, paragraphs 0061 to 0068 and 0077.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// When to begin.
    pub when: When,
    /// Hours of the day, in the site's time, in which it may begin; `None` leaves that to the site's own settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<DailyWindow>,
    /// Seconds that the center waits after sending before it asks for the version: pre- and post-processing and restarts.
    pub settle_secs: u32,
    /// Seconds to wait for busy modules and billing-critical work before the center is told what is waited for. The
    /// update goes on waiting until its package expires.
    pub wait_limit_secs: u32,
    /// First pause, in seconds, before a script that asked for it is run again; `None` leaves it to the appliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_secs: Option<u32>,
    /// Seconds that the new release must run well before it is kept.
    pub trial_secs: u32,
    /// Drop what modules keep in shared memory or caches.
    pub drop_shared_data: bool,
    /// Restart the box afterwards.
    pub reboot_after: bool,
    /// Send a version report afterwards without being asked.
    pub report_by_itself: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            when: When::Now,
            window: None,
            settle_secs: 600,
            wait_limit_secs: 3600,
            retry_secs: None,
            trial_secs: 90,
            drop_shared_data: false,
            reboot_after: false,
            report_by_itself: false,
        }
    }
}

/// When to begin with an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// As soon as nothing has to be waited for.
    #[default]
    Now,
    /// Right after the next restart of the appliance.
    AtNextRestart,
}

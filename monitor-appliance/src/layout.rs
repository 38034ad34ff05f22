//! Where everything lies below an appliance's root directory.

use mailfmt::Digest;
use mailfmt::package::PackageId;
use std::path::{Path, PathBuf};

/// The root used when neither `--root` nor `MONITOR_APPLIANCE_ROOT` names one.
pub const ROOT_DEFAULT: &str = "/var/lib/monitor-appliance";

/// Environment variable that names the root directory.
pub const ROOT_VARIABLE: &str = "MONITOR_APPLIANCE_ROOT";

/// How the name of a folder of parts ends.
pub const PARTS_SUFFIX: &str = ".parts";

/// Paths below one root directory. Only names; nothing is created or read.
///
/// ```text
/// appliance.toml            settings
/// secrets/credential        64 hex digits, mode 0600
/// secrets/credential.next   the one that was agreed on in a rotation, until the center has used it
/// secrets/enrolment.json    an enrolment that is not over yet, mode 0600
/// secrets/mail-1.password   one per mail account, mode 0600
/// store.db                  the only meeting place of the modules
/// releases/1.0.00-1/        one release: release.json and a file per module
/// current                   symbolic link to the release that runs
/// packages/<id>.mfp         signed packages, as decrypted by mail-agent
/// packages/<hash>.parts/    parts of an encrypted package that have come, each named by its own hash
/// packages/<id>.permit      what came with the order to let an older release follow
/// spool/attachment          the attachment of a large mail, while it is read; worth nothing after a restart
/// updates/<id>/             working folder of one installation
/// updates/order-<n>.aside/  settings as they were before its script, until it is kept or undone
/// supervisor                copy of the last supervisor that has passed a trial; the service manager starts it
/// supervisor.before         the one that was proven before it
/// supervisor.rejected       one that failed after its trial, and is not tried again
/// supervisor.starts         starts by the service manager of which none has led to a while of good work yet
/// trust/roots.json          the chain of roots: whose packages and commands are trusted
/// trust/counter.json        the greatest release counter installed, a second time beside the store
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings file.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("appliance.toml")
    }

    /// The directory of secrets, mode 0700.
    #[must_use]
    pub fn secrets_dir(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// The formal credential, 64 hex digits.
    #[must_use]
    pub fn credential_file(&self) -> PathBuf {
        self.secrets_dir().join("credential")
    }

    /// An enrolment that is not over yet.
    #[must_use]
    pub fn enrolment_file(&self) -> PathBuf {
        self.secrets_dir().join("enrolment.json")
    }

    /// The credential that was agreed on in a rotation, until the center has used it.
    #[must_use]
    pub fn next_credential_file(&self) -> PathBuf {
        self.secrets_dir().join("credential.next")
    }

    /// The store.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// The directory of releases, one folder per software version.
    #[must_use]
    pub fn releases_dir(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// The symbolic link to the release that runs.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The directory of decrypted, signed packages.
    #[must_use]
    pub fn packages_dir(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// The file of one package.
    #[must_use]
    pub fn package_file(&self, id: &PackageId) -> PathBuf {
        self.packages_dir().join(format!("{id}.mfp"))
    }

    /// The folder of the parts that have come of one encrypted package, by its hash.
    #[must_use]
    pub fn parts_dir(&self, enclosure: &Digest) -> PathBuf {
        self.packages_dir().join(format!("{enclosure}{PARTS_SUFFIX}"))
    }

    /// The file of one part, by its hash.
    #[must_use]
    pub fn part_file(&self, enclosure: &Digest, part: &Digest) -> PathBuf {
        self.parts_dir(enclosure).join(part.to_string())
    }

    /// The directory of what is only needed while a large mail is read.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// The permit that came with the order of one package, if it may go back to an older release.
    #[must_use]
    pub fn permit_file(&self, id: &PackageId) -> PathBuf {
        self.packages_dir().join(format!("{id}.permit"))
    }

    /// The chain of roots.
    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.root.join("trust").join("roots.json")
    }

    /// The greatest release counter installed.
    #[must_use]
    pub fn counter_file(&self) -> PathBuf {
        self.root.join("trust").join("counter.json")
    }

    /// The directory of working folders of installations.
    #[must_use]
    pub fn updates_dir(&self) -> PathBuf {
        self.root.join("updates")
    }

    /// The working folder of one installation.
    #[must_use]
    pub fn update_dir(&self, id: &PackageId) -> PathBuf {
        self.updates_dir().join(id.to_string())
    }

    /// A path from the settings: taken below the root unless it is absolute.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

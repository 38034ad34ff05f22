//! The center's home: where its files lie, and who may read them.
//!
//! ```text
//! center.toml              settings
//! secrets/mail-N.password  password of the N-th account, counted from 1, mode 0600
//! fleet.db                 the fleet database, mode 0600: it holds the appliances' credentials
//! keys/roots.json          the chain of roots: which keys appliances trust for what
//! keys/command.pem         command key, mode 0600: signs what the daemon sends
//! keys/root.pem            root key, mode 0600; only until it is moved to a safe place
//! keys/release.pem         release key, mode 0600; the same
//! keys/*.pub               their public halves
//! keys/dkim-SELECTOR.pem   DKIM keys, mode 0600; only where `[[dkim]]` stands in the settings
//! packages/<id>.mfp        packages
//! introductions/           introduction files that wait to be carried to their appliances, mode 0600
//! serve.lock               held by the daemon
//! ```

use crate::dkim::DkimSettings;
use crate::roots::{self, RootsError};
use crate::settings::{Settings, SettingsError};
use mailfmt::package::PackageId;
use mailfmt::trust::{SignedRoot, TrustedRoot};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Paths in a center's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// A file of the home that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Home {
    /// The home at `root`; nothing is read yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `center.toml`.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("center.toml")
    }

    /// `fleet.db`.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("fleet.db")
    }

    /// `serve.lock`.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("serve.lock")
    }

    /// `keys/`.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// `keys/release.pem`.
    #[must_use]
    pub fn release_key(&self) -> PathBuf {
        self.keys().join("release.pem")
    }

    /// `keys/root.pem`.
    #[must_use]
    pub fn root_key(&self) -> PathBuf {
        self.keys().join("root.pem")
    }

    /// `keys/command.pem`.
    #[must_use]
    pub fn command_key(&self) -> PathBuf {
        self.keys().join("command.pem")
    }

    /// The DKIM key of an entry of the settings; `keys/dkim-SELECTOR.pem` where that names no file.
    #[must_use]
    pub fn dkim_key(&self, settings: &DkimSettings) -> PathBuf {
        match &settings.key_file {
            Some(path) => self.root.join(path),
            None => self.keys().join(format!("dkim-{}.pem", settings.selector)),
        }
    }

    /// `keys/roots.json`.
    #[must_use]
    pub fn roots_file(&self) -> PathBuf {
        self.keys().join("roots.json")
    }

    /// `packages/`.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// `packages/<id>.mfp`.
    #[must_use]
    pub fn package(&self, id: &PackageId) -> PathBuf {
        self.packages().join(format!("{id}.mfp"))
    }

    /// `introductions/`.
    #[must_use]
    pub fn introductions(&self) -> PathBuf {
        self.root.join("introductions")
    }

    /// `secrets/mail-N.password`; accounts count from 1, as they stand in `center.toml`.
    #[must_use]
    pub fn password_file(&self, account: usize) -> PathBuf {
        self.root.join("secrets").join(format!("mail-{account}.password"))
    }

    /// Makes the folders, readable by their owner only.
    ///
    /// # Errors
    /// [`HomeError::File`].
    pub fn create_folders(&self) -> Result<(), HomeError> {
        for folder in
            [self.root.clone(), self.root.join("secrets"), self.keys(), self.packages(), self.introductions()]
        {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|source| HomeError::File { action: "create", path: folder, source })?;
        }
        Ok(())
    }

    /// Reads and checks `center.toml`.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::load(&self.settings_file())
    }

    /// The chain of roots and the newest of them, followed as an appliance would.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn roots(&self) -> Result<(Vec<SignedRoot>, TrustedRoot), RootsError> {
        roots::read_trusted(&self.roots_file())
    }
}

/// Creates an empty file with mode 0600; one that exists stays as it is.
pub(crate) fn create_secret_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// Writes a new file with mode 0600, durably. One that exists is an error: a secret is never overwritten.
///
/// # Errors
/// [`HomeError::File`].
pub fn write_secret(path: &Path, octets: &[u8]) -> Result<(), HomeError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(octets)?;
        file.sync_all()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| HomeError::File { action: "write", path: path.into(), source })
}

/// Puts a secret in the place of the one that is there, whole or not at all, mode 0600.
///
/// # Errors
/// [`HomeError::File`].
pub fn replace_secret(path: &Path, octets: &[u8]) -> Result<(), HomeError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let half = PathBuf::from(name);
    let failed = |action, source| HomeError::File { action, path: path.into(), source };
    match fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", error)),
        _ => {}
    }
    write_secret(&half, octets)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::rename(&half, path)
        .and_then(|()| File::open(folder.unwrap_or(Path::new(".")))?.sync_all())
        .map_err(|source| failed("replace", source))
}

/// Writes a file under another name first, so that nobody ever sees half of it; durable when it returns.
///
/// # Errors
/// [`HomeError::File`].
pub fn write_whole(path: &Path, octets: &[u8]) -> Result<(), HomeError> {
    let write = || -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let half = PathBuf::from(name);
        let mut file = File::create(&half)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        // The new name is durable only with its folder; that of a bare name is the current one.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| HomeError::File { action: "write", path: path.into(), source })
}

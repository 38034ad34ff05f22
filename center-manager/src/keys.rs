//! Key files of root, release, command and approval keys: a private half (`NAME.pem`, mode 0600, perhaps under a passphrase) and
//! beside it the public half (`NAME.pub`, 64 hex digits), which is what roots are made from.

use crate::home::{HomeError, write_secret, write_whole};
use mailfmt::crypto::Random;
use mailfmt::trust::{KeyError, KeyFile, PublicKey, Role, Root, SigningKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest key file, in octets.
const KEY_OCTETS_MAX: u64 = 16 << 10;

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Signs roots: who may do what. Belongs on a stick in a safe.
    Root,
    /// Signs packages. Belongs where packages are built, not on the center.
    Release,
    /// Signs what the center says every day. Lies on the center.
    Command,
    /// Approves rollouts. Each belongs to one person, who keeps it; a root need not name any.
    Approval,
}

impl RoleName {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Root, Self::Release, Self::Command, Self::Approval];

    /// The role in a root; none where nobody has to approve anything.
    #[must_use]
    pub fn of(self, root: &Root) -> Option<&Role> {
        match self {
            Self::Root => Some(&root.root),
            Self::Release => Some(&root.release),
            Self::Command => Some(&root.command),
            Self::Approval => root.approval.as_ref(),
        }
    }

    /// Its keys in a root.
    #[must_use]
    pub fn keys_in(self, root: &Root) -> &[PublicKey] {
        self.of(root).map_or(&[], |role| &role.keys)
    }

    /// The role, to be changed; one that is not there yet has no keys.
    pub fn of_mut(self, root: &mut Root) -> &mut Role {
        match self {
            Self::Root => &mut root.root,
            Self::Release => &mut root.release,
            Self::Command => &mut root.command,
            Self::Approval => root.approval.get_or_insert_with(|| Role { threshold: 1, keys: Vec::new() }),
        }
    }

    /// The roles that a key has in a root.
    #[must_use]
    pub fn held_by(key: &PublicKey, root: &Root) -> Vec<Self> {
        Self::ALL.into_iter().filter(|role| role.keys_in(root).contains(key)).collect()
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Root => "root",
            Self::Release => "release",
            Self::Command => "command",
            Self::Approval => "approval",
        })
    }
}

/// Not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; there are root, release, command and approval")]
pub struct RoleNameError(String);

impl std::str::FromStr for RoleName {
    type Err = RoleNameError;
    fn from_str(text: &str) -> Result<Self, RoleNameError> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| RoleNameError(text.chars().take(40).collect()))
    }
}

/// A key file that cannot be used. Its content never appears here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It cannot be read.
    #[error("cannot read the key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no such key.
    #[error("{}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] HomeError),
}

/// Where the public half of a key file lies.
#[must_use]
pub fn public_file(private: &Path) -> PathBuf {
    private.with_extension("pub")
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(KEY_OCTETS_MAX).read_to_string(&mut text))
        .map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
    Ok(text)
}

/// Reads a private key file; it is not decrypted yet.
///
/// # Errors
/// [`KeysError`].
pub fn read_private(path: &Path) -> Result<KeyFile, KeysError> {
    KeyFile::parse(&read_text(path)?).map_err(|source| KeysError::Key { path: path.to_owned(), source })
}

/// Reads a public key: a `.pub` file, or the one beside a private key file.
///
/// # Errors
/// [`KeysError`].
pub fn read_public(path: &Path) -> Result<PublicKey, KeysError> {
    let failed = |path: &Path, source| KeysError::Key { path: path.to_owned(), source };
    let text = read_text(path)?;
    if !text.trim_start().starts_with("-----BEGIN") {
        return text.parse().map_err(|source| failed(path, source));
    }
    let file = KeyFile::parse(&text).map_err(|source| failed(path, source))?;
    if file.is_encrypted() {
        let public = public_file(path);
        return read_text(&public)?.parse().map_err(|source| failed(&public, source));
    }
    file.open(None).map(|key| key.public()).map_err(|source| failed(path, source))
}

/// Writes both halves of a key; the private one must not be there yet.
///
/// # Errors
/// [`KeysError::Write`].
pub fn write_pair(
    path: &Path,
    key: &SigningKey,
    passphrase: Option<&str>,
    random: &mut impl Random,
) -> Result<(), KeysError> {
    write_secret(path, KeyFile::new(key, passphrase, random).expose_pem().as_bytes())?;
    Ok(write_whole(&public_file(path), format!("{}\n", key.public()).as_bytes())?)
}

/// Private key files of a folder, in the order of their names.
///
/// # Errors
/// [`KeysError::Read`].
pub fn private_files(folder: &Path) -> Result<Vec<PathBuf>, KeysError> {
    let failed = |source| KeysError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Private keys that lie in `folder` and may sign roots or packages or approve rollouts under `root`: with them, whoever steals
/// the center has the fleet. By the public halves, so that no passphrase is needed.
///
/// # Errors
/// [`KeysError`].
pub fn dangerous(folder: &Path, root: &Root) -> Result<Vec<(PathBuf, Vec<RoleName>)>, KeysError> {
    let mut found = Vec::new();
    for path in private_files(folder)? {
        let roles = RoleName::held_by(&read_public(&path)?, root);
        if roles.iter().any(|role| *role != RoleName::Command) {
            found.push((path, roles));
        }
    }
    Ok(found)
}

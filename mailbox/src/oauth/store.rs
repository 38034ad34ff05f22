//! The file that an account's tokens lie in: mode 0600, whole or not at all, durable when a write returns.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::oauth::{AccessToken, StoredToken};

/// Longest token file, in octets.
const FILE_OCTETS_MAX: usize = 3 * AccessToken::OCTETS_MAX;
/// How often a file that another program has locked is looked at.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why tokens could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The system refuses.
    #[error("cannot {action} the token file {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Other users of the machine may read it.
    #[error("the token file {} has mode {mode:o}: others may read it; run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is not what is written here.
    #[error("the token file {} is damaged: delete it, then sign in again with `account login`", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
    /// Another program has kept it locked for longer than a request may last.
    #[error("another program keeps the token file {} locked", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the tokens; `None` where there is no file yet.
pub(super) fn load(path: &Path) -> Result<Option<StoredToken>, TokenFileError> {
    let failed = |source| TokenFileError::Io { action: "read", path: path.into(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenFileError::TooOpen { path: path.into(), mode });
        }
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(FILE_OCTETS_MAX));
    file.take(FILE_OCTETS_MAX as u64).read_to_end(&mut octets).map_err(failed)?;
    serde_json::from_slice(&octets).map(Some).map_err(|_| TokenFileError::Shape { path: path.into() })
}

/// Puts the tokens in the place of those that are there.
pub(super) fn save(path: &Path, token: &StoredToken) -> Result<(), TokenFileError> {
    let failed = |source| TokenFileError::Io { action: "write", path: path.into(), source };
    let octets = Zeroizing::new(serde_json::to_vec(token).map_err(|error| failed(error.into()))?);
    let half = beside(path, "new");
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let write = || -> io::Result<()> {
        let mut file = secret(OpenOptions::new().write(true).create_new(true)).open(&half)?;
        file.write_all(&octets)?;
        file.sync_all()?;
        std::fs::rename(&half, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(failed)
}

/// Waits until no other program works on the tokens; they stay locked until the answer is dropped.
pub(super) async fn lock(path: &Path, limit: Duration) -> Result<File, TokenFileError> {
    let failed = |source| TokenFileError::Io { action: "lock", path: path.into(), source };
    let file =
        secret(OpenOptions::new().write(true).create(true)).open(beside(path, "lock")).map_err(failed)?;
    let deadline = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE).await,
            Err(TryLockError::WouldBlock) => return Err(TokenFileError::Locked { path: path.into() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn secret(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

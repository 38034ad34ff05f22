//! The center's chain of roots, from the first to the newest: what every new appliance is given, and what is sent to the
//! others after a rotation. Nothing in it is secret; the keys that sign roots need not be here.

use crate::home::{HomeError, write_whole};
use mailfmt::trust::{DOCUMENT_OCTETS_MAX, ROOTS_MAX, RootError, SignedRoot, TrustedRoot};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// A chain of roots that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// There is none.
    #[error("there is no {}; `center-manager root create` makes the first root", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no list of roots.
    #[error("{} is no list of roots", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
    /// An appliance would not follow it.
    #[error("{}: no appliance would trust these roots", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RootError,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] HomeError),
}

/// Reads a chain as it stands in a file; nothing is verified.
///
/// # Errors
/// [`RootsError::Missing`], [`RootsError::Read`] or [`RootsError::Shape`].
pub fn read_chain(path: &Path) -> Result<Vec<SignedRoot>, RootsError> {
    // Half more for base64, and the JSON around it.
    let limit = u64::try_from(ROOTS_MAX * (DOCUMENT_OCTETS_MAX / 2 * 3)).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    let path = path.to_owned();
    match std::fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut text)) {
        Ok(_) => serde_json::from_slice(&text).map_err(|source| RootsError::Shape { path, source }),
        Err(source) if source.kind() == ErrorKind::NotFound => Err(RootsError::Missing { path }),
        Err(source) => Err(RootsError::Read { path, source }),
    }
}

/// Reads a chain and follows it as an appliance would that trusts the first root.
///
/// # Errors
/// [`RootsError`].
pub fn read_trusted(path: &Path) -> Result<(Vec<SignedRoot>, TrustedRoot), RootsError> {
    let chain = read_chain(path)?;
    let trusted =
        TrustedRoot::first(&chain).map_err(|source| RootsError::Root { path: path.to_owned(), source })?;
    Ok((chain, trusted))
}

/// Writes a chain, whole or not at all.
///
/// # Errors
/// [`RootsError::Write`] or [`RootsError::Shape`].
pub fn write_chain(path: &Path, chain: &[SignedRoot]) -> Result<(), RootsError> {
    let mut text = serde_json::to_vec_pretty(chain)
        .map_err(|source| RootsError::Shape { path: path.to_owned(), source })?;
    text.push(b'\n');
    Ok(write_whole(path, &text)?)
}

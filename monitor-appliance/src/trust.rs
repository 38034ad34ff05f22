//! Whom this appliance trusts: the chain of roots of its center, from the first to the newest, in one file that is
//! replaced at once.
//!
//! The chain is followed anew whenever it is read, so a file that was changed by hand is found out.

use crate::layout::Layout;
use crate::release::{ReleaseError, create_folder};
use crate::replace_file::replace_file;
use mailfmt::CenterId;
use mailfmt::trust::{DOCUMENT_OCTETS_MAX, ROOTS_MAX, RootError, SignedRoot, TrustedRoot};
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;

/// Roots that cannot be trusted, or not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There are none.
    #[error("there is no {}: nobody's packages are trusted; ask the center for a new introduction", path.display())]
    Missing {
        /// Where they should be.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the roots {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no list of roots.
    #[error("{} is no list of roots; ask the center for a new introduction", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
    /// The chain is broken or not signed as it must be.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The chain is another center's.
    #[error("the roots are those of center {found}, not of {center}")]
    AnotherCenter {
        /// Theirs.
        found: CenterId,
        /// Ours.
        center: CenterId,
    },
    /// The file cannot be replaced.
    #[error("the roots cannot be stored")]
    Write(#[from] ReleaseError),
}

/// The chain as it lies there; nothing is verified yet.
///
/// # Errors
/// [`TrustError::Missing`], [`TrustError::Read`] or [`TrustError::Shape`].
pub fn stored_chain(layout: &Layout) -> Result<Vec<SignedRoot>, TrustError> {
    let path = layout.trust_file();
    // A third more for base64, and the JSON around it.
    let limit = u64::try_from(ROOTS_MAX * (DOCUMENT_OCTETS_MAX / 2 * 3)).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    match std::fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut text)) {
        Ok(_) => serde_json::from_slice(&text).map_err(|source| TrustError::Shape { path, source }),
        Err(source) if source.kind() == ErrorKind::NotFound => Err(TrustError::Missing { path }),
        Err(source) => Err(TrustError::Read { path, source }),
    }
}

/// The newest root that this appliance trusts.
///
/// # Errors
/// [`TrustError`]; then it installs nothing.
pub fn read(layout: &Layout, center: &CenterId) -> Result<TrustedRoot, TrustError> {
    of_center(TrustedRoot::first(&stored_chain(layout)?)?, center)
}

/// Trusts this chain instead of any that is there; it came over an authentic channel, with an introduction or admission.
///
/// # Errors
/// [`TrustError`]; then nothing was changed.
pub fn replace(layout: &Layout, center: &CenterId, chain: &[SignedRoot]) -> Result<TrustedRoot, TrustError> {
    let trusted = of_center(TrustedRoot::first(chain)?, center)?;
    write(layout, chain)?;
    Ok(trusted)
}

/// Follows newer roots, which may come from anybody, and keeps the longer chain. Durable when it returns.
///
/// # Errors
/// [`TrustError`]; then the old root is trusted still.
pub fn follow(layout: &Layout, center: &CenterId, newer: &[SignedRoot]) -> Result<TrustedRoot, TrustError> {
    let mut chain = stored_chain(layout)?;
    let before = of_center(TrustedRoot::first(&chain)?, center)?;
    let trusted = before.advance(newer)?;
    let added = trusted.root().version.saturating_sub(before.root().version);
    if added > 0 {
        // The chain has no gaps, so the new ones are its last.
        let skip = newer.len().saturating_sub(usize::try_from(added).unwrap_or(usize::MAX));
        chain.extend(newer.iter().skip(skip).cloned());
        TrustedRoot::first(&chain)?;
        write(layout, &chain)?;
    }
    Ok(trusted)
}

fn of_center(trusted: TrustedRoot, center: &CenterId) -> Result<TrustedRoot, TrustError> {
    if trusted.root().center == *center {
        return Ok(trusted);
    }
    Err(TrustError::AnotherCenter { found: trusted.root().center.clone(), center: center.clone() })
}

fn write(layout: &Layout, chain: &[SignedRoot]) -> Result<(), TrustError> {
    let path = layout.trust_file();
    let text = serde_json::to_vec_pretty(chain)
        .map_err(|source| TrustError::Shape { path: path.clone(), source })?;
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    Ok(replace_file(&path, &text, 0o644)?)
}

#[cfg(test)]
mod tests;

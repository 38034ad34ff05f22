//! Looking at a package that lies in a file, without holding it.

use super::MAGIC;
use super::open::{Inspection, PackageError, at_most, read_manifest};
use crate::digest::Digest;
use crate::limits::Limits;
use crate::reader::Reader;
use crate::trust::KeyId;
use std::io::Read;

/// Why a package file could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It is no good.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// Reading failed; the package may be good.
    #[error("the package could not be read")]
    Io(#[from] std::io::Error),
}

/// The same as [`super::inspect`] for a package of `octets` octets that need not fit the memory: only its manifest is held.
///
/// # Errors
/// [`InspectError`].
pub fn inspect_from(package: impl Read, octets: u64, limits: &Limits) -> Result<Inspection, InspectError> {
    let damaged = |field| PackageError::Damaged { field };
    let size = usize::try_from(octets).unwrap_or(usize::MAX);
    at_most("size in octets", size, limits.package_octets)?;
    let mut package = package.take(octets);
    let mut next = |count: u64| -> std::io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        package.by_ref().take(count).read_to_end(&mut octets)?;
        Ok(octets)
    };
    if next(4)? != MAGIC {
        return Err(PackageError::NotAPackage.into());
    }
    let length = Reader::new(&next(4)?).u32().ok_or(damaged("length of the manifest"))?;
    at_most("manifest in octets", usize::try_from(length).unwrap_or(usize::MAX), limits.manifest_octets)?;
    let manifest = next(length.into())?;
    if u32::try_from(manifest.len()) != Ok(length) {
        return Err(damaged("manifest").into());
    }
    let count = Reader::new(&next(1)?).u8().ok_or(damaged("number of signatures"))?;
    let mut signers = Vec::new();
    for _ in 0..count {
        let signature = next(SIGNATURE_OCTETS)?;
        let mut reader = Reader::new(&signature);
        let (id, signed) = (reader.array(), reader.array::<64>());
        let (Some(id), Some(_)) = (id, signed) else { return Err(damaged("signature").into()) };
        signers.push(KeyId(id));
    }
    let length = Reader::new(&next(8)?).u64().ok_or(damaged("length of the content"))?;
    let left = package.limit();
    if length > left {
        return Err(damaged("content").into());
    }
    let content = Digest::of_reader(package.by_ref().take(length))?;
    if package.limit() > left.saturating_sub(length) {
        return Err(damaged("content").into());
    }
    if package.limit() > 0 {
        return Err(damaged("end: octets follow the content").into());
    }
    let id = Digest::of(&manifest);
    Ok(Inspection { id, manifest: read_manifest(&manifest, content, limits)?, signers })
}

/// A signature with the id of its key.
const SIGNATURE_OCTETS: u64 = 8 + 64;

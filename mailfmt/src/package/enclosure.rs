//! The enclosure: a package encrypted once for all sites, in chunks that cannot be cut, swapped or reordered.

use crate::crypto::ContentKey;
use crate::limits::Limits;
use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, KeyInit};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 4] = b"MFC1";
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;

/// A content key encrypts one package, so the seven octets of the STREAM nonce may be fixed.
const NONCE_OF_A_SINGLE_USE_KEY: [u8; 7] = [0; 7];

/// Why an enclosure cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnclosureError {
    /// It does not start like an encrypted package of a format that we know.
    #[error("not an encrypted package of a known format")]
    NotAnEnclosure,
    /// Larger than allowed.
    #[error("the encrypted package has {found} octets, more than the {limit} allowed")]
    TooLarge {
        /// Octets found.
        found: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// Wrong key, cut or changed.
    #[error("the encrypted package was cut or changed, or the key is another one")]
    Forged,
}

/// Encrypts a package. Use each `key` for one package only.
#[must_use]
pub fn enclose(package: &[u8], key: &ContentKey) -> Vec<u8> {
    let mut stream =
        EncryptorBE32::from_aead(Aes256Gcm::new(key.as_bytes().into()), &NONCE_OF_A_SINGLE_USE_KEY.into());
    let mut enclosure =
        Vec::with_capacity(package.len().saturating_add(package.len() / CHUNK * TAG).saturating_add(64));
    enclosure.extend(MAGIC);
    let (last, whole) = chunks(package, CHUNK);
    let failed = "AES-GCM encrypts a chunk; the limits keep the counter below 2^32";
    for chunk in whole {
        enclosure.extend(stream.encrypt_next(chunk).expect(failed));
    }
    enclosure.extend(stream.encrypt_last(last).expect(failed));
    enclosure
}

/// Decrypts an enclosure; what comes out is a package file, not yet verified.
///
/// # Errors
/// [`EnclosureError`]; nothing is given out unless all of it is authentic.
pub fn unwrap(enclosure: &[u8], key: &ContentKey, limits: &Limits) -> Result<Vec<u8>, EnclosureError> {
    if enclosure.len() > limits.package_octets {
        return Err(EnclosureError::TooLarge { found: enclosure.len(), limit: limits.package_octets });
    }
    let sealed = enclosure.strip_prefix(MAGIC).ok_or(EnclosureError::NotAnEnclosure)?;
    let mut stream =
        DecryptorBE32::from_aead(Aes256Gcm::new(key.as_bytes().into()), &NONCE_OF_A_SINGLE_USE_KEY.into());
    let mut package = Vec::with_capacity(sealed.len());
    let (last, whole) = chunks(sealed, CHUNK.saturating_add(TAG));
    for chunk in whole {
        package.extend(stream.decrypt_next(chunk).map_err(|_| EnclosureError::Forged)?);
    }
    package.extend(stream.decrypt_last(last).map_err(|_| EnclosureError::Forged)?);
    Ok(package)
}

/// Why an enclosure could not be decrypted from one file into another.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// It is no good.
    #[error(transparent)]
    Enclosure(#[from] EnclosureError),
    /// Reading or writing failed; the enclosure may be good.
    #[error("the encrypted package could not be read or its content not be written")]
    Io(#[from] io::Error),
}

/// The same as [`unwrap`] for an enclosure of `octets` octets that need not fit the memory: a chunk at a time is read,
/// decrypted and written. What was written is worth something only after an `Ok`; throw it away after an error.
///
/// # Errors
/// [`UnwrapError`].
pub fn unwrap_from(
    enclosure: impl Read,
    octets: u64,
    key: &ContentKey,
    limits: &Limits,
    mut package: impl Write,
) -> Result<(), UnwrapError> {
    let found = usize::try_from(octets).unwrap_or(usize::MAX);
    if found > limits.package_octets {
        return Err(EnclosureError::TooLarge { found, limit: limits.package_octets }.into());
    }
    let mut enclosure = enclosure.take(octets);
    let mut magic = Vec::new();
    enclosure.by_ref().take(4).read_to_end(&mut magic)?;
    if magic != MAGIC {
        return Err(EnclosureError::NotAnEnclosure.into());
    }
    let mut stream =
        DecryptorBE32::from_aead(Aes256Gcm::new(key.as_bytes().into()), &NONCE_OF_A_SINGLE_USE_KEY.into());
    let size = u64::try_from(CHUNK.saturating_add(TAG)).unwrap_or(u64::MAX);
    let (mut chunk, mut next) = (Vec::new(), Vec::new());
    enclosure.by_ref().take(size).read_to_end(&mut chunk)?;
    loop {
        // Whether a chunk is the last one only the next one tells.
        next.clear();
        if enclosure.by_ref().take(size).read_to_end(&mut next)? == 0 {
            let plain = stream.decrypt_last(chunk.as_slice()).map_err(|_| EnclosureError::Forged)?;
            return Ok(package.write_all(&plain)?);
        }
        let plain = stream.decrypt_next(chunk.as_slice()).map_err(|_| EnclosureError::Forged)?;
        package.write_all(&plain)?;
        std::mem::swap(&mut chunk, &mut next);
    }
}

/// The last chunk (never empty unless all is) and the whole ones before it.
fn chunks(octets: &[u8], size: usize) -> (&[u8], std::slice::Chunks<'_, u8>) {
    let tail = match octets.len().checked_rem(size) {
        Some(0) | None => size.min(octets.len()),
        Some(rest) => rest,
    };
    let (whole, last) = octets.split_at(octets.len().saturating_sub(tail));
    (last, whole.chunks(size))
}

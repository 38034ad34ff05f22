//! The enclosure: a package encrypted once for all sites, in chunks that cannot be cut, swapped or reordered.

use crate::crypto::ContentKey;
use crate::limits::Limits;
use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, KeyInit};

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

/// The last chunk (never empty unless all is) and the whole ones before it.
fn chunks(octets: &[u8], size: usize) -> (&[u8], std::slice::Chunks<'_, u8>) {
    let tail = match octets.len().checked_rem(size) {
        Some(0) | None => size.min(octets.len()),
        Some(rest) => rest,
    };
    let (whole, last) = octets.split_at(octets.len().saturating_sub(tail));
    (last, whole.chunks(size))
}

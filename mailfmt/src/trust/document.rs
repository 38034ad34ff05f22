//! Signed documents: JSON with signatures behind it, octet for octet as it was signed.
//!
//! ```text
//! octets  field
//!      4  magic "MFR1": format number 1
//!      4  length of the document
//!      .  document, JSON
//!      1  number of signatures
//!     72  per signature: key id (8), Ed25519 (64)
//! ```

use super::keys::{KeyId, SigningKey};
use super::role::Signature;
use crate::reader::Reader;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The first octets of every signed document.
pub const MAGIC: &[u8; 4] = b"MFR1";

/// Most octets of one signed document: four roles of 32 keys and a thousand revoked packages, with ease.
pub const DOCUMENT_OCTETS_MAX: usize = 128 << 10;

/// Octets that are no signed document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// They do not start like one.
    #[error("not a signed document of a known format")]
    NotADocument,
    /// Larger than any.
    #[error("the document has {found} octets, more than the {DOCUMENT_OCTETS_MAX} allowed")]
    TooLarge {
        /// How many.
        found: usize,
    },
    /// It ends too early or goes on behind its end.
    #[error("the document is cut or damaged at {field}")]
    Damaged {
        /// Which field.
        field: &'static str,
    },
    /// The JSON is not what this version understands.
    #[error("the document cannot be read")]
    Json(#[from] serde_json::Error),
}

/// What a document is; a signature over one kind never passes as one over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Permit,
    Approval,
}

impl Kind {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Root => b"mailfmt root 1\0",
            Self::Permit => b"mailfmt permit 1\0",
            Self::Approval => b"mailfmt approval 1\0",
        }
    }

    /// What a signature covers.
    pub(super) fn signed_octets(self, json: &[u8]) -> Vec<u8> {
        [self.prefix(), json].concat()
    }
}

/// A document taken apart; nothing of it was verified.
pub(super) struct Parts<'a> {
    pub(super) json: &'a [u8],
    pub(super) signatures: Vec<Signature>,
}

pub(super) fn split(octets: &[u8]) -> Result<Parts<'_>, DocumentError> {
    let damaged = |field| DocumentError::Damaged { field };
    if octets.len() > DOCUMENT_OCTETS_MAX {
        return Err(DocumentError::TooLarge { found: octets.len() });
    }
    let mut reader = Reader::new(octets);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(DocumentError::NotADocument);
    }
    let length = reader.length().ok_or(damaged("length of the document"))?;
    let json = reader.take(length).ok_or(damaged("document"))?;
    let count = reader.u8().ok_or(damaged("number of signatures"))?;
    let mut signatures = Vec::new();
    for _ in 0..count {
        let id = KeyId(reader.array().ok_or(damaged("signature"))?);
        signatures.push((id, reader.array().ok_or(damaged("signature"))?));
    }
    if !reader.rest().is_empty() {
        return Err(damaged("end: octets follow the signatures"));
    }
    Ok(Parts { json, signatures })
}

pub(super) fn assemble(json: &[u8], signatures: &[Signature]) -> Result<Vec<u8>, DocumentError> {
    let length = u32::try_from(json.len()).map_err(|_| DocumentError::TooLarge { found: json.len() })?;
    let count = u8::try_from(signatures.len()).map_err(|_| DocumentError::Damaged { field: "signatures" })?;
    let mut octets = [MAGIC.as_slice(), &length.to_be_bytes(), json, &[count]].concat();
    for (id, signature) in signatures {
        octets.extend(id.0);
        octets.extend(signature);
    }
    if octets.len() > DOCUMENT_OCTETS_MAX {
        return Err(DocumentError::TooLarge { found: octets.len() });
    }
    Ok(octets)
}

pub(super) fn unsigned<T: Serialize>(value: &T) -> Result<Vec<u8>, DocumentError> {
    assemble(&serde_json::to_vec(value)?, &[])
}

/// Adds a signature; the same key's replaces its own.
pub(super) fn sign(octets: &[u8], kind: Kind, key: &SigningKey) -> Result<Vec<u8>, DocumentError> {
    let Parts { json, mut signatures } = split(octets)?;
    let id = key.public().id();
    signatures.retain(|(signer, _)| *signer != id);
    signatures.push((id, key.sign(&kind.signed_octets(json))));
    assemble(json, &signatures)
}

pub(super) fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, DocumentError> {
    Ok(serde_json::from_slice(split(octets)?.json)?)
}

//! Deltas: a module as the difference from the file that the appliance has already.
//!
//! The format is that of bsdiff, not compressed: the package's content is deflated as a whole. A delta is made and
//! applied over whole files in memory, and both ends of it are named by their SHA-256, so that a delta never makes
//! anything but the file in the manifest.

use crate::digest::Digest;
use crate::ids::ModuleName;
use serde::{Deserialize, Serialize};

/// A delta of one module from one older file of it, as the manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeltaEntry {
    /// SHA-256 of the older file.
    pub from: Digest,
    /// Octets of the delta.
    pub octets: u64,
    /// SHA-256 of the delta.
    pub sha256: Digest,
}

/// A delta that does not lead to the file that was promised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// It is damaged, or not for this older file.
    #[error("the delta is damaged, or made for another file")]
    Damaged {
        /// What the reader said.
        source: std::io::Error,
    },
    /// It led to another file.
    #[error("the delta led to another file than the manifest names")]
    Outcome,
}

/// The name of a delta's file inside a package; module names cannot hold the slash.
pub(super) fn file_name(module: &ModuleName, from: &Digest) -> String {
    format!("delta/{module}/{from}")
}

/// The delta from `old` to `new`. Takes memory of about nine times `old`.
#[must_use]
pub fn make(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut delta = Vec::new();
    bsdiff::diff(old, new, &mut delta).expect("writing into memory does not fail");
    delta
}

/// The file to which `delta` leads from `old`; it is the one that `sha256` names.
///
/// What a delta makes is never longer than the delta itself, so its length bounds the memory.
///
/// # Errors
/// [`DeltaError`].
pub fn apply(old: &[u8], mut delta: &[u8], sha256: &Digest) -> Result<Vec<u8>, DeltaError> {
    let mut new = Vec::with_capacity(delta.len());
    bsdiff::patch(old, &mut delta, &mut new).map_err(|source| DeltaError::Damaged { source })?;
    if Digest::of(&new) == *sha256 { Ok(new) } else { Err(DeltaError::Outcome) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(seed: u32, octets: u32) -> Vec<u8> {
        (0..octets).map(|place| (place.wrapping_mul(seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn a_small_change_in_a_large_file_is_a_delta_of_mostly_zeros() {
        let old = file(7, 100_000);
        let mut new = old.clone();
        new.splice(5_000..5_010, b"another text in its place".iter().copied());
        let delta = make(&old, &new);
        assert_eq!(apply(&old, &delta, &Digest::of(&new)).unwrap(), new);
        let other = delta.iter().filter(|octet| **octet != 0).count();
        assert!(other < 300, "{other} octets that are not zero");
    }

    #[test]
    fn a_delta_on_another_file_is_refused() {
        let old = file(7, 5_000);
        let mut new = old.clone();
        new[2_500] ^= 1;
        let delta = make(&old, &new);
        let mut other = old.clone();
        other[10] ^= 1;
        assert!(matches!(apply(&other, &delta, &Digest::of(&new)), Err(DeltaError::Outcome)));
        assert!(apply(&old[..100], &delta, &Digest::of(&new)).is_err());
    }

    #[test]
    fn from_nothing_and_to_nothing() {
        for (old, new) in [(vec![], b"new".to_vec()), (b"old".to_vec(), vec![]), (vec![], vec![])] {
            assert_eq!(apply(&old, &make(&old, &new), &Digest::of(&new)).unwrap(), new);
        }
    }

    proptest! {
        #[test]
        fn every_delta_leads_back(old in proptest::collection::vec(0u8..4, 0..400), new in proptest::collection::vec(0u8..4, 0..400)) {
            prop_assert_eq!(apply(&old, &make(&old, &new), &Digest::of(&new)).unwrap(), new);
        }

        #[test]
        fn hostile_deltas_end_in_an_error_or_within_their_own_length(delta: Vec<u8>, old: Vec<u8>) {
            prop_assert!(apply(&old, &delta, &Digest::of(b"what was promised")).is_err());
        }
    }
}

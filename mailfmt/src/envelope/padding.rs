//! The encrypted part before encryption: deflated payload, trailer, zeros up to the size bucket.

use super::SealError;
use crate::reader::Reader;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read as _, Write as _};

/// Smallest size bucket, in octets.
const BUCKET_MIN: usize = 512;

/// Deflates, appends the trailer and fills up to the size bucket, so that the length tells little about the content.
pub(super) fn pad(payload: &[u8], trailer: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut encoder = DeflateEncoder::new(vec![0; 4], Compression::new(6));
    encoder.write_all(payload).expect("writing into memory does not fail");
    let mut padded = encoder.finish().expect("writing into memory does not fail");
    let deflated = u32::try_from(padded.len().saturating_sub(4))
        .map_err(|_| SealError::TooLarge { octets: payload.len() })?;
    if let Some(length) = padded.first_chunk_mut::<4>() {
        *length = deflated.to_be_bytes();
    }
    padded.extend(trailer);
    padded.resize(bucket(padded.len()), 0);
    Ok(padded)
}

/// The payload, inflated up to `limit` octets, and what stands behind it: the trailer and the zeros.
pub(super) fn unpad(padded: &[u8], limit: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut reader = Reader::new(padded);
    let length = reader.length()?;
    let deflated = reader.take(length)?;
    let cap = u64::try_from(limit).ok()?.saturating_add(1);
    let mut payload = Vec::new();
    DeflateDecoder::new(deflated).take(cap).read_to_end(&mut payload).ok()?;
    (payload.len() <= limit).then_some((payload, reader.rest()))
}

/// The size that a payload of `octets` is filled up to: four steps per doubling, so at most a quarter more.
fn bucket(octets: usize) -> usize {
    if octets <= BUCKET_MIN {
        return BUCKET_MIN;
    }
    let step = (octets.next_power_of_two() / 8).max(1);
    octets.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_bucket_is_at_most_a_quarter_more() {
        for octets in (1..5_000).chain([65_535, 65_536, 65_537, 1_000_001]) {
            let size = bucket(octets);
            assert!(size >= octets, "{octets} -> {size}");
            assert!(size == BUCKET_MIN || size <= octets + octets / 4 + 1, "{octets} -> {size}");
            assert_eq!(bucket(size), size, "a full bucket stays as it is");
        }
    }
}

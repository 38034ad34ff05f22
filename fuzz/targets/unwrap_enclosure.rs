#![no_main]
//! Octets as an encrypted package: without the key nothing comes out.

use mailfmt::Limits;
use mailfmt::crypto::ContentKey;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let key = ContentKey::generate(&mut |buffer: &mut [u8]| buffer.fill(1));
    assert!(mailfmt::package::unwrap(octets, &key, &Limits::default()).is_err());
});

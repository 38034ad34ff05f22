#![no_main]
//! Any octets as `winmail.dat`, as an opaque signature and as a mail: what is inside is no more than what was there.

use mailfmt::mail::{form_of, signed_content, tnef_contents};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let inside: usize = tnef_contents(octets).iter().map(|content| content.len()).sum();
    assert!(inside <= octets.len());
    assert!(signed_content(octets).is_none_or(|content| content.len() <= octets.len()));
    let _ = form_of(octets);
});

#![no_main]
//! Any text as armour: what comes out was all there, and comes out again when it is written again.

use mailfmt::mail::armour;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for octets in armour::read(text).into_iter().flatten() {
        assert!(octets.len() <= text.len());
        assert_eq!(armour::read(armour::write(&octets).as_bytes()), [Ok(octets)]);
    }
});

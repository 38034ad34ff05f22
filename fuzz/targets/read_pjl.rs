#![no_main]
//! Any octets as PJL answers are read.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = monitor_appliance::pjl::parse(octets);
});

#![no_main]
//! Any octets as an IPP answer are read within bounds, or refused.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    if let Ok(answer) = monitor_appliance::ipp::parse(octets) {
        let mut reading = monitor_appliance::device::Reading::default();
        let profiles = monitor_appliance::profile::Profiles::none();
        monitor_appliance::ipp::Told::of(&answer).complete(&mut reading, &profiles);
    }
});

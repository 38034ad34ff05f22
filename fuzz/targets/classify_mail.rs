#![no_main]
//! Any octets as a mail get a verdict.

libfuzzer_sys::fuzz_target!(|raw: &[u8]| {
    let limits = mailfmt::Limits::default();
    if let mailfmt::mail::Classified::Ours { attachment } = mailfmt::mail::classify(raw, &limits) {
        let _ = mailfmt::mail::Parcel::split(&attachment, &limits);
    }
});

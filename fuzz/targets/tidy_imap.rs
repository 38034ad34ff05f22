#![no_main]
//! Octets of an IMAP server pass the filter in front of the IMAP library: where the network cuts them changes nothing.

use mailbox::imap::tidy::Tidy;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((cut, octets)) = octets.split_first() else { return };
    let pass = |size: usize| {
        let mut tidy = Tidy::new(8192, 100_000);
        let mut out = Vec::new();
        let taken = octets.chunks(size.max(1)).try_for_each(|piece| tidy.push(piece, &mut out));
        taken.is_ok().then_some(out)
    };
    assert_eq!(pass(octets.len()), pass(usize::from(*cut)));
});

#![no_main]
//! Octets of an IMAP server pass the filter in front of the IMAP library: where the network cuts them changes nothing. What is put
//! aside on the way are a few short QUOTA responses, which say something sensible or nothing.

use mailbox::imap::tidy::Tidy;
use mailbox::quota::Quota;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((cut, octets)) = octets.split_first() else { return };
    let pass = |size: usize| {
        let mut tidy = Tidy::new(8192, 100_000);
        let mut out = Vec::new();
        let taken = octets.chunks(size.max(1)).try_for_each(|piece| tidy.push(piece, &mut out));
        let aside = tidy.take_aside();
        assert!(aside.len() <= 16 && aside.iter().all(|line| line.len() <= 1024));
        let quota = Quota::read(aside.iter().map(Vec::as_slice));
        assert!(quota.percent().is_none_or(|percent| percent <= 999) && !quota.to_string().is_empty());
        taken.is_ok().then_some((out, quota))
    };
    assert_eq!(pass(octets.len()), pass(usize::from(*cut)));
});

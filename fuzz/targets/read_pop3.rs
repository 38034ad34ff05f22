#![no_main]
//! Octets of a POP3 server: mails come out the same wherever the network cuts them.

use mailbox::pop3::reader::{Caps, read_mails};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((cut, octets)) = octets.split_first() else { return };
    let caps = Caps { line_octets_max: 998, mail_octets_max: 10_000 };
    let whole = read_mails([octets], caps);
    let pieces = read_mails(octets.chunks(usize::from(*cut).max(1)), caps);
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces);
    }
    assert_eq!(whole.is_ok(), pieces.is_ok());
});

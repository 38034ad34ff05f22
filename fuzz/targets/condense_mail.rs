//! A large mail read in pieces is what it is read whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailfmt::Limits;
use mailfmt::mail::{Classified, Condenser, Large, classify};

fuzz_target!(|octets: &[u8]| {
    let Some((first, rest)) = octets.split_first() else { return };
    // A run long enough to be taken out; where the zero octet stands, if there is one.
    let (before, behind) = match rest.iter().position(|octet| *octet == 0) {
        Some(place) => (&rest[..place], &rest[place + 1..]),
        None => (rest, &[][..]),
    };
    let letters: &[u8] = if first & 1 == 0 { b"TUZFMUFBQUFB" } else { b"QUFBQUFBQUFB" };
    let run = letters.iter().chain(std::iter::repeat_n(&b'Q', 100_000 + usize::from(*first)));
    let run: Vec<u8> = run.copied().collect();
    let width = 40 + usize::from(*first) % 100;
    let lines: Vec<u8> = run.chunks(width).flat_map(|line| [line, b"\r\n"].concat()).collect();
    let mail = [before, &lines, behind].concat();
    let limits = Limits::default();
    let mut condenser = Condenser::new(Vec::new());
    for piece in mail.chunks(4_099) {
        condenser.push(piece).expect("memory takes everything");
    }
    let (condensed, aside) = condenser.finish().expect("memory takes everything");
    match condensed.classify(&limits) {
        Large::Ours(place) => {
            let (start, end) = (place.start as usize, place.end as usize);
            let attachment = aside[start..end].to_vec();
            assert!(classify(&mail, &limits) == Classified::Ours { attachment });
        }
        Large::Small(small @ Classified::Ours { .. }) => assert!(small == classify(&mail, &limits)),
        // What is no attachment of ours may quote texts of any length; that it is none is what counts.
        Large::Small(_) => assert!(!matches!(classify(&mail, &limits), Classified::Ours { .. })),
        Large::Unclear => {}
    }
});

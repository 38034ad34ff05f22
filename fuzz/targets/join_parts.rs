#![no_main]
//! Octets as a cutting and the parts of it: a signed order brings it, yet whatever it says must end in an answer within
//! bounds. Behind a line end stand the parts, each as long as its place asks for; the bits of one octet say which are lost.

use mailfmt::Limits;
use mailfmt::parts::{Cutting, Parity, Parts, join};

fn any_cutting(octets: &[u8]) {
    let Ok(cutting) = serde_json::from_slice::<Cutting>(octets) else { return };
    if let Ok(shape) = cutting.check(u64::try_from(octets.len()).unwrap() * 1_000, &Limits::default()) {
        let missing = shape.missing(|number| number % 3 != 0);
        assert!(missing.len() <= cutting.hashes.len());
        assert!(
            missing
                .iter()
                .all(|number| shape.octets_of(*number).is_some() && cutting.hash(*number).is_some())
        );
    }
}

fn cut_and_lose(whole: &[u8], group: u8, extra: u8, lost: u8) {
    let parity = (extra > 0).then_some(Parity { group, extra });
    let Ok(parts) = Parts::cut(whole, 512, parity, &Limits::default()) else { return };
    let shape = parts.shape();
    let is_lost = |number: u32| lost & (1 << (number % 8)) != 0;
    let mut there: Vec<_> = (1..=shape.parts())
        .map(|number| parts.part(whole, number).filter(|_| !is_lost(number)).map(<[u8]>::to_vec))
        .collect();
    for number in shape.missing(|number| !is_lost(number)) {
        there[number as usize - 1] = parts.part(whole, number).map(<[u8]>::to_vec);
    }
    assert_eq!(join(shape, &there).unwrap(), whole);
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    any_cutting(octets);
    if let [group, extra, lost, whole @ ..] = octets {
        cut_and_lose(whole, *group, *extra, *lost);
    }
});

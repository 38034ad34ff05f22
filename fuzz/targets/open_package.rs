#![no_main]
//! Octets as a package file; the first octet chooses whether the signature is made to fit, so that the reader behind it is reached too.

use mailfmt::package::{self, SigningKey, Site};
use mailfmt::trust::{Role, Root, SignedRoot, TrustedRoot};
use mailfmt::{Limits, SoftwareVersion};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let limits = Limits::default();
    let key = SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(1));
    let package = match choice & 1 {
        0 => octets.to_vec(),
        _ => match package::sign(octets, &key, &limits) {
            Ok(signed) => signed,
            Err(_) => return,
        },
    };
    let Ok(running) = SoftwareVersion::new("1.0.00-1") else { return };
    let (Some(root), Ok(agent)) = (trusted_root(&key), "AGENT0000001".parse()) else { return };
    let site = Site {
        root: &root,
        agent: &agent,
        permit: None,
        running: &running,
        hardware: "x86_64",
        installed_counter: 0,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let _ = package::inspect(&package, &limits);
    let _ = package::open(&package, &site, &limits);
});

fn trusted_root(release: &SigningKey) -> Option<TrustedRoot> {
    let other = |seed: u8| SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed));
    let root = Root {
        version: 1,
        center: "CENTER".parse().ok()?,
        created: jiff::Timestamp::UNIX_EPOCH,
        expires: jiff::Timestamp::MAX,
        root: Role::of(other(2).public()),
        release: Role::of(release.public()),
        command: Role::of(other(3).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
    };
    TrustedRoot::first(&[SignedRoot::unsigned(&root).ok()?.sign(&other(2)).ok()?]).ok()
}

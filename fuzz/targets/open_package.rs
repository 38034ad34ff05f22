#![no_main]
//! Octets as a package file; the first octet chooses whether the signature is made to fit, so that the reader behind it is reached too.

use mailfmt::package::{self, SigningKey, Site};
use mailfmt::trust::{Role, Root, SignedRoot, TrustedRoot};
use mailfmt::{Limits, SoftwareVersion};
use std::sync::LazyLock;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let limits = Limits::default();
    let package = match choice & 1 {
        0 => octets.to_vec(),
        _ => match package::sign(octets, &KEY, &limits) {
            Ok(signed) => signed,
            Err(_) => return,
        },
    };
    let Ok(running) = SoftwareVersion::new("1.0.00-1") else { return };
    let Ok(agent) = "AGENT0000001".parse() else { return };
    let site = Site {
        root: &ROOT,
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

static KEY: LazyLock<SigningKey> = LazyLock::new(|| key(1));

static ROOT: LazyLock<TrustedRoot> = LazyLock::new(|| {
    let root = Root {
        version: 1,
        center: "CENTER".parse().unwrap(),
        created: jiff::Timestamp::UNIX_EPOCH,
        expires: jiff::Timestamp::MAX,
        root: Role::of(key(2).public()),
        release: Role::of(KEY.public()),
        command: Role::of(key(3).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    TrustedRoot::first(&[SignedRoot::unsigned(&root).unwrap().sign(&key(2)).unwrap()]).unwrap()
});

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

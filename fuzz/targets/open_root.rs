#![no_main]
//! Octets as a root, behind a trusted one, and as a permit. The first octet chooses whether they are signed to fit, so that
//! what stands behind the signatures is reached too; rarely, since signing is slow.

use mailfmt::trust::{Downgrade, Role, Root, SignedPermit, SignedRoot, SigningKey, TrustedRoot};
use mailfmt::{AgentId, Digest, SoftwareVersion};
use std::sync::LazyLock;

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

static KEYS: LazyLock<[SigningKey; 3]> = LazyLock::new(|| [key(1), key(2), key(3)]);

static FIRST: LazyLock<TrustedRoot> = LazyLock::new(|| {
    let [root, release, command] = &*KEYS;
    let first = Root {
        version: 1,
        center: "CENTER".parse().unwrap(),
        created: jiff::Timestamp::UNIX_EPOCH,
        expires: jiff::Timestamp::MAX,
        root: Role::of(root.public()),
        release: Role::of(release.public()),
        command: Role::of(command.public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    TrustedRoot::first(&[SignedRoot::unsigned(&first).unwrap().sign(root).unwrap()]).unwrap()
});

fn as_root(root: &SignedRoot) {
    let (_, _) = (root.peek(), root.signers());
    let _ = TrustedRoot::first(std::slice::from_ref(root));
    if let Ok(next) = FIRST.advance(std::slice::from_ref(root)) {
        assert!(next.root().version <= 2 && next.advance(std::slice::from_ref(root)).is_ok());
    }
}

fn as_permit(permit: &SignedPermit) {
    let (agent, version) = (AgentId::new("AGENT0000001").unwrap(), SoftwareVersion::new("1.0.00-1").unwrap());
    let downgrade = Downgrade {
        agent: &agent,
        package: Digest::of(b"a manifest"),
        running: &version,
        target: &version,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let _ = permit.peek();
    let _ = permit.check(FIRST.root(), &downgrade);
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let (root, permit) =
        (SignedRoot::from_octets(octets.to_vec()), SignedPermit::from_octets(octets.to_vec()));
    match choice {
        1 => {
            if let Ok(signed) = root.sign(&KEYS[0]) {
                as_root(&signed);
            }
        }
        2 => {
            if let Ok(signed) = permit.sign(&KEYS[1]) {
                as_permit(&signed);
            }
        }
        _ => {
            as_root(&root);
            as_permit(&permit);
        }
    }
});

#![no_main]
//! Octets as a root behind a trusted one, and as a permit. The first octet chooses whether they are signed to fit, so that
//! what stands behind the signatures is reached too.

use mailfmt::trust::{Downgrade, Role, Root, SignedPermit, SignedRoot, SigningKey, TrustedRoot};
use mailfmt::{AgentId, Digest, SoftwareVersion};

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

fn first() -> Option<TrustedRoot> {
    let root = Root {
        version: 1,
        center: "CENTER".parse().ok()?,
        created: jiff::Timestamp::UNIX_EPOCH,
        expires: jiff::Timestamp::MAX,
        root: Role::of(key(1).public()),
        release: Role::of(key(2).public()),
        command: Role::of(key(3).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
    };
    TrustedRoot::first(&[SignedRoot::unsigned(&root).ok()?.sign(&key(1)).ok()?]).ok()
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let Some(trusted) = first() else { return };
    let (mut root, mut permit) =
        (SignedRoot::from_octets(octets.to_vec()), SignedPermit::from_octets(octets.to_vec()));
    if choice & 1 == 1 {
        let (Ok(signed), Ok(permitted)) = (root.sign(&key(1)), permit.sign(&key(2))) else { return };
        (root, permit) = (signed, permitted);
    }
    let (_, _) = (root.peek(), root.signers());
    let _ = TrustedRoot::first(&[root.clone()]);
    if let Ok(next) = trusted.advance(&[root.clone()]) {
        assert!(next.root().version <= 2 && next.advance(&[root]).is_ok());
    }
    let (Ok(agent), Ok(version)) = (AgentId::new("AGENT0000001"), SoftwareVersion::new("1.0.00-1")) else { return };
    let downgrade = Downgrade {
        agent: &agent,
        package: Digest::of(b"a manifest"),
        running: &version,
        target: &version,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let _ = permit.peek();
    let _ = permit.check(trusted.root(), &downgrade);
});

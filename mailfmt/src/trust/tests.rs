use super::*;
use crate::digest::Digest;
use crate::ids::CenterId;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

fn role(threshold: u32, seeds: &[u8]) -> Role {
    Role { threshold, keys: seeds.iter().map(|seed| key(*seed).public()).collect() }
}

/// Root keys 1 to 3, of which two must sign; release key 11; command key 21.
fn root(version: u64) -> Root {
    Root {
        version,
        center: CenterId::new("CENTER").unwrap(),
        created: now(),
        expires: now() + SignedDuration::from_hours(24 * 365),
        root: role(2, &[1, 2, 3]),
        release: role(1, &[11]),
        command: role(1, &[21]),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    }
}

fn signed(root: &Root, seeds: &[u8]) -> SignedRoot {
    let unsigned = SignedRoot::unsigned(root).unwrap();
    seeds.iter().fold(unsigned, |signed, seed| signed.sign(&key(*seed)).unwrap())
}

fn first() -> TrustedRoot {
    TrustedRoot::first(&[signed(&root(1), &[1, 2])]).unwrap()
}

/// Roots 1 to `count`; each passes the role of root on to a new pair of keys.
fn chain(count: u8) -> Vec<SignedRoot> {
    let pair = |version: u8| [version * 2, version * 2 + 1];
    (1..=count)
        .map(|version| {
            let root = Root { root: role(2, &pair(version)), ..root(version.into()) };
            let root = Root { release: role(1, &[200]), command: role(1, &[201]), ..root };
            let before = if version == 1 { Vec::new() } else { pair(version - 1).to_vec() };
            signed(&root, &[before, pair(version).to_vec()].concat())
        })
        .collect()
}

#[test]
fn a_first_root_signed_by_itself_is_trusted() {
    assert_eq!(first().root(), &root(1));
}

#[test]
fn an_appliance_that_missed_twenty_rotations_catches_up_from_one_mail() {
    let chain = chain(21);
    let old = TrustedRoot::first(&chain[..1]).unwrap();
    // None of the first keys is left in the last root.
    let new = old.advance(&chain[1..]).unwrap();
    assert_eq!(new.root().version, 21);
    assert_eq!(new, old.advance(&chain).unwrap(), "the whole chain does as well");
    assert_eq!(new, TrustedRoot::first(&chain).unwrap());
    assert_eq!(new, new.advance(&chain).unwrap(), "told again, nothing changes");
}

#[test]
fn a_chain_with_a_gap_is_refused_and_the_old_root_stays() {
    let chain = chain(5);
    let old = TrustedRoot::first(&chain[..1]).unwrap();
    let holed = [chain[1].clone(), chain[3].clone(), chain[4].clone()];
    assert!(matches!(old.advance(&holed), Err(RootError::Gap { wanted: 3, found: 4 })));
    assert!(matches!(TrustedRoot::first(&chain[1..]), Err(RootError::Gap { wanted: 1, found: 2 })));
}

#[test]
fn an_older_root_does_not_come_back() {
    let chain = chain(5);
    let new = TrustedRoot::first(&chain).unwrap();
    assert!(matches!(new.advance(&chain[..3]), Err(RootError::Older { found: 3, trusted: 5 })));
}

#[test]
fn a_root_below_the_threshold_is_refused() {
    for seeds in [&[][..], &[1], &[11, 21], &[1, 11, 21, 99]] {
        let refused = TrustedRoot::first(&[signed(&root(1), seeds)]).unwrap_err();
        assert!(matches!(refused, RootError::Signatures { version: 1, threshold: 2, .. }), "{seeds:?}");
        assert!(first().advance(&[signed(&root(2), seeds)]).is_err(), "{seeds:?}");
    }
}

#[test]
fn a_key_that_signs_twice_counts_once() {
    let once = signed(&root(1), &[1]);
    let document::Parts { json, mut signatures } = document::split(once.as_octets()).unwrap();
    signatures.push(signatures[0]);
    let twice = SignedRoot::from_octets(document::assemble(json, &signatures).unwrap());
    assert_eq!(twice.signers().unwrap().len(), 2);
    assert!(matches!(TrustedRoot::first(&[twice]), Err(RootError::Signatures { valid: 1, .. })));
    assert_eq!(signed(&root(1), &[1, 1, 1]).signers().unwrap().len(), 1);
}

#[test]
fn a_key_that_stands_twice_in_a_role_is_refused() {
    let twice = Root { root: role(2, &[1, 1]), ..root(1) };
    let refused = TrustedRoot::first(&[signed(&twice, &[1])]).unwrap_err();
    assert!(matches!(refused, RootError::Role { role: "root", source: RoleError::Twice { .. }, .. }));
}

#[test]
fn a_threshold_of_nothing_or_of_more_than_there_are_is_refused() {
    for role in [role(0, &[1]), role(2, &[1]), role(0, &[]), role(1, &[]), role(u32::MAX, &[1])] {
        assert!(matches!(role.check(), Err(RoleError::Threshold { .. })));
        assert!(!role.is_satisfied_by(&Default::default()), "nobody's signature is never enough");
        let root = Root { release: role, ..root(1) };
        assert!(TrustedRoot::first(&[signed(&root, &[1, 2])]).is_err());
    }
}

#[test]
fn a_key_that_was_taken_out_counts_no_more() {
    // Root 2 puts key 4 in place of key 3, signed by those who stay.
    let second = Root { root: role(2, &[1, 2, 4]), ..root(2) };
    let trusted = first().advance(&[signed(&second, &[1, 2])]).unwrap();
    let third = Root { root: role(2, &[1, 2, 4]), ..root(3) };
    assert!(trusted.advance(&[signed(&third, &[1, 3])]).is_err(), "the thief of key 3");
    assert!(trusted.advance(&[signed(&third, &[1, 4])]).is_ok());
}

#[test]
fn a_new_root_needs_the_old_keys_and_its_own() {
    let second = Root { root: role(2, &[7, 8]), ..root(2) };
    let by = |seeds: &[u8]| first().advance(&[signed(&second, seeds)]);
    assert!(matches!(by(&[7, 8]), Err(RootError::Signatures { by: 1, .. })), "nobody of old has agreed");
    assert!(matches!(by(&[1, 2]), Err(RootError::Signatures { by: 2, .. })), "nobody has the new keys");
    assert!(by(&[1, 2, 7, 8]).is_ok());
}

#[test]
fn two_different_roots_of_one_version_are_told_as_a_stolen_key() {
    let other = Root { created: now() + SignedDuration::from_hours(1), ..root(1) };
    let chain = [signed(&other, &[1, 2]), signed(&root(2), &[1, 2])];
    assert!(matches!(first().advance(&chain), Err(RootError::Forked { version: 1 })));
}

#[test]
fn further_signatures_make_no_other_root() {
    let chain = [signed(&root(1), &[1, 2, 3]), signed(&root(2), &[1, 3])];
    assert_eq!(first().advance(&chain).unwrap().root().version, 2);
}

#[test]
fn a_root_for_another_center_is_refused() {
    let second = Root { center: CenterId::new("OTHER").unwrap(), ..root(2) };
    let refused = first().advance(&[signed(&second, &[1, 2])]).unwrap_err();
    assert!(matches!(refused, RootError::AnotherCenter { version: 2, .. }));
}

#[test]
fn a_command_key_may_be_neither_a_release_nor_a_root_key() {
    for seed in [1, 11] {
        let root = Root { command: role(1, &[21, seed]), ..root(1) };
        let refused = TrustedRoot::first(&[signed(&root, &[1, 2])]).unwrap_err();
        assert!(matches!(refused, RootError::CommandKey { version: 1, .. }));
    }
}

#[test]
fn a_root_that_asks_for_two_signatures_under_a_mail_is_refused() {
    let root = Root { command: role(2, &[21, 22]), ..root(1) };
    let refused = TrustedRoot::first(&[signed(&root, &[1, 2])]).unwrap_err();
    assert!(matches!(refused, RootError::CommandThreshold { threshold: 2, .. }));
}

#[test]
fn an_expired_root_locks_nobody_out_of_a_newer_one() {
    let expired = Root { expires: now() - SignedDuration::from_hours(1), ..root(1) };
    let trusted = TrustedRoot::first(&[signed(&expired, &[1, 2])]).unwrap();
    assert!(trusted.root().is_expired(now()));
    assert!(!trusted.advance(&[signed(&root(2), &[1, 2])]).unwrap().root().is_expired(now()));
}

#[test]
fn a_reset_sets_the_release_counter_back_once() {
    let reset = Root { release_counter_reset: Some(7), ..root(2) };
    let trusted = first().advance(&[signed(&reset, &[1, 2]), signed(&root(3), &[1, 2])]).unwrap();
    assert_eq!(trusted.installed_counter(1_000_000, 1), 7);
    assert_eq!(trusted.installed_counter(3, 1), 3, "it never raises");
    assert_eq!(trusted.installed_counter(8, 2), 8, "what was installed since then stays");
    assert_eq!(trusted.installed_counter(8, 3), 8);
    assert_eq!(first().installed_counter(1_000_000, 1), 1_000_000);
}

#[test]
fn a_root_is_no_permit_and_a_permit_no_root() {
    let permit = DowngradePermit {
        center: CenterId::new("CENTER").unwrap(),
        agents: vec!["AGENT0000001".parse().unwrap()],
        package: Digest::of(b"a manifest"),
        from: "1.0.02-0".parse().unwrap(),
        to: "1.0.01-0".parse().unwrap(),
        expires: now(),
    };
    let permit = SignedPermit::unsigned(&permit).unwrap().sign(&key(1)).unwrap();
    let as_root = SignedRoot::from_octets(permit.as_octets().to_vec());
    assert!(as_root.signers_of(&role(1, &[1])).unwrap().is_empty(), "the signature is over another kind");
    assert!(TrustedRoot::first(&[as_root]).is_err());
}

#[test]
fn weak_keys_cannot_be_named() {
    // The neutral element, and a point of order eight: anybody can sign for them.
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert!(matches!(point.parse::<PublicKey>(), Err(KeyError::Public)), "{point}");
        let text = serde_json::to_string(&root(1)).unwrap();
        let weak = text.replace(&key(11).public().to_string(), point);
        assert!(serde_json::from_str::<Root>(&weak).is_err());
    }
}

#[test]
fn too_many_roots_or_too_long_ones_are_refused() {
    let many = vec![signed(&root(1), &[1, 2]); ROOTS_MAX + 1];
    assert!(matches!(TrustedRoot::first(&many), Err(RootError::Count { .. })));
    assert!(matches!(first().advance(&many), Err(RootError::Count { .. })));
    assert!(matches!(first().advance(&[]), Err(RootError::Count { found: 0 })));
    let long = SignedRoot::from_octets(vec![b'M'; DOCUMENT_OCTETS_MAX + 1]);
    assert!(matches!(TrustedRoot::first(&[long]), Err(RootError::Document(DocumentError::TooLarge { .. }))));
}

#[test]
fn any_flipped_bit_in_a_root_is_refused() {
    let (first, second) = (signed(&root(1), &[1, 2]), signed(&root(2), &[1, 2]));
    let trusted = TrustedRoot::first(std::slice::from_ref(&first)).unwrap();
    for bit in 0..first.as_octets().len() * 8 {
        let mut octets = first.as_octets().to_vec();
        octets[bit / 8] ^= 1 << (bit % 8);
        assert!(TrustedRoot::first(&[SignedRoot::from_octets(octets)]).is_err(), "bit {bit}");
        let mut octets = second.as_octets().to_vec();
        octets[bit / 8] ^= 1 << (bit % 8);
        assert!(trusted.advance(&[SignedRoot::from_octets(octets)]).is_err(), "bit {bit}");
    }
}

#[test]
fn any_prefix_of_a_root_is_refused() {
    let root = signed(&root(1), &[1, 2]);
    for length in 0..root.as_octets().len() {
        let cut = SignedRoot::from_octets(root.as_octets()[..length].to_vec());
        assert!(TrustedRoot::first(&[cut]).is_err(), "{length} octets");
    }
}

proptest! {
    #[test]
    fn any_octets_are_refused_as_root_and_permit_without_a_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for octets in [octets.clone(), [MAGIC.as_slice(), &octets].concat()] {
            let signed = SignedRoot::from_octets(octets.clone());
            prop_assert!(TrustedRoot::first(std::slice::from_ref(&signed)).is_err());
            prop_assert!(first().advance(&[signed]).is_err());
            prop_assert!(SignedPermit::from_octets(octets).peek().is_err());
        }
    }

    #[test]
    fn only_so_many_different_root_keys_as_must_make_a_root(seeds in proptest::collection::vec(1u8..6, 0..6)) {
        let mut good: Vec<_> = seeds.iter().filter(|seed| **seed <= 3).collect();
        good.sort_unstable();
        good.dedup();
        let trusted = TrustedRoot::first(&[signed(&root(1), &seeds)]);
        prop_assert_eq!(trusted.is_ok(), good.len() >= 2);
    }
}

use super::*;
use mailfmt::trust::{Role, Root, SigningKey};
use proptest::prelude::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

/// Roots 1 to `count`, all signed by the root key of `seed`.
fn chain(count: u64, seed: u8) -> Vec<SignedRoot> {
    let root = |version| Root {
        version,
        center: center(),
        created: "2026-01-02T03:04:05Z".parse().unwrap(),
        expires: "2036-01-02T03:04:05Z".parse().unwrap(),
        root: Role::of(key(seed).public()),
        release: Role::of(key(seed + 1).public()),
        command: Role::of(key(seed + 2).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    (1..=count)
        .map(|version| SignedRoot::unsigned(&root(version)).unwrap().sign(&key(seed)).unwrap())
        .collect()
}

fn layout() -> (tempfile::TempDir, Layout) {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path());
    (home, layout)
}

#[test]
fn an_appliance_without_roots_trusts_nobody() {
    let (_home, layout) = layout();
    assert!(matches!(read(&layout, &center()), Err(TrustError::Missing { .. })));
    assert!(matches!(follow(&layout, &center(), &chain(1, 1)), Err(TrustError::Missing { .. })));
}

#[test]
fn newer_roots_are_kept_behind_the_older_ones_however_many_were_missed() {
    let (_home, layout) = layout();
    let all = chain(21, 1);
    replace(&layout, &center(), &all[..1]).unwrap();
    for (told, version) in [(&all[1..4], 4), (&all[1..], 21), (&all[..], 21), (&all[19..], 21)] {
        assert_eq!(follow(&layout, &center(), told).unwrap().root().version, version);
        assert_eq!(read(&layout, &center()).unwrap().root().version, version);
        assert_eq!(stored_chain(&layout).unwrap(), all[..usize::try_from(version).unwrap()]);
    }
}

#[test]
fn a_stranger_cannot_lead_the_chain_on() {
    let (_home, layout) = layout();
    replace(&layout, &center(), &chain(2, 1)).unwrap();
    assert!(follow(&layout, &center(), &chain(3, 50)[2..]).is_err());
    assert!(follow(&layout, &center(), &chain(3, 50)).is_err());
    assert_eq!(read(&layout, &center()).unwrap().root().version, 2);
}

#[test]
fn roots_of_another_center_are_refused() {
    let (_home, layout) = layout();
    let other = CenterId::new("OTHER").unwrap();
    assert!(matches!(replace(&layout, &other, &chain(1, 1)), Err(TrustError::AnotherCenter { .. })));
    assert!(!layout.trust_file().exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn a_damaged_file_is_never_a_panic(text in ".{0,200}") {
        let (_home, layout) = layout();
        std::fs::create_dir_all(layout.trust_file().parent().unwrap()).unwrap();
        std::fs::write(layout.trust_file(), text).unwrap();
        prop_assert!(read(&layout, &center()).is_err());
    }
}

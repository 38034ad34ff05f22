use super::super::tests::Site;
use super::*;
use mailfmt::SoftwareVersion;
use mailfmt::crypto::ContentKey;
use mailfmt::package::enclose;

fn key() -> ContentKey {
    ContentKey::generate(&mut |buffer: &mut [u8]| buffer.fill(5))
}

fn order(enclosure: &[u8]) -> UpdateOrder {
    UpdateOrder {
        package: Digest::of(b"wanted"),
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        enclosure: Digest::of(enclosure),
        enclosure_octets: enclosure.len() as u64,
        content_key: key(),
        permit: None,
        parts: None,
        approval: None,
    }
}

#[test]
fn an_enclosure_that_is_not_the_ordered_one_is_refused_with_the_reason_and_leaves_nothing() {
    let site = Site::new();
    let enclosure = enclose(b"not even a package", &key());
    let order = order(&enclosure);
    let stored =
        |octets: &[u8]| store_package(&site.context, &order, &Enclosed::Octets(octets)).unwrap().unwrap_err();
    assert!(stored(&enclosure[..enclosure.len() - 1]).contains("octets"));
    let mut changed = enclosure.clone();
    changed[20] ^= 1;
    assert!(stored(&changed).contains("not the one"));
    assert!(stored(&enclosure).contains("not a package"));
    assert!(stored(b"").contains("octets"));
    let packages = std::fs::read_dir(site.context.layout.packages_dir()).unwrap().count();
    assert_eq!(packages, 0);
}

#[test]
fn in_memory_in_a_file_or_in_several_it_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    let octets: Vec<u8> = (0..200_000u32).map(|n| n.to_be_bytes()[3]).collect();
    let (one, first, second) = (home.path().join("one"), home.path().join("1"), home.path().join("2"));
    std::fs::write(&one, [b"head".as_slice(), &octets, b"tail"].concat()).unwrap();
    std::fs::write(&first, &octets[..70_001]).unwrap();
    std::fs::write(&second, &octets[70_001..]).unwrap();
    let ways = [
        Enclosed::Octets(&octets),
        Enclosed::File { path: &one, place: 4..200_004 },
        Enclosed::Files(vec![first, second]),
    ];
    for way in ways {
        assert_eq!((way.octets().unwrap(), way.digest().unwrap()), (200_000, Digest::of(&octets)), "{way:?}");
        let copy = home.path().join("copy");
        way.store_at(&copy).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), octets);
    }
}

#[test]
fn a_file_that_is_shorter_than_it_was_said_is_another_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("short");
    std::fs::write(&path, [7; 100]).unwrap();
    let enclosed = Enclosed::File { path: &path, place: 50..1_000 };
    assert_ne!(enclosed.digest().unwrap(), Digest::of(&[7; 950]));
}

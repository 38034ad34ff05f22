use super::*;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits::default()
}

fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from((at.wrapping_mul(2_654_435_761) >> 7) & 0xff).unwrap()).collect()
}

fn all(parts: &Parts, whole: &[u8]) -> Vec<Option<Vec<u8>>> {
    (1..=parts.shape().parts()).map(|number| parts.part(whole, number).map(<[u8]>::to_vec)).collect()
}

#[test]
fn the_last_part_may_be_short_and_all_together_are_the_whole() {
    let whole = octets(2_500);
    let parts = Parts::cut(&whole, 1_024, None, &limits()).unwrap();
    let lengths: Vec<_> = (0..=4).map(|number| parts.shape().octets_of(number)).collect();
    assert_eq!(lengths, [None, Some(1_024), Some(1_024), Some(452), None]);
    assert_eq!(join(parts.shape(), &all(&parts, &whole)).unwrap(), whole);
    assert_eq!(parts.cutting().hash(3), Some(Digest::of(&whole[2_048..])));
    assert_eq!((parts.cutting().hash(0), parts.cutting().hash(4)), (None, None));
}

#[test]
fn what_is_missing_is_told_by_number() {
    let whole = octets(5_000);
    let parts = Parts::cut(&whole, 1_024, None, &limits()).unwrap();
    let mut there = all(&parts, &whole);
    (there[1], there[4]) = (None, None);
    assert_eq!(join(parts.shape(), &there), Err(JoinError::Missing { missing: vec![2, 5] }));
}

#[test]
fn a_parity_part_stands_for_any_part_of_its_group_and_neighbours_have_different_groups() {
    let whole = octets(20_000);
    let parity = Some(Parity { group: 8, extra: 1 });
    let parts = Parts::cut(&whole, 1_024, parity, &limits()).unwrap();
    assert_eq!((parts.shape().data_parts(), parts.shape().parts()), (20, 23));
    for first in 0..18 {
        let mut there = all(&parts, &whole);
        there[first..first + 3].fill(None);
        assert_eq!(join(parts.shape(), &there).unwrap(), whole, "lost {first} to {}", first + 2);
    }
    let mut there = all(&parts, &whole);
    (there[0], there[3]) = (None, None);
    let JoinError::Missing { missing } = join(parts.shape(), &there).unwrap_err() else { panic!() };
    assert_eq!(missing, [4], "one of the two is enough");
    there[20] = None;
    assert_eq!(join(parts.shape(), &there), Err(JoinError::Missing { missing: vec![1, 4] }));
}

#[test]
fn cuttings_beyond_the_bounds_are_refused() {
    let cut = |octets, part, parity| Shape::new(octets, part, parity, &limits()).unwrap_err();
    assert_eq!(cut(0, 1_024, None), CuttingError::Empty);
    assert_eq!(cut(10, 511, None), CuttingError::TooSmall { octets: 511 });
    assert_eq!(
        cut(u64::MAX, 1_024, None),
        CuttingError::TooMany { parts: u64::MAX / 1_024 + 1, limit: 1_024 }
    );
    assert!(matches!(
        cut(1_024 * 1_024, 1_024, Some(Parity { group: 8, extra: 1 })),
        CuttingError::TooMany { .. }
    ));
    for (group, extra) in [(0, 1), (8, 0), (121, 1), (8, 17)] {
        assert_eq!(cut(9_000, 1_024, Some(Parity { group, extra })), CuttingError::Parity { group, extra });
    }
    let mut cutting = Parts::cut(&octets(3_000), 1_024, None, &limits()).unwrap().cutting().clone();
    assert!(cutting.check(3_000, &limits()).is_ok());
    assert_eq!(cutting.check(4_000, &limits()), Err(CuttingError::Hashes { found: 3, parts: 4 }));
    cutting.hashes.pop();
    assert_eq!(cutting.check(3_000, &limits()), Err(CuttingError::Hashes { found: 2, parts: 3 }));
}

#[test]
fn a_part_of_another_length_is_told() {
    let whole = octets(2_500);
    let parts = Parts::cut(&whole, 1_024, None, &limits()).unwrap();
    let mut there = all(&parts, &whole);
    there[2] = Some(vec![0; 453]);
    let right = JoinError::Length { number: 3, found: 453, right: 452 };
    assert_eq!(join(parts.shape(), &there), Err(right));
}

proptest! {
    #[test]
    fn as_many_of_a_group_as_it_has_parity_parts_may_be_lost(
        count in 1usize..40_000,
        group in 1u8..20,
        extra in 1u8..5,
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = octets(count);
        let parts = Parts::cut(&whole, 1_024, Some(Parity { group, extra }), &limits()).unwrap();
        let mut there = all(&parts, &whole);
        for index in lost {
            let place = index.index(there.len());
            there[place] = None;
        }
        let missing = parts.shape().missing(|number| there[number as usize - 1].is_some());
        for number in missing {
            // What comes again is just what was asked for, and that is enough.
            prop_assert!(number <= parts.shape().data_parts() && there[number as usize - 1].is_none());
            there[number as usize - 1] = parts.part(&whole, number).map(<[u8]>::to_vec);
        }
        prop_assert_eq!(join(parts.shape(), &there).unwrap(), whole);
    }

    #[test]
    fn any_shape_has_parts_of_the_lengths_that_make_the_whole(
        octets in 1u64..100_000_000,
        part in PART_OCTETS_MIN..10_000_000,
        parity in proptest::option::of((1u8..=120, 1u8..=16)),
    ) {
        let parity = parity.map(|(group, extra)| Parity { group, extra });
        if let Ok(shape) = Shape::new(octets, part, parity, &limits()) {
            let sum: u64 = (1..=shape.data_parts()).map(|number| shape.octets_of(number).unwrap() as u64).sum();
            prop_assert_eq!(sum, octets);
            prop_assert!(shape.parts() as usize <= limits().parts);
            prop_assert_eq!(shape.missing(|_| true), Vec::<u32>::new());
            prop_assert_eq!(shape.missing(|_| false).len(), shape.data_parts() as usize);
        }
    }
}

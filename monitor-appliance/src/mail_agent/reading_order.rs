//! In which order the mails of a mailbox are read. Pure.
//!
//! Whoever can write to the mailbox can fill it faster than it is read. A command that has just come lies at the newest
//! end, so that end is read first; one that a flood has buried is reached from the oldest end, which no new mail moves.
//! Small mails go before large ones, since a command is small; but after every round one large mail is read, so that
//! small junk does not keep a package out for ever.

/// Mails above this are read one in a round.
const SMALL_OCTETS_MAX: u64 = 64 << 10;

/// Small mails read from each end in one round.
const ROUND: usize = 250;

/// Places in the listing, in the order in which they are to be read; every place once. `sizes` are those of the mails
/// in octets, the oldest first; those above `octets_max` are never read, only deleted, and so cost as little as small ones.
pub(super) fn reading_order(sizes: &[u64], octets_max: u64) -> Vec<usize> {
    let is_small =
        |place: &usize| sizes.get(*place).is_some_and(|size| *size <= SMALL_OCTETS_MAX || *size > octets_max);
    let (small, large): (Vec<usize>, Vec<usize>) = (0..sizes.len()).partition(is_small);
    let (mut small, mut large) = (small.as_slice(), large.as_slice());
    let mut order = Vec::with_capacity(sizes.len());
    let mut newest_large = false;
    while !small.is_empty() || !large.is_empty() {
        if small.len() > ROUND {
            let (rest, newest) = small.split_at(small.len().saturating_sub(ROUND));
            order.extend_from_slice(newest);
            small = rest;
        }
        let (oldest, rest) = small.split_at(small.len().min(ROUND));
        order.extend_from_slice(oldest);
        small = rest;
        let next = if newest_large { large.split_last() } else { large.split_first() };
        if let Some((place, rest)) = next {
            order.push(*place);
            large = rest;
            newest_large = !newest_large;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: u64 = 2_000;
    const LARGE: u64 = 20_000_000;

    #[test]
    fn a_few_mails_are_read_as_they_came() {
        assert_eq!(reading_order(&[SMALL; 5], u64::MAX), [0, 1, 2, 3, 4]);
        assert!(reading_order(&[], u64::MAX).is_empty());
    }

    #[test]
    fn the_newest_mails_of_a_full_mailbox_are_read_first_and_then_the_oldest() {
        let order = reading_order(&[SMALL; 5_000], u64::MAX);
        assert_eq!((order[0], order[ROUND - 1]), (4_750, 4_999));
        assert_eq!((order[ROUND], order[2 * ROUND]), (0, 4_500));
    }

    #[test]
    fn a_command_behind_large_junk_is_read_before_it() {
        let mut sizes = vec![LARGE; 100];
        sizes.push(SMALL);
        assert_eq!(reading_order(&sizes, u64::MAX)[0], 100);
    }

    #[test]
    fn a_mail_that_is_too_large_to_be_read_waits_for_nothing() {
        assert_eq!(reading_order(&[LARGE, SMALL], LARGE - 1), [0, 1]);
        assert_eq!(reading_order(&[LARGE, SMALL], LARGE), [1, 0]);
    }

    #[test]
    fn a_package_is_read_after_one_round_however_much_small_junk_there_is() {
        let mut sizes = vec![SMALL; 10_000];
        sizes[3_000] = LARGE;
        assert_eq!(reading_order(&sizes, u64::MAX).iter().position(|place| *place == 3_000), Some(2 * ROUND));
    }

    proptest! {
        #[test]
        fn every_mail_is_read_once(sizes in proptest::collection::vec(prop_oneof![Just(SMALL), Just(LARGE)], 0..1500)) {
            let mut order = reading_order(&sizes, u64::MAX);
            order.sort_unstable();
            prop_assert_eq!(order, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}

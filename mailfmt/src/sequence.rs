//! Numbers of messages in a channel: never given twice, also by a sender whose disk was put back from a backup.
//!
//! A number is an epoch (upper 32 bits) and a count (lower 32 bits). Whoever starts to send begins an epoch of its own,
//! named by the second in which it does, and later than every epoch that its store remembers. A store that was put back
//! remembers less, but the time has gone on, so that the numbers which it forgot are left behind. Numbers of older
//! programs, which only counted, are those of epoch 0.
//!
//! A clock that stands or goes back, or a store that is put back within seconds, can lead to an epoch that was there
//! before. Therefore its count begins anywhere ([`begin`]): the numbers are others all the same.
//!
//! Every message tells besides its number which one its epoch follows, and with which one it began; so the receiver
//! notices when something was forgotten ([`crate::lineage`]).

use crate::random::Random;
use jiff::Timestamp;

/// Begin of epoch 0: 2026-01-01T00:00:00Z, in seconds since 1970.
const BEGIN_SECS: i64 = 1_767_225_600;

/// Epochs stay below this (reached in 2094), so that every number fits a signed 64-bit integer.
const EPOCH_MAX: u32 = i32::MAX.unsigned_abs();

/// Greatest epoch that a clock may name, in 2085. What lies beyond is kept for those who began far ahead of the truth: each of
/// their next starts still has an epoch of its own.
const EPOCH_OF_CLOCK_MAX: u32 = EPOCH_MAX - (1 << 28);

/// What a message tells of its epoch besides its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// The highest number that was given in this channel before the epoch began; `None` from programs that do not tell.
    pub follows: Option<u64>,
    /// The number with which the epoch began; `None` from programs that do not tell.
    pub begins: Option<u64>,
}

/// The epoch of whoever starts to send at `now`, when the newest epoch that it remembers is `remembered`.
///
/// Always later than `remembered`, even if the clock is behind it.
#[must_use]
pub fn new_epoch(now: Timestamp, remembered: u32) -> u32 {
    let elapsed = u32::try_from(now.as_second().saturating_sub(BEGIN_SECS).max(0)).unwrap_or(EPOCH_MAX);
    elapsed.min(EPOCH_OF_CLOCK_MAX).max(remembered.saturating_add(1)).min(EPOCH_MAX)
}

/// The number with which `epoch` begins: a random one of its lower half, so that it has 2^31 and more numbers left.
#[must_use]
pub fn begin(epoch: u32, random: &mut impl Random) -> u64 {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    first_of(epoch) + u64::from(u32::from_be_bytes(octets) >> 1)
}

/// The number after `last` for a sender whose epoch begins with `begins`. Grows always; another sender on the same store may
/// have begun a later epoch, which is then kept.
#[must_use]
pub fn next(last: u64, begins: u64) -> u64 {
    last.saturating_add(1).max(begins)
}

/// The epoch that a number belongs to.
#[must_use]
pub fn epoch_of(sequence: u64) -> u32 {
    u32::try_from(sequence >> 32).unwrap_or(u32::MAX)
}

/// The lowest number that an epoch can have.
#[must_use]
pub fn first_of(epoch: u32) -> u64 {
    (u64::from(epoch) << 32) | 1
}

/// The highest number that an epoch can have: what the next epoch follows, for a sender that does not keep the highest
/// number that it gave.
#[must_use]
pub fn last_of(epoch: u32) -> u64 {
    (u64::from(epoch) << 32) | u64::from(u32::MAX)
}

/// When an epoch began by the clock of its sender; `None` for epoch 0, whose numbers only count.
#[must_use]
pub fn began(epoch: u32) -> Option<Timestamp> {
    (epoch > 0).then(|| Timestamp::from_second(BEGIN_SECS.saturating_add(i64::from(epoch))).ok()).flatten()
}

/// The number as a person reads it: `count` alone in epoch 0, otherwise `epoch.count`.
#[must_use]
pub fn shown(sequence: u64) -> String {
    match epoch_of(sequence) {
        0 => sequence.to_string(),
        epoch => format!("{epoch}.{}", sequence & u64::from(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn filled(octet: u8) -> impl Random {
        move |buffer: &mut [u8]| buffer.fill(octet)
    }

    #[test]
    fn an_epoch_is_named_by_its_second_and_later_than_the_one_before() {
        assert_eq!(new_epoch(at("2026-01-01T00:01:40Z"), 0), 100);
        assert_eq!(new_epoch(at("2026-01-01T00:01:40Z"), 100), 101, "two in one second");
        assert_eq!(new_epoch(at("1999-01-01T00:00:00Z"), 0), 1, "a clock that is far behind");
        assert_eq!(new_epoch(at("2016-01-01T00:00:00Z"), 500), 501);
        let mut epoch = new_epoch(at("9000-01-01T00:00:00Z"), 7);
        for _ in 0..1000 {
            let next = new_epoch(at("9000-01-01T00:00:00Z"), epoch);
            assert!(next > epoch, "a clock that is far ahead does not use all epochs up");
            epoch = next;
        }
        assert_eq!(began(100), Some(at("2026-01-01T00:01:40Z")));
        assert_eq!(began(0), None);
    }

    #[test]
    fn a_store_that_was_put_back_does_not_give_its_numbers_again() {
        let begins = begin(100, &mut filled(7));
        let backup = next(0, begins);
        let given_after_it = [next(backup, begins), next(next(backup, begins), begins)];
        let epoch = new_epoch(at("2026-02-01T00:00:00Z"), epoch_of(backup));
        let after_restore = next(backup, begin(epoch, &mut filled(7)));
        assert!(given_after_it.iter().all(|given| *given < after_restore));
    }

    #[test]
    fn an_epoch_that_is_begun_again_has_other_numbers() {
        let given = next(0, begin(100, &mut filled(7)));
        let again = next(0, begin(100, &mut filled(8)));
        assert_eq!((epoch_of(given), epoch_of(again)), (100, 100));
        assert!(again.abs_diff(given) > 1 << 20, "{given} {again}");
    }

    #[test]
    fn an_epoch_begins_in_the_lower_half_of_its_numbers() {
        assert_eq!(begin(100, &mut filled(0)), first_of(100));
        assert_eq!(begin(100, &mut filled(255)), first_of(100) + 0x7fff_ffff);
    }

    #[test]
    fn old_numbers_are_followed_by_those_of_an_epoch() {
        assert_eq!(next(57, 0), 58);
        assert_eq!(next(57, first_of(100)), (100 << 32) + 1);
        assert_eq!(epoch_of(57), 0);
        assert_eq!(shown(57), "57");
        assert_eq!(shown((100 << 32) + 3), "100.3");
    }

    proptest! {
        #[test]
        fn numbers_grow_and_fit_a_signed_integer(last in 0..=last_of(EPOCH_MAX - 1), seconds in -3_000_000_000i64..3_000_000_000, random: u8) {
            let epoch = new_epoch(Timestamp::from_second(seconds).unwrap(), epoch_of(last));
            let number = next(last, begin(epoch, &mut filled(random)));
            prop_assert!(number > last);
            prop_assert!(epoch_of(number) > epoch_of(last));
            prop_assert!(i64::try_from(number).is_ok());
            prop_assert_eq!(next(number, first_of(3)), number + 1, "a later epoch of somebody else is kept");
        }
    }
}

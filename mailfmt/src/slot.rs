//! Answer slots: when each of many recipients of one message answers it, so that no mailbox gets all answers at once.
//!
//! A center asks thousands with one mail, and its provider takes only so many mails an hour. So the message says when the
//! first of its recipients answers, and how long after that each further one does; which one a recipient is says the place
//! of its key block. Who reads it too late takes the same place in a later round, and who has a wrong clock waits as long as
//! some place of a round: either way the answers stay spread.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// No answer is held longer, whatever a message says.
pub const HOLD_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When the recipients of one mail answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSlot {
    /// When the recipient with the first key block answers.
    pub begins: Timestamp,
    /// Milliseconds from each recipient to the next.
    pub each_millis: u32,
    /// The longest wait that is meant, in seconds: a clock that makes it longer is wrong.
    pub within_secs: u32,
    /// After so many seconds the same places come round again, for those who read it late.
    pub round_secs: u32,
    /// So many seconds an answer is not repeated while no receipt comes: receipts have to keep to limits, too.
    pub patience_secs: u32,
}

impl AnswerSlot {
    /// Octets on the wire.
    pub(crate) const OCTETS: usize = 24;

    /// How long the recipient at `place` (from 0) waits that reads it at `now`. At most [`HOLD_MAX`].
    #[must_use]
    pub fn wait(&self, place: usize, now: Timestamp) -> SignedDuration {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let offset = SignedDuration::from_millis(place.saturating_mul(self.each_millis.into()));
        let left = self.begins.duration_since(now).saturating_add(offset);
        let within = SignedDuration::from_secs(self.within_secs.into());
        let wait = if left.is_negative() || left > within {
            let round = i128::from(self.round_secs.max(1)) * 1_000;
            let millis = left.as_millis().rem_euclid(round);
            SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))
        } else {
            left
        };
        wait.min(HOLD_MAX)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        [
            self.begins.as_millisecond().to_be_bytes().as_slice(),
            &self.each_millis.to_be_bytes(),
            &self.within_secs.to_be_bytes(),
            &self.round_secs.to_be_bytes(),
            &self.patience_secs.to_be_bytes(),
        ]
        .concat()
    }

    /// `None` where a time is impossible.
    pub(crate) fn read(octets: [u8; Self::OCTETS]) -> Option<Self> {
        let mut reader = crate::reader::Reader::new(&octets);
        let begins = Timestamp::from_millisecond(reader.i64()?).ok()?;
        let mut number = || reader.array().map(u32::from_be_bytes);
        let (each_millis, within_secs) = (number()?, number()?);
        Some(Self { begins, each_millis, within_secs, round_secs: number()?, patience_secs: number()? })
    }
}

/// The slot of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedSlot {
    /// That of all.
    pub slot: AnswerSlot,
    /// The recipient's place among them, from 0.
    pub place: usize,
}

impl PlacedSlot {
    /// How long it waits, reading the message at `now`.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> SignedDuration {
        self.slot.wait(self.place, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn slot() -> AnswerSlot {
        AnswerSlot {
            begins: at(600),
            each_millis: 1_000,
            within_secs: 4_600,
            round_secs: 4_000,
            patience_secs: 86_400,
        }
    }

    #[test]
    fn each_recipient_waits_for_its_own_moment() {
        assert_eq!(slot().wait(0, at(0)).as_secs(), 600);
        assert_eq!(slot().wait(500, at(0)).as_secs(), 1_100);
        assert_eq!(slot().wait(500, at(400)).as_secs(), 700);
    }

    #[test]
    fn who_reads_it_late_takes_the_same_place_in_a_later_round() {
        assert_eq!(slot().wait(10, at(611)).as_secs(), 3_999);
        let (one, next) = (slot().wait(10, at(90_000)), slot().wait(11, at(90_000)));
        assert_eq!((next - one).as_secs().rem_euclid(4_000), 1);
    }

    #[test]
    fn a_clock_that_is_years_wrong_makes_nobody_wait_longer_than_a_round() {
        for years in [-10, 10] {
            let wait = slot().wait(7, at(years * 365 * 86_400));
            assert!(!wait.is_negative() && wait.as_secs() < 4_000, "{wait}");
        }
    }

    proptest! {
        #[test]
        fn no_slot_whatever_it_says_holds_an_answer_for_ever(
            begins in any::<i32>(), each_millis: u32, within_secs: u32, round_secs: u32, place: usize, now in any::<i32>(),
        ) {
            let begins = at(begins.into());
            let slot = AnswerSlot { begins, each_millis, within_secs, round_secs, patience_secs: each_millis };
            let wait = slot.wait(place, at(now.into()));
            prop_assert!(!wait.is_negative() && wait <= HOLD_MAX);
            prop_assert_eq!(AnswerSlot::read(slot.write().try_into().unwrap()), Some(slot));
        }
    }
}

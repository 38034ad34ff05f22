//! When the recipients of one mail answer it, so that our mailbox never gets more than its provider lets in. Pure.
//!
//! Every mail to many books a block of time in which its recipients answer one after the other, at a pace that the provider's
//! windows bear; blocks do not overlap, whichever rollout they belong to, and stand in the database before the mail goes out.
//! So any window sees at most what the pace allows. What is left above the pace is for mail that nobody planned and for
//! answers that come late.

use crate::budget::Window;
use crate::rollout::after;
use jiff::{SignedDuration, Timestamp};
use mailfmt::slot::AnswerSlot;

/// A message to so many recipients is answered in slots; answers to fewer come as they come.
pub const MANY: u32 = 20;

/// Until a question is read: the usual time between two looks for mail, and the way.
const ASK_LEAD: SignedDuration = SignedDuration::from_mins(5);
/// Until an order is read and carried out.
const ORDER_LEAD: SignedDuration = SignedDuration::from_mins(15);

/// So many of so many that the provider lets in are planned.
const PLANNED: (u64, u64) = (24, 25);

/// Receipts keep to limits, too: so long an answer waits for its own before it is repeated.
const RECEIPT_PATIENCE: SignedDuration = SignedDuration::from_hours(48);

/// A span of time in which answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// When the first comes.
    pub from: Timestamp,
    /// When the first of the next block may come.
    pub until: Timestamp,
}

/// How many milliseconds lie between two answers, and which window asks for that; `None` where nothing bounds what comes in.
/// `unplanned`: mails that come in an hour besides. However many these are, a quarter of each window stays for answers.
#[must_use]
pub fn pace(received: &[Window], unplanned: u32) -> Option<(u32, Window)> {
    let of = |window: &Window| {
        let span_millis = u64::from(window.span_secs).saturating_mul(1_000);
        let besides = u64::from(unplanned).saturating_mul(window.span_secs.into()).div_ceil(3_600);
        let most = u64::from(window.most);
        let planned = (most * PLANNED.0 / PLANNED.1).saturating_sub(besides).max(most / 4).max(1);
        (u32::try_from(span_millis.div_ceil(planned)).unwrap_or(u32::MAX), *window)
    };
    received.iter().map(of).max_by_key(|(each, _)| *each)
}

/// The earliest block for `count` answers, none before `earliest`, beside those that are taken (in any order).
#[must_use]
pub fn book(taken: &[Block], earliest: Timestamp, count: u32, each_millis: u32) -> Block {
    let length = SignedDuration::from_millis(i64::from(count).saturating_mul(each_millis.into()));
    let mut taken = taken.to_vec();
    taken.sort_unstable();
    let mut from = earliest;
    for block in taken.iter().filter(|block| block.until > earliest) {
        if after(from, length) <= block.from {
            break;
        }
        from = from.max(block.until);
    }
    Block { from, until: after(from, length) }
}

/// When a mail that goes out now is answered first, at the earliest.
#[must_use]
pub fn earliest(now: Timestamp, is_order: bool) -> Timestamp {
    after(now, if is_order { ORDER_LEAD } else { ASK_LEAD })
}

/// What the mail says of its block. `all`: recipients of the message in all its mails.
#[must_use]
pub fn slot(block: Block, each_millis: u32, all: u32, now: Timestamp) -> AnswerSlot {
    let secs = |duration: SignedDuration| u32::try_from(duration.as_secs().max(0)).unwrap_or(u32::MAX);
    let round = SignedDuration::from_millis(i64::from(all).saturating_mul(each_millis.into()));
    AnswerSlot {
        begins: block.from,
        each_millis,
        within_secs: secs(block.until.duration_since(now)).saturating_add(60),
        round_secs: secs(round).max(3_600),
        patience_secs: secs(RECEIPT_PATIENCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn window(span_secs: u32, most: u32) -> Window {
        Window { span_secs, most }
    }

    #[test]
    fn the_narrowest_window_sets_the_pace_and_leaves_room_for_what_nobody_planned() {
        let gmail = [window(60, 60), window(3_600, 3_600), window(86_400, 86_400)];
        assert_eq!(pace(&gmail, 0), Some((1_053, window(60, 60))));
        assert_eq!(pace(&[window(3_600, 3_600)], 0).unwrap().0, 1_042);
        assert_eq!(pace(&[window(3_600, 3_600)], 456).unwrap().0, 1_200);
        assert_eq!(pace(&[window(3_600, 3_600)], 9_999).unwrap().0, 4_000);
        assert_eq!(pace(&[], 0), None);
    }

    #[test]
    fn a_block_takes_the_first_gap_that_it_fits_into() {
        let taken = [Block { from: at(100), until: at(200) }, Block { from: at(250), until: at(400) }];
        let booked = |earliest, count| book(&taken, at(earliest), count, 1_000).from;
        assert_eq!((booked(0, 100), booked(0, 101)), (at(0), at(400)));
        assert_eq!((booked(150, 50), booked(150, 51), booked(900, 5)), (at(200), at(400), at(900)));
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_answers_than_the_provider_lets_in(
            most in 10_u32..400,
            span in 60_u32..4_000,
            mails in prop::collection::vec((0_i64..20_000, 1_u32..120), 1..25),
        ) {
            let window = window(span, most);
            let (each, _) = pace(&[window], 0).unwrap();
            let mut taken = Vec::new();
            let mut times = Vec::new();
            for (earliest, count) in mails {
                let block = book(&taken, at(earliest), count, each);
                taken.push(block);
                let slot = slot(block, each, count, at(earliest));
                times.extend((0..count as usize).map(|place| at(earliest) + slot.wait(place, at(earliest))));
            }
            times.sort_unstable();
            for (last, first) in times.iter().skip(most as usize).zip(&times) {
                prop_assert!(last.duration_since(*first) >= window.span());
            }
        }
    }
}

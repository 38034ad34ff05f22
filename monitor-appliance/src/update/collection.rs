//! The parts of a package on their way: how many are here, and when the missing ones are asked for. Pure.

use super::queue::is_due;
use super::wait::growing_pause;
use crate::outbox::after;
use jiff::Timestamp;
use mailfmt::Digest;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest pause between two questions for the same parts.
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3600);

/// How far the parts of one package have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// SHA-256 of the encrypted package, whole.
    pub enclosure: Digest,
    /// How many parts are here.
    pub here: u32,
    /// How many there are, parity parts included.
    pub of: u32,
    /// How often the missing ones were asked for.
    #[serde(default)]
    pub asked: u32,
    /// When they are asked for next.
    pub ask_at: Timestamp,
    /// When the order expires, and with it the wait.
    pub give_up_at: Timestamp,
}

/// How long parts are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time without a further part after which the missing ones are asked for; doubled with every question.
    pub wait: Duration,
    /// How often they are asked for at most.
    pub asks_max: u32,
}

/// What to do about parts that have not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pursuit {
    /// Wait.
    Wait,
    /// Ask for them, and wait until then.
    Ask {
        /// When to look again.
        ask_at: Timestamp,
    },
    /// The center has not taken the question before yet: wait until then without asking again.
    Postpone {
        /// When to look again.
        ask_at: Timestamp,
    },
    /// They do not come any more.
    GiveUp {
        /// Why, for a person.
        reason: String,
    },
}

impl Collection {
    /// A package whose order has just come, with so many parts here already.
    #[must_use]
    pub fn begin(
        enclosure: Digest,
        (here, of): (u32, u32),
        patience: Patience,
        now: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self { enclosure, here, of, asked: 0, ask_at: after(now, patience.wait), give_up_at: expires }
    }

    /// When to ask if no further part comes after `now`: each question is followed by a longer pause.
    #[must_use]
    pub fn next_ask(&self, patience: Patience, now: Timestamp) -> Timestamp {
        after(now, growing_pause(patience.wait, self.asked, PAUSE_MAX.max(patience.wait)))
    }

    /// What to do at `now` about parts that are missing. `unheard`: the last question still waits for its receipt;
    /// `doubted`: nobody knows what time it is, and so nothing is given up.
    #[must_use]
    pub fn pursue(&self, patience: Patience, unheard: bool, doubted: bool, now: Timestamp) -> Pursuit {
        if self.give_up_at <= now && !doubted {
            let reason = format!("{} of {} parts came until the order expired", self.here, self.of);
            return Pursuit::GiveUp { reason };
        }
        if !is_due(Some(self.ask_at), now) {
            return Pursuit::Wait;
        }
        if unheard || (doubted && self.asked >= patience.asks_max) {
            return Pursuit::Postpone { ask_at: self.next_ask(patience, now) };
        }
        if self.asked >= patience.asks_max {
            let reason = format!(
                "only {} of {} parts came, though the missing ones were asked for {} times",
                self.here, self.of, self.asked
            );
            return Pursuit::GiveUp { reason };
        }
        let asked = Self { asked: self.asked.saturating_add(1), ..self.clone() };
        Pursuit::Ask { ask_at: asked.next_ask(patience, now) }
    }

    /// For a person who watches.
    #[must_use]
    pub fn in_words(&self) -> String {
        let asked = match self.asked {
            0 => String::new(),
            1 => ", the missing ones were asked for once".to_owned(),
            times => format!(", the missing ones were asked for {times} times"),
        };
        format!("waits for the parts of its package: {} of {} are here{asked}", self.here, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { wait: Duration::from_secs(60), asks_max: 3 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn begun() -> Collection {
        Collection::begin(Digest::of(b"whole"), (2, 7), PATIENCE, at(0), at(10_000))
    }

    #[test]
    fn the_missing_parts_are_asked_for_after_growing_pauses_and_a_bounded_number_of_times() {
        let mut collection = begun();
        assert_eq!(collection.pursue(PATIENCE, false, false, at(59)), Pursuit::Wait);
        let mut asked = Vec::new();
        for second in 60..5_000 {
            match collection.pursue(PATIENCE, false, false, at(second)) {
                Pursuit::Ask { ask_at } => {
                    asked.push(second);
                    collection.asked += 1;
                    collection.ask_at = ask_at;
                }
                Pursuit::GiveUp { reason } => {
                    assert_eq!((second, asked.as_slice()), (900, [60, 180, 420].as_slice()));
                    assert_eq!(
                        reason,
                        "only 2 of 7 parts came, though the missing ones were asked for 3 times"
                    );
                    return;
                }
                Pursuit::Wait => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("never given up: {collection:?}");
    }

    #[test]
    fn a_center_that_has_not_heard_the_question_is_not_asked_again_nor_given_up() {
        let collection = Collection { asked: 3, ..begun() };
        let Pursuit::Postpone { ask_at } = collection.pursue(PATIENCE, true, false, at(60)) else { panic!() };
        assert_eq!(ask_at, at(60 + 480));
    }

    #[test]
    fn while_the_time_is_doubted_nothing_is_given_up() {
        let collection = Collection { asked: 3, ..begun() };
        let doubted = collection.pursue(PATIENCE, false, true, at(20_000));
        assert!(matches!(doubted, Pursuit::Postpone { .. }), "{doubted:?}");
        assert!(matches!(begun().pursue(PATIENCE, false, true, at(20_000)), Pursuit::Ask { .. }));
    }

    #[test]
    fn an_order_that_has_expired_is_given_up_whatever_was_asked() {
        let expired = begun().pursue(PATIENCE, true, false, at(10_000));
        assert!(matches!(expired, Pursuit::GiveUp { reason } if reason.contains("2 of 7")));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_the_question_wait_for_years() {
        let collection = Collection { ask_at: at(3600 * 24 * 365), ..begun() };
        assert!(matches!(collection.pursue(PATIENCE, false, false, at(0)), Pursuit::Ask { .. }));
    }
}

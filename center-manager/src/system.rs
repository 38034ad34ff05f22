//! The two things that only the edge of the program may touch: the clock and the system's random source.

use jiff::Timestamp;
use mailfmt::crypto::Random;

/// The time now, in whole milliseconds, as it stands in envelopes and in the database.
#[expect(clippy::disallowed_methods, reason = "the one place where this program reads the clock")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// When the system has no randomness: no key and no id can be made then, and going on would be worse.
    fn fill(&mut self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random numbers");
    }
}

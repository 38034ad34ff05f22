//! What came to a printer, counted by itself: how gently it is treated.

use std::time::{Duration, Instant};

/// A request that is not answered counts as outstanding for so long: who does not wait that long does not wait.
const UNANSWERED: Duration = Duration::from_millis(300);

/// What came to a printer since it was started, or since the last [`super::Printer::take_tally`].
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Datagrams that came.
    pub requests: u64,
    /// Datagrams that went out.
    pub answers: u64,
    /// Octets of both.
    pub octets: u64,
    /// Requests with a community or a user that the printer does not take. Asking for its SNMPv3 engine is none.
    pub wrong_credentials: u64,
    /// Most requests that were outstanding at the same time.
    pub outstanding_max: usize,
    waiting: usize,
    unanswered: Vec<Instant>,
}

impl Tally {
    /// A request came. `wrong`: its credential is not taken.
    pub(super) fn came(&mut self, wrong: bool, now: Instant) {
        self.requests += 1;
        self.wrong_credentials += u64::from(wrong);
        self.waiting += 1;
        self.unanswered.retain(|until| now < *until);
        self.outstanding_max = self.outstanding_max.max(self.waiting + self.unanswered.len());
    }

    /// Octets came or went out.
    pub(super) fn carried(&mut self, octets: usize) {
        self.octets += u64::try_from(octets).unwrap_or(u64::MAX);
    }

    /// It was answered.
    pub(super) fn answered(&mut self) {
        self.answers += 1;
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// It is not answered.
    pub(super) fn ignored(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_sub(1);
        self.unanswered.push(now + UNANSWERED);
    }

    /// What was counted; it goes on from nothing.
    pub(super) fn take(&mut self) -> Self {
        let begun = Self { waiting: self.waiting, unanswered: self.unanswered.clone(), ..Self::default() };
        std::mem::replace(self, begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_again_without_waiting_has_two_questions_outstanding() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        tally.came(false, at(0));
        tally.answered();
        tally.came(true, at(1));
        tally.ignored(at(1));
        assert_eq!((tally.outstanding_max, tally.wrong_credentials), (1, 1));
        tally.came(true, at(400));
        tally.ignored(at(400));
        assert_eq!(tally.outstanding_max, 1, "it was waited for");
        tally.came(false, at(450));
        assert_eq!(tally.outstanding_max, 2);
        let taken = tally.take();
        assert_eq!((taken.requests, taken.answers, tally.requests), (4, 1, 0));
    }
}

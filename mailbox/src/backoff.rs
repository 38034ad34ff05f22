//! Growing, jittered, bounded pauses. Pure.

use std::time::Duration;

/// How long to rest after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Pause after the first failure. Default 15 s.
    pub first: Duration,
    /// No pause is longer. Default 30 min.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(15), longest: Duration::from_secs(1800) }
    }
}

impl Backoff {
    /// The pause after `failures` failures in a row (1 for the first): doubles each time up to `longest`, then shortened
    /// by up to half of it, so that many appliances that lost the same server do not come back in the same second.
    ///
    /// `random`: evenly spread over all of `u64`.
    pub fn pause(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = u64::try_from((full / 2).as_millis()).unwrap_or(u64::MAX);
        full - Duration::from_millis(random % half.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_lies_between_half_and_all_of_the_doubled_one(failures in 1_u32.., random: u64) {
            let backoff = Backoff::default();
            let pause = backoff.pause(failures, random);
            prop_assert!(pause <= backoff.longest);
            prop_assert!(pause >= backoff.first / 2);
            if failures >= 8 {
                prop_assert!(pause >= backoff.longest / 2);
            }
        }
    }

    #[test]
    fn pauses_grow_from_failure_to_failure() {
        let pauses: Vec<u64> =
            (1..=8).map(|failures| Backoff::default().pause(failures, 0).as_secs()).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1800]);
    }

    #[test]
    fn two_appliances_with_different_luck_rest_differently_long() {
        let backoff = Backoff::default();
        assert_ne!(backoff.pause(5, 7), backoff.pause(5, 70_000));
    }

    #[test]
    fn no_pause_at_all_is_possible_and_harmless() {
        let none = Backoff { first: Duration::ZERO, longest: Duration::ZERO };
        assert_eq!(none.pause(u32::MAX, u64::MAX), Duration::ZERO);
    }
}

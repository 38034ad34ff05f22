//! How many logins an account has left: providers count them, and lock out who comes too often. Pure.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The time over which logins are counted.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// A sliding budget of logins per hour. Half of it may be used as it comes; the other half is spread over the hour, so that a
/// bad quarter of an hour does not leave the rest of the hour without mail.
#[derive(Debug, Clone)]
pub struct LoginBudget {
    per_hour_max: u32,
    past: VecDeque<Instant>,
}

impl LoginBudget {
    /// `per_hour_max` logins in any hour; at least one.
    pub fn new(per_hour_max: u32) -> Self {
        Self { per_hour_max: per_hour_max.max(1), past: VecDeque::new() }
    }

    /// The largest number of logins in an hour.
    pub fn per_hour_max(&self) -> u32 {
        self.per_hour_max
    }

    /// The earliest time for the next login; `now` or before it means at once. Never more than an hour ahead.
    pub fn next(&self, now: Instant) -> Instant {
        let (used, free) = (self.within_hour(now), self.per_hour_max / 2);
        let rest = self.per_hour_max.saturating_sub(free).max(1);
        let oldest_leaves = || {
            let surplus = usize::try_from(used.saturating_sub(self.per_hour_max)).unwrap_or(0);
            let oldest = self.past.iter().filter(|at| is_within(**at, now)).nth(surplus);
            oldest.map_or(now, |oldest| *oldest + WINDOW)
        };
        match self.past.back() {
            Some(_) if used >= self.per_hour_max => oldest_leaves(),
            Some(last) if used >= free => *last + WINDOW / rest,
            _ => now,
        }
    }

    /// Counts a login.
    pub fn note(&mut self, now: Instant) {
        const KEPT_MAX: usize = 100_000;
        while self.past.len() >= KEPT_MAX || self.past.front().is_some_and(|at| !is_within(*at, now)) {
            self.past.pop_front();
        }
        self.past.push_back(now);
    }

    /// Logins within the hour before `now`.
    pub fn within_hour(&self, now: Instant) -> u32 {
        let count = self.past.iter().filter(|at| is_within(**at, now)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// A login stays counted for a full hour.
fn is_within(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < WINDOW
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Asks at each of the given pauses, and logs in whenever that is allowed.
    fn eager(per_hour_max: u32, pauses: &[u64]) -> Vec<Instant> {
        let mut budget = LoginBudget::new(per_hour_max);
        let mut now = Instant::now();
        let mut logins = Vec::new();
        for pause in pauses {
            now += Duration::from_millis(*pause);
            if budget.next(now) <= now {
                budget.note(now);
                logins.push(now);
            }
        }
        logins
    }

    proptest! {
        #[test]
        fn no_hour_ever_has_more_logins_than_allowed(
            per_hour_max in 1_u32..40,
            pauses in proptest::collection::vec(0_u64..400_000, 1..400),
        ) {
            let logins = eager(per_hour_max, &pauses);
            for (place, first) in logins.iter().enumerate() {
                let within = logins[place..].iter().filter(|at| **at < *first + WINDOW).count();
                prop_assert!(within <= per_hour_max as usize, "{within} within an hour");
            }
        }

        #[test]
        fn a_login_is_never_put_off_for_more_than_an_hour(
            per_hour_max in 1_u32..40,
            pauses in proptest::collection::vec(0_u64..400_000, 1..200),
        ) {
            let mut budget = LoginBudget::new(per_hour_max);
            let mut now = Instant::now();
            for pause in pauses {
                now += Duration::from_millis(pause);
                budget.note(now);
                prop_assert!(budget.next(now) <= now + WINDOW);
            }
        }
    }

    #[test]
    fn the_first_half_is_free_and_the_second_is_spread() {
        let mut budget = LoginBudget::new(6);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(budget.next(start) <= start);
            budget.note(start);
        }
        assert_eq!(budget.next(start), start + Duration::from_secs(20 * 60));
        assert_eq!(budget.within_hour(start), 3);
    }

    #[test]
    fn looks_at_the_specs_intervals_are_never_put_off() {
        // 30 s after an emergency, all hour long, within a budget of twice as many.
        let logins = eager(240, &[30_000; 480]);
        assert_eq!(logins.len(), 480);
    }

    #[test]
    fn an_hour_later_all_is_forgotten() {
        let mut budget = LoginBudget::new(1);
        let start = Instant::now();
        budget.note(start);
        assert_eq!(budget.next(start), start + WINDOW);
        assert!(budget.next(start + WINDOW) <= start + WINDOW);
        assert_eq!(budget.within_hour(start + WINDOW), 0);
    }
}

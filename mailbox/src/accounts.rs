//! Several accounts tried in order: which one next? Pure: the clock and the random number are passed in.

use std::time::{Duration, Instant};

use crate::{backoff::Backoff, fetch::FetchError, smtp::SendError};

/// What kind of failure an account had; some call for a longer rest than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection, no answer, broken off, passing fault.
    Connection,
    /// The password was refused. Trying again soon locks accounts at many providers.
    Login,
    /// Busy or asked to wait: another session, a login rate.
    Busy,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Try this account (its place in the list).
    Use(usize),
    /// All are resting; nothing to do before this time.
    Wait(Instant),
    /// There are no accounts.
    None,
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    failures: u32,
    rests_until: Option<Instant>,
}

/// The standing of each account, in the order of the settings.
#[derive(Debug, Clone)]
pub struct Accounts {
    standings: Vec<Standing>,
    backoff: Backoff,
}

impl Accounts {
    /// Shortest rest after a refused login.
    pub const LOGIN_REST_MIN: Duration = Duration::from_secs(300);

    /// `count` accounts, all fresh.
    pub fn new(count: usize, backoff: Backoff) -> Self {
        Self { standings: vec![Standing::default(); count], backoff }
    }

    /// The first account of the order that is not resting. So the first one is used again as soon as its rest is over.
    pub fn choose(&self, now: Instant) -> Choice {
        let ready =
            self.standings.iter().position(|standing| standing.rests_until.is_none_or(|until| until <= now));
        match (ready, self.standings.iter().filter_map(|standing| standing.rests_until).min()) {
            (Some(place), _) => Choice::Use(place),
            (None, Some(until)) => Choice::Wait(until),
            (None, None) => Choice::None,
        }
    }

    /// The account works: it is fresh again.
    pub fn succeeded(&mut self, place: usize) {
        if let Some(standing) = self.standings.get_mut(place) {
            *standing = Standing::default();
        }
    }

    /// The account failed: it rests. Gives the time until when. `random`: evenly spread over all of `u64`.
    pub fn failed(&mut self, place: usize, failure: Failure, now: Instant, random: u64) -> Instant {
        let Some(standing) = self.standings.get_mut(place) else { return now };
        standing.failures = standing.failures.saturating_add(1);
        let pause = self.backoff.pause(standing.failures, random);
        let pause = match failure {
            Failure::Connection | Failure::Busy => pause,
            // The login rest is jittered as well: the part that the pause lost is added.
            Failure::Login => pause.max(Self::LOGIN_REST_MIN + Duration::from_millis(random % 30_000)),
        };
        let until = now + pause;
        standing.rests_until = Some(until);
        until
    }

    /// The account has to be left alone until a time, through no fault of its own.
    pub fn rests(&mut self, place: usize, until: Instant) {
        if let Some(standing) = self.standings.get_mut(place) {
            standing.rests_until = standing.rests_until.max(Some(until));
        }
    }

    /// Until when the account is to be left alone, if it was ever to be; that may be over.
    pub fn rest_until(&self, place: usize) -> Option<Instant> {
        self.standings.get(place).and_then(|standing| standing.rests_until)
    }

    /// Failures in a row of one account.
    pub fn failures(&self, place: usize) -> u32 {
        self.standings.get(place).map_or(0, |standing| standing.failures)
    }
}

impl From<&FetchError> for Failure {
    fn from(error: &FetchError) -> Self {
        match error {
            refused if refused.is_refused_login() => Self::Login,
            FetchError::Busy { .. } | FetchError::TooManyLogins { .. } => Self::Busy,
            _ => Self::Connection,
        }
    }
}

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        match error {
            refused if refused.is_refused_login() => Self::Login,
            SendError::Transient(_) => Self::Busy,
            _ => Self::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_first_account_is_used_as_long_as_it_works() {
        let now = Instant::now();
        let mut accounts = Accounts::new(3, Backoff::default());
        accounts.succeeded(0);
        assert_eq!(accounts.choose(now), Choice::Use(0));
    }

    #[test]
    fn a_failing_account_hands_over_to_the_next_and_comes_back_after_its_rest() {
        let now = Instant::now();
        let mut accounts = Accounts::new(2, Backoff::default());
        let back = accounts.failed(0, Failure::Connection, now, 0);
        assert_eq!(accounts.choose(now), Choice::Use(1));
        assert_eq!(accounts.choose(back), Choice::Use(0));
    }

    #[test]
    fn when_all_rest_the_earliest_return_is_told() {
        let now = Instant::now();
        let mut accounts = Accounts::new(2, Backoff::default());
        accounts.failed(0, Failure::Connection, now, 0);
        let later = accounts.failed(0, Failure::Connection, now, 0);
        let earlier = accounts.failed(1, Failure::Connection, now, 0);
        assert!(earlier < later);
        assert_eq!(accounts.choose(now), Choice::Wait(earlier));
        assert_eq!(accounts.choose(earlier), Choice::Use(1));
    }

    #[test]
    fn a_refused_login_rests_longer_than_a_lost_connection() {
        let now = Instant::now();
        let mut accounts = Accounts::new(2, Backoff::default());
        let lost = accounts.failed(0, Failure::Connection, now, 0);
        let refused = accounts.failed(1, Failure::Login, now, 0);
        assert!(refused - now >= Accounts::LOGIN_REST_MIN && lost < refused);
    }

    #[test]
    fn rests_are_bounded_and_a_success_forgets_them() {
        let now = Instant::now();
        let mut accounts = Accounts::new(1, Backoff::default());
        for _ in 0..1000 {
            accounts.failed(0, Failure::Connection, now, 0);
        }
        assert!(matches!(accounts.choose(now), Choice::Wait(until) if until < now + LONG));
        accounts.succeeded(0);
        assert_eq!((accounts.choose(now), accounts.failures(0)), (Choice::Use(0), 0));
    }

    #[test]
    fn an_account_that_has_to_rest_has_not_failed() {
        let now = Instant::now();
        let mut accounts = Accounts::new(1, Backoff::default());
        accounts.rests(0, now + LONG);
        assert_eq!((accounts.choose(now), accounts.failures(0)), (Choice::Wait(now + LONG), 0));
        assert_eq!(accounts.choose(now + LONG), Choice::Use(0));
    }

    #[test]
    fn no_accounts_is_said_and_an_unknown_place_is_harmless() {
        let now = Instant::now();
        let mut accounts = Accounts::new(0, Backoff::default());
        assert_eq!(accounts.choose(now), Choice::None);
        assert_eq!(accounts.failed(7, Failure::Busy, now, 0), now);
    }
}

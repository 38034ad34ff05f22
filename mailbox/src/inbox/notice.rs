//! How new mail of one account is noticed, and what is tried when that does not work. Pure: the clock and the random
//! number are passed in.
//!
//! ```text
//! Idle ── refused, breaks at once, or keeps silent about mail, three times ──▶ Asking      for an hour, then again
//! Asking ── the session breaks at once, three times ──▶ PerLook                            for an hour, then again
//! ```
//! POP3 is always `PerLook`: it deletes only at the end of a session (RFC 1939 section 6), and shows no mail that came after
//! its beginning.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{account::Protocol, backoff::Backoff};

/// How new mail is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// The server tells at once, over a session that stays open (RFC 2177).
    Idle,
    /// The server is asked now and then, over a session that stays open.
    Asking,
    /// Every look has a session of its own.
    PerLook,
}

impl Manner {
    /// The word in stores and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Asking => "asking",
            Self::PerLook => "per-look",
        }
    }

    /// The manner of a word, as [`Self::as_str`] gives it.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Idle, Self::Asking, Self::PerLook].into_iter().find(|manner| manner.as_str() == word)
    }
}

/// Times by which it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeRules {
    /// Longest wait on a session without a word to the server. Default 14 min: home routers forget a silent connection after 15
    /// and more, RFC 2177 asks for less than 29. Never more than [`NoticeRules::RENEW_MAX`].
    pub renew: Duration,
    /// Pauses before a session that was lost is opened again.
    pub backoff: Backoff,
    /// A session that lasted so long has proven itself. Default 5 min.
    pub proven: Duration,
    /// How long what has failed is left alone. Default 1 h.
    pub distrust: Duration,
}

impl NoticeRules {
    /// Longest [`NoticeRules::renew`].
    pub const RENEW_MAX: Duration = Duration::from_secs(25 * 60);
    /// Default of [`NoticeRules::renew`].
    pub const RENEW_DEFAULT: Duration = Duration::from_secs(14 * 60);
}

impl Default for NoticeRules {
    fn default() -> Self {
        Self {
            renew: Self::RENEW_DEFAULT,
            backoff: Backoff::default(),
            proven: Duration::from_secs(300),
            distrust: Duration::from_secs(3600),
        }
    }
}

/// So often in a row something has to fail before it is left alone.
const STRIKES: u32 = 3;

/// What is known of an account's server.
#[derive(Debug, Clone)]
pub struct Notice {
    rules: NoticeRules,
    protocol: Protocol,
    /// Whether the session at hand offers IDLE and has not refused it.
    idle_offered: bool,
    opened: Option<Instant>,
    idle_strikes: u32,
    /// The server has told of mail, and has not kept any to itself since.
    has_told: bool,
    idle_barred: Option<Instant>,
    session_strikes: u32,
    sessions_barred: Option<Instant>,
    /// Sessions in a row that were lost before they had proven themselves.
    short_lives: u32,
    reopen: Option<Instant>,
}

impl Notice {
    /// Nothing is known yet.
    pub fn new(protocol: Protocol, rules: NoticeRules) -> Self {
        let rules = NoticeRules { renew: rules.renew.min(NoticeRules::RENEW_MAX), ..rules };
        Self {
            rules,
            protocol,
            idle_offered: true,
            opened: None,
            idle_strikes: 0,
            has_told: false,
            idle_barred: None,
            session_strikes: 0,
            sessions_barred: None,
            short_lives: 0,
            reopen: None,
        }
    }

    /// How mail is noticed now.
    pub fn manner(&self, now: Instant) -> Manner {
        let is_barred = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if self.protocol == Protocol::Pop3 || is_barred(self.sessions_barred) {
            Manner::PerLook
        } else if self.idle_offered && !is_barred(self.idle_barred) {
            Manner::Idle
        } else {
            Manner::Asking
        }
    }

    /// In whose manner the clock has to call for looks: IDLE is trusted once the server has told of mail by it. Some offer it
    /// and never do.
    pub fn clock(&self, now: Instant) -> Manner {
        match self.manner(now) {
            Manner::Idle if !self.has_told => Manner::Asking,
            manner => manner,
        }
    }

    /// Longest wait on a session.
    pub fn renew(&self) -> Duration {
        self.rules.renew
    }

    /// A session was opened.
    pub fn opened(&mut self, now: Instant, offers_idle: bool) {
        self.opened = Some(now);
        self.idle_offered = offers_idle;
        self.reopen = None;
    }

    /// The server told of mail by itself: what it is good for is no question any more.
    pub fn told(&mut self) {
        self.has_told = true;
        self.idle_strikes = 0;
        self.session_strikes = 0;
    }

    /// The server refused IDLE although it offers it. For the session at hand that is the end of it.
    pub fn idle_refused(&mut self, now: Instant) {
        self.idle_offered = false;
        self.strike_idle(now);
    }

    /// A look that nothing had called for found new mail although IDLE was on: some servers say nothing.
    pub fn found_untold(&mut self, now: Instant) {
        self.has_told = false;
        self.strike_idle(now);
    }

    /// A session was lost while it was kept. `random`: evenly spread over all of `u64`.
    pub fn lost(&mut self, now: Instant, random: u64) {
        let manner = self.manner(now);
        let lasted =
            self.opened.take().map_or(Duration::ZERO, |opened| now.saturating_duration_since(opened));
        if lasted >= self.rules.proven {
            self.short_lives = 0;
            self.session_strikes = 0;
        } else {
            self.short_lives = self.short_lives.saturating_add(1);
            match manner {
                Manner::Idle => self.strike_idle(now),
                Manner::Asking => {
                    self.session_strikes = self.session_strikes.saturating_add(1);
                    if self.session_strikes >= STRIKES {
                        self.session_strikes = 0;
                        self.sessions_barred = Some(now + self.rules.distrust);
                    }
                }
                Manner::PerLook => {}
            }
        }
        let pause = self.rules.backoff.pause(self.short_lives.max(1), random);
        self.reopen = (self.manner(now) != Manner::PerLook).then_some(now + pause);
    }

    /// When a session that was lost is to be opened again; `None` when none was, or looks have sessions of their own.
    pub fn reopen(&self) -> Option<Instant> {
        self.reopen
    }

    /// It is being opened again; if that fails, whoever tries knows when to try again.
    pub fn reopening(&mut self) {
        self.reopen = None;
    }

    fn strike_idle(&mut self, now: Instant) {
        self.idle_strikes = self.idle_strikes.saturating_add(1);
        if self.idle_strikes >= STRIKES {
            self.idle_strikes = 0;
            self.idle_barred = Some(now + self.rules.distrust);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn imap(now: Instant) -> Notice {
        let mut notice = Notice::new(Protocol::Imap, NoticeRules::default());
        notice.opened(now, true);
        notice
    }

    #[test]
    fn pop3_has_a_session_for_every_look() {
        let now = Instant::now();
        let mut notice = Notice::new(Protocol::Pop3, NoticeRules::default());
        notice.opened(now, false);
        assert_eq!(notice.manner(now), Manner::PerLook);
        assert_eq!(notice.reopen(), None);
    }

    #[test]
    fn a_server_without_idle_is_asked_over_the_open_session() {
        let now = Instant::now();
        let mut notice = Notice::new(Protocol::Imap, NoticeRules::default());
        notice.opened(now, false);
        assert_eq!(notice.manner(now), Manner::Asking);
    }

    #[test]
    fn a_server_that_refuses_idle_is_asked_until_the_next_session_and_after_three_for_an_hour() {
        let now = Instant::now();
        let mut notice = imap(now);
        notice.idle_refused(now);
        assert_eq!(notice.manner(now), Manner::Asking);
        for _ in 0..2 {
            notice.opened(now, true);
            assert_eq!(notice.manner(now), Manner::Idle);
            notice.idle_refused(now);
        }
        notice.opened(now, true);
        assert_eq!(notice.manner(now), Manner::Asking);
        assert_eq!(notice.manner(now + HOUR), Manner::Idle);
    }

    #[test]
    fn idle_is_trusted_while_the_server_tells_of_mail() {
        let now = Instant::now();
        let mut notice = imap(now);
        assert_eq!((notice.manner(now), notice.clock(now)), (Manner::Idle, Manner::Asking));
        notice.told();
        assert_eq!(notice.clock(now), Manner::Idle);
        notice.found_untold(now);
        assert_eq!((notice.manner(now), notice.clock(now)), (Manner::Idle, Manner::Asking));
    }

    #[test]
    fn a_server_that_says_nothing_of_new_mail_is_asked_for_an_hour_and_one_word_clears_it() {
        let now = Instant::now();
        let mut notice = imap(now);
        notice.found_untold(now);
        notice.found_untold(now);
        notice.told();
        notice.found_untold(now);
        notice.found_untold(now);
        assert_eq!(notice.manner(now), Manner::Idle);
        notice.found_untold(now);
        assert_eq!(notice.manner(now), Manner::Asking);
        assert_eq!(notice.manner(now + HOUR), Manner::Idle);
    }

    #[test]
    fn sessions_that_break_at_once_lead_step_by_step_to_a_session_for_every_look() {
        let mut now = Instant::now();
        let mut notice = imap(now);
        let mut manners = Vec::new();
        for _ in 0..6 {
            now += SECOND;
            notice.lost(now, 0);
            manners.push(notice.manner(now));
            if let Some(reopen) = notice.reopen() {
                now = reopen;
                notice.opened(now, true);
            }
        }
        use Manner::{Asking, Idle, PerLook};
        assert_eq!(manners, [Idle, Idle, Asking, Asking, Asking, PerLook]);
        assert_eq!(notice.reopen(), None);
        assert_eq!(notice.manner(now + HOUR), Idle);
    }

    #[test]
    fn a_session_that_lasted_is_opened_again_soon_and_nobody_is_blamed() {
        let mut now = Instant::now();
        let mut notice = imap(now);
        for _ in 0..100 {
            now += Duration::from_secs(29 * 60);
            notice.lost(now, 0);
            assert_eq!(notice.manner(now), Manner::Idle);
            now = notice.reopen().unwrap();
            notice.opened(now, true);
        }
        notice.lost(now + HOUR, 0);
        assert!(notice.reopen().unwrap() <= now + HOUR + NoticeRules::default().backoff.first);
    }

    #[test]
    fn idle_is_renewed_in_time_whatever_the_settings_say() {
        let rules = NoticeRules { renew: HOUR, ..NoticeRules::default() };
        assert_eq!(Notice::new(Protocol::Imap, rules).renew(), NoticeRules::RENEW_MAX);
    }

    #[test]
    fn every_manner_has_a_word_of_its_own() {
        for manner in [Manner::Idle, Manner::Asking, Manner::PerLook] {
            assert_eq!(Manner::from_word(manner.as_str()), Some(manner));
        }
        assert_eq!(Manner::from_word("shouting"), None);
    }

    proptest! {
        #[test]
        fn the_pause_before_a_session_is_opened_again_is_bounded(
            lives in proptest::collection::vec((0_u64..2_000, any::<u64>()), 1..200),
        ) {
            let mut now = Instant::now();
            let mut notice = imap(now);
            let longest = NoticeRules::default().backoff.longest;
            for (lasted, random) in lives {
                now += Duration::from_secs(lasted);
                notice.lost(now, random);
                match notice.reopen() {
                    Some(reopen) => {
                        prop_assert!(reopen <= now + longest);
                        now = reopen;
                    }
                    None => now += HOUR,
                }
                notice.opened(now, true);
            }
        }
    }
}

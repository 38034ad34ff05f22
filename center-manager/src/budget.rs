//! How much mail an account may hand in: the bounds of its provider, and what was handed in lately. Pure.
//!
//! A provider counts in sliding windows, and who goes beyond is locked out for hours. So a mail is counted from the moment in
//! which it begins to be handed in, durably, and again at the moment in which it was taken: whatever a window of the provider
//! looks like, it never holds more than is allowed, and a restart forgets nothing.

use crate::rollout::after;
use jiff::{SignedDuration, Timestamp};
use mailbox::AccountSettings;
use mailbox::provider::{Figure, Limits};
use serde::Serialize;

/// At most so many in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its length in seconds.
    pub span_secs: u32,
    /// How many.
    pub most: u32,
}

impl Window {
    /// Its length.
    #[must_use]
    pub fn span(self) -> SignedDuration {
        SignedDuration::from_secs(self.span_secs.into())
    }
}

/// What a provider allows one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Mails handed in.
    pub mails: Vec<Window>,
    /// Recipients of them together.
    pub recipients: Vec<Window>,
    /// Recipients of one mail.
    pub recipients_per_mail: Option<u32>,
    /// Mails that come in.
    pub received: Vec<Window>,
}

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

impl Bounds {
    /// What a provider publishes.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let windows = |figures: [(u32, &Option<Figure<u32>>); 3]| {
            let window = |(span_secs, figure): (u32, &Option<Figure<u32>>)| {
                figure.as_ref().map(|figure| Window { span_secs, most: figure.value })
            };
            figures.into_iter().filter_map(window).collect()
        };
        Self {
            mails: windows([
                (MINUTE, &limits.mails_per_minute),
                (HOUR, &limits.mails_per_hour),
                (DAY, &limits.mails_per_day),
            ]),
            recipients: windows([(MINUTE, &None), (HOUR, &None), (DAY, &limits.recipients_per_day)]),
            recipients_per_mail: limits.recipients(),
            received: windows([
                (MINUTE, &limits.received_per_minute),
                (HOUR, &limits.received_per_hour),
                (DAY, &limits.received_per_day),
            ]),
        }
    }

    /// What the account's settings say, else what is published of its provider; no bounds for a server that is none of those known.
    #[must_use]
    pub fn of_account(account: &AccountSettings) -> Self {
        Self::of(&account.known_limits())
    }

    /// Whether anything is bounded that is handed in.
    #[must_use]
    pub fn bounds_sending(&self) -> bool {
        !self.mails.is_empty() || !self.recipients.is_empty()
    }

    /// Recipients that one mail may have: what is set, but never more than a window could ever take.
    #[must_use]
    pub fn recipients_of_one_mail(&self, set: usize) -> usize {
        let windows = self.recipients.iter().map(|window| window.most);
        let least = windows.chain(self.recipients_per_mail).min().unwrap_or(u32::MAX);
        set.min(usize::try_from(least).unwrap_or(usize::MAX)).max(1)
    }
}

/// What was handed in lately by one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// When, and how many recipients up to then together; in order of time.
    mails: Vec<(Timestamp, u64)>,
}

impl Spent {
    /// From what is on record, in any order: when, and how many recipients.
    #[must_use]
    pub fn of(mut mails: Vec<(Timestamp, u32)>) -> Self {
        mails.sort_unstable();
        let mut spent = Self::default();
        mails.into_iter().for_each(|(at, recipients)| spent.push(at, recipients));
        spent
    }

    fn push(&mut self, at: Timestamp, recipients: u32) {
        let before = self.mails.last().map_or(0, |(_, sum)| *sum);
        self.mails.push((at, before.saturating_add(recipients.into())));
    }

    /// Counts a mail that is handed in at `at`, not before those that are counted already.
    pub fn note(&mut self, at: Timestamp, recipients: u32) {
        let at = self.mails.last().map_or(at, |(last, _)| at.max(*last));
        self.push(at, recipients);
    }

    /// When the next mail with so many recipients may be handed in: `now`, or later.
    #[must_use]
    pub fn free_at(&self, bounds: &Bounds, recipients: u32, now: Timestamp) -> Timestamp {
        let by_mails = bounds.mails.iter().map(|window| {
            let nth = usize::try_from(window.most).unwrap_or(usize::MAX);
            match self.mails.len().checked_sub(nth.max(1)).and_then(|place| self.mails.get(place)) {
                Some((at, _)) => beyond(*at, *window),
                None => Timestamp::MIN,
            }
        });
        let by_recipients = bounds.recipients.iter().map(|window| {
            let sum = self.mails.last().map_or(0, |(_, sum)| *sum);
            // So many of the oldest must have left the window.
            let too_many = sum.saturating_add(recipients.into()).saturating_sub(window.most.into());
            if too_many == 0 {
                return Timestamp::MIN;
            }
            let place = self.mails.partition_point(|(_, before)| *before < too_many);
            self.mails.get(place).or(self.mails.last()).map_or(Timestamp::MIN, |(at, _)| beyond(*at, *window))
        });
        by_mails.chain(by_recipients).fold(now, Timestamp::max)
    }

    /// How many of these mails, each to so many recipients, may be handed in at `now`, one after the other; they are counted. And when
    /// the next may, where one has to wait.
    pub fn admit(
        &mut self,
        bounds: &Bounds,
        mails: impl IntoIterator<Item = u32>,
        now: Timestamp,
    ) -> (Vec<u32>, Option<Timestamp>) {
        let mut admitted = Vec::new();
        for recipients in mails {
            let free = self.free_at(bounds, recipients, now);
            if free > now {
                return (admitted, Some(free));
            }
            self.note(now, recipients);
            admitted.push(recipients);
        }
        (admitted, None)
    }

    /// Forgets what no window can see any more.
    pub fn forget(&mut self, bounds: &Bounds, now: Timestamp) {
        let longest = bounds.mails.iter().chain(&bounds.recipients).map(|window| window.span()).max();
        let old = |at: Timestamp| longest.is_none_or(|longest| after(at, longest) < now);
        let keep = self.mails.partition_point(|(at, _)| old(*at));
        let before = keep.checked_sub(1).and_then(|last| self.mails.get(last)).map_or(0, |(_, sum)| *sum);
        self.mails.drain(..keep);
        self.mails.iter_mut().for_each(|(_, sum)| *sum = sum.saturating_sub(before));
    }
}

/// The first moment at which a window that ends there does not see what was at `at`.
fn beyond(at: Timestamp, window: Window) -> Timestamp {
    after(after(at, window.span()), SignedDuration::from_millis(1))
}

/// When mails to so many recipients each would be handed in, the first at `now` at the earliest; each takes `each`.
pub fn schedule(
    bounds: &Bounds,
    spent: &Spent,
    mails: impl IntoIterator<Item = u32>,
    each: SignedDuration,
    now: Timestamp,
) -> Vec<Timestamp> {
    let mut spent = spent.clone();
    let mut free = now;
    let mut times = Vec::new();
    for recipients in mails {
        let at = spent.free_at(bounds, recipients, free);
        free = after(at, each);
        spent.note(free, recipients);
        times.push(free);
    }
    times
}

#[cfg(test)]
mod tests;

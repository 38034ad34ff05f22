//! What a rollout would take: the mails of every wave handed in and answered in virtual time, by the very functions with which
//! the daemon keeps to its providers' limits ([`crate::budget`], [`crate::slots`]). Pure; it changes nothing.

use crate::budget::{Bounds, Spent, Window};
use crate::rollout::{Course, after};
use crate::slots::{self, Block};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::VecDeque;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// In which waves.
    pub course: Course,
    /// To how many appliances.
    pub appliances: u32,
    /// Recipients of one mail.
    pub recipients_per_mail: u32,
    /// Octets of each mail that one group of recipients gets, the order first.
    pub mails: Vec<u64>,
    /// Octets of a receipt.
    pub receipt_octets: u64,
}

/// How our mail goes out and comes in.
#[derive(Debug, Clone)]
pub struct Post {
    /// Bounds of the account by which mail goes out.
    pub sending: Bounds,
    /// What it handed in lately.
    pub spent: Spent,
    /// How long handing in takes: for each mail, and octets in a second.
    pub each: SignedDuration,
    /// Octets handed in within a second.
    pub octets_per_sec: u64,
    /// What the account that appliances write to lets in.
    pub receiving: Vec<Window>,
    /// What is booked of its time.
    pub blocks: Vec<Block>,
    /// Mails that come in an hour besides.
    pub unplanned: u32,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaveForecast {
    /// From 1.
    pub wave: u32,
    /// Appliances in it.
    pub appliances: u32,
    /// When it begins.
    pub begins: Timestamp,
    /// When its last mail has gone out.
    pub sent: Timestamp,
    /// When its last answer comes, if none is late.
    pub answered: Timestamp,
}

/// Which limit makes one wait, and how long in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brake {
    /// `mails sent`, `recipients` or `mails received`.
    pub what: &'static str,
    /// How many are allowed in how many seconds.
    pub window: Window,
    /// Seconds waited for it.
    pub waited_secs: i64,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// When the first package is out.
    pub first_sent: Timestamp,
    /// When the last package is out.
    pub last_sent: Timestamp,
    /// When the last answer comes, if none is late.
    pub last_answer: Timestamp,
    /// When the last receipt is out.
    pub last_receipt: Timestamp,
    /// Mails with the package.
    pub mails: u64,
    /// Recipients of these together.
    pub recipients: u64,
    /// Octets of these, as they go over the wire.
    pub octets: u64,
    /// Answers, each of which gets a receipt.
    pub answers: u64,
    /// Octets of the receipts.
    pub receipt_octets: u64,
    /// Appliances touched at most if the package breaks every one.
    pub blast_radius: u32,
    /// Appliances in all.
    pub appliances: u32,
    /// Each wave.
    pub waves: Vec<WaveForecast>,
    /// What makes one wait, the greatest first.
    pub brakes: Vec<Brake>,
}

impl Forecast {
    /// The sentence that everybody should read before it begins.
    #[must_use]
    pub fn at_worst(&self) -> String {
        format!(
            "if this package breaks every box, at most {} of {} are touched",
            self.blast_radius, self.appliances
        )
    }
}

/// The course of the mails in virtual time.
struct Run<'a> {
    load: &'a Load,
    post: &'a Post,
    spent: Spent,
    blocks: Vec<Block>,
    free: Timestamp,
    brakes: Vec<Brake>,
}

impl Run<'_> {
    /// Hands one mail in, at `now` at the earliest; when it is taken.
    fn hand_in(&mut self, recipients: u32, octets: u64, now: Timestamp) -> Timestamp {
        let ready = self.free.max(now);
        let at = self.spent.free_at(&self.post.sending, recipients, ready);
        self.brake(recipients, ready, at);
        let secs = octets / self.post.octets_per_sec.max(1);
        let takes = SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX));
        self.free = after(after(at, self.post.each), takes);
        self.spent.note(self.free, recipients);
        self.free
    }

    /// Notes for which window was waited.
    fn brake(&mut self, recipients: u32, ready: Timestamp, at: Timestamp) {
        if at <= ready {
            return;
        }
        let Bounds { mails, recipients: all, .. } = &self.post.sending;
        let only = |window: &Window, of_mails: bool| match of_mails {
            true => Bounds { mails: vec![*window], ..Bounds::default() },
            false => Bounds { recipients: vec![*window], ..Bounds::default() },
        };
        let windows = mails.iter().map(|window| ("mails sent", window, true));
        let mut windows = windows.chain(all.iter().map(|window| ("recipients", window, false)));
        let binding = windows.find(|(_, window, of_mails)| {
            self.spent.free_at(&only(window, *of_mails), recipients, ready) >= at
        });
        if let Some((what, window, _)) = binding {
            let (window, waited) = (*window, at.duration_since(ready));
            self.waited(what, window, waited);
        }
    }

    fn waited(&mut self, what: &'static str, window: Window, waited: SignedDuration) {
        let secs = waited.as_secs();
        match self.brakes.iter_mut().find(|brake| brake.what == what && brake.window == window) {
            Some(brake) => brake.waited_secs = brake.waited_secs.saturating_add(secs),
            None => self.brakes.push(Brake { what, window, waited_secs: secs }),
        }
    }

    /// When the recipients of a mail answer that is out at `sent`.
    fn answers(&mut self, count: u32, all: u32, sent: Timestamp) -> Vec<Timestamp> {
        let earliest = slots::earliest(sent, true);
        let pace = slots::pace(&self.post.receiving, self.post.unplanned).filter(|_| all >= slots::MANY);
        let Some((each, window)) = pace else {
            return vec![earliest; usize::try_from(count).unwrap_or(0)];
        };
        let block = slots::book(&self.blocks, earliest, count, each);
        self.blocks.push(block);
        self.waited("mails received", window, block.until.duration_since(block.from));
        let slot = slots::slot(block, each, all, sent);
        (0..usize::try_from(count).unwrap_or(0)).map(|place| after(sent, slot.wait(place, sent))).collect()
    }
}

/// What a rollout that begins at `now` would take, where every appliance answers in its slot.
#[must_use]
pub fn forecast(load: &Load, post: &Post, now: Timestamp) -> Forecast {
    let per_mail = load.recipients_per_mail.max(1);
    let sizes = load.course.sizes(load.appliances);
    let fitted = load.course.fitted(load.appliances);
    let mut run = Run {
        load,
        post,
        spent: post.spent.clone(),
        blocks: post.blocks.clone(),
        free: now,
        brakes: Vec::new(),
    };
    let mut forecast = Forecast {
        first_sent: Timestamp::MAX,
        last_sent: now,
        last_answer: now,
        last_receipt: now,
        mails: 0,
        recipients: 0,
        octets: 0,
        answers: 0,
        receipt_octets: 0,
        blast_radius: load.course.blast_radius(load.appliances),
        appliances: load.appliances,
        waves: Vec::new(),
        brakes: Vec::new(),
    };
    let mut receipts = VecDeque::new();
    let mut begins = now;
    for (nth, size) in (1..).zip(&sizes) {
        let mut answers = Vec::new();
        let (mut left, mut sent) = (*size, begins);
        while left > 0 {
            let count = left.min(per_mail);
            left -= count;
            for octets in &run.load.mails {
                sent = run.hand_in(count, *octets, begins);
                forecast.first_sent = forecast.first_sent.min(sent);
                forecast.mails += 1;
                forecast.recipients += u64::from(count);
                forecast.octets += octets;
            }
            answers.extend(run.answers(count, *size, sent));
        }
        answers.sort_unstable();
        let answered = answers.last().copied().unwrap_or(sent);
        forecast.answers += u64::from(*size);
        forecast.waves.push(WaveForecast { wave: nth, appliances: *size, begins, sent, answered });
        let needed = u64::from(*size) * u64::from(fitted.thresholds.success_percent);
        let proven = usize::try_from(needed.div_ceil(100)).unwrap_or(usize::MAX).saturating_sub(1);
        let met = answers.get(proven).copied().unwrap_or(answered);
        let place = usize::try_from(nth).unwrap_or(usize::MAX).saturating_sub(1);
        let pause = fitted.waves.get(place).map_or(0, |wave| wave.pause_secs);
        begins = after(met, SignedDuration::from_secs(pause.into()));
        (forecast.last_sent, forecast.last_answer) = (sent, forecast.last_answer.max(answered));
        receipts.extend(answers);
        // Receipts come behind packages: they have the time until the next wave.
        let last_wave = forecast.waves.len() == sizes.len();
        while let Some(answer) = receipts.front().copied() {
            let free = run.spent.free_at(&post.sending, 1, run.free.max(answer));
            if !last_wave && free >= begins {
                break;
            }
            receipts.pop_front();
            // What receipts wait for holds nobody up.
            let brakes = run.brakes.clone();
            forecast.last_receipt = run.hand_in(1, load.receipt_octets, answer);
            run.brakes = brakes;
            forecast.receipt_octets += load.receipt_octets;
        }
    }
    run.brakes.sort_by_key(|brake| std::cmp::Reverse(brake.waited_secs));
    forecast.brakes = run.brakes;
    forecast
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn load(course: &str, appliances: u32) -> Load {
        Load {
            course: Course::named(course).unwrap(),
            appliances,
            recipients_per_mail: 500,
            mails: vec![7_000_000],
            receipt_octets: 4_000,
        }
    }

    fn post() -> Post {
        let sending = Bounds::of(&mailbox::provider::named("microsoft365").unwrap().limits);
        Post {
            receiving: sending.received.clone(),
            sending,
            spent: Spent::default(),
            each: SignedDuration::from_secs(2),
            octets_per_sec: 5_000_000,
            blocks: Vec::new(),
            unplanned: 0,
        }
    }

    #[test]
    fn ten_thousand_at_once_are_sent_in_minutes_and_answer_in_the_time_that_the_mailbox_needs() {
        let forecast = forecast(&load("at-once", 10_000), &post(), at(0));
        assert_eq!((forecast.mails, forecast.recipients, forecast.octets), (20, 10_000, 140_000_000));
        assert!(forecast.last_sent < at(20 * 60));
        let minutes = forecast.last_answer.duration_since(at(0)).as_mins();
        assert!((185..200).contains(&minutes), "{minutes}");
        assert_eq!(forecast.brakes[0].what, "mails received");
        assert_eq!(
            forecast.at_worst(),
            "if this package breaks every box, at most 10000 of 10000 are touched"
        );
        // No recipient is left for a receipt on the first day.
        assert!(forecast.last_receipt > at(86_400));
    }

    #[test]
    fn what_is_booked_and_handed_in_already_puts_a_rollout_off() {
        let booked = vec![Block { from: at(0), until: at(36_000) }];
        let spent = Spent::of(vec![(at(-60), 9_900)]);
        let busy = forecast(&load("at-once", 200), &Post { blocks: booked, spent, ..post() }, at(0));
        assert!(busy.first_sent > at(86_000) && busy.brakes[0].what == "recipients", "{busy:?}");
        let free = forecast(&load("at-once", 200), &post(), at(0));
        assert!(free.last_answer < at(20 * 60));
    }

    #[test]
    fn waves_follow_each_other_by_their_answers_and_pauses() {
        let forecast = forecast(&load("default", 10_000), &post(), at(0));
        assert_eq!(forecast.waves.len(), 5);
        assert_eq!(forecast.blast_radius, 100);
        for pair in forecast.waves.windows(2) {
            assert!(pair[1].begins >= pair[0].sent + SignedDuration::from_hours(12));
        }
    }
}

//! The bad post office: what is handed in may be refused, lost, doubled, delayed, overtaken, damaged, and come back days later.

use super::dice::Dice;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What goes wrong, each as a chance in a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// The server lets nobody in for this session.
    pub(crate) closed: u32,
    /// The server refuses one mail for now.
    pub(crate) refused: u32,
    /// The connection dies after the final dot, and the mail was not taken.
    pub(crate) dies_untaken: u32,
    /// The connection dies after the final dot, but the mail was taken.
    pub(crate) dies_taken: u32,
    /// Taken and lost.
    pub(crate) lost: u32,
    /// Taken and delivered several times.
    pub(crate) doubled: u32,
    /// One copy is changed or cut on its way.
    pub(crate) damaged: u32,
    /// One copy takes up to hours.
    pub(crate) late: u32,
    /// One copy takes up to days.
    pub(crate) very_late: u32,
    /// A mail of long ago is delivered once more.
    pub(crate) replayed: u32,
    /// A session of reading breaks before its deletions count.
    pub(crate) undeleted: u32,
    /// The longest of the days.
    pub(crate) days_max: i64,
}

impl Weather {
    /// As bad as a post office can be that still delivers most of what it is given.
    pub(crate) const STORM: Self = Self {
        closed: 50_000,
        refused: 30_000,
        dies_untaken: 15_000,
        dies_taken: 30_000,
        lost: 80_000,
        doubled: 120_000,
        damaged: 40_000,
        late: 120_000,
        very_late: 8_000,
        replayed: 4_000,
        undeleted: 60_000,
        days_max: 4,
    };

    /// The chance that a mail that was taken arrives whole at least once.
    #[expect(clippy::cast_precision_loss, clippy::cast_lossless, reason = "chances in a million")]
    pub(crate) fn arrives(&self) -> f64 {
        let chance = |per_million: u32| per_million as f64 / 1e6;
        let whole = |copies: i32| 1.0 - chance(self.damaged).powi(copies);
        let doubled = COPIES.map(whole).sum::<f64>() / COPIES.count() as f64;
        let once = chance(self.doubled).mul_add(doubled, (1.0 - chance(self.doubled)) * whole(1));
        (1.0 - chance(self.lost)) * once
    }

    /// Nothing goes wrong.
    pub(crate) const CALM: Self = Self {
        closed: 0,
        refused: 0,
        dies_untaken: 0,
        dies_taken: 0,
        lost: 0,
        doubled: 0,
        damaged: 0,
        late: 0,
        very_late: 0,
        replayed: 0,
        undeleted: 0,
        days_max: 0,
    };
}

/// How many times a mail that is doubled is delivered; each number is as likely.
const COPIES: std::ops::RangeInclusive<i32> = 2..=4;

/// Mails of long ago that may come back.
const REMEMBERED: usize = 400;

/// One mail on its way or in a mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Which message it carries, by its number in the oracle's book.
    pub(crate) serial: u32,
    /// Whether it was sent when its message was sent for the first time.
    pub(crate) first_sending: bool,
    /// Whether nothing was changed on its way.
    pub(crate) whole: bool,
    /// Its octets.
    pub(crate) raw: Arc<[u8]>,
}

/// What the server said to who handed a mail in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Taken.
    Taken,
    /// Not now.
    Refused,
    /// The connection died after the final dot. Whether the mail was taken its sender cannot know.
    Died,
}

/// A mailbox: what has arrived, and what is on its way to it.
#[derive(Debug, Default)]
struct Mailbox {
    here: BTreeMap<u64, Mail>,
    flying: BTreeSet<(Reverse<i64>, u64)>,
    mails: BTreeMap<u64, Mail>,
}

/// The post office with a mailbox for everybody who gets mail, by number.
#[derive(Debug)]
pub(crate) struct PostOffice {
    pub(crate) weather: Weather,
    dice: Dice,
    mailboxes: BTreeMap<usize, Mailbox>,
    remembered: VecDeque<(usize, Mail)>,
    /// Mailboxes that mails were sent off to since this was last taken.
    addressed: BTreeSet<usize>,
    uid: u64,
}

impl PostOffice {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            weather: Weather::STORM,
            dice,
            mailboxes: BTreeMap::new(),
            remembered: VecDeque::with_capacity(REMEMBERED),
            addressed: BTreeSet::new(),
            uid: 0,
        }
    }

    /// Whether the server lets anybody in just now.
    pub(crate) fn lets_in(&mut self) -> bool {
        !self.dice.hits(self.weather.closed)
    }

    /// A mail is handed in for a mailbox.
    pub(crate) fn hand_in(&mut self, to: usize, mail: Mail, now: Timestamp) -> Answer {
        let weather = self.weather;
        if self.dice.hits(weather.refused) {
            return Answer::Refused;
        }
        if self.dice.hits(weather.dies_untaken) {
            return Answer::Died;
        }
        let answer = if self.dice.hits(weather.dies_taken) { Answer::Died } else { Answer::Taken };
        if !self.dice.hits(weather.lost) {
            let copies = if self.dice.hits(weather.doubled) { self.copies() } else { 1 };
            for _ in 0..copies {
                self.send_off(to, &mail, now);
            }
        }
        self.remember(to, mail);
        if self.dice.hits(weather.replayed) {
            let place = self.dice.place(self.remembered.len());
            if let Some((to, old)) = self.remembered.get(place).cloned() {
                self.send_off(to, &Mail { first_sending: false, ..old }, now);
            }
        }
        answer
    }

    fn copies(&mut self) -> i32 {
        let more = i32::try_from(self.dice.place(COPIES.count())).unwrap_or(0);
        COPIES.start() + more
    }

    fn remember(&mut self, to: usize, mail: Mail) {
        // Not every one, so that some are old when they come back.
        if self.remembered.len() < REMEMBERED {
            self.remembered.push_back((to, mail));
        } else if self.dice.hits(20_000) {
            self.remembered.pop_front();
            self.remembered.push_back((to, mail));
        }
    }

    fn send_off(&mut self, to: usize, mail: &Mail, now: Timestamp) {
        let secs = SignedDuration::from_secs;
        let (least, most) = match () {
            () if self.dice.hits(self.weather.very_late) => {
                (secs(3600), secs(self.weather.days_max * 86_400))
            }
            () if self.dice.hits(self.weather.late) => (secs(60), secs(3 * 3600)),
            () => (secs(1), secs(30)),
        };
        let arrives = now + self.dice.time(least, most);
        let mail = if self.dice.hits(self.weather.damaged) { self.damage(mail) } else { mail.clone() };
        self.uid += 1;
        self.addressed.insert(to);
        let mailbox = self.mailboxes.entry(to).or_default();
        mailbox.flying.insert((Reverse(arrives.as_millisecond()), self.uid));
        mailbox.mails.insert(self.uid, mail);
    }

    /// Some bits are changed, or the end is cut off.
    fn damage(&mut self, mail: &Mail) -> Mail {
        let mut raw = mail.raw.to_vec();
        if self.dice.hits(500_000) {
            raw.truncate(self.dice.place(raw.len()));
        } else {
            for _ in 0..=self.dice.below(8) {
                let place = self.dice.place(raw.len());
                if let Some(octet) = raw.get_mut(place) {
                    *octet ^= 1 << self.dice.below(8);
                }
            }
        }
        Mail { whole: false, raw: Arc::from(raw), ..mail.clone() }
    }

    /// The mails of a mailbox in the order in which they arrived, with their ids.
    pub(crate) fn list(&mut self, of: usize, now: Timestamp) -> Vec<(u64, Mail)> {
        let mailbox = self.mailboxes.entry(of).or_default();
        while let Some((Reverse(arrives), uid)) = mailbox.flying.last().copied() {
            if arrives > now.as_millisecond() {
                break;
            }
            mailbox.flying.pop_last();
            if let Some(mail) = mailbox.mails.remove(&uid) {
                // Its place in the mailbox is that of its arrival, so that mails overtake each other.
                self.uid += 1;
                mailbox.here.insert(self.uid, mail);
            }
        }
        mailbox.here.iter().map(|(uid, mail)| (*uid, mail.clone())).collect()
    }

    /// Whether a session of reading breaks before its deletions count.
    pub(crate) fn breaks(&mut self) -> bool {
        self.dice.hits(self.weather.undeleted)
    }

    /// Mails are deleted.
    pub(crate) fn delete(&mut self, of: usize, uids: &[u64]) {
        if let Some(mailbox) = self.mailboxes.get_mut(&of) {
            for uid in uids {
                mailbox.here.remove(uid);
            }
        }
    }

    /// The mailboxes that mails were sent off to since the last time.
    pub(crate) fn take_addressed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.addressed)
    }

    /// When the next mail comes into a mailbox, or came into it.
    pub(crate) fn next_mail(&self, of: usize, now: Timestamp) -> Option<Timestamp> {
        let mailbox = self.mailboxes.get(&of)?;
        if !mailbox.here.is_empty() {
            return Some(now);
        }
        mailbox.flying.last().and_then(|(at, _)| Timestamp::from_millisecond(at.0).ok())
    }

    /// Whether a mail waits in the mailbox already.
    pub(crate) fn has_mail(&self, of: usize, now: Timestamp) -> bool {
        self.mailboxes.get(&of).is_some_and(|mailbox| {
            let arrived = mailbox.flying.last().is_some_and(|(at, _)| at.0 <= now.as_millisecond());
            arrived || !mailbox.here.is_empty()
        })
    }

    /// Mails in all mailboxes and on their way.
    pub(crate) fn waiting(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.here.len() + mailbox.flying.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(serial: u32) -> Mail {
        Mail { serial, first_sending: true, whole: true, raw: Arc::from(vec![65; 1000]) }
    }

    #[test]
    fn in_calm_weather_everything_arrives_once_and_stays_until_it_is_deleted() {
        let mut office = PostOffice::new(Dice::new(1));
        office.weather = Weather::CALM;
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for serial in 0..100 {
            assert_eq!(office.hand_in(1, mail(serial), now), Answer::Taken);
        }
        let listed = office.list(1, now + SignedDuration::from_secs(60));
        let mut serials: Vec<u32> = listed.iter().map(|(_, mail)| mail.serial).collect();
        serials.sort_unstable();
        assert_eq!(serials, (0..100).collect::<Vec<_>>());
        assert!(listed.iter().all(|(_, mail)| mail.whole) && office.list(0, now).is_empty());
        let uids: Vec<u64> = listed.iter().map(|(uid, _)| *uid).collect();
        assert_eq!(office.waiting(), 100);
        office.delete(1, &uids);
        assert_eq!(office.waiting(), 0);
    }

    #[test]
    fn a_storm_loses_doubles_damages_and_lets_mails_overtake_each_other() {
        let mut office = PostOffice::new(Dice::new(2));
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let answers: Vec<Answer> = (0..2000).map(|serial| office.hand_in(0, mail(serial), now)).collect();
        for wanted in [Answer::Taken, Answer::Refused, Answer::Died] {
            assert!(answers.contains(&wanted), "{wanted:?}");
        }
        let listed = office.list(0, now + SignedDuration::from_hours(200));
        let count = |serial| listed.iter().filter(|(_, mail)| mail.serial == serial).count();
        assert!((0..2000).any(|serial| count(serial) == 0) && (0..2000).any(|serial| count(serial) > 1));
        assert!(listed.iter().any(|(_, mail)| !mail.whole));
        assert!(listed.windows(2).any(|pair| pair[0].1.serial > pair[1].1.serial));
    }
}

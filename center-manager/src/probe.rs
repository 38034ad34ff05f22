//! A ladder of test mails to one appliance, from small to large, which shows how large a mail gets through. Pure.
//!
//! Each rung is a ping with octets behind its envelope that cannot be compressed; every version of an appliance answers it as
//! it answers any ping. The next rung goes out when the one before was answered. One that nobody answers is sent once more,
//! since any mail may be lost; then the ladder ends.

use crate::db::outbox::Transport;
use crate::rollout::after;
use jiff::{SignedDuration, Timestamp};
use mailfmt::mail::attachment_octets_max;
use mailfmt::{Digest, MessageId};

/// Octets behind the envelope, rung by rung. In base64 the last one is just below the 25 MB that many providers take.
pub const RUNGS: [u64; 6] = [100_000, 1_000_000, 3_000_000, 7_000_000, 14_000_000, 18_000_000];

/// Mails of one rung before it counts as lost.
const MAILS_PER_RUNG: u32 = 2;

/// How long an answer is waited for, where nothing is known of the site's mail.
const PATIENCE: SignedDuration = SignedDuration::from_hours(6);
/// The same at least and at most, where something is.
const PATIENCE_MIN: SignedDuration = SignedDuration::from_mins(30);
const PATIENCE_MAX: SignedDuration = SignedDuration::from_hours(48);

/// Octets of an envelope with a ping, and what mail servers add to a mail.
const AROUND: u64 = 8 << 10;

/// How far a rung came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Octets behind its envelope.
    pub octets: u64,
    /// How far its mail came.
    pub state: Transport,
    /// Since when.
    pub changed: Timestamp,
    /// Mails handed in.
    pub mails: u32,
}

/// What to do with a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the next rung, with so many octets.
    Send(u64),
    /// Send the last rung again.
    Again,
    /// Nothing yet.
    Wait,
    /// It is over.
    End(Outcome),
}

/// How a ladder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every rung that may be sent came.
    AllCame,
    /// This one did not, although those before came.
    LostAt(u64),
    /// Not even the first one came: that says nothing about sizes.
    NothingCame,
    /// Not even the first one may be sent.
    NothingFits,
}

impl Outcome {
    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::AllCame => "every test mail came".to_owned(),
            Self::LostAt(octets) => format!("a test mail of {octets} octets did not come, smaller ones did"),
            Self::NothingCame => "not even the smallest test mail was answered".to_owned(),
            Self::NothingFits => "the known limits allow no test mail at all".to_owned(),
        }
    }
}

/// How long the answer to one mail of a rung is waited for, by the measured delay of the site's mail.
#[must_use]
pub fn patience(mail_delay: Option<SignedDuration>) -> SignedDuration {
    let long = mail_delay.map_or(PATIENCE, |delay| delay.saturating_mul(4));
    long.clamp(PATIENCE_MIN, PATIENCE_MAX)
}

/// The next step of a ladder. `rungs`: those so far, the smallest first; `mail_octets_max`: the largest mail that may be sent.
#[must_use]
pub fn next(rungs: &[Rung], mail_octets_max: u64, patience: SignedDuration, now: Timestamp) -> Step {
    let Some(last) = rungs.last() else {
        return match RUNGS.first() {
            Some(first) if mail_octets(*first) <= mail_octets_max => Step::Send(*first),
            _ => Step::End(Outcome::NothingFits),
        };
    };
    let lost = if rungs.len() == 1 { Outcome::NothingCame } else { Outcome::LostAt(last.octets) };
    match last.state {
        Transport::Answered => {
            let next = RUNGS.into_iter().find(|octets| *octets > last.octets);
            match next.filter(|octets| mail_octets(*octets) <= mail_octets_max) {
                Some(octets) => Step::Send(octets),
                None => Step::End(Outcome::AllCame),
            }
        }
        Transport::Refused | Transport::Bounced | Transport::Expired => Step::End(lost),
        Transport::Queued => Step::Wait,
        Transport::Accepted | Transport::Delayed if after(last.changed, patience) > now => Step::Wait,
        Transport::Accepted | Transport::Delayed if last.mails < MAILS_PER_RUNG => Step::Again,
        Transport::Accepted | Transport::Delayed => Step::End(lost),
    }
}

/// The mail that a rung becomes, in octets with base64.
#[must_use]
pub fn mail_octets(octets: u64) -> u64 {
    // Lines of 76 letters and their ends hold 57 octets.
    octets.saturating_mul(78).div_ceil(57).saturating_add(AROUND)
}

/// The largest mail that got through, where a larger one did not.
#[must_use]
pub fn taught(rungs: &[Rung], outcome: Outcome) -> Option<u64> {
    let Outcome::LostAt(_) = outcome else { return None };
    let came = rungs.iter().filter(|rung| rung.state == Transport::Answered);
    came.map(|rung| mail_octets(rung.octets)).max().map(|octets| octets.max(crate::sending::MAIL_OCTETS_MIN))
}

/// The octets of a rung: the same for every mail of one message, and nothing that a gateway could compress.
#[must_use]
pub fn padding(message: &MessageId, octets: u64) -> Vec<u8> {
    let octets = usize::try_from(octets).unwrap_or(usize::MAX).min(attachment_octets_max(64 << 20));
    let mut padding = Vec::with_capacity(octets.saturating_add(32));
    let mut seed = [0; 24];
    if let Some(start) = seed.first_chunk_mut::<16>() {
        *start = *message.as_bytes();
    }
    let mut block = 0_u64;
    while padding.len() < octets {
        if let Some(end) = seed.last_chunk_mut::<8>() {
            *end = block.to_be_bytes();
        }
        padding.extend(Digest::of(&seed).as_bytes());
        block = block.saturating_add(1);
    }
    padding.truncate(octets);
    padding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{later, now};

    const WAIT: SignedDuration = SignedDuration::from_hours(1);

    fn rung(octets: u64, state: Transport, mails: u32) -> Rung {
        Rung { octets, state, changed: now(), mails }
    }

    fn step(rungs: &[Rung], secs: i64) -> Step {
        next(rungs, u64::MAX, WAIT, later(secs))
    }

    #[test]
    fn a_ladder_climbs_as_long_as_answers_come() {
        let mut rungs = Vec::new();
        for octets in RUNGS {
            assert_eq!(step(&rungs, 0), Step::Send(octets));
            rungs.push(rung(octets, Transport::Queued, 0));
            assert_eq!(step(&rungs, 999_999), Step::Wait, "it waits for the mail budget");
            *rungs.last_mut().unwrap() = rung(octets, Transport::Answered, 1);
        }
        assert_eq!(step(&rungs, 0), Step::End(Outcome::AllCame));
        assert_eq!(taught(&rungs, Outcome::AllCame), None, "no limit was met");
    }

    #[test]
    fn what_is_not_answered_is_sent_once_more_and_then_the_ladder_ends() {
        let came = rung(RUNGS[0], Transport::Answered, 1);
        let waiting = |mails| [came, rung(RUNGS[1], Transport::Accepted, mails)];
        assert_eq!(step(&waiting(1), 3_599), Step::Wait);
        assert_eq!(step(&waiting(1), 3_600), Step::Again);
        assert_eq!(step(&waiting(2), 3_599), Step::Wait);
        let lost = Outcome::LostAt(RUNGS[1]);
        assert_eq!(step(&waiting(2), 3_600), Step::End(lost));
        assert_eq!(step(&[came, rung(RUNGS[1], Transport::Bounced, 1)], 0), Step::End(lost));
        assert_eq!(taught(&waiting(2), lost), Some(mail_octets(RUNGS[0])));
    }

    #[test]
    fn a_site_that_answers_nothing_teaches_no_limit() {
        let rungs = [rung(RUNGS[0], Transport::Accepted, 2)];
        assert_eq!(step(&rungs, 3_600), Step::End(Outcome::NothingCame));
        assert_eq!(taught(&rungs, Outcome::NothingCame), None);
    }

    #[test]
    fn nothing_above_a_known_limit_is_tried() {
        let came = [rung(RUNGS[0], Transport::Answered, 1)];
        assert_eq!(next(&came, mail_octets(RUNGS[1]), WAIT, now()), Step::Send(RUNGS[1]));
        assert_eq!(next(&came, mail_octets(RUNGS[1]) - 1, WAIT, now()), Step::End(Outcome::AllCame));
        assert_eq!(next(&[], 70_000, WAIT, now()), Step::End(Outcome::NothingFits));
    }

    #[test]
    fn slow_sites_are_waited_for_and_quick_ones_not_too_little() {
        assert_eq!(patience(None), PATIENCE);
        assert_eq!(patience(Some(SignedDuration::from_secs(5))), PATIENCE_MIN);
        assert_eq!(patience(Some(SignedDuration::from_hours(2))), SignedDuration::from_hours(8));
        assert_eq!(patience(Some(SignedDuration::from_hours(900))), PATIENCE_MAX);
    }

    #[test]
    fn padding_is_the_same_again_and_of_its_length() {
        let id = MessageId::from_bytes([3; 16]);
        let first = padding(&id, 100_001);
        assert_eq!((first.len(), padding(&id, 100_001) == first), (100_001, true));
        assert_ne!(padding(&MessageId::from_bytes([4; 16]), 100_001), first);
    }
}

//! How long an update takes from the mail to the running version, learned from what was measured. Pure.

use super::ladder::Progress;
use super::target::Target;
use jiff::SignedDuration;

/// Of a hundred measured times, so many are not longer than the learned one.
const PERCENT: u32 = 99;

/// Fewer measured times than this teach nothing.
pub const SAMPLES_MIN: usize = 20;

/// No learned time is longer: whoever takes longer than a mail server tries (RFC 5321, 4.5.4.1) was away.
const LONGEST: SignedDuration = SignedDuration::from_hours(5 * 24);

/// The nearest-rank quantile of some numbers: the least of them that `percent` of a hundred do not exceed. `None` without
/// numbers.
#[must_use]
pub fn quantile(numbers: &[u32], percent: u32) -> Option<u32> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let count = u64::try_from(sorted.len()).unwrap_or(u64::MAX);
    let rank = (count.saturating_mul(percent.min(100).into())).div_ceil(100).max(1);
    sorted.get(usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX)).copied()
}

/// What measured times, in seconds, teach; `None` while they are too few.
#[must_use]
pub fn learned(took: &[u32]) -> Option<SignedDuration> {
    if took.len() < SAMPLES_MIN {
        return None;
    }
    quantile(took, PERCENT).map(|secs| SignedDuration::from_secs(secs.into()).min(LONGEST))
}

/// How long the update of a verified target took: from the moment when our mail server had all of the order until its
/// installer said that it was done, or until a right version report came that nobody had asked for.
///
/// `None` where there is only the answer to our question: that says when we asked, not when it was done.
#[must_use]
pub fn took(target: &Target) -> Option<SignedDuration> {
    let order = target.mails().0?;
    let said = match order.progress {
        Progress::InstalledSaid { at, .. } => Some(at),
        Progress::Ordered | Progress::Waiting { .. } | Progress::Refused { .. } | Progress::Undone { .. } => {
            None
        }
    };
    let told = target.answer.as_ref().filter(|answer| !answer.asked).map(|answer| answer.received);
    let done = said.into_iter().chain(told).min()?;
    let took = order.handed_in()?.duration_until(done);
    (!took.is_negative()).then_some(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_the_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!([1, 50, 99, 100].map(|percent| quantile(&hundred, percent)), [1, 50, 99, 100].map(Some));
        assert_eq!(quantile(&[7], 99), Some(7));
        assert_eq!(quantile(&[3, 1, 2], 50), Some(2));
        assert_eq!(quantile(&[3, 1, 2], 0), Some(1));
        assert_eq!(quantile(&[], 99), None);
    }

    #[test]
    fn a_few_measured_times_teach_nothing_and_many_the_ninety_ninth() {
        assert_eq!(learned(&[600; SAMPLES_MIN - 1]), None);
        assert_eq!(learned(&[600; SAMPLES_MIN]), Some(SignedDuration::from_secs(600)));
        let mut took = vec![300; 199];
        took.push(4_000_000);
        assert_eq!(learned(&took), Some(SignedDuration::from_secs(300)), "one that was away teaches nothing");
        assert_eq!(learned(&[4_000_000; 50]), Some(LONGEST));
    }
}

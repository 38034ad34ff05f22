use super::*;
use crate::sequence::{begin, first_of, last_of, new_epoch, next};
use proptest::prelude::*;

/// `count` in `epoch`, made `after` seconds into that epoch.
fn sighting(epoch: u32, count: u64, follows: u64, after: i64) -> Sighting {
    Sighting {
        sequence: (u64::from(epoch) << 32) | count,
        follows: Some(follows),
        begins: None,
        created: began(epoch.max(1)).unwrap() + SignedDuration::from_secs(after),
    }
}

fn forked(observation: Observation) -> Option<bool> {
    match observation {
        Observation::Forked(fork) => Some(fork.both_go_on),
        Observation::Continues | Observation::NewEpoch => None,
    }
}

#[test]
fn a_sender_that_restarts_continues_its_history() {
    let mut lineage = Lineage::default();
    assert_eq!(lineage.observe(sighting(100, 1, 0, 0)), Observation::NewEpoch);
    assert_eq!(lineage.observe(sighting(100, 9, 0, 5)), Observation::Continues);
    assert_eq!(lineage.observe(sighting(200, 1, first_of(100) + 8, 0)), Observation::NewEpoch);
    assert_eq!(lineage.observe(sighting(100, 4, 0, 6)), Observation::Continues, "a late mail");
    assert!(lineage.forks().is_empty());
}

#[test]
fn a_sender_from_before_the_epochs_continues_its_history() {
    let mut lineage = Lineage::default();
    let old = Sighting { sequence: 57, follows: None, begins: None, created: began(50).unwrap() };
    lineage.observe(old);
    assert_eq!(lineage.observe(sighting(100, 1, 60, 0)), Observation::NewEpoch);
    assert_eq!(lineage.observe(Sighting { sequence: 60, ..old }), Observation::Continues, "a late mail");
}

#[test]
fn a_sender_that_was_put_back_from_a_backup_is_noticed_once() {
    let mut lineage = Lineage::default();
    lineage.observe(sighting(100, 20, 0, 60));
    // The backup was taken at number 15.
    let back = sighting(5_000, 1, first_of(100) + 14, 0);
    let Observation::Forked(fork) = lineage.observe(back) else { panic!("not noticed") };
    assert_eq!((fork.older, fork.younger, fork.both_go_on), (100, 5_000, false));
    assert_eq!((fork.common, fork.highest), (first_of(100) + 14, first_of(100) + 19));
    assert_eq!(lineage.observe(sighting(5_000, 2, first_of(100) + 14, 5)), Observation::Continues);
    assert_eq!(lineage.observe(sighting(6_000, 1, first_of(5_000) + 4, 0)), Observation::NewEpoch);
    assert_eq!(
        lineage.observe(sighting(100, 19, 0, 59)),
        Observation::Continues,
        "a late mail is no second box"
    );
    assert_eq!(lineage.forks().len(), 1);
}

#[test]
fn a_copied_box_is_noticed_and_told_from_a_restore_when_both_go_on() {
    let mut lineage = Lineage::default();
    let common = first_of(100) + 4;
    lineage.observe(sighting(100, 5, 0, 0));
    // Two boxes from one image start one after the other.
    assert_eq!(lineage.observe(sighting(5_000, 1, common, 0)), Observation::NewEpoch);
    assert_eq!(forked(lineage.observe(sighting(5_030, 1, common, 0))), Some(false), "both are young still");
    assert_eq!(forked(lineage.observe(sighting(5_030, 2, common, 4_000))), None);
    assert_eq!(forked(lineage.observe(sighting(5_000, 2, common, 4_000))), Some(true));
    assert_eq!(forked(lineage.observe(sighting(5_000, 3, common, 5_000))), None, "said once");
}

#[test]
fn the_order_of_the_mails_does_not_matter() {
    let mut lineage = Lineage::default();
    assert_eq!(lineage.observe(sighting(5_000, 1, first_of(100) + 14, 0)), Observation::NewEpoch);
    assert_eq!(forked(lineage.observe(sighting(100, 20, 0, 60))), Some(false));
}

#[test]
fn a_sender_that_forgot_everything_is_noticed() {
    let mut lineage = Lineage::default();
    lineage.observe(sighting(100, 5, 0, 0));
    assert_eq!(forked(lineage.observe(sighting(200, 1, 0, 0))), Some(false));
}

#[test]
fn a_sender_that_knows_only_its_last_epoch_may_follow_all_of_it() {
    let mut lineage = Lineage::default();
    lineage.observe(sighting(100, 500, 0, 0));
    assert_eq!(lineage.observe(sighting(200, 1, last_of(100), 0)), Observation::NewEpoch);
    // Put back from a backup of epoch 100.
    assert_eq!(forked(lineage.observe(sighting(300, 1, last_of(100), 0))), Some(false));
}

#[test]
fn a_settled_fork_is_forgotten_and_a_new_one_noticed() {
    let mut lineage = Lineage::default();
    lineage.observe(sighting(100, 20, 0, 60));
    assert_eq!(forked(lineage.observe(sighting(5_000, 1, 3, 0))), Some(false));
    lineage.settle();
    assert!(lineage.forks().is_empty());
    assert_eq!(lineage.observe(sighting(5_000, 2, 3, 0)), Observation::Continues);
    assert_eq!(forked(lineage.observe(sighting(6_000, 1, 3, 0))), Some(false));
}

/// The same epoch, begun with another number.
fn begun(begins: u64, count: u64, after: i64) -> Sighting {
    let first = first_of(5_000) + begins;
    Sighting { sequence: first + count, begins: Some(first), ..sighting(5_000, 1, first_of(100) + 14, after) }
}

#[test]
fn a_sender_that_takes_an_epoch_once_more_is_noticed_once() {
    for (before, after) in [(7_000_000, 90_000), (90_000, 7_000_000)] {
        let mut lineage = Lineage::default();
        assert_eq!(lineage.observe(begun(before, 0, 0)), Observation::NewEpoch);
        assert_eq!(lineage.observe(begun(before, 9, 5)), Observation::Continues);
        let Observation::Forked(fork) = lineage.observe(begun(after, 0, 20)) else { panic!("not noticed") };
        assert_eq!((fork.older, fork.younger, fork.common), (5_000, 5_000, first_of(100) + 14));
        assert!(!fork.both_go_on);
        assert_eq!(lineage.observe(begun(after, 1, 90_000)), Observation::Continues, "put back, not copied");
        assert_eq!(
            lineage.observe(begun(before, 3, 2)),
            Observation::Continues,
            "a late mail is no second box"
        );
        assert_eq!(forked(lineage.observe(begun(before, 10, 90_002))), Some(true), "both go on");
        lineage.settle();
        assert_eq!(lineage.observe(begun(before, 11, 90_003)), Observation::Continues);
    }
}

#[test]
fn a_history_kept_by_an_older_program_goes_on() {
    let kept = r#"{"epochs":[{"epoch":5000,"follows":57,"highest":21474836480007,"newest":"2026-01-01T02:00:00Z"}],"forks":[]}"#;
    let mut lineage: Lineage = serde_json::from_str(kept).unwrap();
    assert_eq!(
        lineage.observe(begun(90, 0, 8_000)),
        Observation::Continues,
        "its sender is newer than itself"
    );
    assert_eq!(forked(lineage.observe(begun(91, 0, 9_000))), Some(false));
}

#[test]
fn the_history_is_kept_short_and_read_back_as_it_was() {
    let mut lineage = Lineage::default();
    let mut last = 0;
    for epoch in 1..1_000 {
        assert_eq!(lineage.observe(sighting(epoch, 1, last, 0)), Observation::NewEpoch);
        last = first_of(epoch);
    }
    assert_eq!(lineage.epochs.len(), EPOCHS_MAX);
    let kept = serde_json::to_string(&lineage).unwrap();
    assert_eq!(serde_json::from_str::<Lineage>(&kept).unwrap(), lineage);
}

/// A sender with a store, as the appliance has one.
#[derive(Clone)]
struct Sender {
    last: u64,
    begins: u64,
    follows: u64,
}

impl Sender {
    fn restart(&mut self, at: Timestamp, random: u32) {
        let epoch = new_epoch(at, epoch_of(self.last));
        self.begins = begin(epoch, &mut |buffer: &mut [u8]| buffer.copy_from_slice(&random.to_be_bytes()));
        self.follows = self.last;
    }

    fn send(&mut self, at: Timestamp) -> Sighting {
        self.last = next(self.last, self.begins);
        Sighting { sequence: self.last, follows: Some(self.follows), begins: Some(self.begins), created: at }
    }
}

proptest! {
    /// Whatever is lost, delayed or doubled: an honest sender is never suspected, and after a restore the first message
    /// is enough, if one of the forgotten messages was seen. The time need not have gone on since: clocks stand and jump.
    #[test]
    fn an_honest_sender_is_never_suspected_and_a_restored_one_always(
        steps in proptest::collection::vec((0..10u8, 0..2_000i64, any::<u32>()), 1..80),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..80),
        backup in any::<proptest::sample::Index>(),
        (goes_on, other) in (0..3i64, any::<u32>()),
    ) {
        let mut now = began(1_000).unwrap();
        let mut sender = Sender { last: 0, begins: 0, follows: 0 };
        sender.restart(now, other ^ 0x5555_5555);
        let (mut sent, mut backups) = (Vec::new(), Vec::new());
        for (step, pause, random) in steps {
            // Half of them come at the same second as the step before.
            now += SignedDuration::from_secs(pause.saturating_sub(1_000).max(0));
            if step == 0 { sender.restart(now, random) } else { sent.push(sender.send(now)) }
            backups.push(sender.clone());
        }
        let mut lineage = Lineage::default();
        if sent.is_empty() { return Ok(()) }
        for index in &order {
            let seen = lineage.observe(*index.get(&sent));
            prop_assert!(!matches!(seen, Observation::Forked(_)), "{seen:?}");
        }
        let mut restored = backup.get(&backups).clone();
        let forgotten = order.iter().any(|index| index.get(&sent).sequence > restored.last);
        now += SignedDuration::from_secs(goes_on);
        restored.restart(now, other);
        let first = restored.send(now);
        prop_assert!(sent.iter().all(|seen| seen.sequence != first.sequence), "no number is given twice");
        let at_once = matches!(lineage.observe(first), Observation::Forked(_));
        prop_assert!(forgotten || !at_once);
        if sent.iter().all(|seen| epoch_of(seen.sequence) < epoch_of(first.sequence)) {
            prop_assert_eq!(at_once, forgotten);
        }
        // Where its epoch was there before, and what was given in it was not seen, the next start tells.
        restored.restart(now + SignedDuration::from_secs(80), other);
        let later = matches!(lineage.observe(restored.send(now)), Observation::Forked(_));
        prop_assert_eq!(at_once || later, forgotten);
    }
}

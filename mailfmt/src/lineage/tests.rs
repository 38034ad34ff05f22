use super::*;
use crate::sequence::{first_of, last_of, new_epoch, next};
use proptest::prelude::*;

/// `count` in `epoch`, made `after` seconds into that epoch.
fn sighting(epoch: u32, count: u64, follows: u64, after: i64) -> Sighting {
    Sighting {
        sequence: (u64::from(epoch) << 32) | count,
        follows: Some(follows),
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
    let old = Sighting { sequence: 57, follows: None, created: began(50).unwrap() };
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
    epoch: u32,
    follows: u64,
}

impl Sender {
    fn restart(&mut self, at: Timestamp) {
        self.epoch = new_epoch(at, self.epoch);
        self.follows = self.last;
    }

    fn send(&mut self, at: Timestamp) -> Sighting {
        self.last = next(self.last, self.epoch);
        Sighting { sequence: self.last, follows: Some(self.follows), created: at }
    }
}

proptest! {
    /// Whatever is lost, delayed or doubled: an honest sender is never suspected, and after a restore the first message
    /// is enough, if one of the forgotten messages was seen.
    #[test]
    fn an_honest_sender_is_never_suspected_and_a_restored_one_always(
        steps in proptest::collection::vec((0..10u8, 1..5_000i64), 1..80),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..80),
        backup in any::<proptest::sample::Index>(),
    ) {
        let mut now = began(1_000).unwrap();
        let mut sender = Sender { last: 0, epoch: 0, follows: 0 };
        sender.restart(now);
        let (mut sent, mut backups) = (Vec::new(), Vec::new());
        for (step, pause) in steps {
            now += SignedDuration::from_secs(pause);
            if step == 0 { sender.restart(now) } else { sent.push(sender.send(now)) }
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
        now += SignedDuration::from_secs(60);
        restored.restart(now);
        let first = restored.send(now);
        prop_assert!(sent.iter().all(|seen| seen.sequence < first.sequence), "no number is given twice");
        prop_assert_eq!(matches!(lineage.observe(first), Observation::Forked(_)), forgotten);
    }
}

use super::*;
use crate::store::Outgoing;
use mailfmt::message::report::RefusedReport;
use mailfmt::{MessageId, Report};
use std::path::Path;

fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn sent(store: &mut Store, id: u8, now: &str) -> u64 {
    let outgoing = Outgoing {
        id: MessageId::from_bytes([id; 16]),
        center: center(),
        report: Report::Refused(RefusedReport { kind: "x".into(), reason: "y".into() }),
        in_reply_to: None,
        created: at(now),
        expires: at("2036-01-01T00:00:00Z"),
    };
    let row = store.change(|change| change.enqueue(&outgoing)).unwrap();
    store.outbox_row(row).unwrap().unwrap().sequence
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("store.db")).unwrap()
}

#[test]
fn every_start_begins_an_epoch_that_follows_what_was_given() {
    let home = tempfile::tempdir().unwrap();
    let mut store = open(home.path());
    let first = sent(&mut store, 1, "2026-02-01T00:00:00Z");
    let second = sent(&mut store, 2, "2026-02-01T00:00:09Z");
    assert_eq!(second, first + 1);
    assert_eq!(store.origin(&center(), second).unwrap(), Origin { follows: Some(0), begins: Some(first) });
    let mut again = open(home.path());
    let third = sent(&mut again, 3, "2026-02-01T00:00:09Z");
    assert!(sequence::epoch_of(third) > sequence::epoch_of(second));
    assert_eq!(
        again.origin(&center(), third).unwrap(),
        Origin { follows: Some(second), begins: Some(third) }
    );
    assert_eq!(sent(&mut store, 4, "2026-02-01T00:00:10Z"), third + 1, "one chain for all processes");
}

#[test]
fn an_epoch_that_was_not_committed_is_begun_again() {
    let home = tempfile::tempdir().unwrap();
    let mut store = open(home.path());
    let failed: Result<(), StoreError> = store.change(|change| {
        change.next_sequence(&center(), at("2026-02-01T00:00:00Z"))?;
        Err(StoreError::Damaged { what: "test" })
    });
    assert!(failed.is_err());
    let number = sent(&mut store, 1, "2026-02-01T00:00:00Z");
    assert_eq!(store.origin(&center(), number).unwrap(), Origin { follows: Some(0), begins: Some(number) });
}

#[test]
fn a_store_that_is_put_back_gives_no_number_again_and_its_reader_notices() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, mut seen) = (open(home.path()), Lineage::default());
    let mut look = |store: &Store, sequence, created: &str| {
        let Origin { follows, begins } = store.origin(&center(), sequence).unwrap();
        seen.observe(Sighting { sequence, follows, begins, created: at(created) })
    };
    let first = sent(&mut store, 1, "2026-02-01T00:00:00Z");
    look(&store, first, "2026-02-01T00:00:00Z");
    drop(store);
    let backup = home.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    std::fs::copy(home.path().join("store.db"), backup.join("store.db")).unwrap();
    let mut store = open(home.path());
    let lost = sent(&mut store, 2, "2026-02-02T00:00:00Z");
    assert_eq!(look(&store, lost, "2026-02-02T00:00:00Z"), Observation::NewEpoch);
    let mut restored = open(&backup);
    let new = sent(&mut restored, 3, "2026-02-03T00:00:00Z");
    assert!(new > lost);
    assert!(matches!(look(&restored, new, "2026-02-03T00:00:00Z"), Observation::Forked(_)));
}

#[test]
fn a_store_that_is_put_back_within_the_second_gives_other_numbers_and_its_reader_notices() {
    let home = tempfile::tempdir().unwrap();
    let second = "2026-02-01T00:00:00Z";
    let backup = home.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    drop(open(home.path()));
    std::fs::copy(home.path().join("store.db"), backup.join("store.db")).unwrap();
    let mut seen = Lineage::default();
    let mut numbers = Vec::new();
    let mut observed = Vec::new();
    for (id, folder) in [(1, home.path()), (2, &backup)] {
        let mut store = open(folder);
        let number = sent(&mut store, id, second);
        let Origin { follows, begins } = store.origin(&center(), number).unwrap();
        numbers.push(number);
        observed.push(seen.observe(Sighting { sequence: number, follows, begins, created: at(second) }));
    }
    assert_eq!(sequence::epoch_of(numbers[0]), sequence::epoch_of(numbers[1]), "the same epoch");
    assert_ne!(numbers[0], numbers[1]);
    assert!(matches!(observed[..], [Observation::NewEpoch, Observation::Forked(_)]), "{observed:?}");
}

#[test]
fn epochs_are_forgotten_when_nothing_of_them_is_left() {
    let home = tempfile::tempdir().unwrap();
    for id in 1..=3 {
        sent(&mut open(home.path()), id, "2026-02-01T00:00:00Z");
    }
    let forget = |store: &mut Store| {
        let mut forgotten = 0;
        store
            .change(|change| {
                forgotten = change.prune_epochs()?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
        forgotten
    };
    let mut store = open(home.path());
    assert_eq!(forget(&mut store), 0, "their reports wait");
    store.connection.execute("DELETE FROM outbox", ()).unwrap();
    assert_eq!(forget(&mut store), 2);
}

#[test]
fn the_newest_message_and_forks_of_the_center_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut store = open(home.path());
    let sighting = |epoch: u64, follows, created: &str| Sighting {
        sequence: (epoch << 32) + 1,
        follows: Some(follows),
        begins: None,
        created: at(created),
    };
    let mut observe = |sighting| store.change(|change| change.observe(&center(), sighting)).unwrap();
    observe(sighting(100, 0, "2026-02-02T00:00:00Z"));
    assert!(matches!(observe(sighting(200, 0, "2026-02-01T00:00:00Z")), Observation::Forked(_)));
    assert_eq!(store.newest_of(&center()).unwrap(), Some(at("2026-02-02T00:00:00Z")));
    assert_eq!(store.forks_of(&center()).unwrap().len(), 1);
    store.change(|change| change.settle_forks(&center())).unwrap();
    assert!(store.forks_of(&center()).unwrap().is_empty());
}

#[test]
fn an_alarm_is_raised_once_and_ends_once() {
    let home = tempfile::tempdir().unwrap();
    let mut store = open(home.path());
    let alarm = AlarmRow {
        name: "nothing-fresh".into(),
        description: "nothing".into(),
        since: at("2026-02-02T00:00:00Z"),
    };
    assert!(store.change(|change| change.raise_alarm(&alarm)).unwrap());
    assert!(!store.change(|change| change.raise_alarm(&alarm)).unwrap());
    assert_eq!(store.alarms().unwrap(), std::slice::from_ref(&alarm));
    assert_eq!(store.change(|change| change.end_alarm("nothing-fresh")).unwrap(), Some(alarm));
    assert_eq!(store.change(|change| change.end_alarm("nothing-fresh")).unwrap(), None);
}

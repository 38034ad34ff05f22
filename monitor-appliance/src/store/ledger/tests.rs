use super::*;
use crate::ledger::{Closing, Identity, MeterValue, Moment, Observation, Rules};
use crate::store::Store;
use std::path::Path;

fn now() -> Timestamp {
    "2026-11-10T08:00:00Z".parse().unwrap()
}

fn device() -> DeviceId {
    DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() }
}

fn observation(hour: i64, value: u64) -> Observation {
    Observation {
        device: device(),
        address: "10.0.0.5".into(),
        identity: Identity { serial: Some("A1".into()), ..Identity::default() },
        moment: Moment {
            at: now().saturating_add(jiff::SignedDuration::from_hours(hour)).unwrap(),
            clock_sure: true,
            uptime_secs: u64::try_from(hour * 3600 + 100).ok(),
        },
        values: vec![MeterValue {
            name: "total".into(),
            source: "1.3.6.1.2.1.43.10.2.1.4.1.1".into(),
            unit: "impressions".into(),
            value,
        }],
    }
}

/// What a visit does, as one transaction.
fn visit(store: &mut Store, hour: i64, value: u64) -> Result<(), StoreError> {
    store.change(|change| {
        let observation = observation(hour, value);
        let mut line = change.ledger_line(&device())?.unwrap_or_else(|| Line::begin(device()));
        let entries = line.take(&observation, change.ledger_next()?, &Rules::default(), &Closing::default());
        change.append_to_ledger(&entries, "ledger")?;
        change.keep_ledger_line(&line, "10.0.0.5", observation.moment.at)
    })
}

fn store(folder: &Path) -> Store {
    Store::open(&folder.join("store.db")).unwrap()
}

/// A ledger with an entry a day.
fn filled(folder: &Path, days: i64) -> Store {
    let mut store = store(folder);
    for day in 0..days {
        visit(&mut store, day * 24, 1000 + day.unsigned_abs()).unwrap();
    }
    store
}

#[test]
fn entries_are_chained_and_told_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 5);
    let state = store.check_ledger().unwrap().unwrap();
    assert_eq!((state.last, state.untold, state.broken), (5, 5, None));
    let untold = store.ledger_untold(3).unwrap().unwrap();
    let numbers: Vec<_> = untold.entries.iter().map(|(_, entry)| entry.sequence).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(!untold.pressing && untold.oldest == Some(now()));
    store.change(|change| change.note_ledger_told(3)).unwrap();
    assert_eq!(store.ledger_untold(10).unwrap().unwrap().entries[0].1.sequence, 4);
}

#[test]
fn nothing_can_be_changed_or_taken_out_by_a_statement() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 3);
    for statement in ["UPDATE ledger_entry SET body = ''", "DELETE FROM ledger_entry WHERE sequence = 3"] {
        let refused = store.connection.execute(statement, ()).unwrap_err();
        assert!(refused.to_string().contains("only added to"), "{refused}");
    }
}

#[test]
fn whoever_gets_around_that_is_found_at_the_entry_that_he_touched() {
    for (touch, found) in [
        ("UPDATE ledger_entry SET body = replace(body, '1002', '1001') WHERE sequence = 3", 3),
        ("DELETE FROM ledger_entry WHERE sequence = 2", 2),
        ("DELETE FROM ledger_entry WHERE sequence = 5", 5),
        ("UPDATE ledger_entry SET digest = 'x' WHERE sequence = 4", 4),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 5);
        store
            .connection
            .execute_batch("DROP TRIGGER ledger_entry_stays; DROP TRIGGER ledger_entry_is_kept;")
            .unwrap();
        assert_eq!(store.connection.execute(touch, ()).unwrap(), 1);
        assert_eq!(store.check_ledger().unwrap().unwrap().broken, Some(found), "{touch}");
    }
}

#[test]
fn what_is_old_and_told_is_forgotten_from_the_front_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 10);
    let day = |day: i64| now().saturating_add(jiff::SignedDuration::from_hours(day * 24)).unwrap();
    assert_eq!(store.change(|change| change.forget_ledger(day(5))).unwrap(), 0, "nothing was told");
    store.change(|change| change.note_ledger_told(3)).unwrap();
    assert_eq!(store.change(|change| change.forget_ledger(day(5))).unwrap(), 3);
    store.change(|change| change.note_ledger_told(10)).unwrap();
    assert_eq!(store.change(|change| change.forget_ledger(day(100))).unwrap(), 6, "the last one stays");
    assert_eq!(store.check_ledger().unwrap().unwrap().broken, None);
    visit(&mut store, 20 * 24, 5000).unwrap();
    assert_eq!(
        store.check_ledger().unwrap().unwrap(),
        LedgerState { ledger: "ledger".into(), last: 11, untold: 1, broken: None }
    );
}

/// A kill at any moment leaves the files as they are: whatever is open then is gone, whatever was finished is whole.
#[test]
fn a_kill_between_any_two_statements_leaves_a_whole_chain_and_loses_no_reading_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 2);
    let copy = |to: &Path| {
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let killed: Vec<tempfile::TempDir> = store
        .change(|change| {
            let observation = observation(48, 900);
            let mut kept = Vec::new();
            let mut cut = || {
                let to = tempfile::tempdir().unwrap();
                copy(to.path());
                kept.push(to);
            };
            let mut line = change.ledger_line(&device())?.unwrap();
            let entries =
                line.take(&observation, change.ledger_next()?, &Rules::default(), &Closing::default());
            cut();
            change.append_to_ledger(&entries, "ledger")?;
            cut();
            change.keep_ledger_line(&line, "10.0.0.5", observation.moment.at)?;
            cut();
            Ok::<_, StoreError>(kept)
        })
        .unwrap();
    assert_eq!(killed.len(), 3);
    for killed in &killed {
        let mut reopened = self::store(killed.path());
        assert_eq!(reopened.check_ledger().unwrap().unwrap().last, 2);
        // The same visit again, as after a restart: the same entry, and the fall is found again.
        visit(&mut reopened, 48, 900).unwrap();
        let state = reopened.check_ledger().unwrap().unwrap();
        assert_eq!((state.last, state.broken), (3, None));
        let (_, last) = reopened.ledger_entries(3, 1).unwrap().pop().unwrap();
        assert_eq!(last.open().unwrap().findings[0].class, "invalid");
    }
    // The one that was not killed has exactly one of it.
    assert_eq!(store.check_ledger().unwrap().unwrap().last, 3);
}

/// Every write in turn is made to fail: nothing of the visit has happened then.
#[test]
fn a_visit_that_cannot_be_stored_has_left_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 2);
    for (event, table) in [("INSERT", "ledger_entry"), ("UPDATE", "ledger_head"), ("INSERT", "ledger_line")] {
        store
            .connection
            .execute_batch(&format!(
                "CREATE TEMP TRIGGER fails BEFORE {event} ON main.{table} BEGIN SELECT RAISE(ABORT, 'disk full'); END;"
            ))
            .unwrap();
        assert!(visit(&mut store, 48, 1900).is_err(), "{event} {table}");
        store.connection.execute_batch("DROP TRIGGER fails;").unwrap();
        let state = store.check_ledger().unwrap().unwrap();
        assert_eq!((state.last, state.broken), (2, None), "{event} {table}");
    }
    visit(&mut store, 48, 1900).unwrap();
    assert_eq!(store.check_ledger().unwrap().unwrap().last, 3);
}

use super::*;
use crate::outbox::Priority;
use crate::settings::Retention;
use jiff::{SignedDuration, Timestamp};
use mailfmt::message::report::{HealthReport, RefusedReport};
use mailfmt::message::{Counter, DeviceId, FaultClass};
use mailfmt::{CenterId, MessageId, Report, SoftwareVersion};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn later(secs: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

fn center() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

fn refused() -> Report {
    Report::Refused(RefusedReport { kind: "x".into(), reason: "y".into() })
}

fn fault() -> Report {
    Report::Fault(mailfmt::message::report::FaultReport {
        device: DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() },
        episode: "e".into(),
        class: FaultClass::UserClearable,
        code: "jam".into(),
        group: "media-path".into(),
        severity: "critical".into(),
        description: String::new(),
        since: now(),
    })
}

fn health() -> Report {
    Report::Health(HealthReport {
        software: SoftwareVersion::new("1.0.00-1").unwrap(),
        uptime_secs: 1,
        boot_id: String::new(),
        devices: 0,
        devices_answering: 0,
        reports_waiting: 0,
        reports_expired: 0,
        junk: 0,
        sequence_seen: 0,
        last_fetch: None,
        standing: None,
        mangled: Default::default(),
        commands: None,
    })
}

fn outgoing(id: u8, report: Report, in_reply_to: Option<MessageId>) -> Outgoing {
    Outgoing {
        id: MessageId::from_bytes([id; 16]),
        center: center(),
        report,
        in_reply_to,
        created: now(),
        expires: later(86_400),
    }
}

/// The number `count` of the first process.
fn number(store: &Store, count: u64) -> u64 {
    let epoch = mailfmt::sequence::new_epoch(now(), 0);
    store.origin(&center(), mailfmt::sequence::first_of(epoch)).unwrap().begins.unwrap() + count - 1
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Store {
        Store::open(&self.0.path().join("store.db")).unwrap()
    }
}

fn enqueue(store: &mut Store, outgoing: &Outgoing) -> Result<i64, StoreError> {
    store.change(|change| change.enqueue(outgoing))
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let home = Home::new();
    enqueue(&mut home.open(), &outgoing(1, fault(), None)).unwrap();
    let store = home.open();
    let rows = store.outbox_waiting(10).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].sequence, number(&store, 1));
    assert_eq!(store.outbox_message(rows[0].id).unwrap(), mailfmt::Message::Report(fault()));
}

#[test]
fn a_change_that_breaks_off_leaves_no_trace_not_even_a_sequence_number() {
    let home = Home::new();
    let mut store = home.open();
    let broken: Result<(), StoreError> = store.change(|change| {
        change.enqueue(&outgoing(1, fault(), None))?;
        change.count(Tally::Junk)?;
        Err(StoreError::Damaged { what: "test" })
    });
    assert!(broken.is_err());
    assert_eq!(store.outbox_waiting_count().unwrap(), 0);
    assert_eq!(store.tally(Tally::Junk).unwrap(), 0);
    enqueue(&mut store, &outgoing(2, fault(), None)).unwrap();
    assert_eq!(store.outbox_waiting(1).unwrap()[0].sequence, number(&store, 1));
}

#[test]
fn a_transaction_that_was_open_when_the_process_died_is_gone() {
    let home = Home::new();
    let store = home.open();
    // What a killed process leaves behind: the files as they are, with the transaction never committed.
    store
        .connection
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO tally (name, count) VALUES ('junk', 5);")
        .unwrap();
    let copy = Home::new();
    for entry in std::fs::read_dir(home.0.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.0.path().join(entry.file_name())).unwrap();
    }
    let mut reopened = copy.open();
    assert_eq!(reopened.tally(Tally::Junk).unwrap(), 0);
    reopened.change(|change| change.count(Tally::Junk)).unwrap();
    assert!(reopened.check().unwrap().is_empty());
}

#[test]
fn sequence_numbers_are_never_used_again_even_when_rows_are_pruned() {
    let home = Home::new();
    let mut store = home.open();
    for id in 1..=3 {
        enqueue(&mut store, &outgoing(id, health(), None)).unwrap();
        store.change(|change| change.settle(MessageId::from_bytes([id; 16]), 1, now())).unwrap();
    }
    store
        .change(|change| change.prune(&Retention::default(), later(400 * 86_400), later(400 * 86_400)))
        .unwrap();
    assert!(store.outbox_newest(10).unwrap().is_empty());
    enqueue(&mut store, &outgoing(9, health(), None)).unwrap();
    assert_eq!(store.outbox_newest(1).unwrap()[0].sequence, number(&store, 4));
}

#[test]
fn faults_go_first_then_answers_then_the_rest() {
    let home = Home::new();
    let mut store = home.open();
    enqueue(&mut store, &outgoing(1, health(), None)).unwrap();
    enqueue(&mut store, &outgoing(2, health(), Some(MessageId::from_bytes([7; 16])))).unwrap();
    enqueue(&mut store, &outgoing(3, fault(), None)).unwrap();
    let order: Vec<Priority> = store.outbox_waiting(10).unwrap().iter().map(|row| row.priority).collect();
    assert_eq!(order, [Priority::Fault, Priority::Answer, Priority::Rest]);
}

#[test]
fn only_a_receipt_or_the_policy_takes_a_report_out_of_the_outbox() {
    let home = Home::new();
    let mut store = home.open();
    let id = enqueue(&mut store, &outgoing(1, fault(), None)).unwrap();
    store.change(|change| change.mark_sent(id, now(), later(1800))).unwrap();
    store
        .change(|change| change.prune(&Retention::default(), later(4000 * 86_400), later(4000 * 86_400)))
        .unwrap();
    assert_eq!(store.outbox_waiting(10).unwrap()[0].sendings, 1);
    assert!(store.change(|change| change.settle(MessageId::from_bytes([1; 16]), 77, now())).unwrap());
    assert!(!store.change(|change| change.settle(MessageId::from_bytes([1; 16]), 77, now())).unwrap());
    assert!(!store.change(|change| change.settle(MessageId::from_bytes([9; 16]), 78, now())).unwrap());
    let row = &store.outbox_newest(1).unwrap()[0];
    assert_eq!((row.state, row.receipt_number), (OutboxState::Receipted, Some(77)));
}

#[test]
fn a_report_that_is_given_up_is_counted_once() {
    let home = Home::new();
    let mut store = home.open();
    let id = enqueue(&mut store, &outgoing(1, fault(), None)).unwrap();
    for _ in 0..2 {
        store.change(|change| change.expire(id, later(86_400))).unwrap();
    }
    assert_eq!(store.tally(Tally::ReportsExpired).unwrap(), 1);
    assert_eq!(store.outbox_waiting_count().unwrap(), 0);
}

#[test]
fn many_reports_without_a_receipt_hide_neither_a_new_one_nor_the_next_wake() {
    let home = Home::new();
    let mut store = home.open();
    for id in 1..=20 {
        let row = enqueue(&mut store, &outgoing(id, fault(), None)).unwrap();
        store.change(|change| change.mark_sent(row, now(), later(1800))).unwrap();
    }
    let new = enqueue(&mut store, &outgoing(99, health(), None)).unwrap();
    let due = store.outbox_due(later(1), later(30_000), 5).unwrap();
    assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [new]);
    let next = store.outbox_next(2).unwrap();
    assert_eq!(next[0].id, new);
    assert!(next.iter().any(|row| row.priority == Priority::Fault && row.last_sent == Some(now())));
}

#[test]
fn too_many_waiting_reports_are_given_up_from_the_oldest_and_least_urgent_and_counted() {
    let home = Home::new();
    let mut store = home.open();
    for id in 1..=3 {
        enqueue(&mut store, &outgoing(id, fault(), None)).unwrap();
        enqueue(&mut store, &outgoing(id + 10, health(), None)).unwrap();
    }
    assert_eq!(store.change(|change| change.expire_surplus(4, now())).unwrap(), 2);
    let left: Vec<u64> = store.outbox_waiting(10).unwrap().iter().map(|row| row.sequence).collect();
    assert_eq!(left, [1, 3, 5, 6].map(|count| number(&store, count)));
    assert_eq!(store.tally(Tally::ReportsExpired).unwrap(), 2);
    assert_eq!(store.change(|change| change.expire_surplus(4, now())).unwrap(), 0);
}

#[test]
fn a_late_receipt_settles_even_a_report_that_was_given_up() {
    let home = Home::new();
    let mut store = home.open();
    let id = enqueue(&mut store, &outgoing(1, fault(), None)).unwrap();
    store.change(|change| change.expire(id, later(1))).unwrap();
    assert!(store.change(|change| change.settle(MessageId::from_bytes([1; 16]), 5, later(2))).unwrap());
}

#[test]
fn a_repeated_command_gets_its_stored_answer_again_but_not_one_per_copy() {
    let home = Home::new();
    let mut store = home.open();
    let command = MessageId::from_bytes([7; 16]);
    let id = enqueue(&mut store, &outgoing(1, refused(), Some(command))).unwrap();
    store.change(|change| change.mark_sent(id, now(), later(1800))).unwrap();
    store.change(|change| change.settle(MessageId::from_bytes([1; 16]), 5, later(1))).unwrap();
    let again =
        |store: &mut Store, at| store.change(|change| change.answer_again(command, at, 30_000)).unwrap();
    assert_eq!(again(&mut store, later(2)), 1);
    assert_eq!(again(&mut store, later(3)), 1);
    let rows = store.outbox_waiting(10).unwrap();
    assert_eq!((rows.len(), rows[0].due, rows[0].sequence), (1, later(30), number(&store, 1)));
    assert_eq!(again(&mut store, later(500)), 1);
    assert_eq!(store.outbox_waiting(10).unwrap()[0].due, later(30));
    assert_eq!(
        store.change(|change| change.answer_again(MessageId::from_bytes([8; 16]), now(), 1)).unwrap(),
        0
    );
}

fn entry(id: u8, sequence: u64) -> JournalEntry {
    JournalEntry {
        message: MessageId::from_bytes([id; 16]),
        center: center(),
        sequence,
        kind: "ping".into(),
        outcome: Outcome::Accepted,
        received: now(),
        expires: later(60),
    }
}

#[test]
fn a_message_is_journaled_once_and_remembered_until_it_has_expired() {
    let home = Home::new();
    let mut store = home.open();
    let message = MessageId::from_bytes([1; 16]);
    assert_eq!(store.seen(message, &center()).unwrap(), Seen::default());
    assert!(store.change(|change| change.journal(&entry(1, 40))).unwrap());
    assert!(!store.change(|change| change.journal(&entry(1, 40))).unwrap());
    store.change(|change| change.journal(&entry(2, 12))).unwrap();
    assert_eq!(store.seen(message, &center()).unwrap(), Seen { before: true, newest: None });
    assert_eq!(store.sequence_seen(&center()).unwrap(), 40);
    store.change(|change| change.prune(&Retention::default(), later(3600), later(3600))).unwrap();
    assert!(store.seen(message, &center()).unwrap().before);
    store.change(|change| change.prune(&Retention::default(), later(3 * 86_400), later(3 * 86_400))).unwrap();
    assert_eq!(store.seen(message, &center()).unwrap(), Seen { before: false, newest: None });
    assert_eq!(store.sequence_seen(&center()).unwrap(), 40, "never forgotten");
}

fn reading(at: Timestamp, value: u64) -> ReadingRow {
    ReadingRow {
        at,
        counters: vec![Counter {
            name: "total".into(),
            value,
            unit: "impressions".into(),
            source: "1.2".into(),
        }],
        supplies: Vec::new(),
    }
}

#[test]
fn old_readings_go_but_the_latest_of_a_device_stays() {
    let home = Home::new();
    let mut store = home.open();
    store
        .change(|change| {
            change.device_answered("192.0.2.1", now())?;
            change.store_reading("192.0.2.1", &reading(now(), 1))?;
            change.store_reading("192.0.2.1", &reading(later(1), 2))
        })
        .unwrap();
    assert_eq!(
        store
            .change(|change| change.prune(&Retention::default(), later(4000 * 86_400), later(4000 * 86_400)))
            .unwrap(),
        1
    );
    assert_eq!(store.latest_reading("192.0.2.1").unwrap(), Some(reading(later(1), 2)));
    assert_eq!(store.latest_reading("192.0.2.2").unwrap(), None);
}

#[test]
fn a_silent_device_keeps_who_it_is_and_when_it_last_answered() {
    let home = Home::new();
    let mut store = home.open();
    let id = DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() };
    store
        .change(|change| {
            change.device_answered("192.0.2.1", now())?;
            change.identify_device("192.0.2.1", &id)?;
            change.device_silent("192.0.2.1", "no answer", later(60))
        })
        .unwrap();
    let row = store.device("192.0.2.1").unwrap().unwrap();
    assert_eq!((row.id, row.answered, row.polled), (Some(id), Some(now()), Some(later(60))));
    assert!(!row.answering);
    assert_eq!(row.trouble, "no answer");
}

#[test]
fn a_version_request_is_answered_once() {
    let home = Home::new();
    let mut store = home.open();
    let command = MessageId::from_bytes([7; 16]);
    store.change(|change| change.request_version(Some(command), None, now())).unwrap();
    let row = &store.version_requests().unwrap()[0];
    assert_eq!(row.command, Some(command));
    let answer = outgoing(1, refused(), Some(command));
    assert!(store.change(|change| change.answer_version(row.id, &answer)).unwrap());
    assert!(!store.change(|change| change.answer_version(row.id, &outgoing(2, refused(), None))).unwrap());
    assert_eq!(store.outbox_waiting_count().unwrap(), 1);
}

#[test]
fn another_connection_sees_that_something_changed() {
    let home = Home::new();
    let (reader, mut writer) = (home.open(), home.open());
    let before = reader.data_version().unwrap();
    assert_eq!(reader.data_version().unwrap(), before);
    writer.change(|change| change.beat("device-watch", now())).unwrap();
    assert_ne!(reader.data_version().unwrap(), before);
    let beats = reader.heartbeats().unwrap();
    assert_eq!((beats[0].module.as_str(), beats[0].beats), ("device-watch", 1));
}

#[test]
fn a_store_that_a_newer_version_has_added_to_is_used_by_the_version_before() {
    let home = Home::new();
    let connection = home.open().connection;
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.execute_batch("CREATE TABLE of_the_future (id INTEGER) STRICT").unwrap();
    home.open().change(|change| change.beat("mail-agent", Timestamp::UNIX_EPOCH)).unwrap();
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99, "it stays a store of the newer version");
}

#[test]
fn a_store_that_a_newer_version_keeps_to_itself_is_left_alone() {
    let home = Home::new();
    let connection = home.open().connection;
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.pragma_update(None, "application_id", 98).unwrap();
    let error = Store::open(&home.0.path().join("store.db")).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn several_processes_may_open_a_new_store_at_the_same_time() {
    let home = Home::new();
    let path = home.0.path().join("store.db");
    std::thread::scope(|scope| {
        for number in 0..4u8 {
            let path = &path;
            scope.spawn(move || {
                let mut store = Store::open(path).unwrap();
                for turn in 0..5u8 {
                    enqueue(&mut store, &outgoing(number * 16 + turn + 1, health(), None)).unwrap();
                }
            });
        }
    });
    let sequences: std::collections::BTreeSet<u64> =
        home.open().outbox_waiting(100).unwrap().iter().map(|row| row.sequence).collect();
    assert_eq!(sequences.len(), 20);
    let epochs: std::collections::BTreeSet<u32> =
        sequences.into_iter().map(mailfmt::sequence::epoch_of).collect();
    assert_eq!(epochs.len(), 4, "each process begins one of its own");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The process dies after any number of steps: what was committed before is there, each report exactly once.
    #[test]
    fn a_kill_between_any_two_steps_loses_and_doubles_nothing(kill_after in 0usize..12) {
        let home = Home::new();
        for step in 0..kill_after {
            let id = u8::try_from(step / 2 + 1).unwrap();
            // A fresh connection per step, as after a restart.
            let mut store = home.open();
            if step % 2 == 0 {
                enqueue(&mut store, &outgoing(id, fault(), None)).unwrap();
            } else {
                store.change(|change| change.settle(MessageId::from_bytes([id; 16]), 1, now())).unwrap();
            }
        }
        let store = home.open();
        prop_assert_eq!(store.outbox_newest(100).unwrap().len(), kill_after.div_ceil(2));
        prop_assert_eq!(store.outbox_waiting_count().unwrap() as usize, kill_after % 2);
    }
}

use super::*;
use crate::db::appliances::ApplianceState;
use crate::db::journal::JournalFilter;
use crate::db::outbox::{NewMail, Priority, Transport, Try};
use crate::intake::judge;
use crate::sample::{Numbers, Posting, agent, fleet, jam, keyring, later, new_appliance, now, rules};
use crate::selection::Selection;
use jiff::SignedDuration;
use mailfmt::{Command, Limits, Message, MessageId, sequence};
use std::os::unix::fs::PermissionsExt as _;

fn ping(id: u8, priority: Priority) -> (Message, MessageId, Priority) {
    (Message::Command(Command::Ping(Default::default())), MessageId::from_bytes([id; 16]), priority)
}

fn mail((message, id, priority): &(Message, MessageId, Priority)) -> NewMail<'_> {
    NewMail {
        message,
        id: *id,
        in_reply_to: None,
        package: None,
        priority: *priority,
        created: now(),
        expires: later(3600),
        not_before: now(),
    }
}

#[test]
fn a_database_is_readable_by_its_owner_only_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    Db::create(&path).unwrap().add_appliances(&[new_appliance(1)], now()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Db::open(&path).unwrap().appliances().unwrap().len(), 1);
    assert!(Db::open(&path).unwrap().check().unwrap().is_empty());
}

#[test]
fn a_mistyped_home_does_not_become_an_empty_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    assert!(matches!(Db::open(&path), Err(DbError::Missing { .. })));
    assert!(!path.exists());
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    Db::create(&path).unwrap().connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    assert!(matches!(Db::open(&path), Err(DbError::Newer { .. })));
}

#[test]
fn a_transaction_that_ends_half_way_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let mut db = Db::create(&path).unwrap();
    db.add_appliances(&[new_appliance(1)], now()).unwrap();
    // The second recipient does not exist: the message and the first recipient's sequence number go too.
    let failed = db.enqueue(&mail(&ping(1, Priority::Command)), &[agent(1), agent(9)]);
    assert!(matches!(failed, Err(DbError::NoSuchAppliance { .. })), "{failed:?}");
    drop(db);
    let db = Db::open(&path).unwrap();
    assert!(db.due(now(), 10).unwrap().is_empty());
    assert_eq!(db.sequences(&agent(1)).unwrap(), (0, 0));
}

/// Copies the files as they are on disk, while the database is in use: what a power cut would leave.
fn power_cut(path: &Path) -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", path.display());
        std::fs::copy(from, folder.path().join(format!("fleet.db{suffix}"))).unwrap();
    }
    let db = Db::open(&folder.path().join("fleet.db")).unwrap();
    (folder, db)
}

#[test]
fn a_filed_batch_is_whole_after_a_power_cut_and_a_batch_in_the_making_is_not_there_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let mut db = Db::create(&path).unwrap();
    db.add_appliances(&[new_appliance(1)], now()).unwrap();
    let verdict = |id: u8| {
        let posting = Posting::of(1, jam(&format!("e{id}"))).numbered(id);
        judge(&posting.raw(), &keyring(1), &Limits::default(), now())
    };
    let day = SignedDuration::from_hours(24);
    db.file(&[verdict(1), verdict(2)], now(), &rules(day), &mut Numbers::new(1)).unwrap();

    let transaction = db.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute("UPDATE report SET description = 'half done'", []).unwrap();
    let (_kept, survivor) = power_cut(&path);
    drop(transaction);

    let entries = survivor.journal(&JournalFilter::default()).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.description.starts_with("jam in media path")), "{entries:?}");
    assert_eq!(survivor.due(now(), 10).unwrap().len(), 3, "both receipts and the first question wait");
}

#[test]
fn a_command_waits_while_the_daemon_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let mut daemon = Db::create(&path).unwrap();
    daemon.add_appliances(&[new_appliance(1)], now()).unwrap();
    let before = daemon.foreign_changes().unwrap();
    let transaction = daemon.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let command = std::thread::spawn(move || {
        let mut db = Db::open(&path).unwrap();
        db.enqueue(&mail(&ping(1, Priority::Command)), &[agent(1)]).unwrap();
    });
    assert!(!command.is_finished(), "nobody writes while the daemon does");
    transaction.commit().unwrap();
    command.join().unwrap();
    assert_ne!(daemon.foreign_changes().unwrap(), before, "the daemon sees that something changed");
    assert_eq!(daemon.due(now(), 10).unwrap().len(), 1);
}

#[test]
fn what_is_due_comes_in_order_of_urgency_with_growing_sequence_numbers() {
    let mut db = fleet(2);
    db.enqueue(&mail(&ping(1, Priority::Bulk)), &[agent(1), agent(2)]).unwrap();
    db.enqueue(&mail(&ping(2, Priority::Receipt)), &[agent(2)]).unwrap();
    let due: Vec<_> =
        db.due(now(), 10).unwrap().into_iter().map(|due| (due.outbox.0, due.agent, due.sequence)).collect();
    let first = due[1].2;
    assert_eq!(sequence::epoch_of(first), sequence::new_epoch(now(), 0));
    assert_eq!(due, [(2, agent(2), first + 1), (1, agent(1), first), (1, agent(2), first)]);
}

#[test]
fn a_try_that_failed_is_due_again_at_its_time_and_not_before() {
    let mut db = fleet(1);
    let outbox = db.enqueue(&mail(&ping(1, Priority::Command)), &[agent(1)]).unwrap();
    let again = Try::Later { at: later(30), detail: "451 later".to_owned() };
    db.record_tries(&[(outbox, agent(1), again)], now()).unwrap();
    assert!(db.due(later(29), 10).unwrap().is_empty());
    assert_eq!(db.next_due().unwrap(), Some(later(30)));
    assert_eq!(db.due(later(30), 10).unwrap()[0].attempts, 1);
}

#[test]
fn what_was_not_sent_in_time_is_given_up_and_says_so() {
    let mut db = fleet(1);
    let outbox = db.enqueue(&mail(&ping(1, Priority::Command)), &[agent(1)]).unwrap();
    assert_eq!(db.expire_outbox(later(3601)).unwrap(), 1);
    assert_eq!(db.deliveries(outbox).unwrap()[0].state, Transport::Expired);
    assert!(db.due(later(3601), 10).unwrap().is_empty());
}

#[test]
fn a_removed_appliance_loses_its_secret_and_its_mail_and_its_id_is_not_given_again() {
    let mut db = fleet(2);
    let outbox = db.enqueue(&mail(&ping(1, Priority::Command)), &[agent(1)]).unwrap();
    db.remove_appliance(&agent(1), now()).unwrap();
    assert_eq!(db.credentials().unwrap().len(), 1);
    assert_eq!(db.deliveries(outbox).unwrap()[0].state, Transport::Expired);
    let taken = db.add_appliances(&[new_appliance(1)], now());
    assert!(matches!(taken, Err(DbError::AgentTaken { .. })), "{taken:?}");
    assert_eq!(db.appliances().unwrap().len(), 1);
}

#[test]
fn appliances_are_added_all_or_none() {
    let mut db = fleet(1);
    assert!(db.add_appliances(&[new_appliance(2), new_appliance(1)], now()).is_err());
    assert_eq!(db.appliances().unwrap().len(), 1);
}

#[test]
fn appliances_are_selected_by_id_and_by_tag() {
    let mut db = fleet(3);
    db.change_tags(&agent(2), &["tokyo".to_owned(), "pilot".to_owned()], &[]).unwrap();
    let select = |agents: &[AgentId], tags: &[&str]| -> Vec<AgentId> {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let selection = Selection { agents: agents.iter().cloned().collect(), tags, ..Selection::default() };
        db.select(&selection).unwrap().into_iter().map(|appliance| appliance.agent).collect()
    };
    assert_eq!(select(&[], &[]).len(), 3);
    assert_eq!(select(&[agent(3)], &["pilot"]), [agent(2), agent(3)]);
    assert!(db.select(&Selection { agents: [agent(9)].into(), ..Selection::default() }).is_err());
    assert_eq!(db.appliance(&agent(2)).unwrap().tags, ["pilot", "tokyo"]);
}

#[test]
fn an_appliance_becomes_active_with_its_first_authentic_report() {
    let mut db = fleet(1);
    assert_eq!(db.appliance(&agent(1)).unwrap().state, ApplianceState::Introduced);
    let verdict = judge(&Posting::of(1, jam("e1")).raw(), &keyring(1), &Limits::default(), now());
    db.file(&[verdict], now(), &rules(SignedDuration::from_hours(1)), &mut Numbers::new(1)).unwrap();
    let appliance = db.appliance(&agent(1)).unwrap();
    assert_eq!((appliance.state, appliance.last_heard), (ApplianceState::Active, Some(now())));
}

#[test]
fn no_secret_shows_in_what_is_printed_of_an_appliance() {
    let db = fleet(1);
    let shown = format!(
        "{:?} {}",
        db.appliances().unwrap(),
        serde_json::to_string(&db.appliances().unwrap()).unwrap()
    );
    let secret = crate::sample::credential(&agent(1)).expose_hex();
    assert!(!shown.contains(&secret) && !shown.to_lowercase().contains("credential"), "{shown}");
}

#[test]
fn a_database_of_the_first_layout_keeps_all_it_has_and_all_that_waits_to_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(LAYOUTS[0]).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch(
        "INSERT INTO appliance (agent, address, customer, credential, state, added, sequence_in, sequence_out)
         VALUES ('AGENT0000001', 'a@x.example', 'aaa', zeroblob(32), 'active', 0, 7, 2);
         INSERT INTO outbox (id, message, family, kind, payload, priority, created, expires, sendings) VALUES
         (1, zeroblob(16), 'command', 'ping', '{}', 1, 0, 4102444800000, 3),
         (9, randomblob(16), 'command', 'ping', '{}', 1, 0, 4102444800000, 0);
         INSERT INTO outbox_recipient (outbox, agent, sequence, state, attempts, next_try, changed, detail) VALUES
         (1, 'AGENT0000001', 2, 'queued', 4, 0, 0, 'later');
         DELETE FROM outbox WHERE id = 9;",
    )
    .unwrap();
    drop(old);
    let mut db = Db::open(&path).unwrap();
    let due = db.due(now(), 10).unwrap();
    assert_eq!((due.len(), due[0].sequence, due[0].attempts), (1, 2, 4));
    assert_eq!(db.outgoing(due[0].outbox).unwrap().unwrap().sendings, 3);
    assert_eq!(db.appliances().unwrap()[0].state, ApplianceState::Active);
    assert!(db.appliances().unwrap()[0].suspension.is_none());
    let next = db.enqueue(&mail(&ping(5, Priority::Command)), &[agent(1)]).unwrap();
    assert!(next.0 > 9, "numbers of rows that are gone are not given again: {next:?}");
    assert!(db.check().unwrap().is_empty());
    drop(db);
    assert_eq!(Db::open(&path).unwrap().due(now(), 10).unwrap().len(), 2, "opened once more");
}

#[test]
fn what_is_wiped_is_not_found_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let mut db = Db::create(&path).unwrap();
    let code = mailfmt::enrolment::ProvisionalCode::generate(&mut Numbers::new(4));
    let new = enrolment::NewCode {
        code: code.clone(),
        customer: "aaa".to_owned(),
        tags: Vec::new(),
        replaces: None,
        uses: 1,
        expires: later(60),
        by: "kim".to_owned(),
    };
    db.issue_codes(&[new], now()).unwrap();
    let printed = code.expose();
    let in_the_file = |suffix: &str| {
        let octets = std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default();
        octets.windows(printed.len()).any(|window| window == printed.as_bytes())
    };
    db.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    assert!(in_the_file(""), "it is there as long as it counts");
    db.revoke_code(&code.id(), "kim", now()).unwrap();
    assert!(!in_the_file("") && !in_the_file("-wal"));
}

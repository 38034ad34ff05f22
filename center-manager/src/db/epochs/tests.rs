use super::*;
use crate::db::appliances::NewAppliance;
use crate::db::outbox::{NewMail, Priority};
use crate::sample::{agent, credential, later, now};
use mailfmt::{Command, Message, MessageId};
use std::path::Path;

fn fleet(path: &Path) -> Db {
    let mut db = Db::create(path).unwrap();
    let appliance = |number| NewAppliance {
        agent: agent(number),
        address: format!("agent{number}@site.example"),
        customer: String::new(),
        tags: Vec::new(),
        credential: credential(&agent(number)),
    };
    db.add_appliances(&[appliance(1), appliance(2)], now()).unwrap();
    db
}

/// Sends a ping at `created`; the numbers that it got.
fn send(db: &mut Db, id: u8, agents: &[u32], created: Timestamp) -> Vec<u64> {
    let mail = NewMail {
        message: &Message::Command(Command::Ping(Default::default())),
        id: MessageId::from_bytes([id; 16]),
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created,
        expires: later(1_000_000),
        not_before: created,
    };
    let agents: Vec<_> = agents.iter().map(|number| agent(*number)).collect();
    let outbox = db.enqueue(&mail, &agents).unwrap();
    let due = db.due(created, 100).unwrap();
    due.into_iter().filter(|due| due.outbox == outbox).map(|due| due.sequence).collect()
}

fn alarms(db: &Db) -> Vec<String> {
    let mut statement = db.read().prepare("SELECT kind FROM alarm WHERE over IS NULL").unwrap();
    let kinds = statement.query_map([], |row| row.get(0)).unwrap();
    kinds.collect::<Result<_, _>>().unwrap()
}

fn tell(db: &mut Db, number: u32, seen: u64) {
    db.write(|transaction| look_for_forgotten(transaction, &agent(number), seen, now())).unwrap();
}

#[test]
fn every_process_begins_an_epoch_that_follows_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let mut first = fleet(&path);
    let [one] = send(&mut first, 1, &[1], now())[..] else { panic!() };
    let [two] = send(&mut first, 2, &[1], later(100))[..] else { panic!() };
    assert_eq!(two, one + 1, "the epoch goes on");
    let mut second = Db::open(&path).unwrap();
    let [three] = send(&mut second, 3, &[1], later(200))[..] else { panic!() };
    assert!(sequence::epoch_of(three) > sequence::epoch_of(two));
    let follows = Some(sequence::last_of(sequence::epoch_of(two)));
    assert_eq!(second.origin(three).unwrap(), Origin { follows, begins: Some(three) });
    assert_eq!(second.origin(7).unwrap(), Origin::default(), "from before there were epochs");
}

#[test]
fn one_message_has_numbers_of_one_epoch_whoever_sends_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.db");
    let (mut daemon, mut command) = (fleet(&path), Db::open(&path).unwrap());
    send(&mut daemon, 1, &[1, 2], now());
    send(&mut command, 2, &[2], later(10));
    let numbers = send(&mut daemon, 3, &[1, 2], later(20));
    assert_eq!(sequence::epoch_of(numbers[0]), sequence::epoch_of(numbers[1]));
    assert!(numbers[0] < numbers[1], "appliance 2 has had one more");
}

#[test]
fn a_database_put_back_from_a_backup_never_gives_a_number_again_and_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("fleet.db"), folder.path().join("backup.db"));
    let mut db = fleet(&path);
    let [kept] = send(&mut db, 1, &[1], now())[..] else { panic!() };
    db.read().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let [lost] = send(&mut db, 2, &[1], later(10))[..] else { panic!() };
    tell(&mut db, 1, lost);
    assert_eq!(alarms(&db), Vec::<String>::new(), "it is known still");
    drop(db);

    // Put back; the numbers after the backup are forgotten.
    let mut db = Db::open(&backup).unwrap();
    tell(&mut db, 1, kept);
    assert_eq!(alarms(&db), Vec::<String>::new());
    let [new] = send(&mut db, 3, &[1], later(1000))[..] else { panic!() };
    assert!(new > lost);
    tell(&mut db, 1, kept);
    tell(&mut db, 1, new);
    assert_eq!(alarms(&db), Vec::<String>::new());
    tell(&mut db, 1, lost);
    assert_eq!(alarms(&db), ["center-restored"], "also after new numbers were given");
}

#[test]
fn a_database_put_back_within_the_second_gives_other_numbers_and_is_noticed() {
    for (db_first, id) in [(true, 2), (false, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let (path, backup) = (folder.path().join("fleet.db"), folder.path().join("backup.db"));
        let mut db = fleet(&path);
        db.read().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
        let [lost] = send(&mut db, id, &[1], now())[..] else { panic!() };
        drop(db);
        let mut db = Db::open(&backup).unwrap();
        let mut new = 0;
        if db_first {
            new = send(&mut db, 4, &[1], now())[0];
            assert_eq!(sequence::epoch_of(lost), sequence::epoch_of(new), "the same epoch");
            assert_ne!(lost, new);
            tell(&mut db, 1, new);
            assert_eq!(alarms(&db), Vec::<String>::new());
        }
        tell(&mut db, 1, lost);
        assert_eq!(alarms(&db), ["center-restored"], "{lost} {new}");
    }
}

#[test]
fn a_backup_is_noticed_before_anything_new_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = fleet(&folder.path().join("fleet.db"));
    tell(&mut db, 2, sequence::first_of(77));
    assert_eq!(alarms(&db), ["center-restored"]);
}

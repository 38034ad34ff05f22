use super::*;
use crate::db::outbox::{NewMail, Priority, Transport, Try};
use crate::sample::{agent, fleet, later, now};
use jiff::SignedDuration;
use mailfmt::{Command, Message, MessageId};

fn pinged(recipients: u32, hours: i64) -> Db {
    let mut db = fleet(recipients);
    let message = Message::Command(Command::Ping(Default::default()));
    let mail = NewMail {
        message: &message,
        id: MessageId::from_bytes([1; 16]),
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now(),
        expires: later(hours * 3600),
        not_before: now(),
    };
    let recipients: Vec<_> = (1..=recipients).map(agent).collect();
    db.enqueue(&mail, &recipients).unwrap();
    db
}

/// The server takes everything that is due.
fn taken(db: &mut Db, at: Timestamp) -> usize {
    let due = db.due(at, 100).unwrap();
    let tries: Vec<_> = due.iter().map(|due| (due.outbox, due.agent.clone(), Try::Accepted)).collect();
    db.record_tries(&tries, at).unwrap();
    tries.len()
}

/// The pauses in minutes between its sendings within ten days, while nobody answers.
fn pauses(db: &mut Db) -> Vec<i64> {
    let mut sent = Vec::new();
    for minute in 0..10 * 24 * 60 {
        let at = now() + SignedDuration::from_mins(minute);
        db.repeat_commands(at).unwrap();
        if taken(db, at) > 0 {
            sent.push(minute);
        }
    }
    sent.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_command_that_nobody_answers_is_handed_in_again_in_growing_pauses_until_it_expires() {
    let mut db = pinged(1, 168);
    let pauses = pauses(&mut db);
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 1920, 1920, 1920]);
    assert!(pauses.iter().sum::<i64>() <= 168 * 60);
}

#[test]
fn the_question_of_a_rollout_leaves_the_answer_to_the_appliance_for_two_hours() {
    let mut db = pinged(1, 168);
    // A rollout would be in the way here: only its message counts.
    db.read().pragma_update(None, "foreign_keys", false).unwrap();
    let text = "INSERT INTO rollout_mail (message, rollout, kind) SELECT message, 1, 'ask' FROM outbox";
    assert_eq!(db.read().execute(text, []).unwrap(), 1);
    assert_eq!(pauses(&mut db), [120, 240, 480, 960, 1920, 1920, 1920, 1920]);
}

#[test]
fn what_was_answered_is_not_repeated_and_neither_is_what_waits() {
    let mut db = pinged(2, 168);
    assert_eq!(db.repeat_commands(later(86_400)).unwrap(), 0, "it waits for its first sending");
    assert_eq!(taken(&mut db, now()), 2);
    let id = MessageId::from_bytes([1; 16]);
    db.write(|transaction| crate::db::outbox::answered(transaction, &id, &agent(1), later(60))).unwrap();
    assert_eq!(db.repeat_commands(later(3600)).unwrap(), 1);
    let due = db.due(later(3600), 10).unwrap();
    assert_eq!(due.iter().map(|due| due.agent.clone()).collect::<Vec<_>>(), [agent(2)]);
    let states: Vec<Transport> =
        db.deliveries(due[0].outbox).unwrap().iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [Transport::Answered, Transport::Queued]);
}

#[test]
fn nothing_is_repeated_to_an_appliance_that_is_suspended() {
    let mut db = pinged(1, 168);
    taken(&mut db, now());
    db.suspend_appliance(&agent(1), "a test", later(60)).unwrap();
    assert_eq!(db.repeat_commands(later(86_400)).unwrap(), 0);
}

#[test]
fn commands_of_the_fleet_are_found_by_their_index() {
    let db = pinged(1, 1);
    let mut statement =
        db.read().prepare(&format!("EXPLAIN QUERY PLAN SELECT 1 FROM {COMMANDS} AND {LOST}")).unwrap();
    let plan: Vec<String> =
        statement.query_map([At(now())], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(plan.iter().any(|line| line.contains("outbox_command")), "{plan:?}");
    assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:?}");
}

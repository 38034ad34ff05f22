use super::*;
use crate::db::DbError as Error;
use crate::sample::{fleet, later, now};

/// Rows as they come to stand there, without a rollout's rules.
fn written() -> Db {
    let mut db = fleet(2);
    db.connection.pragma_update(None, "foreign_keys", false).unwrap();
    db.write(|tx| {
        for (rollout, agent, second, what) in [
            (1, "AGENT0000001", 0, "ordered"),
            (2, "AGENT0000001", 1, "ordered"),
            (1, "AGENT0000002", 2, "ordered"),
            (1, "AGENT0000001", 3, "accepted"),
            (1, "AGENT0000001", 4, "updated"),
        ] {
            tx.execute(
                "INSERT INTO rollout_event (rollout, agent, attempt, at, what, detail) VALUES (?1, ?2, 1, ?3, ?4, '')",
                params![rollout, agent, At(later(second)), what],
            )?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    db
}

#[test]
fn events_of_one_rollout_come_newest_first_and_turns_oldest_first() {
    let db = written();
    let words = |newest| {
        let events = db.rollout_events(RolloutId(1), newest).unwrap();
        events.into_iter().map(|event| event.what).collect::<Vec<_>>()
    };
    assert_eq!(words(2), ["updated", "accepted"]);
    assert_eq!(words(9).len(), 4);
    let turns = db.rollout_turns(RolloutId(1)).unwrap();
    assert_eq!(
        turns.iter().map(|(_, _, turn)| *turn).collect::<Vec<_>>(),
        [Turn::Sent, Turn::Sent, Turn::Updated]
    );
    assert_eq!(turns[0].0, now());
}

#[test]
fn a_rollout_that_is_not_there_has_no_pulse() {
    assert!(matches!(written().rollout_pulse(RolloutId(9)), Err(Error::NoSuchRollout { number: 9 })));
}

//! Answers that wait for their slot.

use super::*;
use crate::outbox::plan;
use crate::settings::Timers;
use std::time::Duration;

fn slot() -> AnswerSlot {
    let begins = now() + Duration::from_secs(600);
    AnswerSlot { begins, each_millis: 0, within_secs: 3_600, round_secs: 3_600, patience_secs: 90_000 }
}

fn later(secs: u64) -> Timestamp {
    now() + Duration::from_secs(secs)
}

#[test]
fn a_version_is_told_in_its_slot_and_asking_again_does_not_hurry_it() {
    let mut site = Site::new();
    let request = Command::Version(VersionRequest { nonce: Nonce::from_bytes([1; 16]) });
    let mail = site.mail_in_slot(&Message::Command(request), b"", Some(slot()));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    let due = |at| site.store().version_requests_due(at, &Reading::of_wall(at)).unwrap().len();
    assert_eq!((due(now()), due(later(599)), due(later(600))), (0, 0, 1));
}

#[test]
fn any_other_answer_waits_in_the_outbox_and_is_not_repeated_before_its_receipt_can_come() {
    let mut site = Site::new();
    let ask = Message::Command(Command::Counters(CounterRequest::default()));
    let mail = site.mail_in_slot(&ask, b"", Some(slot()));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    let (store, timers) = (site.store(), Timers::default());
    let row = store.outbox_waiting(1).unwrap().remove(0);
    assert_eq!((row.due, row.patience), (later(600), Duration::from_secs(90_000)));
    let planned =
        |secs: u64| plan(&store.outbox_waiting(9).unwrap(), &timers, &ClockState::certain(later(secs)));
    assert!(planned(599).is_empty());
    assert_eq!(planned(600).len(), 1);
    let sent = later(600);
    let due = crate::outbox::next_sending(1, row.patience, &timers, sent);
    site.store().change(|change| change.mark_sent(row.id, sent, due)).unwrap();
    assert!(planned(90_599).is_empty());
    assert_eq!(planned(90_600).len(), 1);
}

#[test]
fn an_answer_without_a_slot_goes_out_at_once() {
    let mut site = Site::new();
    let mail = site.command(Command::Counters(CounterRequest::default()));
    site.file(&mail);
    let row = site.store().outbox_waiting(1).unwrap().remove(0);
    assert_eq!((row.due, row.patience), (now(), Duration::ZERO));
}

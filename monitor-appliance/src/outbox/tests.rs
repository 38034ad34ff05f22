use super::*;
use crate::store::OutboxState;
use mailfmt::MessageId;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-01-02T03:04:05Z")
}

fn row(id: i64, priority: Priority) -> OutboxRow {
    OutboxRow {
        id,
        message: MessageId::from_bytes([1; 16]),
        sequence: 1,
        kind: "fault".to_owned(),
        priority,
        in_reply_to: None,
        created: now(),
        expires: at("2026-02-01T00:00:00Z"),
        state: OutboxState::Waiting,
        due: now(),
        sendings: 0,
        refusals: 0,
        last_sent: None,
        last_error: String::new(),
        receipt_number: None,
        patience: Duration::ZERO,
    }
}

fn planned(rows: &[OutboxRow], now: Timestamp) -> Vec<Step> {
    plan(rows, &Timers::default(), &ClockState::certain(now))
}

#[test]
fn faults_are_sent_before_answers_and_those_before_the_rest_each_in_their_order() {
    let rows = [
        row(1, Priority::Rest),
        row(2, Priority::Answer),
        row(3, Priority::Fault),
        row(4, Priority::Answer),
        row(5, Priority::Fault),
    ];
    let order = [3, 5, 2, 4, 1].map(|id| Step::Send { id });
    assert_eq!(planned(&rows, now()), order);
}

#[test]
fn an_unchanged_world_gives_an_empty_plan() {
    let sent = OutboxRow { due: at("2026-01-02T03:34:05Z"), ..row(1, Priority::Fault) };
    assert_eq!(planned(&[sent], now()), []);
    assert_eq!(planned(&[], now()), []);
}

#[test]
fn what_was_made_before_the_clock_was_set_is_held_back_and_then_dated_anew_instead_of_given_up() {
    let old = OutboxRow {
        created: at("1970-01-01T00:01:00Z"),
        due: at("1970-01-01T00:01:00Z"),
        expires: at("1970-01-31T00:01:00Z"),
        ..row(1, Priority::Fault)
    };
    assert_eq!(planned(std::slice::from_ref(&old), at("1970-01-01T00:05:00Z")), []);
    assert_eq!(planned(&[old], now()), [Step::Redate { id: 1 }]);
}

#[test]
fn a_refused_mail_is_tried_again_in_pauses_that_grow_to_a_bound() {
    let timers = Timers::default();
    let pause = |refusals| next_try(refusals, &timers, now()).duration_since(now()).as_secs();
    assert_eq!([pause(1), pause(2), pause(3)], [180, 360, 720]);
    assert_eq!(pause(1000), 6 * 3600);
}

#[test]
fn an_alarm_prefers_another_account_than_the_first_and_each_repetition_the_next() {
    let places: Vec<_> = (0..5).map(|sendings| preferred_account("alarm", sendings, 3)).collect();
    assert_eq!(places, [1, 2, 0, 1, 2].map(Some));
    assert_eq!(preferred_account("alarm", 0, 2), Some(1));
    assert_eq!(preferred_account("alarm", 0, 1), None);
    assert_eq!(preferred_account("fault", 0, 3), None);
}

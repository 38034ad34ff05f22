use super::*;
use crate::clock::ClockState;
use crate::outbox::{Step, next_sending, plan};
use crate::store::OutboxState;
use jiff::SignedDuration;
use mailfmt::MessageId;
use std::time::Duration;

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn report(priority: Priority) -> OutboxRow {
    OutboxRow {
        id: 1,
        message: MessageId::from_bytes([1; 16]),
        sequence: 1,
        kind: "fault".to_owned(),
        priority,
        in_reply_to: None,
        created: start(),
        expires: start().saturating_add(SignedDuration::from_hours(30 * 24)).unwrap(),
        state: OutboxState::Waiting,
        due: start(),
        sendings: 0,
        refusals: 0,
        last_sent: None,
        last_error: String::new(),
        receipt_number: None,
        patience: Duration::ZERO,
    }
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Did {
    Sent,
    Looked,
    GaveUp,
}

/// Lives through `span` with one report in the outbox; the clock jumps from one wake to the next.
fn live(mut row: OutboxRow, receipt_at: Option<Timestamp>, span: SignedDuration) -> Vec<(i64, Did)> {
    let timers = Timers::default();
    let (mut now, mut looked, mut done) = (start(), Some(start()), Vec::new());
    let end = start().saturating_add(span).unwrap();
    let mut waiting = true;
    while now <= end {
        let secs = now.duration_since(start()).as_secs();
        let rows: &[OutboxRow] = if waiting { std::slice::from_ref(&row) } else { &[] };
        let wake = next_wake(rows, looked, &timers, now);
        match plan(rows, &timers, &ClockState::certain(now)).first() {
            Some(Step::Send { .. }) => {
                done.push((secs, Did::Sent));
                row.sendings += 1;
                row.last_sent = Some(now);
                row.due = next_sending(row.sendings, Duration::ZERO, &timers, now);
                continue;
            }
            Some(Step::Expire { .. }) => {
                done.push((secs, Did::GaveUp));
                waiting = false;
                continue;
            }
            Some(step @ Step::Redate { .. }) => panic!("{step:?} under a clock that is set"),
            None => {}
        }
        if wake.look <= now {
            done.push((secs, Did::Looked));
            looked = Some(now);
            waiting &= receipt_at.is_none_or(|at| now < at);
            continue;
        }
        assert!(wake.first() > now, "a wake that is not in the future would spin");
        now = wake.first();
    }
    done
}

fn times(done: &[(i64, Did)], what: Did) -> Vec<i64> {
    done.iter().filter(|(_, did)| *did == what).map(|(at, _)| *at).collect()
}

#[test]
fn an_unanswered_fault_report_is_sent_again_once_after_30_minutes_and_then_in_growing_pauses() {
    let done = live(report(Priority::Fault), None, SignedDuration::from_hours(24));
    let hours: Vec<f64> = times(&done, Did::Sent)
        .iter()
        .map(|secs| f64::from(i32::try_from(*secs).unwrap()) / 3600.0)
        .collect();
    assert_eq!(hours, [0.0, 0.5, 1.5, 3.5, 7.5, 13.5, 19.5]);
}

#[test]
fn while_a_fault_report_waits_mail_is_looked_for_every_30_seconds_and_later_every_3_minutes() {
    let done = live(report(Priority::Fault), None, SignedDuration::from_mins(90));
    let looks = times(&done, Did::Looked);
    let gaps = |from: i64, to: i64| -> Vec<i64> {
        let within: Vec<i64> = looks.iter().copied().filter(|at| (from..=to).contains(at)).collect();
        within.array_windows().map(|[left, right]| right - left).collect()
    };
    assert!(gaps(0, 3600).iter().all(|gap| *gap == 30), "{:?}", gaps(0, 3600));
    assert!(gaps(3780, 5400).iter().all(|gap| *gap == 180), "{:?}", gaps(3780, 5400));
    assert_eq!(looks.iter().filter(|at| **at <= 1800).count(), 60);
}

#[test]
fn a_receipt_ends_the_sending_and_the_short_looks() {
    let receipt = start().saturating_add(SignedDuration::from_secs(100)).unwrap();
    let done = live(report(Priority::Fault), Some(receipt), SignedDuration::from_mins(60));
    assert_eq!(times(&done, Did::Sent), [0]);
    assert_eq!(times(&done, Did::Looked)[..5], [30, 60, 90, 120, 300]);
}

#[test]
fn other_reports_are_sent_again_too_but_do_not_shorten_the_looks() {
    let done = live(report(Priority::Rest), None, SignedDuration::from_mins(60));
    assert_eq!(times(&done, Did::Sent), [0, 1800]);
    assert_eq!(times(&done, Did::Looked)[..3], [180, 360, 540]);
}

#[test]
fn a_report_without_a_receipt_is_given_up_only_by_its_policy() {
    let done = live(report(Priority::Fault), None, SignedDuration::from_hours(31 * 24));
    assert_eq!(times(&done, Did::GaveUp), [30 * 24 * 3600]);
}

#[test]
fn a_clock_set_back_by_years_stops_nothing() {
    let timers = Timers::default();
    let mut row = report(Priority::Fault);
    row.due = "2030-01-01T00:00:00Z".parse().unwrap();
    row.expires = "2030-02-01T00:00:00Z".parse().unwrap();
    let looked: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        plan(std::slice::from_ref(&row), &timers, &ClockState::certain(start())),
        [Step::Send { id: 1 }]
    );
    assert_eq!(next_wake(&[row], Some(looked), &timers, start()).look, start());
}

//! A package that goes out in parts.

use super::*;
use crate::db::outbox::{OutboxId, Outgoing, Transport as Queue, Try};
use crate::db::parts::{Cut, send_again};
use crate::report::Comparison;
use crate::sending::{Carriage, order as order_in};
use mailfmt::message::report::PartsMissingReport;
use mailfmt::parts::{Parity, Parts};
use mailfmt::{Command, Message};
use std::path::Path;

const PART_OCTETS: u32 = 1_024;

/// What stands in the outbox for the first appliance, in the order in which it is sent: the order, then its parts.
fn due(center: &Center) -> Vec<(OutboxId, AgentId)> {
    center.db.due(center.now, 1_000).unwrap().into_iter().map(|due| (due.outbox, due.agent)).collect()
}

fn ordered(center: &mut Center) -> Outgoing {
    center.tick().unwrap();
    let (first, _) = due(center).remove(0);
    center.db.outgoing(first).unwrap().unwrap()
}

/// Cuts the order's package into five parts.
fn cut(center: &mut Center) -> (Outgoing, Parts) {
    let outgoing = ordered(center);
    let parts = Parts::cut(&[7; 5_000], PART_OCTETS, None, &Limits::default()).unwrap();
    let carriage = Carriage::Parts { shape: *parts.shape(), part_octets: PART_OCTETS, parity: None };
    let update = order_in(&outgoing).unwrap();
    let (now, mut random) = (center.now, counting(500));
    center.db.store_cut(&outgoing, &carriage, Some((&update, &parts)), now, &mut random).unwrap();
    (outgoing, parts)
}

fn tried(center: &mut Center, outbox: OutboxId, number: usize, tried: Try) {
    let now = center.now;
    center.db.record_tries(&[(outbox, agent(number), tried)], now).unwrap();
}

fn hand_in_all(center: &mut Center) -> usize {
    let all = due(center);
    for (outbox, agent) in &all {
        let now = center.now;
        center.db.record_tries(&[(*outbox, agent.clone(), Try::Accepted)], now).unwrap();
    }
    all.len()
}

fn part_of(center: &Center, outbox: OutboxId) -> Option<u32> {
    center.db.outgoing(outbox).unwrap().unwrap().part.map(|(_, number)| number)
}

fn miss(center: &mut Center, number: usize, missing: &[u32]) -> u32 {
    let order = center.messages().0.unwrap();
    let report =
        PartsMissingReport { package: center.inspection.id, here: 3, of: 5, missing: missing.to_vec() };
    let origin = center.origin(number, Some(order));
    let now = center.now;
    center
        .db
        .write(|tx| {
            let again = send_again(tx, &agent(number), &order, &report, now)?;
            on_parts_missing(tx, &origin, &report, again)?;
            Ok::<_, DbError>(again)
        })
        .unwrap()
}

fn words(center: &Center) -> (String, String) {
    let known = center.db.known_targets(center.id).unwrap();
    let rollout = center.db.rollout(center.id).unwrap();
    let report = Comparison::of(&rollout, &center.targets(), &known, center.now);
    let row = &report.rows[0];
    (row.transport.clone(), row.reason.as_ref().map(|reason| reason.cause.clone()).unwrap_or_default())
}

#[test]
fn every_part_is_a_message_of_its_own_behind_the_order_and_all_have_to_be_handed_in() {
    let mut center = Center::in_memory(2);
    let (outgoing, parts) = cut(&mut center);
    let queue = due(&center);
    assert_eq!(queue.len(), 2 * (1 + 5), "the order and five parts for each");
    assert_eq!(queue[0].0, outgoing.outbox, "the order goes first");
    let stored = center.db.outgoing(outgoing.outbox).unwrap().unwrap();
    assert_eq!(stored.cut, Some(Cut::Parts { part_octets: PART_OCTETS, parity: None }));
    let third = center.db.outgoing(queue[6].0).unwrap().unwrap();
    assert_eq!(third.part, Some((outgoing.outbox, 3)));
    let Ok(Message::Command(Command::Part(part))) = Message::parse(third.family, third.payload.as_bytes())
    else {
        panic!("{}", third.payload)
    };
    assert_eq!((part.number, part.of, Some(part.sha256)), (3, 5, parts.cutting().hash(3)));

    // Three of five for the first, everything for the second.
    for (outbox, agent) in queue.iter().take(8) {
        let now = center.now;
        center.db.record_tries(&[(*outbox, agent.clone(), Try::Accepted)], now).unwrap();
    }
    assert_eq!(words(&center).0, "parts 3 of 5");
    center.later(11);
    assert!(center.messages().1.is_none(), "the version is not asked for before the whole package is out");
    assert_eq!(hand_in_all(&mut center), 4);
    assert_eq!(words(&center).0, "accepted");
    center.later(9);
    assert!(center.messages().1.is_none(), "the time to settle begins with the last part");
    center.later(1);
    assert!(center.messages().1.is_some());
}

#[test]
fn a_cut_that_was_stored_is_not_made_again() {
    let mut center = Center::in_memory(1);
    let (outgoing, _) = cut(&mut center);
    let before = due(&center);
    let (now, mut random) = (center.now, counting(900));
    center.db.store_cut(&outgoing, &Carriage::Whole, None, now, &mut random).unwrap();
    assert_eq!(due(&center), before);
    let stored = center.db.outgoing(outgoing.outbox).unwrap().unwrap();
    assert!(matches!(stored.cut, Some(Cut::Parts { .. })));
}

#[test]
fn a_package_that_goes_whole_is_told_by_its_one_mail() {
    let mut center = Center::in_memory(1);
    let outgoing = ordered(&mut center);
    let (now, mut random) = (center.now, counting(500));
    center.db.store_cut(&outgoing, &Carriage::Whole, None, now, &mut random).unwrap();
    assert_eq!(center.db.outgoing(outgoing.outbox).unwrap().unwrap().cut, Some(Cut::Whole));
    assert_eq!(hand_in_all(&mut center), 1);
    assert_eq!(words(&center).0, "accepted");
}

#[test]
fn only_the_missing_parts_go_out_again_and_only_to_who_misses_them() {
    let mut center = Center::in_memory(2);
    cut(&mut center);
    hand_in_all(&mut center);
    center.later(5);
    assert_eq!(miss(&mut center, 1, &[2, 4, 9]), 2);
    let again: Vec<_> =
        due(&center).into_iter().map(|(outbox, agent)| (part_of(&center, outbox), agent)).collect();
    assert_eq!(again, [(Some(2), agent(1)), (Some(4), agent(1))]);
    let (transport, cause) = words(&center);
    assert_eq!(transport, "parts 3 of 5");
    assert!(cause.contains("3 of 5 parts of the package are there; 2, 4, 9 sent again"), "{cause}");
    assert_eq!(miss(&mut center, 1, &[2, 4]), 2, "what is queued already is not queued twice");
    assert_eq!(due(&center).len(), 2);

    // The time to settle begins anew, and the version is asked for once the parts are out.
    center.later(6);
    assert_eq!(hand_in_all(&mut center), 3, "two parts, and the question to the other one");
    center.later(9);
    assert!(center.targets()[&agent(1)].mails().1.is_none());
    center.later(1);
    assert!(center.targets()[&agent(1)].mails().1.is_some());
}

#[test]
fn a_question_that_came_too_early_is_put_again_when_the_parts_are_there() {
    let mut center = Center::in_memory(1);
    cut(&mut center);
    hand_in_all(&mut center);
    center.later(10);
    assert!(center.messages().1.is_some());
    miss(&mut center, 1, &[5]);
    assert!(center.messages().1.is_none());
    hand_in_all(&mut center);
    center.later(10);
    assert!(center.messages().1.is_some());
}

#[test]
fn a_part_that_comes_back_is_told_by_its_number() {
    let mut center = Center::in_memory(1);
    cut(&mut center);
    let queue = due(&center);
    tried(&mut center, queue[2].0, 1, Try::Refused { detail: "552 too big".to_owned() });
    center.tick().unwrap();
    let (_, cause) = words(&center);
    assert!(cause.contains("part 2 of 5: 552 too big"), "{cause}");
}

#[test]
fn parts_that_our_mail_server_does_not_take_end_as_undeliverable() {
    let mut center = Center::in_memory(1);
    cut(&mut center);
    let queue = due(&center);
    for (outbox, _) in queue.iter().take(3) {
        tried(&mut center, *outbox, 1, Try::Accepted);
    }
    center.later(24 * 60 + 1);
    let (_, cause) = words(&center);
    assert!(cause.contains("2 of 5 parts"), "{cause}");
}

#[test]
fn one_that_was_away_when_the_parts_were_made_gets_them_when_it_asks() {
    let mut center = Center::in_memory(2);
    center.tick().unwrap();
    let now = center.now;
    center.db.suspend_appliance(&agent(2), "away", now).unwrap();
    cut(&mut center);
    hand_in_all(&mut center);
    center.db.readmit_appliance(&agent(2), now).unwrap();
    assert_eq!(miss(&mut center, 2, &[1, 2, 3, 4, 5]), 5);
    let queued = center.db.deliveries(due(&center)[1].0).unwrap();
    assert!(queued.iter().any(|line| line.agent == agent(2) && line.state == Queue::Queued), "{queued:?}");
}

#[test]
fn parity_is_stored_with_the_cut() {
    let mut center = Center::in_memory(1);
    let outgoing = ordered(&mut center);
    let parity = Some(Parity { group: 8, extra: 1 });
    let parts = Parts::cut(&[7; 5_000], PART_OCTETS, parity, &Limits::default()).unwrap();
    let carriage = Carriage::Parts { shape: *parts.shape(), part_octets: PART_OCTETS, parity };
    let update = order_in(&outgoing).unwrap();
    let (now, mut random) = (center.now, counting(500));
    center.db.store_cut(&outgoing, &carriage, Some((&update, &parts)), now, &mut random).unwrap();
    let stored = center.db.outgoing(outgoing.outbox).unwrap().unwrap();
    assert_eq!(stored.cut, Some(Cut::Parts { part_octets: PART_OCTETS, parity }));
    assert_eq!(due(&center).len(), 1 + 5 + 1);
}

#[test]
fn a_limit_of_the_way_counts_for_the_next_package_and_only_falls() {
    let mut center = Center::in_memory(2);
    let outgoing = ordered(&mut center);
    assert_eq!(center.db.way_limit(outgoing.outbox).unwrap(), None);
    center.db.lower_mail_limit(&agent(2), 3_000_000).unwrap();
    assert_eq!(center.db.way_limit(outgoing.outbox).unwrap(), Some(1_500_000));
    center.db.lower_mail_limit(&agent(2), 9_000_000).unwrap();
    center.db.set_mail_limit(&agent(1), Some(2_000_000)).unwrap();
    assert_eq!(center.db.way_limit(outgoing.outbox).unwrap(), Some(1_500_000), "the least of all recipients");
    center.db.set_mail_limit(&agent(2), None).unwrap();
    assert_eq!(center.db.mail_limit(&agent(2)).unwrap(), None);
    let now = center.now;
    center.db.learn_account_limit("main", 700_000, now).unwrap();
    assert_eq!(center.db.account_limit("main", now).unwrap(), Some(700_000));
    let much_later = now + SignedDuration::from_hours(24 * 31);
    assert_eq!(
        center.db.account_limit("main", much_later).unwrap(),
        None,
        "then a larger mail is tried again"
    );
}

/// Does `work` while the power goes after so many writes; returns whether it went. Nothing of the work is there then.
fn cut_off(
    center: &mut Center,
    path: &Path,
    writes: usize,
    work: impl Fn(&mut Center) -> Result<(), DbError>,
) -> bool {
    let before = center.dump();
    center.cut_after(writes);
    let went = work(center).is_err();
    center.db = Db::open(path).unwrap();
    if went {
        assert_eq!(center.dump(), before, "half of it was left after {writes} writes");
        work(center).unwrap();
    }
    went
}

/// The cut, the sending of all parts and the question for two of them; every step is cut off after so many writes, where
/// `writes` is given, and done again.
fn parts_in_spite_of(path: &Path, writes: usize) -> (String, usize) {
    let mut center = Center::new(Db::create(path).unwrap(), 2);
    let outgoing = ordered(&mut center);
    let parts = Parts::cut(&[7; 5_000], PART_OCTETS, None, &Limits::default()).unwrap();
    let carriage = Carriage::Parts { shape: *parts.shape(), part_octets: PART_OCTETS, parity: None };
    let update = order_in(&outgoing).unwrap();
    let mut cuts = usize::from(cut_off(&mut center, path, writes, |center| {
        let (now, mut random) = (center.now, counting(500));
        center.db.store_cut(&outgoing, &carriage, Some((&update, &parts)), now, &mut random)
    }));
    cuts += usize::from(cut_off(&mut center, path, writes, |center| {
        let taken = due(center).into_iter().map(|(outbox, agent)| (outbox, agent, Try::Accepted));
        let now = center.now;
        center.db.record_tries(&taken.collect::<Vec<_>>(), now)
    }));
    cuts += usize::from(cut_off(&mut center, path, writes, |center| {
        let order = center.messages().0.unwrap();
        let (package, now) = (center.inspection.id, center.now);
        let report = PartsMissingReport { package, here: 3, of: 5, missing: vec![2, 4] };
        let origin = center.origin(1, Some(order));
        center.db.write(|tx| {
            let again = send_again(tx, &agent(1), &order, &report, now)?;
            on_parts_missing(tx, &origin, &report, again)
        })
    }));
    assert_eq!(due(&center).len(), 2);
    (center.dump(), cuts)
}

#[test]
fn a_kill_at_any_write_leaves_all_of_the_parts_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = parts_in_spite_of(&folder.path().join("whole.db"), usize::MAX >> 8);
    let mut all = 0;
    for writes in 0.. {
        let (left, cuts) = parts_in_spite_of(&folder.path().join(format!("{writes}.db")), writes);
        assert_eq!(left, whole, "cut after {writes} writes");
        all += cuts;
        if cuts == 0 {
            break;
        }
    }
    assert!(all >= 60, "only {all} cuts were tried");
}

//! Who takes part: added, taken out, joining by themselves.

use super::*;
use crate::selection::Selection;
use std::collections::BTreeSet;

fn agents(numbers: &[usize]) -> BTreeSet<AgentId> {
    numbers.iter().map(|number| agent(*number)).collect()
}

/// Three more appliances that take no part; they say that they run `version`.
fn enrol(center: &mut Center, numbers: std::ops::RangeInclusive<usize>, version: Option<&str>) {
    let new = |number| NewAppliance {
        agent: agent(number),
        address: format!("agent{number}@example.com"),
        customer: "bbb Logistics".to_owned(),
        tags: vec!["north".to_owned()],
        credential: Credential::from_bytes([7; 32]),
    };
    center.db.add_appliances(&numbers.clone().map(new).collect::<Vec<_>>(), center.now).unwrap();
    for number in numbers {
        let set = "UPDATE appliance SET software = ?1, version_checked = added WHERE agent = ?2";
        center
            .db
            .write(|tx| tx.execute(set, (version, agent(number).as_str())).map_err(DbError::from))
            .unwrap();
    }
}

#[test]
fn added_appliances_get_the_package_with_the_last_wave() {
    let mut center =
        Center::on_course(Db::in_memory().unwrap(), 4, Course::parse("2,100%", 0, false).unwrap());
    enrol(&mut center, 5..=6, None);
    center.tick().unwrap();
    let added = add(&mut center.db, center.id, &agents(&[4, 5, 6]), "anna", center.now).unwrap();
    assert_eq!((added.added.as_slice(), added.known), ([agent(5), agent(6)].as_slice(), 1));
    center.later(1);
    assert_eq!(center.targets()[&agent(5)].wave, 1);
    assert_eq!(center.targets().values().filter(|target| target.mails().0.is_some()).count(), 2);
    center.does(Act::ReleaseNext, "").unwrap();
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 4)));
}

#[test]
fn an_appliance_added_to_a_rollout_that_has_ended_lets_it_go_on() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.good_answer(1, nonce);
    center.later(1);
    assert!(center.db.rollout(center.id).unwrap().finished.is_some());
    enrol(&mut center, 2..=2, None);
    add(&mut center.db, center.id, &agents(&[2]), "anna", center.now).unwrap();
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 1)));
}

#[test]
fn only_those_that_were_sent_nothing_are_taken_out() {
    let mut center =
        Center::on_course(Db::in_memory().unwrap(), 4, Course::parse("2,100%", 0, false).unwrap());
    center.tick().unwrap();
    let (out, waits): (Vec<_>, Vec<_>) =
        (1..=4).partition(|number| center.targets()[&agent(*number)].wave == 0);
    let sent = take_out(&mut center.db, center.id, &agents(&out[..1]), "anna", center.now);
    assert!(matches!(sent, Err(MembershipError::Sent { .. })));
    take_out(&mut center.db, center.id, &agents(&waits[..1]), "anna", center.now).unwrap();
    assert_eq!(center.targets().len(), 3);
    let gone = take_out(&mut center.db, center.id, &agents(&waits[..1]), "anna", center.now);
    assert!(matches!(gone, Err(MembershipError::NoTarget { .. })));
}

fn joining(center: &Center, per_day: u32) {
    let selection =
        serde_json::to_string(&Selection { tags: vec!["north".to_owned()], ..Selection::default() });
    center
        .db
        .read()
        .execute("UPDATE rollout SET joining = ?1, joining_per_day = ?2", (selection.unwrap(), per_day))
        .unwrap();
}

#[test]
fn those_that_enrol_later_join_a_few_a_day_once_their_version_is_known() {
    let mut center = Center::in_memory(1);
    joining(&center, 2);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.good_answer(1, nonce);
    center.later(1);
    assert!(center.db.rollout(center.id).unwrap().finished.is_none(), "others may still come");
    enrol(&mut center, 2..=4, Some("1.0.01-0"));
    enrol(&mut center, 5..=5, Some("1.0.02-0"));
    enrol(&mut center, 6..=6, None);
    center.later(10);
    assert_eq!(center.targets().len(), 3, "two a day");
    center.later(10);
    assert_eq!(center.targets().len(), 3);
    center.later(24 * 60);
    assert_eq!(center.targets().into_keys().collect::<BTreeSet<_>>(), agents(&[1, 2, 3, 4]));
    assert_eq!(center.history(4)[0], "joined");
}

#[test]
fn nobody_joins_a_rollout_that_was_stopped() {
    let mut center = Center::in_memory(1);
    joining(&center, 9);
    center.tick().unwrap();
    center.does(Act::Stop, "").unwrap();
    enrol(&mut center, 2..=4, Some("1.0.01-0"));
    center.later(20);
    assert_eq!(center.targets().len(), 1);
}

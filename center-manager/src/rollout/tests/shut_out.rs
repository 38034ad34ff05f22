//! Appliances that are removed or suspended while a rollout runs.

use super::*;

#[test]
fn a_removed_appliance_does_not_hold_the_others_up() {
    let mut center = Center::in_memory(3);
    center.db.remove_appliance(&agent(2), center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 2)]);
    assert!(matches!(
        center.targets()[&agent(2)].verdict(),
        Some(Verdict::Failed { failure: Failure::Undeliverable { .. } })
    ));
}

#[test]
fn a_suspended_appliance_is_left_out_of_a_running_rollout_and_shown_as_suspended() {
    let mut center = Center::in_memory(3);
    center.db.suspend_appliance(&agent(2), "stolen", center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 2)]);
    let targets = center.targets();
    let verdict = targets[&agent(2)].verdict();
    assert_eq!(verdict, Some(&Verdict::Failed { failure: Failure::Suspended }));
    assert_eq!(Failure::Suspended.to_string(), "suspended");
}

#[test]
fn an_appliance_that_is_suspended_in_the_middle_is_judged_at_once_and_goes_on_when_it_is_readmitted() {
    let mut center = Center::in_memory(2);
    center.retries(1);
    center.until_asked(2);
    center.db.suspend_appliance(&agent(1), "stolen", center.now).unwrap();
    center.tick().unwrap();
    let suspended = Verdict::Failed { failure: Failure::Suspended };
    assert_eq!(center.targets()[&agent(1)].verdict(), Some(&suspended), "without waiting for its answer");
    center.db.readmit_appliance(&agent(1), center.now).unwrap();
    let nonce = center.nonce(2);
    center.answer(2, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(30);
    let last = center.recipients().split_off(2);
    assert_eq!(last, [("version-request".to_owned(), 1), ("update".to_owned(), 1)], "both begin again");
}

#[test]
fn an_appliance_that_is_removed_after_it_failed_is_not_retried_and_keeps_its_verdict() {
    let mut center = Center::in_memory(2);
    center.db.read().execute("UPDATE rollout SET retries = 1", []).unwrap();
    center.until_asked(2);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.tick().unwrap();
    center.db.remove_appliance(&agent(1), center.now).unwrap();
    center.later(30);
    center.later(60);
    assert_eq!(
        center.recipients().last(),
        Some(&("version-request".to_owned(), 1)),
        "the other one is asked again"
    );
    let targets = center.targets();
    let verdict = targets[&agent(1)].verdict();
    assert!(matches!(verdict, Some(Verdict::Failed { failure: Failure::OtherVersion { .. } })));
}

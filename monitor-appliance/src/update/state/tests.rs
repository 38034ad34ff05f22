use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn swap() -> Swap {
    Swap {
        release: "1.0.02-0".into(),
        previous: "1.0.00-1".into(),
        release_counter: 2,
        trial_secs: 1,
        drop_shared_data: false,
        reboot_after: false,
        report_by_itself: false,
    }
}

fn blocked(now: i64) -> UpdateEvent {
    UpdateEvent::Blocked {
        reason: "busy".into(),
        now: at(now),
        report_at: at(now + 60),
        retry_at: at(now + 1),
    }
}

fn failed() -> UpdateEvent {
    UpdateEvent::Failed { reason: "why".into() }
}

fn run(events: Vec<UpdateEvent>) -> UpdateState {
    events.into_iter().fold(UpdateState::Received, |state, event| state.step(event).unwrap())
}

#[test]
fn an_update_that_meets_nothing_in_its_way_ends_installed() {
    let state = run(vec![
        UpdateEvent::Accepted { at_next_restart: false },
        UpdateEvent::Built { swap: swap() },
        UpdateEvent::ScriptSucceeded,
        UpdateEvent::SwapBegins,
        UpdateEvent::TrialBegins { now: at(0) },
        UpdateEvent::TrialPassed,
    ]);
    assert_eq!(state.outcome(), Some(UpdateOutcome::Installed));
    assert_eq!(state.turn(), Turn::Nobody);
}

#[test]
fn a_failure_before_anything_has_run_is_a_refusal_and_later_an_undoing() {
    let accepted = UpdateEvent::Accepted { at_next_restart: false };
    let before = [vec![], vec![accepted.clone()], vec![accepted.clone(), blocked(0)]];
    for mut events in before {
        events.push(failed());
        assert!(matches!(run(events).outcome(), Some(UpdateOutcome::Refused { .. })));
    }
    let built = vec![accepted, UpdateEvent::Built { swap: swap() }];
    let after = [built.clone(), [built, vec![UpdateEvent::ScriptSucceeded]].concat()];
    for mut events in after {
        events.push(failed());
        assert!(matches!(run(events).outcome(), Some(UpdateOutcome::Undone { .. })));
    }
}

#[test]
fn a_failure_after_the_swap_is_first_taken_back() {
    for state in [UpdateState::Swapped { swap: swap() }, UpdateState::OnTrial { swap: swap(), since: at(0) }]
    {
        let state = state.step(failed()).unwrap();
        assert_eq!(state, UpdateState::RollingBack { swap: swap(), reason: "why".into() });
        assert_eq!(state.outcome(), None);
        assert_eq!(
            state.step(UpdateEvent::TakenBack).unwrap().outcome(),
            Some(UpdateOutcome::Undone { reason: "why".into() })
        );
    }
}

#[test]
fn the_wait_is_counted_from_the_first_look_and_told_once() {
    let state = run(vec![
        UpdateEvent::Accepted { at_next_restart: false },
        blocked(0),
        UpdateEvent::Free,
        blocked(10),
        UpdateEvent::WaitReported,
        blocked(70),
    ]);
    let UpdateState::Waiting { wait, retry_at, .. } = state else { panic!("{state:?}") };
    assert_eq!(wait, Wait { since: at(0), report_at: at(60), reported: true, tries: 3 });
    assert_eq!(retry_at, at(71));
}

#[test]
fn a_package_for_the_next_restart_waits_for_it() {
    let state = run(vec![UpdateEvent::Accepted { at_next_restart: true }]);
    assert_eq!(state.turn(), Turn::NextRestart);
    assert_eq!(state.step(UpdateEvent::Restarted).unwrap(), UpdateState::Verified { wait: None });
}

#[test]
fn an_update_that_is_over_takes_no_more_events() {
    for state in [
        UpdateState::Committed,
        UpdateState::Refused { reason: "a".into() },
        UpdateState::Undone { reason: "b".into() },
    ] {
        for event in [failed(), UpdateEvent::Free, UpdateEvent::SwapBegins, UpdateEvent::TakenBack] {
            assert!(state.clone().step(event).is_err());
        }
    }
}

#[test]
fn the_supervisors_part_cannot_be_reached_without_the_script() {
    let states = [
        UpdateState::Received,
        UpdateState::Verified { wait: None },
        UpdateState::Staged { wait: None, swap: swap() },
    ];
    for state in states {
        for event in
            [UpdateEvent::SwapBegins, UpdateEvent::TrialBegins { now: at(0) }, UpdateEvent::TrialPassed]
        {
            assert!(state.clone().step(event).is_err());
        }
    }
}

#[test]
fn every_state_is_stored_and_read_back_the_same() {
    let wait = Wait { since: at(0), report_at: at(9), reported: true, tries: 2 };
    for state in [
        UpdateState::Received,
        UpdateState::Verified { wait: None },
        UpdateState::AwaitingRestart,
        UpdateState::Waiting { wait: wait.clone(), reason: "busy".into(), retry_at: at(1) },
        UpdateState::Staged { wait: Some(wait), swap: swap() },
        UpdateState::ScriptRun { swap: swap() },
        UpdateState::Swapped { swap: swap() },
        UpdateState::OnTrial { swap: swap(), since: at(3) },
        UpdateState::RollingBack { swap: swap(), reason: "crash".into() },
        UpdateState::Committed,
        UpdateState::Refused { reason: "old".into() },
        UpdateState::Undone { reason: "crash".into() },
    ] {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<UpdateState>(&text).unwrap(), state, "{text}");
    }
}

use super::*;
use jiff::SignedDuration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn limits() -> WaitLimits {
    WaitLimits { report_after: SignedDuration::from_secs(60), give_up_at: at(10_000) }
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
        wait_limits: Some(limits()),
    }
}

fn busy() -> WaitFor {
    WaitFor::Work { module: "mail-agent".into(), work: "sending counters".into(), billing: true }
}

fn blocked(now: i64) -> UpdateEvent {
    UpdateEvent::Blocked { why: busy(), now: at(now), limits: limits(), retry_at: Some(at(now + 1)) }
}

fn for_restart() -> UpdateEvent {
    UpdateEvent::Blocked { why: WaitFor::NextRestart, now: at(0), limits: limits(), retry_at: None }
}

fn failed() -> UpdateEvent {
    UpdateEvent::Failed { reason: "why".into() }
}

fn swap_begins() -> UpdateEvent {
    UpdateEvent::SwapBegins { expected: Expected { fetch: Proving::Soon, ..Expected::default() } }
}

fn run(events: Vec<UpdateEvent>) -> UpdateState {
    events.into_iter().fold(UpdateState::Received, |state, event| state.step(event).unwrap())
}

/// Up to the swap.
fn checked() -> Vec<UpdateEvent> {
    let built = UpdateEvent::Built { swap: swap() };
    vec![UpdateEvent::Accepted, built, UpdateEvent::ScriptSucceeded, UpdateEvent::CheckPassed]
}

fn collection() -> Collection {
    Collection {
        enclosure: mailfmt::Digest::of(b"whole"),
        here: 2,
        of: 7,
        asked: 1,
        ask_at: at(60),
        give_up_at: at(9_000),
    }
}

/// One of every state.
fn all_states() -> Vec<UpdateState> {
    let wait = Wait::another(None, busy(), at(0), limits());
    vec![
        UpdateState::Collecting { parts: collection() },
        UpdateState::Received,
        UpdateState::Verified { wait: None },
        UpdateState::Waiting { wait: wait.clone(), retry_at: Some(at(1)) },
        run(vec![for_restart()]),
        UpdateState::Staged { wait: Some(wait.clone()), swap: swap() },
        UpdateState::ScriptRun { swap: swap() },
        UpdateState::Checked { swap: swap(), wait: Some(wait) },
        UpdateState::Swapped { swap: swap(), expected: Expected::default() },
        UpdateState::OnTrial { swap: swap(), expected: Expected::default(), since: at(3) },
        UpdateState::RollingBack { swap: swap(), reason: "crash".into() },
        UpdateState::Committed,
        UpdateState::Refused { reason: "old".into() },
        UpdateState::Undone { reason: "crash".into() },
    ]
}

#[test]
fn an_update_that_meets_nothing_in_its_way_ends_installed() {
    let way =
        [checked(), vec![swap_begins(), UpdateEvent::TrialBegins { now: at(0) }, UpdateEvent::TrialPassed]];
    let state = run(way.concat());
    assert_eq!(state.outcome(), Some(UpdateOutcome::Installed));
    assert_eq!(state.turn(), Turn::Nobody);
}

#[test]
fn a_failure_before_anything_has_run_is_a_refusal_and_later_an_undoing() {
    for mut events in [vec![], vec![UpdateEvent::Accepted], vec![UpdateEvent::Accepted, blocked(0)]] {
        events.push(failed());
        assert!(matches!(run(events).outcome(), Some(UpdateOutcome::Refused { .. })));
    }
    for length in 2..=checked().len() {
        let mut events = checked();
        events.truncate(length);
        events.push(failed());
        assert!(matches!(run(events).outcome(), Some(UpdateOutcome::Undone { .. })));
    }
}

#[test]
fn a_failure_after_the_swap_is_first_taken_back() {
    for events in [vec![swap_begins()], vec![swap_begins(), UpdateEvent::TrialBegins { now: at(0) }]] {
        let state = run([checked(), events, vec![failed()]].concat());
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
        UpdateEvent::Accepted,
        blocked(0),
        UpdateEvent::Free,
        blocked(10),
        UpdateEvent::WaitReported,
        blocked(70),
    ]);
    let UpdateState::Waiting { wait, retry_at } = state else { panic!("{state:?}") };
    assert_eq!((wait.why, wait.since, wait.report_at), (busy(), at(0), at(60)));
    assert_eq!((wait.reported, wait.tries, retry_at), (true, 3, Some(at(71))));
}

#[test]
fn work_that_must_not_be_disturbed_is_waited_for_just_before_the_swap_too() {
    let state = run([checked(), vec![blocked(0)]].concat());
    assert_eq!(state.turn(), Turn::Supervisor);
    assert_eq!(state.waits().map(|wait| wait.why.clone()), Some(busy()));
    let told = state.step(UpdateEvent::WaitReported).unwrap();
    assert!(told.waits().is_some_and(|wait| wait.reported));
    assert!(matches!(told.clone().step(swap_begins()).unwrap(), UpdateState::Swapped { .. }));
    assert!(matches!(told.step(failed()).unwrap(), UpdateState::Undone { .. }));
}

#[test]
fn a_package_for_the_next_restart_waits_for_it_and_for_nothing_else() {
    let state = run(vec![for_restart()]);
    assert_eq!(state.turn(), Turn::NextRestart);
    assert_eq!(state.step(UpdateEvent::Restarted).unwrap(), UpdateState::Verified { wait: None });
    assert!(run(vec![UpdateEvent::Accepted, blocked(0)]).step(UpdateEvent::Restarted).is_err());
}

#[test]
fn an_update_that_is_over_takes_no_more_events() {
    for state in all_states().into_iter().filter(|state| state.outcome().is_some()) {
        for event in [failed(), UpdateEvent::Free, swap_begins(), UpdateEvent::TakenBack, blocked(0)] {
            assert!(state.clone().step(event).is_err());
        }
    }
}

#[test]
fn the_swap_cannot_be_reached_without_the_script_and_the_check() {
    let before = all_states().into_iter().take(7);
    for state in before {
        for event in [swap_begins(), UpdateEvent::TrialBegins { now: at(0) }, UpdateEvent::TrialPassed] {
            assert!(state.clone().step(event).is_err(), "{state:?}");
        }
    }
}

#[test]
fn every_state_but_the_last_ones_has_somebody_whose_turn_it_is() {
    for state in all_states() {
        assert_eq!(state.turn() == Turn::Nobody, state.outcome().is_some(), "{state:?}");
    }
}

#[test]
fn every_state_is_stored_and_read_back_the_same() {
    for state in all_states() {
        let text = state.to_stored();
        assert_eq!(UpdateState::from_stored(&text).unwrap(), state, "{text}");
    }
}

#[test]
fn orders_stored_by_the_version_before_are_read() {
    let swap = r#"{"release":"1.0.02-0","previous":"1.0.00-1","release_counter":2,"trial_secs":1,
        "drop_shared_data":false,"reboot_after":false,"report_by_itself":false}"#;
    let wait =
        r#"{"since":"2026-01-02T03:04:05Z","report_at":"2026-01-02T04:04:05Z","reported":false,"tries":1}"#;
    let turn = |text: &str| serde_json::from_str::<UpdateState>(text).unwrap().turn();
    assert_eq!(turn(r#"{"state":"awaiting-restart"}"#), Turn::NextRestart);
    let waiting =
        format!(r#"{{"state":"waiting","wait":{wait},"reason":"busy","retry_at":"2026-01-02T03:04:07Z"}}"#);
    assert!(matches!(turn(&waiting), Turn::Installer { at: Some(_) }));
    // What was ready to be swapped in is checked once more.
    assert_eq!(turn(&format!(r#"{{"state":"script-run","swap":{swap}}}"#)), Turn::Installer { at: None });
    let on_trial = format!(r#"{{"state":"on-trial","swap":{swap},"since":"2026-01-02T03:04:05Z"}}"#);
    assert_eq!(turn(&on_trial), Turn::Supervisor);
    assert_eq!(turn(&format!(r#"{{"state":"swapped","swap":{swap}}}"#)), Turn::Supervisor);
}

#[test]
fn parts_that_come_are_counted_and_complete_they_are_a_received_package() {
    let state = UpdateState::Collecting { parts: collection() };
    let state = state.step(UpdateEvent::PartsChanged { here: 5, ask_at: at(70) }).unwrap();
    let state = state.step(UpdateEvent::PartsAsked { ask_at: at(200) }).unwrap();
    let UpdateState::Collecting { parts } = &state else { panic!("{state:?}") };
    assert_eq!((parts.here, parts.of, parts.asked, parts.ask_at), (5, 7, 2, at(200)));
    let words =
        "waits for the parts of its package: 5 of 7 are here, the missing ones were asked for 2 times";
    assert_eq!(state.in_words(), words);
    assert_eq!(state.turn(), Turn::MailAgent);
    assert!(state.clone().step(UpdateEvent::Accepted).is_err());
    assert_eq!(state.clone().step(UpdateEvent::PartsComplete).unwrap(), UpdateState::Received);
    assert!(matches!(state.step(failed()).unwrap().outcome(), Some(UpdateOutcome::Refused { .. })));
}

#[test]
fn a_version_that_knows_no_parts_reads_an_order_that_waits_for_them_as_one_that_the_installer_looks_at() {
    let text = UpdateState::Collecting { parts: collection() }.to_stored();
    let earlier: UpdateState = serde_json::from_str(&text).unwrap();
    assert!(matches!(earlier, UpdateState::Waiting { .. }));
    assert_eq!(earlier.turn(), Turn::Installer { at: None });
}

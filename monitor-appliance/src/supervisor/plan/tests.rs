use super::*;
use crate::update::Swap;
use jiff::Timestamp;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn name(text: &str) -> ModuleName {
    ModuleName::new(text).unwrap()
}

fn up(since: u64, beats: bool, beat: Option<u64>) -> Resident {
    Resident { run: Run::Up { pid: 7, since: secs(since), beat: beat.map(secs) }, failures: 0, beats }
}

fn one(resident: Resident) -> BTreeMap<ModuleName, Resident> {
    BTreeMap::from([(name("watch"), resident)])
}

fn view(residents: &BTreeMap<ModuleName, Resident>, now: u64) -> View<'_> {
    View {
        residents,
        update: None,
        busy: None,
        version_wanted: false,
        installer_occupied: false,
        reporter_occupied: false,
        now: secs(now),
    }
}

fn steps(residents: &BTreeMap<ModuleName, Resident>, now: u64) -> Vec<Step> {
    plan(&view(residents, now), &Patience::default())
}

fn swap() -> Swap {
    Swap {
        release: "1.0.02-0".into(),
        previous: "1.0.00-1".into(),
        release_counter: 2,
        trial_secs: 30,
        drop_shared_data: false,
        reboot_after: false,
        report_by_itself: false,
    }
}

#[test]
fn pauses_grow_from_none_to_the_longest() {
    let patience = Patience::default();
    let pauses: Vec<u64> = (0..12).map(|count| restart_pause(count, &patience).as_secs()).collect();
    assert_eq!(pauses, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert_eq!(restart_pause(u32::MAX, &patience), patience.pause_max);
}

#[test]
fn a_module_that_crashes_again_and_again_is_started_ever_more_rarely() {
    let patience = Patience::default();
    let mut resident = up(0, false, None);
    resident.ended("crashed".into(), &patience, secs(1));
    assert_eq!(steps(&one(resident.clone()), 1), [Step::Start(name("watch"))]);
    resident.run = Run::Up { pid: 8, since: secs(1), beat: None };
    resident.ended("crashed".into(), &patience, secs(2));
    assert_eq!(steps(&one(resident.clone()), 2), []);
    assert_eq!(steps(&one(resident.clone()), 3), [Step::Start(name("watch"))]);
    resident.run = Run::Up { pid: 9, since: secs(3), beat: None };
    resident.ended("crashed".into(), &patience, secs(3 + 3600));
    assert_eq!(resident.failures, 1, "an hour of running well is forgotten");
}

#[test]
fn silence_ends_only_modules_that_ever_gave_a_sign_of_life() {
    assert_eq!(steps(&one(up(0, false, None)), 10_000), []);
    assert_eq!(steps(&one(up(0, true, None)), 120), []);
    assert_eq!(steps(&one(up(0, true, None)), 121), [Step::EndHung(name("watch"))]);
    assert_eq!(steps(&one(up(0, true, Some(100))), 220), []);
    assert_eq!(steps(&one(up(0, true, Some(100))), 221), [Step::EndHung(name("watch"))]);
}

#[test]
fn a_sign_of_life_of_an_earlier_process_does_not_count_for_the_new_one() {
    let mut resident = up(0, false, None);
    resident.gave_sign(6, secs(5));
    assert_eq!(resident, up(0, true, None));
    resident.gave_sign(7, secs(5));
    assert_eq!(resident, up(0, true, Some(5)));
}

fn judged(resident: Resident, now: u64) -> TrialVerdict {
    judge_trial(&one(resident), secs(0), secs(30), &Patience::default(), secs(now))
}

#[test]
fn a_trial_passes_when_everything_ran_for_its_time() {
    assert_eq!(judged(up(0, false, None), 29), TrialVerdict::StillRunning);
    assert_eq!(judged(up(0, false, None), 30), TrialVerdict::Passed);
    assert_eq!(judged(up(0, true, Some(3)), 30), TrialVerdict::Passed);
}

#[test]
fn a_trial_fails_at_the_first_crash() {
    let mut resident = up(0, false, None);
    resident.ended("ended with exit code 1".into(), &Patience::default(), secs(2));
    let reason = "module watch ended with exit code 1 during its trial".to_owned();
    assert_eq!(judged(resident, 2), TrialVerdict::Failed { reason });
}

#[test]
fn a_module_that_used_to_give_signs_of_life_must_give_one_in_its_trial() {
    assert_eq!(judged(up(0, true, None), 60), TrialVerdict::StillRunning);
    assert!(matches!(judged(up(0, true, None), 121), TrialVerdict::Failed { .. }));
}

#[test]
fn each_stored_state_has_its_step() {
    let residents = one(up(0, false, None));
    let steps_for = |state: &UpdateState, trial_since: Option<u64>, busy, now| {
        let update = Some(UpdateView { state, trial_since: trial_since.map(secs) });
        plan(&View { update, busy, ..view(&residents, now) }, &Patience::default())
    };
    let on_trial = UpdateState::OnTrial { swap: swap(), since: Timestamp::UNIX_EPOCH };
    let rolling = UpdateState::RollingBack { swap: swap(), reason: "crash".into() };
    assert_eq!(steps_for(&UpdateState::Received, None, None, 1), [Step::RunInstaller]);
    assert_eq!(steps_for(&UpdateState::AwaitingRestart, None, None, 1), []);
    assert_eq!(steps_for(&UpdateState::ScriptRun { swap: swap() }, None, None, 1), [Step::BeginSwap]);
    assert_eq!(steps_for(&UpdateState::ScriptRun { swap: swap() }, None, Some("counters"), 1), []);
    assert_eq!(steps_for(&UpdateState::Swapped { swap: swap() }, None, None, 1), [Step::Swap]);
    assert_eq!(steps_for(&on_trial, None, None, 1), [Step::RestartTrial]);
    assert_eq!(steps_for(&on_trial, Some(1), None, 2), []);
    assert_eq!(steps_for(&on_trial, Some(1), None, 31), [Step::Commit]);
    assert_eq!(steps_for(&rolling, Some(1), None, 2), [Step::TakeBack]);
}

#[test]
fn modules_are_tended_while_an_update_is_installed() {
    let residents = one(Resident::new(false));
    let update = Some(UpdateView { state: &UpdateState::Received, trial_since: None });
    let view = View { update, installer_occupied: true, version_wanted: true, ..view(&residents, 1) };
    assert_eq!(plan(&view, &Patience::default()), [Step::RunReporter, Step::Start(name("watch"))]);
}

#[test]
fn no_version_is_reported_of_a_release_on_trial() {
    let residents = one(up(0, false, None));
    let state = UpdateState::OnTrial { swap: swap(), since: Timestamp::UNIX_EPOCH };
    let update = Some(UpdateView { state: &state, trial_since: Some(secs(0)) });
    let view = View { update, version_wanted: true, ..view(&residents, 1) };
    assert_eq!(plan(&view, &Patience::default()), []);
}

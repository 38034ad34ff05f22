use super::*;
use crate::update::{Expected, Swap, Wait, WaitLimits};
use jiff::{SignedDuration, Timestamp};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn name(text: &str) -> ModuleName {
    ModuleName::new(text).unwrap()
}

fn up(since: u64, beats: bool, beat: Option<u64>) -> Resident {
    let run = Run::Up { pid: 7, since: secs(since), beat: beat.map(secs) };
    Resident { run, ..Resident::new(beats) }
}

fn one(resident: Resident) -> BTreeMap<ModuleName, Resident> {
    BTreeMap::from([(name("watch"), resident)])
}

fn view(residents: &BTreeMap<ModuleName, Resident>, now: u64) -> View<'_> {
    View {
        residents,
        update: None,
        busy: None,
        stopped: &NONE_STOPPED,
        version_wanted: false,
        installer_occupied: false,
        reporter_occupied: false,
        now: secs(now),
        clock: Timestamp::UNIX_EPOCH,
    }
}

static NONE_STOPPED: BTreeSet<String> = BTreeSet::new();

fn steps(residents: &BTreeMap<ModuleName, Resident>, now: u64) -> Vec<Step> {
    plan(&view(residents, now), &Patience::default())
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
    let (expected, evidence) = (Expected::default(), Evidence::default());
    judge_trial(&one(resident), expected, &evidence, secs(30), secs(now), &Patience::default())
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
    let evidence = Evidence::default();
    let steps_for = |state: &UpdateState, trial_since: Option<u64>, now| {
        let update = Some(UpdateView { state, trial_since: trial_since.map(secs), evidence: &evidence });
        plan(&View { update, ..view(&residents, now) }, &Patience::default())
    };
    let expected = Expected::default();
    let on_trial = UpdateState::OnTrial { swap: Swap::sample(), expected, since: Timestamp::UNIX_EPOCH };
    let rolling = UpdateState::RollingBack { swap: Swap::sample(), reason: "crash".into() };
    assert_eq!(steps_for(&UpdateState::Received, None, 1), [Step::RunInstaller]);
    assert_eq!(steps_for(&UpdateState::ScriptRun { swap: Swap::sample() }, None, 1), [Step::RunInstaller]);
    assert_eq!(
        steps_for(&UpdateState::Checked { swap: Swap::sample(), wait: None }, None, 1),
        [Step::BeginSwap]
    );
    assert_eq!(steps_for(&UpdateState::Swapped { swap: Swap::sample(), expected }, None, 1), [Step::Swap]);
    assert_eq!(steps_for(&on_trial, None, 1), [Step::RestartTrial]);
    assert_eq!(steps_for(&on_trial, Some(1), 2), []);
    assert_eq!(steps_for(&on_trial, Some(1), 31), [Step::Commit]);
    assert_eq!(steps_for(&rolling, Some(1), 2), [Step::TakeBack]);
}

#[test]
fn a_release_on_trial_is_kept_only_when_it_has_shown_what_it_must() {
    let residents = one(up(0, false, None));
    let expected = Expected { fetch: crate::update::Proving::Soon, ..Expected::default() };
    let state = UpdateState::OnTrial { swap: Swap::sample(), expected, since: Timestamp::UNIX_EPOCH };
    let steps_with = |evidence: &Evidence, now| {
        let update = Some(UpdateView { state: &state, trial_since: Some(secs(0)), evidence });
        plan(&View { update, ..view(&residents, now) }, &Patience::default())
    };
    assert_eq!(steps_with(&Evidence::default(), 31), []);
    assert!(matches!(steps_with(&Evidence::default(), 31 + 15 * 60).as_slice(), [Step::GiveUp { .. }]));
    let fetch = crate::store::Proof { worked: Some(Timestamp::UNIX_EPOCH), failing: None };
    assert_eq!(steps_with(&Evidence { fetch, ..Evidence::default() }, 31), [Step::Commit]);
}

#[test]
fn a_swap_waits_for_billing_work_tells_so_and_gives_up_in_the_end() {
    let residents = one(up(0, false, None));
    let evidence = Evidence::default();
    let work =
        || WaitFor::Work { module: "mail-agent".into(), work: "sending counters".into(), billing: true };
    let at = |second| Timestamp::from_second(second).unwrap();
    let limits = WaitLimits { report_after: SignedDuration::from_secs(60), give_up_at: at(600) };
    let steps_at = |wait: Option<Wait>, busy, second| {
        let state = UpdateState::Checked { swap: Swap::sample(), wait };
        let update = Some(UpdateView { state: &state, trial_since: None, evidence: &evidence });
        plan(&View { update, busy, clock: at(second), ..view(&residents, 1) }, &Patience::default())
    };
    assert_eq!(steps_at(None, Some(work()), 0), [Step::AwaitSwap { why: work() }]);
    let wait = Wait::another(None, work(), at(0), limits);
    assert_eq!(steps_at(Some(wait.clone()), Some(work()), 59), []);
    assert_eq!(steps_at(Some(wait.clone()), Some(work()), 60), [Step::ReportWait]);
    let told = Wait { reported: true, ..wait };
    assert_eq!(steps_at(Some(told.clone()), Some(work()), 61), []);
    assert_eq!(steps_at(Some(told.clone()), None, 61), [Step::BeginSwap]);
    assert!(matches!(steps_at(Some(told), Some(work()), 601).as_slice(), [Step::GiveUp { .. }]));
}

#[test]
fn modules_are_tended_while_an_update_is_installed() {
    let residents = one(Resident::new(false));
    let evidence = Evidence::default();
    let update = Some(UpdateView { state: &UpdateState::Received, trial_since: None, evidence: &evidence });
    let view = View { update, installer_occupied: true, version_wanted: true, ..view(&residents, 1) };
    assert_eq!(plan(&view, &Patience::default()), [Step::RunReporter, Step::Start(name("watch"))]);
}

#[test]
fn no_version_is_reported_of_a_release_on_trial() {
    let residents = one(up(0, false, None));
    let evidence = Evidence::default();
    let expected = Expected::default();
    let state = UpdateState::OnTrial { swap: Swap::sample(), expected, since: Timestamp::UNIX_EPOCH };
    let update = Some(UpdateView { state: &state, trial_since: Some(secs(0)), evidence: &evidence });
    let view = View { update, version_wanted: true, ..view(&residents, 1) };
    assert_eq!(plan(&view, &Patience::default()), []);
}

#[test]
fn a_module_that_a_script_stopped_stands_still_until_the_script_lets_it_run() {
    let stopped = BTreeSet::from(["watch".to_owned()]);
    let (running, still) = (one(up(0, false, None)), one(Resident::new(false)));
    let steps_of = |residents, stopped| plan(&View { stopped, ..view(residents, 1) }, &Patience::default());
    assert_eq!(steps_of(&running, &stopped), [Step::Stop(name("watch"))]);
    assert_eq!(steps_of(&still, &stopped), []);
    assert_eq!(steps_of(&still, &NONE_STOPPED), [Step::Start(name("watch"))]);
}

#[test]
fn hangs_count_as_failures_however_long_they_take_to_be_seen() {
    let patience = Patience::default();
    let mut resident = up(0, true, Some(10));
    resident.hung(&patience, secs(131));
    resident.run = Run::Up { pid: 8, since: secs(131), beat: None };
    resident.hung(&patience, secs(300));
    assert_eq!(resident.failures, 2);
    resident.run = Run::Up { pid: 9, since: secs(300), beat: Some(secs(400)) };
    resident.hung(&patience, secs(600));
    assert_eq!(resident.failures, 1, "it had run well for a while");
}

#[test]
fn a_module_that_ends_too_often_is_told_of_once_and_once_more_when_it_is_over() {
    let patience = Patience { alarm_after: 3, ..Patience::default() };
    let mut resident = Resident::new(true);
    let alarms = |resident: &Resident, now| {
        let steps = plan(&view(&one(resident.clone()), now), &patience);
        let speaks = |step: &Step| matches!(step, Step::Alarm { .. } | Step::AllClear(_));
        steps.into_iter().filter(speaks).collect::<Vec<_>>()
    };
    for round in 1..=3 {
        assert_eq!(alarms(&resident, round), []);
        resident.run = Run::Up { pid: 8, since: secs(round), beat: None };
        resident.ended("ended with exit code 1".into(), &patience, secs(round));
    }
    let how = "ended with exit code 1".to_owned();
    assert_eq!(alarms(&resident, 3), [Step::Alarm { module: name("watch"), how }]);
    resident.told = true;
    assert_eq!(alarms(&resident, 4), []);
    resident.run = Run::Up { pid: 9, since: secs(5), beat: Some(secs(3600)) };
    assert_eq!(alarms(&resident, 3602), []);
    resident.gave_sign(9, secs(3603));
    assert_eq!(alarms(&resident, 3603), [Step::AllClear(name("watch"))]);
}

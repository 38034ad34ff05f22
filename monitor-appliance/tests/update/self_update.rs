//! The supervisor updates itself: a new one takes over only after it has run a whole trial; otherwise the old one goes on.

use crate::site::{NEW, OLD, Site, program, resident_module, until};
use mailfmt::package::{PackageDraft, Rules, When};
use monitor_appliance::supervisor::processes::{ROOT_MARK, marked};
use monitor_appliance::supervisor::{End, Patience, run};
use monitor_appliance::update::UpdateState;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The good package with this supervisor.
fn with_supervisor(site: &Site, file: Vec<u8>) -> PackageDraft {
    let mut draft = site.draft();
    draft.modules.push(resident_module("supervisor", file));
    draft
}

/// A supervisor that notes each start and then is the real one.
fn noting() -> Vec<u8> {
    let real = String::from_utf8(program(env!("CARGO_BIN_EXE_supervisor"))).unwrap();
    real.replace("exec", "echo new >> \"$2/supervisors\"\nexec").into_bytes()
}

fn processes(site: &Site) -> Vec<u32> {
    marked(ROOT_MARK, site.root())
}

/// The new supervisor fails its trial for this reason; the old one goes on as the process that it was.
fn undone(site: &Site, file: Vec<u8>, reason: &str) {
    let supervisor = site.supervise();
    site.order(&site.signed(&with_supervisor(site, file)));
    site.wait_until_over();
    site.assert_undone(reason);
    until("the old module again", || site.lines("starts").last().is_some_and(|line| line == OLD));
    until("nothing else", || processes(site).len() == 1);
    assert!(!site.root().join("supervisor").exists(), "a supervisor was taken for proven that is not");
    // The one that was started at first, and nobody else, ends in order.
    supervisor.terminate();
}

#[test]
fn a_new_supervisor_takes_over_with_the_release_that_was_kept() {
    let site = Site::new();
    let supervisor = site.supervise();
    let process = supervisor.pid();
    site.order(&site.signed(&with_supervisor(&site, noting())));
    until("the new supervisor", || site.lines("supervisors") == ["new", "new"]);
    site.assert_installed();
    until("its module", || site.lines("starts") == [OLD, NEW, NEW] && processes(&site).len() == 1);
    let proven = std::fs::read(site.root().join("supervisor")).unwrap();
    assert_eq!(proven, noting(), "what the service manager starts is the one that was proven");
    assert_eq!(process, supervisor.pid());
    supervisor.terminate();
    assert_eq!(processes(&site), [0u32; 0]);
}

#[test]
fn a_supervisor_makes_way_only_after_the_new_one_has_run_the_whole_trial() {
    let site = Site::new();
    let rules = Rules { trial_secs: 3, ..site.draft().rules };
    site.order(&site.signed(&PackageDraft { rules, ..with_supervisor(&site, noting()) }));
    let begun = Instant::now();
    // It ends by itself.
    let end = run(&site.context, &Patience::default(), &AtomicBool::new(false)).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(end, End::Replaced { by: site.root().join("supervisor") });
    assert_eq!(site.lines("starts"), [OLD, NEW]);
    assert_eq!(site.lines("supervisors"), ["new"]);
    site.assert_installed();
}

#[test]
fn a_new_supervisor_that_crashes_at_once_is_taken_back() {
    let script = b"#!/bin/sh\nexit 9\n".to_vec();
    undone(&Site::new(), script, "the new supervisor ended with exit code 9 during its trial");
}

#[test]
fn a_new_supervisor_that_is_no_program_is_taken_back() {
    undone(&Site::new(), b"\x7fELF half a file".to_vec(), "the new supervisor could not be started");
}

#[test]
fn a_new_supervisor_that_ends_as_if_all_were_well_is_taken_back() {
    for code in [0, 20, 21] {
        let script = format!("#!/bin/sh\nexit {code}\n").into_bytes();
        undone(&Site::new(), script, "the new supervisor ended");
    }
}

#[test]
fn a_new_supervisor_that_hangs_is_taken_back() {
    let mut site = Site::new();
    site.set("timers", "heartbeat_limit_secs = 3");
    undone(&site, b"#!/bin/sh\nexec sleep 1000\n".to_vec(), "the new supervisor gave no sign of life");
}

#[test]
fn a_module_that_crashes_under_a_new_supervisor_is_taken_back_with_it() {
    let site = Site::new();
    let mut draft = with_supervisor(&site, noting());
    draft.modules[0].file = b"#!/bin/sh\nexit 9\n".to_vec();
    let supervisor = site.supervise();
    site.order(&site.signed(&draft));
    site.wait_until_over();
    site.assert_undone("module watch ended with exit code 9 during its trial");
    assert_eq!(site.lines("supervisors"), ["new"]);
    supervisor.terminate();
}

#[test]
fn a_power_cut_in_the_trial_of_a_new_supervisor_leads_back_to_the_old_one_which_tries_once_more() {
    let site = Site::new();
    let rules = Rules { trial_secs: 3, ..site.draft().rules };
    let order = site.order(&site.signed(&PackageDraft { rules, ..with_supervisor(&site, noting()) }));
    let supervisor = site.supervise();
    until("the trial", || matches!(site.state(order), UpdateState::OnTrial { .. }));
    supervisor.kill();
    let _supervisor = site.supervise();
    site.wait_until_over();
    site.assert_installed();
    until("the last start", || site.lines("supervisors") == ["new", "new", "new"]);
}

#[test]
fn a_supervisor_that_takes_over_is_no_restart_of_the_appliance() {
    let site = Site::new();
    let mut for_restart = site.draft();
    for_restart.rules.when = When::AtNextRestart;
    for_restart.target = "1.0.03-0".parse().unwrap();
    for_restart.release_counter = 3;
    let waiting = site.order(&site.signed(&for_restart));
    let supervisor = site.supervise();
    until("the wait", || site.state(waiting).waits().is_some());
    site.order(&site.signed(&with_supervisor(&site, noting())));
    until("the new supervisor at work", || site.lines("starts") == [OLD, NEW, NEW]);
    assert!(site.state(waiting).waits().is_some(), "{:?}", site.state(waiting));
    supervisor.terminate();
    let _supervisor = site.supervise();
    until("the end of its wait", || site.state(waiting).waits().is_none());
}

/// The real program as a file of its own; `mark` makes it another one.
fn real(mark: &[u8]) -> Vec<u8> {
    [std::fs::read(env!("CARGO_BIN_EXE_supervisor")).unwrap(), mark.to_vec()].concat()
}

#[test]
fn a_service_manager_that_starts_the_supervisor_on_trial_gets_the_proven_one() {
    let site = Site::with(1, 1, vec![resident_module("supervisor", real(b""))]);
    let mut draft = site.draft();
    draft.rules.trial_secs = 3;
    draft.modules.retain(|module| module.name.as_str() != "supervisor");
    draft.modules.push(resident_module("supervisor", real(b"new")));
    let order = site.order(&site.signed(&draft));
    let supervisor = site.supervise_by(Command::new(site.root().join("current/supervisor")));
    until("the trial", || matches!(site.state(order), UpdateState::OnTrial { .. }));
    assert_eq!(std::fs::read(site.root().join("supervisor")).unwrap(), real(b""));
    supervisor.kill();
    // As an old unit file does, which leads through the link: now that is the one on trial.
    let supervisor = site.supervise_by(Command::new(site.root().join("current/supervisor")));
    let program = || std::fs::read_link(format!("/proc/{}/exe", supervisor.pid())).unwrap();
    until("the proven one", || program() == site.root().join("supervisor"));
    site.wait_until_over();
    site.assert_installed();
    until("the new one", || {
        std::fs::read(site.root().join("supervisor")).unwrap() == real(b"new")
            && program() == site.root().join("supervisor")
    });
    supervisor.terminate();
}

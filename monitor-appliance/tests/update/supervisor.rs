//! The supervisor over real modules.

use crate::site::{NEW, OLD, Site, until};
use mailfmt::Nonce;
use mailfmt::message::Report;
use mailfmt::package::{PackageDraft, Rules};
use monitor_appliance::supervisor::processes::{ROOT_MARK, marked};
use monitor_appliance::supervisor::{End, Patience, SupervisorError, run};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs a supervisor inside the test while `inside` does, and returns how it ended.
pub(crate) fn supervised(
    site: &Site,
    patience: &Patience,
    inside: impl FnOnce(),
) -> Result<End, SupervisorError> {
    /// Also when `inside` panics: the scope waits for the supervisor.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let supervisor = scope.spawn(|| run(&site.context, patience, &stop));
        let stopping = Stop(&stop);
        inside();
        drop(stopping);
        supervisor.join().unwrap()
    })
}

/// The modules that run, by their processes.
fn processes(site: &Site) -> Vec<u32> {
    marked(ROOT_MARK, site.root())
}

/// Replaces the resident module of the first release.
fn with_watch(site: &Site, script: &str) {
    let folder = site.releases().folder(OLD);
    let mut release = site.releases().current().unwrap().1;
    let watch = release.modules.iter_mut().find(|module| module.name.as_str() == "watch").unwrap();
    (watch.sha256, watch.octets) = (mailfmt::Digest::of(script.as_bytes()), script.len() as u64);
    std::fs::write(folder.join("watch"), script).unwrap();
    std::fs::write(folder.join("release.json"), release.write()).unwrap();
}

#[test]
fn an_update_is_installed_and_the_new_module_takes_over() {
    let site = Site::new();
    let supervisor = site.supervise();
    until("the old module", || site.lines("starts") == [OLD]);
    let old = processes(&site);
    site.order(&site.signed(&site.draft()));
    site.wait_until_over();
    site.assert_installed();
    assert_eq!(site.lines("starts"), [OLD, NEW]);
    let new = processes(&site);
    assert_eq!(new.len(), 1);
    assert_ne!(old, new);
    supervisor.terminate();
    assert_eq!(processes(&site), [0u32; 0], "a module outlived its supervisor");
}

#[test]
fn a_new_module_that_crashes_in_its_trial_is_taken_back() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[0].file = b"#!/bin/sh\necho crash >> \"$2/starts\"\nexit 9\n".to_vec();
    let _supervisor = site.supervise();
    site.order(&site.signed(&draft));
    site.wait_until_over();
    site.assert_undone("module watch ended with exit code 9 during its trial");
    until("the old module again", || site.lines("starts").last().is_some_and(|line| line == OLD));
    until("one process", || processes(&site).len() == 1);
    assert!(site.lines("starts").contains(&"crash".to_owned()));
    assert_eq!(site.store().installed_counter().unwrap(), 0);
}

#[test]
fn a_new_module_that_cannot_be_started_is_taken_back() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[0].file = b"#!/no/such/interpreter\n".to_vec();
    let _supervisor = site.supervise();
    site.order(&site.signed(&draft));
    site.wait_until_over();
    site.assert_undone("module watch could not be started");
}

#[test]
fn a_new_module_that_no_longer_gives_signs_of_life_is_taken_back() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    monitor_appliance::update::install(&site.context, order).unwrap();
    // The old one gave one, at some time before.
    site.store().change(|change| change.beat("watch", site.context.now())).unwrap();
    let patience = Patience { hung_after: Duration::from_secs(2), ..Patience::default() };
    let end = supervised(&site, &patience, || site.wait_until_over());
    assert_eq!(end.unwrap(), End::Stopped);
    site.assert_undone("module watch gave no sign of life");
}

#[test]
fn a_module_that_ends_is_started_again() {
    let site = Site::new();
    let _supervisor = site.supervise();
    for round in 1..=2usize {
        until("the module", || site.lines("starts").len() == round && processes(&site).len() == 1);
        for pid in processes(&site) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
    until("the third start", || site.lines("starts").len() == 3);
}

#[test]
fn a_module_that_used_to_give_signs_of_life_and_stopped_is_started_again() {
    let site = Site::new();
    site.store().change(|change| change.beat("watch", site.context.now())).unwrap();
    let patience = Patience { hung_after: Duration::from_millis(500), ..Patience::default() };
    let end = supervised(&site, &patience, || {
        until("the second start", || site.lines("starts").len() >= 2);
    });
    assert_eq!(end.unwrap(), End::Stopped);
}

#[test]
fn a_module_that_ignores_the_request_to_end_is_killed() {
    let site = Site::new();
    with_watch(&site, "#!/bin/sh\ntrap '' TERM\necho on >> \"$2/starts\"\nwhile :; do sleep 0.1; done\n");
    let patience = Patience { stop_grace: Duration::from_millis(300), ..Patience::default() };
    let end = supervised(&site, &patience, || {
        until("the module", || site.lines("starts").len() == 1);
    });
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(processes(&site), [0u32; 0]);
}

#[test]
fn what_a_killed_supervisor_left_running_is_ended_by_the_next() {
    let site = Site::new();
    // Its child has left the group and looks after nobody.
    with_watch(&site, "#!/bin/sh\necho on >> \"$2/starts\"\nsetsid sleep 1000 &\nexec sleep 1000\n");
    let supervisor = site.supervise();
    until("both processes", || processes(&site).len() == 2);
    let old = processes(&site);
    supervisor.kill();
    let _supervisor = site.supervise();
    until("the next two", || site.lines("starts").len() == 2 && processes(&site).len() == 2);
    assert!(processes(&site).iter().all(|pid| !old.contains(pid)));
}

#[test]
fn a_module_ends_by_itself_when_its_supervisor_was_killed() {
    let site = Site::new();
    with_watch(&site, concat!("#!/bin/sh\nexec '", env!("CARGO_BIN_EXE_device-watch"), "' \"$@\"\n"));
    let supervisor = site.supervise();
    until("the module", || processes(&site).len() == 1);
    supervisor.kill();
    until("its end", || processes(&site).is_empty());
}

#[test]
fn two_supervisors_do_not_serve_one_appliance() {
    let site = Site::new();
    let patience = Patience::default();
    let end = supervised(&site, &patience, || {
        until("the module", || site.lines("starts").len() == 1);
        let second = run(&site.context, &patience, &AtomicBool::new(true));
        assert!(matches!(second, Err(SupervisorError::Locked { .. })));
    });
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(site.lines("starts").len(), 1);
}

#[test]
fn a_version_request_is_answered_by_the_running_release() {
    let site = Site::new();
    let _supervisor = site.supervise();
    let nonce = Nonce::from_bytes([3; 16]);
    site.store().change(|change| change.request_version(None, Some(nonce), site.context.now())).unwrap();
    until("the answer", || !site.reports().is_empty());
    let Some(Report::Version(report)) = site.reports().pop() else { panic!("another report") };
    assert_eq!((report.nonce, report.table.software.as_str()), (Some(nonce), OLD));
}

#[test]
fn a_package_may_ask_for_a_restart_of_the_box_and_for_a_report() {
    let site = Site::new();
    let rules = Rules { reboot_after: true, report_by_itself: true, ..site.draft().rules };
    let _supervisor = site.supervise();
    site.order(&site.signed(&PackageDraft { rules, ..site.draft() }));
    site.wait_until_over();
    until("the restart", || site.lines("reboots") == ["reboot"]);
    until("the report", || {
        site.reports()
            .iter()
            .any(|report| matches!(report, Report::Version(report) if report.table.software.as_str() == NEW))
    });
}

#[test]
fn a_swap_waits_for_work_that_must_not_be_disturbed() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    monitor_appliance::update::install(&site.context, order).unwrap();
    let mut store = site.store();
    store
        .change(|change| change.begin_busy("watch", "collecting counters", true, site.context.now()))
        .unwrap();
    let _supervisor = site.supervise();
    until("the old module", || site.lines("starts") == [OLD]);
    store.change(|change| change.request_version(None, None, site.context.now())).unwrap();
    // By the time that is answered, the supervisor has looked several times.
    until("the report", || site.reports().len() == 1);
    assert_eq!(site.running(), OLD);
    store.change(|change| change.end_busy("watch")).unwrap();
    site.wait_until_over();
    assert_eq!(site.running(), NEW);
}

#[test]
fn a_script_may_ask_for_a_restart_of_all_programs_and_of_the_box() {
    let site = Site::new();
    let supervisor = site.supervise();
    until("the old module", || site.lines("starts") == [OLD]);
    let script = "#!/bin/sh\nappliance-ctl ask restart && appliance-ctl ask reboot\n";
    site.order(&site.signed(&PackageDraft { script: script.into(), ..site.draft() }));
    site.wait_until_over();
    site.assert_installed();
    until("the restart of the programs", || site.lines("starts") == [OLD, NEW, NEW]);
    until("the restart of the box", || site.lines("reboots") == ["reboot"]);
    supervisor.terminate();
}

//! `update-install` as a function: scripts, waiting, releases.

use crate::site::{GOOD_SCRIPT, NEW, OLD, Site, until};
use jiff::SignedDuration;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{PackageDraft, Rules, When};
use monitor_appliance::clock::Reading;
use monitor_appliance::store::Hold;
use monitor_appliance::supervisor::processes::{kill_group, spawn_group};
use monitor_appliance::update::{
    OUTPUT_KEPT, Turn, UpdateError, UpdateState, complete, install, install_next,
};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the update waits for.
fn waits_for(site: &Site, order: i64) -> String {
    let state = site.state(order);
    state.waits().unwrap_or_else(|| panic!("{state:?}")).why.to_string()
}

/// Runs the whole update without a supervisor.
fn run(site: &Site, draft: &PackageDraft) -> i64 {
    let order = site.order(&site.signed(draft));
    if install(&site.context, order).unwrap() == Turn::Supervisor {
        complete(&site.context, order).unwrap();
    }
    order
}

fn with_script(site: &Site, script: &str) -> PackageDraft {
    PackageDraft { script: script.into(), script_time_limit_secs: 1, ..site.draft() }
}

#[test]
fn an_update_goes_in_and_unchanged_modules_stay_the_same_files() {
    let site = Site::new();
    run(&site, &site.draft());
    site.assert_installed();
    assert_eq!(site.result().output, "all is well\n");
    let inode = |release: &str, module: &str| {
        std::fs::metadata(site.releases().folder(release).join(module)).unwrap().ino()
    };
    assert_eq!(inode(OLD, "profiles"), inode(NEW, "profiles"));
    assert_ne!(inode(OLD, "watch"), inode(NEW, "watch"));
    site.releases().check(OLD).unwrap();
}

#[test]
fn the_result_answers_the_order() {
    let site = Site::new();
    let order = run(&site, &site.draft());
    let store = site.store();
    let command = store.update_order(order).unwrap().unwrap().command;
    assert_eq!(store.outbox_newest(1).unwrap()[0].in_reply_to, Some(command));
}

#[test]
fn a_script_that_fails_changes_nothing_and_its_output_is_reported() {
    let site = Site::new();
    run(&site, &with_script(&site, "#!/bin/sh\necho no room for it >&2\nexit 3\n"));
    site.assert_undone("the install script failed with exit code 3");
    assert_eq!(site.result().output, "no room for it\n");
}

#[test]
fn a_script_that_hangs_is_killed_at_its_time_limit() {
    let site = Site::new();
    run(&site, &with_script(&site, "#!/bin/sh\nsleep 1000\n"));
    site.assert_undone("the install script ran longer than its 1 s");
}

#[test]
fn a_script_that_cannot_be_started_is_an_undone_update() {
    let site = Site::new();
    run(&site, &with_script(&site, "#!/no/such/interpreter\n"));
    site.assert_undone("the install script cannot be started");
}

#[test]
fn a_script_that_prints_a_megabyte_and_leaves_a_child_behind_does_no_harm() {
    let site = Site::new();
    let script = "#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' x\nsetsid sleep 1000 &\necho the end\n";
    run(&site, &PackageDraft { script: script.into(), ..site.draft() });
    site.assert_installed();
    let output = site.result().output;
    assert!(output.len() == OUTPUT_KEPT && output.ends_with("the end\n"));
}

#[test]
fn a_script_that_changes_a_signed_module_is_not_let_in() {
    let site = Site::new();
    let script = "#!/bin/sh\nrm $RELEASE_DIR/watch; echo other > $RELEASE_DIR/watch\n";
    run(&site, &PackageDraft { script: script.into(), ..site.draft() });
    site.assert_undone("after its script: the file of module watch");
}

#[test]
fn a_script_that_asks_for_it_is_run_again_later() {
    let site = Site::new();
    let script = "#!/bin/sh\ntest -e $STATE_DIR/ready && exit 0\n: > $STATE_DIR/ready\nexit 75\n";
    let order = site.order(&site.signed(&PackageDraft { script: script.into(), ..site.draft() }));
    assert!(matches!(install(&site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    assert_eq!(site.running(), OLD);
    until("the second try", || install(&site.context, order).unwrap() == Turn::Supervisor);
    complete(&site.context, order).unwrap();
    site.assert_installed();
}

#[test]
fn work_that_must_not_be_disturbed_is_waited_for() {
    let site = Site::new();
    let mut store = site.store();
    let begin = |store: &mut monitor_appliance::Store| {
        store.change(|change| change.begin_busy("mail-agent", "sending counters", true, site.context.now()))
    };
    begin(&mut store).unwrap();
    let order = site.order(&site.signed(&site.draft()));
    assert!(matches!(install(&site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    assert_eq!(waits_for(&site, order), "module mail-agent is busy: sending counters");
    assert_eq!(site.results(), []);
    assert!(!site.releases().folder(NEW).exists());

    store.change(|change| change.end_busy("mail-agent")).unwrap();
    until("the swap", || install(&site.context, order).unwrap() == Turn::Supervisor);
    complete(&site.context, order).unwrap();
    site.assert_installed();
}

#[test]
fn a_running_on_demand_module_is_waited_for() {
    let site = Site::new();
    let refresh = site.releases().folder(OLD).join("refresh");
    let mut child = spawn_group(Command::new(&refresh).stdin(Stdio::piped())).unwrap();
    let order = site.order(&site.signed(&site.draft()));
    assert!(matches!(install(&site.context, order).unwrap(), Turn::Installer { at: Some(_) }));
    assert_eq!(waits_for(&site, order), "module refresh runs");
    kill_group(child.id());
    child.wait().unwrap();
    until("the swap", || install(&site.context, order).unwrap() == Turn::Supervisor);
}

#[test]
fn a_wait_longer_than_its_limit_is_reported_once_and_goes_on() {
    let site = Site::new();
    let mut store = site.store();
    store
        .change(|change| change.begin_busy("mail-agent", "sending counters", true, site.context.now()))
        .unwrap();
    let rules = Rules { wait_limit_secs: 0, ..site.draft().rules };
    let order = site.order(&site.signed(&PackageDraft { rules, ..site.draft() }));
    let tries = || match site.state(order) {
        UpdateState::Waiting { wait, .. } => wait.tries,
        _ => 0,
    };
    until("the third look", || {
        install(&site.context, order).unwrap();
        tries() >= 3
    });
    let reason = "module mail-agent is busy: sending counters".to_owned();
    assert_eq!(site.result().outcome, UpdateOutcome::Waiting { reason });

    store.change(|change| change.end_busy("mail-agent")).unwrap();
    until("the swap", || install(&site.context, order).unwrap() == Turn::Supervisor);
    complete(&site.context, order).unwrap();
    let outcomes: Vec<_> = site.results().into_iter().map(|result| result.outcome).collect();
    assert!(matches!(outcomes.as_slice(), [UpdateOutcome::Waiting { .. }, UpdateOutcome::Installed]));
}

#[test]
fn work_of_a_process_that_is_gone_blocks_nothing() {
    let site = Site::new();
    // The row of this process, taken over by a process that has ended.
    let mut gone = Command::new("/bin/true").spawn().unwrap();
    gone.wait().unwrap();
    site.store()
        .change(|change| change.begin_busy("mail-agent", "sending counters", true, site.context.now()))
        .unwrap();
    let database = site.context.layout.store_file();
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute("UPDATE busy SET pid = ?1", (gone.id(),)).unwrap();
    drop(connection);
    run(&site, &site.draft());
    site.assert_installed();
}

#[test]
fn the_version_that_runs_already_is_reported_as_installed_without_running_its_script() {
    let site = Site::new();
    run(&site, &site.draft());
    assert_eq!(site.lines("scripts").len(), 1);
    run(&site, &site.draft());
    assert_eq!(site.lines("scripts").len(), 1);
    let outcomes: Vec<_> = site.results().into_iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [UpdateOutcome::Installed, UpdateOutcome::Installed]);
}

#[test]
fn a_package_for_the_next_restart_is_only_checked_before_it() {
    let site = Site::new();
    let rules = Rules { when: When::AtNextRestart, ..site.draft().rules };
    let order = site.order(&site.signed(&PackageDraft { rules, ..site.draft() }));
    assert_eq!(install(&site.context, order).unwrap(), Turn::NextRestart);
    assert_eq!(install_next(&site.context).unwrap(), None);
    assert_eq!(site.running(), OLD);
    let reason = "the next restart of the appliance".to_owned();
    assert_eq!(site.result().outcome, UpdateOutcome::Waiting { reason });
    let _supervisor = site.supervise();
    site.wait_until_over();
    assert_eq!(site.results().pop().unwrap().outcome, UpdateOutcome::Installed);
    assert_eq!((site.results().len(), site.running().as_str()), (2, NEW));
}

#[test]
fn what_a_package_asks_for_afterwards_is_done() {
    let site = Site::new();
    let cache = site.root().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("shared"), b"stale").unwrap();
    let rules = Rules { drop_shared_data: true, report_by_itself: true, ..site.draft().rules };
    run(&site, &PackageDraft { rules, ..site.draft() });
    assert!(!cache.join("shared").exists());
    let wanted = site.store().version_requests().unwrap();
    assert_eq!((wanted.len(), wanted[0].nonce), (1, None));
}

#[test]
fn an_installation_whose_answer_has_a_slot_is_told_by_its_version_report_alone_and_then() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    let mut store = site.store();
    let (command, made, reading) =
        (store.update_order(order).unwrap().unwrap().command, site.context.now(), site.context.reading());
    let wait = Duration::from_secs(3_600);
    let hold = Hold { command, made, at: reading.uptime(), wait, patience: wait };
    store.change(|change| change.hold_answer(&hold)).unwrap();
    let _supervisor = site.supervise();
    site.wait_until_over();
    assert_eq!(site.running(), NEW);
    assert!(site.results().iter().all(|result| result.outcome != UpdateOutcome::Installed));
    assert_eq!(store.version_requests().unwrap().len(), 1);
    let due = |passed: Duration| {
        let reading = Reading { since_boot: reading.since_boot + passed, ..reading.clone() };
        store.version_requests_due(made, &reading).unwrap().len()
    };
    assert_eq!((due(wait - Duration::from_secs(60)), due(wait)), (0, 1));
}

#[test]
fn two_installers_do_not_work_at_once() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    std::fs::create_dir_all(site.context.layout.updates_dir()).unwrap();
    let lock = std::fs::File::create(site.context.layout.updates_dir().join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(install(&site.context, order), Err(UpdateError::Locked { .. })));
    drop(lock);
    assert_eq!(install(&site.context, order).unwrap(), Turn::Supervisor);
}

#[test]
fn a_package_that_expires_while_it_waits_is_refused() {
    let site = Site::new();
    let mut store = site.store();
    store
        .change(|change| change.begin_busy("mail-agent", "sending counters", true, site.context.now()))
        .unwrap();
    let expires = site.context.now() + SignedDuration::from_secs(1);
    let draft = PackageDraft { expires, script: GOOD_SCRIPT.into(), ..site.draft() };
    let order = site.order(&site.signed(&draft));
    install(&site.context, order).unwrap();
    until("the expiry", || site.context.now() > expires);
    store.change(|change| change.end_busy("mail-agent")).unwrap();
    until("the refusal", || install(&site.context, order).unwrap() == Turn::Nobody);
    assert!(matches!(site.result().outcome, UpdateOutcome::Refused { .. }));
    assert_eq!(site.lines("scripts").len(), 0);
}

#[test]
fn a_wait_has_an_end() {
    let mut site = Site::new();
    site.set("update", "wait_max_secs = 1");
    let mut store = site.store();
    store
        .change(|change| change.begin_busy("mail-agent", "sending counters", true, site.context.now()))
        .unwrap();
    let order = site.order(&site.signed(&site.draft()));
    until("the end", || install(&site.context, order).unwrap() == Turn::Nobody);
    let UpdateOutcome::Refused { reason } = site.last_result().outcome else { panic!("not refused") };
    assert!(reason.starts_with("given up after waiting since"), "{reason}");
    assert!(reason.ends_with("module mail-agent is busy: sending counters"), "{reason}");
}

#[test]
fn an_update_that_would_fill_the_disk_is_not_begun() {
    let mut site = Site::new();
    site.set("update", &format!("disk_reserve_octets = {}", i64::MAX));
    let order = site.order(&site.signed(&site.draft()));
    assert_eq!(install(&site.context, order).unwrap(), Turn::Nobody);
    let UpdateOutcome::Refused { reason } = site.result().outcome else { panic!("not refused") };
    assert!(reason.starts_with("the new release needs"), "{reason}");
    assert_eq!(site.running(), OLD);
    assert!(!site.releases().folder("1.0.02-0.new").exists());
}

#[test]
fn what_crashes_and_old_updates_left_behind_is_cleared_away_and_what_is_needed_stays() {
    let mut site = Site::new();
    site.set("update", "releases_kept = 1");
    for (version, counter) in [(NEW, 2), ("1.0.03-0", 3), ("1.0.04-0", 4)] {
        let target = mailfmt::SoftwareVersion::new(version).unwrap();
        run(&site, &PackageDraft { target, release_counter: counter, ..site.draft() });
    }
    let target = mailfmt::SoftwareVersion::new("1.0.05-0").unwrap();
    let waiting = site.order(&site.signed(&PackageDraft { target, release_counter: 5, ..site.draft() }));
    install(&site.context, waiting).unwrap();
    let package =
        site.context.layout.package_file(&site.store().update_order(waiting).unwrap().unwrap().package);
    std::fs::create_dir(site.releases().folder("1.0.09-0.new")).unwrap();
    let tomorrow = std::time::SystemTime::from(site.context.now() + SignedDuration::from_hours(25));
    monitor_appliance::update::tidy(&site.context, &site.store(), tomorrow);
    let names = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&site.root().join("releases")), ["1.0.03-0", "1.0.04-0", "1.0.05-0"]);
    assert_eq!(names(&site.context.layout.packages_dir()), [package.file_name().unwrap().to_str().unwrap()]);
    let working = names(&site.context.layout.updates_dir());
    assert_eq!(working.iter().filter(|name| name.ends_with(".aside")).count(), 1, "{working:?}");
}

#[test]
fn the_pause_before_another_try_is_the_packages() {
    let mut site = Site::new();
    site.set("update", "retry_max_secs = 7");
    let rules = Rules { retry_secs: Some(600), ..site.draft().rules };
    let draft = PackageDraft { rules, ..with_script(&site, "#!/bin/sh\nexit 75\n") };
    let order = site.order(&site.signed(&draft));
    let before = site.context.now();
    let Turn::Installer { at: Some(at) } = install(&site.context, order).unwrap() else { panic!("no wait") };
    assert!(at >= before + SignedDuration::from_secs(600));
    assert_eq!(waits_for(&site, order), "the install script asks to be run again later");
}

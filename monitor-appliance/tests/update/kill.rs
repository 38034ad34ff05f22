//! Kills at every stored state, and at moments that nobody chose: afterwards the old or the new release runs, whole,
//! and the result was reported exactly once.

use crate::site::{NEW, OLD, Site, program, resident_module, until};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::PackageDraft;
use monitor_appliance::update::{
    Expected, STARTS_MAX, Turn, UpdateEvent, UpdateState, advance, install, swap_back, swap_in, work_once,
};
use std::time::Duration;

/// Moves the order on as the supervisor does, without doing what the state asks for.
fn store_only(site: &Site, order: i64, event: UpdateEvent) -> UpdateState {
    let mut store = site.store();
    let row = store.update_order(order).unwrap().unwrap();
    advance(&site.context, &mut store, &row, event, None).unwrap()
}

fn swap_begins() -> UpdateEvent {
    UpdateEvent::SwapBegins { expected: Expected::default() }
}

fn ready_to_swap(site: &Site) -> i64 {
    let order = site.order(&site.signed(&site.draft()));
    assert_eq!(install(&site.context, order).unwrap(), Turn::Supervisor);
    order
}

fn swap_of(state: &UpdateState) -> &monitor_appliance::update::Swap {
    match state {
        UpdateState::Swapped { swap, .. }
        | UpdateState::OnTrial { swap, .. }
        | UpdateState::RollingBack { swap, .. } => swap,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_installer_killed_after_any_step_goes_on_from_there() {
    for steps in 0.. {
        let site = Site::new();
        let order = site.order(&site.signed(&site.draft()));
        let mut turn = Turn::Installer { at: None };
        for _ in 0..steps {
            turn = work_once(&site.context, order).unwrap().turn();
        }
        let supervisor = site.supervise();
        site.wait_until_over();
        site.assert_installed();
        drop(supervisor);
        if turn == Turn::Supervisor {
            assert!(steps >= 3, "the installer took only {steps} steps");
            break;
        }
    }
}

#[test]
fn half_done_work_of_a_killed_installer_is_done_again() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    work_once(&site.context, order).unwrap();
    // Killed in the middle of the build, and of an earlier one between its rename and its next state.
    for half in ["1.0.02-0.new", "1.0.02-0"] {
        std::fs::create_dir(site.releases().folder(half)).unwrap();
        std::fs::write(site.releases().folder(half).join("watch"), b"half").unwrap();
    }
    // Killed in the middle of writing the script.
    let package = site.store().update_order(order).unwrap().unwrap().package;
    std::fs::create_dir_all(site.context.layout.update_dir(&package)).unwrap();
    std::fs::write(site.context.layout.update_dir(&package).join("install.sh"), b"#!/bin/").unwrap();
    let _supervisor = site.supervise();
    site.wait_until_over();
    site.assert_installed();
}

#[test]
fn a_supervisor_killed_around_the_swap_goes_on_with_it() {
    type Prepare = fn(&Site, i64);
    let moments: [(&str, Prepare); 4] = [
        ("before the swap", |_, _| {}),
        ("with the swap stored", |site, order| {
            store_only(site, order, swap_begins());
        }),
        ("with the link changed", |site, order| {
            let state = store_only(site, order, swap_begins());
            swap_in(&site.context, swap_of(&state)).unwrap();
        }),
        ("on trial", |site, order| {
            let state = store_only(site, order, swap_begins());
            swap_in(&site.context, swap_of(&state)).unwrap();
            store_only(site, order, UpdateEvent::TrialBegins { now: site.context.now() });
        }),
    ];
    for (moment, prepare) in moments {
        let site = Site::new();
        let order = ready_to_swap(&site);
        prepare(&site, order);
        let _supervisor = site.supervise();
        site.wait_until_over();
        assert_eq!(site.running(), NEW, "{moment}");
        site.assert_installed();
        assert_eq!(site.lines("starts").last().map(String::as_str), Some(NEW), "{moment}");
    }
}

#[test]
fn a_supervisor_killed_while_it_takes_a_release_back_goes_on_with_it() {
    for link_changed in [false, true] {
        let site = Site::new();
        let order = ready_to_swap(&site);
        let state = store_only(&site, order, swap_begins());
        swap_in(&site.context, swap_of(&state)).unwrap();
        let state = store_only(&site, order, UpdateEvent::Failed { reason: "it crashed".into() });
        if link_changed {
            swap_back(&site.context, order, swap_of(&state)).unwrap();
        }
        let _supervisor = site.supervise();
        site.wait_until_over();
        site.assert_undone("it crashed");
        until("the old module", || site.lines("starts") == [OLD]);
    }
}

#[test]
fn a_release_whose_trial_ends_the_supervisor_each_time_is_taken_back() {
    let site = Site::new();
    let order = ready_to_swap(&site);
    let state = store_only(&site, order, swap_begins());
    swap_in(&site.context, swap_of(&state)).unwrap();
    store_only(&site, order, UpdateEvent::TrialBegins { now: site.context.now() });
    for _ in 0..STARTS_MAX {
        site.store().change(|change| change.begin_update_work(order)).unwrap();
    }
    let _supervisor = site.supervise();
    site.wait_until_over();
    site.assert_undone("the supervisor was interrupted");
}

#[test]
fn an_installation_that_ends_its_installer_each_time_is_given_up() {
    let site = Site::new();
    let order = site.order(&site.signed(&site.draft()));
    for _ in 0..STARTS_MAX {
        site.store().change(|change| change.begin_update_work(order)).unwrap();
    }
    assert_eq!(install(&site.context, order).unwrap(), Turn::Nobody);
    assert!(
        matches!(site.result().outcome, UpdateOutcome::Refused { reason } if reason.contains("interrupted"))
    );
}

/// Starts and kills supervisors after ever longer times while an update goes on, then lets one finish.
fn killed_at_many_moments(site: &Site, draft: &PackageDraft) {
    site.order(&site.signed(draft));
    for round in 1..=14u64 {
        let supervisor = site.supervise();
        std::thread::sleep(Duration::from_millis(round * 23));
        supervisor.kill();
        // Whatever runs now is whole.
        site.running();
    }
    let _supervisor = site.supervise();
    site.wait_until_over();
}

#[test]
fn a_good_update_killed_at_many_moments_ends_whole_and_told_once() {
    let site = Site::new();
    killed_at_many_moments(&site, &site.draft());
    match site.result().outcome {
        UpdateOutcome::Installed => assert_eq!(site.running(), NEW),
        UpdateOutcome::Refused { reason } | UpdateOutcome::Undone { reason } => {
            assert!(reason.contains("interrupted"), "{reason}");
            assert_eq!(site.running(), OLD);
        }
        other @ UpdateOutcome::Waiting { .. } => panic!("{other:?}"),
    }
}

#[test]
fn a_bad_update_killed_at_many_moments_leaves_the_old_release_and_is_told_once() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[0].file = b"#!/bin/sh\nexit 9\n".to_vec();
    killed_at_many_moments(&site, &draft);
    assert_eq!(site.running(), OLD);
    assert!(matches!(site.result().outcome, UpdateOutcome::Undone { .. } | UpdateOutcome::Refused { .. }));
}

/// Lets the store take `changes` more changes of updates and then no more, by triggers of the test's own. Each
/// transaction about an update changes its state, or how often its work was begun, exactly once.
fn allow_changes(site: &Site, changes: u32) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(site.context.layout.store_file()).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    let setup = format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE allowed (left INTEGER NOT NULL);
         INSERT INTO allowed VALUES ({changes});
         CREATE TRIGGER stop BEFORE UPDATE OF state, starts ON update_order
             WHEN (SELECT left FROM allowed) <= 0
             BEGIN SELECT RAISE(ABORT, 'no more changes in this test'); END;
         CREATE TRIGGER count AFTER UPDATE OF state, starts ON update_order
             BEGIN UPDATE allowed SET left = left - 1; END;
         COMMIT;"
    );
    connection.execute_batch(&setup).unwrap();
    connection
}

/// What kind of package is installed while the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With a module that runs.
    Good,
    /// With one that crashes in its trial.
    Bad,
    /// With another supervisor.
    Supervisor,
}

/// Stops an update between its `changes`-th durable change and the next by SIGKILL, then lets it end. Returns
/// whether there was a next change to be stopped before.
fn killed_before_change(changes: u32, kind: Kind) -> bool {
    let site = Site::new();
    let mut draft = site.draft();
    match kind {
        Kind::Good => {}
        Kind::Bad => draft.modules[0].file = b"#!/bin/sh\nexit 9\n".to_vec(),
        Kind::Supervisor => {
            let file = program(env!("CARGO_BIN_EXE_supervisor"));
            draft.modules.push(resident_module("supervisor", file));
        }
    }
    site.order(&site.signed(&draft));
    let connection = allow_changes(&site, changes);
    let left = || connection.query_row("SELECT left FROM allowed", (), |row| row.get::<_, i64>(0)).unwrap();
    let supervisor = site.supervise();
    until("the last change", || left() == 0 || site.store().update_orders_open().unwrap().is_empty());
    let stopped = !site.store().update_orders_open().unwrap().is_empty();
    if changes % 2 == 1 {
        // As far as it comes without that change; every other time, wherever it is.
        std::thread::sleep(Duration::from_millis(700));
    }
    supervisor.kill();
    assert!([OLD, NEW].contains(&site.running().as_str()));
    connection
        .execute_batch("BEGIN IMMEDIATE; DROP TRIGGER stop; DROP TRIGGER count; DROP TABLE allowed; COMMIT;")
        .unwrap();
    let _supervisor = site.supervise();
    site.wait_until_over();
    match kind {
        Kind::Good => site.assert_installed(),
        Kind::Bad => site.assert_undone("module watch ended with exit code 9"),
        Kind::Supervisor => {
            site.assert_installed();
            let proven = || std::fs::read(site.root().join("supervisor")).unwrap_or_default();
            until("the new supervisor", || proven() == program(env!("CARGO_BIN_EXE_supervisor")));
        }
    }
    stopped
}

/// Every place between two durable changes, some at a time.
fn killed_before_every_change(kind: Kind) {
    for first in (0..).step_by(4) {
        let stopped: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (first..first + 4)
                .map(|changes| scope.spawn(move || killed_before_change(changes, kind)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        if stopped.contains(&false) {
            assert!(first >= 8, "an update took fewer than 8 changes");
            break;
        }
    }
}

#[test]
fn a_good_update_killed_before_any_of_its_changes_is_installed_in_the_end_and_told_once() {
    killed_before_every_change(Kind::Good);
}

#[test]
fn a_bad_update_killed_before_any_of_its_changes_is_taken_back_in_the_end_and_told_once() {
    killed_before_every_change(Kind::Bad);
}

#[test]
fn a_new_supervisor_whose_update_is_killed_before_any_of_its_changes_takes_over_in_the_end() {
    killed_before_every_change(Kind::Supervisor);
}

//! A supervisor that passes its trial and fails afterwards: what the unit file tells the service manager to do leads back
//! to the one before.

use crate::site::{NEW, OLD, Site, Supervisor, program, resident_module, until};
use mailfmt::message::Report;
use monitor_appliance::supervisor::processes::exists;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const UNIT: &str = include_str!("../../../scripts/systemd/supervisor.service");
/// Failures after which the next start is that of the supervisor before: one in the place of the old one, five starts.
const FAILURES: usize = 6;

/// The real program as a file of its own; `mark` makes it another one.
fn real(mark: &[u8]) -> Vec<u8> {
    [std::fs::read(env!("CARGO_BIN_EXE_supervisor")).unwrap(), mark.to_vec()].concat()
}

/// One that runs only on trial, or until it has made way for itself.
fn fails_afterwards() -> Vec<u8> {
    let real = String::from_utf8(program(env!("CARGO_BIN_EXE_supervisor"))).unwrap();
    let fails = "case \"$*\" in *--on-trial*) ;; *) echo failed >> \"$2/failures\"; exit 9;; esac\nexec";
    real.replace("exec", fails).into_bytes()
}

/// Does what the unit file wants to have done before each start, on this root.
fn before_start(site: &Site) {
    let lines = UNIT.replace("\\\n", " ");
    let line = lines.lines().find_map(|line| line.strip_prefix("ExecStartPre=-/bin/sh -c '")).unwrap();
    let script = line.trim_end().strip_suffix('\'').unwrap().replace("$$", "$");
    let script = script.replace("/var/lib/monitor-appliance", &site.root().display().to_string());
    assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
}

fn start(site: &Site) -> Supervisor {
    before_start(site);
    site.supervise_by(Command::new(site.root().join("supervisor")))
}

fn proven(site: &Site) -> Vec<u8> {
    std::fs::read(site.root().join("supervisor")).unwrap()
}

/// Whether each alarm about the supervisor said that it was over.
fn alarms(site: &Site) -> Vec<bool> {
    let alarms = site.reports().into_iter().filter_map(|report| match report {
        Report::Alarm(alarm) if alarm.alarm == "supervisor-before" => Some(alarm.over),
        _ => None,
    });
    alarms.collect()
}

/// A site whose supervisor is started by the service manager, and a package with another one.
fn update_supervisor(site: &Site, version: &str, counter: u64, file: Vec<u8>) {
    let mut draft = site.draft();
    draft.target = version.parse().unwrap();
    draft.release_counter = counter;
    draft.modules.retain(|module| module.name.as_str() != "supervisor");
    draft.modules.push(resident_module("supervisor", file));
    site.order(&site.signed(&draft));
}

fn site() -> Site {
    let site = Site::with(1, 1, vec![resident_module("supervisor", real(b""))]);
    site.releases().prove_supervisor().unwrap();
    site
}

#[test]
fn a_supervisor_that_fails_after_its_trial_gives_way_to_the_one_before_until_another_comes() {
    let site = site();
    let supervisor = start(&site);
    update_supervisor(&site, NEW, 2, fails_afterwards());
    // It makes way for the new one, which fails at once: the process ends.
    until("the end of the process", || site.lines("failures").len() == 1);
    drop(supervisor);
    assert_eq!((site.running().as_str(), proven(&site)), (NEW, fails_afterwards()));
    for failures in 2..=FAILURES {
        let failing = start(&site);
        until("its failure", || site.lines("failures").len() == failures);
        drop(failing);
    }

    let supervisor = start(&site);
    until("its module", || site.lines("starts") == [OLD, NEW, NEW]);
    until("the alarm", || alarms(&site) == [false]);
    assert_eq!(proven(&site), real(b""), "the one before is back");
    assert_eq!((site.running().as_str(), site.lines("failures").len()), (NEW, FAILURES));
    supervisor.terminate();
    // It stays, and that is told once.
    let supervisor = start(&site);
    until("its module again", || site.lines("starts").len() >= 4);
    assert_eq!((proven(&site), alarms(&site)), (real(b""), vec![false]));

    update_supervisor(&site, "1.0.03-0", 3, real(b"better"));
    until("the better one", || proven(&site) == real(b"better"));
    until("the end of the alarm", || alarms(&site) == [false, true]);
    assert!(!site.root().join("supervisor.rejected").exists());
    let process = supervisor.pid();
    supervisor.terminate();
    assert!(!exists(process));
}

#[test]
fn starts_that_went_well_or_were_ended_on_purpose_do_not_count() {
    let site = site();
    std::fs::write(site.root().join("supervisor.before"), b"#!/bin/sh\nexit 9\n").unwrap();
    for starts in 1..=3 {
        let supervisor = start(&site);
        until("its module", || site.lines("starts").len() == starts);
        assert_eq!(site.lines("supervisor.starts").len(), 1);
        supervisor.terminate();
        assert_eq!(site.lines("supervisor.starts").len(), 0);
    }
    assert_eq!((proven(&site), site.running().as_str()), (real(b""), OLD));
}

#[test]
fn power_cuts_count_less_than_failures_of_one_boot() {
    let site = site();
    for _ in 0..100 {
        before_start(&site);
    }
    assert_eq!(site.lines("supervisor.starts").len(), 20, "the note does not fill the disk");
    assert_eq!(proven(&site), real(b""), "there is none to go back to");
    std::fs::write(site.root().join("supervisor.before"), b"before").unwrap();
    std::fs::set_permissions(site.root().join("supervisor.before"), Permissions::from_mode(0o755)).unwrap();
    let note = |starts: usize| {
        std::fs::write(site.root().join("supervisor.starts"), "another boot\n".repeat(starts)).unwrap();
        before_start(&site);
    };
    note(9);
    assert_eq!(proven(&site), real(b""));
    note(10);
    assert_eq!(proven(&site), b"before");
    assert_eq!(std::fs::read(site.releases().rejected_supervisor()).unwrap(), real(b""));
}

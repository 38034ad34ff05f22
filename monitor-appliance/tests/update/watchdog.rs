//! Who watches the modules, and who watches the watcher.

use crate::site::{Site, until};
use crate::supervisor::supervised;
use mailfmt::message::Report;
use mailfmt::message::report::AlarmReport;
use monitor_appliance::supervisor::{End, Patience};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

fn alarms(site: &Site) -> Vec<AlarmReport> {
    let alarms = site.reports().into_iter().filter_map(|report| match report {
        Report::Alarm(alarm) => Some(alarm),
        _ => None,
    });
    alarms.collect()
}

/// Replaces the resident module of the release that runs.
fn with_watch(site: &Site, script: &str) {
    std::fs::write(site.root().join("current/watch"), script).unwrap();
}

#[test]
fn the_service_manager_hears_when_it_is_ready_that_it_lives_and_when_it_ends() {
    let site = Site::new();
    let socket = site.root().join("manager");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000");
    let supervisor = site.supervise_by(command);
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut notice = [0; 1024];
        while !heard.contains(what) {
            let count = manager.recv(&mut notice).unwrap();
            heard.push_str(&String::from_utf8_lossy(&notice[..count]));
        }
        std::mem::take(&mut heard)
    };
    assert!(hear("READY=1").contains("STATUS=watching"));
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    supervisor.terminate();
    hear("STOPPING=1");
}

#[test]
fn the_hardware_watchdog_is_fed_and_switched_off_only_at_an_end_that_was_asked_for() {
    for asked in [true, false] {
        let mut site = Site::new();
        let device = site.root().join("watchdog");
        std::fs::write(&device, "").unwrap();
        site.set("watchdog", &format!("device = {:?}", device.display().to_string()));
        let supervisor = site.supervise();
        let fed = || std::fs::read_to_string(&device).unwrap();
        until("two feedings", || fed().len() >= 2);
        if asked {
            supervisor.terminate();
        } else {
            supervisor.kill();
        }
        assert_eq!(fed().ends_with('V'), asked, "{}", fed());
        assert!(fed().trim_end_matches('V').bytes().all(|octet| octet == b'1'));
    }
}

#[test]
fn a_module_that_crashes_again_and_again_is_told_to_the_center_once() {
    let mut site = Site::new();
    site.set("watchdog", "alarm_after = 3");
    with_watch(&site, "#!/bin/sh\necho on >> \"$2/starts\"\nexit 5\n");
    let _supervisor = site.supervise();
    until("the alarm", || !alarms(&site).is_empty());
    let starts = site.lines("starts").len();
    until("one more start", || site.lines("starts").len() > starts);
    let alarms = alarms(&site);
    assert_eq!((alarms.len(), alarms[0].alarm.as_str(), alarms[0].over), (1, "module-fails:watch", false));
    assert!(alarms[0].description.contains("failed 3 times"), "{}", alarms[0].description);
    assert!(alarms[0].description.contains("ended with exit code 5"), "{}", alarms[0].description);
}

#[test]
fn a_module_that_hangs_again_and_again_is_started_ever_later_and_told_to_the_center() {
    let site = Site::new();
    site.store().change(|change| change.beat("watch", site.context.now())).unwrap();
    let patience = Patience {
        hung_after: Duration::from_millis(300),
        pause_first: Duration::from_millis(200),
        alarm_after: 3,
        ..Patience::default()
    };
    let end = supervised(&site, &patience, || until("the alarm", || !alarms(&site).is_empty()));
    assert_eq!(end.unwrap(), End::Stopped);
    assert!(alarms(&site)[0].description.contains("hung and was ended"));
}

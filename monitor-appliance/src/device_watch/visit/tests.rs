use super::*;
use crate::device::{DeviceIdentity, Reading};
use crate::store::Store;
use mailfmt::MessageId;

const ADDRESS: &str = "192.0.2.1";

fn at(secs: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

fn alert(code: i32) -> crate::device::Alert {
    serde_json::from_value(serde_json::json!({
        "device-index": 1, "index": 1, "severity": "critical", "group": "media-path", "group-index": 1, "location": 1,
        "code": code, "description": "paper jam",
    }))
    .unwrap()
}

fn healthy() -> Reading {
    Reading {
        identity: DeviceIdentity {
            vendor: Some("Maker".into()),
            model: Some("One".into()),
            serial: Some("A1".into()),
            ..DeviceIdentity::default()
        },
        ..Reading::default()
    }
}

fn jammed() -> Reading {
    Reading { alerts: vec![alert(8)], ..healthy() }
}

fn fresh() -> Memory {
    Memory::restore(ADDRESS, None, None)
}

fn visit(memory: &mut Memory, reading: &Reading, now: Timestamp) -> Told {
    let due = memory.due(&Timers::default(), now);
    memory.take(due, Observation::Answered(reading), "", now)
}

#[test]
fn the_first_visit_asks_for_everything_and_the_next_ones_only_for_faults_until_counters_are_due() {
    let timers = Timers::default();
    let mut memory = fresh();
    assert_eq!(memory.due(&timers, at(0)), Due::Everything);
    assert!(visit(&mut memory, &healthy(), at(0)).reading.is_some());
    assert_eq!(memory.due(&timers, at(60)), Due::Faults);
    assert!(visit(&mut memory, &healthy(), at(60)).reading.is_none());
    assert_eq!(memory.due(&timers, at(3600)), Due::Everything);
}

#[test]
fn faults_are_looked_for_every_minute_and_counters_not_a_second_late() {
    let timers = Timers::default();
    let mut memory = fresh();
    let (mut now, mut full, mut looks) = (at(0), Vec::new(), Vec::new());
    while now <= at(3 * 3600) {
        let due = memory.due(&timers, now);
        let secs = now.duration_since(at(0)).as_secs();
        if due == Due::Everything {
            full.push(secs);
        }
        looks.push(secs);
        // The visit itself takes seven seconds.
        now = now.saturating_add(SignedDuration::from_secs(7)).unwrap();
        let _ = memory.take(due, Observation::Answered(&healthy()), "", now);
        now = next_visit(&memory, &timers, now);
    }
    assert!(looks.array_windows().all(|[left, right]| right - left <= 67), "{looks:?}");
    assert_eq!(full, [0, 3607, 7214]);
}

#[test]
fn a_device_that_was_off_when_counters_were_due_is_asked_again_a_minute_later() {
    let timers = Timers::default();
    let mut memory = fresh();
    let _ = memory.take(Due::Everything, Observation::Missed, "no answer", at(0));
    assert_eq!(next_visit(&memory, &timers, at(6)), at(60));
    assert_eq!(memory.due(&timers, at(60)), Due::Everything);
}

#[test]
fn a_device_that_stays_silent_is_asked_less_and_less_often_but_never_forgotten() {
    let timers = Timers::default();
    let mut memory = fresh();
    let (mut now, mut pauses) = (at(0), Vec::new());
    for _ in 0..12 {
        let _ = memory.take(Due::Everything, Observation::Missed, "no answer", now);
        let next = next_visit(&memory, &timers, now);
        pauses.push(next.duration_since(now).as_secs());
        now = next;
    }
    assert_eq!(pauses[..6], [60, 60, 60, 120, 240, 480]);
    assert!(pauses[6..].iter().all(|pause| *pause == 900), "{pauses:?}");
    let _ = memory.take(Due::Everything, Observation::Answered(&healthy()), "", now);
    assert_eq!(next_visit(&memory, &timers, now).duration_since(now).as_secs(), 60, "it is back");
}

#[test]
fn a_visit_that_is_put_off_says_nothing_of_the_device() {
    let timers = Timers::default();
    let mut memory = fresh();
    let _ = memory.take(Due::Everything, Observation::Answered(&healthy()), "", at(0));
    let before = memory.clone();
    memory.put_off(at(60));
    assert!(memory.answering && !memory.is_silent());
    assert_eq!(next_visit(&memory, &timers, at(60)), at(120));
    assert_eq!(memory.due(&timers, at(120)), before.due(&timers, at(120)));
}

#[test]
fn half_a_reading_does_not_replace_a_whole_one_and_is_asked_for_again() {
    let timers = Timers::default();
    let mut memory = fresh();
    let _ = visit(&mut memory, &healthy(), at(0));
    let failed = serde_json::json!([{ "part": "markers", "reason": "no answer" }]);
    let half = Reading { incomplete: serde_json::from_value(failed).unwrap(), ..healthy() };
    assert!(visit(&mut memory, &half, at(3600)).reading.is_none());
    assert_eq!(memory.due(&timers, at(3660)), Due::Everything);
    assert!(visit(&mut memory, &healthy(), at(3660)).reading.is_some());
    // Where there is nothing better, half a reading is better than none.
    assert!(visit(&mut fresh(), &half, at(0)).reading.is_some());
}

#[test]
fn a_jam_is_reported_once_and_its_end_names_the_same_episode() {
    let mut memory = fresh();
    assert!(visit(&mut memory, &healthy(), at(0)).reports.is_empty());
    let told = visit(&mut memory, &jammed(), at(60));
    let [Report::Fault(fault)] = told.reports.as_slice() else { panic!("{:?}", told.reports) };
    assert_eq!((fault.code.as_str(), fault.device.serial.as_str(), fault.since), ("jam", "A1", at(60)));
    assert!(visit(&mut memory, &jammed(), at(120)).reports.is_empty());
    let told = visit(&mut memory, &healthy(), at(180));
    let [Report::FaultCleared(cleared)] = told.reports.as_slice() else { panic!("{:?}", told.reports) };
    assert_eq!((&cleared.episode, cleared.cleared), (&fault.episode, at(180)));
    let told = visit(&mut memory, &jammed(), at(240));
    let [Report::Fault(again)] = told.reports.as_slice() else { panic!("{:?}", told.reports) };
    assert_ne!(again.episode, fault.episode);
}

#[test]
fn a_device_that_goes_on_as_it_was_costs_no_write() {
    let mut memory = fresh();
    let _ = visit(&mut memory, &healthy(), at(0));
    assert!(visit(&mut memory, &healthy(), at(60)).is_nothing());
    assert!(!visit(&mut memory, &healthy(), at(660)).is_nothing());
}

#[test]
fn a_device_that_never_told_who_it_is_is_reported_by_its_address() {
    let mut memory = fresh();
    let mut told = Vec::new();
    for minute in 0..5 {
        told.extend(memory.take(Due::Everything, Observation::Missed, "no answer", at(60 * minute)).reports);
    }
    let [Report::Fault(fault)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((fault.code.as_str(), fault.device.serial.as_str()), ("not-answering", "address:192.0.2.1"));
}

/// A store, and the process that dies in front of or behind the commit.
struct Disk(tempfile::TempDir);

impl Disk {
    fn open(&self) -> Store {
        Store::open(&self.0.path().join("store.db")).unwrap()
    }

    fn restore(&self) -> Memory {
        let store = self.open();
        let collected = store.latest_reading(ADDRESS).unwrap().map(|row| row.at);
        Memory::restore(ADDRESS, store.device(ADDRESS).unwrap(), collected)
    }

    fn write(&self, told: &Told, now: Timestamp) {
        let reports: Vec<Outgoing> = told
            .reports
            .iter()
            .map(|report| Outgoing {
                id: MessageId::generate(&mut crate::context::system_random),
                center: "CENTER".parse().unwrap(),
                report: report.clone(),
                in_reply_to: None,
                created: now,
                expires: at(1_000_000),
            })
            .collect();
        self.open().change(|change| told.write(change, &reports, now)).unwrap();
    }
}

#[test]
fn a_kill_before_or_after_the_commit_reports_each_fault_exactly_once() {
    for killed_before_commit in [true, false] {
        let disk = Disk(tempfile::tempdir().unwrap());
        let mut memory = disk.restore();
        disk.write(&visit(&mut memory, &healthy(), at(0)), at(0));
        let told = visit(&mut memory, &jammed(), at(60));
        if !killed_before_commit {
            disk.write(&told, at(60));
        }
        // The process is gone, and with it everything in memory.
        let mut memory = disk.restore();
        disk.write(&visit(&mut memory, &jammed(), at(120)), at(120));
        let kinds: Vec<String> =
            disk.open().outbox_waiting(10).unwrap().into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["fault"], "killed before the commit: {killed_before_commit}");
        assert_eq!(disk.open().open_faults().unwrap().len(), 1);
    }
}

#[test]
fn after_a_restart_a_device_is_still_known_and_its_counters_are_not_read_again_too_early() {
    let disk = Disk(tempfile::tempdir().unwrap());
    let mut memory = disk.restore();
    disk.write(&visit(&mut memory, &healthy(), at(0)), at(0));
    assert_eq!(disk.restore().due(&Timers::default(), at(600)), Due::Faults);
}

#[test]
fn counters_are_read_when_the_month_ends_and_every_hour_on_its_last_day() {
    let timers = Timers { counter_collect: Duration::from_secs(6 * 3600), ..Timers::default() };
    let month_end = MonthEnd::new("Europe/Berlin", None, 20).unwrap();
    let mut memory = fresh().with_month_end(month_end);
    let time = |text: &str| -> Timestamp { text.parse().unwrap() };
    let read = |memory: &mut Memory, now: Timestamp| {
        assert_eq!(memory.due(&timers, now), Due::Everything);
        let _ = memory.take(Due::Everything, Observation::Answered(&healthy()), "", now);
    };
    read(&mut memory, time("2026-01-30T12:00:00Z"));
    assert_eq!(memory.due(&timers, time("2026-01-30T14:00:00Z")), Due::Faults, "not its last day yet");
    read(&mut memory, time("2026-01-31T17:30:00Z"));
    assert_eq!(memory.due(&timers, time("2026-01-31T18:29:59Z")), Due::Faults);
    read(&mut memory, time("2026-01-31T18:30:00Z"));
    // 20:00 in Berlin, and not an hour after the last reading.
    assert_eq!(memory.due(&timers, time("2026-01-31T18:59:59Z")), Due::Faults);
    let look = time("2026-01-31T18:59:30Z");
    let _ = memory.take(Due::Faults, Observation::Answered(&healthy()), "", look);
    assert_eq!(next_visit(&memory, &timers, look), time("2026-01-31T19:00:00Z"));
    read(&mut memory, time("2026-01-31T19:00:00Z"));
    assert_eq!(memory.due(&timers, time("2026-01-31T20:00:00Z")), Due::Faults, "an ordinary day again");
}

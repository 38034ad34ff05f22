//! Faults that come again and again, that come and go, and that nobody clears.

use super::*;
use crate::device::{Oid, oids};

/// A device that is looked at every so often, counts its pages, and jams when it is told to.
struct Office {
    polled: Polled,
    pages: Option<u64>,
    pause: SignedDuration,
}

impl Office {
    /// A Monday morning; 12,000 pages so far.
    fn open() -> Self {
        let mut polled = Polled::new();
        polled.now = "2026-11-23T08:00:00Z".parse().unwrap();
        Self { polled, pages: Some(12_000), pause: SignedDuration::from_mins(15) }
    }

    fn look(&mut self, rows: Vec<Alert>) -> Vec<String> {
        let mut walk = Walk::default();
        if let Some(pages) = self.pages {
            let place = [oids::PRT_MARKER_LIFE_COUNT, &[1, 1]].concat();
            walk.insert(Oid::new(&place), Value::Unsigned(pages));
        }
        let reading = Reading { alerts: rows, ..interpret(&walk, &crate::profile::Profiles::built_in()) };
        self.polled.now += self.pause - SignedDuration::from_mins(1);
        self.polled.answers(&reading)
    }

    fn prints(&mut self, pages: u64) {
        self.pages = self.pages.map(|before| before + pages);
    }

    /// A jam that is cleared before the next look.
    fn jams(&mut self) -> Vec<String> {
        let mut changes = self.look(vec![row(1, JAM, AlertGroup::MediaPath)]);
        changes.extend(self.look(vec![]));
        changes
    }

    fn last_description(&self) -> String {
        let last = self.polled.faults.open().last().expect("a fault is open");
        last.description.clone().unwrap_or_default()
    }
}

#[test]
fn six_jams_within_few_pages_call_a_technician_and_further_ones_are_part_of_that() {
    let mut office = Office::open();
    for _ in 0..5 {
        assert_eq!(office.jams(), ["+jam", "-jam"]);
        office.prints(7);
    }
    assert_eq!(office.jams(), ["+jam", "+recurring-jam", "-jam"]);
    assert_eq!(office.last_description(), "6 times within 35 pages");
    let fault = office.polled.faults.open().last().unwrap();
    assert_eq!((fault.class, fault.severity), (FaultClass::ServiceRequired, Severity::Warning));
    for _ in 0..20 {
        office.prints(7);
        assert!(office.jams().is_empty(), "the call stands for it");
    }
    office.prints(47);
    assert!(office.look(vec![]).is_empty());
    office.prints(1);
    assert_eq!(office.look(vec![]), ["-recurring-jam"]);
    assert_eq!(office.jams(), ["+jam", "-jam"]);
}

#[test]
fn jams_with_enough_clean_pages_between_them_call_nobody() {
    let mut office = Office::open();
    for _ in 0..100 {
        assert_eq!(office.jams(), ["+jam", "-jam"]);
        office.prints(16);
    }
    // One of two leaks: the bucket fills half as fast.
    for round in 1..=10 {
        let called = office.jams().contains(&"+recurring-jam".to_owned());
        assert_eq!(called, round == 10, "round {round}");
        office.prints(if round % 2 == 0 { 16 } else { 1 });
    }
}

#[test]
fn jams_in_any_place_of_a_device_are_counted_together_and_one_jam_in_two_rows_once() {
    let mut office = Office::open();
    let path = row(1, JAM, AlertGroup::MediaPath);
    let input = row(2, JAM, AlertGroup::Input);
    let stapler = row(3, 30_208, AlertGroup::FinDevice);
    for rows in [
        vec![path.clone()],
        vec![path, input.clone()],
        vec![stapler.clone()],
        vec![input.clone()],
        vec![stapler],
    ] {
        let changes = office.look(rows);
        assert!(changes.iter().all(|change| !change.contains("recurring")), "{changes:?}");
        office.look(vec![]);
    }
    assert_eq!(office.look(vec![input]), ["+jam", "+recurring-jam"]);
}

#[test]
fn what_is_counted_survives_a_restart_of_the_program() {
    let mut office = Office::open();
    for _ in 0..5 {
        office.jams();
        let json = serde_json::to_string(&office.polled.faults).unwrap();
        office.polled.faults = serde_json::from_str(&json).unwrap();
    }
    assert!(office.jams().contains(&"+recurring-jam".to_owned()));
    let json = serde_json::to_string(&office.polled.faults).unwrap();
    assert_eq!(serde_json::from_str::<DeviceFaults>(&json).unwrap(), office.polled.faults);
    office.polled.faults = serde_json::from_str(&json).unwrap();
    assert!(office.jams().is_empty());
}

#[test]
fn a_counter_that_was_set_back_shows_no_clean_pages() {
    let mut office = Office::open();
    for _ in 0..6 {
        office.jams();
    }
    office.pages = Some(3);
    assert!(office.look(vec![]).is_empty());
    office.prints(47);
    assert!(office.look(vec![]).is_empty());
    office.prints(1);
    assert_eq!(office.look(vec![]), ["-recurring-jam"]);
}

#[test]
fn time_stands_for_pages_where_a_device_tells_none() {
    let mut office = Office { pages: None, ..Office::open() };
    for _ in 0..5 {
        assert_eq!(office.jams(), ["+jam", "-jam"]);
    }
    assert_eq!(office.jams(), ["+jam", "+recurring-jam", "-jam"]);
    assert_eq!(office.last_description(), "6 times within 150 minutes");
    office.pause = SignedDuration::from_hours(12);
    assert_eq!(office.look(vec![]), ["-recurring-jam"]);
    for _ in 0..20 {
        assert_eq!(office.jams(), ["+jam", "-jam"], "one a day is no matter");
    }
}

#[test]
fn a_cover_that_is_opened_again_and_again_calls_nobody() {
    let mut office = Office::open();
    for _ in 0..50 {
        assert_eq!(office.look(vec![row(1, COVER_OPEN, AlertGroup::Cover)]), ["+cover-open"]);
        assert_eq!(office.look(vec![]), ["-cover-open"]);
    }
}

#[test]
fn a_fault_that_comes_and_goes_is_one_episode_until_it_has_stayed_away() {
    let mut device = Polled::new();
    let open = showing(vec![row(1, COVER_OPEN, AlertGroup::Cover)]);
    let closed = showing(vec![]);
    assert_eq!(device.answers(&open), ["+cover-open"]);
    assert_eq!(device.answers(&closed), ["-cover-open"]);
    assert_eq!(device.answers(&open), ["+cover-open"]);
    assert_eq!(device.answers(&closed), ["-cover-open"]);
    assert_eq!(device.answers(&open), ["+cover-open"]);
    for _ in 0..30 {
        assert!(device.answers(&closed).is_empty(), "it was there three times within ten minutes");
        assert!(device.answers(&open).is_empty());
    }
    let gone = device.now + SignedDuration::from_mins(1);
    for _ in 0..10 {
        assert!(device.answers(&closed).is_empty());
    }
    device.now += SignedDuration::from_mins(1);
    let changes = device.faults.observe(Observation::Answered(&closed), device.now, &device.rules);
    let [FaultChange::Cleared { at, .. }] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(*at, gone, "it is over since it was last seen gone");
    assert_eq!(device.answers(&open), ["+cover-open"]);
}

#[test]
fn a_jam_that_nobody_clears_though_somebody_is_there_is_a_technicians_matter() {
    let mut office = Office::open();
    let jam = vec![row(1, JAM, AlertGroup::MediaPath)];
    assert_eq!(office.look(jam.clone()), ["+jam"]);
    assert!(office.look(jam.clone()).is_empty());
    assert_eq!(office.look(jam.clone()), ["+lasting-jam"]);
    assert!(office.look(jam).is_empty());
    assert_eq!(office.look(vec![]), ["-jam", "-lasting-jam"]);
}

#[test]
fn a_jam_in_the_night_waits_for_the_morning_and_one_without_an_answer_for_the_device() {
    let mut office = Office::open();
    office.polled.now = "2026-11-23T20:00:00Z".parse().unwrap();
    office.pause = SignedDuration::from_hours(1);
    let jam = vec![row(1, JAM, AlertGroup::MediaPath)];
    assert_eq!(office.look(jam.clone()), ["+jam"]);
    for _ in 22..=24 + 8 {
        assert!(office.look(jam.clone()).is_empty());
    }
    office.polled.now += SignedDuration::from_mins(45);
    assert!(office.polled.misses().is_empty(), "a silent device may have been cleared meanwhile");
    assert_eq!(office.look(jam), ["+lasting-jam"]);
}

#[test]
fn a_paper_tray_that_stays_empty_is_nobodys_matter_but_the_users() {
    let mut office = Office::open();
    assert_eq!(office.look(vec![row(1, 808, AlertGroup::Input)]), ["+input-media-supply-empty"]);
    for _ in 0..100 {
        assert!(office.look(vec![row(1, 808, AlertGroup::Input)]).is_empty());
    }
}

#[test]
fn a_bit_that_is_often_set_for_nothing_counts_after_it_has_stood_for_half_an_hour() {
    let mut device = Polled::new();
    let asks = with_bits(&[ErrorBit::ServiceRequested]);
    for _ in 0..30 {
        assert!(device.answers(&asks).is_empty());
    }
    assert_eq!(device.answers(&asks), ["+service-requested"]);
    assert!(device.answers(&asks).is_empty());
    assert_eq!(device.answers(&with_bits(&[])), ["-service-requested"]);
    assert!(device.answers(&asks).is_empty(), "the wait begins anew");
}

#[test]
fn a_table_of_a_release_decides_from_its_first_look_on() {
    let text = include_str!("../../../faults/classes.csv")
        .replace("alert,8,jam,recurring,stays", "alert,8,sheet-stuck,service-required");
    let mut device = Polled::new();
    device.rules.classes = std::sync::Arc::new(crate::faults::FaultClasses::parse(&text, "x").unwrap());
    let jam = showing(vec![row(1, JAM, AlertGroup::MediaPath)]);
    let changes = device.faults.observe(Observation::Answered(&jam), device.now, &device.rules);
    let [FaultChange::Started(fault)] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((fault.code_name().as_str(), fault.class), ("sheet-stuck", FaultClass::ServiceRequired));
}

#[test]
fn episodes_that_an_older_version_stored_are_read() {
    let stored = r#"{"device":"printer-1","open":[{"key":{"device":"printer-1","condition":{"kind":"alert","code":8,
        "group":13,"group-index":1,"location":0}},"class":"user-clearable","severity":"critical","training":"untrained",
        "description":"Paper jam","since":"2026-01-01T00:00:00Z"}],"missed_polls":0,"missed-polls":0,"has-alert-rows":true}"#;
    let mut device = Polled::new();
    device.faults = serde_json::from_str(stored).unwrap();
    assert_eq!(device.faults.open().next().unwrap().code_name(), "jam");
    assert!(device.answers(&showing(vec![row(1, JAM, AlertGroup::MediaPath)])).is_empty());
    assert_eq!(device.answers(&showing(vec![])), ["-jam"]);
}

proptest! {
    #[test]
    fn however_many_jams_come_within_few_pages_few_tickets_are_raised(
        gaps in prop::collection::vec((1..40i64, 0..8u64), 20..120),
    ) {
        let mut office = Office::open();
        let mut tickets = 0;
        for (minutes, pages) in gaps {
            office.pause = SignedDuration::from_mins(minutes.max(2));
            tickets += office.jams().iter().filter(|change| change.starts_with('+')).count();
            office.prints(pages);
        }
        prop_assert!((2..=7).contains(&tickets), "{tickets} tickets");
    }
}

mod history;

use super::*;
use crate::device::Walk;
use crate::profile::Profiles;
use crate::settings::SnmpAccess;
use crate::snmp::Secret;
use jiff::SignedDuration;
use mailfmt::message::DeviceId;
use std::time::Duration;

fn at(secs: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

fn id(serial: &str) -> DeviceId {
    DeviceId { vendor: "Maker".to_owned(), model: "One".to_owned(), serial: serial.to_owned() }
}

fn public() -> SnmpAccess {
    SnmpAccess::V2c { community: Secret::new("public") }
}

fn row(address: &str, serial: Option<&str>, answering: bool) -> DeviceRow {
    DeviceRow {
        address: address.to_owned(),
        id: serial.map(id),
        polled: Some(at(0)),
        answered: Some(at(0)),
        answering,
        trouble: String::new(),
        episodes: String::new(),
        mac: None,
        access: Some(public()),
        vanished: None,
    }
}

#[test]
fn a_device_that_answers_at_another_address_has_moved_and_one_that_answers_at_both_has_two() {
    let rows = [row("a", Some("1"), false), row("b", Some("2"), true)];
    let moved = Placement::Moved { from: "a".to_owned(), instead: false };
    assert_eq!(place(Some(&id("1")), None, "c", &rows), moved);
    assert_eq!(place(Some(&id("2")), None, "c", &rows), Placement::SecondAddress { instead: false });
    assert_eq!(place(Some(&id("2")), None, "a", &rows), Placement::SecondAddress { instead: true });
    assert_eq!(place(Some(&id("2")), None, "b", &rows), Placement::Here);
    assert_eq!(place(Some(&id("3")), None, "c", &rows), Placement::New);
}

#[test]
fn a_device_that_took_the_address_of_another_stands_in_its_place() {
    let rows = [row("a", Some("1"), true), row("b", Some("2"), false)];
    assert_eq!(place(Some(&id("3")), None, "a", &rows), Placement::Instead { of: Some(id("1")) });
    let moved = Placement::Moved { from: "b".to_owned(), instead: true };
    assert_eq!(place(Some(&id("2")), None, "a", &rows), moved);
}

#[test]
fn a_device_without_a_name_is_whoever_is_known_at_its_address() {
    let rows = [row("a", Some("1"), true)];
    assert_eq!(place(None, None, "a", &rows), Placement::Here);
    assert_eq!(place(None, None, "b", &rows), Placement::New);
    assert_eq!(
        place(Some(&id("9")), None, "n", &[row("n", None, true)]),
        Placement::New,
        "it has told its name now"
    );
}

#[test]
fn the_inventory_has_each_device_once_with_the_address_where_it_answers() {
    let mut gone = row("c", Some("3"), false);
    gone.vanished = Some(at(900));
    let mut forgotten = row("d", Some("4"), true);
    forgotten.access = None;
    let mut never = row("e", None, false);
    never.answered = None;
    let rows = [
        row("a", Some("1"), false),
        row("b", Some("1"), true),
        gone,
        forgotten,
        never,
        row("f", None, true),
        row("10.0.0.9 (left, 4)", Some("5"), false),
    ];
    let told: Vec<_> = devices(&rows, &[])
        .into_iter()
        .map(|device| (device.id.map(|id| id.serial), device.address, device.state))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            (text("1"), "b".to_owned(), DeviceState::Present),
            (text("3"), "c".to_owned(), DeviceState::Vanished { since: at(0) }),
            (text("5"), "10.0.0.9".to_owned(), DeviceState::Present),
            (None, "f".to_owned(), DeviceState::Present),
        ]
    );
}

#[test]
fn a_change_is_told_once_it_has_come_to_rest_and_not_more_often_than_the_pause() {
    let pause = Duration::from_secs(300);
    let inventory = |rows: &[DeviceRow]| devices(rows, &[]);
    let one = inventory(&[row("a", Some("1"), true)]);
    let two = inventory(&[row("a", Some("1"), true), row("b", Some("2"), true)]);
    let mut telling = Telling::default();
    assert!(!telling.look(&[], pause, at(0)), "nothing to tell");
    assert!(!telling.look(&one, pause, at(10)));
    assert!(!telling.look(&two, pause, at(35)), "still in motion");
    assert!(!telling.look(&two, pause, at(60)));
    assert!(telling.look(&two, pause, at(65)), "at rest for 30 s");
    telling.told(Telling::digest(&two), at(65));
    assert!(!telling.look(&two, pause, at(1000)), "told already");

    let mut telling = Telling::new(Some((Telling::digest(&two), at(65))));
    assert!(!telling.look(&one, pause, at(70)));
    assert!(!telling.look(&one, pause, at(300)), "the pause is not over");
    assert!(telling.look(&one, pause, at(365)));
    assert!(telling.look(&[], pause, at(400)), "an empty inventory after a full one is news");
}

#[test]
fn an_inventory_that_never_rests_is_told_after_a_pause_all_the_same() {
    let pause = Duration::from_secs(300);
    let mut telling = Telling::default();
    let told: Vec<i64> = (0..400)
        .step_by(10)
        .filter(|secs| {
            let serial = secs.to_string();
            telling.look(&devices(&[row("a", Some(&serial), true)], &[]), pause, at(*secs))
        })
        .collect();
    assert_eq!(told.first(), Some(&300));
}

#[test]
fn a_clock_that_was_set_back_delays_the_telling_by_no_more_than_a_rest() {
    let pause = Duration::from_secs(300);
    let one = devices(&[row("a", Some("1"), true)], &[]);
    let mut telling = Telling::new(Some((Telling::digest(&[]), at(5000))));
    assert!(!telling.look(&one, pause, at(0)));
    assert!(telling.look(&one, pause, at(30)));
}

/// A store, and settings without devices.
struct Site {
    _home: tempfile::TempDir,
    store: Store,
    settings: Settings,
}

impl Site {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store.db")).unwrap();
        let text = "agent='AGENT0000001'\ncenter='CENTER'\ncenter_address='c@center.example'\n\
            [[accounts]]\nname='main'\naddress='a@site.example'\nusername='a'\n\
            smtp={host='127.0.0.1',port=25,security='plain'}\nfetch='pop3'\n\
            fetch_server={host='127.0.0.1',port=110,security='plain'}\n";
        let settings = Settings::parse(text, std::path::Path::new("appliance.toml")).unwrap();
        Self { _home: home, store, settings }
    }

    fn scan(&mut self, found: &[(&str, &str)], secs: i64) -> Registered {
        let device = |(address, serial): &(&str, &str)| {
            let mut device =
                FoundDevice::of((*address).to_owned(), &Walk::default(), public(), true, &Profiles::none());
            device.identity.vendor = Some("Maker".to_owned());
            device.identity.model = Some("One".to_owned());
            device.identity.serial = Some((*serial).to_owned());
            device
        };
        let scan = Scan { found: found.iter().map(device).collect(), ..Scan::default() };
        self.store.change(|change| register(change, &scan, &self.settings, at(secs))).unwrap()
    }

    fn silent(&mut self, address: &str, secs: i64) {
        self.store.change(|change| change.device_silent(address, "no answer", at(secs))).unwrap();
    }

    fn places(&self) -> Vec<(String, String)> {
        let rows = self.store.devices().unwrap();
        let mut places: Vec<_> = rows
            .into_iter()
            .map(|row| (row.id.map(|id| id.serial).unwrap_or_default(), row.address))
            .collect();
        places.sort();
        places
    }
}

fn pairs(places: &[(&str, &str)]) -> Vec<(String, String)> {
    places.iter().map(|(serial, address)| ((*serial).to_owned(), (*address).to_owned())).collect()
}

#[test]
fn a_device_that_is_excluded_after_it_was_found_is_not_asked_any_more() {
    let mut site = Site::new();
    site.scan(&[("10.0.0.1", "A"), ("10.0.0.2", "B")], 0);
    let mut range = crate::settings::RangeEntry::new("10.0.0.0/24".parse().unwrap());
    range.excludes.push("10.0.0.2".parse().unwrap());
    site.settings.ranges.push(range);
    let watched = watched(&site.store, &site.settings).unwrap();
    assert_eq!(watched.iter().map(|entry| entry.address.as_str()).collect::<Vec<_>>(), ["10.0.0.1"]);
}

#[test]
fn two_devices_that_swapped_their_addresses_take_their_rows_along() {
    let mut site = Site::new();
    site.scan(&[("10.0.0.1", "A"), ("10.0.0.2", "B")], 0);
    site.silent("10.0.0.1", 60);
    site.silent("10.0.0.2", 60);
    let registered = site.scan(&[("10.0.0.1", "B"), ("10.0.0.2", "A")], 120);
    assert_eq!(registered.moved.len(), 2);
    assert_eq!(site.places(), pairs(&[("A", "10.0.0.2"), ("B", "10.0.0.1")]));
}

#[test]
fn a_second_address_that_was_another_devices_does_not_get_its_history() {
    let mut site = Site::new();
    site.scan(&[("10.0.0.1", "A"), ("10.0.0.2", "B")], 0);
    site.scan(&[("10.0.0.1", "B")], 60);
    assert_eq!(site.places(), pairs(&[("A", "10.0.0.1 (left, 1)"), ("B", "10.0.0.2")]));
}

#[test]
fn a_device_whose_address_was_taken_keeps_its_history_until_it_is_met_again() {
    let mut site = Site::new();
    site.scan(&[("10.0.0.1", "A")], 0);
    let reading = crate::store::ReadingRow { at: at(1), counters: Vec::new(), supplies: Vec::new() };
    site.store.change(|change| change.store_reading("10.0.0.1", &reading)).unwrap();
    site.scan(&[("10.0.0.1", "B")], 60);
    let inventory = collect(&site.store, &site.settings).unwrap();
    assert!(inventory.iter().all(|device| device.address == "10.0.0.1"), "{inventory:?}");
    assert_eq!(watched(&site.store, &site.settings).unwrap().len(), 1, "only who is there is asked");
    let registered = site.scan(&[("10.0.0.1", "B"), ("10.0.0.9", "A")], 120);
    assert_eq!(registered.moved.len(), 1);
    assert_eq!(site.places(), pairs(&[("A", "10.0.0.9"), ("B", "10.0.0.1")]));
    assert_eq!(site.store.latest_reading("10.0.0.9").unwrap(), Some(reading));
    assert_eq!(site.store.latest_reading("10.0.0.1").unwrap(), None);
}

#[test]
fn a_device_that_vanished_is_forgotten_when_readings_are_and_one_that_came_back_is_not() {
    let mut site = Site::new();
    site.scan(&[("10.0.0.1", "A"), ("10.0.0.2", "B")], 0);
    site.silent("10.0.0.1", 60);
    site.silent("10.0.0.2", 60);
    let marked = site.store.change(|change| change.mark_vanished(at(1), at(100)));
    assert_eq!(marked.unwrap(), 2);
    let again = site.store.change(|change| change.mark_vanished(at(1), at(200)));
    assert_eq!(again.unwrap(), 0, "once is enough");
    site.store.change(|change| change.device_answered("10.0.0.2", at(300))).unwrap();
    let forget = |site: &mut Site, secs| {
        site.store.change(|change| change.forget_vanished(at(secs), at(secs))).unwrap()
    };
    assert_eq!(forget(&mut site, 100), 0);
    assert_eq!(forget(&mut site, 101), 1);
    assert_eq!(site.places(), pairs(&[("B", "10.0.0.2")]));
}

#[test]
fn a_device_beyond_the_most_that_are_watched_is_told_and_not_registered() {
    let mut site = Site::new();
    let many: Vec<(String, String)> = (0..=DEVICES_MAX)
        .map(|number| (format!("10.0.{}.{}", number / 250, number % 250), number.to_string()))
        .collect();
    let many: Vec<(&str, &str)> =
        many.iter().map(|(address, serial)| (address.as_str(), serial.as_str())).collect();
    let registered = site.scan(&many[..DEVICES_MAX], 0);
    assert_eq!(registered.new.len(), DEVICES_MAX);
    let registered = site.scan(&many[DEVICES_MAX..], 1);
    assert_eq!((registered.new.len(), registered.too_many.len()), (0, 1));
}

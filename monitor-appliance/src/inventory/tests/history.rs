//! What has happened to whom: told apart, noted once.

use super::*;
use mailfmt::message::census::DeviceEvent;

impl Site {
    /// A scan finds one device with a hardware address.
    fn meets(&mut self, address: &str, serial: &str, mac: &str, secs: i64) {
        let mut device =
            FoundDevice::of(address.to_owned(), &Walk::default(), public(), true, &Profiles::none());
        device.identity.vendor = Some("Maker".to_owned());
        device.identity.model = Some("One".to_owned());
        device.identity.serial = Some(serial.to_owned());
        device.identity.mac = Some(format!("00:00:00:00:00:{mac}"));
        let scan = Scan { found: vec![device], ..Scan::default() };
        self.store.change(|change| register(change, &scan, &self.settings, at(secs))).unwrap();
    }

    /// What happened, oldest first: the event, the serial number, the address, what was before.
    fn history(&self) -> Vec<String> {
        let line = |event: DeviceEvent| {
            let serial = event.device.map(|id| id.serial).unwrap_or_default();
            format!("{} {serial} {} {}", event.event, event.address, event.before.unwrap_or_default())
        };
        self.store
            .device_history(100)
            .unwrap()
            .into_iter()
            .rev()
            .map(|event| line(event).trim().to_owned())
            .collect()
    }
}

#[test]
fn new_moved_swapped_vanished_and_returned_are_told_apart_and_noted_once() {
    let mut site = Site::new();
    site.meets("10.0.0.1", "A", "0a", 0);
    site.meets("10.0.0.1", "A", "0a", 10);
    site.silent("10.0.0.1", 20);
    site.meets("10.0.0.9", "A", "0a", 30);
    site.silent("10.0.0.9", 40);
    site.meets("10.0.0.9", "B", "0b", 50);
    site.silent("10.0.0.9", 60);
    for now in [1000, 1001] {
        site.store.change(|change| change.mark_vanished(at(900), at(now))).unwrap();
    }
    site.meets("10.0.0.9", "B", "0b", 1100);
    assert_eq!(
        site.history(),
        [
            "new A 10.0.0.1",
            "moved A 10.0.0.9 10.0.0.1",
            "swapped B 10.0.0.9 Maker One A",
            "vanished A 10.0.0.9",
            "vanished B 10.0.0.9",
            "returned B 10.0.0.9",
        ]
    );
}

#[test]
fn a_changed_board_and_a_changed_number_are_told_apart_from_another_device() {
    let mut site = Site::new();
    site.meets("10.0.0.1", "A", "0a", 0);
    site.meets("10.0.0.1", "A", "0b", 10);
    site.meets("10.0.0.1", "A2", "0b", 20);
    assert_eq!(
        site.history(),
        ["new A 10.0.0.1", "board-changed A 10.0.0.1 00:00:00:00:00:0a", "serial-changed A2 10.0.0.1 A",]
    );
}

#[test]
fn two_devices_with_one_serial_number_are_flagged_once_and_kept_apart() {
    let mut site = Site::new();
    site.meets("10.0.0.1", "A", "0a", 0);
    site.meets("10.0.0.2", "A", "0b", 0);
    for secs in [10, 20] {
        site.meets("10.0.0.1", "A", "0a", secs);
        site.meets("10.0.0.2", "A", "0b", secs);
    }
    assert_eq!(site.history(), ["new A 10.0.0.1", "same-serial A (00:00:00:00:00:0b) 10.0.0.2 10.0.0.1"]);
    let inventory = collect(&site.store, &site.settings).unwrap();
    assert_eq!(inventory.len(), 2, "each is counted by itself");
    assert_eq!(watched(&site.store, &site.settings).unwrap().len(), 2);

    // The second one moves, and stays the second one.
    site.silent("10.0.0.2", 30);
    site.meets("10.0.0.3", "A", "0b", 40);
    assert_eq!(site.history().last().unwrap(), "moved A (00:00:00:00:00:0b) 10.0.0.3 10.0.0.2");
}

#[test]
fn a_device_with_two_networks_is_one_device_though_it_answers_twice() {
    let mut site = Site::new();
    site.meets("10.0.0.1", "A", "0a", 0);
    site.meets("10.0.0.2", "A", "0a", 0);
    assert_eq!(site.history(), ["new A 10.0.0.1"]);
}

#[test]
fn a_reading_of_the_second_one_goes_by_its_own_name() {
    let identity = |mac: &str| crate::device::DeviceIdentity {
        vendor: Some("Maker".to_owned()),
        model: Some("One".to_owned()),
        serial: Some("A".to_owned()),
        mac: Some(mac.to_owned()),
        ..crate::device::DeviceIdentity::default()
    };
    let (mut first, mut second) = (identity("aa"), identity("BB"));
    let known = apart(&id("A"), "bb");
    keep_apart(&mut first, Some(&known));
    keep_apart(&mut second, Some(&known));
    assert_eq!((first.serial.as_deref(), second.serial.as_deref()), (Some("A"), Some("A (bb)")));
}

#[test]
fn what_the_center_was_told_is_not_told_again_and_stays_for_a_year() {
    let mut site = Site::new();
    site.meets("10.0.0.1", "A", "0a", 0);
    let untold = site.store.untold_events(10).unwrap();
    assert_eq!(untold.len(), 1);
    let told = |site: &mut Site, number, secs| {
        site.store.change(|change| change.note_events_told(number, at(secs))).unwrap();
    };
    told(&mut site, untold[0].0, 10);
    assert!(site.store.untold_events(10).unwrap().is_empty());
    assert_eq!(site.store.device_history(10).unwrap().len(), 1);
    told(&mut site, 0, 366 * 24 * 3600);
    assert!(site.store.device_history(10).unwrap().is_empty());
}

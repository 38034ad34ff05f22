//! An appliance that watches a range: devices come, move, are swapped, vanish and return.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_a_range_register_themselves_are_watched_and_told_once() {
    let site = Site::new(7).await;
    let _printers = [site.printer(2).await, site.printer(3).await];
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("both devices to be told", || appliance.told().last().is_some_and(|told| told.len() == 2)).await;
    until("their counters", || {
        let store = appliance.store();
        [2, 3].iter().all(|host| store.latest_reading(&site.at(*host)).unwrap().is_some())
    })
    .await;
    let told = appliance.told().len();
    // A new one that comes later registers itself with the next scan.
    let _third = site.printer(4).await;
    appliance.pass(25);
    until("the third device to be told", || appliance.told().last().is_some_and(|told| told.len() == 3))
        .await;
    appliance.end().await;
    assert_eq!(appliance.told().len(), told + 1, "what has not changed is not told again");
    assert_eq!(appliance.devices(), sorted(vec![here(2, &site), here(3, &site), here(4, &site)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_moves_takes_its_readings_along() {
    let site = Site::new(8).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 9)]);
    appliance.start();
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    let recording = Arc::clone(&site.recordings[2 % site.recordings.len()]);
    printer.stop().await;
    let moved = Printer::start(recording, site.settings(7)).await.unwrap();
    moved.set_serial(&serial(2));
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    appliance.pass(25);
    until("the new address", || appliance.devices() == [(serial(2), site.at(7), false)]).await;
    let store = appliance.store();
    assert!(store.latest_reading(&site.at(7)).unwrap().is_some());
    assert_eq!(store.device(&site.at(2)).unwrap(), None, "nobody is known at the old address");
    until("the center to be told", || {
        appliance.told().last().is_some_and(|told| told.len() == 1 && told[0].address == site.at(7))
    })
    .await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_at_an_address_is_another_device() {
    let site = Site::new(9).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("the first device", || appliance.devices().len() == 1).await;
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    printer.stop().await;
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    let _other = site.start(2, site.settings(2), "OTHER").await;
    until("the second device", || appliance.devices().len() == 2).await;
    let serials: Vec<_> =
        appliance.devices().into_iter().map(|(serial, address, _)| (serial, address)).collect();
    assert_eq!(serials, [("OTHER".to_owned(), site.at(2)), (serial(2), site.at(2))]);
    until("it is watched", || {
        appliance
            .store()
            .device(&site.at(2))
            .unwrap()
            .is_some_and(|row| row.answering && row.id.unwrap().serial == "OTHER")
    })
    .await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_silent_for_a_week_has_vanished_and_is_told_again_when_it_is_back() {
    let site = Site::new(10).await;
    let printers = [site.printer(2).await, site.printer(3).await];
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("both devices to be told", || appliance.told().last().is_some_and(|told| told.len() == 2)).await;
    printers[0].power_off();
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    appliance.pass(6 * 24);
    until("the other one to have answered since", || {
        let row = appliance.store().device(&site.at(3)).unwrap().unwrap();
        row.answered.unwrap() > appliance.context.now().saturating_sub(SignedDuration::from_hours(1)).unwrap()
    })
    .await;
    assert_eq!(appliance.devices(), [here(2, &site), here(3, &site)], "six days are not a week");
    appliance.pass(25);
    let gone = |told: &Vec<InventoryDevice>| {
        told.iter().filter(|device| device.state != DeviceState::Present).count()
    };
    until("its absence to be told", || appliance.told().last().is_some_and(|told| gone(told) == 1)).await;
    assert_eq!(appliance.devices(), [(serial(2), site.at(2), true), here(3, &site)]);
    printers[0].power_on();
    until("its return to be told", || appliance.told().last().is_some_and(|told| gone(told) == 0)).await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_still_watched_after_a_restart_without_another_scan() {
    let site = Site::new(11).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    appliance.end().await;
    let scanned = |appliance: &Appliance| appliance.store().range_scanned(&site.range(1, 5)).unwrap();
    let before = scanned(&appliance);
    printer.jam();
    appliance.start();
    until("the jam", || !appliance.store().open_faults().unwrap().is_empty()).await;
    appliance.end().await;
    assert_eq!(scanned(&appliance), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_by_hand_registers_what_it_found_and_knows_it_the_second_time() {
    let site = Site::new(12).await;
    let _printer = site.printer(2).await;
    let appliance = Appliance::new(Vec::new());
    let scan = look(&[site.range(1, 5)]).await;
    let now: Timestamp = appliance.context.now();
    let settings = Arc::clone(&appliance.context.settings);
    let register = |scan: &Scan| -> Registered {
        let mut store = appliance.store();
        store.change(|change| inventory::register(change, scan, &settings, now)).unwrap()
    };
    assert_eq!(register(&scan).new, [site.at(2)]);
    let again = register(&scan);
    assert_eq!((again.new.len(), again.known), (0, vec![site.at(2)]));
    let watched = inventory::watched(&appliance.store(), &settings).unwrap();
    assert_eq!(watched.len(), 1);
    assert_eq!(watched[0].address, site.at(2));
}

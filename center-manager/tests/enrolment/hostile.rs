//! Authentic mails with bad intent: of one stolen appliance, or played back by somebody who opens none of them.

use crate::center::{Center, Site, enrolled, random, start, talk};
use center_manager::clones::OnClone;
use center_manager::db::filed::Filed;
use center_manager::db::rotations::{RotationState, RotationTerms};
use center_manager::intake::Discard;
use jiff::SignedDuration;
use mailfmt::Report;
use mailfmt::message::DeviceId;
use mailfmt::message::report::{AlarmReport, DeviceState, InventoryDevice, InventoryReport};

fn one() -> (Center, Site) {
    let mut center = Center::new();
    let code = center.issue(1);
    let site = enrolled(&mut center, &code, 1);
    (center, site)
}

fn alarm(site: &mut Site, name: &str, description: &str, over: bool) -> Vec<u8> {
    site.report(Report::Alarm(AlarmReport {
        alarm: name.to_owned(),
        description: description.to_owned(),
        since: start(),
        over,
    }))
}

fn open_alarms(center: &Center) -> Vec<(String, String)> {
    let alarms = center.db.alarms(None, false).unwrap();
    alarms.into_iter().map(|alarm| (alarm.kind, alarm.description)).collect()
}

#[test]
fn an_appliance_neither_ends_nor_rewords_what_the_center_says_about_it() {
    let (mut center, mut site) = one();
    center.read(&site.health());
    let first = std::mem::replace(&mut site.boot, "boot-of-the-copy".to_owned());
    center.read(&site.health());
    site.boot = first;
    center.read(&site.health());
    let told = open_alarms(&center);
    assert_eq!(told.len(), 1, "{told:?}");
    for over in [false, true] {
        let raw = alarm(&mut site, &told[0].0, "all is well", over);
        assert!(matches!(center.read(&raw), Filed::New { .. }));
        assert_eq!(open_alarms(&center), told);
    }
}

#[test]
fn what_the_center_finds_is_told_although_the_appliance_said_it_before() {
    let (mut center, mut site) = one();
    let raw = alarm(&mut site, "cloned", "nothing of interest", false);
    center.read(&raw);
    let id = center.db.alarms(None, false).unwrap()[0].id;
    center.db.acknowledge_alarm(id, "kim", center.now).unwrap();
    for boot in ["a", "b", "a"] {
        site.boot = boot.to_owned();
        center.read(&site.health());
    }
    let told = open_alarms(&center);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.starts_with("Two boxes report"), "{told:?}");
    let raw = alarm(&mut site, "cloned", "", true);
    center.read(&raw);
    assert_eq!(open_alarms(&center), told);
}

#[test]
fn an_appliance_with_ever_new_alarms_fills_the_list_so_far_and_no_further() {
    let (mut center, mut site) = one();
    for number in 0..100 {
        let raw = alarm(&mut site, &format!("made-up-{number}"), "", false);
        assert!(matches!(center.read(&raw), Filed::New { .. }));
    }
    let open = open_alarms(&center).len();
    assert!((10..=50).contains(&open), "{open} open alarms of one appliance");
    // Those that stand are still ended, and then there is room again.
    let raw = alarm(&mut site, "made-up-0", "", true);
    center.read(&raw);
    let raw = alarm(&mut site, "clock-wrong", "", false);
    center.read(&raw);
    assert!(open_alarms(&center).iter().any(|(kind, _)| kind == "clock-wrong"));
}

#[test]
fn an_appliance_with_ever_new_devices_fills_the_table_so_far_and_no_further() {
    let (mut center, mut site) = one();
    let inventory = |from: u32| {
        let device = |number: u32| InventoryDevice {
            id: Some(DeviceId {
                vendor: "V".to_owned(),
                model: "M".to_owned(),
                serial: format!("S{number}"),
            }),
            address: String::new(),
            mac: None,
            state: DeviceState::Present,
        };
        Report::Inventory(InventoryReport { devices: (from..from + 9_000).map(device).collect() })
    };
    for round in 0..3 {
        let raw = site.report(inventory(round * 9_000));
        assert!(matches!(center.read(&raw), Filed::New { .. }), "it is answered, or it would come for ever");
    }
    assert_eq!(center.db.devices(None).unwrap().len(), 20_000);
    assert_eq!(open_alarms(&center)[0].0, "too-many-devices");
}

#[test]
fn an_appliance_that_tells_megabytes_without_end_is_answered_and_not_kept() {
    let (mut center, mut site) = one();
    let body = serde_json::Value::String("x".repeat(6_000_000));
    let mut tell = |center: &mut Center| {
        let raw = site.report(Report::Unknown { kind: "novel".to_owned(), body: body.clone() });
        assert!(raw.len() < 100_000, "a small mail");
        // Answered, or it would come for ever.
        let Filed::New { number, .. } = center.read(&raw) else { panic!("not filed") };
        center.db.journaled(number).unwrap().unwrap().1.len()
    };
    let kept: usize = (0..20).map(|_| tell(&mut center)).sum();
    assert!((60_000_000..80_000_000).contains(&kept), "{kept} octets");
    assert_eq!(open_alarms(&center)[0].0, "too-much-told");
    center.later(25);
    assert!(tell(&mut center) > 6_000_000, "the next day all is well");
}

#[test]
fn who_is_suspended_after_an_admission_stays_out_until_the_operator_readmits_it() {
    let (mut center, mut site) = one();
    center.read(&site.health());
    // The same box again, as somebody with another code pretends: it would keep the id.
    let code = center.issue(1);
    let mut again = Site::new(&code, 7);
    again.machine = site.machine.clone();
    center.read(&again.hello());
    let registration = center.send().iter().find_map(|mail| again.take(mail)).unwrap();
    center.read(&registration);
    let health = center.send().iter().find_map(|mail| again.take(mail)).unwrap();
    assert_eq!(again.agent(), site.agent());

    center.later(1);
    center.db.suspend_appliance(&site.agent(), "odd", center.now).unwrap();
    center.read(&health);
    assert!(center.db.appliance(&site.agent()).unwrap().suspension.is_some(), "nobody readmitted it");
    assert_eq!(center.read(&site.health()), Filed::Discarded(Discard::Suspended));
    center.db.readmit_appliance(&site.agent(), center.now).unwrap();
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
    assert_eq!(center.read(&again.health()), Filed::Discarded(Discard::WrongKey), "the operator shut it out");
}

#[test]
fn a_hello_that_is_played_back_keeps_nobody_from_registering() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    let hello = site.hello();
    center.read(&hello);
    let offer = center.send().remove(0);
    for _ in 0..200 {
        center.read(&hello);
        center.send();
    }
    let registration = site.take(&offer).unwrap();
    assert!(matches!(center.read(&registration), Filed::Contact(_)));
    for _ in 0..200 {
        center.read(&hello);
        let offers = center.send();
        assert!(offers.len() <= 1, "nobody needs an offer any more");
    }
    // The admission was lost.
    talk(&mut center, &mut site, Some(registration));
    assert!(site.admission.is_some(), "not admitted");
}

#[test]
fn a_report_that_is_played_back_is_no_sign_of_life() {
    let (mut center, mut site) = one();
    let report = site.health();
    assert!(matches!(center.read(&report), Filed::New { .. }));
    let heard = center.db.appliance(&site.agent()).unwrap().last_heard;
    assert_eq!(heard, Some(center.now));
    center.later(24 * 10);
    assert!(matches!(center.read(&report), Filed::Repeat { .. }));
    assert_eq!(center.db.appliance(&site.agent()).unwrap().last_heard, heard);
}

#[test]
fn a_request_to_rotate_that_is_lost_goes_out_again_until_it_is_answered() {
    let (mut center, mut site) = one();
    let old = site.credential.clone();
    let expires = center.now + SignedDuration::from_hours(24 * 7);
    let terms = RotationTerms { by: "kim", now: center.now, expires };
    center.db.begin_rotations(&[site.agent()], terms, &mut random(5)).unwrap();
    assert_eq!(center.send().len(), 1, "and it is lost");
    assert!(center.send().is_empty(), "not at once");
    let mut sent = 0;
    for _ in 0..24 {
        center.later(1);
        sent += center.send().len();
    }
    assert!((1..=8).contains(&sent), "{sent} more mails in a day");
    center.later(24);
    talk(&mut center, &mut site, None);
    assert_ne!(site.credential, old);
    assert_eq!(center.db.rotations(&site.agent(), 1).unwrap()[0].state, RotationState::Done);
    center.later(48);
    assert!(center.send().is_empty(), "nothing is asked any more");
}

#[test]
fn a_copy_that_is_found_by_its_answer_to_a_rotation_is_shut_out_and_stops_nobody_elses_mail() {
    let (mut center, mut site) = one();
    center.rules.on_clone = OnClone::Suspend;
    let before = site.sequence;
    site.starts(1000, 0, before);
    center.read(&site.health());
    let common = site.sequence;
    center.read(&site.health());
    let original = (site.sequence, site.follows, site.begins);
    site.starts(2000, 0, common);
    center.read(&site.health());
    let expires = center.now + SignedDuration::from_hours(24 * 7);
    let terms = RotationTerms { by: "kim", now: center.now, expires };
    center.db.begin_rotations(&[site.agent()], terms, &mut random(5)).unwrap();
    let mails = center.send();
    // The original speaks again, after the copy began.
    (site.sequence, site.follows, site.begins) = original;
    site.made += SignedDuration::from_hours(1);
    center.now += SignedDuration::from_hours(3);
    let answer = mails.iter().find_map(|mail| site.take(mail)).unwrap();
    assert!(matches!(center.read(&answer), Filed::New { .. }));
    assert!(center.db.appliance(&site.agent()).unwrap().suspension.is_some());
    assert!(center.send().is_empty());
}

use super::*;
use crate::intake::judge;
use crate::sample::{Numbers, Posting, agent, fleet, keyring, later, printer};
use jiff::SignedDuration;
use mailfmt::message::census::ApplicationState;
use mailfmt::{Limits, Report};

fn tell(db: &mut Db, mail: u8, report: CensusReport) {
    let mut posting = Posting::of(1, Report::Census(report)).numbered(mail);
    posting.sequence = mail.into();
    posting.created = later(mail.into());
    let verdict = judge(&posting.raw(), &keyring(1), &Limits::default(), later(60));
    let rules = crate::sample::rules(SignedDuration::from_hours(24));
    db.file(&[verdict], later(60), &rules, &mut Numbers::new(mail.into())).unwrap();
}

fn event(word: &str, address: &str, before: &str) -> DeviceEvent {
    DeviceEvent {
        at: later(1),
        event: word.to_owned(),
        device: Some(printer()),
        kind: Some("mfp".to_owned()),
        address: address.to_owned(),
        before: Some(before.to_owned()),
    }
}

fn computer(at: i64, load: u8) -> ComputerState {
    ComputerState {
        device: Some(DeviceId { serial: "mac:00:00:00:00:00:01".to_owned(), ..printer() }),
        address: "10.0.0.30".to_owned(),
        name: Some("till\n1".to_owned()),
        at: later(at),
        started: None,
        restarts: 0,
        load_percent: Some(load),
        memory_octets: None,
        memory_used_octets: None,
        disks: Vec::new(),
        applications: vec![ApplicationState {
            name: "till".to_owned(),
            rule: "required".to_owned(),
            running: 1,
            installed: None,
        }],
        running: Some(90),
        installed: None,
    }
}

#[test]
fn what_happened_to_a_device_is_its_history_newest_first() {
    let mut db = fleet(1);
    tell(&mut db, 1, CensusReport { events: vec![event("new", "10.0.0.5", "")], ..CensusReport::default() });
    tell(
        &mut db,
        2,
        CensusReport { events: vec![event("moved", "10.0.0.9", "10.0.0.5")], ..CensusReport::default() },
    );
    let words = |serial: Option<&str>| {
        let events = db.device_events(Some(&agent(1)), serial, 10).unwrap();
        events.into_iter().map(|event| event.event.event).collect::<Vec<_>>()
    };
    assert_eq!(words(Some(printer().serial.as_str())), ["moved", "new"]);
    assert!(words(Some("another")).is_empty());
    assert_eq!(db.device_events(None, None, 1).unwrap().len(), 1);
}

#[test]
fn two_devices_with_one_serial_number_are_an_alarm() {
    let mut db = fleet(1);
    let events = vec![event("same-serial", "10.0.0.6", "10.0.0.5")];
    tell(&mut db, 1, CensusReport { events, ..CensusReport::default() });
    let alarms = db.alarms(None, false).unwrap();
    assert!(
        alarms.iter().any(|alarm| alarm.kind == SAME_SERIAL_ALARM && alarm.description.contains("10.0.0.6"))
    );
}

#[test]
fn a_computer_is_as_it_was_told_last_whatever_comes_late() {
    let mut db = fleet(1);
    let told = |computer| CensusReport { computers: vec![computer], ..CensusReport::default() };
    tell(&mut db, 1, told(computer(20, 70)));
    tell(&mut db, 2, told(computer(10, 5)));
    let [known] = &db.computers(Some(&agent(1))).unwrap()[..] else { panic!("one computer") };
    assert_eq!((known.state.load_percent, known.state.name.as_deref()), (Some(70), Some("till 1")));
    assert_eq!(db.computers(None).unwrap().len(), 1);
}

#[test]
fn an_appliance_does_not_fill_the_disk_with_events() {
    let mut db = fleet(1);
    for mail in 1..=4 {
        let events = (0..1999).map(|number| event("new", &format!("10.0.{mail}.{number}"), "")).collect();
        tell(&mut db, mail, CensusReport { events, ..CensusReport::default() });
    }
    assert_eq!(db.device_events(None, None, 100_000).unwrap().len(), usize::try_from(EVENTS_MAX).unwrap());
}

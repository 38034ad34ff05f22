use crate::cli::{Cli, error_code, run};
use crate::db::Db;
use crate::intake::judge;
use crate::sample::{Numbers, Posting, keyring, new_appliance, now, printer, rules};
use clap::Parser as _;
use jiff::SignedDuration;
use mailfmt::message::census::{ApplicationState, CensusReport, ComputerState, DeviceEvent, DiskState};
use mailfmt::message::report::{DeviceState, InventoryDevice, InventoryReport};
use mailfmt::{Limits, Report};

fn file(db: &mut Db, agent: u32, mail: u8, report: Report) {
    let mut posting = Posting::of(agent, report).numbered(mail);
    posting.sequence = mail.into();
    posting.created = crate::sample::later(mail.into());
    let verdict = judge(&posting.raw(), &keyring(2), &Limits::default(), crate::sample::later(60));
    let rules = rules(SignedDuration::from_hours(24));
    db.file(&[verdict], crate::sample::later(60), &rules, &mut Numbers::new(mail.into())).unwrap();
}

/// A home with two appliances that report the same printer; the first one says that it has vanished.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        let home = crate::home::Home::new(place.folder.path());
        let mut db = Db::create(&home.database()).unwrap();
        db.add_appliances(&[new_appliance(1), new_appliance(2)], now()).unwrap();
        let there = DeviceState::Present;
        let gone = DeviceState::Vanished { since: now() };
        for (mail, (agent, state)) in (1..).zip([(1, there), (2, there), (1, gone)]) {
            let devices = vec![InventoryDevice {
                id: Some(printer()),
                address: format!("10.0.{agent}.5"),
                mac: None,
                state,
            }];
            file(&mut db, agent, mail, Report::Inventory(InventoryReport { devices }));
        }
        place
    }

    fn run(&self, args: &[&str]) -> Result<String, anyhow::Error> {
        let home = self.folder.path().to_str().unwrap();
        let cli = Cli::parse_from(["center-manager", "--home", home].iter().chain(args));
        let mut out = Vec::new();
        run(cli, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }
}

#[test]
fn a_device_at_two_sites_shows_in_the_list_and_among_the_conflicts_with_what_to_do() {
    let place = Place::new();
    let list = place.run(&["devices"]).unwrap();
    assert!(list.contains("also at AGENT0000002") && list.contains("also at AGENT0000001"), "{list}");
    assert!(list.contains("vanished since 2026-01-02") && list.contains("| present"), "{list}");
    let conflicts = place.run(&["devices", "conflicts"]).unwrap();
    assert!(conflicts.contains("VD21457943") && conflicts.contains("vanished since"), "{conflicts}");
    assert!(conflicts.contains("devices move --serial"), "{conflicts}");
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["devices", "conflicts", "--format", "json"]).unwrap()).unwrap();
    assert_eq!(json[0]["serial"], "VD21457943");
    assert_eq!((&json[0]["holder"], &json[0]["claimant"]), (&"AGENT0000001".into(), &"AGENT0000002".into()));
}

#[test]
fn the_operator_moves_a_device_and_the_record_says_who_decided() {
    let place = Place::new();
    let done = place
        .run(&[
            "devices",
            "move",
            "--serial",
            "VD21457943",
            "--from",
            "AGENT0000001",
            "--to",
            "AGENT0000002",
            "--by",
            "anna",
        ])
        .unwrap();
    assert!(done.contains("belongs to AGENT0000002 now; its history went with it"), "{done}");
    assert!(place.run(&["devices", "conflicts"]).unwrap().contains("No device is reported by two"));
    assert!(place.run(&["devices", "conflicts", "--all"]).unwrap().contains("moved by anna"));
    assert!(place.run(&["devices"]).unwrap().contains("belongs to AGENT0000002"));
}

#[test]
fn the_operator_keeps_a_device_where_it_is() {
    let place = Place::new();
    let done =
        place.run(&["devices", "keep", "--serial", "VD21457943", "--at", "AGENT0000001", "--by", "anna"]);
    assert!(done.unwrap().contains("conflicts decided: 1"));
    assert!(place.run(&["devices", "conflicts", "--all"]).unwrap().contains("kept by anna"));
}

#[test]
fn a_move_to_where_it_is_or_of_what_is_not_there_is_refused() {
    let place = Place::new();
    let same = ["devices", "move", "--serial", "X", "--from", "AGENT0000001", "--to", "AGENT0000001"];
    assert_eq!(error_code(&place.run(&same).unwrap_err()), 2);
    let missing = ["devices", "keep", "--serial", "X", "--at", "AGENT0000001"];
    let error = place.run(&missing).unwrap_err();
    assert!(error.to_string().contains("reports no device with serial number X"), "{error}");
    assert_eq!(error_code(&error), 1);
}

#[test]
fn what_happened_to_devices_and_how_computers_fare_is_seen_at_the_center() {
    let place = Place::new();
    assert!(place.run(&["devices", "computers"]).unwrap().contains("No appliance watches a computer"));
    let application = |name: &str, rule: &str, running| ApplicationState {
        name: name.to_owned(),
        rule: rule.to_owned(),
        running,
        installed: None,
    };
    let computer = ComputerState {
        device: Some(printer()),
        address: "10.0.1.30".to_owned(),
        name: Some("till-1".to_owned()),
        at: now(),
        started: Some(now()),
        restarts: 3,
        load_percent: Some(12),
        memory_octets: Some(8_000_000_000),
        memory_used_octets: Some(2_000_000_000),
        disks: vec![DiskState { name: "/".to_owned(), octets: 40_000_000_000, used_octets: 10_000_000_000 }],
        applications: vec![application("backup", "required", 0), application("office", "licensed", 2)],
        running: Some(90),
        installed: None,
    };
    let event = DeviceEvent {
        at: now(),
        event: "moved".to_owned(),
        device: Some(printer()),
        kind: Some("mfp".to_owned()),
        address: "10.0.1.9".to_owned(),
        before: Some("10.0.1.5".to_owned()),
    };
    let mut db = Db::open(&crate::home::Home::new(place.folder.path()).database()).unwrap();
    file(&mut db, 1, 9, Report::Census(CensusReport { events: vec![event], computers: vec![computer] }));
    let history = place.run(&["devices", "history", "--serial", &printer().serial]).unwrap();
    assert!(
        history.contains("moved") && history.contains("10.0.1.9") && history.contains("mfp"),
        "{history}"
    );
    let computers = place.run(&["devices", "computers"]).unwrap();
    for word in ["till-1", "12 %", "2.0 GB of 8.0 GB", "/ 25 % of 40.0 GB", "backup missing, office 2x"] {
        assert!(computers.contains(word), "{word}: {computers}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["devices", "computers", "--format", "json"]).unwrap()).unwrap();
    assert_eq!((&json[0]["restarts"], &json[0]["agent"]), (&3.into(), &"AGENT0000001".into()));
}

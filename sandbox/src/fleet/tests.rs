use super::{FetchMix, FleetSettings};
use crate::world::{Door, MailSite, Pace, Protection};
use std::path::PathBuf;

fn settings(devices: usize, each: usize) -> FleetSettings {
    let door = Door { port: 1, protection: Protection::Plain };
    let mail = MailSite {
        host: "127.0.0.1".to_owned(),
        smtp: door,
        pop3: door,
        imap: door,
        ca_file: None,
        site_domain: "site.example".to_owned(),
        center_domain: "center.example".to_owned(),
        password: "none".to_owned(),
    };
    FleetSettings {
        folder: PathBuf::new(),
        mail,
        introductions: Vec::new(),
        release: PathBuf::new(),
        pace: Pace::default(),
        fetch: FetchMix::Both,
        devices: (1..=devices).map(|number| format!("printer{number}")).collect(),
        devices_each: each,
    }
}

fn devices(settings: &FleetSettings, number: u32) -> Vec<&str> {
    settings.devices_of(number).map(String::as_str).collect()
}

#[test]
fn printers_are_shared_out_in_turn() {
    let settings = settings(3, 2);
    assert_eq!(devices(&settings, 1), ["printer1", "printer2"]);
    assert_eq!(devices(&settings, 2), ["printer3", "printer1"]);
    assert_eq!(devices(&settings, 4), ["printer1", "printer2"]);
}

#[test]
fn nobody_watches_a_printer_twice() {
    assert_eq!(devices(&settings(2, 5), 3), ["printer1", "printer2"]);
    assert!(devices(&settings(0, 5), 3).is_empty());
}

use super::*;
use crate::clock::{Known, Reading as ClockReading};
use crate::ledger::MonthEnd;
use mailfmt::message::ledger::LedgerEntry;

/// The time, as a center's message proves it.
fn at(text: &str) -> ClockState {
    let reading = ClockReading::of_wall(text.parse().unwrap());
    let mut known = Known::default();
    known.learn(&crate::clock::Evidence::Message { created: reading.wall }, &reading);
    known.state(&reading)
}

fn device(serial: &str) -> DeviceId {
    DeviceId { vendor: "Maker".into(), model: "One".into(), serial: serial.into() }
}

fn observed(serial: &str, uptime_secs: u64, value: u64) -> Observed {
    Observed {
        device: device(serial),
        address: "10.0.0.5".into(),
        identity: Identity { model: Some("One".into()), serial: Some(serial.into()), mac: None },
        uptime_secs: Some(uptime_secs),
        values: vec![MeterValue {
            name: "total".into(),
            source: "1.3.6.1.2.1.43.10.2.1.4.1.1".into(),
            unit: "impressions".into(),
            value,
        }],
    }
}

struct Site {
    _folder: tempfile::TempDir,
    store: Store,
    settings: LedgerSettings,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let month_end = MonthEnd::new("Europe/Berlin", None, 20).unwrap();
        Self { _folder: folder, store, settings: LedgerSettings { month_end, ..LedgerSettings::default() } }
    }

    fn visit(&mut self, time: &str, observed: &Observed) {
        let settings = &self.settings;
        self.store.change(|change| enter(change, observed, settings, &at(time), "ledger")).unwrap();
    }

    fn entries(&self) -> Vec<LedgerEntry> {
        let entries = self.store.ledger_entries(1, 100).unwrap();
        entries.iter().map(|(_, sealed)| sealed.open().unwrap()).collect()
    }
}

#[test]
fn a_month_of_a_site_in_berlin_is_closed_by_the_first_reading_after_its_deadline() {
    let mut site = Site::new();
    site.visit("2026-11-10T08:00:00Z", &observed("A1", 100_000, 1000));
    site.visit("2026-11-30T18:30:00Z", &observed("A1", 1_865_800, 3000));
    site.visit("2026-11-30T19:00:20Z", &observed("A1", 1_867_620, 3004));
    let closing = site.entries().pop().unwrap();
    assert_eq!((closing.mode.as_str(), closing.closes.as_deref()), ("month-end", Some("2026-11")));
    let untold = site.store.ledger_untold(10).unwrap().unwrap();
    assert!(untold.pressing);
}

#[test]
fn a_machine_that_was_exchanged_is_found_at_its_address_with_the_last_reading_of_the_other() {
    let mut site = Site::new();
    site.visit("2026-11-10T08:00:00Z", &observed("A1", 100_000, 80_000));
    site.visit("2026-11-10T09:00:00Z", &observed("A1", 103_600, 80_040));
    site.visit("2026-11-10T10:00:00Z", &observed("B2", 300, 280_000));
    let entries = site.entries();
    let modes: Vec<_> =
        entries.iter().map(|entry| (entry.device.serial.as_str(), entry.mode.as_str())).collect();
    assert_eq!(modes, [("A1", "first"), ("A1", "before"), ("B2", "first")]);
    let finding = &entries[2].findings[0];
    assert_eq!((finding.class.as_str(), finding.from.entry, finding.from.value), ("swap", 2, 80_040));
    assert_eq!(entries[2].meters[0].sure, 0);
    // The first machine comes back elsewhere: its line goes on, and nothing is lost.
    let elsewhere = Observed { address: "10.0.0.9".into(), ..observed("A1", 500, 80_050) };
    site.visit("2026-11-12T10:00:00Z", &elsewhere);
    let again = site.entries().pop().unwrap();
    assert_eq!((again.device.serial.as_str(), again.meters[0].sure), ("A1", 50));
}

#[test]
fn a_report_brings_entries_by_device_and_is_told_when_somebody_waits_and_nothing_more_comes() {
    let mut site = Site::new();
    site.visit("2026-11-10T08:00:00Z", &observed("A1", 100_000, 80_000));
    let now = at("2026-11-10T08:01:00Z").now;
    let mut looks = Looks::default();
    let untold = |site: &Site| site.store.ledger_untold(ENTRIES_MAX).unwrap().unwrap();
    for _ in 0..5 {
        assert!(!looks.is_due(&untold(&site), now), "nobody waits for it");
    }
    assert!(looks.is_due(&untold(&site), at("2026-11-11T08:00:00Z").now), "once a day");
    site.visit("2026-11-10T09:00:00Z", &observed("A1", 60, 12));
    assert!(!looks.is_due(&untold(&site), now), "more may come");
    assert!(looks.is_due(&untold(&site), now));

    let told = untold(&site);
    let Report::Counters(told) = report(&told.ledger, &told.entries, &site.store).unwrap() else { panic!() };
    let [part] = told.devices.as_slice() else { panic!("{told:?}") };
    let ledger = part.ledger.as_ref().unwrap();
    assert_eq!((ledger.ledger.as_str(), ledger.entries.len()), ("ledger", 2));
    assert!(ledger.entries[1].follows(&ledger.entries[0]));
}

#[test]
fn while_the_clock_is_doubted_no_month_is_closed() {
    let mut site = Site::new();
    site.visit("2026-11-10T08:00:00Z", &observed("A1", 100_000, 80_000));
    let floor = crate::clock::Evidence::Message { created: "2026-11-30T19:00:00Z".parse().unwrap() };
    let boot = std::sync::Arc::from("boot");
    let wall = |text: &str| ClockReading {
        wall: text.parse().unwrap(),
        since_boot: Duration::from_secs(600),
        boot: std::sync::Arc::clone(&boot),
    };
    let mut known = Known::default();
    known.learn(&floor, &wall("2026-11-30T19:00:00Z"));
    let ahead = known.state(&wall("2027-06-01T00:00:00Z"));
    assert!(ahead.is_doubted());
    let settings = site.settings.clone();
    site.store
        .change(|change| enter(change, &observed("A1", 200_000, 80_100), &settings, &ahead, "ledger"))
        .unwrap();
    assert!(site.entries().iter().all(|entry| entry.closes.is_none()));
}

#[test]
fn entries_of_a_report_that_was_given_up_are_told_again() {
    let mut site = Site::new();
    site.visit("2026-11-10T08:00:00Z", &observed("A1", 100_000, 80_000));
    site.visit("2026-11-10T09:00:00Z", &observed("A1", 60, 12));
    let untold = site.store.ledger_untold(ENTRIES_MAX).unwrap().unwrap();
    let now = at("2026-11-10T09:00:00Z").now;
    let outgoing = crate::store::Outgoing {
        id: MessageId::from_bytes([7; 16]),
        center: "CENTER".parse().unwrap(),
        report: report(&untold.ledger, &untold.entries, &site.store).unwrap(),
        in_reply_to: None,
        created: now,
        expires: now,
    };
    let id = site
        .store
        .change(|change| {
            change.note_ledger_told(2)?;
            change.enqueue(&outgoing)
        })
        .unwrap();
    assert!(site.store.ledger_untold(ENTRIES_MAX).unwrap().unwrap().entries.is_empty());
    site.store.change(|change| change.expire(id, now)).unwrap();
    assert_eq!(site.store.ledger_untold(ENTRIES_MAX).unwrap().unwrap().entries.len(), 2);
}

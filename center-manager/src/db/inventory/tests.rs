use super::*;
use crate::db::devices::{DeviceStanding, Readings};
use crate::intake::judge;
use crate::sample::{Numbers, Posting, agent, counters, fleet, jam, keyring, later, now, printer};
use jiff::SignedDuration;
use mailfmt::message::report::InventoryReport;
use mailfmt::{Limits, Report};

/// A center with three appliances, told by their inventories.
struct World {
    db: Db,
    mails: u8,
}

impl World {
    fn new() -> Self {
        Self { db: fleet(3), mails: 0 }
    }

    /// A report made by an appliance so many seconds after the beginning.
    fn report(&mut self, number: u32, report: Report, made: i64) {
        self.mails += 1;
        let mut posting = Posting::of(number, report).numbered(self.mails);
        posting.sequence = self.mails.into();
        posting.created = later(made);
        let verdict = judge(&posting.raw(), &keyring(3), &Limits::default(), later(made));
        let mut numbers = Numbers::new(self.mails.into());
        self.db
            .file(
                &[verdict],
                later(made),
                &crate::sample::rules(SignedDuration::from_hours(24)),
                &mut numbers,
            )
            .unwrap();
    }

    fn inventory(&mut self, number: u32, devices: Vec<InventoryDevice>, made: i64) {
        self.report(number, Report::Inventory(InventoryReport { devices }), made);
    }

    fn states(&self, number: u32) -> Vec<(String, DeviceStanding)> {
        let devices = self.db.devices(Some(&agent(number))).unwrap();
        devices.into_iter().map(|device| (device.device.serial, device.state)).collect()
    }

    fn claims(&self) -> Vec<(AgentId, AgentId)> {
        let conflicts = self.db.device_conflicts(false).unwrap();
        conflicts.into_iter().map(|conflict| (conflict.holder, conflict.claimant)).collect()
    }

    fn totals(&self, number: u32) -> Vec<u64> {
        let readings = self.db.counters(Some(&agent(number)), Readings::All).unwrap();
        readings.into_iter().filter_map(|reading| reading.value).collect()
    }
}

fn device(serial: &str, state: DeviceState) -> InventoryDevice {
    InventoryDevice {
        id: Some(DeviceId { serial: serial.to_owned(), ..printer() }),
        address: "10.0.0.5".to_owned(),
        mac: Some("00:11:22:33:44:55".to_owned()),
        state,
    }
}

fn there(serial: &str) -> InventoryDevice {
    device(serial, DeviceState::Present)
}

fn choice(serial: &str) -> DeviceChoice {
    DeviceChoice { serial: serial.to_owned(), model: None }
}

#[test]
fn an_inventory_registers_devices_with_state_address_and_hardware_address() {
    let mut world = World::new();
    let gone = device("B", DeviceState::Vanished { since: later(-900_000) });
    world.inventory(1, vec![there("A"), gone], 10);
    let standing = [
        ("A".to_owned(), DeviceStanding::Present),
        ("B".to_owned(), DeviceStanding::Vanished { since: later(-900_000) }),
    ];
    assert_eq!(world.states(1), standing);
    let devices = world.db.devices(None).unwrap();
    assert_eq!(
        (devices[0].address.as_str(), devices[0].mac.as_deref()),
        ("10.0.0.5", Some("00:11:22:33:44:55"))
    );
}

#[test]
fn a_device_that_comes_back_is_there_again_and_one_that_is_left_out_is_gone() {
    let mut world = World::new();
    world.inventory(1, vec![device("A", DeviceState::Vanished { since: now() }), there("B")], 10);
    world.inventory(1, vec![there("A")], 20);
    let standing = [
        ("A".to_owned(), DeviceStanding::Present),
        ("B".to_owned(), DeviceStanding::Vanished { since: later(10) }),
    ];
    assert_eq!(world.states(1), standing);
}

#[test]
fn an_inventory_that_was_overtaken_turns_nothing_back() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 20);
    world.inventory(1, vec![device("A", DeviceState::Vanished { since: now() }), there("B")], 10);
    let standing = [("A".to_owned(), DeviceStanding::Present), ("B".to_owned(), DeviceStanding::NotTold)];
    assert_eq!(world.states(1), standing);
}

#[test]
fn a_serial_that_another_site_reports_is_flagged_once_and_not_moved() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 10);
    world.inventory(2, vec![there("A"), there("B")], 20);
    world.inventory(2, vec![there("A"), there("B")], 30);
    world.inventory(1, vec![there("A")], 40);
    assert_eq!(world.claims(), [(agent(1), agent(2))]);
    assert_eq!(world.states(1).len(), 1, "it is still where it was");
    let devices = world.db.devices(None).unwrap();
    let flags: Vec<_> = devices.into_iter().map(|device| (device.agent, device.also_at)).collect();
    assert_eq!(flags, [(agent(1), vec![agent(2)]), (agent(2), vec![agent(1)]), (agent(2), vec![])]);
    let alarms = world.db.alarms(None, false).unwrap();
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].kind.as_str(), alarms[0].subject.as_str()), (CONFLICT_ALARM, "A"));
}

#[test]
fn a_serial_in_any_other_report_is_flagged_as_well() {
    let mut world = World::new();
    world.inventory(1, vec![there(&printer().serial)], 10);
    world.report(2, jam("e1"), 20);
    world.report(3, counters(5, later(30)), 30);
    assert_eq!(world.claims(), [(agent(1), agent(2)), (agent(1), agent(3))]);
}

#[test]
fn devices_that_do_not_tell_who_they_are_are_no_conflict() {
    let mut world = World::new();
    let nameless = InventoryDevice { id: None, ..there("") };
    world.inventory(1, vec![nameless.clone()], 10);
    world.inventory(2, vec![nameless], 20);
    world.report(1, counters(5, later(30)), 30);
    assert_eq!(world.claims(), []);
    assert_eq!(world.states(2).len(), 1);
}

#[test]
fn a_device_of_a_removed_appliance_is_free() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 10);
    world.inventory(2, vec![there("A")], 20);
    world.db.remove_appliance(&agent(1), later(30)).unwrap();
    assert_eq!(world.claims(), [], "its conflicts have decided themselves");
    world.inventory(3, vec![there("A")], 40);
    assert_eq!(world.claims(), [(agent(2), agent(3))]);
}

#[test]
fn a_moved_device_takes_its_history_along_and_its_open_faults_end_where_it_left() {
    let mut world = World::new();
    let serial = printer().serial;
    world.report(1, counters(100, later(5)), 5);
    world.report(1, jam("e1"), 6);
    world.inventory(1, vec![there(&serial)], 10);
    world.inventory(2, vec![there(&serial)], 20);
    world.report(2, counters(140, later(25)), 25);
    world
        .db
        .move_device(&choice(&serial), (&agent(1), &agent(2)), History::Follows, "anna", later(30))
        .unwrap();
    assert_eq!(world.totals(2), [100, 140]);
    assert_eq!(world.totals(1), Vec::<u64>::new());
    assert_eq!(world.db.faults(None, false).unwrap(), []);
    assert_eq!(world.claims(), []);
    assert!(world.db.alarms(None, false).unwrap().is_empty());
    let decided = world.db.device_conflicts(true).unwrap();
    assert_eq!((decided[0].resolution.as_deref(), decided[0].resolved_by.as_str()), (Some("moved"), "anna"));
    let there = world.states(1).into_iter().find(|(named, _)| *named == serial).unwrap();
    assert_eq!(there.1, DeviceStanding::Moved { to: agent(2) });
}

#[test]
fn a_late_word_of_the_old_site_is_no_new_claim_and_a_later_one_is() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 10);
    world.inventory(2, vec![there("A")], 20);
    world.db.move_device(&choice("A"), (&agent(1), &agent(2)), History::Follows, "anna", later(30)).unwrap();
    world.inventory(1, vec![there("A")], 25);
    assert_eq!(world.claims(), [], "made before the decision");
    world.inventory(1, vec![there("A")], 40);
    assert_eq!(world.claims(), [(agent(2), agent(1))]);
}

#[test]
fn history_stays_where_it_was_read_when_the_operator_says_so() {
    let mut world = World::new();
    let serial = printer().serial;
    world.report(1, counters(100, later(5)), 5);
    world.inventory(2, vec![there(&serial)], 20);
    world
        .db
        .move_device(&choice(&serial), (&agent(1), &agent(2)), History::Stays, "anna", later(30))
        .unwrap();
    assert_eq!((world.totals(1), world.totals(2)), (vec![100], vec![]));
}

#[test]
fn a_kept_device_is_not_flagged_again_until_the_operator_moves_it() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 10);
    world.inventory(2, vec![there("A")], 20);
    let (_, decided) = world.db.keep_device(&choice("A"), &agent(1), "anna", later(30)).unwrap();
    assert_eq!(decided, 1);
    world.inventory(2, vec![there("A")], 40);
    world.inventory(1, vec![there("A")], 50);
    assert_eq!(world.claims(), []);
    assert_eq!(world.states(2), [("A".to_owned(), DeviceStanding::Moved { to: agent(1) })]);

    world.db.move_device(&choice("A"), (&agent(1), &agent(2)), History::Follows, "anna", later(60)).unwrap();
    assert_eq!(world.states(2), [("A".to_owned(), DeviceStanding::Present)]);
    world.inventory(1, vec![there("A")], 70);
    assert_eq!(world.claims(), [(agent(2), agent(1))]);
}

#[test]
fn a_device_can_be_moved_before_the_new_site_has_seen_it() {
    let mut world = World::new();
    world.inventory(1, vec![there("A")], 10);
    world.db.move_device(&choice("A"), (&agent(1), &agent(2)), History::Follows, "anna", later(30)).unwrap();
    world.inventory(2, vec![there("A")], 40);
    assert_eq!(world.claims(), []);
}

#[test]
fn a_serial_number_that_is_not_there_or_not_one_device_is_refused_with_what_to_do() {
    let mut world = World::new();
    let other = InventoryDevice {
        id: Some(DeviceId { model: "Other".to_owned(), serial: "A".to_owned(), ..printer() }),
        ..there("A")
    };
    world.inventory(1, vec![there("A"), other], 10);
    let both = (&agent(1), &agent(2));
    let missing = world.db.move_device(&choice("Z"), both, History::Follows, "", later(20)).unwrap_err();
    assert!(missing.to_string().contains("center-manager devices"), "{missing}");
    let several = world.db.move_device(&choice("A"), both, History::Follows, "", later(20)).unwrap_err();
    assert!(several.to_string().contains("--model"), "{several}");
    let one = DeviceChoice { model: Some("Other".to_owned()), ..choice("A") };
    assert!(world.db.move_device(&one, both, History::Follows, "", later(20)).is_ok());
}

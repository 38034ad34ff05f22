//! What holds for every sequence of readings.

use super::*;
use proptest::prelude::*;

/// What happens to a machine between two visits.
#[derive(Debug, Clone)]
enum Happening {
    Prints(u64),
    PowerCycle { forgets: u64 },
    Reset,
    Board { keeps: bool },
    Swap { to: u64 },
    OtherSource,
    Garbage(u64),
    Silence { hours: i64 },
    ReadAgain,
    ReadOld,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0u64..400).prop_map(Happening::Prints),
        3 => (0u64..=10).prop_map(|forgets| Happening::PowerCycle { forgets }),
        1 => Just(Happening::Reset),
        1 => any::<bool>().prop_map(|keeps| Happening::Board { keeps }),
        1 => (0u64..300_000).prop_map(|to| Happening::Swap { to }),
        2 => Just(Happening::OtherSource),
        1 => (30_000_000u64..90_000_000).prop_map(Happening::Garbage),
        1 => (1i64..100).prop_map(|hours| Happening::Silence { hours }),
        1 => Just(Happening::ReadAgain),
        1 => Just(Happening::ReadOld),
    ]
}

/// A machine that counts to seven digits, and what it really printed.
struct Machine {
    minutes: i64,
    booted: i64,
    count: u64,
    printed: u64,
    identity: Identity,
    serials: u32,
    read: Vec<(i64, i64, Vec<MeterValue>)>,
}

impl Machine {
    fn print(&mut self, pages: u64) {
        self.count = (self.count + pages) % 10_000_000;
        self.printed += pages;
    }

    fn boot(&mut self) {
        self.booted = self.minutes + 50;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The position never falls, and never exceeds what was printed: whatever else is claimed stands as a finding.
    #[test]
    fn nothing_is_counted_that_was_not_printed(
        count in prop_oneof![20_000u64..900_000, 9_990_000u64..9_999_999],
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let mut visits = Visits::new();
        let mut machine = Machine { minutes: 0, booted: -10_000, count, printed: 0, identity: identity(), serials: 0, read: vec![] };
        let (mut last_position, mut strange) = (0, false);
        visits.total(0, 10_000, count);
        for happening in &happenings {
            let mut source = LIFE;
            let mut garbage = None;
            let mut again = None;
            match happening {
                Happening::Prints(pages) => machine.print(*pages),
                // What it forgets was printed all the same.
                Happening::PowerCycle { forgets } => {
                    machine.boot();
                    machine.count = machine.count.saturating_sub((*forgets).min(machine.printed));
                }
                Happening::Reset => { machine.boot(); machine.count = 0; machine.print(3); }
                Happening::Board { keeps } => {
                    machine.boot();
                    machine.serials += 1;
                    machine.identity.mac = Some(format!("00:11:22:00:00:{:02x}", machine.serials % 256));
                    if !keeps { machine.count = 0; }
                    machine.print(2);
                }
                Happening::Swap { to } => {
                    machine.boot();
                    machine.serials += 1;
                    machine.identity.serial = Some(format!("S{}", machine.serials));
                    machine.count = *to;
                }
                Happening::OtherSource => { source = PRIVATE; machine.print(5); }
                Happening::Garbage(value) => garbage = Some(*value),
                Happening::Silence { hours } => machine.minutes += hours * 60,
                Happening::ReadAgain => again = machine.read.last().cloned(),
                Happening::ReadOld => again = machine.read.len().checked_sub(3).map(|nth| machine.read[nth].clone()),
            }
            machine.minutes += 60;
            visits.identity = machine.identity.clone();
            let uptime = machine.minutes - machine.booted;
            let shown = if source == PRIVATE { machine.count + 8_546 } else { machine.count };
            let now = (machine.minutes, uptime, vec![total(source, garbage.unwrap_or(shown))]);
            let (minutes, uptime, values) = again.unwrap_or_else(|| now.clone());
            machine.read.push((minutes, uptime, values.clone()));
            strange |= garbage.is_some();
            visits.visit(minutes, uptime, values);
            let position = visits.position();
            prop_assert!(position >= last_position, "the position fell");
            last_position = position;
            let reviewed = visits.findings().iter().any(|(_, review)| *review);
            prop_assert!(position <= machine.printed || (strange && reviewed),
                "{position} counted, {} printed", machine.printed);
        }
    }

    /// The same story read twice as often gives the same count, and a doubled reading nothing more.
    #[test]
    fn readings_that_come_twice_or_are_missing_change_no_count(
        pages in prop::collection::vec(0u64..300, 2..60),
        skip in prop::collection::vec(any::<bool>(), 60),
        double in prop::collection::vec(any::<bool>(), 60),
    ) {
        let (mut whole, mut part) = (Visits::new(), Visits::new());
        let mut count = 70_000;
        let last = pages.len() - 1;
        for (nth, pages) in pages.iter().enumerate() {
            count += pages;
            let minutes = i64::try_from(nth).unwrap() * 60;
            whole.total(minutes, 600 + minutes, count);
            if nth == 0 || nth == last || !skip[nth] {
                part.total(minutes, 600 + minutes, count);
                if double[nth] {
                    part.total(minutes, 600 + minutes, count);
                }
            }
        }
        prop_assert_eq!(whole.position(), part.position());
        prop_assert!(whole.findings().is_empty() && part.findings().is_empty());
    }
}

#[test]
fn a_quiet_day_makes_one_entry_and_a_busy_one_no_more() {
    let mut visits = Visits::new();
    for hour in 0..48 {
        visits.total(hour * 60, 600 + hour * 60, 1000 + hour.unsigned_abs() * 10);
    }
    assert_eq!(visits.entries.len(), 2);
}

#[test]
fn counts_of_parts_and_since_power_on_are_no_meters() {
    for name in
        ["since-power-on", "since_power_on-2", "toner_remaining", "drum_counter", "fuser_remaining_pages"]
    {
        assert!(!MeterValue { name: name.into(), ..total(LIFE, 1) }.is_meter(), "{name}");
    }
    for name in ["total", "total-2", "marker_life", "copy_color", "duplex", "paper_a4"] {
        assert!(MeterValue { name: name.into(), ..total(LIFE, 1) }.is_meter(), "{name}");
    }
}

#[test]
fn a_device_whose_objects_change_with_every_visit_does_not_fill_the_store() {
    let mut visits = Visits::new();
    for visit in 0..1500 {
        visits.visit(visit, 600 + visit, vec![total(&format!("1.3.6.1.4.1.9.{visit}"), 1)]);
    }
    let kept = serde_json::to_string(&visits.line).unwrap();
    assert!(kept.len() < 1_000_000, "{} octets", kept.len());
}

use super::*;
use mailfmt::message::ledger::LedgerEpoch;

fn placed(sequence: u64, ledger: &str, meters: Vec<LedgerMeter>) -> Placed {
    Placed {
        ledger: ledger.to_owned(),
        sequence,
        fits: true,
        entry: LedgerEntry {
            device: device(),
            address: String::new(),
            at: "2026-11-30T19:00:00Z".parse().unwrap(),
            clock_sure: true,
            uptime_secs: None,
            epoch: LedgerEpoch { number: 1, serial: None, mac: None, model: None },
            mode: "month-end".to_owned(),
            closes: None,
            between: None,
            meters,
            findings: Vec::new(),
        },
    }
}

fn device() -> DeviceId {
    DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() }
}

fn meter(name: &str, value: u64, sure: u64, doubts: u32) -> LedgerMeter {
    LedgerMeter {
        number: 1,
        name: name.to_owned(),
        source: "1.3.6.1".to_owned(),
        unit: "impressions".to_owned(),
        value,
        sure,
        doubts,
        leads: true,
    }
}

fn month(from: Placed, to: Placed) -> DeviceMonth {
    DeviceMonth {
        agent: "AGENT0000001".parse().unwrap(),
        customer: "Customer".to_owned(),
        device: device(),
        from: Some(from),
        from_closes: true,
        to,
        closes: true,
        earlier: Vec::new(),
        findings: Vec::new(),
        missing: 0,
        also_at: Vec::new(),
    }
}

#[test]
fn a_month_is_a_year_and_one_of_twelve() {
    let month: Month = "2026-01".parse().unwrap();
    assert_eq!(month.before().as_str(), "2025-12");
    assert_eq!("2026-11".parse::<Month>().unwrap().before().as_str(), "2026-10");
    for wrong in ["2026-13", "2026-00", "2026-1", "26-01", "2026/01", "2026-1x", "", "-2026-01"] {
        assert!(wrong.parse::<Month>().is_err(), "{wrong}");
    }
}

#[test]
fn pages_are_the_difference_of_two_positions_with_their_readings() {
    let from = placed(4, "a", vec![meter("total", 1_000, 500, 0)]);
    let to = placed(9, "a", vec![meter("total", 1_400, 900, 0)]);
    let lines = month(from, to).lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((line.pages, line.flags.len(), line.estimated), (Some(400), 0, false));
    let (from, to) = (line.from.as_ref().unwrap(), line.to.as_ref().unwrap());
    assert_eq!((from.entry, from.value, to.entry, to.value), (4, 1_000, 9, 1_400));
    assert_eq!(to.source, "1.3.6.1");
}

#[test]
fn positions_of_two_ledgers_are_never_subtracted() {
    let from = placed(4, "a", vec![meter("total", 1_000, 500, 0)]);
    let to = placed(2, "b", vec![meter("total", 1_400, 20, 0)]);
    let lines = month(from, to).lines();
    assert_eq!(lines[0].pages, None);
    assert!(lines[0].flags.iter().any(|flag| flag.contains("another ledger")), "{:?}", lines[0].flags);
}

#[test]
fn a_finding_whose_entry_was_lost_is_missed_by_its_number() {
    let from = placed(4, "a", vec![meter("total", 1_000, 500, 1)]);
    let to = placed(9, "a", vec![meter("total", 1_400, 700, 2)]);
    let lines = month(from, to).lines();
    assert!(lines[0].flags.iter().any(|flag| flag.contains("has not come")), "{:?}", lines[0].flags);
}

#[test]
fn a_counter_that_is_not_told_at_the_end_counts_up_to_its_last_reading() {
    let from = placed(4, "a", vec![meter("total", 1_000, 500, 0), meter("color", 10, 10, 0)]);
    let to = placed(9, "a", vec![meter("total", 1_400, 900, 0)]);
    let mut month = month(from, to);
    month.earlier = vec![placed(7, "a", vec![meter("color", 25, 25, 0)])];
    let lines = month.lines();
    let line = lines.iter().find(|line| line.name == "color").unwrap();
    assert_eq!((line.pages, line.to.as_ref().unwrap().entry), (Some(15), 7));
    assert!(line.flags[0].contains("not told at the end"), "{:?}", line.flags);
}

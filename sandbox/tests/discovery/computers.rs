//! Computers: what runs, what is missing, what is full, when they start anew.

use super::*;
use async_snmp::{Oid, Value};
use mailfmt::message::census::{CensusReport, ComputerState};
use monitor_appliance::settings::{Application, Computers, Rule};

/// A computer with two programs, one of them wanted, and a disk of 1,000 blocks.
fn computer() -> Arc<Recording> {
    let rows = [
        "1.3.6.1.2.1.1.1.0|4|Linux till 6.1",
        "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.8072.3.2.10",
        "1.3.6.1.2.1.1.3.0|67|500000",
        "1.3.6.1.2.1.1.5.0|4|till-1",
        "1.3.6.1.2.1.1.7.0|2|72",
        "1.3.6.1.2.1.2.2.1.6.2|4x|020000000007",
        "1.3.6.1.2.1.25.1.1.0|67|600000",
        "1.3.6.1.2.1.25.2.2.0|2|8000000",
        "1.3.6.1.2.1.25.2.3.1.2.1|6|1.3.6.1.2.1.25.2.1.2",
        "1.3.6.1.2.1.25.2.3.1.2.31|6|1.3.6.1.2.1.25.2.1.4",
        "1.3.6.1.2.1.25.2.3.1.3.1|4|Physical memory",
        "1.3.6.1.2.1.25.2.3.1.3.31|4|/",
        "1.3.6.1.2.1.25.2.3.1.4.1|2|1024",
        "1.3.6.1.2.1.25.2.3.1.4.31|2|4096",
        "1.3.6.1.2.1.25.2.3.1.5.1|2|8000000",
        "1.3.6.1.2.1.25.2.3.1.5.31|2|1000",
        "1.3.6.1.2.1.25.2.3.1.6.1|2|2000000",
        "1.3.6.1.2.1.25.2.3.1.6.31|2|400",
        "1.3.6.1.2.1.25.3.3.1.2.196608|2|7",
        "1.3.6.1.2.1.25.4.2.1.2.1|4|init",
        "1.3.6.1.2.1.25.4.2.1.2.90|4|till",
        "1.3.6.1.2.1.25.4.2.1.7.1|2|2",
        "1.3.6.1.2.1.25.4.2.1.7.90|2|1",
        "1.3.6.1.2.1.25.6.3.1.2.1|4|till-2.1",
    ];
    Arc::new(Recording::parse(&rows.map(|row| format!("{row}\n")).concat(), "till").unwrap())
}

fn rules() -> Computers {
    let application = |name: &str, rule| Application { name: name.to_owned(), rule, computers: Vec::new() };
    Computers {
        read: Duration::from_millis(50),
        report: Duration::from_millis(50),
        applications: vec![
            application("till", Rule::Required),
            application("*miner*", Rule::Forbidden),
            application("till-*", Rule::Licensed { licences: 0 }),
        ],
        ..Computers::default()
    }
}

impl Appliance {
    fn reports(&self) -> Vec<Report> {
        let store = self.store();
        let mut rows: Vec<_> = store.outbox_waiting(10_000).unwrap().iter().map(|row| row.id).collect();
        rows.sort_unstable();
        let report = |id| match store.outbox_message(id).unwrap() {
            Message::Report(report) => Some(report),
            _ => None,
        };
        rows.into_iter().filter_map(report).collect()
    }

    fn census(&self) -> Vec<CensusReport> {
        let of = |report| match report {
            Report::Census(census) => Some(census),
            _ => None,
        };
        self.reports().into_iter().filter_map(of).collect()
    }

    fn computers(&self) -> Vec<ComputerState> {
        self.census().into_iter().flat_map(|census| census.computers).collect()
    }

    fn faults(&self) -> Vec<String> {
        self.store().open_faults().unwrap().into_iter().map(|fault| fault.code).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_computer_is_found_read_and_told_and_what_is_wrong_with_it_is_a_fault_until_it_is_put_right() {
    let site = Site::new(17).await;
    let till = Printer::start(computer(), site.settings(2)).await.unwrap();
    let range = RangeEntry { others: true, ..site.range(2, 3) };
    let mut appliance = Appliance::with(vec![range], |settings| settings.computers = rules());
    appliance.start();
    until("the computer to be told", || !appliance.computers().is_empty()).await;
    let state = appliance.computers().remove(0);
    assert_eq!(
        (state.name.as_deref(), state.load_percent, state.running),
        (Some("till-1"), Some(7), Some(2))
    );
    assert_eq!(state.memory_used_octets, Some(2_048_000_000));
    assert_eq!((state.disks.len(), state.disks[0].octets, state.restarts), (1, 4_096_000, 0));
    let stands: Vec<_> = state.applications.iter().map(|one| (one.name.as_str(), one.running)).collect();
    assert_eq!(stands, [("till", 1), ("*miner*", 0), ("till-*", 0)]);
    assert!(appliance.faults().is_empty());
    let alarm =
        |name: &str| appliance.store().alarms().unwrap().iter().any(|alarm| alarm.name.starts_with(name));
    until("the licence to be missed", || alarm("licences-exceeded")).await;

    let name = Oid::from_slice(&[1, 3, 6, 1, 2, 1, 25, 4, 2, 1, 2, 90]);
    till.set(name.clone(), Value::OctetString("cryptominer".into()));
    until("both faults", || appliance.faults().len() == 2).await;
    let mut codes = appliance.faults();
    codes.sort();
    assert_eq!(codes, ["application-forbidden", "application-missing"]);
    till.set(name, Value::OctetString("till".into()));
    until("both to be over", || appliance.faults().is_empty()).await;

    till.set(Oid::from_slice(&[1, 3, 6, 1, 2, 1, 25, 1, 1, 0]), Value::TimeTicks(100));
    until("the restart to be told", || appliance.computers().iter().any(|state| state.restarts == 1)).await;
    appliance.end().await;
    let events: Vec<_> = appliance.census().into_iter().flat_map(|census| census.events).collect();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.event.as_str(), event.kind.as_deref()), ("new", Some("computer")));
}

use super::*;
use crate::device::Storage;

fn at(secs: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

fn id() -> DeviceId {
    DeviceId { vendor: "unknown".into(), model: "unknown".into(), serial: "mac:00:00:00:00:00:01".into() }
}

fn rules(applications: &[(&str, Rule)]) -> Computers {
    let listed = |(name, rule): &(&str, Rule)| Application {
        name: (*name).to_owned(),
        rule: *rule,
        computers: Vec::new(),
    };
    Computers { applications: applications.iter().map(listed).collect(), ..Computers::default() }
}

fn running(names: &[&str]) -> Software {
    let program = |name: &&str| Program { name: (*name).to_owned(), path: None };
    Software { running: Some(names.iter().map(program).collect()), installed: None }
}

/// A computer that is looked at again and again.
struct Watched {
    memory: ComputerMemory,
    rules: Computers,
}

impl Watched {
    fn look(&mut self, host: &Host, software: &Software, secs: i64) -> Looked {
        let id = id();
        let subject = Subject { id: &id, address: "10.0.0.7", name: Some("till-1") };
        let looked = look(&self.memory, &subject, host, software, &self.rules, at(secs));
        self.memory = serde_json::from_str(&serde_json::to_string(&looked.memory).unwrap()).unwrap();
        looked
    }

    fn codes(&mut self, software: &Software, secs: i64) -> (Vec<String>, usize) {
        let looked = self.look(&Host::default(), software, secs);
        (looked.started.iter().map(|(_, report)| report.code.clone()).collect(), looked.cleared.len())
    }
}

fn watched(applications: &[(&str, Rule)]) -> Watched {
    Watched { memory: ComputerMemory::default(), rules: rules(applications) }
}

const NONE: (Vec<String>, usize) = (Vec::new(), 0);

#[test]
fn a_required_application_that_does_not_run_is_a_fault_from_the_second_look_on_and_once() {
    let mut till = watched(&[("till", Rule::Required)]);
    assert_eq!(till.codes(&running(&["init", "Till"]), 0), NONE);
    assert_eq!(till.codes(&running(&["init"]), 300), NONE, "it may be starting");
    assert_eq!(till.codes(&running(&["init"]), 600), (vec!["application-missing".to_owned()], 0));
    assert_eq!(till.codes(&running(&["init"]), 900), NONE, "it is known");
    assert_eq!(till.codes(&Software::default(), 1200), NONE, "it does not tell what runs");
    assert_eq!(till.codes(&running(&["init", "till"]), 1500), (Vec::new(), 1));
    assert_eq!(till.codes(&running(&["init"]), 1800), NONE);
}

#[test]
fn a_fault_ends_under_the_name_under_which_it_began() {
    let mut till = watched(&[("till", Rule::Required)]);
    till.look(&Host::default(), &running(&["init"]), 0);
    let began = till.look(&Host::default(), &running(&["init"]), 300);
    let ended = till.look(&Host::default(), &running(&["till"]), 600);
    assert_eq!(began.started[0].1.episode, ended.cleared[0].episode);
    assert_eq!((began.started[0].1.since, began.started[0].0.address.as_str()), (at(0), "10.0.0.7"));
}

#[test]
fn a_forbidden_application_is_a_fault_where_it_runs_or_is_installed() {
    let mut office = watched(&[("*miner*", Rule::Forbidden)]);
    let installed = Software { installed: Some(["coinminer-1.0".to_owned()].into()), ..running(&["init"]) };
    office.codes(&installed, 0);
    assert_eq!(office.codes(&installed, 300).0, ["application-forbidden"]);
    let mut office = watched(&[("*miner*", Rule::Forbidden)]);
    let by_path = Software {
        running: Some(vec![Program { name: "svc".into(), path: Some(r"C:\tools\miner.exe".into()) }]),
        installed: None,
    };
    office.codes(&by_path, 0);
    assert_eq!(office.codes(&by_path, 300).0, ["application-forbidden"]);
}

#[test]
fn what_is_taken_off_the_list_is_no_fault_any_more() {
    let mut till = watched(&[("till", Rule::Required)]);
    till.codes(&running(&["init"]), 0);
    till.codes(&running(&["init"]), 300);
    till.rules = rules(&[]);
    assert_eq!(till.codes(&running(&["init"]), 600), (Vec::new(), 1));
}

#[test]
fn a_full_disk_is_a_fault_and_memory_is_none() {
    let storage = |kind, used| Storage {
        kind,
        description: Some("/".to_owned()),
        size_bytes: Some(1000),
        used_bytes: Some(used),
    };
    let host = Host {
        storage: vec![storage(StorageKind::FixedDisk, 960), storage(StorageKind::Ram, 990)],
        processor_load_percent: vec![10, 21],
        ..Host::default()
    };
    let mut pc = watched(&[]);
    pc.look(&host, &Software::default(), 0);
    let looked = pc.look(&host, &Software::default(), 300);
    assert_eq!(looked.started[0].1.description, "/ is 96 % full");
    assert_eq!(looked.started.len(), 1);
    let state = looked.state;
    assert_eq!((state.load_percent, state.memory_used_octets, state.disks.len()), (Some(15), Some(990), 1));
}

#[test]
fn a_restart_is_told_by_the_uptime_and_a_counter_that_begins_again_is_none() {
    let mut pc = watched(&[]);
    let up = |secs| Host { uptime_secs: Some(secs), ..Host::default() };
    assert!(!pc.look(&up(1000), &Software::default(), 0).restarted);
    assert!(!pc.look(&up(1300), &Software::default(), 300).restarted);
    let looked = pc.look(&up(40), &Software::default(), 600);
    assert_eq!((looked.restarted, looked.state.restarts, looked.state.started), (true, 1, Some(at(560))));
    assert!(!pc.look(&Host::default(), &Software::default(), 900).restarted, "it does not tell");
    assert!(pc.look(&up(1000), &Software::default(), 9000).restarted, "it was off for hours");
    assert!(!has_restarted(WRAP_SECS - 100, 200, 300));
    assert!(has_restarted(WRAP_SECS / 2, 200, 300));
}

#[test]
fn licences_are_counted_over_all_computers() {
    let rules = rules(&[("office", Rule::Licensed { licences: 1 })]);
    let mut pc = Watched { memory: ComputerMemory::default(), rules: rules.clone() };
    let one = pc.look(&Host::default(), &running(&["office"]), 0).state;
    let none = pc.look(&Host::default(), &running(&["init"]), 0).state;
    assert!(licence_alarms(&rules, &[one.clone(), none.clone()]).is_empty());
    let alarms = licence_alarms(&rules, &[one.clone(), one, none]);
    assert_eq!(alarms["licences-exceeded office"], "office is on 2 computers, and there are 1 licences");
}

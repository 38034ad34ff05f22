//! The device watch's loop against a printer that answers SNMP in the same process.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

// The printer of the SNMP tests; this program needs only part of it.
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../src/snmp/tests/agent.rs"]
mod agent;

use agent::{Agent, Manner};
use async_snmp::Value;
use mailfmt::Report;
use mailfmt::message::{Message, SupplyLevel};
use monitor_appliance::context::system_clock;
use monitor_appliance::settings::{DeviceEntry, SnmpAccess};
use monitor_appliance::snmp::Secret;
use monitor_appliance::{Context, Layout, Settings, Store, device_watch, shutdown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SETTINGS: &str = r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"
[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp = { host = "127.0.0.1", port = 25, security = "plain" }
fetch = "pop3"
fetch_server = { host = "127.0.0.1", port = 110, security = "plain" }
"#;

fn text(text: &str) -> Value {
    Value::OctetString(text.as_bytes().to_vec().into())
}

/// A printer with a paper jam.
fn printer() -> Vec<(&'static str, Value)> {
    vec![
        ("1.3.6.1.2.1.1.1.0", text("Lexmark T640 version NS.NP.N219 kernel 2.6.6 All-N-1")),
        ("1.3.6.1.2.1.1.3.0", Value::TimeTicks(123_400)),
        ("1.3.6.1.2.1.25.3.2.1.3.1", text("Lexmark T640")),
        ("1.3.6.1.2.1.25.3.2.1.5.1", Value::Integer(5)),
        ("1.3.6.1.2.1.43.5.1.1.17.1", text("7930XYZ")),
        ("1.3.6.1.2.1.43.10.2.1.3.1.1", Value::Integer(7)),
        ("1.3.6.1.2.1.43.10.2.1.4.1.1", Value::Counter32(4191)),
        ("1.3.6.1.2.1.43.11.1.1.6.1.1", text("Black Cartridge")),
        ("1.3.6.1.2.1.43.11.1.1.8.1.1", Value::Integer(100)),
        ("1.3.6.1.2.1.43.11.1.1.9.1.1", Value::Integer(-3)),
        ("1.3.6.1.2.1.43.18.1.1.2.1.9", Value::Integer(3)),
        ("1.3.6.1.2.1.43.18.1.1.4.1.9", Value::Integer(13)),
        ("1.3.6.1.2.1.43.18.1.1.7.1.9", Value::Integer(8)),
        ("1.3.6.1.2.1.43.18.1.1.8.1.9", text("Paper jam")),
    ]
}

struct Site {
    _home: tempfile::TempDir,
    context: Context,
    address: String,
}

impl Site {
    fn new(printer: &Agent) -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = printer.address.to_string();
        let mut settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
        settings.timers.fault_poll = Duration::from_millis(50);
        settings.devices.push(DeviceEntry {
            address: address.clone(),
            access: SnmpAccess::V2c { community: Secret::new("public") },
        });
        let context = Context::new(Layout::new(home.path()), settings, Arc::new(system_clock));
        Self { _home: home, context, address }
    }

    fn store(&self) -> Store {
        self.context.open_store().unwrap()
    }

    fn reports(&self) -> Vec<Report> {
        let store = self.store();
        let rows = store.outbox_waiting(100).unwrap();
        let message = |id| match store.outbox_message(id).unwrap() {
            Message::Report(report) => report,
            other => panic!("{other:?}"),
        };
        rows.iter().map(|row| message(row.id)).collect()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jam_and_the_counters_of_a_printer_are_stored_and_a_kill_doubles_no_report() {
    let printer = Agent::start(&printer(), Manner::Well).await;
    let site = Site::new(&printer);
    let (_handle, asked_to_end) = shutdown();
    let killed = tokio::spawn(device_watch::run(site.context.clone(), asked_to_end));
    until("the jam", || !site.reports().is_empty()).await;
    killed.abort();
    let _ = killed.await;

    let asked_before = printer.requests();
    let (handle, asked_to_end) = shutdown();
    let watch = tokio::spawn(device_watch::run(site.context.clone(), asked_to_end));
    until("further visits", || printer.requests() >= asked_before + 20).await;
    handle.request();
    watch.await.unwrap().unwrap();

    let reports = site.reports();
    let [Report::Fault(fault)] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((fault.code.as_str(), fault.device.serial.as_str()), ("jam", "7930XYZ"));
    assert_eq!(fault.description, "Paper jam");
    let store = site.store();
    let reading = store.latest_reading(&site.address).unwrap().unwrap();
    assert_eq!((reading.counters[0].name.as_str(), reading.counters[0].value), ("total", 4191));
    assert_eq!(reading.counters[0].unit, "impressions");
    assert_eq!(reading.supplies[0].level, SupplyLevel::SomeRemains);
    let row = store.device(&site.address).unwrap().unwrap();
    assert!(row.answering);
    assert_eq!(store.open_faults().unwrap().len(), 1);
    assert!(store.busy().unwrap().is_empty(), "an ended watch holds nothing up");
    assert!(store.heartbeats().unwrap().iter().any(|sign| sign.module == device_watch::MODULE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_without_devices_gives_signs_of_life() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
    settings.timers.heartbeat = Duration::from_millis(20);
    let context = Context::new(Layout::new(home.path()), settings, Arc::new(system_clock));
    let (handle, asked_to_end) = shutdown();
    let watch = tokio::spawn(device_watch::run(context.clone(), asked_to_end));
    let store = context.open_store().unwrap();
    until("several signs of life", || store.heartbeats().unwrap().iter().any(|sign| sign.beats >= 3)).await;
    handle.request();
    watch.await.unwrap().unwrap();
}

//! Finding devices: scans, moves and disappearances, against the sandbox's printers on loopback addresses.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

use async_snmp::DecodeConfig;
use async_snmp::message::CommunityMessage;
use jiff::{SignedDuration, Timestamp};
use mailfmt::Report;
use mailfmt::message::Message;
use mailfmt::message::report::{DeviceState, InventoryDevice};
use monitor_appliance::device::interpret;
use monitor_appliance::device_watch::credential;
use monitor_appliance::discovery::{DeviceKind, Scan, ScanProgress, Surroundings, TryBook, order, scan};
use monitor_appliance::inventory::{self, Registered};
use monitor_appliance::profile::Profiles;
use monitor_appliance::settings::{Discovery, RangeEntry, SnmpAccess};
use monitor_appliance::snmp::{
    AuthProtocol, DeviceTarget, PrivacyProtocol, ReadLimits, Secret, SnmpCredential, SnmpReader,
};
use monitor_appliance::store::SharedStore;
use monitor_appliance::{Context, Layout, Settings, Store, device_watch, shutdown};
use sandbox::printers::{Printer, PrinterSettings, Recording, V3User};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

mod announced;
mod appliance;
mod computers;
mod scan;

const PASSWORD: &str = "correct horse battery";

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

/// The end of a listening address: each test has a /24 of the loopback network for itself.
fn address(net: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, net, host)
}

fn recordings() -> Vec<Arc<Recording>> {
    Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers")).unwrap()
}

/// A port of the loopback network that is free on all of the test's addresses, most likely.
async fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

struct Site {
    net: u8,
    port: u16,
    recordings: Vec<Arc<Recording>>,
}

impl Site {
    async fn new(net: u8) -> Self {
        Self { net, port: free_port().await, recordings: recordings() }
    }

    fn settings(&self, host: u8) -> PrinterSettings {
        PrinterSettings { bind: (address(self.net, host), self.port).into(), ..PrinterSettings::default() }
    }

    async fn start(&self, host: u8, settings: PrinterSettings, serial: &str) -> Printer {
        let recording = Arc::clone(&self.recordings[usize::from(host) % self.recordings.len()]);
        let printer = Printer::start(recording, settings).await.unwrap();
        printer.set_serial(serial);
        printer
    }

    /// A printer with community `public`; its serial number is made of its host number.
    async fn printer(&self, host: u8) -> Printer {
        self.start(host, self.settings(host), &serial(host)).await
    }

    fn at(&self, host: u8) -> String {
        format!("{}:{}", address(self.net, host), self.port)
    }

    fn range(&self, from: u8, to: u8) -> RangeEntry {
        RangeEntry::new(format!("{}-{to}:{}", address(self.net, from), self.port).parse().unwrap())
    }
}

fn serial(host: u8) -> String {
    format!("SERIAL{host:04}")
}

fn pace() -> Discovery {
    Discovery { answer_wait: Duration::from_millis(500), per_second: 2000, ..Discovery::default() }
}

async fn look(ranges: &[RangeEntry]) -> Scan {
    look_with(ranges, &pace(), &|_| {}).await
}

async fn look_with(ranges: &[RangeEntry], pace: &Discovery, told: &(dyn Fn(ScanProgress) + Sync)) -> Scan {
    look_in(None, SignedDuration::ZERO, ranges, pace, told).await
}

/// A scan that remembers in a store what was tried, some time from now.
async fn look_later(store: &Path, later: SignedDuration, ranges: &[RangeEntry]) -> Scan {
    look_in(Some(Store::open(store).unwrap()), later, ranges, &pace(), &|_| {}).await
}

async fn look_in(
    store: Option<Store>,
    later: SignedDuration,
    ranges: &[RangeEntry],
    pace: &Discovery,
    told: &(dyn Fn(ScanProgress) + Sync),
) -> Scan {
    let reader = SnmpReader::bind().await.unwrap();
    let layout = Layout::new(Path::new("/nowhere"));
    let wire = |access: &SnmpAccess| credential(&layout, access).map_err(|error| error.to_string());
    let now = || monitor_appliance::context::system_clock().wall.saturating_add(later).unwrap();
    let tries = store.as_ref().map(|store| store.credential_tries().unwrap()).unwrap_or_default();
    let store = store.map(SharedStore::new);
    let around = Surroundings {
        reader: &reader,
        profiles: &Profiles::built_in(),
        credential: &wire,
        known: &|_| None,
        keep: &|tries| match &store {
            Some(store) => store.keep_tries(tries),
            None => Box::pin(async { Ok(()) }),
        },
        now: &now,
        progress: told,
    };
    scan(&around, &order(ranges, pace, |_| false), TryBook::of(tries, now())).await
}

fn serials(scan: &Scan) -> BTreeSet<String> {
    scan.found.iter().filter_map(|device| device.identity.serial.clone()).collect()
}

fn v3_user(folder: &Path, password: &str) -> SnmpAccess {
    let file = folder.join(format!("{}.password", password.replace(' ', "-")));
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    SnmpAccess::V3 {
        user: "monitor".to_owned(),
        auth: Some((AuthProtocol::Sha256, file.clone())),
        privacy: Some((PrivacyProtocol::Aes128, file)),
    }
}

/// An appliance that watches a range, with a clock of its own.
struct Appliance {
    _home: tempfile::TempDir,
    context: Context,
    ahead: Arc<AtomicI64>,
    ending: Option<(monitor_appliance::ShutdownHandle, tokio::task::JoinHandle<()>)>,
}

impl Appliance {
    fn new(ranges: Vec<RangeEntry>) -> Self {
        Self::with(ranges, |_| {})
    }

    fn with(ranges: Vec<RangeEntry>, more: impl FnOnce(&mut Settings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
        settings.timers.fault_poll = Duration::from_millis(100);
        settings.ranges = ranges;
        settings.discovery = Discovery { inventory_pause: Duration::from_millis(300), ..pace() };
        more(&mut settings);
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = clock(Arc::clone(&ahead));
        let context = Context::new(Layout::new(home.path()), settings, clock);
        // The set-up makes the store before any module opens it.
        context.open_store().unwrap();
        Self { _home: home, context, ahead, ending: None }
    }

    fn start(&mut self) {
        let (handle, asked_to_end) = shutdown();
        let watch = device_watch::run(self.context.clone(), asked_to_end);
        self.ending = Some((handle, tokio::spawn(async move { watch.await.unwrap() })));
    }

    async fn end(&mut self) {
        let (handle, task) = self.ending.take().unwrap();
        handle.request();
        task.await.unwrap();
    }

    /// The time jumps.
    fn pass(&self, hours: i64) {
        self.ahead.fetch_add(hours * 3600, Ordering::SeqCst);
    }

    fn store(&self) -> Store {
        self.context.open_store().unwrap()
    }

    fn inventory(&self) -> Vec<InventoryDevice> {
        inventory::collect(&self.store(), &self.context.settings).unwrap()
    }

    /// Serial number, address, and whether it has vanished.
    fn devices(&self) -> Vec<(String, String, bool)> {
        let vanished = |device: &InventoryDevice| device.state != DeviceState::Present;
        self.inventory()
            .into_iter()
            .map(|device| {
                let gone = vanished(&device);
                (device.id.map(|id| id.serial).unwrap_or_default(), device.address, gone)
            })
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The inventories told to the center, in order.
    fn told(&self) -> Vec<Vec<InventoryDevice>> {
        let store = self.store();
        let rows = store.outbox_waiting(1000).unwrap();
        let mut rows: Vec<_> = rows.iter().map(|row| row.id).collect();
        rows.sort_unstable();
        rows.into_iter()
            .filter_map(|id| match store.outbox_message(id).unwrap() {
                Message::Report(Report::Inventory(report)) => Some(report.devices),
                _ => None,
            })
            .collect()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn here(host: u8, site: &Site) -> (String, String, bool) {
    (serial(host), site.at(host), false)
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// The system's clock, so many seconds ahead.
fn clock(ahead: Arc<AtomicI64>) -> monitor_appliance::context::Clock {
    Arc::new(move || {
        let mut reading = monitor_appliance::context::system_clock();
        let ahead = ahead.load(Ordering::SeqCst);
        reading.wall = reading.wall.saturating_add(SignedDuration::from_secs(ahead)).unwrap();
        reading.since_boot += Duration::from_secs(u64::try_from(ahead).unwrap());
        reading
    })
}

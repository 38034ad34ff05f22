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

/// Stands at an address and counts what comes, by SNMP version and community; never answers.
struct Listener {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    async fn start(bind: &str) -> Self {
        let socket = UdpSocket::bind(bind).await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
                let octets = buffer[..length].to_vec();
                let what = match CommunityMessage::decode(octets.into(), DecodeConfig::default()) {
                    Ok(message) => {
                        let (version, community, _) = message.value.into_parts();
                        format!("{version:?} {}", String::from_utf8_lossy(community.as_bytes()))
                    }
                    Err(_) => "v3".to_owned(),
                };
                heard.lock().unwrap().push(what);
            }
        });
        Self { asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_printers_are_found_and_an_excluded_address_is_not_asked() {
    let site = Site::new(1).await;
    let mut printers = Vec::new();
    for host in 2..=21 {
        printers.push(site.printer(host).await);
    }
    let excluded = Listener::start(&site.at(30)).await;
    let empty = Listener::start(&site.at(31)).await;
    let mut range = site.range(1, 40);
    range.excludes.push(format!("{}", address(1, 30)).parse().unwrap());
    let furthest = AtomicUsize::new(0);
    let told = |progress: ScanProgress| {
        assert!(progress.asked <= progress.of && progress.found <= 20);
        furthest.fetch_max(progress.asked, Ordering::SeqCst);
    };
    let scan = look_with(&[range], &pace(), &told).await;
    assert_eq!(serials(&scan), (2..=21).map(serial).collect());
    assert!(scan.found.iter().all(|device| device.kind.is_watched() && device.identity.vendor.is_some()));
    assert_eq!((scan.asked, scan.finished, furthest.load(Ordering::SeqCst)), (39, true, 39));
    assert_eq!(excluded.asked(), Vec::<String>::new());
    assert_eq!(empty.asked(), ["V2c public", "V1 public"], "nobody is asked more often than that");
    let first = &scan.found[0];
    assert_eq!(
        (first.address.as_str(), first.identity.serial.as_deref()),
        (site.at(2).as_str(), Some("SERIAL0002"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_a_scan_finds_is_who_a_full_reading_finds() {
    let reader = SnmpReader::bind().await.unwrap();
    for recording in recordings() {
        let printer = Printer::start(Arc::clone(&recording), PrinterSettings::default()).await.unwrap();
        let community = Secret::new("public");
        let target = DeviceTarget {
            address: printer.address().to_string(),
            credential: SnmpCredential::V2c { community },
        };
        let limits = ReadLimits::default();
        let short = reader.read_identity(&target, &limits).await.unwrap();
        let full = reader.read_full(&target, &limits).await.unwrap();
        assert!(DeviceKind::of(&short).is_watched(), "{}", recording.name());
        assert_eq!(
            interpret(&short, &monitor_appliance::profile::Profiles::built_in()).identity,
            interpret(&full, &monitor_appliance::profile::Profiles::built_in()).identity,
            "{}",
            recording.name()
        );
        printer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_community_is_silence_and_the_right_one_is_found_among_several() {
    let site = Site::new(2).await;
    let settings = PrinterSettings { community: "secret".to_owned(), ..site.settings(2) };
    let _printer = site.start(2, settings, &serial(2)).await;
    let scan = look(&[site.range(2, 2)]).await;
    assert_eq!((scan.found.len(), scan.refused.len()), (0, 0));

    let v2c = |community: &str| SnmpAccess::V2c { community: Secret::new(community) };
    let range = RangeEntry { credentials: vec![v2c("public"), v2c("secret")], ..site.range(2, 2) };
    let scan = look(&[range]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(scan.found[0].access, v2c("secret"));
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

/// Passes datagrams on to a printer and back, and counts.
struct Relay {
    /// Datagrams that name the user.
    tries: Arc<AtomicUsize>,
    /// Most questions that waited for their answer at the same time.
    waiting_most: Arc<AtomicUsize>,
}

impl Relay {
    async fn start(at: (Ipv4Addr, u16), printer: &Printer) -> Self {
        let front = UdpSocket::bind(at).await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(printer.address()).await.unwrap();
        let (tries, waiting_most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let relay = Self { tries: Arc::clone(&tries), waiting_most: Arc::clone(&waiting_most) };
        tokio::spawn(async move {
            let (mut question, mut answer) = ([0; 4096], [0; 4096]);
            let (mut waiting, mut asker) = (0_usize, None);
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut question) => {
                        asker = Some(from);
                        waiting += 1;
                        waiting_most.fetch_max(waiting, Ordering::SeqCst);
                        let named = question[..length].windows(7).any(|octets| octets == b"monitor");
                        tries.fetch_add(usize::from(named), Ordering::SeqCst);
                        back.send(&question[..length]).await.unwrap();
                    }
                    Ok(length) = back.recv(&mut answer) => {
                        waiting = waiting.saturating_sub(1);
                        front.send_to(&answer[..length], asker.unwrap()).await.unwrap();
                    }
                }
            }
        });
        relay
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_sent_once_and_never_two_questions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(13).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let printer =
        site.start(102, PrinterSettings { user: Some(user), ..site.settings(102) }, &serial(2)).await;
    let relay = Relay::start((address(13, 2), site.port), &printer).await;
    let wrong = v3_user(folder.path(), "a wrong password");
    let scan = look(&[RangeEntry { credentials: vec![wrong], ..site.range(2, 2) }]).await;
    assert_eq!((scan.found.len(), scan.refused), (0, vec![site.at(2)]));
    assert_eq!(relay.tries.load(Ordering::SeqCst), 1);

    let scan = look(&[site.range(2, 2)]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(relay.tries.load(Ordering::SeqCst), 1, "a community was taken: no user was tried");
    assert_eq!(relay.waiting_most.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_user_is_told_as_refused_and_the_next_one_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(3).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let settings = PrinterSettings { community: "secret".to_owned(), user: Some(user), ..site.settings(2) };
    let _printer = site.start(2, settings, &serial(2)).await;

    let wrong = v3_user(folder.path(), "a wrong password");
    let right = v3_user(folder.path(), PASSWORD);
    let range = RangeEntry { credentials: vec![wrong.clone()], ..site.range(2, 3) };
    let scan = look(&[range]).await;
    assert_eq!((scan.found.len(), scan.refused), (0, vec![site.at(2)]));

    let range = RangeEntry { credentials: vec![wrong, right.clone()], ..site.range(2, 3) };
    let scan = look(&[range]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!((&scan.found[0].access, scan.refused.len()), (&right, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_general_call_finds_a_printer_with_one_question() {
    let site = Site::new(4).await;
    let settings = PrinterSettings {
        bind: format!("0.0.0.0:{}", site.port).parse().unwrap(),
        ..PrinterSettings::default()
    };
    let _printer = site.start(2, settings, &serial(2)).await;
    let call = |excludes: &[&str]| RangeEntry {
        excludes: excludes.iter().map(|text| text.parse().unwrap()).collect(),
        ..RangeEntry::new(format!("broadcast:127.255.255.255:{}", site.port).parse().unwrap())
    };
    let scan = look(&[call(&[])]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]), "{:?}", scan.problems);
    let scan = look(&[call(&["127.0.0.0/16"])]).await;
    assert_eq!(scan.found.len(), 0, "it answered, and is excluded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_ends_at_its_deadline_with_what_was_found() {
    let site = Site::new(5).await;
    let _printer = site.printer(1).await;
    let pace = Discovery {
        parallel: 4,
        deadline: Duration::from_millis(1500),
        ..Discovery { answer_wait: Duration::from_secs(1), ..pace() }
    };
    let begun = Instant::now();
    let scan = look_with(&[site.range(1, 200)], &pace, &|_| {}).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!scan.finished);
    assert_eq!(serials(&scan), BTreeSet::from([serial(1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_two_addresses_is_found_once() {
    let site = Site::new(6).await;
    let recording = Arc::clone(&site.recordings[0]);
    let mut ways = Vec::new();
    for host in [2, 3] {
        let printer = Printer::start(Arc::clone(&recording), site.settings(host)).await.unwrap();
        printer.set_serial("SAME");
        ways.push(printer);
    }
    let scan = look(&[site.range(1, 5)]).await;
    let [device] = scan.found.as_slice() else { panic!("{:?}", scan.found) };
    assert_eq!((device.address.as_str(), &device.more_addresses), (site.at(2).as_str(), &vec![site.at(3)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_is_told_two_wrong_credentials_an_hour_whatever_is_restarted_and_found_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let site = Site::new(14).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let settings =
        PrinterSettings { community: "nobody knows".to_owned(), user: Some(user), ..site.settings(2) };
    let printer = site.start(2, settings, &serial(2)).await;
    let v2c = |community: &str| SnmpAccess::V2c { community: Secret::new(community) };
    let right = v3_user(folder.path(), PASSWORD);
    let credentials =
        vec![v2c("public"), v2c("private"), v3_user(folder.path(), "a wrong password"), right.clone()];
    let range = RangeEntry { credentials, ..site.range(2, 2) };
    let mut found = Vec::new();
    for hour in 0..3 {
        let later = SignedDuration::from_mins(62 * hour);
        for _ in 0..2 {
            let scan = look_later(&store, later, std::slice::from_ref(&range)).await;
            assert!(scan.problems.is_empty(), "{:?}", scan.problems);
            found = scan.found;
        }
        let tally = printer.take_tally();
        assert!(tally.wrong_credentials <= 2, "{} in hour {hour}", tally.wrong_credentials);
        assert_eq!(tally.outstanding_max, 1);
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].access, right);
    look_later(&store, SignedDuration::from_hours(4), &[range]).await;
    assert_eq!(printer.take_tally().wrong_credentials, 0, "the one that was good last comes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_tried_that_cannot_be_kept() {
    let site = Site::new(15).await;
    let printer = site.printer(2).await;
    let reader = SnmpReader::bind().await.unwrap();
    let layout = Layout::new(Path::new("/nowhere"));
    let around = Surroundings {
        reader: &reader,
        profiles: &Profiles::none(),
        credential: &|access| credential(&layout, access).map_err(|error| error.to_string()),
        known: &|_| None,
        keep: &|_| Box::pin(async { Err("the disk is full".to_owned()) }),
        now: &|| monitor_appliance::context::system_clock().wall,
        progress: &|_| {},
    };
    let scan = scan(&around, &order(&[site.range(1, 5)], &pace(), |_| false), TryBook::default()).await;
    assert_eq!((scan.found.len(), scan.problems.as_slice()), (0, &["the disk is full".to_owned()][..]));
    assert_eq!(printer.tally().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_that_speaks_only_the_old_version_is_found_with_it() {
    let site = Site::new(16).await;
    let printer = site.printer(2).await;
    let relay = OldVersion::start((address(16, 3), site.port), &printer).await;
    let scan = look(&[site.range(3, 3)]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(scan.found[0].access, SnmpAccess::V1 { community: Secret::new("public") });
    drop(relay);
}

/// Passes only SNMPv1 on to a printer.
struct OldVersion(tokio::task::JoinHandle<()>);

impl OldVersion {
    async fn start(at: (Ipv4Addr, u16), printer: &Printer) -> Self {
        let front = UdpSocket::bind(at).await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(printer.address()).await.unwrap();
        Self(tokio::spawn(async move {
            let (mut question, mut answer) = ([0; 4096], [0; 4096]);
            let mut asker = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut question) => {
                        let message = CommunityMessage::decode(question[..length].to_vec().into(), DecodeConfig::default());
                        let old = message.is_ok_and(|message| message.value.into_parts().0 == async_snmp::Version::V1);
                        if old {
                            asker = Some(from);
                            back.send(&question[..length]).await.unwrap();
                        }
                    }
                    Ok(length) = back.recv(&mut answer) => {
                        front.send_to(&answer[..length], asker.unwrap()).await.unwrap();
                    }
                }
            }
        }))
    }
}

impl Drop for OldVersion {
    fn drop(&mut self) {
        self.0.abort();
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
        let home = tempfile::tempdir().unwrap();
        let mut settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
        settings.timers.fault_poll = Duration::from_millis(100);
        settings.ranges = ranges;
        settings.discovery = Discovery { inventory_pause: Duration::from_millis(300), ..pace() };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_a_range_register_themselves_are_watched_and_told_once() {
    let site = Site::new(7).await;
    let _printers = [site.printer(2).await, site.printer(3).await];
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("both devices to be told", || appliance.told().last().is_some_and(|told| told.len() == 2)).await;
    until("their counters", || {
        let store = appliance.store();
        [2, 3].iter().all(|host| store.latest_reading(&site.at(*host)).unwrap().is_some())
    })
    .await;
    let told = appliance.told().len();
    // A new one that comes later registers itself with the next scan.
    let _third = site.printer(4).await;
    appliance.pass(25);
    until("the third device to be told", || appliance.told().last().is_some_and(|told| told.len() == 3))
        .await;
    appliance.end().await;
    assert_eq!(appliance.told().len(), told + 1, "what has not changed is not told again");
    assert_eq!(appliance.devices(), sorted(vec![here(2, &site), here(3, &site), here(4, &site)]));
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_moves_takes_its_readings_along() {
    let site = Site::new(8).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 9)]);
    appliance.start();
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    let recording = Arc::clone(&site.recordings[2 % site.recordings.len()]);
    printer.stop().await;
    let moved = Printer::start(recording, site.settings(7)).await.unwrap();
    moved.set_serial(&serial(2));
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    appliance.pass(25);
    until("the new address", || appliance.devices() == [(serial(2), site.at(7), false)]).await;
    let store = appliance.store();
    assert!(store.latest_reading(&site.at(7)).unwrap().is_some());
    assert_eq!(store.device(&site.at(2)).unwrap(), None, "nobody is known at the old address");
    until("the center to be told", || {
        appliance.told().last().is_some_and(|told| told.len() == 1 && told[0].address == site.at(7))
    })
    .await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_at_an_address_is_another_device() {
    let site = Site::new(9).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("the first device", || appliance.devices().len() == 1).await;
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    printer.stop().await;
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    let _other = site.start(2, site.settings(2), "OTHER").await;
    until("the second device", || appliance.devices().len() == 2).await;
    let serials: Vec<_> =
        appliance.devices().into_iter().map(|(serial, address, _)| (serial, address)).collect();
    assert_eq!(serials, [("OTHER".to_owned(), site.at(2)), (serial(2), site.at(2))]);
    until("it is watched", || {
        appliance
            .store()
            .device(&site.at(2))
            .unwrap()
            .is_some_and(|row| row.answering && row.id.unwrap().serial == "OTHER")
    })
    .await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_silent_for_a_week_has_vanished_and_is_told_again_when_it_is_back() {
    let site = Site::new(10).await;
    let printers = [site.printer(2).await, site.printer(3).await];
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("both devices to be told", || appliance.told().last().is_some_and(|told| told.len() == 2)).await;
    printers[0].power_off();
    until("it to be missed", || !appliance.store().device(&site.at(2)).unwrap().unwrap().answering).await;
    appliance.pass(6 * 24);
    until("the other one to have answered since", || {
        let row = appliance.store().device(&site.at(3)).unwrap().unwrap();
        row.answered.unwrap() > appliance.context.now().saturating_sub(SignedDuration::from_hours(1)).unwrap()
    })
    .await;
    assert_eq!(appliance.devices(), [here(2, &site), here(3, &site)], "six days are not a week");
    appliance.pass(25);
    let gone = |told: &Vec<InventoryDevice>| {
        told.iter().filter(|device| device.state != DeviceState::Present).count()
    };
    until("its absence to be told", || appliance.told().last().is_some_and(|told| gone(told) == 1)).await;
    assert_eq!(appliance.devices(), [(serial(2), site.at(2), true), here(3, &site)]);
    printers[0].power_on();
    until("its return to be told", || appliance.told().last().is_some_and(|told| gone(told) == 0)).await;
    appliance.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_still_watched_after_a_restart_without_another_scan() {
    let site = Site::new(11).await;
    let printer = site.printer(2).await;
    let mut appliance = Appliance::new(vec![site.range(1, 5)]);
    appliance.start();
    until("a reading", || appliance.store().latest_reading(&site.at(2)).unwrap().is_some()).await;
    appliance.end().await;
    let scanned = |appliance: &Appliance| appliance.store().range_scanned(&site.range(1, 5)).unwrap();
    let before = scanned(&appliance);
    printer.jam();
    appliance.start();
    until("the jam", || !appliance.store().open_faults().unwrap().is_empty()).await;
    appliance.end().await;
    assert_eq!(scanned(&appliance), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_by_hand_registers_what_it_found_and_knows_it_the_second_time() {
    let site = Site::new(12).await;
    let _printer = site.printer(2).await;
    let appliance = Appliance::new(Vec::new());
    let scan = look(&[site.range(1, 5)]).await;
    let now: Timestamp = appliance.context.now();
    let settings = Arc::clone(&appliance.context.settings);
    let register = |scan: &Scan| -> Registered {
        let mut store = appliance.store();
        store.change(|change| inventory::register(change, scan, &settings, now)).unwrap()
    };
    assert_eq!(register(&scan).new, [site.at(2)]);
    let again = register(&scan);
    assert_eq!((again.new.len(), again.known), (0, vec![site.at(2)]));
    let watched = inventory::watched(&appliance.store(), &settings).unwrap();
    assert_eq!(watched.len(), 1);
    assert_eq!(watched[0].address, site.at(2));
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

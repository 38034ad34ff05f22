//! `discovery`: a network of 254 addresses with forty printers and one with none; and how gently those are treated that
//! take none of the first credentials. Real sockets on loopback addresses: who is no printer is an address that hears and
//! says nothing.

use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use async_snmp::{AuthProtocol as WireAuth, PrivProtocol as WirePrivacy};
use jiff::{SignedDuration, Timestamp};
use monitor_appliance::device_watch::credential;
use monitor_appliance::discovery::{Scan, Surroundings, TryBook, order, scan};
use monitor_appliance::profile::Profiles;
use monitor_appliance::settings::{Discovery, RangeEntry, SnmpAccess};
use monitor_appliance::snmp::{AuthProtocol, PrivacyProtocol, Secret, SnmpReader};
use monitor_appliance::store::SharedStore;
use monitor_appliance::{Layout, Store};
use sandbox::printers::{Behaviour, Printer, PrinterSettings, Recording, V3User};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// Printers of the network that is timed.
const PRINTERS: u8 = 40;
/// How long a printer takes for an answer, in milliseconds.
const ANSWER_MILLIS: u64 = 20;
/// Hours for which the shy printers are looked for, and scans in each.
const HOURS: i64 = 4;
const SCANS_AN_HOUR: usize = 3;

const EMPTY_SECONDS_MAX: u32 = 10;
const WRONG_MAX: u32 = 2;
const PASSWORD: &str = "correct horse battery";

/// Measures.
///
/// # Errors
/// When the networks cannot be set up, or a printer is not found that has to be.
pub(super) fn run(now: Timestamp, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    runtime.block_on(measure(now))
}

async fn measure(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let home = tempfile::tempdir().context("no folder for the store")?;
    let recordings = Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers"))?;

    let office = Office::open(81, &recordings).await?;
    let mut printers = Vec::new();
    for number in 0..PRINTERS {
        let community = if number % 7 == 6 { "second-floor" } else { "public" };
        printers.push(office.printer(number * 6 + 3, community, None).await?);
    }
    office.fill_up().await?;
    let ladder = vec![v2c("public"), v2c("second-floor")];
    let begun = Instant::now();
    let found = look(&office, ladder, home.path(), "office", now).await?;
    let seconds = begun.elapsed();
    ensure!(
        found.found.len() == usize::from(PRINTERS),
        "{} of {PRINTERS} printers were found",
        found.found.len()
    );
    let tallies: Vec<_> = printers.iter().map(Printer::take_tally).collect();
    let packets = office.heard.load(Ordering::SeqCst)
        + tallies.iter().map(|tally| tally.requests + tally.answers).sum::<u64>();
    let mut outstanding = tallies.iter().map(|tally| tally.outstanding_max).max().unwrap_or(0);
    let mut wrong = tallies.iter().map(|tally| tally.wrong_credentials).max().unwrap_or(0);
    drop(printers);

    let empty = Office::open(82, &recordings).await?;
    empty.fill_up().await?;
    let begun = Instant::now();
    let nobody = look(&empty, vec![v2c("public")], home.path(), "empty", now).await?;
    let empty_seconds = begun.elapsed();
    ensure!(nobody.found.is_empty() && nobody.finished, "somebody was found where nobody is");

    let shy = Shy::open(&recordings, home.path()).await?;
    for hour in 0..HOURS {
        // A little more than an hour, so that each begins with clean hands.
        let at = now.checked_add(SignedDuration::from_mins(62 * hour))?;
        let mut found = 0;
        for _ in 0..SCANS_AN_HOUR {
            // Each with the store opened anew, as after a restart.
            found = look(&shy.office, shy.ladder.clone(), home.path(), "shy", at).await?.found.len();
        }
        let tallies: Vec<_> = shy.printers.iter().map(Printer::take_tally).collect();
        let most = tallies.iter().map(|tally| tally.wrong_credentials).max().unwrap_or(0);
        eprintln!(
            "  hour {}: {found} of {} found, at most {most} wrong credentials",
            hour + 1,
            shy.printers.len()
        );
        wrong = wrong.max(most);
        outstanding = tallies.iter().map(|tally| tally.outstanding_max).max().unwrap_or(0).max(outstanding);
        ensure!(hour + 1 < HOURS || found == shy.willing, "{found} of {} were found in the end", shy.willing);
    }

    let figure = |figure, value, unit, against| Figure { bench: "discovery", figure, value, unit, against };
    let count = |count: u64| usize::try_from(count).map(octets_f64);
    Ok(vec![
        figure(
            "seconds",
            seconds.as_secs_f64(),
            "s",
            format!("{PRINTERS} printers in 254 addresses, all found"),
        ),
        figure("empty_seconds", empty_seconds.as_secs_f64(), "s", format!("limit: {EMPTY_SECONDS_MAX}")),
        figure(
            "packets",
            count(packets)?,
            "datagrams",
            "both ways, whole reading of who they are included".to_owned(),
        ),
        figure("wrong_credentials_max", count(wrong)?, "per device and hour", format!("limit: {WRONG_MAX}")),
        figure("outstanding_max", octets_f64(outstanding), "requests at one device", "limit: 1".to_owned()),
    ])
}

fn v2c(community: &str) -> SnmpAccess {
    SnmpAccess::V2c { community: Secret::new(community) }
}

/// A network of 254 loopback addresses.
struct Office {
    net: u8,
    port: u16,
    recordings: Vec<Arc<Recording>>,
    /// Datagrams that came to addresses where nobody is.
    heard: Arc<AtomicU64>,
    listeners: std::sync::Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Office {
    async fn open(net: u8, recordings: &[Arc<Recording>]) -> anyhow::Result<Self> {
        let port = UdpSocket::bind((Ipv4Addr::new(127, 81, net, 1), 0)).await?.local_addr()?.port();
        ensure!(!recordings.is_empty(), "there are no recordings of printers");
        let (heard, listeners) = (Arc::default(), std::sync::Mutex::default());
        Ok(Self { net, port, recordings: recordings.to_vec(), heard, listeners })
    }

    fn at(&self, host: u8) -> (Ipv4Addr, u16) {
        (Ipv4Addr::new(127, 81, self.net, host), self.port)
    }

    async fn printer(&self, host: u8, community: &str, user: Option<V3User>) -> anyhow::Result<Printer> {
        let recording = &self.recordings[usize::from(host) % self.recordings.len()];
        let settings = PrinterSettings { bind: self.at(host).into(), community: community.to_owned(), user };
        let printer = Printer::start(Arc::clone(recording), settings).await?;
        printer.set_serial(&format!("BENCH{}-{host}", self.net));
        printer.set_mac([2, 0, 0, 0, self.net, host]);
        printer.set_behaviour(Behaviour::SlowMillis(ANSWER_MILLIS));
        Ok(printer)
    }

    /// Everywhere else somebody hears and says nothing: a closed port of this machine would say that it is closed.
    async fn fill_up(&self) -> anyhow::Result<()> {
        for host in 1..=254 {
            let Ok(socket) = UdpSocket::bind(self.at(host)).await else { continue };
            let heard = Arc::clone(&self.heard);
            let listener = tokio::spawn(async move {
                let mut buffer = [0; 2048];
                while socket.recv_from(&mut buffer).await.is_ok() {
                    heard.fetch_add(1, Ordering::SeqCst);
                }
            });
            self.listeners.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(listener);
        }
        Ok(())
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        for listener in self.listeners.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            listener.abort();
        }
    }
}

/// Printers that do not take the first credentials, some none at all.
struct Shy {
    office: Office,
    printers: Vec<Printer>,
    ladder: Vec<SnmpAccess>,
    /// How many take one of the ladder.
    willing: usize,
}

impl Shy {
    async fn open(recordings: &[Arc<Recording>], home: &Path) -> anyhow::Result<Self> {
        let office = Office::open(83, recordings).await?;
        let user = V3User::auth("monitor", WireAuth::Sha256, PASSWORD)?;
        let user = user.with_privacy(WirePrivacy::Aes128, PASSWORD)?;
        let mut printers = Vec::new();
        for host in 1..=4 {
            printers.push(office.printer(host, "third-floor", None).await?);
            printers.push(office.printer(host + 10, "nobody knows", Some(user.clone())).await?);
            printers.push(office.printer(host + 20, "nobody knows it", None).await?);
        }
        let secrets = home.join("secrets");
        std::fs::create_dir_all(&secrets)?;
        let v3 = |name: &str, password: &str| -> anyhow::Result<SnmpAccess> {
            let file = PathBuf::from("secrets").join(format!("{name}.password"));
            std::fs::write(home.join(&file), password)?;
            std::fs::set_permissions(home.join(&file), std::fs::Permissions::from_mode(0o600))?;
            Ok(SnmpAccess::V3 {
                user: "monitor".to_owned(),
                auth: Some((AuthProtocol::Sha256, file.clone())),
                privacy: Some((PrivacyProtocol::Aes128, file)),
            })
        };
        let ladder = vec![
            v2c("public"),
            v2c("second-floor"),
            v2c("third-floor"),
            v3("old", "a password of before")?,
            v3("new", PASSWORD)?,
        ];
        Ok(Self { office, printers, ladder, willing: 8 })
    }
}

/// One scan of all 254 addresses, with a store opened for it.
async fn look(
    office: &Office,
    credentials: Vec<SnmpAccess>,
    home: &Path,
    store: &str,
    now: Timestamp,
) -> anyhow::Result<Scan> {
    let store = Store::open(&home.join(format!("{store}.db")))?;
    let book = TryBook::of(store.credential_tries()?, now);
    let store = SharedStore::new(store);
    let reader = SnmpReader::bind().await?;
    let layout = Layout::new(home);
    let text = format!("127.81.{}.0/24:{}", office.net, office.port);
    let range = RangeEntry { credentials, ..RangeEntry::new(text.parse()?) };
    // The clock goes on as this scan does.
    let begun = Instant::now();
    let clock = || {
        let passed = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::ZERO);
        now.checked_add(passed).unwrap_or(now)
    };
    let around = Surroundings {
        reader: &reader,
        profiles: &Profiles::built_in(),
        credential: &|access| credential(&layout, access).map_err(|error| error.to_string()),
        known: &|_| None,
        keep: &|tries| store.keep_tries(tries),
        now: &clock,
        progress: &|_| {},
    };
    let found = scan(&around, &order(&[range], &Discovery::default(), |_| false), book).await;
    ensure!(found.problems.is_empty(), "{}", found.problems.join("; "));
    // What is still on its way counts for this scan.
    tokio::time::sleep(Duration::from_millis(2 * ANSWER_MILLIS)).await;
    Ok(found)
}

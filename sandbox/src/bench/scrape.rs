//! `scrape`: a thousand recorded printers on loopback addresses, each answering after 20 ms, watched by the real `device-watch`: decoding,
//! interpreting and durable store included. Then the same printers under `snmpbulkwalk` and prometheus-snmp-exporter.
//!
//! The printers live in this process, the reader is one of its own. What is counted is what the printers saw, what the kernel says of the
//! reader, and what stands in its store.

mod peers;
mod reader;

use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use reader::{Pace, Reader};
use sandbox::printers::{Behaviour, Printer, PrinterSettings, Recording, Tally};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Printers.
const PRINTERS: u32 = 1_000;
/// How long each takes for an answer, in milliseconds.
const ANSWER_MILLIS: u64 = 20;
/// UDP port of the printers: none that needs root.
const PORT: u16 = 16_161;
/// Requests outstanding at once, of peers; `device-watch` has this number built in.
const AT_ONCE: usize = 64;
/// How long full reading is measured.
const FULL_WINDOW: Duration = Duration::from_secs(15);
/// Time between two looks, and how long looking is measured.
const LOOKS: Duration = Duration::from_secs(60);
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(240);

const FULL_PER_S: u32 = 400;
const FULL_REQUESTS_MAX: u32 = 6;
const FULL_OCTETS_MAX: u32 = 5_000;
const FULL_CPU_MS_MAX: f64 = 1.5;
const LOOK_OCTETS_MAX: u32 = 400;
const LOOK_CORE_PERCENT_MAX: u32 = 2;
const RSS_MB_MAX: u32 = 40;

/// Measures.
///
/// # Errors
/// When the printers cannot be started or are not all read, or the programs beside this one are missing. A peer that is not installed is said
/// so, and its figures are left out.
pub(super) fn run(runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Figure>> {
    let recordings = recordings()?;
    let printers = runtime.block_on(start(&recordings))?;
    let folder = tempfile::Builder::new().prefix("scrape-bench.").tempdir()?;
    let addresses: Vec<SocketAddr> = printers.iter().map(Printer::address).collect();
    let mut figures = ours(folder.path(), &printers, &addresses)?;
    let rate = figure_of(&figures, "full_per_s");
    let cpu = figure_of(&figures, "full_cpu_ms");
    match peers::bulkwalk(&addresses, AT_ONCE) {
        Ok(peer) => eprintln!("  snmpbulkwalk: {}", peer.text()),
        Err(missing) => eprintln!("  no figures of snmpbulkwalk: {missing:#}"),
    }
    match runtime.block_on(peers::exporter(folder.path(), &addresses, AT_ONCE)) {
        Ok(peer) => {
            eprintln!("  prometheus-snmp-exporter: {}", peer.text());
            let figure = |figure, value, against| Figure {
                bench: "scrape",
                figure,
                value,
                unit: "ours divided by the exporter's",
                against,
            };
            figures.push(figure("cpu_ratio_vs_exporter", cpu / peer.cpu_ms, peer.text()));
            figures.push(figure("rate_ratio_vs_exporter", rate / peer.per_s, peer.text()));
        }
        Err(missing) => eprintln!("  no figures of prometheus-snmp-exporter: {missing:#}"),
    }
    Ok(figures)
}

fn figure_of(figures: &[Figure], name: &str) -> f64 {
    figures.iter().find(|figure| figure.figure == name).map_or(f64::NAN, |figure| figure.value)
}

/// The recorded printers that tell more than who they are, from beside the project or, if there are none, from its own.
fn recordings() -> anyhow::Result<Vec<Arc<Recording>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders: [PathBuf; 2] = [root.join("../shared/printers"), root.join("testdata/printers")];
    let folder = folders.iter().find(|folder| folder.is_dir()).context("there are no recordings")?;
    let found = Recording::all_in(folder)?;
    let tells = |recording: &Arc<Recording>, column: &str| {
        async_snmp::Oid::parse(column)
            .is_ok_and(|column| recording.objects().iter().any(|(oid, _)| oid.starts_with(&column)))
    };
    let uptime = "1.3.6.1.2.1.1.3.0";
    let life_count = "1.3.6.1.2.1.43.10.2.1.4";
    let found: Vec<_> =
        found.into_iter().filter(|one| tells(one, uptime) && tells(one, life_count)).collect();
    ensure!(!found.is_empty(), "no recording in {} has an uptime and a life count", folder.display());
    eprintln!(
        "  {PRINTERS} printers from the {} recordings with tables in {}",
        found.len(),
        folder.display()
    );
    Ok(found)
}

async fn start(recordings: &[Arc<Recording>]) -> anyhow::Result<Vec<Printer>> {
    let mut printers = Vec::new();
    for (number, recording) in (0..PRINTERS).zip(recordings.iter().cycle()) {
        let [_, high, middle, low] = (number + 1).to_be_bytes();
        let address = Ipv4Addr::new(127, 77 + high, middle, low);
        let settings =
            PrinterSettings { bind: SocketAddr::from((address, PORT)), ..PrinterSettings::default() };
        let printer = Printer::start(Arc::clone(recording), settings).await?;
        printer.set_serial(&format!("SCRAPE{number:05}"));
        printer.set_mac([2, 0, 0, high, middle, low]);
        printer.set_behaviour(Behaviour::SlowMillis(ANSWER_MILLIS));
        printers.push(printer);
    }
    Ok(printers)
}

/// What the printers saw of one sort of visit.
struct Spent {
    requests: f64,
    octets: f64,
    dearest_requests: f64,
    dearest_octets: f64,
}

impl Spent {
    /// `visits` of each printer, in the order of `tallies`.
    fn of(tallies: &[Tally], visits: &[u64]) -> Self {
        let per = |count: u64, visits: u64| number(count) / number(visits.max(1));
        let of_each = |count: fn(&Tally) -> u64| {
            let pairs = tallies.iter().zip(visits).filter(|(_, visits)| **visits > 0);
            let (sum, most) = pairs.fold((0, 0.0_f64), |(sum, most), (tally, visits)| {
                (sum + count(tally), most.max(per(count(tally), *visits)))
            });
            (per(sum, visits.iter().sum()), most)
        };
        let (requests, dearest_requests) = of_each(|tally| tally.requests);
        let (octets, dearest_octets) = of_each(|tally| tally.octets);
        Self { requests, octets, dearest_requests, dearest_octets }
    }
}

fn number(count: u64) -> f64 {
    octets_f64(usize::try_from(count).unwrap_or(usize::MAX))
}

fn take(printers: &[Printer]) -> Vec<Tally> {
    printers.iter().map(Printer::take_tally).collect()
}

fn ours(folder: &Path, printers: &[Printer], addresses: &[SocketAddr]) -> anyhow::Result<Vec<Figure>> {
    // Everything of every printer, as often as it goes.
    let reader = Reader::start(folder, addresses, Pace { look: 1, everything: 1 })?;
    reader.wait("every printer is learned, and then read by what was learned", PATIENCE, || {
        Ok(reader.readings(addresses)?.iter().all(|readings| *readings >= 2))
    })?;
    take(printers);
    let (before, cpu, begun) = (reader.readings(addresses)?, reader.cpu()?, Instant::now());
    std::thread::sleep(FULL_WINDOW);
    let (after, cpu_after, time) = (reader.readings(addresses)?, reader.cpu()?, begun.elapsed());
    let tallies = take(printers);
    let visits: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    let read: u64 = visits.iter().sum();
    ensure!(read > 0, "nothing was read within {} s", FULL_WINDOW.as_secs());
    let full = Spent::of(&tallies, &visits);
    let outstanding = tallies.iter().map(|tally| tally.outstanding_max).max().unwrap_or(0);
    ensure!(outstanding <= 1, "a printer had {outstanding} requests outstanding");
    let full_rss = reader.rss()?;
    reader.stop()?;

    // The same, only looked at; what was learned outlives the restart.
    take(printers);
    let reader = Reader::start(folder, addresses, Pace { look: LOOKS.as_secs(), everything: 86_400 })?;
    reader.wait("every printer is looked at", PATIENCE, || {
        Ok(printers.iter().all(|printer| printer.tally().answers > 0))
    })?;
    // The first looks of all are over, the second ones have not begun.
    std::thread::sleep(LOOKS / 4);
    let restart: u64 = take(printers).iter().map(|tally| tally.requests).sum();
    eprintln!("  {restart} requests to all printers together after a restart of the reader");
    let look_cpu = reader.cpu()?;
    std::thread::sleep(LOOKS);
    let look_cpu = reader.cpu()? - look_cpu;
    let tallies = take(printers);
    let looks: Vec<u64> = tallies.iter().map(|tally| u64::from(tally.answers > 0)).collect();
    ensure!(
        looks.iter().all(|looks| *looks > 0),
        "not all printers were looked at within {} s",
        LOOKS.as_secs()
    );
    let look = Spent::of(&tallies, &looks);
    let look_rss = reader.rss()?;
    reader.stop()?;

    let figure = |figure, value, unit, against| Figure { bench: "scrape", figure, value, unit, against };
    let seconds = time.as_secs_f64();
    let full_cpu_ms = (cpu_after - cpu).as_secs_f64() * 1_000.0 / number(read);
    Ok(vec![
        figure(
            "full_per_s",
            number(read) / seconds,
            "printers read and stored per s, 64 at once",
            format!("limit: {FULL_PER_S}; {read} within {seconds:.1} s"),
        ),
        figure(
            "full_requests",
            full.requests,
            "requests per full reading, mean of all",
            format!("limit: {FULL_REQUESTS_MAX}; the dearest printer: {:.1}", full.dearest_requests),
        ),
        figure(
            "full_octets",
            full.octets,
            "octets of requests and answers per full reading, mean of all",
            format!("limit: {FULL_OCTETS_MAX}; the dearest printer: {:.0}", full.dearest_octets),
        ),
        figure("full_cpu_ms", full_cpu_ms, "ms of CPU per full reading", format!("limit: {FULL_CPU_MS_MAX}")),
        figure(
            "look_requests",
            look.requests,
            "requests per look, mean of all",
            format!("limit: 1; the dearest printer: {:.0}", look.dearest_requests),
        ),
        figure(
            "look_octets",
            look.octets,
            "octets of request and answer per look, mean of all",
            format!("limit: {LOOK_OCTETS_MAX}; the dearest printer: {:.0}", look.dearest_octets),
        ),
        figure(
            "look_core_percent",
            look_cpu.as_secs_f64() / LOOKS.as_secs_f64() * 100.0,
            "% of a core for a look at 1,000 printers every 60 s",
            format!("limit: {LOOK_CORE_PERCENT_MAX}"),
        ),
        figure(
            "rss_mb",
            number(full_rss.max(look_rss)) / 1e6,
            "MB that the reading process had resident at most",
            format!("limit: {RSS_MB_MAX}; while it only looks: {:.1}", number(look_rss) / 1e6),
        ),
    ])
}

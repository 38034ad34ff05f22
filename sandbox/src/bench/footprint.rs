//! `footprint`: what an appliance takes of its box: disk for its programs, and memory while it watches twenty printers.

use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use rustix::process::Pid;
use sandbox::world::{Fetch, PATIENCE, Part, Programs, Site, Stage, entries, eventually};
use serde_json::Value;

const PROGRAMS: [&str; 6] =
    ["supervisor", "device-watch", "mail-agent", "update-install", "version-report", "monitor-appliance"];
/// The programs that run all the time.
const RESIDENT: [&str; 3] = ["supervisor", "device-watch", "mail-agent"];
const PRINTERS: u32 = 20;
/// Rounds of reading every printer before anything is measured.
const ROUNDS: usize = 2;

const BINARIES_MB_MAX: u32 = 25;
const RSS_MB_MAX: u32 = 40;

/// Measures the programs beside this one, set up and started as on a customer's box.
///
/// # Errors
/// When a program is missing, the appliance cannot be started, or a printer is not read.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let programs = Programs::find()?;
    let mut octets = 0;
    for name in PROGRAMS {
        let size = std::fs::metadata(programs.path(name)).with_context(|| format!("no {name}"))?.len();
        eprintln!("  {name}: {:.1} MB", megabytes(size)?);
        octets += size;
    }

    let part = Part { printers: PRINTERS, fetch: Fetch::Pop3, ..Part::plain(1) };
    let mut stage = Stage::set(&[part], None)?;
    stage.start()?;
    stage.hear_from_all()?;
    let site = stage.site(1)?;
    let mut rounds = vec![Vec::new(); usize::try_from(PRINTERS)?];
    eventually("two rounds of reading twenty printers", PATIENCE, || {
        let status = site.json(&["status"])?;
        for (seen, device) in rounds.iter_mut().zip(entries(status.get("devices").unwrap_or(&Value::Null))) {
            let read = device.get("counters_read").and_then(Value::as_str);
            seen.extend(read.filter(|read| !seen.iter().any(|known| known == read)).map(ToOwned::to_owned));
        }
        Ok(rounds.iter().all(|seen: &Vec<String>| seen.len() >= ROUNDS).then_some(()))
    })?;

    let (mut rss, mut pss) = (0, 0);
    for name in RESIDENT {
        let memory = memory(process(site, name)?)?;
        eprintln!("  {name}: {} kB resident, {} kB of it its own share", memory.rss_kib, memory.pss_kib);
        rss += memory.rss_kib * 1024;
        pss += memory.pss_kib * 1024;
    }
    let figure = |figure, value, against| Figure { bench: "footprint", figure, value, unit: "MB", against };
    Ok(vec![
        figure("binaries_mb", megabytes(octets)?, format!("limit: {BINARIES_MB_MAX}")),
        figure(
            "rss_mb",
            megabytes(rss)?,
            format!(
                "limit: {RSS_MB_MAX}; the same with shared pages counted once (PSS): {:.1} MB",
                megabytes(pss)?
            ),
        ),
    ])
}

fn megabytes(octets: u64) -> anyhow::Result<f64> {
    Ok(octets_f64(usize::try_from(octets)?) / 1e6)
}

/// The one process of a site that runs this program.
pub(super) fn process(site: &Site, name: &str) -> anyhow::Result<Pid> {
    let runs = |pid: &Pid| {
        let program = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).unwrap_or_default();
        program.file_name().is_some_and(|file| file == name)
    };
    let found: Vec<_> = site.processes().into_iter().filter(runs).collect();
    ensure!(found.len() == 1, "{} processes run {name}", found.len());
    found.first().copied().with_context(|| format!("{name} does not run"))
}

struct Memory {
    rss_kib: u64,
    pss_kib: u64,
}

/// What the kernel counts for a process.
fn memory(pid: Pid) -> anyhow::Result<Memory> {
    let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let value = |key: &str| -> anyhow::Result<u64> {
        let line =
            text.lines().find_map(|line| line.strip_prefix(key)).context("the kernel tells no memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { rss_kib: value("Rss:")?, pss_kib: value("Pss:")? })
}

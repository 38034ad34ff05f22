//! `sandbox fleet`: a center and many appliances to play with, until Ctrl-C.
//!
//! Everything lies in a temporary folder; thousands of appliances are easier on the disk with `TMPDIR=/dev/shm`.

use crate::demo::mail::MailArguments;
use anyhow::Context as _;
use clap::Args;
use sandbox::fleet::{self, FetchMix, Fleet, FleetSettings};
use sandbox::post_office::PostOffice;
use sandbox::printers::{Printer, PrinterSettings, Recording};
use sandbox::world::{
    Center, FIRST_VERSION, Fetch, MailSite, Pace, Programs, RELEASE_NOTES, ReleaseFolder, entries,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The version of the package that lies ready.
const TARGET: &str = "1.0.02-0";

/// Time between two looks at how all is.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Without `--mail-poll-secs`, all appliances together look for mail so often in a second.
const LOOKS_PER_SECOND: u32 = 50;

/// How many appliances, and what they do.
#[derive(Args)]
pub(crate) struct FleetArguments {
    /// How many appliances.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=9999))]
    count: u32,
    /// Where to make the center's home; in the temporary folder with all else if not given.
    #[arg(long, value_name = "DIR")]
    center_home: Option<PathBuf>,
    /// How many printers there are; the appliances share them.
    #[arg(long, default_value_t = 20)]
    printers: u32,
    /// How many of them each appliance watches.
    #[arg(long, default_value_t = 1)]
    printers_each: usize,
    /// Seconds between an appliance's looks for mail; grows with the number of appliances if not given.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    mail_poll_secs: Option<u32>,
    /// Seconds between an appliance's looks at its printers.
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    fault_poll_secs: u32,
    /// By which protocols the appliances fetch.
    #[arg(long, value_enum, default_value = "both")]
    fetch: FetchMix,
    #[command(flatten)]
    mail: MailArguments,
}

impl FleetArguments {
    fn pace(&self) -> Pace {
        let mail_poll = self.mail_poll_secs.unwrap_or_else(|| (self.count / LOOKS_PER_SECOND).max(1));
        Pace {
            fault_poll: self.fault_poll_secs,
            counter_collect: 600,
            mail_poll,
            answer_wait: 30 + 4 * mail_poll,
            resend_max: 600,
        }
    }
}

/// Runs the fleet until Ctrl-C.
pub(crate) fn run(arguments: &FleetArguments) -> anyhow::Result<()> {
    let runtime = fleet::runtime()?;
    let mut shutdown = runtime.block_on(async { monitor_appliance::shutdown::on_signals() })?;
    let mut site = Site::set(arguments, &runtime)?;
    println!("{}", site.things_to_try());
    site.center.start()?;
    site.center.run(&["versions", "request", "--all"])?;
    let begun = Instant::now();
    let mut told = String::new();
    let mut all_known = false;
    while runtime.block_on(shutdown.pause(STATUS_EVERY)) {
        let status = site.status()?;
        if status.known == site.fleet.len() && !all_known {
            all_known = true;
            println!(
                "[{:4} s] the center knows the versions of all; {:.2} MB of memory for each appliance",
                begun.elapsed().as_secs(),
                megabytes(fleet::resident_octets().saturating_sub(site.octets_before))
                    / f64::from(arguments.count)
            );
        }
        let line = status.to_string();
        if line != told {
            let memory = megabytes(fleet::resident_octets());
            println!("[{:4} s] {line}; {memory:.0} MB", begun.elapsed().as_secs());
            told = line;
        }
    }
    println!("Ending: all appliances are switched off.");
    site.center.stop();
    runtime.block_on(site.fleet.stop());
    if let Some(office) = site.post_office {
        runtime.block_on(office.stop());
    }
    println!("Removing the temporary folder {}.", site.folder.path().display());
    site.folder.close().context("the temporary folder cannot be removed")
}

/// Everything that takes part.
struct Site {
    center: Center,
    fleet: Fleet,
    /// Memory before the first appliance came.
    octets_before: u64,
    package: String,
    programs: Programs,
    post_office: Option<PostOffice>,
    _printers: Vec<Printer>,
    folder: TempDir,
}

impl Site {
    fn set(arguments: &FleetArguments, runtime: &Runtime) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("mail-fleet.")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let programs = Programs::find()?.pinned(folder.path())?;
        let (post_office, mail) = match arguments.mail.site()? {
            Some(given) => (None, given),
            None => {
                let (office, site) = runtime.block_on(MailSite::own(folder.path(), arguments.count))?;
                (Some(office), site)
            }
        };
        let home = arguments.center_home.clone().unwrap_or_else(|| folder.path().join("center"));
        let center = Center::init_home(&programs, folder.path(), &home, &mail, Fetch::Imap)?;
        let introductions = fleet::introduce(&center, &mail, arguments.count, folder.path())?;
        let release = ReleaseFolder::without_programs(folder.path(), FIRST_VERSION, 1, 0)?;
        // Time for everybody to look for mail and to install before the center asks.
        let settle = 20 + 2 * arguments.pace().mail_poll;
        let package = package(&center, &release, folder.path(), settle)?;
        let printers = runtime.block_on(printers(arguments.printers))?;
        let octets_before = fleet::resident_octets();
        let begun = Instant::now();
        let fleet = runtime.block_on(Fleet::start(FleetSettings {
            folder: folder.path().to_owned(),
            mail,
            introductions,
            release: release.path,
            pace: arguments.pace(),
            fetch: arguments.fetch,
            devices: printers.iter().map(|printer| printer.address().to_string()).collect(),
            devices_each: arguments.printers_each,
        }))?;
        println!(
            "{} appliances in this process, set up in {:.1} s; {} printers that answer SNMP from recordings; looks for mail every {} s.",
            fleet.len(),
            begun.elapsed().as_secs_f64(),
            printers.len(),
            arguments.pace().mail_poll
        );
        Ok(Self { center, fleet, octets_before, package, programs, post_office, _printers: printers, folder })
    }

    /// Commands for who plays.
    fn things_to_try(&self) -> String {
        let manager = format!(
            "{} --home {}",
            self.programs.path("center-manager").display(),
            self.center.home().display()
        );
        format!(
            "Try, in another terminal (a package to {TARGET} lies ready):\n  {manager} versions show\n  {manager} faults\n  \
             {manager} rollout start --package {package} --all --course at-once --answer-timeout 120 --rounds 0 --yes\n  {manager} rollout watch\n  \
             {manager} rollout report\n  {appliance} --root {root} status\nEnd it with Ctrl-C.",
            package = self.package,
            appliance = self.programs.path("monitor-appliance").display(),
            root = self.folder.path().join("appliance0001").display(),
        )
    }

    fn status(&self) -> anyhow::Result<Status> {
        let versions = self.center.json(&["versions", "show"])?;
        let software = |entry: &Value| entry.get("software").and_then(Value::as_str).map(ToOwned::to_owned);
        let known: Vec<String> = entries(&versions).filter_map(software).collect();
        Ok(Status {
            count: self.fleet.len(),
            updated: known.iter().filter(|version| *version == TARGET).count(),
            known: known.len(),
            faults: entries(&self.center.json(&["faults"])?).count(),
            crashes: self.fleet.crashes(),
        })
    }
}

/// How all is, as the center's database says.
struct Status {
    count: usize,
    known: usize,
    updated: usize,
    faults: usize,
    crashes: u64,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, known, updated, faults, crashes } = self;
        write!(f, "{known} of {count} versions known, {updated} at {TARGET}, {faults} open faults")?;
        if *crashes > 0 {
            write!(f, ", {crashes} modules ended by themselves")?;
        }
        Ok(())
    }
}

/// Builds and signs a package to [`TARGET`]; after `settle` seconds the center asks what came of it.
fn package(center: &Center, from: &ReleaseFolder, folder: &Path, settle: u32) -> anyhow::Result<String> {
    let settle = settle.to_string();
    let to = ReleaseFolder::without_programs(folder, TARGET, 2, 2)?;
    let script = folder.join("install.sh");
    let text = format!("#!/bin/sh\nset -eu\ncat \"$RELEASE_DIR/{RELEASE_NOTES}\"\n");
    std::fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    let script = script.to_string_lossy();
    center.build_package(&to.path, Some(&from.path), &["--script", &script, "--settle-secs", &settle])
}

async fn printers(count: u32) -> anyhow::Result<Vec<Printer>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers");
    let recordings = Recording::all_in(&folder)?;
    // The small fixtures hold only what one library asks for; these are whole walks.
    let mut whole = recordings.iter().filter(|recording| recording.objects().len() > 500).cycle();
    let mut printers = Vec::new();
    for number in 1..=count {
        let recording = whole.next().context("there are no whole recordings in testdata/printers")?;
        let printer = Printer::start(Arc::clone(recording), PrinterSettings::default()).await?;
        printer.set_serial(&format!("SHARED{number:05}"));
        printers.push(printer);
    }
    Ok(printers)
}

fn megabytes(octets: u64) -> f64 {
    // Far below 2^52.
    octets as f64 / 1e6
}

//! A hundred appliances in one process, a center's daemon, and a post office that delivers many mails twice.

use anyhow::ensure;
use monitor_appliance::release::Releases;
use sandbox::fleet::{self, FetchMix, Fleet, FleetSettings};
use sandbox::post_office::{Fault, PostOffice, Rule};
use sandbox::printers::{Printer, PrinterSettings, Recording};
use sandbox::world::{
    Center, FIRST_VERSION, Fetch, MailSite, PATIENCE, Pace, Programs, ReleaseFolder, entries, eventually,
};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const COUNT: u32 = 100;
/// Switched off when the update goes out.
const OFF: [u32; 3] = [7, 50, 99];
const TARGET: &str = "1.0.02-0";
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/printers/epson-st-c4100");
/// Counts its own runs.
const SCRIPT: &str = "#!/bin/sh\nset -eu\necho run >> \"$STATE_DIR/install-count\"\n";

struct World {
    center: Center,
    fleet: Fleet,
    package: String,
    post_office: PostOffice,
    runtime: Runtime,
    _printer: Printer,
    _folder: TempDir,
}

impl World {
    fn set() -> anyhow::Result<Self> {
        let runtime = fleet::runtime()?;
        let folder = tempfile::tempdir()?;
        let programs = Programs::find()?.pinned(folder.path())?;
        let (post_office, mail) = runtime.block_on(MailSite::own(folder.path(), COUNT))?;
        {
            let _inside = runtime.enter();
            post_office.set_faults(vec![Rule::always(Fault::Copies { extra: 1 }).with_chance(0.2)]);
        }
        let center = Center::init(&programs, folder.path(), &mail, Fetch::Imap)?;
        let introductions = fleet::introduce(&center, &mail, COUNT, folder.path())?;
        let release = ReleaseFolder::without_programs(folder.path(), FIRST_VERSION, 1, 0)?;
        let package = package(&center, &release, folder.path())?;
        let recording = Recording::from_folder(Path::new(RECORDING))?;
        let printer = runtime.block_on(Printer::start(recording, PrinterSettings::default()))?;
        let fleet = runtime.block_on(Fleet::start(FleetSettings {
            folder: folder.path().to_owned(),
            mail,
            introductions,
            release: release.path,
            // A hundred logins in two seconds leave room for the work on a small machine.
            pace: Pace {
                fault_poll: 30,
                counter_collect: 600,
                mail_poll: 2,
                answer_wait: 10,
                resend_max: 30,
            },
            fetch: FetchMix::Both,
            devices: vec![printer.address().to_string()],
            devices_each: 1,
        }))?;
        Ok(Self { center, fleet, package, post_office, runtime, _printer: printer, _folder: folder })
    }

    fn versions_known(&self) -> anyhow::Result<usize> {
        let versions = self.center.json(&["versions", "show"])?;
        Ok(entries(&versions).filter(|entry| entry.get("software").is_some_and(Value::is_string)).count())
    }

    fn switch_off(&mut self) -> anyhow::Result<()> {
        OFF.iter().try_for_each(|number| self.runtime.block_on(self.fleet.stop_one(*number)))
    }

    fn switch_on(&mut self) -> anyhow::Result<()> {
        let _inside = self.runtime.enter();
        OFF.iter().try_for_each(|number| self.fleet.start_one(*number))
    }

    /// The report of the rollout, once nothing is left to be done and so many are updated.
    fn rollout_ends_with(&self, updated: u64) -> anyhow::Result<Value> {
        eventually(&format!("a finished rollout with {updated} updated"), PATIENCE, || {
            let report = self.center.json(&["rollout", "report", "1"])?;
            let finished = report.get("finished").is_some_and(|finished| !finished.is_null());
            Ok((finished && count(&report, "updated") == Some(updated)).then_some(report))
        })
    }

    /// How often the install script ran on each appliance.
    fn runs(&self) -> anyhow::Result<Vec<usize>> {
        (1..=COUNT)
            .map(|number| {
                let path = self.fleet.context(number)?.layout.root().join("install-count");
                match std::fs::read_to_string(path) {
                    Ok(text) => Ok(text.lines().count()),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
                    Err(error) => Err(error.into()),
                }
            })
            .collect()
    }

    fn end(mut self) {
        self.center.stop();
        self.runtime.block_on(self.fleet.stop());
        self.runtime.block_on(self.post_office.stop());
    }
}

fn package(center: &Center, from: &ReleaseFolder, folder: &Path) -> anyhow::Result<String> {
    let to = ReleaseFolder::without_programs(folder, TARGET, 2, 2)?;
    let script = folder.join("install.sh");
    std::fs::write(&script, SCRIPT)?;
    let script = script.to_string_lossy();
    center.build_package(&to.path, Some(&from.path), &["--script", &script, "--reboot-after"])
}

fn count(report: &Value, name: &str) -> Option<u64> {
    report.pointer(&format!("/counts/{name}")).and_then(Value::as_u64)
}

/// Who failed, and why.
fn failures(report: &Value) -> Vec<(String, String)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows = report.get("rows").and_then(Value::as_array).into_iter().flatten();
    rows.filter(|row| text(row.get("mark")) == "failed")
        .map(|row| (text(row.get("agent")), text(row.pointer("/reason/cause"))))
        .collect()
}

#[test]
fn a_hundred_appliances_are_updated_once_each_though_mails_come_twice() {
    let mut world = World::set().unwrap();
    if let Err(error) = story(&mut world) {
        panic!("{error:#}\n--- center\n{}", world.center.log());
    }
    world.end();
}

fn story(world: &mut World) -> anyhow::Result<()> {
    world.center.start()?;
    world.center.run(&["versions", "request", "--all"])?;
    eventually("the versions of all at the center", PATIENCE, || {
        Ok((world.versions_known()? == world.fleet.len()).then_some(()))
    })?;

    world.switch_off()?;
    world.center.roll_out(
        &world.package,
        &["--all", "--course", "at-once", "--settle", "8", "--answer-timeout", "6", "--rounds", "0"],
    )?;
    let report = world.rollout_ends_with(97)?;
    ensure!(count(&report, "failed") == Some(3), "{:#}", report["counts"]);
    let failures = failures(&report);
    ensure!(failures.len() == OFF.len(), "these failed: {failures:?}");
    for (number, (agent, cause)) in OFF.iter().zip(&failures) {
        ensure!(*agent == format!("AGENT{number:07}"), "these failed: {failures:?}");
        ensure!(cause.starts_with("It did not answer"), "these failed: {failures:?}");
    }

    world.switch_on()?;
    world.center.run(&["rollout", "retry", "1"])?;
    let report = world.rollout_ends_with(100)?;
    ensure!(count(&report, "failed") == Some(0), "{:#}", report["counts"]);

    let runs = world.runs()?;
    ensure!(runs.iter().all(|runs| *runs == 1), "runs of the install script: {runs:?}");
    for number in 1..=COUNT {
        let context = world.fleet.context(number)?;
        let (_, release) = Releases::below(context.layout.root()).current()?;
        ensure!(release.software.to_string() == TARGET, "appliance {number} runs {}", release.software);
        ensure!(
            context.open_store()?.reboot_wanted()?.is_none(),
            "appliance {number} still wants to restart"
        );
    }
    let stats = world.post_office.stats();
    ensure!(stats.delivered > stats.accepted + 100, "hardly any mail came twice: {stats:?}");
    ensure!(world.fleet.crashes() == 0, "{} modules ended by themselves", world.fleet.crashes());
    Ok(())
}

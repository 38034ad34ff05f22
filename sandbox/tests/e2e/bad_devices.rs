//! Printers that misbehave beside one that does not.

use super::play::{all_receipted, eager, jams_become, modules, peak_mib, play, text};
use anyhow::{Context as _, ensure};
use sandbox::printers::Behaviour;
use sandbox::world::{Part, RunError, Site, entries};
use serde_json::Value;
use std::time::{Duration, Instant};

const BAD: [Behaviour; 5] =
    [Behaviour::Silent, Behaviour::Garbage, Behaviour::Loop, Behaviour::EndlessTree, Behaviour::Truncated];
/// How long a read of one device may take by itself, with room for a slow machine.
const READ_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn bad_printers_delay_nobody_and_are_named() {
    play(&[Part { printers: 6, ..eager(1) }], |stage| {
        let mut bad = Vec::new();
        for (device, behaviour) in (2..).zip(BAD) {
            let printer = stage.printer(1, device)?;
            printer.set_behaviour(behaviour);
            bad.push((behaviour, printer.address().to_string()));
        }
        stage.start()?;
        stage.hear_from_all()?;
        let watch = pid_of(stage.site(1)?, "device-watch")?;

        let start = Instant::now();
        stage.printer(1, 1)?.jam();
        jams_become(stage, 1, 1, 1)?;
        ensure!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());

        let site = &stage.sites[0];
        std::thread::scope(|scope| {
            let reads: Vec<_> = bad.iter().map(|bad| scope.spawn(|| read_fails(site, bad))).collect();
            let doctor = scope.spawn(|| doctor_names(site, &bad));
            reads.into_iter().try_for_each(|read| read.join().unwrap())?;
            doctor.join().unwrap()
        })?;

        stage.printer(1, 1)?.clear_jam();
        jams_become(stage, 1, 1, 0)?;
        all_receipted(stage, 1)?;
        ensure!(pid_of(stage.site(1)?, "device-watch")? == watch, "device-watch was started again");
        ensure!(peak_mib(watch)? < 150, "device-watch had {} MiB", peak_mib(watch)?);
        Ok(())
    });
}

fn pid_of(site: &Site, module: &str) -> anyhow::Result<i32> {
    let modules = modules(site);
    let found = modules.iter().find(|(name, _)| name == module);
    Ok(found.with_context(|| format!("{module} does not run, only {modules:?}"))?.1)
}

fn read_fails(site: &Site, (behaviour, address): &(Behaviour, String)) -> anyhow::Result<()> {
    let start = Instant::now();
    let read = site.run(&["device", "read", address]);
    ensure!(start.elapsed() < READ_LIMIT, "{behaviour:?}: the read took {:?}", start.elapsed());
    if *behaviour == Behaviour::EndlessTree {
        // It tells all that it has, only without an end.
        let shown = read?;
        ensure!(shown.contains("not read to the end"), "{shown}");
        return Ok(());
    }
    let error = read.err().with_context(|| format!("{behaviour:?} was read"))?;
    let error: RunError = error.downcast()?;
    ensure!(error.code == 1, "{behaviour:?}: {error}");
    ensure!(error.stderr.lines().count() == 1 && error.stderr.contains(address), "{behaviour:?}: {error}");
    Ok(())
}

fn doctor_names(site: &Site, bad: &[(Behaviour, String)]) -> anyhow::Result<()> {
    let error = site.run(&["doctor", "--no-send", "--format", "json"]).err().context("all is well?")?;
    let error: RunError = error.downcast()?;
    ensure!(error.code == 3, "{error}");
    let findings: Value = serde_json::from_str(&error.stdout)?;
    let broken = |finding: &&Value| finding.get("works") == Some(&Value::Bool(false));
    let broken: Vec<_> = entries(&findings).filter(broken).map(|finding| text(finding, "what")).collect();
    let wanted: Vec<_> = bad.iter().map(|(_, address)| format!("device {address}")).collect();
    ensure!(broken == wanted, "doctor names {broken:?}, not {wanted:?}");
    Ok(())
}

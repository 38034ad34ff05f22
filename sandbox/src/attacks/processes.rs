//! Mishaps that need all programs as processes: power that fails, a release that crashes, one that breaks its own mail.

use super::findings::Findings;
use super::{Adversary, Attack, Means};
use crate::world::{FIRST_VERSION, Pace, Part, SWEEPER, Stage, entries, eventually};
use anyhow::Context as _;
use mailfmt::Digest;
use monitor_appliance::release::{RELEASE_FILE, Release};
use serde_json::Value;
use std::time::Duration;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "a power cut",
        adversary: Adversary::Mishap,
        tried: "all processes of the box killed again and again while it is updated",
        means: Means::Processes(power_cut),
    },
    Attack {
        threat: "a new release that crashes in a loop",
        adversary: Adversary::Mishap,
        tried: "a module that ends as soon as it is started",
        means: Means::Processes(crash_loop),
    },
    Attack {
        threat: "an update that cuts the site off",
        adversary: Adversary::Mishap,
        tried: "a script that spoils the mail settings and succeeds",
        means: Means::Processes(cut_off),
    },
];

const TARGET: &str = "1.0.02-0";
/// Nothing here may take longer on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A center and one site that run and have heard of each other.
fn stage() -> anyhow::Result<Stage> {
    let pace = Pace { answer_wait: 3, resend_max: 4, ..Pace::default() };
    let mut stage = Stage::set(&[Part { pace, ..Part::plain(1) }], None)?;
    let settings = stage.center.home().join("center.toml");
    let text = std::fs::read_to_string(&settings)?;
    std::fs::write(&settings, format!("retry_pause_secs = 1\nretry_pause_max_secs = 2\n{text}"))?;
    let file = stage.site(1)?.root.join("appliance.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{text}\n[update]\nproof_wait_secs = 5\n"))?;
    stage.start()?;
    stage.hear_from_all()?;
    Ok(stage)
}

fn start_rollout(stage: &Stage, package: &str) -> anyhow::Result<()> {
    stage.center.roll_out(package, &["--all", "--answer-timeout", "90", "--rounds", "0"]).map(drop)
}

/// The mark and the cause of the one target, when the rollout is over.
fn outcome(stage: &Stage) -> anyhow::Result<(String, String)> {
    let report = stage.finished("1")?;
    let text = |place: &str| report.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((text("/rows/0/mark"), text("/rows/0/reason/cause")))
}

fn running(stage: &Stage) -> anyhow::Result<String> {
    let site = stage.sites.first().context("one site")?;
    let status = site.json(&["status"])?;
    Ok(status.get("software").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn power_cut(findings: &mut Findings) -> anyhow::Result<()> {
    let mut stage = stage()?;
    let further = ["--settle-secs", "60", "--trial-secs", "3"];
    let package = stage.build_package(TARGET, "#!/bin/sh\nsleep 1\n", &further)?;
    start_rollout(&stage, &package)?;
    let updates = stage.site(1)?.root.join("updates");
    eventually("the beginning of the update", LIMIT, || Ok(updates.exists().then_some(())))?;
    for cut in 0..6u64 {
        std::thread::sleep(Duration::from_millis(150 + 450 * cut));
        let site = stage.site(1)?;
        site.kill();
        let current = site.root.join("current");
        let releases = monitor_appliance::release::Releases::below(&site.root);
        findings.must(current.exists(), "no release is the current one");
        findings.must(releases.check(&releases.current_name()?).is_ok(), "the current release is not whole");
        site.start()?;
    }
    eventually("the end of the update", LIMIT, || Ok((running(&stage)? == TARGET).then_some(())))?;
    let told = eventually("the word of it at the center", LIMIT, || {
        let reports = stage.center.json(&["reports", "--kind", "update-result"])?;
        let ends = entries(&reports).filter_map(|report| report.get("description")?.as_str());
        let ends: Vec<String> =
            ends.filter(|end| !end.contains("is on trial")).map(ToOwned::to_owned).collect();
        Ok((!ends.is_empty()).then_some(ends))
    })?;
    findings.must(told.len() == 1, format!("told {} times: {told:?}", told.len()));
    findings.note("killed six times, the release whole each time, updated in the end");
    Ok(())
}

fn crash_loop(findings: &mut Findings) -> anyhow::Result<()> {
    let stage = stage()?;
    let folder = stage.release("1.0.03-0", 3, 3)?.path;
    let crash = b"#!/bin/sh\nexit 7\n";
    std::fs::write(folder.join(SWEEPER), crash)?;
    let mut release: Release = serde_json::from_slice(&std::fs::read(folder.join(RELEASE_FILE))?)?;
    for module in release.modules.iter_mut().filter(|module| module.name.as_str() == SWEEPER) {
        (module.sha256, module.octets) = (Digest::of(crash), crash.len().try_into()?);
    }
    std::fs::write(folder.join(RELEASE_FILE), serde_json::to_vec(&release)?)?;
    let (new, old) = (folder.to_string_lossy(), stage.first_release.path.to_string_lossy());
    let build = ["package", "build", "--release", &new, "--from-release", &old, "--sign"];
    let built = stage.center.json(&[&build[..], &["--settle-secs", "5", "--trial-secs", "3"]].concat())?;
    start_rollout(&stage, built.get("id").and_then(Value::as_str).context("the package's id")?)?;
    let (mark, cause) = outcome(&stage)?;
    findings.must(mark == "failed", format!("counted as {mark}"));
    findings.reason(&cause, "during its trial");
    let running = running(&stage)?;
    findings.must(running == FIRST_VERSION, format!("it runs {running}"));
    Ok(())
}

fn cut_off(findings: &mut Findings) -> anyhow::Result<()> {
    let mut stage = stage()?;
    let port = stage.mail.pop3.port;
    let script = format!("#!/bin/sh\nsed -i 's/port = {port}/port = 1/' \"$STATE_DIR/appliance.toml\"\n");
    let before = std::fs::read_to_string(stage.site(1)?.root.join("appliance.toml"))?;
    let package = stage.build_package(TARGET, &script, &["--settle-secs", "5", "--trial-secs", "3"])?;
    start_rollout(&stage, &package)?;
    let (mark, cause) = outcome(&stage)?;
    findings.must(mark == "failed", format!("counted as {mark}"));
    findings.reason(&cause, "no mail could be fetched by the new release");
    let running = running(&stage)?;
    findings.must(running == FIRST_VERSION, format!("it runs {running}"));
    let after = std::fs::read_to_string(stage.site(1)?.root.join("appliance.toml"))?;
    findings.must(before == after, "the settings were not put back");
    Ok(())
}

//! Only what changed travels; where that does not fit, the whole package follows by itself.

use super::play::{eager, play, running, text, update_ends};
use anyhow::{Context as _, ensure};
use sandbox::world::{FIRST_VERSION, PATIENCE, ReleaseFolder, Stage, entries, eventually};
use serde_json::Value;
use std::path::Path;

const TARGET: &str = "1.0.02-0";
const DATA: &str = "vendors.txt";

/// Some 75 kB that hardly shrink, of which only the last line is a matter of taste.
fn vendors(last_line: &str) -> String {
    let mixed = |number: u32| (number ^ (number << 13)).wrapping_mul(2_654_435_761).rotate_left(number % 31);
    let line =
        |number: u32| format!("{:08x}{:08x}\n", mixed(number), mixed(!number).wrapping_mul(number | 1));
    (0..4_500).map(line).collect::<String>() + last_line
}

fn release(stage: &Stage, version: &str, counter: u64, build: u32) -> anyhow::Result<ReleaseFolder> {
    let release = ReleaseFolder::of_scripts(&stage.programs, stage.folder(), version, counter, build)?;
    release.add_data(DATA, &vendors(&format!("line {build}\n")), build)?;
    Ok(release)
}

fn package(stage: &Stage, release: &ReleaseFolder, further: &[&str]) -> anyhow::Result<Value> {
    let folder = release.path.to_string_lossy();
    stage.center.json(&[&["package", "build", "--release", &folder, "--sign"], further].concat())
}

fn octets(stage: &Stage, package: &str) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(stage.center.home().join(format!("packages/{package}.mfp")))?.len())
}

/// What the center says of the modules of one appliance.
fn made_of(stage: &Stage, agent: &str) -> anyhow::Result<Value> {
    let versions = stage.center.json(&["versions", "show"])?;
    let line = entries(&versions).find(|line| text(line, "agent") == agent);
    line.cloned().with_context(|| format!("{agent} in {versions:#}"))
}

fn data_of(root: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join("current").join(DATA)).context("the data module")
}

#[test]
fn a_change_of_one_line_travels_as_a_difference_and_whole_where_that_does_not_fit() {
    play(&[eager(1), eager(2)], |stage| {
        let first = release(stage, FIRST_VERSION, 1, 0)?;
        for site in &stage.sites {
            site.reinstall(&first)?;
        }
        package(stage, &first, &[])?;
        // Whoever did it meant well.
        let altered = vendors("line 0, and a word in the margin\n");
        std::fs::write(stage.site(2)?.root.join("current").join(DATA), &altered)?;
        stage.start()?;
        stage.hear_from_all()?;
        mixed_is_shown(stage)?;

        let new = release(stage, TARGET, 2, 2)?;
        let rules = ["--from", FIRST_VERSION, "--settle-secs", "6", "--trial-secs", "2"];
        let built = package(stage, &new, &rules)?;
        let (id, whole) = (text(&built, "id"), whole_of(stage, &built)?);
        let (short, long) = (octets(stage, id)?, octets(stage, &whole)?);
        ensure!(short * 10 <= long, "{short} octets of differences, {long} of the whole package");

        stage.center.roll_out(id, &["--all", "--answer-timeout", "60", "--rounds", "0"])?;
        let report = stage.finished("1")?;
        for row in report.get("rows").map(entries).context("rows")? {
            ensure!(text(row, "mark") == "updated", "{row:#}");
        }
        for site in &stage.sites {
            ensure!(running(site)? == TARGET, "site {} runs {}", site.number, running(site)?);
            ensure!(data_of(&site.root)? == vendors("line 2\n"), "site {} has another file", site.number);
        }
        only_the_altered_one_got_the_whole(stage)?;
        eventually("both made of the new release", PATIENCE, || {
            let both = [made_of(stage, "AGENT0000001")?, made_of(stage, "AGENT0000002")?];
            let whole = |line: &Value| text(line, "made-of") == "release" && text(line, "version") == TARGET;
            Ok(both.iter().all(whole).then_some(()))
        })
    });
}

/// The version that an appliance calls itself is one thing, what its modules make another.
fn mixed_is_shown(stage: &Stage) -> anyhow::Result<()> {
    let good = made_of(stage, "AGENT0000001")?;
    ensure!((text(&good, "made-of"), text(&good, "version")) == ("release", FIRST_VERSION), "{good:#}");
    let altered = made_of(stage, "AGENT0000002")?;
    ensure!(text(&altered, "software") == FIRST_VERSION, "{altered:#}");
    ensure!(text(&altered, "made-of") == "mixed", "{altered:#}");
    ensure!(altered.get("modules") == Some(&serde_json::json!([DATA])), "{altered:#}");
    let table = stage.center.run(&["versions", "show"])?;
    let shown = |agent: &str, what: &str| {
        table.lines().any(|line| line.contains(agent) && line.contains("MIXED") == (what == "MIXED"))
    };
    ensure!(shown("AGENT0000001", "") && shown("AGENT0000002", "MIXED"), "{table}");
    ensure!(table.contains(&format!("MIXED: {DATA}")), "{table}");
    Ok(())
}

/// The package with whole files that stands behind one of differences.
fn whole_of(stage: &Stage, built: &Value) -> anyhow::Result<String> {
    let octets = std::fs::read(stage.center.home().join(format!("packages/{}.mfp", text(built, "id"))))?;
    let inspection = mailfmt::package::inspect(&octets, &mailfmt::Limits::default())?;
    Ok(inspection.manifest.whole.context("a whole package behind it")?.to_string())
}

fn only_the_altered_one_got_the_whole(stage: &Stage) -> anyhow::Result<()> {
    for (number, refused) in [(1, false), (2, true)] {
        let agent = format!("AGENT{number:07}");
        let history = stage.center.run(&["rollout", "status", "1", "--agent", &agent])?;
        ensure!(history.contains("with whole files") == refused, "{agent}:\n{history}");
        let told: Vec<_> = update_ends(stage, number)?;
        let refusals = told.iter().filter(|report| text(report, "description").contains("refused"));
        ensure!(refusals.count() == usize::from(refused), "{agent} told {told:#?}");
    }
    Ok(())
}

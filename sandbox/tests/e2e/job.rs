//! The main job, act by act; told over the post office here and over real mail servers elsewhere.

use super::play::{all_receipted, build, jams, jams_become, reports, running, text, update_ends};
use anyhow::{Context as _, ensure};
use sandbox::world::{FIRST_VERSION, PATIENCE, Stage, entries, eventually};
use serde_json::Value;
use std::time::Duration;

const TARGET: &str = "1.0.02-0";
/// prtMarkerLifeCount of the first marker.
const LIFE_COUNT: &str = "1.3.6.1.2.1.43.10.2.1.4.1.1";

fn numbers(stage: &Stage) -> Vec<u32> {
    stage.sites.iter().map(|site| site.number).collect()
}

/// Everything starts, and every appliance says which version it runs.
pub(crate) fn all_say_their_version(stage: &mut Stage) -> anyhow::Result<()> {
    stage.start()?;
    stage.hear_from_all()?;
    all_run(stage, FIRST_VERSION)
}

fn all_run(stage: &Stage, version: &str) -> anyhow::Result<()> {
    let known = stage.center.json(&["versions", "show"])?;
    for line in entries(&known) {
        ensure!(text(line, "software") == version, "not at {version}: {line}");
    }
    Ok(())
}

/// At every site a jam is reported once, receipted, and reported as over.
pub(crate) fn a_jam_comes_and_goes_everywhere(stage: &Stage) -> anyhow::Result<()> {
    for number in numbers(stage) {
        ensure!(jams(stage, number)?.is_empty(), "site {number} has jams already");
        stage.printer(number, 1)?.jam();
    }
    for number in numbers(stage) {
        jams_become(stage, number, 1, 1)?;
        all_receipted(stage, number)?;
        stage.printer(number, 1)?.clear_jam();
    }
    for number in numbers(stage) {
        jams_become(stage, number, 1, 0)?;
        all_receipted(stage, number)?;
    }
    Ok(())
}

/// The center is told the very counts that the printers show.
pub(crate) fn counters_are_the_printers_own(stage: &Stage) -> anyhow::Result<()> {
    let mut compared = 0;
    for number in numbers(stage) {
        let printer = stage.printer(number, 1)?;
        if printer.print_pages(100 + number).is_err() {
            continue;
        }
        let pages = u64::from(printer.summary().pages.context("a printer that counts tells its count")?);
        let agent = format!("AGENT{number:07}");
        let told = || -> anyhow::Result<Option<u64>> {
            let counters = stage.center.json(&["counters", "show", "--agent", &agent])?;
            let line = entries(&counters).find(|line| text(line, "source") == LIFE_COUNT);
            Ok(line.and_then(|line| line.get("value")).and_then(Value::as_u64))
        };
        eventually(&format!("{pages} pages of {agent} at the center"), PATIENCE, || {
            stage.center.run(&["counters", "request", &agent])?;
            // The answer comes from the appliance's store, which may be a few seconds old: then it is asked again.
            let answer = eventually("the answer", Duration::from_secs(5), || {
                Ok((told()? == Some(pages)).then_some(()))
            });
            Ok(answer.ok())
        })?;
        compared += 1;
    }
    ensure!(compared >= 2, "only {compared} of the printers count pages");
    Ok(())
}

/// One mail updates all; everybody is asked afterwards; the comparison report says so in every form.
pub(crate) fn all_are_updated_by_one_mail(stage: &Stage) -> anyhow::Result<()> {
    for site in &stage.sites {
        ensure!(build(site) == "0", "site {} runs build {:?}", site.number, build(site));
    }
    let script = "#!/bin/sh\nset -eu\n[ \"$FROM_VERSION\" != \"$TO_VERSION\" ]\n";
    let package = stage.build_package(TARGET, script, &["--settle-secs", "20", "--trial-secs", "2"])?;
    stage.center.roll_out(&package, &["--all", "--answer-timeout", "40", "--rounds", "0"])?;
    let report = stage.finished("1")?;
    let count = |name: &str| report.pointer(&format!("/counts/{name}")).and_then(Value::as_u64);
    let all = u64::try_from(stage.sites.len())?;
    ensure!(
        (count("total"), count("updated"), count("failed")) == (Some(all), Some(all), Some(0)),
        "{report:#}"
    );
    for site in &stage.sites {
        ensure!(running(site)? == TARGET, "site {} runs {}", site.number, running(site)?);
        ensure!(build(site) == "2", "the old module still runs at site {}", site.number);
        let results = update_ends(stage, site.number)?;
        ensure!(results.len() == 1, "site {} told {} results: {results:?}", site.number, results.len());
        ensure!(text(&results[0], "description").contains("installed"), "{:?}", results[0]);
    }
    the_report_is_written(stage)
}

fn the_report_is_written(stage: &Stage) -> anyhow::Result<()> {
    let written = |format: &str| -> anyhow::Result<String> {
        let file = stage.folder().join(format!("report.{format}"));
        let path = file.to_string_lossy();
        stage.center.run(&["rollout", "report", "1", "--format", format, "--output", &path])?;
        Ok(std::fs::read_to_string(&file)?)
    };
    let (csv, html) = (written("csv")?, written("html")?);
    let json: Value = serde_json::from_str(&written("json")?)?;
    ensure!(csv.lines().count() == stage.sites.len() + 1, "one line each under the head:\n{csv}");
    ensure!(html.to_lowercase().starts_with("<!doctype html>"), "{html:.200}");
    ensure!(text(&json, "update_to") == TARGET, "{json:#}");
    for site in &stage.sites {
        let (agent, address) = (site.agent(), stage.mail.agent_address(site.number));
        let line =
            csv.lines().find(|line| line.contains(&agent)).with_context(|| format!("{agent} in {csv}"))?;
        ensure!(line.contains(&address) && line.contains(TARGET), "{line}");
        ensure!(html.contains(&agent) && html.contains(&address), "{agent} is not on the page");
    }
    Ok(())
}

/// Asked again, everybody says the new version.
pub(crate) fn all_say_the_new_version(stage: &Stage) -> anyhow::Result<()> {
    let before: Vec<usize> = counts_of_version_reports(stage)?;
    stage.center.run(&["versions", "request", "--all"])?;
    eventually("one more version report from everybody", PATIENCE, || {
        let now = counts_of_version_reports(stage)?;
        Ok(now.iter().zip(&before).all(|(now, before)| now > before).then_some(()))
    })?;
    all_run(stage, TARGET)
}

fn counts_of_version_reports(stage: &Stage) -> anyhow::Result<Vec<usize>> {
    numbers(stage).into_iter().map(|number| Ok(reports(stage, number, "version-report")?.len())).collect()
}

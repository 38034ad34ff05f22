//! Rollouts in waves with real programs: a bad package stays with the first wave, and a recall overtakes a package that lies in
//! the mailbox.

use super::play::{eager, play, running, text};
use anyhow::{Context as _, ensure};
use sandbox::world::{FIRST_VERSION, PATIENCE, Part, Stage, entries, eventually};
use serde_json::Value;

const TARGET: &str = "1.0.02-0";

fn package(stage: &Stage, script: &str) -> anyhow::Result<String> {
    stage.build_package(TARGET, script, &["--settle-secs", "10", "--trial-secs", "2"])
}

/// What `rollout status` says, as text.
fn status(stage: &Stage) -> anyhow::Result<String> {
    stage.center.run(&["rollout", "status", "1"])
}

#[test]
fn a_package_that_fails_at_the_first_site_waits_for_a_person_before_it_goes_to_the_others() {
    let cast: Vec<Part> = (1..=3).map(eager).collect();
    play(&cast, |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let bad = package(stage, "#!/bin/sh\necho no paper >&2\nexit 3\n")?;
        let start = ["rollout", "start", "--package", &bad, "--all", "--waves", "1,100%", "--pause", "0"];
        let shown = stage.center.run(&[&start[..], &["--answer-timeout", "60", "--yes"]].concat())?;
        ensure!(shown.contains("2, with 1, 2 appliances"), "{shown}");
        eventually("the rollout held up after its first wave", PATIENCE, || {
            Ok(status(stage)?.contains("0 of 1 appliances of wave 1 are updated").then_some(()))
        })?;
        let report = stage.center.json(&["rollout", "report", "1"])?;
        let marks: Vec<_> =
            report.get("rows").map(entries).context("rows")?.map(|row| text(row, "mark")).collect();
        ensure!(marks.iter().filter(|mark| **mark == "failed").count() == 1, "{marks:?}");
        ensure!(marks.iter().filter(|mark| **mark == "pending").count() == 2, "{marks:?}");
        for site in &stage.sites {
            ensure!(running(site)? == FIRST_VERSION, "site {} runs {}", site.number, running(site)?);
        }
        stage.center.run(&["rollout", "stop", "1", "--reason", "out of paper"])?;
        let ended = stage.finished("1")?;
        ensure!(ended.pointer("/counts/pending").and_then(Value::as_u64) == Some(2), "{ended:#}");
        let deeds = stage.center.run(&["audit", "list"])?;
        ensure!(deeds.contains("out of paper") && deeds.contains("daemon"), "{deeds}");
        stage.center.run(&["audit", "verify"]).map(|_| ())
    });
}

#[test]
fn a_recall_overtakes_a_package_that_lies_in_the_mailbox_of_a_site_that_is_off() {
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        stage.site(2)?.stop();
        let good = package(stage, "#!/bin/sh\nexit 0\n")?;
        let start = ["rollout", "start", "--package", &good, "--agents", "AGENT0000002", "--yes"];
        stage.center.run(&[&start[..], &["--answer-timeout", "120"]].concat())?;
        let address = stage.mail.agent_address(2);
        let waiting =
            |stage: &Stage| stage.post_office.as_ref().map_or(0, |office| office.mailbox_len(&address));
        let before = eventually("the package in the mailbox", PATIENCE, || {
            Ok((waiting(stage) > 0).then(|| waiting(stage)))
        })?;
        stage.center.run(&["rollout", "stop", "1", "--reason", "recalled"])?;
        eventually("the recall behind it", PATIENCE, || Ok((waiting(stage) > before).then_some(())))?;
        stage.site(2)?.start()?;
        let report = stage.finished("1")?;
        let cause = report.pointer("/rows/0/reason/cause").and_then(Value::as_str).unwrap_or_default();
        ensure!(cause.contains("called back by the center before it began"), "{report:#}");
        ensure!(running(stage.site(2)?)? == FIRST_VERSION, "runs {}", running(stage.site(2)?)?);
        Ok(())
    });
}

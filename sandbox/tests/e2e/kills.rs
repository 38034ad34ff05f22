//! The power goes at any moment, again and again; in the end everything happened exactly once.

use super::play::{
    all_receipted, build, eager, jams, jams_become, open_jams, play, reports, running, text, update_ends,
};
use anyhow::{Context as _, ensure};
use mailfmt::Digest;
use monitor_appliance::release::{RELEASE_FILE, Release};
use sandbox::world::{FIRST_VERSION, PATIENCE, Site, Stage, eventually};
use serde_json::Value;
use std::time::Duration;

const TARGET: &str = "1.0.02-0";

/// Moments to strike, from a seed that is printed, so that a bad day can be had again.
struct Fate(u64);

impl Fate {
    fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let mut octets = [0; 8];
            mailfmt::crypto::Random::fill(&mut sandbox::random(), &mut octets);
            u64::from_ne_bytes(octets)
        });
        println!("SEED={seed}");
        Self(seed)
    }

    /// Lets some time pass, at most `most_ms`.
    fn strikes_within(&mut self, most_ms: u64) {
        // Splitmix64's step; the quality of a die is enough.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        std::thread::sleep(Duration::from_millis((mixed ^ (mixed >> 31)) % most_ms));
    }

    /// The power of a site goes within that time, and comes back.
    fn power_cut(&mut self, site: &mut Site, most_ms: u64) -> anyhow::Result<()> {
        self.strikes_within(most_ms);
        // What was being started in this moment is killed too.
        eventually("the end of all processes", PATIENCE, || {
            site.kill();
            Ok(site.processes().is_empty().then_some(()))
        })?;
        runs_a_whole_release(site)?;
        site.start()
    }
}

/// Every file of the release that the link points to is the one that its description names.
fn runs_a_whole_release(site: &Site) -> anyhow::Result<()> {
    let folder = site.root.join("current");
    let release: Release = serde_json::from_slice(&std::fs::read(folder.join(RELEASE_FILE))?)?;
    let software = release.software.as_str();
    ensure!([FIRST_VERSION, TARGET].contains(&software), "{software} is neither the old nor the new version");
    for module in &release.modules {
        let file = std::fs::read(folder.join(module.name.as_str()))
            .with_context(|| format!("{} of {software}", module.name))?;
        ensure!(Digest::of(&file) == module.sha256, "{} of {software} is another file", module.name);
    }
    Ok(())
}

/// Waits for something at the center, and cuts the power of the site meanwhile.
fn while_the_power_fails(
    stage: &mut Stage,
    fate: &mut Fate,
    cuts: u32,
    wanted: impl Fn(&Stage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for _ in 0..cuts {
        fate.power_cut(stage.site(1)?, 1200)?;
    }
    wanted(stage)
}

#[test]
fn an_appliance_that_is_killed_all_the_time_reports_everything_once() {
    let mut fate = Fate::new();
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        for round in 1..=4 {
            stage.printer(1, 1)?.jam();
            while_the_power_fails(stage, &mut fate, 1, |stage| jams_become(stage, 1, round, 1))?;
            // A question comes in, and the jam is cleared, while the power fails again.
            stage.center.run(&["counters", "request", "--all"])?;
            stage.printer(1, 1)?.clear_jam();
            while_the_power_fails(stage, &mut fate, 2, |stage| jams_become(stage, 1, round, 0))?;
        }
        eventually("four answers", PATIENCE, || {
            Ok((reports(stage, 1, "counters")?.len() >= 4).then_some(()))
        })?;
        all_receipted(stage, 1)?;
        ensure!(reports(stage, 1, "counters")?.len() == 4, "a question was answered twice");
        ensure!(reports(stage, 1, "fault")?.len() >= 4, "every jam was reported");
        store_is_sound(stage)
    });
}

#[test]
fn an_update_that_is_killed_all_the_time_ends_whole_and_is_told_once() {
    let mut fate = Fate::new();
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let script = "#!/bin/sh\nset -eu\nsleep 0.5\necho ran >> \"$STATE_DIR/script-runs\"\n";
        let package = stage.build_package(TARGET, script, &["--settle-secs", "25", "--trial-secs", "3"])?;
        stage.center.roll_out(&package, &["--all", "--answer-timeout", "60"])?;
        // A release whose trial is cut short five times is taken back on purpose, wherever the cuts come from.
        for _ in 0..4 {
            fate.power_cut(stage.site(1)?, 2500)?;
        }
        let report = stage.finished("1")?;
        ensure!(report.pointer("/counts/updated").and_then(Value::as_u64) == Some(1), "{report:#}");
        let site = stage.site(1)?;
        runs_a_whole_release(site)?;
        ensure!(running(site)? == TARGET, "it runs {}", running(site)?);
        ensure!(build(site) == "2", "the old module runs");
        eventually("the result", PATIENCE, || Ok(update_ends(stage, 1)?.pop()))?;
        all_receipted(stage, 1)?;
        let results = update_ends(stage, 1)?;
        ensure!(results.len() == 1, "one result, not {}: {results:?}", results.len());
        ensure!(text(&results[0], "description").contains("installed"), "{:?}", results[0]);
        store_is_sound(stage)
    });
}

#[test]
fn a_center_that_is_killed_all_the_time_files_and_updates_once() {
    let mut fate = Fate::new();
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        for round in 1..=3 {
            for number in [1, 2] {
                stage.printer(number, 1)?.jam();
            }
            killed_and_started(stage, &mut fate, 2)?;
            for number in [1, 2] {
                jams_become(stage, number, round, 1)?;
                stage.printer(number, 1)?.clear_jam();
            }
            killed_and_started(stage, &mut fate, 1)?;
            for number in [1, 2] {
                jams_become(stage, number, round, 0)?;
            }
        }
        let script = "#!/bin/sh\nset -eu\necho \"$TO_VERSION\" >> \"$STATE_DIR/install-count\"\n";
        let package = stage.build_package(TARGET, script, &["--settle-secs", "8", "--trial-secs", "2"])?;
        stage.center.roll_out(&package, &["--all", "--answer-timeout", "60"])?;
        killed_and_started(stage, &mut fate, 5)?;
        let report = stage.finished("1")?;
        ensure!(report.pointer("/counts/updated").and_then(Value::as_u64) == Some(2), "{report:#}");
        for number in [1, 2] {
            all_receipted(stage, number)?;
            let installed = std::fs::read_to_string(stage.site(number)?.root.join("install-count"))?;
            ensure!(installed.lines().count() == 1, "the script ran {} times", installed.lines().count());
            ensure!(
                (jams(stage, number)?.len(), open_jams(stage, number)?) == (3, 0),
                "jams of site {number}"
            );
        }
        Ok(())
    });
}

fn killed_and_started(stage: &mut Stage, fate: &mut Fate, times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        fate.strikes_within(1500);
        stage.center.kill();
        stage.center.start()?;
    }
    Ok(())
}

fn store_is_sound(stage: &mut Stage) -> anyhow::Result<()> {
    stage.site(1)?.stop();
    let store = monitor_appliance::Store::open(&stage.site(1)?.root.join("store.db"))?;
    let damage = store.check()?;
    ensure!(damage.is_empty(), "{damage:?}");
    Ok(())
}

//! A service person with a stick: the same package without any mail, and the center learns of it all the same.

use super::play::{build, eager, play, running, text, update_ends};
use anyhow::ensure;
use sandbox::world::{PATIENCE, entries, eventually};

const TARGET: &str = "1.0.02-0";

#[test]
fn an_update_from_a_stick_shows_at_the_center_without_anyone_asking() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let script = "#!/bin/sh\n[ \"$FROM_VERSION\" != \"$TO_VERSION\" ]\n";
        let id = stage.build_package(TARGET, script, &["--trial-secs", "2"])?;
        let stick = stage.folder().join("stick.mfp");
        std::fs::copy(stage.center.home().join(format!("packages/{id}.mfp")), &stick)?;
        let site = stage.site(1)?;
        let told = site.json(&["update", &stick.to_string_lossy(), "--yes", "--wait-minutes", "2"])?;
        ensure!(text(&told, "state") == "installed" && text(&told, "to") == TARGET, "{told:#}");
        ensure!((running(site)?.as_str(), build(site).as_str()) == (TARGET, "2"), "{}", running(site)?);
        let status = site.run(&["status"])?;
        ensure!(
            status.lines().any(|line| line.starts_with("last update") && line.ends_with("installed")),
            "{status}"
        );
        eventually("the new version at the center", PATIENCE, || {
            let versions = stage.center.json(&["versions", "show"])?;
            let line = entries(&versions).next().cloned().unwrap_or_default();
            let known = text(&line, "software") == TARGET && text(&line, "version") == TARGET;
            Ok((known && text(&line, "made-of") == "release").then_some(()))
        })?;
        let ends = update_ends(stage, 1)?;
        ensure!(ends.len() == 1 && text(&ends[0], "description").contains("installed"), "{ends:#?}");
        Ok(())
    });
}

//! What happens to a box in its life: its credential is rotated, its disk is put back from an image.

use super::play::{all_receipted, eager, jams_become, play, reports, text};
use anyhow::{Context as _, ensure};
use sandbox::post_office::{Fault, Rule};
use sandbox::world::{PATIENCE, Stage, copy_folder, eventually};
use serde_json::Value;
use std::path::Path;

const AGENT: &str = "AGENT0000001";

fn shown(stage: &Stage) -> anyhow::Result<Value> {
    stage.center.json(&["appliance", "show", AGENT])
}

/// How far the newest rotation came.
fn rotation(stage: &Stage) -> anyhow::Result<String> {
    let shown = shown(stage)?;
    Ok(shown.pointer("/rotations/0").map(|rotation| text(rotation, "state").to_owned()).unwrap_or_default())
}

fn credential(root: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join("secrets/credential")).context("the credential")
}

fn rules(stage: &Stage, rules: Vec<Rule>) -> anyhow::Result<()> {
    let office = stage.post_office.as_ref().context("a post office of our own")?;
    stage.block_on(async { office.set_faults(rules) });
    Ok(())
}

#[test]
fn a_credential_is_rotated_while_mails_get_lost_and_doubled_and_the_power_fails() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let root = stage.site(1)?.root.clone();
        let mut before = credential(&root)?;
        rules(
            stage,
            vec![
                Rule::always(Fault::Lose).sent_by(&stage.mail.agent_address(1)).with_chance(0.3),
                Rule::always(Fault::Copies { extra: 1 }).with_chance(0.5),
            ],
        )?;
        for round in 1..=2 {
            stage.center.run(&["appliance", "rotate", AGENT])?;
            for _ in 0..3 {
                let site = stage.site(1)?;
                site.kill();
                site.start()?;
                stage.center.kill();
                stage.center.start()?;
            }
            stage.printer(1, 1)?.jam();
            eventually("the rotation to be done", PATIENCE * 2, || {
                Ok((rotation(stage)? == "done").then_some(()))
            })?;
            let after = credential(&root)?;
            ensure!(after != before, "the credential is the old one");
            ensure!(!root.join("secrets/credential.next").exists(), "both credentials are held still");
            before = after;
            jams_become(stage, 1, round, 1)?;
            stage.printer(1, 1)?.clear_jam();
            jams_become(stage, 1, round, 0)?;
        }
        rules(stage, Vec::new())?;
        all_receipted(stage, 1)
    });
}

#[test]
fn an_appliance_that_was_put_back_from_an_image_is_noticed_and_goes_on() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let image = stage.folder().join("image");
        let root = stage.site(1)?.root.clone();
        stage.site(1)?.stop();
        copy_folder(&root, &image)?;
        stage.site(1)?.start()?;
        stage.printer(1, 1)?.jam();
        jams_become(stage, 1, 1, 1)?;
        all_receipted(stage, 1)?;
        let site = stage.site(1)?;
        site.stop();
        std::fs::remove_dir_all(&site.root)?;
        copy_folder(&image, &root)?;
        stage.site(1)?.start()?;
        eventually("an alarm about the box that was put back", PATIENCE, || {
            let shown = shown(stage)?;
            let alarms = shown.get("alarms").and_then(Value::as_array).cloned().unwrap_or_default();
            Ok(alarms.iter().any(|alarm| text(alarm, "kind") == "restored").then_some(()))
        })?;
        // It has forgotten that it reported the jam; what it says from now on counts all the same.
        eventually("the jam once more", PATIENCE, || {
            Ok((reports(stage, 1, "fault")?.len() >= 2).then_some(()))
        })?;
        all_receipted(stage, 1)
    });
}

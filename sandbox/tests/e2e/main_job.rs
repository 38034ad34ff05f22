//! The main job from the first look at a printer to the comparison report.

use super::job;
use super::play::{eager, play, reports, text};
use super::voice::Voice;
use anyhow::{Context as _, ensure};
use mailfmt::{Command, Message};
use sandbox::world::{PATIENCE, Part, Stage, eventually};

#[test]
fn three_sites_report_and_are_updated() {
    let cast: Vec<Part> = (1..=3).map(eager).collect();
    play(&cast, |stage| {
        let never_on = stage.printer(3, 1)?;
        never_on.power_off();
        job::all_say_their_version(stage)?;
        asked_too_early_it_says_so(stage)?;
        never_on.power_on();
        job::a_jam_comes_and_goes_everywhere(stage)?;
        job::counters_are_the_printers_own(stage)?;
        job::all_are_updated_by_one_mail(stage)?;
        job::all_say_the_new_version(stage)?;
        a_command_from_the_future_is_answered(stage)
    });
}

fn asked_too_early_it_says_so(stage: &Stage) -> anyhow::Result<()> {
    stage.center.run(&["counters", "request", "AGENT0000003"])?;
    let answer =
        eventually("an answer without counters", PATIENCE, || Ok(reports(stage, 3, "counters")?.pop()))?;
    let said = text(&answer, "description");
    ensure!(said.contains("not collected yet"), "it said: {said}");
    Ok(())
}

fn a_command_from_the_future_is_answered(stage: &Stage) -> anyhow::Result<()> {
    let body = serde_json::json!({"tempo": "allegro"});
    let command = Message::Command(Command::Unknown { kind: "dance".to_owned(), body });
    let mail = Voice::of_center(stage, 2)?.mail(&command, 1000)?;
    let office = stage.post_office.as_ref().context("a post office of our own")?;
    ensure!(office.inject(&stage.mail.agent_address(2), &mail), "there is a mailbox");
    let answer = eventually("the refusal", PATIENCE, || Ok(reports(stage, 2, "refused")?.pop()))?;
    let said = text(&answer, "description");
    ensure!(said.contains("dance") && said.contains("not supported by version 1.0.02-0"), "it said: {said}");
    Ok(())
}

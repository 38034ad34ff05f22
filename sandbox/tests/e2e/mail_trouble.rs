//! Mail goes wrong in every way that mail goes wrong; in the end everything was said, and nothing was done twice.

use super::play::{
    all_receipted, eager, jams, jams_become, open_jams, play, reports, running, text, update_ends,
};
use anyhow::{Context as _, ensure};
use sandbox::post_office::{Fault, Outage, PostOffice, Rule, Service};
use sandbox::world::{PATIENCE, Stage, eventually};
use serde_json::Value;

fn office(stage: &Stage) -> anyhow::Result<&PostOffice> {
    stage.post_office.as_ref().context("a post office of our own")
}

fn make_trouble(stage: &Stage, rules: Vec<Rule>) -> anyhow::Result<()> {
    let office = office(stage)?;
    // The post office changes its listeners on the runtime that it lives on.
    stage.block_on(async { office.set_faults(rules) });
    Ok(())
}

/// Waits until an appliance holds a report that no server took.
fn a_report_waits(stage: &Stage, number: u32) -> anyhow::Result<()> {
    eventually("a report that waits", PATIENCE, || Ok((stage.unreceipted(number)? > 0).then_some(())))
}

/// Waits until an appliance itself sees, or sees no more, a jam.
fn sees_jam(stage: &Stage, number: u32, wanted: bool) -> anyhow::Result<()> {
    let site = stage.sites.iter().find(|site| site.number == number).context("no such site")?;
    eventually(&format!("site {number} to see that jammed is {wanted}"), PATIENCE, || {
        let status = site.json(&["status"])?;
        let faults = status.get("faults").and_then(Value::as_array).context("status tells no faults")?;
        Ok((faults.iter().any(|fault| text(fault, "code") == "jam") == wanted).then_some(()))
    })
}

#[test]
fn an_hour_without_mail_server_loses_nothing_and_doubles_nothing() {
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        // The server is gone for everybody, then it hangs, then it takes no mail of any size.
        make_trouble(stage, vec![Rule::always(Fault::Outage(Outage::Refuse))])?;
        for number in [1, 2] {
            stage.printer(number, 1)?.jam();
            a_report_waits(stage, number)?;
        }
        make_trouble(stage, vec![Rule::always(Fault::Outage(Outage::Hang))])?;
        eventually("connections that hang", PATIENCE, || {
            Ok((office(stage)?.connections() >= 2).then_some(()))
        })?;
        for number in [1, 2] {
            sees_jam(stage, number, true)?;
            stage.printer(number, 1)?.clear_jam();
            sees_jam(stage, number, false)?;
        }
        make_trouble(stage, vec![Rule::always(Fault::SizeLimit { octets: 500 })])?;
        stage.printer(1, 1)?.jam();
        eventually("a mail that is refused for its size", PATIENCE, || {
            Ok((office(stage)?.stats().refused > 0).then_some(()))
        })?;
        ensure!(jams(stage, 1)?.is_empty() && jams(stage, 2)?.is_empty(), "nothing came through so far");
        make_trouble(stage, Vec::new())?;
        jams_become(stage, 1, 2, 1)?;
        jams_become(stage, 2, 1, 0)?;
        for number in [1, 2] {
            all_receipted(stage, number)?;
        }
        Ok(())
    });
}

#[test]
fn a_center_that_is_away_while_the_appliance_restarts_misses_nothing() {
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        stage.center.stop();
        stage.printer(1, 1)?.jam();
        stage.printer(2, 1)?.jam();
        for number in [1, 2] {
            sees_jam(stage, number, true)?;
            a_report_waits(stage, number)?;
        }
        stage.site(1)?.kill();
        stage.site(2)?.stop();
        // While it is off, the jam ends: nobody sees that before it runs again.
        stage.printer(1, 1)?.clear_jam();
        stage.site(1)?.start()?;
        stage.site(2)?.start()?;
        sees_jam(stage, 1, false)?;
        ensure!(jams(stage, 1)?.is_empty(), "the center is away");
        stage.center.start()?;
        jams_become(stage, 1, 1, 0)?;
        jams_become(stage, 2, 1, 1)?;
        for number in [1, 2] {
            all_receipted(stage, number)?;
        }
        Ok(())
    });
}

#[test]
fn lost_doubled_damaged_and_overtaken_mails_leave_one_effect_each() {
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let trouble = [
            (0.3, Fault::Lose),
            (0.5, Fault::Copies { extra: 2 }),
            (0.3, Fault::Reorder { behind: 2, at_most_ms: 1500 }),
            (0.2, Fault::DieBeforeReply),
            (0.2, Fault::Damage),
            (0.1, Fault::Truncate { keep: 900 }),
        ];
        let rules = trouble.map(|(chance, fault)| Rule::always(fault).with_chance(chance));
        make_trouble(stage, rules.to_vec())?;
        for round in 1..=3 {
            for number in [1, 2] {
                stage.printer(number, 1)?.jam();
            }
            for number in [1, 2] {
                jams_become(stage, number, round, 1)?;
                stage.printer(number, 1)?.clear_jam();
            }
            for number in [1, 2] {
                // The end of a jam may be lost and come late, but the next jam is another one.
                sees_jam(stage, number, false)?;
            }
        }
        make_trouble(stage, Vec::new())?;
        for number in [1, 2] {
            jams_become(stage, number, 3, 0)?;
            all_receipted(stage, number)?;
            ensure!(open_jams(stage, number)? == 0, "they stay over");
        }
        Ok(())
    });
}

#[test]
fn what_is_ordered_once_is_done_once_however_often_the_mail_comes() {
    play(&[eager(1), eager(2)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let doubled = [Fault::Copies { extra: 3 }, Fault::Reorder { behind: 1, at_most_ms: 500 }];
        let mut rules = doubled.map(Rule::always).to_vec();
        // The center's mail server takes the mail, but the center does not hear so and sends it again.
        rules.push(Rule::always(Fault::DieBeforeReply).sent_by(&stage.mail.center_address()).first(2));
        make_trouble(stage, rules)?;

        stage.center.run(&["counters", "request", "--all"])?;
        let script = "#!/bin/sh\nset -eu\necho \"$TO_VERSION\" >> \"$STATE_DIR/install-count\"\n";
        let package =
            stage.build_package("1.0.02-0", script, &["--settle-secs", "20", "--trial-secs", "2"])?;
        stage.center.roll_out(&package, &["--all", "--answer-timeout", "40", "--rounds", "0"])?;
        let report = stage.finished("1")?;
        ensure!(report.pointer("/counts/updated").and_then(Value::as_u64) == Some(2), "{report:#}");
        for number in [1, 2] {
            let site = stage.site(number)?;
            ensure!(running(site)? == "1.0.02-0", "it runs {}", running(site)?);
            let installed = std::fs::read_to_string(site.root.join("install-count"))?;
            ensure!(installed.lines().count() == 1, "the script ran {} times", installed.lines().count());
        }
        make_trouble(stage, Vec::new())?;
        for number in [1, 2] {
            all_receipted(stage, number)?;
            let answers = reports(stage, number, "counters")?;
            ensure!(answers.len() == 1, "one answer, not {}: {answers:?}", answers.len());
            let results = update_ends(stage, number)?;
            ensure!(results.len() == 1, "one result, not {}: {results:?}", results.len());
            let repeats = [answers, results]
                .concat()
                .iter()
                .filter_map(|report| report.get("repeats")?.as_u64())
                .sum::<u64>();
            ensure!(repeats > 0, "the mails came more than once");
        }
        Ok(())
    });
}

#[test]
fn a_package_that_the_server_finds_too_large_is_named_in_the_report() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let package = stage.build_package("1.0.02-0", "#!/bin/sh\n", &["--settle-secs", "1"])?;
        let limit = Rule::always(Fault::SizeLimit { octets: 1500 }).on(Service::Smtp);
        make_trouble(stage, vec![limit.sent_by(&stage.mail.center_address())])?;
        stage.center.roll_out(&package, &["--all", "--rounds", "0"])?;
        let report = stage.finished("1")?;
        let cause = report.pointer("/rows/0/reason/cause").and_then(Value::as_str).unwrap_or_default();
        ensure!(cause.contains("did not reach it") && cause.contains("size"), "{report:#}");
        Ok(())
    });
}

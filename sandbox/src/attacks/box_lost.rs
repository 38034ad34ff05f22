//! Attacks of somebody who has an appliance, and so its credential and its mail password.

use super::field::{Field, NEW};
use super::findings::Findings;
use super::forge::Forger;
use super::reader::{fault, has_to_report};
use super::writer::{ping, version};
use super::{Adversary, Attack, Means};
use crate::world::copy_folder;
use crate::world::{PATIENCE, entries, eventually};
use anyhow::Context as _;
use jiff::SignedDuration;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport};
use mailfmt::sequence::new_epoch;
use mailfmt::{Message, MessageId, Report};
use monitor_appliance::Context;
use serde_json::Value;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "key compromise: one appliance",
        adversary: Adversary::Appliance,
        tried: "reports in another's name, commands to itself and to another, its own reports when it is suspended",
        means: Means::Field(one_appliance),
    },
    Attack {
        threat: "wrong target: another appliance's mail",
        adversary: Adversary::Appliance,
        tried: "what the center wrote to one appliance, delivered to another",
        means: Means::Field(wrong_target),
    },
    Attack {
        threat: "a lying installer",
        adversary: Adversary::Appliance,
        tried: "success told while the old version runs, then the new version's name over the old modules",
        means: Means::Field(lying_installer),
    },
    Attack {
        threat: "going back after success, not seen",
        adversary: Adversary::Appliance,
        tried: "the right version reported once, the old one from the next day on",
        means: Means::Field(going_back),
    },
    Attack {
        threat: "a cloned appliance",
        adversary: Adversary::Appliance,
        tried: "a copy of the disk that goes on beside the original",
        means: Means::Field(clone),
    },
];

fn one_appliance(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let before = field.knowledge()?;
    let (first, second) = (field.introduction(1)?, field.introduction(2)?);
    let from = field.stage.mail.agent_address(1);
    let report = Message::Report(fault("stolen", "Not there."));
    let forged =
        Forger::agent(&first.agent, &first.center, &second.credential, &from, &second.center_address);
    let (recorded, sent) = field.lay_before_center(&[forged.mail(&report)?])?;
    findings.reason(&format!("{recorded:?}"), "wrong key");
    findings.answers(sent);
    // Commands: to the other one under this credential, and to itself without the center's command key.
    let other = Forger::center(first, &second.credential, &from).mail(&ping())?;
    findings.reason(&field.judged(1, &other)?, "under another key");
    findings.answers(field.lay_before_appliance(1, &[other])?);
    let own = field.credential_of(2)?.mail(&ping())?;
    findings.reason(&field.judged(2, &own)?, "not signed by a command key");
    findings.answers(field.lay_before_appliance(2, &[own])?);
    // The operator hears of the theft.
    field.stage.center.run(&["appliance", "suspend", "AGENT0000002", "--reason", "stolen"])?;
    let (recorded, sent) = field.lay_before_center(&[field.appliance(2)?.mail(&report)?])?;
    findings.reason(&format!("{recorded:?}"), "suspended appliance");
    findings.answers(sent);
    findings.must(field.knowledge()?["reports"] == before["reports"], "something of it was filed");
    Ok(())
}

fn wrong_target(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let draft = field.evil_draft(2)?;
    let package = field.signed(&draft)?;
    // Appliance 2 reads the whole mail that orders the package for appliance 1.
    let end = field.order(2, &field.center_of(1)?, &package)?;
    findings.reason(&end, "under another key");
    let mail = field.center_of(1)?.mail(&ping())?;
    findings.reason(&field.judged(2, &mail)?, "under another key");
    findings.answers(field.lay_before_appliance(2, &[mail])?);
    let mut draft = field.evil_draft(2)?;
    draft.applies.hardware = vec!["another-box".to_owned()];
    let package = field.signed(&draft)?;
    let end = field.order(1, &field.center_of(1)?, &package)?;
    findings.reason(&end, "the package is for another-box");
    Ok(())
}

/// A rollout of a real package to appliance 1, sent; the order's message id and the package.
fn rollout(field: &mut Field) -> anyhow::Result<(MessageId, Vec<u8>)> {
    let draft = field.draft(2, "#!/bin/sh\nexit 0\n")?;
    let package = field.signed(&draft)?;
    let file = field.stage.folder().join("rollout.mfp");
    std::fs::write(&file, &package)?;
    let file = file.to_string_lossy().into_owned();
    field.stage.center.roll_out(&file, &["--agents", "AGENT0000001", "--settle", "0", "--rounds", "0"])?;
    field.center_turn()?;
    let mail = field.office()?.mails(&field.stage.mail.agent_address(1)).pop().context("the order")?;
    let mailfmt::mail::Classified::Ours { attachment } =
        mailfmt::mail::classify(&mail, &mailfmt::Limits::default())
    else {
        anyhow::bail!("the order is no mail of ours")
    };
    let claimed = mailfmt::envelope::peek(&attachment, &mailfmt::Limits::default())?;
    Ok((claimed.header.message, package))
}

/// How the newest rollout counts its one target.
fn mark(field: &Field) -> anyhow::Result<String> {
    let report = field.stage.center.json(&["rollout", "report", "1"])?;
    let mark = report.pointer("/rows/0/mark").and_then(Value::as_str).unwrap_or_default();
    Ok(mark.to_owned())
}

fn lying_installer(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let (order, package) = rollout(field)?;
    let inspected = mailfmt::package::inspect(&package, &mailfmt::Limits::default())?;
    let lie = Message::Report(Report::UpdateResult(UpdateResultReport {
        package: inspected.id,
        target: NEW.parse()?,
        running: NEW.parse()?,
        outcome: UpdateOutcome::Installed,
        output: String::new(),
    }));
    let liar = field.appliance(1)?.numbered(9_000);
    field.lay_before_center(&[liar.clone().answering(order).mail(&lie)?])?;
    let counted = mark(field)?;
    findings.must(counted != "updated" && counted != "ok", format!("counted as {counted} by its word"));
    // The right version in words, but no module of it.
    let report = Message::Report(Report::Version(version(NEW)?));
    field.lay_before_center(&[liar.numbered(9_001).later(0).mail(&report)?])?;
    let counted = mark(field)?;
    findings.must(counted != "updated", format!("the new name over other modules is counted as {counted:?}"));
    findings.note("neither its word nor the right name over other modules is a success");
    Ok(())
}

fn going_back(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let (_, package) = rollout(field)?;
    let inspected = mailfmt::package::inspect(&package, &mailfmt::Limits::default())?;
    let mut right = version(NEW)?;
    right.hashes =
        inspected.manifest.modules.iter().map(|module| (module.name.clone(), module.sha256)).collect();
    right.table.modules = inspected
        .manifest
        .modules
        .iter()
        .map(|module| mailfmt::version_report::ModuleLine {
            name: module.name.clone(),
            version: module.version.clone(),
            date: module.date,
        })
        .collect();
    let appliance = field.appliance(1)?;
    field.lay_before_center(&[appliance
        .clone()
        .numbered(9_000)
        .mail(&Message::Report(Report::Version(right)))?])?;
    let counted = mark(field)?;
    findings.must(counted != "failed", format!("the right version is counted as {counted:?}"));
    let old = Message::Report(Report::Version(version(crate::world::FIRST_VERSION)?));
    // The center takes nothing for younger than it is when it comes.
    next_second()?;
    field.lay_before_center(&[field.appliance(1)?.numbered(9_001).mail(&old)?])?;
    let shown = field.stage.center.json(&["versions", "show"])?;
    let known = entries(&shown).find(|row| row["agent"] == "AGENT0000001").context("appliance 1")?;
    findings
        .must(known["software"] == crate::world::FIRST_VERSION, format!("shown as {}", known["software"]));
    findings.note("the version that runs is shown, whatever the rollout's mark was");
    Ok(())
}

/// Epochs are named by seconds.
pub(super) fn next_second() -> anyhow::Result<()> {
    let present = new_epoch(super::forge::now(), 0);
    eventually("the next second", PATIENCE, || {
        Ok((new_epoch(super::forge::now(), 0) > present + 1).then_some(()))
    })
}

fn clone(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let original = field.context(1, SignedDuration::ZERO)?;
    let copy = field.stage.folder().join("copy");
    copy_folder(&field.root(1), &copy)?;
    let copy = Context::load(&copy)?;
    for (place, context) in [&original, &copy].into_iter().enumerate() {
        next_second()?;
        let report = context.outgoing(fault(&format!("of {place}"), "Jam."), None);
        context.open_store()?.change(|change| change.enqueue(&report).map(drop))?;
        field.turn_of(context)?;
        field.center_turn()?;
    }
    // Which of both it is shows when both have gone on for ten minutes.
    let alarms = field.alarms()?;
    let told = alarms.iter().any(|kind| kind == "cloned" || kind == "restored");
    findings.must(told, format!("alarms: {alarms:?}"));
    findings.note("an alarm with the copy's first report: put back, or copied");
    has_to_report(field, 2, fault("other", "Jam."))?;
    field.settle()
}

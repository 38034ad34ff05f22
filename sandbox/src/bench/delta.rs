//! `delta`: what a change of one line in one program costs on its way, and what an appliance without the older file does.
//!
//! `scripts/bench` builds `device-watch` twice, before and after the change of one line of its source, and names the
//! folder of both by `DELTA_PROGRAMS`.

use super::package::trusted_root;
use super::{Figure, mb_per_s, median, octets_f64};
use anyhow::{Context as _, ensure};
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{
    Course, Post, Release, Rollout, RolloutId, Stand, Target, TargetEvent, Targets, Timing, perform, plan,
};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::ContentKey;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{
    Applies, ModuleFile, ModuleKind, NoWayToModule, OlderFiles, PackageDraft, Rules, Site, build,
    build_deltas, delta, inspect, open, sign,
};
use mailfmt::trust::SigningKey;
use mailfmt::{AgentId, Command, Digest, Limits, ModuleName, SoftwareVersion};
use sandbox::world::Programs;
use std::path::PathBuf;

const CHANGED: &str = "device-watch";
const OTHERS: [&str; 5] =
    ["supervisor", "mail-agent", "update-install", "version-report", "monitor-appliance"];
const RUNS: usize = 9;
const PERCENT_MAX: u32 = 10;

/// Builds both packages, opens the one of differences and applies it.
///
/// # Errors
/// When the programs are missing, or the difference leads to another file.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let folder =
        PathBuf::from(std::env::var_os("DELTA_PROGRAMS").context(
            "DELTA_PROGRAMS does not name the folder of both builds; `scripts/bench delta` makes it",
        )?);
    let read =
        |path: PathBuf| std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    let (old, new) = (read(folder.join("old"))?, read(folder.join("new"))?);
    ensure!(old != new, "the changed line did not change the program");
    let programs = Programs::find()?;

    let mut modules = vec![module(CHANGED, new.clone(), true)?];
    for name in OTHERS {
        modules.push(module(name, read(programs.path(name))?, true)?);
    }
    let limits = Limits::default();
    let mut draft = draft(modules, now)?;
    let whole = build(&draft, &limits)?;
    // The other programs did not change, and so do not travel.
    for module in &mut draft.modules {
        module.carried = module.name.as_str() == CHANGED;
    }
    let name: ModuleName = CHANGED.parse()?;
    let older = OlderFiles {
        files: [(name.clone(), vec![old.clone()])].into(),
        whole: Some(inspect(&whole, &limits)?.id),
    };
    let key = SigningKey::generate(&mut sandbox::random());
    let package = sign(&build_deltas(&draft, &older, &limits)?, &key, &limits)?;
    let alone = build(
        &PackageDraft {
            modules: draft.modules.iter().filter(|m| m.carried).cloned().collect(),
            ..draft.clone()
        },
        &limits,
    )?;
    eprintln!(
        "  {CHANGED}: {} octets; the package with all programs {}, with this one alone {}, with its difference {}",
        new.len(),
        whole.len(),
        alone.len(),
        package.len()
    );

    let root = trusted_root(&key, &SigningKey::generate(&mut sandbox::random()), now)?;
    let (agent, running) = ("AGENT0000001".parse()?, SoftwareVersion::new("1.0.00-1")?);
    let site = Site {
        root: &root,
        agent: &agent,
        permit: None,
        running: &running,
        hardware: "x86_64",
        installed_counter: 1,
        now,
    };
    let opened = open(&package, &site, &limits)?;
    let files = opened.files_over(|_| Some(old.clone()))?;
    ensure!(files.get(&name) == Some(&new), "the difference led to another file");
    let raw = delta::make(&old, &new);
    let applied = median(RUNS, || delta::apply(&old, &raw, &Digest::of(&new)));
    let copied = median(RUNS, || Digest::of(&new));

    let altered = [old.as_slice(), b"altered by hand"].concat();
    let refused = opened.files_over(|_| Some(altered.clone()));
    let fell_back = matches!(refused, Err(NoWayToModule::NoDelta { .. })) && center_sends_whole(now)?;

    let figure = |figure, value, unit, against| Figure { bench: "delta", figure, value, unit, against };
    Ok(vec![
        figure(
            "one_line_percent",
            octets_f64(package.len()) * 100.0 / octets_f64(whole.len()),
            "% of the full package",
            format!(
                "limit: {PERCENT_MAX}; the changed program whole: {:.1}",
                octets_f64(alone.len()) * 100.0 / octets_f64(whole.len())
            ),
        ),
        figure(
            "apply_mb_s",
            mb_per_s(new.len(), applied),
            "MB/s, with its check",
            format!("the check alone (SHA-256): {:.0} MB/s", mb_per_s(new.len(), copied)),
        ),
        figure("full_fallback", f64::from(u8::from(fell_back)), "times sent whole", "limit: 1".to_owned()),
    ])
}

fn module(name: &str, file: Vec<u8>, carried: bool) -> anyhow::Result<ModuleFile> {
    Ok(ModuleFile {
        name: name.parse()?,
        version: "1.0.02".parse()?,
        date: jiff::civil::date(2026, 1, 1),
        kind: ModuleKind::Resident,
        file,
        carried,
    })
}

fn draft(modules: Vec<ModuleFile>, now: Timestamp) -> anyhow::Result<PackageDraft> {
    Ok(PackageDraft {
        target: SoftwareVersion::new("1.0.02-0")?,
        rom: None,
        release_counter: 2,
        created: now,
        expires: now + SignedDuration::from_hours(24),
        modules,
        script: b"#!/bin/sh\nexit 0\n".to_vec(),
        script_time_limit_secs: 60,
        applies: Applies::default(),
        rules: Rules::default(),
    })
}

/// Whether the center, told of the refusal, sends the whole package to that appliance and to nobody else.
fn center_sends_whole(now: Timestamp) -> anyhow::Result<bool> {
    let order = UpdateOrder {
        package: Digest::of(b"differences"),
        target: SoftwareVersion::new("1.0.02-0")?,
        enclosure: Digest::of(b"enclosed"),
        enclosure_octets: 8,
        content_key: ContentKey::generate(&mut sandbox::random()),
        permit: None,
        parts: None,
        approval: None,
    };
    let mut rollout = Rollout {
        id: RolloutId(1),
        release: Release { version: order.target.clone(), modules: Default::default() },
        whole: Some(UpdateOrder { package: Digest::of(b"whole files"), ..order.clone() }),
        order,
        timing: Timing {
            settle: SignedDuration::from_mins(10),
            answer_timeout: Timing::ANSWER_TIMEOUT,
            delivery_limit: Timing::DELIVERY_LIMIT,
            command_life: SignedDuration::from_hours(24),
        },
        openings: Default::default(),
        retrying: Policy::NOTHING,
        package_expires: now + SignedDuration::from_hours(24),
        started: now,
        course: Course::at_once(),
        stand: Stand::begun(now),
        joining: None,
        consent: None,
        finished: None,
    };
    let agents: [AgentId; 2] = ["AGENT0000001".parse()?, "AGENT0000002".parse()?];
    let [refusing, _] = &agents;
    let mut targets: Targets =
        agents.iter().map(|agent| (agent.clone(), Target::new(agent.clone(), 0))).collect();
    let mut random = sandbox::random();
    let mut sent = Vec::new();
    for minutes in 0..2 {
        let now = now + SignedDuration::from_mins(minutes);
        for step in plan(&rollout, &targets, now) {
            let post = perform(&step, &mut rollout, &mut targets, now, &mut random);
            if let Some(Post { command: Command::Update(order), agents, .. }) = post {
                sent.push((order.package, agents));
            }
        }
        if let Some(target) = targets.get_mut(refusing) {
            let outcome = UpdateOutcome::Refused { reason: "no difference fits".to_owned() };
            let answers = target.mails().0.map(|order| order.message);
            target.hear(&TargetEvent::Result { answers, created: now, outcome }, now);
        }
    }
    let expected =
        [(Digest::of(b"differences"), agents.to_vec()), (Digest::of(b"whole files"), vec![refusing.clone()])];
    Ok(sent == expected)
}

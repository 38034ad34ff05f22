//! How a computer fares, by what it tells and by the site's list of applications: pure, over what was known before, what it
//! told and the time.
//!
//! A condition is reported when two readings in a row show it, so that an application that is being restarted is none, and
//! is over with the first reading that shows otherwise. What a computer does not tell begins nothing and ends nothing.

use crate::device::{Host, Program, Software, StorageKind};
use crate::settings::{Application, Computers, Rule};
use crate::store::FaultRow;
use jiff::{SignedDuration, Timestamp};
use mailfmt::Digest;
use mailfmt::message::census::{ApplicationState, ComputerState, DiskState};
use mailfmt::message::report::{FaultClearedReport, FaultReport};
use mailfmt::message::{DeviceId, FaultClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Readings in a row that show a condition before it is reported.
const LOOKS: u8 = 2;

/// `hrSystemUptime` begins again after so many seconds (2^32 hundredths).
const WRAP_SECS: u64 = 42_949_672;

/// How far an uptime may be off from what was expected.
const SLACK_SECS: u64 = 300;

/// Most disks of one computer.
const DISKS_MAX: usize = 64;

/// Where a fault of a computer is.
const GROUP: &str = "computer";

/// What is remembered of a computer between two readings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ComputerMemory {
    uptime: Option<(u64, Timestamp)>,
    restarts: u32,
    conditions: BTreeMap<String, Condition>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Condition {
    since: Timestamp,
    looks: u8,
    /// Its episode, once it is reported.
    episode: Option<String>,
}

/// Who is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Who it is; by its address where it never told.
    pub id: &'a DeviceId,
    /// Its address as in settings.
    pub address: &'a str,
    /// Its own name.
    pub name: Option<&'a str>,
}

/// What one reading leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What the computer tells.
    pub state: ComputerState,
    /// What is remembered from now on.
    pub memory: ComputerMemory,
    /// Faults that began.
    pub started: Vec<(FaultRow, FaultReport)>,
    /// Faults that are over.
    pub cleared: Vec<FaultClearedReport>,
    /// Whether it has started anew since it was read before.
    pub restarted: bool,
}

/// Takes in what a computer told.
#[must_use]
pub fn look(
    memory: &ComputerMemory,
    subject: &Subject<'_>,
    host: &Host,
    software: &Software,
    rules: &Computers,
    now: Timestamp,
) -> Looked {
    let mut memory = memory.clone();
    let restarted = memory.uptime.zip(host.uptime_secs).is_some_and(|((before, at), uptime)| {
        let passed = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
        has_restarted(before, uptime, passed)
    });
    memory.restarts = memory.restarts.saturating_add(u32::from(restarted));
    memory.uptime = host.uptime_secs.map(|uptime| (uptime, now)).or(memory.uptime);
    let applications = applications(subject.address, software, rules);
    let disks = disks(host);
    let shown = conditions(&applications, &disks, software, rules);
    let (mut started, mut cleared) = (Vec::new(), Vec::new());
    for (key, wrong) in &shown {
        step(&mut memory, subject, key, wrong.as_ref(), now, &mut started, &mut cleared);
    }
    // What is not asked for any more is over.
    let gone: Vec<String> = memory
        .conditions
        .keys()
        .filter(|key| !shown.contains_key(*key) && is_settled(key, software))
        .cloned()
        .collect();
    for key in gone {
        step(&mut memory, subject, &key, None, now, &mut started, &mut cleared);
    }
    let uptime = host.uptime_secs.and_then(|secs| i64::try_from(secs).ok()).map(SignedDuration::from_secs);
    let loads = &host.processor_load_percent;
    let load = loads
        .iter()
        .map(|load| u32::from(*load))
        .sum::<u32>()
        .checked_div(u32::try_from(loads.len()).unwrap_or(0));
    let memory_row = host.storage.iter().find(|storage| storage.kind == StorageKind::Ram);
    let state = ComputerState {
        device: (!subject.id.serial.starts_with("address:")).then(|| subject.id.clone()),
        address: subject.address.to_owned(),
        name: subject.name.map(str::to_owned),
        at: now,
        started: uptime.and_then(|uptime| now.checked_sub(uptime).ok()),
        restarts: memory.restarts,
        load_percent: load.and_then(|load| u8::try_from(load).ok()),
        memory_octets: host.memory_bytes.or_else(|| memory_row.and_then(|storage| storage.size_bytes)),
        memory_used_octets: memory_row.and_then(|storage| storage.used_bytes),
        disks,
        applications,
        running: software.running.as_ref().and_then(|running| u32::try_from(running.len()).ok()),
        installed: software.installed.as_ref().and_then(|installed| u32::try_from(installed.len()).ok()),
    };
    Looked { state, memory, started, cleared, restarted }
}

/// Whether a computer has started anew between two readings of its uptime.
fn has_restarted(before: u64, uptime: u64, passed: u64) -> bool {
    let expected = before.saturating_add(passed);
    let wrapped = expected >= WRAP_SECS && expected % WRAP_SECS <= uptime.saturating_add(SLACK_SECS);
    (uptime < before || uptime.saturating_add(SLACK_SECS) < expected) && !wrapped
}

/// Whether what runs is told, so that a condition about it can be over.
fn is_settled(key: &str, software: &Software) -> bool {
    !key.starts_with("application-") || software.running.is_some()
}

/// How the applications of the list stand.
fn applications(address: &str, software: &Software, rules: &Computers) -> Vec<ApplicationState> {
    let listed = rules.applications.iter().filter(|application| application.holds_for(address));
    let state = |application: &Application| {
        let runs = |program: &&Program| {
            let file = program.path.as_deref().and_then(|path| path.rsplit(['/', '\\']).next());
            application.means(&program.name) || file.is_some_and(|file| application.means(file))
        };
        let running = software.running.as_ref().map_or(0, |running| running.iter().filter(runs).count());
        ApplicationState {
            name: application.name.clone(),
            rule: application.rule.as_str().to_owned(),
            running: u32::try_from(running).unwrap_or(u32::MAX),
            installed: software
                .installed
                .as_ref()
                .map(|installed| installed.iter().any(|name| application.means(name))),
        }
    };
    listed.map(state).collect()
}

fn disks(host: &Host) -> Vec<DiskState> {
    let fixed = host.storage.iter().filter(|storage| storage.kind == StorageKind::FixedDisk);
    let disk = |storage: &crate::device::Storage| {
        Some(DiskState {
            name: storage.description.clone()?,
            octets: storage.size_bytes.filter(|size| *size > 0)?,
            used_octets: storage.used_bytes?,
        })
    };
    fixed.filter_map(disk).take(DISKS_MAX).collect()
}

/// What is wrong.
struct Wrong {
    code: &'static str,
    class: FaultClass,
    description: String,
}

/// Everything that could be wrong, and whether it is.
fn conditions(
    applications: &[ApplicationState],
    disks: &[DiskState],
    software: &Software,
    rules: &Computers,
) -> BTreeMap<String, Option<Wrong>> {
    let mut shown = BTreeMap::new();
    for application in applications {
        let name = &application.name;
        if application.rule == Rule::Required.as_str() && software.running.is_some() {
            let wrong = (application.running == 0).then(|| Wrong {
                code: "application-missing",
                class: FaultClass::ServiceRequired,
                description: format!("{name} does not run"),
            });
            shown.insert(format!("application-missing {name}"), wrong);
        } else if application.rule == Rule::Forbidden.as_str()
            && (software.running.is_some() || software.installed.is_some())
        {
            let runs = application.running > 0;
            let wrong = (runs || application.installed == Some(true)).then(|| Wrong {
                code: "application-forbidden",
                class: FaultClass::UserClearable,
                description: format!(
                    "{name} {} and is forbidden",
                    if runs { "runs" } else { "is installed" }
                ),
            });
            shown.insert(format!("application-forbidden {name}"), wrong);
        }
    }
    for disk in disks {
        let percent = u128::from(disk.used_octets) * 100 / u128::from(disk.octets.max(1));
        let full = rules.disk_full < 100 && percent > u128::from(rules.disk_full);
        let wrong = full.then(|| Wrong {
            code: "disk-full",
            class: FaultClass::UserClearable,
            description: format!("{} is {percent} % full", disk.name),
        });
        shown.insert(format!("disk-full {}", disk.name), wrong);
    }
    shown
}

fn step(
    memory: &mut ComputerMemory,
    subject: &Subject<'_>,
    key: &str,
    wrong: Option<&Wrong>,
    now: Timestamp,
    started: &mut Vec<(FaultRow, FaultReport)>,
    cleared: &mut Vec<FaultClearedReport>,
) {
    let Some(wrong) = wrong else {
        if let Some(episode) = memory.conditions.remove(key).and_then(|condition| condition.episode) {
            cleared.push(FaultClearedReport { device: subject.id.clone(), episode, cleared: now });
        }
        return;
    };
    let fresh = Condition { since: now, looks: 0, episode: None };
    let condition = memory.conditions.entry(key.to_owned()).or_insert(fresh);
    condition.looks = condition.looks.saturating_add(1);
    if condition.looks < LOOKS || condition.episode.is_some() {
        return;
    }
    let episode = episode_name(subject.id, key, condition.since);
    condition.episode = Some(episode.clone());
    let row = FaultRow {
        episode: episode.clone(),
        address: subject.address.to_owned(),
        class: wrong.class.to_string(),
        code: wrong.code.to_owned(),
        description: wrong.description.clone(),
        since: condition.since,
    };
    let report = FaultReport {
        device: subject.id.clone(),
        episode,
        class: wrong.class,
        code: wrong.code.to_owned(),
        group: GROUP.to_owned(),
        severity: "warning".to_owned(),
        description: wrong.description.clone(),
        since: condition.since,
    };
    started.push((row, report));
}

/// Names an episode: the same for its beginning and its end, different for every other one of this appliance.
fn episode_name(device: &DeviceId, key: &str, since: Timestamp) -> String {
    let since = since.as_millisecond().to_be_bytes();
    let digest =
        Digest::of_pieces(&[b"computer\0", device.to_string().as_bytes(), b"\0", key.as_bytes(), &since]);
    digest.to_string().chars().take(16).collect()
}

/// The licensed applications that more computers have than there are licences, with how many.
#[must_use]
pub fn licences_exceeded<'a>(
    rules: &'a Computers,
    computers: &[ComputerState],
) -> Vec<(&'a Application, usize, u32)> {
    let has = |application: &Application, computer: &ComputerState| {
        let of_it = |state: &&ApplicationState| {
            state.name == application.name && state.rule == application.rule.as_str()
        };
        computer
            .applications
            .iter()
            .find(of_it)
            .is_some_and(|state| state.running > 0 || state.installed == Some(true))
    };
    let exceeded = |application: &'a Application| match application.rule {
        Rule::Licensed { licences } => {
            let count = computers.iter().filter(|computer| has(application, computer)).count();
            (usize::try_from(licences).is_ok_and(|licences| licences < count)).then_some((
                application,
                count,
                licences,
            ))
        }
        Rule::Required | Rule::Forbidden => None,
    };
    rules.applications.iter().filter_map(exceeded).collect()
}

/// The alarms about licences by their names, with their texts.
#[must_use]
pub fn licence_alarms(rules: &Computers, computers: &[ComputerState]) -> BTreeMap<String, String> {
    let alarm = |(application, count, licences): (&Application, usize, u32)| {
        let text = format!("{} is on {count} computers, and there are {licences} licences", application.name);
        (format!("{LICENCES_EXCEEDED} {}", application.name), text)
    };
    licences_exceeded(rules, computers).into_iter().map(alarm).collect()
}

/// How the names of alarms about licences begin.
pub const LICENCES_EXCEEDED: &str = "licences-exceeded";

#[cfg(test)]
mod tests;

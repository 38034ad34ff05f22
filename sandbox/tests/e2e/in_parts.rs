//! A package that is larger than one mail may be: it arrives in parts, and only what got lost is sent once more.

use super::play::{eager, play, running, text};
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::outbox::{OutboxFilter, OutboxId};
use sandbox::post_office::PostOffice;
use sandbox::world::{FIRST_VERSION, PATIENCE, ReleaseFolder, Stage, entries, eventually};
use serde_json::Value;
use std::path::{Path, PathBuf};

const TARGET: &str = "1.0.02-0";
const DATA: &str = "vendors.txt";
/// Far less than the package has.
const MAIL_OCTETS_MAX: usize = 65_536;

/// Half a megabyte that hardly shrinks.
fn vendors(build: u32) -> String {
    let mixed = |number: u32| (number ^ (number << 13)).wrapping_mul(2_654_435_761).rotate_left(number % 31);
    let line =
        |number: u32| format!("{:08x}{:08x}\n", mixed(number), mixed(!number).wrapping_mul(number | build));
    (0..30_000).map(line).collect()
}

fn office(stage: &Stage) -> anyhow::Result<&PostOffice> {
    stage.post_office.as_ref().context("a post office of our own")
}

fn release(stage: &Stage, version: &str, counter: u64, build: u32) -> anyhow::Result<ReleaseFolder> {
    let release = ReleaseFolder::of_scripts(&stage.programs, stage.folder(), version, counter, build)?;
    release.add_data(DATA, &vendors(build), build)?;
    Ok(release)
}

fn add_settings(path: &Path, before: &str, after: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    Ok(std::fs::write(path, format!("{before}\n{text}\n{after}\n"))?)
}

/// Where our mails to the one target stand, in the operator's table.
fn transport(stage: &Stage) -> anyhow::Result<String> {
    let report = stage.center.json(&["rollout", "report", "1"])?;
    let rows: Vec<&Value> = report.get("rows").map(entries).context("rows")?.collect();
    Ok(rows.first().map(|row| text(row, "transport")).unwrap_or_default().to_owned())
}

/// Of every message of one kind, how often it was handed in.
fn handed_in(stage: &Stage, kind: &str) -> anyhow::Result<Vec<u32>> {
    let db = Db::open(&stage.center.home().join("fleet.db"))?;
    let lines = db.outbox(OutboxFilter::Commands, 1_000)?;
    let of_kind = lines.iter().filter(|line| line.kind == kind);
    let mut all = Vec::new();
    for line in of_kind {
        all.extend(db.deliveries(OutboxId(line.number))?.iter().map(|delivery| delivery.attempts));
    }
    Ok(all)
}

/// One letter of the attachment is another one, far behind everything that tells what the mail is.
fn damaged(raw: &[u8]) -> Vec<u8> {
    let mut raw = raw.to_vec();
    let at = raw.len() - 1_000;
    let letter = (at..raw.len()).find(|at| raw[*at].is_ascii_uppercase()).unwrap();
    raw[letter] = if raw[letter] == b'A' { b'B' } else { b'A' };
    raw
}

fn part_files(root: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root.join("packages")).into_iter().flatten().flatten();
    folders
        .filter(|entry| entry.path().is_dir())
        .flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn a_package_in_parts_of_which_some_are_lost_doubled_overtaken_or_damaged_is_installed_and_only_those_are_sent_again()
 {
    play(&[eager(1)], |stage| {
        let first = release(stage, FIRST_VERSION, 1, 0)?;
        let root = stage.site(1)?.root.clone();
        stage.site(1)?.reinstall(&first)?;
        add_settings(&root.join("appliance.toml"), "", "[update]\npart_wait_secs = 3")?;
        let limit = format!("mail_out_max_octets = {MAIL_OCTETS_MAX}");
        add_settings(&stage.center.home().join("center.toml"), &limit, "")?;
        stage.start()?;
        stage.hear_from_all()?;
        stage.site(1)?.stop();

        let new = release(stage, TARGET, 2, 2)?;
        let folder = new.path.to_string_lossy();
        let rules = ["--settle-secs", "20", "--trial-secs", "2", "--sign"];
        let built = stage.center.json(&[&["package", "build", "--release", &folder][..], &rules].concat())?;
        let address = stage.mail.agent_address(1);
        office(stage)?.take_mails(&address);
        let package = text(&built, "id");
        stage.center.roll_out(package, &["--all", "--answer-timeout", "60"])?;
        let mut seen = String::new();
        eventually("all parts in the mailbox", PATIENCE, || {
            let now = transport(stage)?;
            if now.starts_with("parts ") {
                seen.clone_from(&now);
            }
            Ok((now == "accepted").then_some(()))
        })?;
        let parts = handed_in(stage, "part")?.len();
        ensure!(parts >= 5, "{parts} parts");
        let mails = office(stage)?.take_mails(&address);
        ensure!(mails.len() == 1 + parts, "{} mails for {parts} parts, last seen as {seen:?}", mails.len());
        ensure!(mails.iter().all(|mail| mail.len() <= MAIL_OCTETS_MAX), "a mail is larger than allowed");

        // The last come first and the order comes last; one is lost, one damaged, one comes three times.
        for (nth, mail) in mails.iter().enumerate().rev() {
            match nth {
                2 => {}
                4 => drop(office(stage)?.inject(&address, &damaged(mail))),
                3 => (0..3).for_each(|_| drop(office(stage).map(|office| office.inject(&address, mail)))),
                _ => drop(office(stage)?.inject(&address, mail)),
            }
        }
        stage.site(1)?.start()?;
        eventually("a part on the disk", PATIENCE, || Ok((!part_files(&root).is_empty()).then_some(())))?;
        stage.site(1)?.kill();
        stage.site(1)?.start()?;

        let report = stage.finished("1")?;
        for row in report.get("rows").map(entries).context("rows")? {
            ensure!(text(row, "mark") == "updated", "{row:#}");
        }
        let site = stage.site(1)?;
        ensure!(running(site)? == TARGET, "runs {}", running(site)?);
        ensure!(part_files(&root).is_empty(), "parts are left behind: {:?}", part_files(&root));
        let mut times = handed_in(stage, "part")?;
        times.sort_unstable();
        let (once, twice) = times.split_at(parts - 2);
        ensure!(once.iter().all(|times| *times == 1) && twice == [2, 2], "handed in {times:?} times");
        ensure!(handed_in(stage, "update")? == [1], "the order was sent again");
        let history = stage.center.run(&["rollout", "status", "1", "--agent", "AGENT0000001"])?;
        ensure!(history.contains("missing 2, 4; 2 sent again"), "{history}");
        Ok(())
    });
}

#[test]
fn parity_parts_stand_for_lost_ones_without_a_question() {
    play(&[eager(1)], |stage| {
        let first = release(stage, FIRST_VERSION, 1, 0)?;
        stage.site(1)?.reinstall(&first)?;
        let settings = stage.center.home().join("center.toml");
        add_settings(&settings, "parity_parts = 1\nparity_group = 4", "")?;
        // The account's own limit counts like one that its server announces.
        let before = std::fs::read_to_string(&settings)?;
        ensure!(before.contains("[[account]]"), "{before}");
        std::fs::write(&settings, before.replace("[[account]]", "[[account]]\nmail_octets_max = 65536"))?;
        stage.start()?;
        stage.hear_from_all()?;
        stage.site(1)?.stop();

        let new = release(stage, TARGET, 2, 2)?;
        let folder = new.path.to_string_lossy();
        let rules = ["--settle-secs", "10", "--trial-secs", "2", "--sign"];
        let built = stage.center.json(&[&["package", "build", "--release", &folder][..], &rules].concat())?;
        let address = stage.mail.agent_address(1);
        office(stage)?.take_mails(&address);
        let package = text(&built, "id");
        stage.center.roll_out(package, &["--all", "--answer-timeout", "60", "--rounds", "0"])?;
        eventually("all parts in the mailbox", PATIENCE, || {
            Ok((transport(stage)? == "accepted").then_some(()))
        })?;
        let mails = office(stage)?.take_mails(&address);
        ensure!(mails.len() > 6, "{} mails", mails.len());
        // Two neighbours are lost: they are of different groups.
        for (nth, mail) in mails.iter().enumerate() {
            if nth != 2 && nth != 3 {
                office(stage)?.inject(&address, mail);
            }
        }
        stage.site(1)?.start()?;
        let report = stage.finished("1")?;
        for row in report.get("rows").map(entries).context("rows")? {
            ensure!(text(row, "mark") == "updated", "{row:#}");
        }
        let times = handed_in(stage, "part")?;
        ensure!(times.iter().all(|times| *times == 1), "handed in {times:?} times");
        Ok(())
    });
}

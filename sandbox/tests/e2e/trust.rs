//! Whom a fleet trusts: many roots missed, and a center in the hands of a thief.

use super::play::{eager, play, reports, running, text};
use super::voice::Voice;
use anyhow::{Context as _, ensure};
use mailfmt::message::command::TrustRoots;
use mailfmt::trust::{KeyFile, Role, SignedRoot, SigningKey, TrustedRoot};
use mailfmt::{Command, Message};
use sandbox::random;
use sandbox::world::{FIRST_VERSION, PATIENCE, Stage, entries, eventually};
use serde_json::Value;
use std::path::{Path, PathBuf};

const AGENT: &str = "AGENT0000001";

/// The root that the center knows the site to trust.
fn root_of_the_site(stage: &Stage) -> anyhow::Result<Option<u64>> {
    let fleet = stage.center.json(&["root", "fleet"])?;
    Ok(entries(&fleet).next().and_then(|standing| standing.get("root")).and_then(Value::as_u64))
}

fn root_becomes(stage: &Stage, version: u64) -> anyhow::Result<()> {
    eventually(&format!("root {version} at the site"), PATIENCE, || {
        Ok((root_of_the_site(stage)? == Some(version)).then_some(()))
    })
}

fn path(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}

/// Makes a key of this role; its private file.
fn new_key(stage: &Stage, role: &str, name: &str) -> anyhow::Result<PathBuf> {
    let file = stage.folder().join(format!("{role}-{name}.pem"));
    stage.center.run(&["key", "new", "--role", role, "--out", &path(&file)])?;
    Ok(file)
}

fn key_id(stage: &Stage, file: &Path) -> anyhow::Result<String> {
    Ok(text(&stage.center.json(&["key", "show", &path(&file.with_extension("pub"))])?, "id").to_owned())
}

/// Keys of all roles, the root's first.
type Keys = [PathBuf; 3];

/// Makes the next root in `roots`, with new keys in all roles and none of the old ones.
fn rotate(stage: &Stage, roots: &Path, old: &Keys, name: &str) -> anyhow::Result<Keys> {
    let roles = ["root", "release", "command"];
    let mut arguments: Vec<String> =
        ["root", "rotate", "--from", &path(roots), "--out", &path(roots)].map(ToOwned::to_owned).to_vec();
    let mut new = Vec::new();
    for (role, old) in roles.iter().zip(old) {
        let key = new_key(stage, role, name)?;
        let public = format!("{role}={}", path(&key.with_extension("pub")));
        arguments.extend(["--drop-key".to_owned(), key_id(stage, old)?, "--add-key".to_owned(), public]);
        new.push(key);
    }
    let new: Keys = new.try_into().ok().context("three keys")?;
    let [root, ..] = &new;
    for signer in [&old[0], root] {
        arguments.extend(["--sign".to_owned(), path(signer)]);
    }
    stage.center.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(new)
}

#[test]
fn an_appliance_that_was_off_for_twenty_rotations_catches_up_from_one_mail() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        stage.center.run(&["ping", "--all"])?;
        root_becomes(stage, 1)?;
        stage.site(1)?.stop();
        stage.center.stop();

        let home = stage.center.home().join("keys");
        let roots = stage.folder().join("roots.json");
        std::fs::copy(home.join("roots.json"), &roots)?;
        let mut keys = ["root", "release", "command"].map(|role| home.join(role).with_extension("pem"));
        for rotation in 1..=20 {
            keys = rotate(stage, &roots, &keys, &rotation.to_string())?;
        }
        let [_, _, command] = &keys;
        std::fs::copy(command, home.join("command.pem"))?;
        std::fs::copy(command.with_extension("pub"), home.join("command.pub"))?;
        stage.center.run(&["root", "add", &path(&roots)])?;
        stage.center.run(&["root", "send", "--behind"])?;
        stage.center.start()?;
        stage.site(1)?.start()?;
        root_becomes(stage, 21)?;

        // The site takes what the newest command key signs, and nothing of the first one.
        let before = reports(stage, 1, "health")?.len();
        stage.center.run(&["ping", "--all"])?;
        eventually("the answer to a ping under the newest key", PATIENCE, || {
            Ok((reports(stage, 1, "health")?.len() > before).then_some(()))
        })
    });
}

/// Starts a rollout to the site; how it ends and why.
fn roll_out(stage: &Stage, package: &str, further: &[&str]) -> anyhow::Result<(String, String)> {
    let start = [
        "rollout",
        "start",
        "--package",
        package,
        "--agents",
        AGENT,
        "--answer-timeout",
        "60",
        "--yes",
        "--rounds",
        "0",
    ];
    let said = stage.center.run(&[&start[..], further].concat())?;
    let started = said.lines().find_map(|line| line.strip_prefix("rollout "));
    let number = started.and_then(|rest| rest.split(' ').next()).context("the rollout's number")?.to_owned();
    let report = stage.finished(&number)?;
    let row = report.pointer("/rows/0").context("one row")?;
    let cause = row.pointer("/reason/cause").and_then(Value::as_str).unwrap_or_default();
    Ok((text(row, "mark").to_owned(), cause.to_owned()))
}

/// A script that shows whether it ran.
const EVIL: &str = "#!/bin/sh\ntouch \"$STATE_DIR/stolen\"\n";

/// A package of the thief's, signed by `key`; taken in by the center, which he holds.
fn own_package(stage: &Stage, key: &Path) -> anyhow::Result<String> {
    let script = stage.folder().join("evil.sh");
    std::fs::write(&script, EVIL)?;
    let new = stage.release("1.0.02-0", 2, 2)?;
    let file = path(&stage.folder().join("evil.mfp"));
    let (release, before, script) = (path(&new.path), path(&stage.first_release.path), path(&script));
    let build = ["package", "build", "--release", &release, "--from-release", &before, "--output", &file];
    stage.center.run(&[&build[..], &["--script", &script, "--settle-secs", "20"]].concat())?;
    stage.center.run(&["package", "sign", &file, "--key", &path(key)])?;
    Ok(text(&stage.center.json(&["package", "add", &file])?, "id").to_owned())
}

/// A root after the newest one that gives all roles to keys of the thief.
fn own_root(stage: &Stage, key: &SigningKey) -> anyhow::Result<SignedRoot> {
    let chain: Vec<SignedRoot> =
        serde_json::from_slice(&std::fs::read(stage.center.home().join("keys/roots.json"))?)?;
    let mut root = TrustedRoot::first(&chain)?.root().clone();
    root.version += 1;
    root.root = Role::of(key.public());
    root.release = Role::of(key.public());
    root.command = Role::of(SigningKey::generate(&mut random()).public());
    Ok(SignedRoot::unsigned(&root)?.sign(key)?)
}

fn holds(folder: &Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        entry.file_name() == name || (path.is_dir() && !path.is_symlink() && holds(&path, name))
    })
}

#[test]
fn with_database_command_key_and_mail_passwords_stolen_no_code_of_the_thief_runs() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        // An old release with a hole, signed when the keys were still here.
        let old =
            stage.build_package("1.0.02-0", EVIL, &["--settle-secs", "10", "--release-counter", "0"])?;
        let vault = stage.folder().join("vault");
        std::fs::create_dir(&vault)?;
        stage.center.run(&["key", "move-out", &path(&vault)])?;

        // From here on the thief: he has the home as it is, and works with the center's own programs.
        let thief = new_key(stage, "release", "thief")?;
        let command = stage.center.home().join("keys/command.pem");
        for key in [&thief, &command] {
            let package = own_package(stage, key)?;
            let (mark, cause) = roll_out(stage, &package, &[])?;
            ensure!(mark == "failed", "{mark}: {cause}");
            ensure!(cause.contains("no valid signature by a trusted release key"), "{cause}");

            let permit = path(&stage.folder().join("thief.permit"));
            let made = ["package", "permit", "--agents", AGENT, "--package", &old, "--from", FIRST_VERSION];
            stage.center.run(&[&made[..], &["--key", &path(key), "--out", &permit]].concat())?;
            let (mark, cause) = roll_out(stage, &old, &["--permit", &permit])?;
            ensure!(mark == "failed" && cause.contains("signed by 0 release keys"), "{mark}: {cause}");

            let before = reports(stage, 1, "refused")?.len();
            let secret = KeyFile::parse(&std::fs::read_to_string(key)?)?.open(None)?;
            let roots = TrustRoots { roots: vec![own_root(stage, &secret)?] };
            let mail =
                Voice::of_center(stage, 1)?.mail(&Message::Command(Command::TrustRoots(roots)), 900)?;
            let office = stage.post_office.as_ref().context("a post office of our own")?;
            office.inject(&stage.mail.agent_address(1), &mail);
            let refused = eventually("the refusal of the root", PATIENCE, || {
                let refused = reports(stage, 1, "refused")?;
                Ok((refused.len() > before).then_some(refused).and_then(|mut refused| refused.pop()))
            })?;
            ensure!(text(&refused, "description").contains("0 root keys of root 1"), "{refused}");
        }
        let site = stage.site(1)?;
        ensure!(running(site)? == FIRST_VERSION, "it runs {}", running(site)?);
        ensure!(!holds(&site.root, "stolen"), "code of the thief ran");
        stage.center.run(&["ping", "--all"])?;
        root_becomes(stage, 1)
    });
}

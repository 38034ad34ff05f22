//! Packages that must not, or cannot, be installed: the report says why, and the old version works on.

use super::play::{build, eager, jams_become, play, running, text, update_ends};
use super::voice::Voice;
use anyhow::{Context as _, ensure};
use mailfmt::crypto::ContentKey;
use mailfmt::message::UpdateOrder;
use mailfmt::package::{SigningKey, enclose, inspect, sign};
use mailfmt::{Command, Digest, Limits, Message, SoftwareVersion};
use monitor_appliance::release::{RELEASE_FILE, Release};
use sandbox::random;
use sandbox::world::{FIRST_VERSION, PATIENCE, Part, SWEEPER, Stage, eventually};
use serde_json::Value;
use std::path::PathBuf;

const TARGET: &str = "1.0.02-0";

/// Starts a rollout of a package to one site.
fn roll_out(stage: &Stage, package: &str, number: u32) -> anyhow::Result<()> {
    let agent = format!("AGENT{number:07}");
    stage
        .center
        .roll_out(package, &["--agents", &agent, "--answer-timeout", "60", "--rounds", "0"])
        .map(|_| ())
}

/// The end of a site's rollout: its mark and the cause.
fn outcome(stage: &Stage, rollout: usize) -> anyhow::Result<(String, String)> {
    let report = stage.finished(&rollout.to_string())?;
    let row = report.pointer("/rows/0").context("one row")?;
    let cause = row.pointer("/reason/cause").and_then(Value::as_str).unwrap_or_default();
    Ok((text(row, "mark").to_owned(), cause.to_owned()))
}

fn package(stage: &Stage, script: &str, further: &[&str]) -> anyhow::Result<String> {
    stage.build_package(TARGET, script, &[&["--settle-secs", "20", "--trial-secs", "3"], further].concat())
}

/// A package of this center's, read from its home.
fn file_of(stage: &Stage, package: &str) -> PathBuf {
    stage.center.home().join("packages").join(format!("{package}.mfp"))
}

/// A package file that `package build` would not write, taken in by the center.
fn take_in(stage: &Stage, name: &str, octets: &[u8]) -> anyhow::Result<String> {
    let file = stage.folder().join(name);
    std::fs::write(&file, octets)?;
    let added = stage.center.json(&["package", "add", &file.to_string_lossy()])?;
    Ok(text(&added, "id").to_owned())
}

fn signed_by_a_stranger(stage: &Stage) -> anyhow::Result<String> {
    let octets = unsigned(stage, "stranger")?;
    let key = SigningKey::generate(&mut random());
    take_in(stage, "stranger.mfp", &sign(&octets, &key, &Limits::default())?)
}

/// An unsigned package of its own: the script's comment makes it another one than all others.
fn unsigned(stage: &Stage, name: &str) -> anyhow::Result<Vec<u8>> {
    let id = package(stage, &format!("#!/bin/sh\n# {name}\n"), &[])?;
    let signed = std::fs::read(file_of(stage, &id))?;
    let parts = Parts::of(&signed)?;
    Ok(Parts::assemble(parts.manifest, parts.content))
}

/// The manifest names other octets for a module than the archive holds, and the release key signed that.
fn with_another_module(stage: &Stage) -> anyhow::Result<String> {
    let octets = unsigned(stage, "another module")?;
    let parts = Parts::of(&octets)?;
    let mut manifest: Value = serde_json::from_slice(parts.manifest)?;
    let modules = manifest.get_mut("modules").and_then(Value::as_array_mut).context("modules")?;
    let sweeper = modules.iter_mut().find(|module| text(module, "name") == SWEEPER).context("the sweeper")?;
    sweeper["sha256"] = serde_json::to_value(Digest::of(b"something else"))?;
    let octets = Parts::assemble(&serde_json::to_vec(&manifest)?, parts.content);
    let pem = std::fs::read_to_string(stage.center.home().join("keys/release.pem"))?;
    take_in(stage, "module.mfp", &sign(&octets, &SigningKey::from_pem(&pem)?, &Limits::default())?)
}

/// A release whose shell module ends as soon as it is started.
fn with_a_module_that_crashes(stage: &Stage) -> anyhow::Result<String> {
    let folder = stage.release("1.0.03-0", 3, 3)?.path;
    let crash = b"#!/bin/sh\nexit 7\n";
    std::fs::write(folder.join(SWEEPER), crash)?;
    let mut release: Release = serde_json::from_slice(&std::fs::read(folder.join(RELEASE_FILE))?)?;
    for module in release.modules.iter_mut().filter(|module| module.name.as_str() == SWEEPER) {
        (module.sha256, module.octets) = (Digest::of(crash), crash.len().try_into()?);
    }
    std::fs::write(folder.join(RELEASE_FILE), serde_json::to_vec(&release)?)?;
    let further = ["--settle-secs", "20", "--trial-secs", "3"];
    stage.center.build_package(&folder, Some(&stage.first_release.path), &further)
}

/// A package file in its pieces.
struct Parts<'a> {
    manifest: &'a [u8],
    content: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Octets of one signature with its key's id.
    const SIGNATURE: usize = 72;

    fn of(package: &'a [u8]) -> anyhow::Result<Self> {
        let rest = package.strip_prefix(mailfmt::package::MAGIC).context("the magic")?;
        let (length, rest) = rest.split_first_chunk::<4>().context("the manifest's length")?;
        let (manifest, rest) = rest.split_at(u32::from_be_bytes(*length).try_into()?);
        let (count, rest) = rest.split_first().context("the number of signatures")?;
        let content = &rest[usize::from(*count) * Self::SIGNATURE + 8..];
        Ok(Self { manifest, content })
    }

    fn assemble(manifest: &[u8], content: &[u8]) -> Vec<u8> {
        let mut package = mailfmt::package::MAGIC.to_vec();
        let length = u32::try_from(manifest.len()).expect("a manifest of some kilobytes");
        package.extend(length.to_be_bytes());
        package.extend(manifest);
        package.push(0);
        package.extend((content.len() as u64).to_be_bytes());
        package.extend(content);
        package
    }
}

#[test]
fn a_bad_package_is_named_and_the_old_version_works_on() {
    let cast: Vec<Part> = (1..=7).map(eager).collect();
    play(&cast, |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let flood = "#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' 'x'\necho the last words\nexit 1\n";
        let cases = [
            (signed_by_a_stranger(stage)?, "no valid signature by a trusted release key"),
            (with_another_module(stage)?, "is not the file that the manifest names"),
            (
                package(stage, "#!/bin/sh\nsleep 600 &\nsleep 600\n", &["--script-time-limit-secs", "2"])?,
                "ran longer than its 2 s and was killed",
            ),
            (package(stage, "#!/bin/sh\necho disk is full >&2\nexit 3\n", &[])?, "failed with exit code 3"),
            (package(stage, flood, &[])?, "failed with exit code 1"),
            (with_a_module_that_crashes(stage)?, "module agent_sweeper"),
        ];
        let later = "#!/bin/sh\necho x >> \"$STATE_DIR/tries\"\n[ \"$(wc -l < \"$STATE_DIR/tries\")\" -gt 2 ] || exit 75\n";
        let later = package(stage, later, &["--retry-secs", "1"])?;
        for (number, (package, _)) in (1..).zip(&cases) {
            roll_out(stage, package, number)?;
        }
        roll_out(stage, &later, 7)?;
        for (rollout, (_, reason)) in (1..).zip(&cases) {
            let (mark, cause) = outcome(stage, rollout)?;
            ensure!(mark == "failed" && cause.contains(reason), "site {rollout}: {mark}: {cause}");
        }
        let (mark, cause) = outcome(stage, 7)?;
        ensure!(mark == "updated", "a script may ask to be run again later, but: {mark}: {cause}");
        ensure!(running(stage.site(7)?)? == TARGET, "site 7 runs {}", running(stage.site(7)?)?);
        the_last_words_are_kept(stage)?;
        for number in 1..=6 {
            let site = stage.site(number)?;
            ensure!(running(site)? == FIRST_VERSION, "site {number} runs {}", running(site)?);
            ensure!(build(site) == "0", "site {number} runs build {}", build(site));
            stage.printer(number, 1)?.jam();
        }
        (1..=6).try_for_each(|number| jams_become(stage, number, 1, 1))
    });
}

/// Of a script's megabyte the center has the end, and not much more.
fn the_last_words_are_kept(stage: &Stage) -> anyhow::Result<()> {
    let report = update_ends(stage, 5)?.pop().context("site 5 told no result")?;
    let number = report.get("number").map(Value::to_string).context("a reception number")?;
    let body = stage.center.json(&["reports", "--show", &number])?;
    let output = find_text(&body, "output").context("the output")?;
    ensure!(output.trim_end().ends_with("the last words"), "it ends with {:?}", &output[output.len() - 60..]);
    ensure!(output.len() <= 16 << 10, "{} octets of output", output.len());
    Ok(())
}

fn find_text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    let object = value.as_object()?;
    object
        .get(field)
        .and_then(Value::as_str)
        .or_else(|| object.values().find_map(|value| find_text(value, field)))
}

#[test]
fn an_unsigned_package_is_refused_on_both_sides() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let octets = unsigned(stage, "unsigned")?;
        // Told apart from the signed one of the same content, which the center knows.
        let mut parts: Value = serde_json::from_slice(Parts::of(&octets)?.manifest)?;
        parts["release_counter"] = 7.into();
        let octets = Parts::assemble(&serde_json::to_vec(&parts)?, Parts::of(&octets)?.content);
        let id = take_in(stage, "unsigned.mfp", &octets)?;
        let refused = roll_out(stage, &id, 1).err().context("the center sends an unsigned package")?;
        ensure!(refused.to_string().contains("is not signed"), "{refused:#}");

        // A center that sends it all the same.
        let key = ContentKey::generate(&mut random());
        let enclosure = enclose(&octets, &key);
        let order = UpdateOrder {
            package: inspect(&octets, &Limits::default())?.id,
            target: SoftwareVersion::new(TARGET)?,
            enclosure: Digest::of(&enclosure),
            enclosure_octets: enclosure.len().try_into()?,
            content_key: key,
            permit: None,
            parts: None,
            approval: None,
        };
        let mail = Voice::of_center(stage, 1)?.mail_with(
            &Message::Command(Command::Update(order)),
            900,
            &enclosure,
        )?;
        let office = stage.post_office.as_ref().context("a post office of our own")?;
        office.inject(&stage.mail.agent_address(1), &mail);
        let result = eventually("the refusal", PATIENCE, || Ok(update_ends(stage, 1)?.pop()))?;
        ensure!(text(&result, "description").contains("the package is not signed"), "{result}");
        ensure!(running(stage.site(1)?)? == FIRST_VERSION, "it runs {}", running(stage.site(1)?)?);
        Ok(())
    });
}

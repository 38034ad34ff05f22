//! `package`: sealing and opening 20 MB of real binaries beside `gzip -6`, and what one more recipient costs.

use super::{Figure, cpu_time, mb_per_s, median, octets_f64};
use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, ContentKey, Credential, Direction};
use mailfmt::envelope::{Addressee, Header, seal};
use mailfmt::message::UpdateOrder;
use mailfmt::package::{
    Applies, ModuleFile, ModuleKind, PackageDraft, Rules, SigningKey, Site, build, enclose, open, sign,
    unwrap,
};
use mailfmt::trust::{Role, Root, SignedRoot, TrustedRoot};
use mailfmt::{
    AgentId, CenterId, Command, Digest, Limits, Message, MessageId, ModuleName, ModuleVersion,
    SoftwareVersion,
};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const INPUT_OCTETS: usize = 20 << 20;
const RECIPIENTS: usize = 10_000;
const RUNS: usize = 3;

/// Measures; the input is made of this machine's own programs and libraries.
///
/// # Errors
/// When there are no 20 MB of binaries, or `gzip` is missing.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let input = tar_of_binaries()?;
    let gzip = median(RUNS, || gzip_6(&input));
    let gzip_octets = gzip_6(&input)?;
    let gzip_mb_s = mb_per_s(input.len(), gzip);
    let against = format!("gzip -6: {gzip_mb_s:.1} MB/s");

    let mut random = sandbox::random();
    let key = SigningKey::generate(&mut random);
    let content_key = ContentKey::generate(&mut random);
    let limits = Limits::default();
    let draft = draft(input.clone(), now)?;
    let sealed = || -> anyhow::Result<Vec<u8>> {
        Ok(enclose(&sign(&build(&draft, &limits)?, &key, &limits)?, &content_key))
    };
    let enclosure = sealed()?;
    let seal_time = median(RUNS, sealed);

    let running = SoftwareVersion::new("1.0.00-1")?;
    let root_key = SigningKey::generate(&mut random);
    let root = trusted_root(&key, &root_key, now)?;
    let agent = "AGENT0000001".parse()?;
    let site = Site {
        root: &root,
        agent: &agent,
        permit: None,
        running: &running,
        hardware: "bench",
        installed_counter: 0,
        now,
    };
    let opened = || -> anyhow::Result<usize> {
        let package = open(&unwrap(&enclosure, &content_key, &limits)?, &site, &limits)?;
        Ok(package.modules().values().map(Vec::len).sum())
    };
    if opened()? != input.len() {
        bail!("the opened package is not the input");
    }
    let open_time = median(RUNS, opened);
    let (recipient_us, recipient_octets) = recipients(&enclosure, now)?;

    let figure = |figure, value, unit, against: &str| Figure {
        bench: "package",
        figure,
        value,
        unit,
        against: against.to_owned(),
    };
    let seal_mb_s = mb_per_s(input.len(), seal_time);
    Ok(vec![
        figure("seal_mb_s", seal_mb_s, "MB/s", &against),
        figure("vs_gzip6_ratio", seal_mb_s / gzip_mb_s, "times as fast", &against),
        figure(
            "octets_vs_gzip6",
            octets_f64(enclosure.len()) / octets_f64(gzip_octets),
            "ratio",
            &format!("gzip -6: {gzip_octets} octets of {}", input.len()),
        ),
        figure("open_mb_s", mb_per_s(input.len(), open_time), "MB/s", &against),
        figure("recipient_us", recipient_us, "us CPU", "limit: 50"),
        figure("recipient_octets", recipient_octets, "octets", "limit: 64"),
    ])
}

/// What an appliance that trusts this release key has.
pub(super) fn trusted_root(
    release: &SigningKey,
    root_key: &SigningKey,
    now: Timestamp,
) -> anyhow::Result<TrustedRoot> {
    let command = SigningKey::generate(&mut sandbox::random());
    let root = Root {
        version: 1,
        center: "CENTER".parse()?,
        created: now,
        expires: now + SignedDuration::from_hours(24),
        root: Role::of(root_key.public()),
        release: Role::of(release.public()),
        command: Role::of(command.public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    Ok(TrustedRoot::first(&[SignedRoot::unsigned(&root)?.sign(root_key)?])?)
}

fn draft(file: Vec<u8>, now: Timestamp) -> anyhow::Result<PackageDraft> {
    Ok(PackageDraft {
        target: SoftwareVersion::new("1.0.02-0")?,
        rom: None,
        release_counter: 1,
        created: now,
        expires: now + SignedDuration::from_hours(24),
        modules: vec![ModuleFile {
            name: ModuleName::new("binaries.tar")?,
            version: ModuleVersion::new("1.0.02")?,
            date: jiff::civil::date(2026, 1, 1),
            kind: ModuleKind::Data,
            file,
            carried: true,
        }],
        script: b"#!/bin/sh\nexit 0\n".to_vec(),
        script_time_limit_secs: 60,
        applies: Applies::default(),
        rules: Rules::default(),
    })
}

/// CPU time and octets that one more recipient adds to an update mail.
fn recipients(enclosure: &[u8], now: Timestamp) -> anyhow::Result<(f64, f64)> {
    let center = CenterId::new("CENTER")?;
    let mut random = sandbox::random();
    let keys: Vec<ChannelKey> = (0..=RECIPIENTS)
        .map(|number| {
            let agent = AgentId::new(&format!("AGENT{number:07}"))?;
            Ok(Credential::generate(&mut random).channel(Direction::ToAppliance, &agent, &center))
        })
        .collect::<anyhow::Result<_>>()?;
    let message = Message::Command(Command::Update(UpdateOrder {
        package: Digest::of(b"manifest"),
        target: SoftwareVersion::new("1.0.02-0")?,
        enclosure: Digest::of(enclosure),
        enclosure_octets: u64::try_from(enclosure.len())?,
        content_key: ContentKey::generate(&mut random),
        permit: None,
        parts: None,
        approval: None,
    }));
    let header = Header::new(
        &message,
        center.into(),
        MessageId::generate(&mut random),
        now,
        now + SignedDuration::from_hours(24),
    );
    let mut measure = |keys: &[ChannelKey]| -> anyhow::Result<(f64, usize)> {
        let addressees: Vec<_> = keys.iter().map(|key| Addressee { key, sequence: 1 }).collect();
        let mut best = f64::MAX;
        let mut octets = 0;
        for _ in 0..RUNS {
            let start = cpu_time();
            octets = seal(&header, &message, &addressees, &mut random)?.len();
            best = best.min((cpu_time() - start).as_secs_f64() * 1e6);
        }
        Ok((best, octets))
    };
    let (one_us, one_octets) = measure(keys.get(..1).context("one key")?)?;
    let (all_us, all_octets) = measure(&keys)?;
    let further = octets_f64(RECIPIENTS);
    Ok(((all_us - one_us) / further, octets_f64(all_octets - one_octets) / further))
}

/// Compresses with the real `gzip -6`; returns the compressed size in octets.
fn gzip_6(input: &[u8]) -> anyhow::Result<usize> {
    use std::io::{Read as _, Write as _};
    let mut gzip = std::process::Command::new("gzip")
        .args(["-6", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip is the peer of this bench; install it")?;
    let (mut stdin, mut stdout) = (gzip.stdin.take().context("pipe")?, gzip.stdout.take().context("pipe")?);
    let compressed = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        let mut compressed = Vec::new();
        stdout.read_to_end(&mut compressed).map(|_| compressed.len())
    })?;
    if !gzip.wait()?.success() {
        bail!("gzip failed");
    }
    Ok(compressed)
}

/// About 20 MB of this machine's programs and libraries in one tar, chosen by name so that every run takes the same.
fn tar_of_binaries() -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(INPUT_OCTETS + (1 << 20)));
    for folder in
        ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
    {
        for path in files(Path::new(folder)) {
            let Ok(file) = std::fs::read(&path) else { continue };
            if !file.starts_with(b"\x7fELF") || file.len() > 4 << 20 {
                continue;
            }
            let mut header = tar::Header::new_ustar();
            header.set_size(u64::try_from(file.len())?);
            header.set_mode(0o755);
            let name = path.file_name().context("a file has a name")?;
            archive.append_data(&mut header, name, file.as_slice())?;
            if archive.get_ref().len() >= INPUT_OCTETS {
                return Ok(archive.into_inner()?);
            }
        }
    }
    bail!("this machine has no {INPUT_OCTETS} octets of programs in /usr/bin, /usr/sbin and /usr/lib")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

//! Attacks of somebody who has a release key besides the center, with a threshold of one.

use super::center_stolen::{assembled, bringing, next_root, parts};
use super::field::Field;
use super::findings::Findings;
use super::{Adversary, Attack, Means};
use crate::random;
use mailfmt::package::{PackageDraft, build, inspect, sign};
use mailfmt::trust::{Role, SigningKey};
use mailfmt::{Digest, Limits};
use serde_json::{Value, json};
use std::io::Write as _;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "fast-forward",
        adversary: Adversary::ReleaseKey,
        tried: "release counters of 2^63, of 2^64 - 1, and one beyond the step",
        means: Means::Field(fast_forward),
    },
    Attack {
        threat: "path and link escape",
        adversary: Adversary::ReleaseKey,
        tried: "archives with ways out, links, devices, folders and set-id bits, signed",
        means: Means::Field(escape),
    },
    Attack {
        threat: "bombs in a package",
        adversary: Adversary::ReleaseKey,
        tried: "sizes declared beyond all limits, five thousand modules, content that inflates without end, signed",
        means: Means::Field(bombs),
    },
    Attack {
        threat: "key compromise: the package key",
        adversary: Adversary::ReleaseKey,
        tried: "packages under the stolen key before and after a root dropped it and revoked one of them",
        means: Means::Field(package_key),
    },
];

fn fast_forward(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    for counter in [1 << 63, u64::MAX, 1_000_002] {
        let draft = field.evil_draft(counter)?;
        let end = field.order(1, &center, &field.signed(&draft)?)?;
        findings.reason(&end, "it may be 1000000 more at most");
    }
    Ok(())
}

/// A tar entry (POSIX ustar) of any name, mode and type.
fn entry(name: &str, mode: &[u8; 8], kind: u8, target: &str, file: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, octets: &[u8]| {
        for (to, octet) in header.iter_mut().skip(at).zip(octets) {
            *to = *octet;
        }
    };
    put(0, name.as_bytes());
    put(100, mode);
    put(124, format!("{:011o}\0", file.len()).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (to, octet) in header.iter_mut().skip(148).zip(sum.as_bytes()) {
        *to = *octet;
    }
    let padding = vec![0; file.len().next_multiple_of(512) - file.len()];
    [header.as_slice(), file, &padding].concat()
}

fn deflated(octets: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(octets)?;
    Ok(encoder.finish()?)
}

/// The package of a draft with another manifest and content, signed by the stolen key.
fn rebuilt(
    field: &Field,
    draft: &PackageDraft,
    change: impl FnOnce(&mut Value, &mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u8>> {
    let package = build(draft, &Limits::default())?;
    let (manifest, _, content) = parts(&package)?;
    let (mut manifest, mut content): (Value, _) = (serde_json::from_slice(manifest)?, content.to_vec());
    change(&mut manifest, &mut content)?;
    manifest["content"] = json!(Digest::of(&content));
    manifest["content_octets"] = json!(content.len());
    let package = assembled(&serde_json::to_vec(&manifest)?, &[0], &content)?;
    Ok(sign(&package, &field.key("release")?, &Limits::default())?)
}

fn escape(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let not_named = "the manifest does not name it";
    let only_files = "only regular files may travel";
    for (name, kind, target, reason) in [
        ("../../escaped", b'0', "", not_named),
        ("/tmp/escaped", b'0', "", not_named),
        ("release-notes.txt/../../escaped", b'0', "", not_named),
        ("..", b'0', "", not_named),
        ("release-notes.txt", b'2', "/etc/passwd", only_files),
        ("release-notes.txt", b'1', "../../appliance.toml", only_files),
        ("release-notes.txt", b'3', "", only_files),
        ("release-notes.txt", b'4', "", only_files),
        ("release-notes.txt", b'5', "", only_files),
        ("release-notes.txt", b'6', "", only_files),
        ("set-id", b'0', "", not_named),
    ] {
        let draft = field.evil_draft(2)?;
        let archive = [
            entry(name, b"0006755\0", kind, target, b""),
            entry("install.sh", b"0000755\0", b'0', "", &draft.script),
            vec![0; 1024],
        ];
        let package = rebuilt(field, &draft, |_, content| {
            *content = deflated(&archive.concat())?;
            Ok(())
        })?;
        let end = field.order(1, &center, &package)?;
        findings.reason(&end, reason);
    }
    // A module that is named like a way out.
    let draft = field.evil_draft(2)?;
    let package = rebuilt(field, &draft, |manifest, _| {
        manifest["modules"][0]["name"] = json!("../../escaped");
        Ok(())
    })?;
    let end = field.order(1, &center, &package)?;
    findings.reason(&end, "the manifest cannot be read");
    Ok(())
}

fn bombs(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let draft = field.evil_draft(2)?;
    let large = rebuilt(field, &draft, |manifest, _| {
        for module in manifest["modules"].as_array_mut().into_iter().flatten() {
            if module["carried"] == true {
                module["octets"] = json!(1u64 << 50);
            }
        }
        Ok(())
    })?;
    let script = rebuilt(field, &draft, |manifest, _| {
        manifest["script"]["octets"] = json!(1u64 << 40);
        Ok(())
    })?;
    let many = rebuilt(field, &draft, |manifest, _| {
        let module = manifest["modules"][0].clone();
        let modules = (0..5_000).map(|number| {
            let mut module = module.clone();
            module["name"] = json!(format!("module-{number}"));
            module
        });
        manifest["modules"] = modules.collect();
        Ok(())
    })?;
    // What is declared is small, what comes is half a gigabyte.
    let inflating = rebuilt(field, &draft, |_, content| {
        let zeros = vec![0u8; 1 << 20];
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&entry("release-notes.txt", b"0000644\0", b'0', "", b""))?;
        for _ in 0..512 {
            encoder.write_all(&zeros)?;
        }
        *content = encoder.finish()?;
        Ok(())
    })?;
    for (package, reason) in [
        (large, "unpacked size"),
        (script, "script in octets"),
        (many, "the package's"),
        (inflating, "release-notes.txt"),
    ] {
        let end = field.order(1, &center, &package)?;
        findings.must(end.starts_with("refused: "), end.clone());
        findings.reason(&end, reason);
    }
    Ok(())
}

fn package_key(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let (root_key, new_release) = (field.key("root")?, SigningKey::generate(&mut random()));
    let (first, second) = (field.evil_draft(2)?, field.evil_draft(3)?);
    let (known, unknown) = (field.signed(&first)?, field.signed(&second)?);
    let id = inspect(&known, &Limits::default())?.id;
    // The drill: what is known of the thief is revoked, then his key is dropped.
    let revoking = next_root(field, &[&root_key], |root| root.revoked_packages = [id].into())?;
    field.lay_before_appliance(1, &[center.mail(&bringing(vec![revoking.clone()]))?])?;
    let end = field.order(1, &center, &known)?;
    findings.reason(&end, "revoked by root 2");
    let dropping = next_root(field, &[&root_key], |root| {
        root.version += 1;
        root.revoked_packages = [id].into();
        root.release = Role::of(new_release.public());
    })?;
    field.lay_before_appliance(1, &[center.mail(&bringing(vec![revoking, dropping]))?])?;
    let end = field.order(1, &center, &unknown)?;
    findings.reason(&end, "no valid signature by a trusted release key");
    // The known good release can be put on again under the new key.
    let good = build(&field.draft(2, "#!/bin/sh\nexit 0\n")?, &Limits::default())?;
    let good = sign(&good, &new_release, &Limits::default())?;
    let end = field.order(1, &center, &good)?;
    findings.must(!end.starts_with("refused"), format!("a good package under the new key: {end}"));
    Ok(())
}

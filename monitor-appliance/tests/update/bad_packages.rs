//! Packages that must not go in: refused, told once, and not one file written.

use crate::site::{GOOD_SCRIPT, OLD, Site};
use jiff::SignedDuration;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{Applies, ModuleKind, PackageDraft, SigningKey, build, inspect, sign};
use mailfmt::{Digest, Limits, SoftwareVersion};
use monitor_appliance::context::system_random;
use monitor_appliance::update::{Turn, install};
use serde_json::{Value, json};

/// Orders the package and checks that it is refused for a reason that holds `reason`.
fn refused(site: &Site, package: &[u8], reason: &str) {
    let before = files(site);
    let order = match inspect(package, &Limits::default()) {
        Ok(_) => site.order(package),
        // Not even readable: ordered under the id that the order gives.
        Err(_) => site.order_as(package, Digest::of(b"the ordered one"), &site.draft().target),
    };
    assert_eq!(install(&site.context, order).unwrap(), Turn::Nobody);
    match site.result().outcome {
        UpdateOutcome::Refused { reason: found } => assert!(found.contains(reason), "{found}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(site.running(), OLD);
    assert_eq!(files(site), before, "something was written");
    assert_eq!(site.lines("scripts").len(), 0);
}

/// Everything below the root but the store, the package file and the lock.
fn files(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![site.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir()
                && !path.ends_with("packages")
                && !path.ends_with("updates")
            {
                folders.push(path.clone());
            }
            found.push(path.display().to_string());
        }
    }
    found.retain(|path| !path.contains("store.db") && !path.ends_with("/updates"));
    found.sort();
    found
}

/// Takes a package apart, lets `change` work on manifest and content, and puts it together and signs it again.
fn rebuilt(site: &Site, draft: &PackageDraft, change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    let package = build(draft, &Limits::default()).unwrap();
    let length = u32::from_be_bytes(package[4..8].try_into().unwrap()) as usize;
    let mut manifest: Value = serde_json::from_slice(&package[8..8 + length]).unwrap();
    let mut content = package[8 + length + 1 + 8..].to_vec();
    change(&mut manifest, &mut content);
    manifest["content"] = json!(Digest::of(&content));
    manifest["content_octets"] = json!(content.len());
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut package = package[..4].to_vec();
    package.extend(u32::try_from(manifest.len()).unwrap().to_be_bytes());
    package.extend(manifest);
    package.push(0);
    package.extend((content.len() as u64).to_be_bytes());
    package.extend(content);
    site.sign(&package)
}

/// A tar entry (POSIX ustar) of any name and type.
fn entry(name: &str, kind: u8, target: &str, file: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, octets: &[u8]| header[at..at + octets.len()].copy_from_slice(octets);
    put(0, name.as_bytes());
    put(100, b"0000755\0");
    put(124, format!("{:011o}\0", file.len()).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = vec![0; file.len().next_multiple_of(512) - file.len()];
    [header.as_slice(), file, &padding].concat()
}

/// Deflate without compressing (RFC 1951, 3.2.4).
fn stored(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in octets.chunks(60_000) {
        let length = u16::try_from(piece.len()).unwrap();
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(piece);
    }
    out.extend([1, 0, 0, 0xff, 0xff]);
    out
}

/// An archive with the draft's script and one more entry before it.
fn archive_with(extra: Vec<u8>) -> Vec<u8> {
    stored(&[extra, entry("install.sh", b'0', "", GOOD_SCRIPT.as_bytes()), vec![0; 1024]].concat())
}

#[test]
fn an_unsigned_package_is_refused() {
    let site = Site::new();
    let package = build(&site.draft(), &Limits::default()).unwrap();
    refused(&site, &package, "not signed");
}

#[test]
fn a_package_signed_by_a_stranger_is_refused() {
    let site = Site::new();
    let package = build(&site.draft(), &Limits::default()).unwrap();
    let stranger = SigningKey::generate(&mut system_random);
    refused(&site, &sign(&package, &stranger, &Limits::default()).unwrap(), "no valid signature");
}

#[test]
fn a_manifest_changed_after_signing_is_refused() {
    let site = Site::new();
    let mut package = site.signed(&site.draft());
    let at = package.windows(8).position(|window| window == b"1.0.02-0").unwrap();
    package[at + 5] = b'9';
    refused(&site, &package, "no valid signature");
}

#[test]
fn a_damaged_content_is_refused() {
    let site = Site::new();
    let mut package = site.signed(&site.draft());
    let last = package.len() - 1;
    package[last] ^= 1;
    refused(&site, &package, "not the one that was signed");
}

#[test]
fn something_else_in_the_package_file_is_refused() {
    let site = Site::new();
    refused(&site, b"PK\x03\x04 not one of ours", "not a package");
}

#[test]
fn another_package_than_the_ordered_one_is_refused() {
    let site = Site::new();
    let package = site.signed(&site.draft());
    let order = site.order_as(&package, Digest::of(b"another"), &site.draft().target);
    install(&site.context, order).unwrap();
    let reason = "the package is not the one that was ordered".to_owned();
    assert_eq!(site.result().outcome, UpdateOutcome::Refused { reason });
}

#[test]
fn a_package_file_that_is_not_there_is_a_refusal() {
    let site = Site::new();
    let package = site.signed(&site.draft());
    let order = site.order(&package);
    std::fs::remove_file(
        site.context.layout.package_file(&inspect(&package, &Limits::default()).unwrap().id),
    )
    .unwrap();
    install(&site.context, order).unwrap();
    assert!(
        matches!(site.result().outcome, UpdateOutcome::Refused { reason } if reason.contains("cannot be read"))
    );
}

#[test]
fn a_module_that_is_not_what_the_manifest_says_is_refused() {
    let site = Site::new();
    let package = rebuilt(&site, &site.draft(), |manifest, _| {
        manifest["modules"][0]["sha256"] = json!(Digest::of(b"something else"));
    });
    refused(&site, &package, "watch is not the file that the manifest names");
}

#[test]
fn paths_out_of_the_release_are_refused() {
    for path in ["../escaped", "/tmp/escaped", "releases/../../escaped", "./watch", "sub/watch"] {
        let site = Site::new();
        let package = rebuilt(&site, &site.draft(), |_, content| {
            *content = archive_with(entry(path, b'0', "", b"evil"));
        });
        refused(&site, &package, "the manifest does not name it");
    }
}

#[test]
fn a_manifest_with_a_path_as_module_name_is_refused() {
    for name in ["../escaped", "/etc/passwd", "a/b", "..", ".hidden", "install.sh"] {
        let site = Site::new();
        let package = site.signed(&site.draft());
        let length = u32::from_be_bytes(package[4..8].try_into().unwrap()) as usize;
        let mut manifest: Value = serde_json::from_slice(&package[8..8 + length]).unwrap();
        manifest["modules"][0]["name"] = json!(name);
        let manifest = serde_json::to_vec(&manifest).unwrap();
        // Signed again, as by a release key in the wrong hands.
        let raw = [
            b"MFP1".as_slice(),
            &u32::try_from(manifest.len()).unwrap().to_be_bytes(),
            &manifest,
            &[0],
            &package[8 + length + 1 + 72..],
        ];
        refused(&site, &site.sign(&raw.concat()), "");
    }
}

#[test]
fn links_devices_and_folders_in_the_archive_are_refused() {
    for kind in *b"123456" {
        let site = Site::new();
        let package = rebuilt(&site, &site.draft(), |_, content| {
            *content = archive_with(entry("watch", kind, "/etc/passwd", b""));
        });
        refused(&site, &package, "only regular files may travel");
    }
}

#[test]
fn a_bomb_is_refused_without_being_unpacked() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[0].file = vec![0; 100 << 20];
    let package = rebuilt(&site, &draft, |manifest, _| manifest["modules"][0]["octets"] = json!(100));
    assert!(package.len() < 1 << 20);
    refused(&site, &package, "");
}

#[test]
fn sizes_that_nobody_has_are_refused() {
    let site = Site::new();
    let package =
        rebuilt(&site, &site.draft(), |manifest, _| manifest["modules"][0]["octets"] = json!(1u64 << 30));
    refused(&site, &package, "unpacked size in octets");
}

#[test]
fn a_module_that_is_neither_carried_nor_here_is_refused() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[4].file = b"knowledge that this appliance does not have\n".to_vec();
    refused(&site, &site.signed(&draft), "module profiles 1.0.00 is neither in the package nor");
}

#[test]
fn a_package_for_other_hardware_is_refused() {
    let site = Site::new();
    let applies = Applies { hardware: vec!["big-box".into()], ..Applies::default() };
    refused(&site, &site.signed(&PackageDraft { applies, ..site.draft() }), "this appliance is test-box");
}

#[test]
fn a_package_for_another_version_is_refused() {
    let site = Site::new();
    let applies = Applies { from: vec![SoftwareVersion::new("1.0.01-0").unwrap()], ..Applies::default() };
    refused(
        &site,
        &site.signed(&PackageDraft { applies, ..site.draft() }),
        "may not follow on version 1.0.00-1",
    );
}

#[test]
fn an_older_release_is_refused() {
    let site = Site::new();
    site.store().change(|change| change.raise_installed_counter(7, None)).unwrap();
    refused(&site, &site.signed(&site.draft()), "release counter 2, older than 7");
}

#[test]
fn an_expired_package_is_refused() {
    let site = Site::new();
    let expires = site.context.now() - SignedDuration::from_secs(1);
    refused(&site, &site.signed(&PackageDraft { expires, ..site.draft() }), "the package expired");
}

#[test]
fn a_module_named_like_the_release_file_is_refused() {
    let site = Site::new();
    let mut draft = site.draft();
    draft.modules[0].name = mailfmt::ModuleName::new("release.json").unwrap();
    draft.modules[0].kind = ModuleKind::Data;
    let order = site.order(&site.signed(&draft));
    install(&site.context, order).unwrap();
    assert!(matches!(site.result().outcome, UpdateOutcome::Refused { .. }));
    assert_eq!(site.running(), OLD);
}

//! Packages in which modules travel as differences.

use super::{draft, module, open_with, release_key};
use crate::digest::Digest;
use crate::ids::ModuleName;
use crate::limits::Limits;
use crate::package::{NoWayToModule, OlderFiles, PackageDraft, build, build_deltas, inspect, sign};

/// Something like a program: not to be deflated away, and different from place to place.
fn program(version: &str) -> Vec<u8> {
    let mut file: Vec<u8> =
        (0u32..20_000).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    file.splice(30_000..30_010, version.bytes());
    file
}

fn watcher() -> ModuleName {
    ModuleName::new("device-watch").unwrap()
}

fn new_draft() -> PackageDraft {
    PackageDraft {
        modules: vec![
            module("device-watch", &program("one line changed"), true),
            module("mail-agent", b"same", false),
        ],
        ..draft()
    }
}

fn built(older: &[&str]) -> Vec<u8> {
    let whole = build(&new_draft(), &Limits::default()).unwrap();
    let older = OlderFiles {
        files: [(watcher(), older.iter().map(|version| program(version)).collect())].into(),
        whole: Some(inspect(&whole, &Limits::default()).unwrap().id),
    };
    let package = build_deltas(&new_draft(), &older, &Limits::default()).unwrap();
    sign(&package, &release_key(1), &Limits::default()).unwrap()
}

#[test]
fn a_changed_line_costs_a_tenth_of_the_whole_and_makes_the_same_file() {
    let package = built(&["version one", "version two"]);
    let whole = build(&new_draft(), &Limits::default()).unwrap();
    assert!(package.len() * 10 < whole.len(), "{} of {} octets", package.len(), whole.len());
    let opened = open_with(&package, |_| {}).unwrap();
    assert_eq!(opened.manifest().whole, Some(inspect(&whole, &Limits::default()).unwrap().id));
    for version in ["version one", "version two"] {
        let files = opened.files_over(|name| (*name == watcher()).then(|| program(version))).unwrap();
        assert_eq!(files[&watcher()], program("one line changed"));
    }
}

#[test]
fn another_older_file_or_none_is_told_so_that_the_whole_can_be_sent() {
    let opened = open_with(&built(&["version one"]), |_| {}).unwrap();
    for older in [None, Some(program("altered by hand"))] {
        let error = opened.files_over(|_| older.clone()).unwrap_err();
        assert!(matches!(error, NoWayToModule::NoDelta { .. }), "{error}");
    }
}

#[test]
fn a_module_that_is_new_already_needs_nothing() {
    let opened = open_with(&built(&["version one"]), |_| {}).unwrap();
    let files = opened.files_over(|_| Some(program("one line changed"))).unwrap();
    assert!(files.is_empty());
}

#[test]
fn a_module_whose_difference_is_no_shorter_travels_whole() {
    let older = OlderFiles { files: [(watcher(), vec![b"nothing alike".to_vec()])].into(), whole: None };
    let package = build_deltas(&new_draft(), &older, &Limits::default()).unwrap();
    let manifest = inspect(&package, &Limits::default()).unwrap().manifest;
    assert!(manifest.modules[0].carried && manifest.modules[0].deltas.is_empty());
}

#[test]
fn a_delta_that_was_exchanged_is_refused_with_its_name() {
    let package = built(&["version one"]);
    let mut manifest = inspect(&package, &Limits::default()).unwrap().manifest;
    manifest.modules[0].deltas[0].sha256 = Digest::of(b"another delta");
    let error = open_with(&super::with_manifest(&package, &manifest), |_| {}).unwrap_err().to_string();
    assert!(error.contains("delta/device-watch/"), "{error}");
}

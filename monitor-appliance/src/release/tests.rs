use super::*;
use mailfmt::SoftwareVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

fn name(text: &str) -> ModuleName {
    ModuleName::new(text).unwrap()
}

fn release(version: &str, counter: u64, modules: &[(&str, ModuleKind, &[u8])]) -> Release {
    let modules = modules.iter().map(|(module, kind, file)| ReleaseModule {
        name: name(module),
        version: ModuleVersion::new("1.0.00").unwrap(),
        date: jiff::civil::date(2026, 1, 2),
        kind: *kind,
        sha256: Digest::of(file),
        octets: file.len() as u64,
    });
    Release {
        software: SoftwareVersion::new(version).unwrap(),
        rom: ModuleVersion::new("1.5.08").unwrap(),
        release_counter: counter,
        modules: modules.collect(),
    }
}

/// A root where release 1.0.00-1 with modules `a` (on demand) and `b` (data) runs.
fn root() -> (tempfile::TempDir, Releases) {
    let root = tempfile::tempdir().unwrap();
    let old = release("1.0.00-1", 1, &[("a", ModuleKind::OnDemand, b"old a"), ("b", ModuleKind::Data, b"b")]);
    let folder = root.path().join("releases/1.0.00-1");
    std::fs::create_dir_all(&folder).unwrap();
    write_durably(&folder.join("a"), b"old a", 0o755).unwrap();
    write_durably(&folder.join("b"), b"b", 0o644).unwrap();
    write_durably(&folder.join(RELEASE_FILE), &old.write(), 0o644).unwrap();
    let releases = Releases::below(root.path());
    releases.swap_to("1.0.00-1").unwrap();
    (root, releases)
}

fn new_release() -> (Release, BTreeMap<ModuleName, Vec<u8>>) {
    let new = release("1.0.02-0", 2, &[("a", ModuleKind::OnDemand, b"new a"), ("b", ModuleKind::Data, b"b")]);
    (new, BTreeMap::from([(name("a"), b"new a".to_vec())]))
}

fn inode(releases: &Releases, release: &str, file: &str) -> u64 {
    std::fs::metadata(releases.folder(release).join(file)).unwrap().ino()
}

#[test]
fn an_unchanged_module_is_the_same_file_under_one_more_name_once_the_script_is_done() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    releases.build(&new, &carried, "1.0.02-0", 0).unwrap();
    assert_ne!(inode(&releases, "1.0.00-1", "b"), inode(&releases, "1.0.02-0", "b"));
    // A kill in the middle of an earlier call.
    std::fs::write(releases.folder("1.0.02-0").join(".b.link"), b"half").unwrap();
    for _ in 0..2 {
        releases.settle("1.0.02-0").unwrap();
        assert_eq!(inode(&releases, "1.0.00-1", "b"), inode(&releases, "1.0.02-0", "b"));
    }
    assert_ne!(inode(&releases, "1.0.00-1", "a"), inode(&releases, "1.0.02-0", "a"));
    let mode = std::fs::metadata(releases.folder("1.0.02-0").join("a")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(std::fs::read_dir(releases.folder("1.0.02-0")).unwrap().count(), 3);
    assert_eq!(releases.current_name().unwrap(), "1.0.00-1");
}

#[test]
fn writing_into_an_unchanged_module_of_the_new_release_leaves_the_running_one_alone() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    releases.build(&new, &carried, "1.0.02-0", 0).unwrap();
    std::fs::write(releases.folder("1.0.02-0").join("b"), b"written in place").unwrap();
    assert!(matches!(releases.check("1.0.02-0"), Err(ReleaseError::Altered { .. })));
    releases.check("1.0.00-1").unwrap();
    // Even so it is not tied to the running one's.
    assert!(releases.settle("1.0.02-0").is_err());
    releases.check("1.0.00-1").unwrap();
}

#[test]
fn a_module_of_the_running_release_that_a_script_changed_is_mended_and_named() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    releases.build(&new, &carried, "1.0.02-0", 0).unwrap();
    let before = releases.running_files().unwrap();
    assert_eq!(releases.mend_running(&before, "1.0.02-0").unwrap(), None);
    std::fs::write(releases.folder("1.0.00-1").join("b"), b"changed").unwrap();
    assert_eq!(releases.mend_running(&before, "1.0.02-0").unwrap(), Some(name("b")));
    releases.check("1.0.00-1").unwrap();
    // The new release has another `a`: nothing to mend the old one with, but it is named.
    std::fs::remove_file(releases.folder("1.0.00-1").join("a")).unwrap();
    assert_eq!(releases.mend_running(&before, "1.0.02-0").unwrap(), Some(name("a")));
}

#[test]
fn releases_that_an_update_needs_are_not_tidied_away() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    releases.build(&new, &carried, "1.0.02-0", 0).unwrap();
    std::fs::create_dir(releases.folder("1.0.09-0.new")).unwrap();
    let needed = BTreeSet::from(["1.0.02-0".to_owned()]);
    assert_eq!(releases.tidy(2, &needed).unwrap(), ["1.0.09-0.new"]);
    assert_eq!(releases.tidy(2, &BTreeSet::new()).unwrap(), ["1.0.02-0"]);
}

#[test]
fn the_proven_supervisor_is_replaced_only_by_that_of_the_running_release() {
    let (root, releases) = root();
    assert_eq!(releases.prove_supervisor().unwrap(), Proven::None);
    let proven = || std::fs::read(root.path().join("supervisor")).unwrap();
    for (version, counter, content, became) in
        [("1.0.02-0", 2, b"first", Proven::New), ("1.0.03-0", 3, b"other", Proven::Replaced)]
    {
        let with = release(version, counter, &[("supervisor", ModuleKind::Resident, content)]);
        let carried = BTreeMap::from([(name("supervisor"), content.to_vec())]);
        releases.build(&with, &carried, version, 0).unwrap();
        // Half of the work of a killed predecessor.
        std::fs::write(root.path().join("supervisor.new"), b"half").unwrap();
        if became == Proven::Replaced {
            let before = root.path().join("supervisor.before");
            std::fs::hard_link(root.path().join("supervisor"), before).unwrap();
        }
        releases.swap_to(version).unwrap();
        assert_eq!(releases.prove_supervisor().unwrap(), became);
        assert_eq!(proven(), content);
        assert_eq!(releases.prove_supervisor().unwrap(), Proven::Same);
        assert!(!root.path().join("supervisor.before.new").exists());
    }
    assert_eq!(std::fs::read(root.path().join("supervisor.before")).unwrap(), b"first");
    // As the service manager does with one that fails.
    std::fs::rename(root.path().join("supervisor"), releases.rejected_supervisor()).unwrap();
    std::fs::rename(root.path().join("supervisor.before"), root.path().join("supervisor")).unwrap();
    assert_eq!(releases.prove_supervisor().unwrap(), Proven::Rejected);
    assert_eq!(proven(), b"first");
    releases.forget_rejected_supervisor().unwrap();
    std::fs::write(releases.folder("1.0.03-0").join("supervisor"), b"damaged").unwrap();
    std::fs::write(root.path().join("supervisor"), b"lost").unwrap();
    assert!(matches!(releases.prove_supervisor(), Err(ReleaseError::Altered { .. })));
    assert_eq!(proven(), b"lost", "what is not whole is not put in place");
}

#[test]
fn a_half_built_folder_of_an_earlier_try_is_replaced() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    for leftover in ["1.0.02-0", "1.0.02-0.new", "1.0.02-0.new.gone", "1.0.02-0.gone"] {
        std::fs::create_dir(releases.folder(leftover)).unwrap();
        std::fs::write(releases.folder(leftover).join("a"), b"half").unwrap();
    }
    releases.build(&new, &carried, "1.0.02-0", 0).unwrap();
    releases.check("1.0.02-0").unwrap();
}

#[test]
fn a_module_that_was_tampered_with_is_not_linked_into_the_new_release() {
    let (_root, releases) = root();
    let (new, carried) = new_release();
    std::fs::write(releases.folder("1.0.00-1").join("b"), b"tampered").unwrap();
    let error = releases.build(&new, &carried, "1.0.02-0", 0).unwrap_err();
    assert!(matches!(error, ReleaseError::Missing { name, .. } if name.as_str() == "b"));
    assert!(!releases.folder("1.0.02-0").exists());
}

#[test]
fn a_release_that_does_not_fit_on_the_disk_is_not_begun() {
    let (_root, releases) = root();
    let (mut new, carried) = new_release();
    new.modules[0].octets = u64::MAX / 2;
    assert!(matches!(releases.build(&new, &carried, "1.0.02-0", 0), Err(ReleaseError::NoSpace { .. })));
    assert!(!releases.folder("1.0.02-0.new").exists());
}

#[test]
fn a_link_in_place_of_a_module_is_not_followed() {
    let (root, releases) = root();
    let (new, carried) = new_release();
    let b = releases.folder("1.0.00-1").join("b");
    std::fs::write(root.path().join("elsewhere"), b"b").unwrap();
    std::fs::remove_file(&b).unwrap();
    std::os::unix::fs::symlink(root.path().join("elsewhere"), &b).unwrap();
    assert!(matches!(releases.build(&new, &carried, "1.0.02-0", 0), Err(ReleaseError::Missing { .. })));
}

#[test]
fn a_carried_file_mends_the_running_version_under_a_name_of_its_own() {
    let (_root, releases) = root();
    let same =
        release("1.0.00-1", 1, &[("a", ModuleKind::OnDemand, b"old a"), ("b", ModuleKind::Data, b"b")]);
    assert!(releases.runs_already(&same));
    std::fs::write(releases.folder("1.0.00-1").join("b"), b"tampered").unwrap();
    assert!(!releases.runs_already(&same));
    let folder = releases.free_name(&same, "ab12").unwrap();
    assert_eq!(folder, "1.0.00-1+ab12");
    releases.build(&same, &BTreeMap::from([(name("b"), b"b".to_vec())]), &folder, 0).unwrap();
    releases.swap_to(&folder).unwrap();
    assert!(releases.runs_already(&same));
}

#[test]
fn a_swap_to_a_release_that_is_not_there_keeps_the_running_one() {
    let (_root, releases) = root();
    assert!(releases.swap_to("9.9.99-9").is_err());
    assert_eq!(releases.current_name().unwrap(), "1.0.00-1");
}

#[test]
fn tidying_keeps_the_running_release_and_the_two_newest_old_ones() {
    let (_root, releases) = root();
    for (version, counter) in [("1.0.02-0", 2), ("1.0.03-0", 3), ("1.0.04-0", 4), ("1.0.05-0", 5)] {
        let (new, carried) = new_release();
        let new =
            Release { software: SoftwareVersion::new(version).unwrap(), release_counter: counter, ..new };
        releases.build(&new, &carried, version, 0).unwrap();
        releases.swap_to(version).unwrap();
    }
    let (failed, carried) = new_release();
    let failed =
        Release { software: SoftwareVersion::new("1.0.06-0").unwrap(), release_counter: 6, ..failed };
    releases.build(&failed, &carried, "1.0.06-0", 0).unwrap();
    std::fs::create_dir(releases.folder("1.0.07-0.new")).unwrap();
    let mut removed = releases.tidy(2, &BTreeSet::new()).unwrap();
    removed.sort();
    assert_eq!(removed, ["1.0.00-1", "1.0.02-0", "1.0.06-0", "1.0.07-0.new"]);
    for kept in ["1.0.03-0", "1.0.04-0", "1.0.05-0"] {
        releases.check(kept).unwrap();
    }
}

#[test]
fn the_supervisor_is_no_module_that_it_starts_itself() {
    let some = release(
        "1.0.00-1",
        1,
        &[
            ("supervisor", ModuleKind::Resident, b""),
            ("mail-agent", ModuleKind::Resident, b""),
            ("profiles", ModuleKind::Data, b""),
        ],
    );
    let names: Vec<_> = residents(&some).map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["mail-agent"]);
}

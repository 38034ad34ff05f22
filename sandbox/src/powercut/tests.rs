//! The power goes while a shell and its tools are at work.

use super::take_back::{Change, safe};
use super::{Circuit, Lost, Shim};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

/// Compiled once for all tests.
fn shim() -> &'static Shim {
    static SHIM: OnceLock<(tempfile::TempDir, Shim)> = OnceLock::new();
    let (_, shim) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::compile(folder.path()).unwrap();
        (folder, shim)
    });
    shim
}

/// A folder under power.
struct Bench {
    folder: tempfile::TempDir,
    circuit: Circuit,
}

impl Bench {
    /// With the file `old`, which was synced long ago.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("old"), "old\n").unwrap();
        let circuit = Circuit::new(shim(), &root, folder.path()).unwrap();
        Self { folder, circuit }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn sh(&self, script: &str) -> ExitStatus {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", script]).current_dir(self.root());
        self.circuit.connect(&mut shell).status().unwrap()
    }

    /// Runs it to its end, and then the power goes.
    fn lost(&self, script: &str) -> Lost {
        assert!(self.sh(script).success(), "{script}");
        self.circuit.take_back().unwrap()
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.root().join(name)).ok()
    }

    fn old(&self) -> String {
        self.read("old").unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_was_written_and_not_synced_is_as_it_was() {
    let bench = Bench::new();
    assert_eq!(bench.lost("echo new > old; echo more >> old"), Lost { contents: 1, names: 0 });
    assert_eq!(bench.old(), "old\n");
}

#[test]
fn what_was_synced_stays_and_only_what_came_after_it_goes() {
    let bench = Bench::new();
    bench.lost("echo new > old; sync old");
    assert_eq!(bench.old(), "new\n");
    let bench = Bench::new();
    bench.lost("echo new >> old; sync old; echo more >> old");
    assert_eq!(bench.old(), "old\nnew\n");
}

#[test]
fn a_new_file_needs_its_folder_synced_and_its_content_too() {
    for (script, left) in [
        ("echo new > fresh; sync fresh", None),
        ("echo new > fresh; sync .", Some("")),
        ("echo new > fresh; sync fresh; sync .", Some("new\n")),
    ] {
        let bench = Bench::new();
        bench.lost(script);
        assert_eq!(bench.read("fresh").as_deref(), left, "{script}");
    }
}

#[test]
fn a_file_that_was_replaced_is_back_until_the_folder_is_synced() {
    let replace = "echo new > fresh; sync fresh; mv fresh old";
    let bench = Bench::new();
    bench.lost(replace);
    assert_eq!((bench.old().as_str(), bench.names()), ("old\n", vec!["old".to_owned()]));
    let bench = Bench::new();
    bench.lost(&format!("{replace}; sync ."));
    assert_eq!((bench.old().as_str(), bench.names()), ("new\n", vec!["old".to_owned()]));
}

#[test]
fn a_file_that_replaces_another_without_being_synced_is_empty() {
    let bench = Bench::new();
    bench.lost("echo new > fresh; mv fresh old; sync .");
    assert_eq!(bench.old(), "");
}

#[test]
fn what_was_removed_is_back_with_all_that_was_in_it() {
    let bench = Bench::new();
    std::fs::create_dir(bench.root().join("tree")).unwrap();
    std::fs::write(bench.root().join("tree/leaf"), "leaf").unwrap();
    std::os::unix::fs::symlink("tree", bench.root().join("link")).unwrap();
    bench.lost("rm -r tree; rm old link");
    assert_eq!(bench.names(), ["link", "old", "tree"]);
    assert_eq!(
        (bench.read("tree/leaf").as_deref(), bench.read("link/leaf").as_deref()),
        (Some("leaf"), Some("leaf"))
    );
    bench.lost("rm old; sync .");
    assert_eq!(bench.names(), ["link", "tree"]);
}

#[test]
fn a_tree_that_was_renamed_whole_keeps_the_names_that_were_synced_in_it() {
    let build =
        "mkdir new; echo a > new/a; sync new/a; sync new; echo b > new/b; sync new/b; mv new tree; sync .";
    let bench = Bench::new();
    bench.lost(build);
    assert_eq!(bench.names(), ["old", "tree"]);
    assert_eq!((bench.read("tree/a").as_deref(), bench.read("tree/b")), (Some("a\n"), None));
    // Synced under its new name counts as well.
    let bench = Bench::new();
    bench.lost(&format!("{build}; sync tree"));
    assert_eq!(bench.read("tree/b").as_deref(), Some("b\n"));
}

#[test]
fn a_link_that_was_swapped_is_the_old_one_or_the_new_one() {
    for (script, leads_to) in
        [("ln -s two fresh; mv -T fresh link", "one"), ("ln -s two fresh; mv -T fresh link; sync .", "two")]
    {
        let bench = Bench::new();
        std::os::unix::fs::symlink("one", bench.root().join("link")).unwrap();
        bench.lost(script);
        assert_eq!(std::fs::read_link(bench.root().join("link")).unwrap(), Path::new(leads_to));
        assert_eq!(bench.names(), ["link", "old"]);
    }
}

#[test]
fn a_copy_of_a_file_is_nothing_until_it_is_synced() {
    let bench = Bench::new();
    bench.lost("cp old copy; sync .");
    assert_eq!(bench.read("copy").as_deref(), Some(""));
    bench.lost("cp old copy; sync copy; sync .");
    assert_eq!(bench.read("copy").as_deref(), Some("old\n"));
}

#[test]
fn the_program_that_makes_the_change_at_which_the_power_goes_does_not_make_it() {
    let whole = Bench::new();
    whole.sh("echo 1 > one; echo 2 > two");
    let changes = whole.circuit.changes().unwrap();
    assert_eq!(changes, 4, "two files made and two written");
    assert!(!whole.circuit.is_dark().unwrap());
    for (change, left) in
        [(1, vec!["old"]), (2, vec!["old", "one"]), (3, vec!["old", "one"]), (4, vec!["old", "one", "two"])]
    {
        let bench = Bench::new();
        bench.circuit.cut_at(change).unwrap();
        assert_eq!(bench.sh("echo 1 > one; echo 2 > two").signal(), Some(9));
        assert!(bench.circuit.is_dark().unwrap());
        assert_eq!(bench.names(), left);
    }
    let last = whole.circuit.last_changes(2).unwrap();
    let two = whole.root().join("two").canonicalize().unwrap();
    assert_eq!(last, [Change::Created(two.clone()), Change::Written(two)]);
}

#[test]
fn when_the_power_is_gone_it_is_gone_for_all_programs() {
    let bench = Bench::new();
    bench.circuit.cut_at(1).unwrap();
    assert_eq!(bench.sh("(echo 1 > one) || true; echo 2 > two").signal(), Some(9));
    assert_eq!(bench.sh("echo 3 > three").signal(), Some(9), "started after the cut");
    assert!(bench.sh("cat old > /dev/null").success(), "who changes nothing is not noticed");
    assert_eq!(bench.names(), ["old"]);
}

#[test]
fn what_lies_elsewhere_is_not_counted() {
    let bench = Bench::new();
    bench.sh("echo 1 > ../elsewhere; cat old");
    assert_eq!(bench.circuit.changes().unwrap(), 0);
}

#[test]
fn a_name_is_safe_once_the_folder_in_which_it_then_is_was_synced() {
    let created = || Change::Created("/r/new/a".into());
    let renamed = Change::Renamed { from: "/r/new".into(), to: "/r/tree".into(), kept: None };
    let synced = |folder: &str| Change::FolderSynced(folder.into());
    assert_eq!(safe(&[created(), synced("/r/new")]), [true, true]);
    assert_eq!(safe(&[synced("/r/new"), created()]), [true, false]);
    assert_eq!(safe(&[created(), synced("/r")]), [false, true]);
    assert_eq!(safe(&[created(), renamed.clone(), synced("/r/tree")]), [true, false, true]);
    assert_eq!(safe(&[created(), renamed.clone(), synced("/r/new")]), [false, false, true]);
    assert_eq!(safe(&[renamed, synced("/r")]), [true, true]);
}

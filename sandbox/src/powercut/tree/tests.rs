//! What was seen of a folder is laid out as it was, and a cut takes from it what it takes from the folder.

use super::super::{Circuit, Shim};
use super::*;
use std::process::Command;

/// A folder under power, with all that was kept of it.
struct Bench {
    folder: tempfile::TempDir,
    circuit: Circuit,
    contents: Contents,
}

impl Bench {
    /// Two files, one with two names, a link and a folder, all synced long ago.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("tree")).unwrap();
        fs::write(root.join("old"), "old\n").unwrap();
        fs::write(root.join("tree/leaf"), format!("I am in {}\n", root.canonicalize().unwrap().display()))
            .unwrap();
        fs::hard_link(root.join("old"), root.join("tree/again")).unwrap();
        std::os::unix::fs::symlink("tree/leaf", root.join("link")).unwrap();
        let circuit = Circuit::new(&Shim::compile(folder.path()).unwrap(), &root, folder.path()).unwrap();
        let contents = Contents::new(&folder.path().join("contents")).unwrap();
        Self { folder, circuit, contents }
    }

    fn sh(&self, script: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", script]).current_dir(self.circuit.folders()[0]);
        assert!(self.circuit.connect(&mut shell).status().unwrap().success(), "{script}");
    }

    fn see(&mut self) -> Tree {
        self.contents.see(&self.circuit.folders()).unwrap()
    }
}

#[test]
fn what_was_seen_is_laid_out_as_it_was_and_says_where_it_is_now() {
    let mut bench = Bench::new();
    let tree = bench.see();
    let [root, _] = bench.circuit.folders().map(Path::to_owned);
    assert_eq!(bench.contents.kept().that_cannot_move(&tree, &root).unwrap(), Vec::<PathBuf>::new());
    let other = bench.folder.path().canonicalize().unwrap().join("other");
    bench.contents.kept().lay(&tree, &root, &other, &Shared::default()).unwrap();
    assert_eq!(fs::read_to_string(other.join("link")).unwrap(), format!("I am in {}\n", other.display()));
    fs::write(other.join("old"), "new\n").unwrap();
    assert_eq!(fs::read_to_string(other.join("tree/again")).unwrap(), "new\n", "one file with two names");
    assert_eq!(fs::read_to_string(root.join("old")).unwrap(), "old\n", "and not the one that was seen");
}

#[test]
fn a_copy_stays_a_file_of_its_own_and_a_shared_file_is_shared() {
    let mut bench = Bench::new();
    let [root, _] = bench.circuit.folders().map(Path::to_owned);
    let base = bench.folder.path().canonicalize().unwrap().join("base");
    fs::write(&base, "the same\n").unwrap();
    fs::hard_link(&base, root.join("shared")).unwrap();
    fs::copy(&base, root.join("copy")).unwrap();
    let shared =
        Shared::of(&bench.contents.see(&[base.parent().unwrap()]).unwrap(), std::slice::from_ref(&base));
    let tree = bench.see();
    let other = bench.folder.path().join("other");
    bench.contents.kept().lay(&tree, &root, &other, &shared).unwrap();
    let inode = |path: &Path| path.symlink_metadata().unwrap().ino();
    assert_eq!(inode(&other.join("shared")), inode(&base));
    assert_ne!(inode(&other.join("copy")), inode(&base));
}

#[test]
fn what_says_in_no_text_where_it_is_cannot_move() {
    let mut bench = Bench::new();
    let [root, _] = bench.circuit.folders().map(Path::to_owned);
    fs::write(root.join("old"), [root.as_os_str().as_encoded_bytes(), &[0xff]].concat()).unwrap();
    let tree = bench.see();
    let found = bench.contents.kept().that_cannot_move(&tree, &root).unwrap();
    assert_eq!(found, [root.join("old"), root.join("tree/again")]);
}

#[test]
fn a_change_within_the_tick_of_the_clock_is_seen() {
    let mut bench = Bench::new();
    let [root, _] = bench.circuit.folders().map(Path::to_owned);
    let mut seen = HashSet::new();
    for number in 100..200 {
        fs::write(root.join("old"), number.to_string()).unwrap();
        seen.insert(bench.see().digest(&root));
    }
    assert_eq!(seen.len(), 100);
}

#[test]
fn a_cut_takes_from_what_was_seen_what_it_takes_from_the_disk() {
    for script in [
        "echo new > old; echo more >> old",
        "echo new > old; sync old; echo more >> tree/again",
        "echo new > fresh; sync fresh",
        "echo new > fresh; sync .",
        "echo new > fresh; sync fresh; mv fresh old",
        "echo new > fresh; mv fresh old; sync .",
        "rm -r tree; rm old link",
        "rm -r tree; rm old link; sync .",
        "mkdir new; echo a > new/a; sync new/a; sync new; echo b > new/b; sync new/b; mv new newer; sync .",
        "mkdir new; echo a > new/a; mv new newer; rm newer/a; rmdir newer",
        "ln -s two fresh; mv -T fresh link",
        "ln -s two fresh; mv -T fresh link; sync .",
        "ln old further; mv further tree/further; sync tree",
        "mv tree branch; mv branch/leaf old; sync branch",
    ] {
        let mut bench = Bench::new();
        bench.sh(script);
        let before = bench.see();
        let [root, shadow] = bench.circuit.folders().map(Path::to_owned);
        let image = before.taken_back(bench.contents.kept(), &shadow).unwrap();
        bench.circuit.take_back().unwrap();
        let disk = bench.see();
        assert_eq!(image.differences(&disk, &root), [""; 0], "{script}");
        assert_eq!(image.digest(&root), disk.digest(&root), "{script}");
    }
}

#[test]
fn every_change_waits_until_it_was_seen_and_is_not_made_before() {
    let bench = Bench::new();
    let [root, _] = bench.circuit.folders().map(Path::to_owned);
    let contents = std::sync::Mutex::new(bench.contents);
    bench.circuit.stop_from(1).unwrap();
    let seen = super::super::recording::record(&bench.circuit, &contents, Vec::new, |stops| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", "echo 1 > one; echo 2 > two"]).current_dir(&root);
        assert!(bench.circuit.connect(&mut shell).status()?.success());
        Ok(stops.count())
    })
    .unwrap();
    let has = |name: &str| -> Vec<bool> {
        seen.iter().map(|seen| seen.tree.nodes.contains_key(&root.join(name))).collect()
    };
    assert_eq!(has("one"), [false, true, true, true], "made, written; made, written");
    assert_eq!(has("two"), [false, false, false, true]);
}

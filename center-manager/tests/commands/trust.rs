//! Keys and roots as a person handles them: made on a stick, signed by several, brought to the center, stolen.

use crate::program::Program;
use mailfmt::package::{PackageError, Site, VerifiedPackage};
use mailfmt::trust::{
    DowngradePermit, KeyFile, PermitError, Role, Root, RootError, SignedPermit, SignedRoot, SigningKey,
    TrustedRoot,
};
use mailfmt::{AgentId, Limits, SoftwareVersion};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const PASSPHRASE: &str = "four words on paper";

/// A folder with a center's home, a stick and whatever else is needed.
struct Desk {
    program: Program,
}

impl Desk {
    fn empty() -> Self {
        let program = Program::without_home();
        fs::create_dir(program.path("stick")).unwrap();
        fs::write(program.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { program }
    }

    fn with_center(more: &[&str]) -> Self {
        let desk = Self::empty();
        desk.init(more);
        desk
    }

    fn init(&self, more: &[&str]) -> String {
        self.program.init(more)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.program.path(name)
    }

    fn home(&self, name: &str) -> PathBuf {
        self.program.home().join(name)
    }

    /// Runs what must end with this exit code and keep all secrets to itself; what it printed and what it complained of.
    fn run(&self, code: i32, args: &[&str]) -> (String, String) {
        let (printed, said) = self.program.ends(code, args);
        assert!(!said.contains("PRIVATE KEY") && !said.contains(PASSPHRASE));
        (printed, said)
    }

    /// Standard output of a command that ends with this exit code.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        self.run(code, args).0
    }

    fn text(&self, args: &[&str]) -> String {
        self.ends(0, args)
    }

    fn fails(&self, code: i32, args: &[&str]) -> String {
        self.run(code, args).1
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--format", "json"]].concat())).unwrap()
    }

    /// Keys on the stick, made without any home: name and role.
    fn make_keys(&self, keys: &[(&str, &str)]) {
        for (name, role) in keys {
            self.text(&["key", "new", "--role", role, "--out", &format!("stick/{name}.pem")]);
        }
    }

    fn chain(&self, file: &str) -> Vec<SignedRoot> {
        serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap()
    }

    fn trusted(&self, file: &str) -> TrustedRoot {
        TrustedRoot::first(&self.chain(file)).unwrap()
    }

    /// Builds and files a package; its file and id.
    fn package(&self, counter: u64, more: &[&str]) -> (PathBuf, String) {
        fs::write(self.path("device-watch"), "the new watcher").unwrap();
        let list = format!(
            "target = \"1.0.{counter}\"\nrelease_counter = {counter}\n[[module]]\nname = \"device-watch\"\n\
             version = \"1.0.{counter}\"\ndate = \"2026-11-21\"\nkind = \"resident\"\n"
        );
        fs::write(self.path("modules.toml"), list).unwrap();
        let mut args = vec!["package", "build", "--modules", "modules.toml"];
        args.extend(more);
        let built = self.json(&args);
        (built["path"].as_str().unwrap().into(), built["id"].as_str().unwrap().to_owned())
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn now() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the test talks to programs that read the real clock")]
    jiff::Timestamp::now()
}

/// What an appliance of the center `CENTER` says to a package.
fn install(
    package: &[u8],
    root: &TrustedRoot,
    installed: u64,
    permit: Option<&SignedPermit>,
) -> Result<VerifiedPackage, PackageError> {
    let (agent, running) = (agent(1), SoftwareVersion::new("1.0.9").unwrap());
    let site = Site {
        root,
        agent: &agent,
        permit,
        running: &running,
        hardware: "x86_64",
        installed_counter: installed,
        now: now(),
    };
    mailfmt::package::open(package, &site, &Limits::default())
}

fn agent(number: u32) -> AgentId {
    AgentId::new(&format!("AGENT{number:07}")).unwrap()
}

#[test]
fn a_key_is_made_without_a_home_and_only_its_owner_can_read_it() {
    let desk = Desk::empty();
    let made = desk.json(&[
        "key",
        "new",
        "--role",
        "root",
        "--out",
        "stick/root.pem",
        "--passphrase-file",
        "passphrase",
    ]);
    assert_eq!(mode(&desk.path("stick/root.pem")), 0o600);
    let public = fs::read_to_string(desk.path("stick/root.pub")).unwrap();
    assert_eq!(made["public"], public.trim());
    let file = KeyFile::parse(&fs::read_to_string(desk.path("stick/root.pem")).unwrap()).unwrap();
    assert!(file.is_encrypted());
    assert_eq!(file.open(Some(PASSPHRASE)).unwrap().public().to_string(), public.trim());
    let shown = desk.text(&["key", "show", "stick/root.pem"]);
    assert!(shown.contains("with a passphrase") && shown.contains(public.trim()), "{shown}");
    desk.fails(1, &["key", "new", "--role", "root", "--out", "stick/root.pem"]);
}

#[test]
fn a_passphrase_is_changed_and_taken_away() {
    let desk = Desk::empty();
    desk.make_keys(&[("release", "release")]);
    fs::write(desk.path("other"), "another four words\n").unwrap();
    let change = ["key", "change-passphrase", "stick/release.pem"];
    desk.text(&[&change[..], &["--new-passphrase-file", "passphrase"]].concat());
    desk.fails(2, &[&change[..], &["--no-passphrase"]].concat());
    desk.fails(1, &[&change[..], &["--passphrase-file", "other", "--no-passphrase"]].concat());
    desk.text(
        &[&change[..], &["--passphrase-file", "passphrase", "--new-passphrase-file", "other"]].concat(),
    );
    desk.text(&[&change[..], &["--passphrase-file", "other", "--no-passphrase"]].concat());
    let text = fs::read_to_string(desk.path("stick/release.pem")).unwrap();
    let public = KeyFile::parse(&text).unwrap().open(None).unwrap().public();
    assert_eq!(public.to_string(), fs::read_to_string(desk.path("stick/release.pub")).unwrap().trim());
    assert_eq!(mode(&desk.path("stick/release.pem")), 0o600);
}

#[test]
fn a_command_key_and_a_short_passphrase_are_refused() {
    let desk = Desk::empty();
    fs::write(desk.path("short"), "sesame\n").unwrap();
    let new = ["key", "new", "--out", "stick/key.pem"];
    desk.fails(2, &[&new[..], &["--role", "command", "--passphrase-file", "passphrase"]].concat());
    let said = desk.fails(1, &[&new[..], &["--role", "root", "--passphrase-file", "short"]].concat());
    assert!(said.contains("at least 12 characters"), "{said}");
    assert!(!desk.path("stick/key.pem").exists());
}

#[test]
fn roots_are_made_and_signed_by_several_people_without_any_center() {
    let desk = Desk::empty();
    let keys =
        [("ann", "root"), ("bob", "root"), ("cleo", "root"), ("release", "release"), ("command", "command")];
    desk.make_keys(&keys);
    let mut create = vec!["root", "create", "--out", "roots.json", "--threshold", "root=2"];
    create.extend([
        "--key",
        "root=stick/ann.pub",
        "--key",
        "root=stick/bob.pub",
        "--key",
        "root=stick/cleo.pub",
    ]);
    create.extend(["--key", "release=stick/release.pub", "--key", "command=stick/command.pub"]);
    create.extend(["--sign", "stick/ann.pem"]);
    let said = desk.ends(3, &create);
    assert!(said.contains("1 of 2 have signed"), "{said}");
    assert!(matches!(
        TrustedRoot::first(&desk.chain("roots.json")),
        Err(RootError::Signatures { valid: 1, threshold: 2, .. })
    ));
    let said = desk.fails(1, &["root", "sign", "roots.json", "--sign", "stick/release.pem"]);
    assert!(said.contains("counts for nothing"), "{said}");
    desk.text(&["root", "sign", "roots.json", "--sign", "stick/bob.pem"]);
    assert_eq!(desk.trusted("roots.json").root().version, 1);
    let said = desk.text(&["root", "check", "roots.json"]);
    assert!(said.contains("good: leads to root 1"), "{said}");

    // Bob has lost his stick: out with his key, signed by the two others.
    let bob = desk.json(&["key", "show", "stick/bob.pub"])["id"].as_str().unwrap().to_owned();
    desk.make_keys(&[("dora", "root")]);
    let mut rotate =
        vec!["root", "rotate", "--from", "roots.json", "--drop-key", &bob, "--out", "newer.json"];
    rotate.extend([
        "--add-key",
        "root=stick/dora.pub",
        "--sign",
        "stick/ann.pem",
        "--sign",
        "stick/cleo.pem",
    ]);
    desk.text(&rotate);
    let newer = desk.trusted("newer.json");
    assert_eq!(newer.root().version, 2);
    assert!(newer.root().root.keys.iter().all(|key| key.id().to_string() != bob));
    let said = desk.text(&["root", "check", "newer.json", "--from", "roots.json"]);
    assert!(said.contains("root 2"), "{said}");
    let said = desk.fails(1, &["root", "check", "roots.json", "--from", "newer.json"]);
    assert!(said.contains("root 2 is trusted already"), "{said}");
}

#[test]
fn a_root_without_a_key_for_every_role_or_with_one_for_two_is_refused() {
    let desk = Desk::empty();
    desk.make_keys(&[("root", "root"), ("release", "release")]);
    let create =
        ["root", "create", "--out", "roots.json", "--sign", "stick/root.pem", "--key", "root=stick/root.pub"];
    let said = desk.fails(2, &[&create[..], &["--key", "release=stick/release.pub"]].concat());
    assert!(said.contains("--key command=FILE.pub"), "{said}");
    let both = ["--key", "release=stick/release.pub", "--key", "command=stick/release.pub"];
    let said = desk.fails(1, &[&create[..], &both].concat());
    assert!(said.contains("has another role too"), "{said}");
    assert!(!desk.path("roots.json").exists());
}

#[test]
fn a_quick_start_warns_until_root_and_release_keys_are_moved_out() {
    let desk = Desk::empty();
    let said = desk.init(&[]);
    assert!(said.contains("WARNING") && said.contains("key move-out"), "{said}");
    for name in ["root", "release", "command"] {
        assert_eq!(mode(&desk.home(&format!("keys/{name}.pem"))), 0o600);
    }
    let warned = |desk: &Desk| {
        let said = desk.program.run(&["doctor", "--offline"]);
        String::from_utf8(said.stdout)
            .unwrap()
            .contains("whoever breaks into it can put programs on the whole fleet")
    };
    assert!(warned(&desk));
    desk.fails(1, &["key", "move-out", "home/packages"]);
    let moved = desk.json(&["key", "move-out", "stick", "--passphrase-file", "passphrase"]);
    assert_eq!(moved.as_array().unwrap().len(), 2);
    for name in ["root", "release"] {
        assert!(!desk.home(&format!("keys/{name}.pem")).exists());
        assert!(desk.home(&format!("keys/{name}.pub")).exists());
        let copy = fs::read_to_string(desk.path(&format!("stick/{name}.pem"))).unwrap();
        let public = KeyFile::parse(&copy).unwrap().open(Some(PASSPHRASE)).unwrap().public();
        assert_eq!(
            public.to_string(),
            fs::read_to_string(desk.home(&format!("keys/{name}.pub"))).unwrap().trim()
        );
    }
    assert!(!warned(&desk));
    let listed = desk.text(&["key", "list"]);
    assert_eq!(listed.matches("not here").count(), 2, "{listed}");
    desk.fails(1, &["package", "build", "--modules", "modules.toml", "--sign"]);
}

#[test]
fn a_center_begins_with_a_root_that_was_made_elsewhere() {
    let desk = Desk::empty();
    desk.make_keys(&[("root", "root"), ("release", "release"), ("command", "command"), ("other", "command")]);
    let mut create = vec!["root", "create", "--out", "roots.json", "--sign", "stick/root.pem"];
    create.extend(["--key", "root=stick/root.pub", "--key", "release=stick/release.pub"]);
    create.extend(["--key", "command=stick/command.pub"]);
    desk.text(&create);
    let wrong = "init --address c@c.example --smtp localhost --pop3 localhost --root roots.json --command-key stick/other.pem";
    let said = desk.fails(1, &wrong.split(' ').collect::<Vec<_>>());
    assert!(said.contains("does not name the command key"), "{said}");
    desk.init(&["--root", "roots.json", "--command-key", "stick/command.pem"]);
    assert!(!desk.home("keys/root.pem").exists() && !desk.home("keys/release.pem").exists());
    let findings = String::from_utf8(desk.program.run(&["doctor", "--offline"]).stdout).unwrap();
    assert!(findings.contains("named by root 1") && findings.contains("kept elsewhere"), "{findings}");
    let added = desk.json(&["appliance", "add", "--address", "a@x.example"]);
    let text = fs::read_to_string(added[0]["introduction"].as_str().unwrap()).unwrap();
    let introduction: mailfmt::Introduction = toml::from_str(&text).unwrap();
    assert_eq!(introduction.roots, desk.chain("roots.json"));
}

#[test]
fn a_center_whose_root_key_is_elsewhere_gets_its_root_brought() {
    let desk = Desk::empty();
    let said = desk.init(&["--no-release-key"]);
    assert!(said.contains("root create --key command="), "{said}");
    let said = desk.fails(1, &["appliance", "add", "--address", "a@x.example"]);
    assert!(said.contains("root create"), "{said}");
    desk.make_keys(&[("root", "root"), ("release", "release")]);
    let mut create = vec!["root", "create", "--out", "roots.json", "--sign", "stick/root.pem"];
    create.extend(["--key", "root=stick/root.pub", "--key", "release=stick/release.pub"]);
    create.extend(["--key", "command=home/keys/command.pub"]);
    desk.text(&create);
    desk.text(&["root", "add", "roots.json"]);
    desk.text(&["appliance", "add", "--address", "a@x.example"]);
}

#[test]
fn newer_roots_are_brought_in_and_sent_to_everybody_in_one_message() {
    let desk = Desk::with_center(&[]);
    let add = ["appliance", "add", "--count", "3", "--address", "agent{number}@x.example"];
    desk.text(&add);
    let said = desk.fails(1, &["root", "send", "--all"]);
    assert!(said.contains("only root 1"), "{said}");
    desk.text(&["root", "rotate", "--days", "900", "--sign", "home/keys/root.pem", "--out", "newer.json"]);
    desk.text(&[
        "root",
        "rotate",
        "--from",
        "newer.json",
        "--sign",
        "home/keys/root.pem",
        "--out",
        "newest.json",
    ]);
    desk.text(&["root", "add", "newest.json"]);
    desk.text(&["root", "add", "newest.json"]);
    let said = desk.fails(1, &["root", "add", "newer.json"]);
    assert!(said.contains("root 3 is trusted already"), "{said}");
    assert_eq!(desk.text(&["root", "fleet"]).matches("has not told yet").count(), 3);
    let behind = desk.json(&["root", "send", "--behind"]);
    assert_eq!(behind["appliances"].as_array().unwrap().len(), 3);
    let sent = desk.json(&["root", "send", "--all"]);
    assert_eq!(
        (sent["command"].as_str(), sent["appliances"].as_array().unwrap().len()),
        (Some("trust-roots"), 3)
    );
    assert_eq!(desk.trusted("home/keys/roots.json").root().version, 3);
}

#[test]
fn a_stranger_cannot_bring_a_root_in() {
    let (desk, stranger) = (Desk::with_center(&[]), Desk::with_center(&[]));
    let own = stranger.home("keys/root.pem");
    stranger.text(&["root", "rotate", "--sign", own.to_str().unwrap(), "--out", "newer.json"]);
    let theirs = stranger.path("newer.json");
    let said = desk.fails(1, &["root", "add", theirs.to_str().unwrap()]);
    assert!(said.contains("another root 1 is trusted already"), "{said}");
}

#[test]
fn a_root_that_forgets_the_centers_command_key_is_told_loudly() {
    let desk = Desk::with_center(&[]);
    desk.make_keys(&[("command", "command")]);
    let old = desk.json(&["key", "show", "home/keys/command.pub"])["id"].as_str().unwrap().to_owned();
    let mut rotate = vec!["root", "rotate", "--drop-key", &old, "--add-key", "command=stick/command.pub"];
    rotate.extend(["--sign", "home/keys/root.pem", "--out", "newer.json"]);
    desk.text(&rotate);
    let said = desk.text(&["root", "add", "newer.json"]);
    assert!(said.contains("WARNING: it does not name this center's command key"), "{said}");
    let findings = String::from_utf8(desk.program.run(&["doctor", "--offline"]).stdout).unwrap();
    assert!(findings.contains("FAILED  command key"), "{findings}");
}

#[test]
fn a_package_is_signed_one_by_one_until_enough_have_signed() {
    let desk = Desk::with_center(&[]);
    desk.make_keys(&[("second", "release")]);
    let mut rotate =
        vec!["root", "rotate", "--add-key", "release=stick/second.pub", "--threshold", "release=2"];
    rotate.extend(["--sign", "home/keys/root.pem", "--out", "newer.json"]);
    desk.text(&rotate);
    let root = desk.trusted("newer.json");
    desk.text(&["key", "change-passphrase", "stick/second.pem", "--new-passphrase-file", "passphrase"]);
    desk.package(9, &["--output", "update.mfp"]);
    desk.text(&["package", "sign", "update.mfp"]);
    let once = fs::read(desk.path("update.mfp")).unwrap();
    assert!(matches!(
        install(&once, &root, 1, None),
        Err(PackageError::BelowThreshold { valid: 1, threshold: 2 })
    ));
    desk.text(&[
        "package",
        "sign",
        "update.mfp",
        "--key",
        "stick/second.pem",
        "--passphrase-file",
        "passphrase",
    ]);
    let package = fs::read(desk.path("update.mfp")).unwrap();
    assert!(install(&package, &root, 1, None).is_ok());

    // A permit as well, here by people who have no center.
    let second = ["--key", "stick/second.pem", "--passphrase-file", "passphrase", "--out", "both.permit"];
    let once = "package permit --agents AGENT0000001 --package update.mfp --from 1.0.9 --center CENTER --out one.permit \
                --key home/keys/release.pem";
    desk.text(&once.split_whitespace().collect::<Vec<_>>());
    desk.text(&[&["package", "permit", "--add-to", "one.permit"], &second[..]].concat());
    let permit = |name| SignedPermit::from_octets(fs::read(desk.path(name)).unwrap());
    let refused = install(&package, &root, 10, Some(&permit("one.permit"))).unwrap_err();
    assert!(matches!(refused, PackageError::Permit(PermitError::Signatures { valid: 1, threshold: 2 })));
    assert!(install(&package, &root, 10, Some(&permit("both.permit"))).is_ok());
}

#[test]
fn a_permit_lets_exactly_the_named_appliances_go_back() {
    let desk = Desk::with_center(&[]);
    let (file, id) = desk.package(5, &["--sign"]);
    let package = fs::read(file).unwrap();
    let root = desk.trusted("home/keys/roots.json");
    assert!(matches!(install(&package, &root, 9, None), Err(PackageError::Downgrade { .. })));
    let mut permit = vec!["package", "permit", "--package", &id, "--from", "1.0.9", "--out"];
    desk.text(&[&permit[..], &["ours.permit", "--agents", "AGENT0000001,AGENT0000002"]].concat());
    permit.extend(["others.permit", "--agents", "AGENT0000002"]);
    desk.text(&permit);
    let read = |name| SignedPermit::from_octets(fs::read(desk.path(name)).unwrap());
    assert!(install(&package, &root, 9, Some(&read("ours.permit"))).is_ok());
    let refused = install(&package, &root, 9, Some(&read("others.permit"))).unwrap_err();
    assert!(matches!(refused, PackageError::Permit(PermitError::Another { what: "appliance" })));

    desk.text(&["appliance", "add", "--address", "a@x.example"]);
    let start = ["rollout", "start", "--package", &id, "--agents", "AGENT0000001", "--yes", "--permit"];
    let said = desk.text(&[&start[..], &["others.permit"]].concat());
    assert!(said.contains("1 of them may refuse it"), "{said}");
    let said = desk.text(&[&start[..], &["ours.permit"]].concat());
    assert!(!said.contains("may refuse it"), "{said}");
    let (_, other) = desk.package(6, &["--sign"]);
    let start = ["rollout", "start", "--package", &other, "--all", "--yes", "--permit", "ours.permit"];
    let said = desk.fails(1, &start);
    assert!(said.contains("is for package"), "{said}");
}

#[test]
fn a_revoked_package_and_a_counter_that_was_driven_up_are_dealt_with_by_a_new_root() {
    let desk = Desk::with_center(&[]);
    let (bad, id) = desk.package(900_000, &["--sign"]);
    let (good, _) = desk.package(10, &["--sign"]);
    let read = |file: &Path| fs::read(file).unwrap();
    let old = desk.trusted("home/keys/roots.json");
    assert!(install(&read(&bad), &old, 1, None).is_ok());
    assert!(matches!(install(&read(&good), &old, 900_000, None), Err(PackageError::Downgrade { .. })));
    let mut rotate = vec!["root", "rotate", "--revoke-package", &id, "--reset-counter", "9"];
    rotate.extend(["--sign", "home/keys/root.pem", "--out", "newer.json"]);
    desk.text(&rotate);
    let said = desk.text(&["root", "add", "newer.json"]);
    assert!(said.contains("was revoked by root 2"), "{said}");
    let new = old.advance(&desk.chain("newer.json")).unwrap();
    assert!(matches!(install(&read(&bad), &new, 1, None), Err(PackageError::Revoked { root: 2 })));
    assert!(install(&read(&good), &new, new.installed_counter(900_000, 1), None).is_ok());
}

/// Everything of a home whose root and release keys were moved out, as a thief has it: every file, every private key.
fn steal(desk: &Desk) -> Vec<SigningKey> {
    let mut folders = vec![desk.path("home")];
    let mut keys = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path)
                && let Ok(file) = KeyFile::parse(&text)
            {
                keys.push(file.open(None).unwrap());
            }
        }
    }
    keys
}

#[test]
fn with_everything_on_the_center_stolen_no_appliance_takes_a_package_a_root_or_a_permit_of_the_thief() {
    let desk = Desk::with_center(&[]);
    let (file, _) = desk.package(9, &["--sign"]);
    let (old, _) = desk.package(5, &["--sign"]);
    let (unsigned, _) = desk.package(10, &[]);
    desk.text(&["key", "move-out", "stick", "--passphrase-file", "passphrase"]);
    let trusted = desk.trusted("home/keys/roots.json");
    let limits = Limits::default();
    let mut keys = steal(&desk);
    assert_eq!(keys.len(), 1, "of the private keys only the command key is there");
    assert_eq!(keys[0].public(), trusted.root().command.keys[0]);
    keys.push(SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(66)));
    let genuine = fs::read(&file).unwrap();
    assert!(install(&genuine, &trusted, 1, None).is_ok(), "what was signed before is good");

    for key in &keys {
        // A package of his own, and one of ours with his code in it under our signatures.
        let own = mailfmt::package::sign(&fs::read(&unsigned).unwrap(), key, &limits).unwrap();
        assert!(matches!(install(&own, &trusted, 1, None), Err(PackageError::Untrusted { .. })));
        let mut swapped = genuine.clone();
        let last = swapped.len() - 1;
        swapped[last] ^= 1;
        assert!(matches!(install(&swapped, &trusted, 1, None), Err(PackageError::Content)));
        let borrowed = mailfmt::package::sign(&swapped, key, &limits).unwrap();
        assert!(install(&borrowed, &trusted, 1, None).is_err());

        // A root that makes his key a release key: as the next, as another first, and as another of the same version.
        for version in [1, 2, 3] {
            let role = || Role::of(key.public());
            let other = SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(67));
            let root = Root {
                version,
                root: role(),
                release: role(),
                command: Role::of(other.public()),
                ..trusted.root().clone()
            };
            let signed = SignedRoot::unsigned(&root).unwrap().sign(key).unwrap();
            assert!(trusted.advance(std::slice::from_ref(&signed)).is_err());
            let mut chain = desk.chain("home/keys/roots.json");
            chain.push(signed);
            assert!(trusted.advance(&chain).is_err());
        }

        // A permit for an old release of ours, which has a hole that he knows.
        let package = fs::read(&old).unwrap();
        let inspection = mailfmt::package::inspect(&package, &limits).unwrap();
        let permit = DowngradePermit {
            center: trusted.root().center.clone(),
            agents: vec![agent(1)],
            package: inspection.id,
            from: SoftwareVersion::new("1.0.9").unwrap(),
            to: inspection.manifest.target,
            expires: now() + jiff::SignedDuration::from_hours(24),
        };
        let permit = SignedPermit::unsigned(&permit).unwrap().sign(key).unwrap();
        let refused = install(&package, &trusted, 9, Some(&permit)).unwrap_err();
        assert!(matches!(refused, PackageError::Permit(PermitError::Signatures { valid: 0, .. })));
    }
}

#[test]
fn a_thief_of_the_release_key_cannot_use_all_release_counters_up() {
    let desk = Desk::with_center(&[]);
    let (file, _) = desk.package(u64::MAX / 2, &["--sign"]);
    let root = desk.trusted("home/keys/roots.json");
    let refused = install(&fs::read(file).unwrap(), &root, 9, None).unwrap_err();
    assert!(matches!(refused, PackageError::FastForward { installed: 9, .. }));
}

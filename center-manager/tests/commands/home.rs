//! The program as a person uses it: homes, appliances, packages, exit codes.

use crate::program::Program;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module list with two modules and a script.
fn module_list(center: &Program) -> PathBuf {
    let folder = center.folder();
    fs::write(folder.join("device-watch"), "the new watcher").unwrap();
    fs::write(folder.join("profiles"), "vendor knowledge").unwrap();
    fs::write(folder.join("install.sh"), "#!/bin/sh\nexit 0\n").unwrap();
    let list = folder.join("modules.toml");
    let text = "target = \"1.0.02-0\"\n\
        [[module]]\nname = \"device-watch\"\nversion = \"1.0.02\"\ndate = \"2026-11-21\"\nkind = \"resident\"\n\
        [[module]]\nname = \"profiles\"\nversion = \"7\"\ndate = \"2026-11-20\"\nkind = \"data\"\n";
    fs::write(&list, text).unwrap();
    list
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_home_keeps_its_secrets_to_its_owner() {
    let center = Program::with_home(&[]);
    let home = center.home();
    for secret in ["fleet.db", "keys/release.pem", "secrets/mail-1.password"] {
        assert_eq!(mode(&home.join(secret)), 0o600, "{secret}");
    }
    assert_eq!(mode(&home), 0o700);
    assert!(!fs::read_to_string(home.join("center.toml")).unwrap().contains("s3cret"));
}

#[test]
fn a_home_is_made_once() {
    let center = Program::with_home(&[]);
    let again = center.fails(
        1,
        &["init", "--address", "other@center.example", "--smtp", "localhost", "--imap", "localhost"],
    );
    assert!(again.contains("is a center's home already"), "{again}");
}

#[test]
fn a_command_without_a_home_says_what_to_do() {
    let center = Program::without_home();
    let said = center.fails(1, &["appliance", "list"]);
    assert!(said.contains("center-manager init"), "{said}");
}

#[test]
fn wrong_use_has_an_exit_code_of_its_own() {
    let center = Program::with_home(&[]);
    center.fails(2, &["appliance", "dance"]);
    center.fails(2, &["appliance", "add"]);
}

#[test]
fn an_added_appliance_gets_an_introduction_that_its_owner_alone_can_read() {
    let center = Program::with_home(&[]);
    let added =
        center.json(&["appliance", "add", "--address", "agent@aaa.co.jp", "--customer", "aaa Trading"]);
    assert_eq!(added[0]["agent"], "AGENT0000001");
    let path = PathBuf::from(added[0]["introduction"].as_str().unwrap());
    assert_eq!(mode(&path), 0o600);
    let introduction: mailfmt::Introduction = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(introduction.agent.as_str(), "AGENT0000001");
    assert_eq!(introduction.center_address, "center@center.example");
    assert_eq!(introduction.roots.len(), 1);

    let listed = center.text(&["appliance", "list", "--format", "json"]);
    assert!(!listed.contains(&introduction.credential.expose_hex()), "the credential is in no list");
    let shown = center.text(&["appliance", "show", "AGENT0000001", "--format", "json"]);
    assert!(!shown.contains(&introduction.credential.expose_hex()), "nor in what is shown");
}

#[test]
fn a_lost_introduction_is_written_again_with_the_same_credential() {
    let center = Program::with_home(&[]);
    let added = center.json(&["appliance", "add", "--address", "agent@aaa.co.jp"]);
    let path = PathBuf::from(added[0]["introduction"].as_str().unwrap());
    let first = fs::read_to_string(&path).unwrap();
    let in_the_way = center.fails(1, &["appliance", "introduce", "AGENT0000001"]);
    assert!(in_the_way.contains("AGENT0000001.toml"), "a secret is never overwritten: {in_the_way}");
    fs::remove_file(&path).unwrap();
    center.text(&["appliance", "introduce", "AGENT0000001"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
}

#[test]
fn many_appliances_are_added_at_once_and_ids_go_on_from_there() {
    let center = Program::with_home(&[]);
    let added = center.json(&[
        "appliance",
        "add",
        "--count",
        "17",
        "--address",
        "agent{number}@site.example",
        "--tag",
        "pilot",
    ]);
    assert_eq!(added.as_array().unwrap().len(), 17);
    assert_eq!(
        (&added[16]["agent"], &added[16]["address"]),
        (&"AGENT0000017".into(), &"agent17@site.example".into())
    );
    center.text(&["appliance", "remove", "AGENT0000017"]);
    let next = center.json(&["appliance", "add", "--address", "{agent}@site.example"]);
    assert_eq!(next[0]["agent"], "AGENT0000018", "the id of a removed appliance is not given again");
    assert_eq!(next[0]["address"], "AGENT0000018@site.example");
    let pilots = center.json(&["appliance", "list", "--tag", "pilot"]);
    assert_eq!(pilots.as_array().unwrap().len(), 16);
    let said = center.fails(1, &["appliance", "add", "--address", "AGENT1@site.example"]);
    assert!(said.contains("AGENT0000001"), "two at one mailbox would throw each other's mail away: {said}");
    let said = center.fails(2, &["appliance", "add", "--count", "2", "--address", "same@site.example"]);
    assert!(said.contains("{number}"), "{said}");
}

#[test]
fn appliances_are_added_from_a_spreadsheet_all_or_none() {
    let center = Program::with_home(&[]);
    let file = center.folder().join("fleet.csv");
    fs::write(&file, "address,customer,agent,tags\na@x.example,Aaa Trading,,tokyo pilot\nb@x.example,\"Bbb, Ltd\",AGENT0000005,\n").unwrap();
    let added = center.json(&["appliance", "add", "--from-csv", file.to_str().unwrap()]);
    assert_eq!((&added[0]["agent"], &added[1]["agent"]), (&"AGENT0000006".into(), &"AGENT0000005".into()));
    assert_eq!(added[1]["customer"], "Bbb, Ltd");
    fs::write(&file, "address\nc@x.example\nnot an address\n").unwrap();
    let said = center.fails(1, &["appliance", "add", "--from-csv", file.to_str().unwrap()]);
    assert!(said.contains("not an address"), "{said}");
    assert_eq!(center.json(&["appliance", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn an_introduction_goes_where_it_is_wanted_and_replaces_nothing() {
    let center = Program::with_home(&[]);
    let file = center.folder().join("stick/first.toml");
    let place = file.to_str().unwrap();
    center.text(&["appliance", "add", "--address", "a@x.example", "--output", place]);
    assert!(fs::read_to_string(&file).unwrap().contains("AGENT0000001"));
    let said = center.fails(1, &["appliance", "add", "--address", "b@x.example", "--output", place]);
    assert!(said.contains("first.toml"), "{said}");
    assert_eq!(center.json(&["appliance", "list"]).as_array().unwrap().len(), 1, "nothing is half added");
    let folder = center.folder().join("stick");
    center.text(&["appliance", "add", "--address", "b@x.example", "--output", folder.to_str().unwrap()]);
    assert!(folder.join("AGENT0000002.toml").exists());
}

#[test]
fn values_that_cannot_be_meant_are_wrong_use_and_leave_no_home() {
    let center = Program::with_home(&[]);
    let home = center.folder().join("another");
    let init = |more: &[&str]| {
        let mut args = vec!["--home", home.to_str().unwrap(), "init"];
        args.extend(["--smtp", "localhost", "--imap", "localhost", "--address", "center@center.example"]);
        args.extend(more);
        Command::new(env!("CARGO_BIN_EXE_center-manager")).args(args).output().unwrap().status.code()
    };
    assert_eq!(init(&["--poll-secs", "0"]), Some(2));
    assert_eq!(init(&["--pop3", "localhost"]), Some(2), "one server to fetch from");
    assert_eq!(init(&["--password-file", "/no/such/file"]), Some(1));
    assert_eq!(init(&["--ca-file", "/no/such/file"]), Some(1));
    assert!(!home.exists());
}

#[test]
fn removing_some_that_exist_and_some_that_do_not_is_partly_done() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--address", "a@x.example"]);
    let output = center.run(&["appliance", "remove", "AGENT0000001", "AGENT0000009"]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn tags_are_added_and_taken_away() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--address", "a@x.example", "--tag", "old"]);
    center.text(&["appliance", "tag", "AGENT0000001", "--add", "new", "--take", "old"]);
    assert_eq!(center.json(&["appliance", "list"])[0]["tags"], serde_json::json!(["new"]));
}

#[test]
fn a_package_is_built_signed_and_inspected() {
    let center = Program::with_home(&[]);
    let list = module_list(&center);
    let script = center.folder().join("install.sh");
    let built = center.json(&[
        "package",
        "build",
        "--modules",
        list.to_str().unwrap(),
        "--script",
        script.to_str().unwrap(),
        "--settle-secs",
        "60",
        "--report-by-itself",
    ]);
    assert_eq!((&built["target"], &built["signers"]), (&"1.0.02-0".into(), &serde_json::json!([])));
    assert_eq!(built["manifest"]["release_counter"], 1);
    let id = built["id"].as_str().unwrap();
    let signed = center.json(&["package", "sign", &id[..10]]);
    assert_eq!(signed["signers"].as_array().unwrap().len(), 1);
    assert_eq!(signed["id"], built["id"], "signing does not change what is signed");
    let inspected = center.json(&["package", "inspect", id]);
    assert_eq!(inspected["manifest"]["rules"]["settle_secs"], 60);
    assert_eq!(inspected["manifest"]["rules"]["report_by_itself"], true);
    let listed = center.json(&["package", "list"]);
    assert_eq!(listed[0]["signers"], signed["signers"][0]);
}

#[test]
fn a_signed_package_is_accepted_by_an_appliance_that_was_introduced_by_this_center() {
    let center = Program::with_home(&[]);
    let added = center.json(&["appliance", "add", "--address", "a@x.example"]);
    let introduction = fs::read_to_string(added[0]["introduction"].as_str().unwrap()).unwrap();
    let introduction: mailfmt::Introduction = toml::from_str(&introduction).unwrap();
    let list = module_list(&center);
    let built = center.json(&["package", "build", "--modules", list.to_str().unwrap(), "--sign"]);
    let file = fs::read(built["path"].as_str().unwrap()).unwrap();
    let created: jiff::Timestamp = built["manifest"]["created"].as_str().unwrap().parse().unwrap();
    let site = mailfmt::package::Site {
        root: &mailfmt::trust::TrustedRoot::first(&introduction.roots).unwrap(),
        agent: &introduction.agent,
        permit: None,
        running: &mailfmt::SoftwareVersion::new("1.0.00-1").unwrap(),
        hardware: "x86_64",
        installed_counter: 0,
        now: created,
    };
    let opened = mailfmt::package::open(&file, &site, &mailfmt::Limits::default()).unwrap();
    assert_eq!(opened.modules().len(), 2);
}

#[test]
fn a_package_may_be_signed_where_no_center_is_and_brought_back() {
    let center = Program::with_home(&["--no-release-key"]);
    let list = module_list(&center);
    let file = center.folder().join("update.mfp");
    let built = center.json(&[
        "package",
        "build",
        "--modules",
        list.to_str().unwrap(),
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(center.json(&["package", "list"]), serde_json::json!([]));

    let elsewhere = Program::with_home(&[]);
    let key = elsewhere.home().join("keys/release.pem");
    center.text(&["package", "sign", file.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    let added = center.json(&["package", "add", file.to_str().unwrap()]);
    assert_eq!(added["id"], built["id"]);
    assert_eq!(center.json(&["package", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_folder_of_programs_becomes_a_package_in_the_folder_where_one_stands() {
    let center = Program::with_home(&[]);
    let folder = |name: &str, watcher: &str| {
        let path = center.folder().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("device-watch"), watcher).unwrap();
        fs::write(path.join("profiles"), "vendor knowledge").unwrap();
    };
    // Every command runs in that folder, so that what it is given are names in it.
    folder("old", "the watcher");
    folder("new", "the new watcher");
    let build = ["package", "build", "--release", "new", "--from-release", "old", "--output", "update.mfp"];
    let said = center.fails(1, &["package", "build", "--release", center.folder().to_str().unwrap()]);
    assert!(said.contains("package describe"), "{said}");
    center.text(&["package", "describe", "old", "--software", "1.0.00-1"]);
    center.text(&["package", "describe", "new", "--software", "1.0.02-0", "--from-release", "old"]);
    center.text(&build);
    let file = center.folder().join("update.mfp");
    let built = center.json(&["package", "inspect", file.to_str().unwrap()]);
    assert_eq!((&built["target"], &built["carried"]), (&"1.0.02-0".into(), &1.into()));
    assert_eq!(built["manifest"]["release_counter"], 2);
    assert_eq!(built["manifest"]["modules"][1]["version"], "1.0.00", "it did not change");
}

#[test]
fn only_changed_modules_travel_when_the_running_release_is_known() {
    let center = Program::with_home(&[]);
    let list = module_list(&center);
    let running = center.folder().join("running");
    fs::create_dir(&running).unwrap();
    let release = serde_json::json!({
        "software": "1.0.00-1", "rom": "1.5.08", "release_counter": 1,
        "modules": [{
            "name": "profiles", "version": "7", "date": "2026-11-20", "kind": "data", "octets": 16,
            "sha256": mailfmt::Digest::of(b"vendor knowledge"),
        }],
    });
    fs::write(running.join("release.json"), release.to_string()).unwrap();
    let built = center.json(&[
        "package",
        "build",
        "--modules",
        list.to_str().unwrap(),
        "--from-release",
        running.to_str().unwrap(),
    ]);
    assert_eq!(built["carried"], 1);
    assert_eq!(built["manifest"]["modules"][1]["carried"], false);
    assert_eq!(built["manifest"]["applies"]["from"], serde_json::json!(["1.0.00-1"]));
}

#[test]
fn a_package_of_differences_stands_beside_the_one_with_whole_files() {
    let center = Program::with_home(&[]);
    let release = |name: &str, version: &str, text: &str| {
        let folder = center.folder().join(name);
        fs::create_dir(&folder).unwrap();
        let watch: String =
            (0..4000u32).map(|line| format!("{:08x}\n", line.wrapping_mul(2_654_435_761))).collect();
        fs::write(folder.join("watch"), watch + text).unwrap();
        fs::write(folder.join("profiles"), "the same").unwrap();
        center.text(&[
            "package",
            "describe",
            folder.to_str().unwrap(),
            "--software",
            version,
            "--rom",
            "1.5.08",
        ]);
        folder.to_str().unwrap().to_owned()
    };
    let (old, new) = (release("old", "1.0.00-1", "old line\n"), release("new", "1.0.01-0", "new line\n"));
    let first = center.json(&["package", "build", "--release", &old, "--sign"]);
    let difference = center.json(&["package", "build", "--release", &new, "--from", "1.0.00-1", "--sign"]);
    assert_eq!(first["carried"], 2);
    let modules = difference["manifest"]["modules"].as_array().unwrap();
    let watch = modules.iter().find(|module| module["name"] == "watch").unwrap();
    assert_eq!((&watch["carried"], watch["deltas"].as_array().unwrap().len()), (&false.into(), 1));
    assert_eq!(difference["manifest"]["applies"]["from"], serde_json::json!(["1.0.00-1"]));
    let (small, large) = (difference["octets"].as_u64().unwrap(), first["octets"].as_u64().unwrap());
    assert!(small * 10 < large, "{small} of {large} octets");
    let whole = difference["manifest"]["whole"].as_str().unwrap().to_owned();
    let inspected = center.json(&["package", "inspect", &whole]);
    assert_eq!(inspected["carried"], 2);
    let said = center.fails(1, &["package", "build", "--release", &new, "--from", "9.9.99"]);
    assert!(said.contains("no package of this center leads to version 9.9.99"), "{said}");
}

#[test]
fn commands_for_appliances_wait_in_the_outbox() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--count", "3", "--address", "a{number}@x.example"]);
    let asked = center.json(&["counters", "request", "--all"]);
    assert_eq!(
        (asked["command"].as_str(), asked["appliances"].as_array().unwrap().len()),
        (Some("counter-request"), 3)
    );
    assert_eq!(center.json(&["ping", "AGENT0000002"])["appliances"], serde_json::json!(["AGENT0000002"]));
    let said = center.fails(1, &["counters", "request", "--all", "--serial", "VD21457943"]);
    assert!(said.contains("no device has serial number"), "{said}");
    let waiting = center.json(&["outbox"]);
    assert_eq!(waiting[0]["states"], serde_json::json!([["queued", 3]]));
    assert_eq!(waiting[1]["kind"], "ping");
    let number = waiting[1]["number"].to_string();
    assert_eq!(center.json(&["outbox", "--show", &number])[0]["agent"], "AGENT0000002");
    let said = center.fails(2, &["ping"]);
    assert!(said.contains("--all"), "{said}");
    let said = center.fails(1, &["ping", "AGENT0000009"]);
    assert!(said.contains("there is no appliance AGENT0000009"), "{said}");
}

#[test]
fn empty_lists_are_printed_in_every_format() {
    let center = Program::with_home(&[]);
    for command in [&["devices"][..], &["faults", "--all"], &["counters", "show"], &["reports"]] {
        assert_eq!(center.json(command), serde_json::json!([]), "{command:?}");
        center.text(command);
    }
    let exported = center.text(&["counters", "export"]);
    assert_eq!(exported.trim(), "agent,vendor,model,serial,at,name,value,unit,source");
}

#[test]
fn the_doctor_names_what_does_not_work_and_tells_no_password() {
    let center = Program::with_home(&[]);
    let output = center.run(&["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "nobody listens on port 1");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    let checks: Value = serde_json::from_str(&text).unwrap();
    let failed: Vec<_> = checks["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["works"] == false)
        .map(|check| check["what"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["main: mail in", "main: mail out"]);
    assert!(center.run(&["doctor", "--offline"]).status.success());
}

//! `center-manager rollout` and `versions` as a person types them, without any mail server.

use crate::program::Program;
use center_manager::db::Db;
use center_manager::rollout;
use center_manager::system::{SystemRandom, now};
use jiff::SignedDuration;
use serde_json::Value;
use std::fs;
use std::ops::Deref;

struct Center {
    program: Program,
    package: String,
}

impl Deref for Center {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Center {
    /// A home with three appliances and one signed package.
    fn new() -> Self {
        let program = Program::with_home(&[]);
        fs::write(program.path("device-watch"), "device-watch 1.0.02").unwrap();
        let list = "target = \"1.0.02-0\"\n[[module]]\nname = \"device-watch\"\nversion = \"1.0.02\"\n\
                    date = \"2002-11-01\"\nkind = \"resident\"\nfile = \"device-watch\"\n";
        fs::write(program.path("modules.toml"), list).unwrap();
        for customer in ["aaa Trading", "bbb Printing", "ccc Insurance"] {
            let address = format!("agent@{}.example", &customer[..3]);
            program.text(&["appliance", "add", "--address", &address, "--customer", customer]);
        }
        let built = program.json(&["package", "build", "--modules", "modules.toml", "--sign"]);
        let package = built["id"].as_str().unwrap().to_owned();
        Self { program, package }
    }

    fn start(&self, more: &[&str]) -> String {
        let mut args = vec!["rollout", "start", "--package", &self.package, "--yes"];
        args.extend(more);
        self.text(&args)
    }

    /// What the daemon does, so many hours from now; no mail was ever taken by a mail server.
    fn tick_in(&self, hours: i64) {
        let mut db = Db::open(&self.home().join("fleet.db")).unwrap();
        rollout::tick(&mut db, now() + SignedDuration::from_hours(hours), &mut SystemRandom).unwrap();
    }
}

#[test]
fn nothing_is_sent_without_a_yes() {
    let center = Center::new();
    let (shown, said) = center.ends(2, &["rollout", "start", "--package", &center.package, "--all"]);
    assert!(shown.contains("update to: 1.0.02-0"), "the preview comes first: {shown}");
    assert!(shown.contains("appliances 3: 3 at a version not known yet"), "{shown}");
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(center.text(&["rollout", "list", "--format", "json"]).trim(), "[]");
}

#[test]
fn a_rollout_to_nobody_or_with_an_unknown_or_unsigned_package_is_refused() {
    let center = Center::new();
    let start = |package: &str, whom: &str| {
        center.ends(1, &["rollout", "start", "--yes", "--package", package, whom]).1
    };
    assert!(center.ends(2, &["rollout", "start", "--yes", "--package", &center.package]).1.contains("--all"));
    assert!(start(&center.package, "--agents=AGENT0000009").contains("AGENT0000009"));
    assert!(start("0123456789abcdef", "--all").contains("package list"));
    let modules = center.folder().join("modules.toml");
    let file = center.folder().join("unsigned.mfp");
    fs::write(center.folder().join("device-watch"), "device-watch, not signed").unwrap();
    center.text(&[
        "package",
        "build",
        "--modules",
        modules.to_str().unwrap(),
        "--output",
        file.to_str().unwrap(),
    ]);
    assert!(start(file.to_str().unwrap(), "--all").contains("not signed"));
}

#[test]
fn a_package_file_from_elsewhere_can_be_rolled_out() {
    let center = Center::new();
    let stored = center.home().join("packages").join(format!("{}.mfp", center.package));
    let file = center.folder().join("brought.mfp");
    fs::rename(stored, &file).unwrap();
    let shown = center.text(&["rollout", "start", "--yes", "--all", "--package", file.to_str().unwrap()]);
    assert!(shown.contains("rollout 1 started"), "{shown}");
}

#[test]
fn appliances_that_no_mail_reached_are_shown_with_reasons_and_can_be_retried() {
    let center = Center::new();
    let shown = center.start(&["--agents", "AGENT0000001,AGENT0000003", "--settle", "5"]);
    assert!(shown.contains("appliances 2") && shown.contains("asked for 5 s after sending"), "{shown}");
    center.tick_in(0);
    let status = center.text(&["rollout", "status"]);
    assert!(
        status.contains("0 of 2 updated, 2 without a verdict yet") && status.contains("queued"),
        "{status}"
    );

    center.tick_in(25);
    let (watched, _) = center.ends(1, &["rollout", "watch", "1"]);
    assert!(watched.contains("0 updated, 2 failed, 0 open, 2 in all"), "{watched}");
    let report: Value =
        serde_json::from_str(&center.text(&["rollout", "report", "1", "--format", "json"])).unwrap();
    assert_eq!(report["counts"]["failed"], 2);
    assert_eq!(report["rows"][1]["remarks"], "ccc Insurance");
    let cause = report["rows"][0]["reason"]["cause"].as_str().unwrap();
    assert!(cause.contains("did not take the mail within 24 h"), "{cause}");
    let history = center.text(&["rollout", "status", "1", "--agent", "AGENT0000001"]);
    assert!(history.contains("ordered") && history.contains("undeliverable"), "{history}");

    assert!(
        center
            .text(&["rollout", "retry", "1", "--agents", "AGENT0000003"])
            .contains("AGENT0000003 begins again")
    );
    let (_, said) = center.ends(1, &["rollout", "retry", "1", "--agents", "AGENT0000002"]);
    assert!(said.contains("AGENT0000002 is no target of rollout 1"), "{said}");
    let again = center.start(&["--failed-of", "1"]);
    assert!(again.contains("appliances 1") && again.contains("rollout 2 started"), "{again}");
}

#[test]
fn the_report_is_written_in_every_form() {
    let center = Center::new();
    center.start(&["--all"]);
    let page = center.folder().join("report.html");
    let told = center.text(&["rollout", "report", "--format", "html", "--output", page.to_str().unwrap()]);
    assert!(told.contains("0 of 3 updated, 3 without a verdict yet"), "{told}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("aaa Trading"));
    let table = center.text(&["rollout", "report"]);
    assert!(table.starts_with("update to: 1.0.02-0\n") && table.contains("bbb Printing"), "{table}");
    assert_eq!(center.text(&["rollout", "report", "--format", "csv"]).lines().count(), 4);
}

#[test]
fn a_rollout_is_watched_once_as_a_picture_or_as_one_json_object() {
    let center = Center::new();
    center.start(&["--all"]);
    center.tick_in(0);
    let picture = center.text(&["rollout", "watch", "1", "--once"]);
    for words in ["rollout 1 to 1.0.02-0", "wave 1 [>", "3 queued", "last events", "$ center-manager outbox"]
    {
        assert!(picture.contains(words), "{words:?} is missing in\n{picture}");
    }
    assert!(!picture.contains('\u{1b}'), "no sequences where no terminal is");
    let live = center.text(&["rollout", "watch", "1", "--once", "--format", "json"]);
    assert_eq!(live.lines().count(), 1);
    let live: Value = serde_json::from_str(&live).unwrap();
    assert_eq!((&live["waves"][0]["under_way"], &live["state"]), (&Value::from(3), &Value::from("running")));
    assert_eq!(live["recent"][0]["next"], "center-manager outbox");
}

#[test]
fn a_certificate_is_checked_without_the_center_and_a_changed_one_is_refused() {
    let center = Center::new();
    center.start(&["--all"]);
    center.tick_in(0);
    center.tick_in(25);
    let path = |name: &str| center.path(name).to_str().unwrap().to_owned();
    let (file, roots, key) = (path("verdict.json"), path("roots.json"), path("command.pub"));
    fs::copy(center.home().join("keys/roots.json"), &roots).unwrap();
    fs::copy(center.home().join("keys/command.pub"), &key).unwrap();
    let told = center.text(&["rollout", "certificate", "1", "--agent", "AGENT0000002", "--output", &file]);
    assert!(told.contains("certificate check"), "{told}");
    center.ends(1, &["rollout", "certificate", "1", "--agent", "AGENT0000009"]);

    fs::remove_dir_all(center.home()).unwrap();
    for believed in [["--root", &roots], ["--key", &key]] {
        let told = center.text(&[&["certificate", "check", &file][..], &believed].concat());
        assert!(told.starts_with("VALID: AGENT0000002 in rollout 1"), "{told}");
        assert!(
            told.contains("Verdict: failed, undeliverable") && told.contains("start: 1.0.02-0 to 3"),
            "{told}"
        );
    }
    assert!(center.ends(2, &["certificate", "check", &file]).1.contains("--root"));

    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"attempt\": 1", "\"attempt\": 2", 1)).unwrap();
    let (_, said) = center.ends(1, &["certificate", "check", &file, "--root", &roots]);
    assert!(said.contains("NOT VALID: changed after it was signed"), "{said}");
    let (told, _) = center.ends(1, &["certificate", "check", &file, "--key", &key, "--format", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["valid"], false);
    assert!(
        told["fields"][0].as_str().is_some_and(|field| field == "attempt" || field.starts_with("history")),
        "{told}"
    );
}

#[test]
fn versions_are_asked_for_and_shown_also_where_none_is_known() {
    let center = Center::new();
    assert!(center.text(&["versions", "request", "--all"]).contains("3 appliances"));
    let shown: Value = serde_json::from_str(&center.text(&["versions", "show", "--format", "json"])).unwrap();
    assert_eq!((shown[0]["agent"].as_str(), &shown[0]["software"]), (Some("AGENT0000001"), &Value::Null));
    let (_, told) = center.ends(1, &["versions", "show", "--agent", "AGENT0000002"]);
    assert!(told.contains("center-manager versions request AGENT0000002"), "{told}");
}

/// A root that asks for the approval of one person, whose key lies in the folder.
fn ask_for_approval(center: &Center) {
    fs::write(center.path("passphrase"), "correct horse battery\n").unwrap();
    let new = ["key", "new", "--role", "approval", "--out", "bert.pem", "--passphrase-file", "passphrase"];
    center.text(&new);
    let rotate = ["root", "rotate", "--add-key", "approval=bert.pub", "--sign", "home/keys/root.pem"];
    center.text(&[&rotate[..], &["--out", "next.json"]].concat());
    center.text(&["root", "add", "next.json"]);
}

const APPROVE: [&str; 8] =
    ["rollout", "approve", "1", "--key", "bert.pem", "--passphrase-file", "passphrase", "--yes"];

#[test]
fn a_rollout_waits_until_another_person_approves_it_with_his_own_key() {
    let center = Center::new();
    ask_for_approval(&center);
    let told = center.start(&["--all"]);
    assert!(
        told.contains("rollout 1 waits for approval") && told.contains("rollout approve 1 --key"),
        "{told}"
    );
    assert!(center.text(&["rollout", "list"]).contains("waits for approval"));
    assert!(center.text(&["rollout", "status", "1"]).contains("waits for approval: 1 must approve"));
    assert!(center.text(&["status"]).contains("center-manager rollout approve 1 --key FILE"));
    let (found, _) = center.ends(0, &["doctor", "--offline"]);
    assert!(found.contains("rollout 1 to 1.0.02-0 waits for approval"), "{found}");
    center.tick_in(0);
    assert_eq!(center.json(&["outbox"]).as_array().map(Vec::len), Some(0), "nothing is sent");
    let said = center.fails(1, &["rollout", "resume", "1"]);
    assert!(said.contains("center-manager rollout approve 1"), "{said}");

    assert_eq!(center.json(&["rollout", "status", "1"])["approval"]["asked_by"], "kim");
    let said = center.fails(1, &APPROVE);
    assert!(said.contains("kim started rollout 1; another person has to approve it"), "{said}");
    let told = center.json(&[&APPROVE[..], &["--by", "bert"]].concat());
    assert_eq!((&told["approved"], &told["given"][0]["who"]), (&true.into(), &"bert".into()), "{told}");
    assert!(center.text(&["rollout", "status", "1"]).contains("approved by bert"));
    let audit = center.text(&["audit", "list"]);
    assert!(audit.contains("approve") && audit.contains("with key"), "{audit}");
    center.tick_in(0);
    assert_eq!(center.json(&["outbox"]).as_array().map(Vec::len), Some(1), "one mail to all three");
}

#[test]
fn an_approval_can_be_signed_where_no_center_is() {
    let center = Center::new();
    ask_for_approval(&center);
    center.start(&["--all"]);
    center.text(&["rollout", "approve", "1", "--write", "1.approval"]);
    let bring = ["rollout", "approve", "1", "--signed", "1.approval", "--by", "bert"];
    let said = center.fails(1, &bring);
    assert!(said.contains("not signed by an approval key of root 2"), "{said}");
    let elsewhere = Program::without_home();
    for file in ["1.approval", "bert.pem", "passphrase"] {
        fs::copy(center.path(file), elsewhere.path(file)).unwrap();
    }
    let sign = ["key", "approve", "1.approval", "--key", "bert.pem", "--passphrase-file", "passphrase"];
    assert!(elsewhere.text(&sign).contains("update to  1.0.02-0"));
    fs::copy(elsewhere.path("1.approval"), center.path("1.approval")).unwrap();
    assert!(center.text(&bring).contains("approved by bert"));
}

#[test]
fn a_denied_rollout_never_begins() {
    let center = Center::new();
    ask_for_approval(&center);
    center.start(&["--all"]);
    let told = center.text(&["rollout", "deny", "1", "--reason", "not now"]);
    assert!(told.contains("rollout 1 is denied"), "{told}");
    center.tick_in(0);
    let shown = center.text(&["rollout", "status", "1"]);
    assert!(shown.contains("denied by kim: not now"), "{shown}");
    let said = center.fails(1, &["rollout", "resume", "1"]);
    assert!(said.contains("was denied by kim"), "{said}");
}

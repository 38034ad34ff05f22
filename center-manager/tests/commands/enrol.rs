//! Codes, alarms and the standing of appliances as a person types them.

use crate::program::Program;
use center_manager::db::Db;
use center_manager::db::alarms::NewAlarm;
use mailfmt::enrolment::ProvisionalCode;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn db(center: &Program) -> Db {
    Db::open(&center.home().join("fleet.db")).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_code_is_shown_once_and_then_only_by_its_number() {
    let center = Program::with_home(&[]);
    let issued = center.json(&["enrol", "issue", "--customer", "aaa Trading", "--tag", "tokyo"]);
    let printed = issued["code"].as_str().unwrap();
    let code = ProvisionalCode::parse(printed).unwrap();
    assert_eq!(issued["id"], code.id().to_string());
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let listed = center.json(&["enrol", "list"]);
    let life = at(&listed[0]["expires"]).as_second() - at(&listed[0]["issued"]).as_second();
    assert!((7 * 86_400 - 60..=7 * 86_400).contains(&life), "a week: {life} s");
    assert_eq!((&listed[0]["customer"], &listed[0]["issued_by"]), (&"aaa Trading".into(), &"kim".into()));
    assert_eq!((&listed[0]["uses_left"], &listed[0]["state"]), (&1.into(), &"open".into()));
    let id = code.id().to_string();
    for args in [
        vec!["enrol", "list", "--all"],
        vec!["enrol", "show", &id],
        vec!["enrol", "show", &id, "--format", "json"],
        vec!["enrol", "list", "--format", "csv"],
        vec!["doctor"],
        vec!["outbox", "--all"],
    ] {
        let output = center.run(&args);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains(printed) && !said.contains(&printed[..9]), "{args:?}");
    }
}

#[test]
fn a_sheet_is_readable_by_its_owner_only_and_is_not_written_over() {
    let center = Program::with_home(&[]);
    for (name, says) in [("site.html", "<svg"), ("site.txt", "monitor-appliance enrol")] {
        let sheet = center.path(name);
        let args = ["enrol", "issue", "--customer", "aaa Trading", "--sheet", sheet.to_str().unwrap()];
        let issued = center.json(&args);
        let text = fs::read_to_string(&sheet).unwrap();
        assert!(text.contains(says) && text.contains("center@center.example"), "{text}");
        let code = issued["code"].as_str().unwrap();
        assert!(code.split('-').all(|group| text.contains(group)), "{text}");
        assert_eq!(mode(&sheet), 0o600);
        let said = center.fails(1, &args);
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(
        center.json(&["enrol", "list"]).as_array().unwrap().len(),
        2,
        "a code without its sheet is not issued"
    );
    let said = center.fails(2, &["enrol", "issue", "--customer", "aaa", "--sheet", "site.pdf"]);
    assert!(said.contains(".html"), "{said}");
}

#[test]
fn a_fleet_of_codes_comes_from_a_spreadsheet_all_or_none() {
    let center = Program::with_home(&[]);
    let (list, codes) = (center.path("fleet.csv"), center.path("codes.csv"));
    let sheets = center.path("sheets");
    let issue = |more: &[&str]| {
        let mut args = vec!["enrol", "issue", "--csv", list.to_str().unwrap(), "--output"];
        args.extend(more);
        args.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    fs::write(&list, "customer,uses,days,tags\naaa Trading,,,tokyo\n\"Bbb, Ltd\",0,,\n").unwrap();
    let args = issue(&[codes.to_str().unwrap()]);
    let said = center.fails(1, &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("fleet.csv") && said.contains("line 3: uses: \"0\""), "{said}");
    assert!(!codes.exists() && center.json(&["enrol", "list"]).as_array().unwrap().is_empty());

    fs::write(&list, "customer,uses,days,tags\naaa Trading,,,tokyo\n\"Bbb, Ltd\",12,30,\n").unwrap();
    let args = issue(&[codes.to_str().unwrap(), "--sheet", sheets.to_str().unwrap(), "--tag", "fleet"]);
    center.text(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(mode(&codes), 0o600);
    let mut reader = csv::Reader::from_path(&codes).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[1][0], &rows[1][4]), (2, "Bbb, Ltd", "12"));
    for row in &rows {
        let code = ProvisionalCode::parse(&row[1]).unwrap();
        assert_eq!(row[3], code.id().to_string());
        assert_eq!(mode(&sheets.join(format!("{}.html", code.id()))), 0o600);
    }
    let listed = center.json(&["enrol", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed.to_string().contains("[\"fleet\",\"tokyo\"]"), "{listed}");

    let json = center.path("codes.json");
    let args = issue(&[json.to_str().unwrap()]);
    center.text(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let issued: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert!(ProvisionalCode::parse(issued[1]["code"].as_str().unwrap()).is_ok());
    assert_eq!((&issued[1]["uses"], mode(&json)), (&12.into(), 0o600));
}

#[test]
fn a_revoked_code_says_by_whom_and_is_off_the_list() {
    let center = Program::with_home(&[]);
    let issued = center.json(&["enrol", "issue", "--customer", "aaa", "--uses", "5", "--by", "lee"]);
    let id = issued["id"].as_str().unwrap();
    // The beginning of a number is enough as long as there is one such code.
    let said = center.text(&["enrol", "revoke", &id[..6]]);
    assert!(said.contains(id), "{said}");
    assert!(center.text(&["enrol", "list"]).contains("No code is open"));
    let shown = center.json(&["enrol", "show", id]);
    assert_eq!(
        (&shown["state"], &shown["revoked_by"], &shown["issued_by"]),
        (&"revoked".into(), &"kim".into(), &"lee".into())
    );
    assert_eq!((&shown["uses"], &shown["uses_left"]), (&5.into(), &0.into()));
    assert!(db(&center).open_codes().unwrap().is_empty(), "its secret is gone");
    let said = center.fails(1, &["enrol", "revoke", "E999"]);
    assert!(said.contains("enrol list --all"), "{said}");
}

#[test]
fn what_cannot_be_meant_by_a_code_is_wrong_use() {
    let center = Program::with_home(&[]);
    center.fails(2, &["enrol", "issue"]);
    center.fails(2, &["enrol", "issue", "--customer", "aaa", "--uses", "0"]);
    center.fails(2, &["enrol", "issue", "--customer", "aaa", "--days", "365"]);
    center.fails(2, &["enrol", "issue", "--customer", "aaa", "--csv", "x.csv", "--output", "y"]);
    let said = center.fails(1, &["enrol", "issue", "--customer", "aaa", "--replaces", "AGENT0000009"]);
    assert!(said.contains("AGENT0000009"), "{said}");
    center.fails(1, &["enrol", "issue", "--customer", "aaa", "--tag", "no tag"]);
    assert!(center.json(&["enrol", "list", "--all"]).as_array().unwrap().is_empty());
}

#[test]
fn a_suspended_appliance_is_shown_as_such_and_left_out_of_commands_to_all() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--address", "a@x.example"]);
    center.text(&["appliance", "add", "--address", "b@x.example"]);
    center.text(&["appliance", "suspend", "AGENT0000001", "--reason", "stolen"]);
    let listed = center.json(&["appliance", "list"]);
    assert_eq!((&listed[0]["state"], &listed[1]["state"]), (&"suspended".into(), &"introduced".into()));
    let shown = center.text(&["appliance", "show", "AGENT0000001"]);
    assert!(shown.contains("stolen") && shown.contains("Turned away"), "{shown}");
    let asked = center.json(&["ping", "--all"]);
    assert_eq!(asked["appliances"], serde_json::json!(["AGENT0000002"]));
    let said = center.fails(1, &["ping", "AGENT0000001"]);
    assert!(said.contains("readmit"), "{said}");
    let said = center.text(&["appliance", "readmit", "AGENT0000001", "AGENT0000002"]);
    assert!(said.contains("AGENT0000002 was not suspended"), "{said}");
    assert_eq!(center.json(&["ping", "--all"])["appliances"].as_array().unwrap().len(), 2);
    let output = center.run(&["appliance", "suspend", "AGENT0000001", "AGENT0000009"]);
    assert_eq!(output.status.code(), Some(3), "partly done");
}

#[test]
fn a_move_is_noted_and_two_appliances_never_share_a_mailbox() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--address", "a@x.example", "--customer", "aaa"]);
    center.text(&["appliance", "add", "--address", "b@x.example"]);
    let said = center.fails(1, &["appliance", "move", "AGENT0000001", "--address", "B@x.example"]);
    assert!(said.contains("AGENT0000002"), "{said}");
    center.fails(2, &["appliance", "move", "AGENT0000001"]);
    center.fails(2, &["appliance", "move", "AGENT0000001", "--address", "nowhere"]);
    center.text(&[
        "appliance",
        "move",
        "AGENT0000001",
        "--address",
        "new@x.example",
        "--customer",
        "bbb",
        "--tag",
        "moved",
    ]);
    let listed = center.json(&["appliance", "list"]);
    assert_eq!((&listed[0]["address"], &listed[0]["customer"]), (&"new@x.example".into(), &"bbb".into()));
    assert_eq!(listed[0]["tags"], serde_json::json!(["moved"]));
}

#[test]
fn a_rotation_is_begun_for_many_and_shown_with_each() {
    let center = Program::with_home(&[]);
    center.text(&["appliance", "add", "--count", "3", "--address", "a{number}@x.example", "--tag", "pilot"]);
    let said = center.text(&["appliance", "rotate", "--tag", "pilot"]);
    assert!(said.contains("3 appliances"), "{said}");
    let shown = center.json(&["appliance", "show", "AGENT0000002"]);
    assert_eq!(
        (&shown["rotations"][0]["state"], &shown["rotations"][0]["begun_by"]),
        (&"asked".into(), &"kim".into())
    );
    center.text(&["appliance", "rotate", "AGENT0000002"]);
    let shown = center.text(&["appliance", "show", "AGENT0000002"]);
    assert!(shown.contains("asked") && shown.contains("replaced"), "{shown}");
    center.fails(2, &["appliance", "rotate"]);
}

#[test]
fn alarms_are_listed_until_somebody_takes_note_of_them() {
    let center = Program::with_home(&[]);
    assert!(center.text(&["alarms"]).contains("No alarms"));
    center.text(&["appliance", "add", "--address", "a@x.example"]);
    let agent = "AGENT0000001".parse().unwrap();
    let since = "2026-11-21T09:00:00Z".parse().unwrap();
    let alarm = NewAlarm {
        agent: Some(&agent),
        kind: "cloned",
        subject: "",
        description: "Two boxes report as AGENT0000001",
        since,
        reported: false,
    };
    db(&center).raise_alarm(&alarm, since).unwrap();
    let alarms = center.json(&["alarms", "--agent", "AGENT0000001"]);
    let number = alarms[0]["id"].to_string();
    assert!(center.text(&["appliance", "show", "AGENT0000001"]).contains("Two boxes report"));
    center.text(&["alarms", "ack", &number]);
    assert!(center.text(&["alarms"]).contains("No alarms"));
    let all = center.json(&["alarms", "--all"]);
    assert_eq!((&all[0]["acknowledged_by"], &all[0]["kind"]), (&"kim".into(), &"cloned".into()));
    center.fails(1, &["alarms", "ack", "99"]);
}

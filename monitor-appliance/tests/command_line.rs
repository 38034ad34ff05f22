//! The command line as the service person meets it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use mailfmt::crypto::Credential;
use mailfmt::{Introduction, Report};
use monitor_appliance::setup::FIRST_MODULES;
use monitor_appliance::store::{FaultRow, Outgoing};
use monitor_appliance::{Layout, Store};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PASSWORD: &str = "open-sesame-17";

struct Place {
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let introduction = Introduction {
            agent: "AGENT0000001".parse().unwrap(),
            center: "CENTER".parse().unwrap(),
            center_address: "center@center.example".into(),
            credential: Credential::from_bytes([0x5a; 32]),
            roots: Vec::new(),
        };
        std::fs::write(home.path().join("introduction"), toml::to_string(&introduction).unwrap()).unwrap();
        std::fs::write(home.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        std::fs::create_dir(home.path().join("programs")).unwrap();
        for (name, _) in FIRST_MODULES {
            std::fs::write(home.path().join("programs").join(name), format!("program {name}")).unwrap();
        }
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_monitor-appliance"))
            .arg("--root")
            .arg(self.path("root"))
            .args(arguments)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn set_up(&self, more: &[&str]) -> Output {
        let basic = [
            "setup",
            "--introduction",
            "introduction",
            "--address",
            "agent1@site.example",
            "--password-file",
            "password",
            "--smtp",
            "127.0.0.1:1",
            "--pop3",
            "127.0.0.1:1",
            "--security",
            "plain",
            "--from-release",
            "programs",
            "--software-version",
            "1.0.00-1",
        ];
        self.run(&[&basic[..], more].concat())
    }

    fn store(&self) -> Store {
        Store::open(&Layout::new(self.path("root")).store_file()).unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

#[test]
fn a_set_up_by_flags_can_be_looked_at_and_shows_no_secret() {
    let place = Place::new();
    let done = place.set_up(&["--device", "192.0.2.1,hidden-word"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let status = place.run(&["status", "--format", "json"]);
    assert_eq!(status.status.code(), Some(0), "{}", text(&status));
    let value = json(&status);
    assert_eq!(value["agent"], "AGENT0000001");
    assert_eq!(value["software"], "1.0.00-1");
    assert_eq!(value["devices"][0]["address"], "192.0.2.1");
    for output in [done, status, place.run(&["status"])] {
        let text = text(&output);
        assert!(
            !text.contains(PASSWORD) && !text.contains("hidden-word") && !text.contains("5a5a5a"),
            "{text}"
        );
    }
}

#[test]
fn what_was_written_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.set_up(&[]);
    for file in ["appliance.toml", "store.db", "secrets/credential", "secrets/mail-1.password"] {
        let about = std::fs::metadata(place.path("root").join(file)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_status_says_whether_the_appliance_runs() {
    let place = Place::new();
    place.set_up(&[]);
    assert!(text(&place.run(&["status"])).contains("does not run"));
    let now = monitor_appliance::context::system_clock().wall;
    place.store().change(|change| change.beat("mail-agent", now)).unwrap();
    let shown = text(&place.run(&["status"]));
    assert!(shown.contains("mail-agent     running") && !shown.contains("does not run"), "{shown}");
    let long_ago = now - jiff::SignedDuration::from_hours(1);
    place.store().change(|change| change.beat("mail-agent", long_ago)).unwrap();
    assert!(text(&place.run(&["status"])).contains("NOT RUNNING"));
}

#[test]
fn a_module_without_settings_says_so_in_one_line() {
    for program in [
        env!("CARGO_BIN_EXE_supervisor"),
        env!("CARGO_BIN_EXE_mail-agent"),
        env!("CARGO_BIN_EXE_device-watch"),
        env!("CARGO_BIN_EXE_update-install"),
        env!("CARGO_BIN_EXE_version-report"),
    ] {
        let output = Command::new(program).args(["--root", "/no/such/folder"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("monitor-appliance setup") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn what_is_missing_is_named_and_nothing_is_asked_without_a_terminal() {
    let place = Place::new();
    let output = place.run(&["setup"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("--introduction"), "{}", text(&output));
    let output = place.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("monitor-appliance setup"), "{}", text(&output));
    assert_eq!(place.run(&["set-up"]).status.code(), Some(2));
    assert_eq!(place.set_up(&["--imap", "127.0.0.1:143"]).status.code(), Some(2));
}

#[test]
fn an_introduction_with_a_typing_error_is_refused_without_showing_its_secret() {
    let place = Place::new();
    let path = place.path("introduction");
    let broken = std::fs::read_to_string(&path).unwrap().replace("5a5a5a", "5a5a5X");
    std::fs::write(&path, broken).unwrap();
    let output = place.set_up(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("not an introduction") && !text.contains("5a5a"), "{text}");
}

#[test]
fn faults_and_waiting_reports_are_shown() {
    let place = Place::new();
    place.set_up(&["--device", "192.0.2.1"]);
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let refused = mailfmt::message::report::RefusedReport { kind: "x".into(), reason: "y".into() };
    let outgoing = Outgoing {
        id: mailfmt::MessageId::from_bytes([1; 16]),
        center: "CENTER".parse().unwrap(),
        report: Report::Refused(refused),
        in_reply_to: None,
        created: now,
        expires: now,
    };
    let fault = FaultRow {
        episode: "e".into(),
        address: "192.0.2.1".into(),
        class: "user-clearable".into(),
        code: "jam".into(),
        description: "tray 2".into(),
        since: now,
    };
    place
        .store()
        .change(|change| {
            change.enqueue(&outgoing)?;
            change.open_fault(&fault)
        })
        .unwrap();
    let shown = text(&place.run(&["status"]));
    assert!(shown.contains("jam") && shown.contains("tray 2") && shown.contains("refused"), "{shown}");
    let listed = json(&place.run(&["outbox", "--format", "json"]));
    assert_eq!((&listed[0]["kind"], &listed[0]["state"]), (&"refused".into(), &"waiting".into()));
}

#[test]
fn the_doctor_names_what_does_not_work_and_goes_on() {
    let place = Place::new();
    place.set_up(&["--device", "127.0.0.1:1"]);
    let output = place.run(&["doctor", "--no-send", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let value = json(&output);
    let works = |what: &str| {
        value["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == what)
            .unwrap_or_else(|| panic!("{what} was not looked at: {value}"))["works"]
            .as_bool()
            .unwrap()
    };
    for what in ["settings", "credential", "store", "clock", "release", "main: name 127.0.0.1"] {
        assert!(works(what), "{what}: {value}");
    }
    for what in ["main: SMTP login", "main: POP3 login", "device 127.0.0.1:1", "update keys"] {
        assert!(!works(what), "{what}: {value}");
    }
}

#[test]
fn the_doctor_notices_a_program_that_was_changed_on_disk() {
    let place = Place::new();
    place.set_up(&[]);
    std::fs::write(place.path("root").join("current/mail-agent"), "changed").unwrap();
    let shown = text(&place.run(&["doctor", "--no-send"]));
    assert!(shown.contains("mail-agent is not the one that was installed"), "{shown}");
}

/// A recording of a printer of two pages.
fn record(place: &Place, name: &str, life: u32) {
    let folder = place.path(name);
    std::fs::create_dir(&folder).unwrap();
    let walk = format!(
        "1.3.6.1.2.1.1.1.0|4|SHARP MX-3570N\n1.3.6.1.2.1.43.10.2.1.4.1.1|65|{life}\n1.3.6.1.2.1.43.11.1.1.9.1.1|2|-3\n"
    );
    std::fs::write(folder.join("walk.snmprec"), walk).unwrap();
}

#[test]
fn recordings_are_read_as_devices_are() {
    let place = Place::new();
    record(&place, "one", 7);
    record(&place, "two", 8);
    let read = |arguments: &[&str]| {
        let output = place.run(&[&["device", "read", "--format", "json"], arguments].concat());
        (
            output.status.code(),
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_default(),
        )
    };
    let (code, one) = read(&["--recording", "one"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        (&one["identity"]["vendor"], &one["identity"]["model"]),
        (&"Sharp".into(), &"MX-3570N".into())
    );
    assert_eq!(one["counters"]["total"], 7);
    assert_eq!(one["sources"]["counters.total"], "1.3.6.1.2.1.43.10.2.1.4.1.1");
    assert_eq!(one["supplies"][0]["state"], "some-remaining");
    assert!(one["supplies"][0]["percent"].is_null());
    let (code, several) =
        read(&["--recording", "one", "--recording", "two/walk.snmprec", "--recording", "three"]);
    assert_eq!(code, Some(3), "one of them cannot be read");
    assert_eq!((&several[0]["counters"]["total"], &several[1]["counters"]["total"]), (&7.into(), &8.into()));
    assert!(several[2]["error"].as_str().unwrap().contains("three"));
    assert_eq!(read(&["--recording", "three"]).0, Some(1));
    assert_eq!(read(&[]).0, Some(2), "nothing is named");
    let table = place.run(&["device", "read", "--format", "table", "--recording", "one"]);
    assert!(String::from_utf8(table.stdout).unwrap().contains("some remains"));
}

#[test]
fn a_mistake_in_a_profile_is_told_with_its_place_before_it_travels() {
    let place = Place::new();
    let good = "vendor = \"Maker\"\nsources = [\"its MIB\"]\n";
    let bad = format!("{good}[[counter]]\nname = \"pages\"\nobject = \"1.3.6.1.4.1.9.1.0\"\n");
    std::fs::create_dir(place.path("profiles")).unwrap();
    std::fs::write(place.path("profiles/good.toml"), good).unwrap();
    let run = |arguments: &[&str]| place.run(&[&["profiles"], arguments].concat());
    assert_eq!(run(&["check", "profiles"]).status.code(), Some(0));
    let bundle = run(&["bundle", "profiles"]).stdout;
    assert_eq!(String::from_utf8(bundle.clone()).unwrap(), format!("#= good.toml\n{good}"));
    std::fs::write(place.path("bundle"), bundle).unwrap();
    assert_eq!(run(&["check", "bundle"]).status.code(), Some(0));

    std::fs::write(place.path("profiles/bad.toml"), bad).unwrap();
    let told = run(&["check", "profiles"]);
    assert_eq!(told.status.code(), Some(1));
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.starts_with("bad.toml, line 4, name: no counter is called `pages`"), "{told}");
    assert_eq!(run(&["bundle", "profiles"]).status.code(), Some(1));

    let list = String::from_utf8(run(&["list"]).stdout).unwrap();
    assert!(list.contains("carried by this program") && list.contains("Kyocera"), "{list}");
    assert!(String::from_utf8(run(&["show", "hp"]).stdout).unwrap().contains("vendor = \"HP\""));
    assert_eq!(run(&["show", "nobody"]).status.code(), Some(1));
}

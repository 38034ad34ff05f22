//! `monitor-appliance device scan` as the service person meets it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

// The printer of the SNMP tests; this program needs only part of it.
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../src/snmp/tests/agent.rs"]
mod agent;

use agent::{Agent, Manner};
use async_snmp::Value;
use monitor_appliance::{Layout, Store};
use std::path::Path;
use std::process::{Output, Stdio};

const SETTINGS: &str = r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"
[discovery]
answer_wait_ms = 500
[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp = { host = "127.0.0.1", port = 25, security = "plain" }
fetch = "pop3"
fetch_server = { host = "127.0.0.1", port = 110, security = "plain" }
"#;

async fn printer() -> Agent {
    let text = |text: &str| Value::OctetString(text.as_bytes().to_vec().into());
    Agent::start(
        &[
            ("1.3.6.1.2.1.1.1.0", text("Lexmark T640 version NS.NP.N219 kernel 2.6.6 All-N-1")),
            ("1.3.6.1.2.1.1.3.0", Value::TimeTicks(123_400)),
            ("1.3.6.1.2.1.25.3.2.1.3.1", text("Lexmark T640")),
            ("1.3.6.1.2.1.43.5.1.1.17.1", text("7930XYZ")),
        ],
        Manner::Well,
    )
    .await
}

async fn run(root: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_monitor-appliance");
    let mut command = tokio::process::Command::new(program);
    command.arg("--root").arg(root).args(["device", "scan"]).args(arguments).stdin(Stdio::null());
    command.output().await.unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_before_anything_is_set_up_shows_who_is_there_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let printer = printer().await;
    let address = printer.address.to_string();
    let shown = text(&run(home.path(), &["--range", &address]).await);
    for expected in
        [address.as_str(), "Lexmark", "T640", "7930XYZ", "printer", "v2c", "Found 1 device", "--add"]
    {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert!(!Layout::new(home.path()).store_file().exists());

    let json = text(&run(home.path(), &["--range", &address, "--format", "json"]).await);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["devices"][0]["serial"], "7930XYZ");
    assert_eq!((&json["asked"], &json["finished"]), (&1.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_scan_adds_is_watched_from_then_on_and_the_settings_stay_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let settings = Layout::new(home.path()).settings_file();
    std::fs::write(&settings, SETTINGS).unwrap();
    let printer = printer().await;
    let address = printer.address.to_string();
    let shown = text(&run(home.path(), &["--range", &address, "--add"]).await);
    assert!(shown.contains("1 new, 0 moved, 0 known before"), "{shown}");
    let store = Store::open(&Layout::new(home.path()).store_file()).unwrap();
    let found = store.found_devices().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].address, address);
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), SETTINGS);
    let again = text(&run(home.path(), &["--range", &address, "--add"]).await);
    assert!(again.contains("0 new, 0 moved, 1 known before"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_address_is_not_asked_and_silence_comes_with_advice() {
    let home = tempfile::tempdir().unwrap();
    let printer = printer().await;
    let address = printer.address.to_string();
    let shown = text(&run(home.path(), &["--range", &address, "--exclude", "127.0.0.0/8"]).await);
    assert!(shown.contains("Found 0 devices") && shown.contains("at 0 addresses"), "{shown}");
    assert_eq!(printer.requests(), 0);

    let shown = text(&run(home.path(), &["--range", &address, "--community", "wrong-word"]).await);
    assert!(shown.contains("Found 0 devices") && shown.contains("--community"), "{shown}");
    assert!(!shown.contains("wrong-word"), "a community is a secret: {shown}");
}

#[tokio::test]
async fn what_makes_no_sense_is_wrong_use_and_an_add_without_set_up_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let wrong = run(home.path(), &["--range", "printer1"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("192.168.1.0/24"));
    let nowhere = run(home.path(), &["--range", "127.0.0.1:1", "--add"]).await;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("monitor-appliance setup"));
}

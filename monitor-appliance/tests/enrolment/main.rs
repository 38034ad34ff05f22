//! `monitor-appliance enrol` as the service person meets it, against a small post office and a scripted center.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod center;
#[allow(dead_code, reason = "shared with the tests of the mail agent, which need more of it")]
#[path = "../mail/post_office.rs"]
mod post_office;
mod terminal;

use center::{CREDENTIAL, Center, Heard};
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::message::enrolment::FirstSettings;
use monitor_appliance::setup::FIRST_MODULES;
use monitor_appliance::{Context, Layout, Settings};
use post_office::PostOffice;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "open-sesame-17";

fn code() -> ProvisionalCode {
    ProvisionalCode::generate(&mut |buffer: &mut [u8]| buffer.fill(0x5a))
}

struct Place {
    home: tempfile::TempDir,
    office: PostOffice,
}

impl Place {
    fn new() -> Self {
        let place = Self { home: tempfile::tempdir().unwrap(), office: PostOffice::open() };
        place.write("code", &code().expose());
        place.write("password", PASSWORD);
        std::fs::create_dir(place.path("programs")).unwrap();
        for (name, _) in FIRST_MODULES {
            place.write(&format!("programs/{name}"), &format!("program {name}"));
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn layout(&self) -> Layout {
        Layout::new(self.path("root"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monitor-appliance"));
        command.arg("--root").arg(self.path("root")).args(arguments);
        command.args(["--format", "json"]).current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `enrol` with everything by flags.
    fn flags(&self, more: &[&str]) -> Vec<String> {
        let smtp = format!("127.0.0.1:{}", self.office.smtp_port);
        let pop3 = format!("127.0.0.1:{}", self.office.pop3_port);
        let basic = [
            "enrol",
            "--code-file",
            "code",
            "--center-address",
            "center@center.example",
            "--address",
            "box@site.example",
            "--password-file",
            "password",
            "--smtp",
            &smtp,
            "--pop3",
            &pop3,
            "--security",
            "plain",
            "--no-smtp-login",
            "--no-scan",
            "--from-release",
            "programs",
            "--software-version",
            "1.0.00-1",
            "--machine",
            "a1b2",
            "--look-every",
            "50",
        ];
        basic.iter().chain(more).map(|flag| (*flag).to_owned()).collect()
    }

    fn enrol(&self, more: &[&str]) -> Output {
        let flags = self.flags(more);
        self.run(&flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn start(&self, more: &[&str]) -> Child {
        let flags = self.flags(more);
        let mut command = self.command(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// Waits for a condition, not for a time.
fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What must stand nowhere in what is printed.
fn assert_no_secret(output: &Output) {
    let text = text(output);
    for secret in [PASSWORD, code().expose().as_str(), "3c3c3c"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_box_enrols_with_a_code_and_can_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let settings =
        FirstSettings { mail_poll_secs: Some(120), fault_poll_secs: Some(0), ..FirstSettings::default() };
    let center = Center::open(&place.office, &code(), settings);
    let done = place.enrol(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_no_secret(&done);
    let value = json(&done);
    assert_eq!((&value["state"], &value["agent"]), (&"enrolled".into(), &"AGENT0000042".into()));
    assert_eq!(value["typed"], 6, "code, two addresses, password, two servers");
    assert_eq!(value["remarks"][0], "welcome");
    assert!(value["remarks"][1].as_str().unwrap().contains("fault_poll_secs"), "{value}");

    let registration = center.registration();
    assert_eq!(
        (registration.address.as_str(), registration.hardware.machine.as_str()),
        ("box@site.example", "a1b2")
    );
    assert_eq!(registration.software.as_str(), "1.0.00-1");

    let context = Context::load(place.path("root")).unwrap();
    assert_eq!(context.settings.center_address, "center@center.example");
    assert_eq!(context.settings.further_center_addresses, ["center@second.example"]);
    assert_eq!(context.settings.timers.mail_poll, Duration::from_secs(120), "the center's first setting");
    assert_eq!(context.settings.timers.fault_poll, Duration::from_secs(60), "what cannot be is left alone");
    assert_eq!(
        std::fs::read_to_string(context.layout.credential_file()).unwrap(),
        "3c".repeat(CREDENTIAL.len())
    );
    assert_eq!(monitor_appliance::mail_agent::accounts(&context).unwrap().len(), 1);
    for file in ["secrets/credential", "secrets/mail-1.password", "appliance.toml"] {
        let about = std::fs::metadata(place.path("root").join(file)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!context.layout.enrolment_file().exists(), "nothing is left of the exchange");
    assert_eq!(place.run(&["status"]).status.code(), Some(0));
}

#[test]
fn mail_of_others_stays_in_the_mailbox_and_ours_is_deleted() {
    let place = Place::new();
    place.office.deliver(b"Subject: lunch\r\n\r\nat noon?\r\n".to_vec());
    let _center = Center::open(&place.office, &code(), FirstSettings::default());
    let done = place.enrol(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    // Each answer came twice; the admission's double may have come after the last look.
    assert!((1..=2).contains(&place.office.mailbox_len()), "{}", place.office.mailbox_len());
}

#[test]
fn a_mistyped_code_is_found_before_anything_is_sent_and_its_group_is_named() {
    let place = Place::new();
    let mut typed = code().expose().to_string();
    let wrong = if typed.as_bytes()[5] == b'Z' { "Y" } else { "Z" };
    typed.replace_range(5..6, wrong);
    place.write("code", &typed);
    let refused = place.enrol(&[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("group 2") || text(&refused).contains("groups 2"), "{}", text(&refused));
    assert!(place.office.sent().is_empty());
    assert_no_secret(&refused);
}

#[test]
fn a_mail_account_that_does_not_work_is_told_before_the_center_hears_anything() {
    let place = Place::new();
    place.office.go_away();
    let refused = place.enrol(&[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("nothing was sent to the center"), "{}", text(&refused));
    assert!(!place.layout().enrolment_file().exists());
}

#[test]
fn without_an_answer_it_says_what_to_do_and_waits_on_when_told() {
    let place = Place::new();
    let waited = place.enrol(&["--wait", "1"]);
    assert_eq!(waited.status.code(), Some(3), "{}", text(&waited));
    let value = json(&waited);
    assert_eq!(value["state"], "not-answered");
    for word in ["expired", "center-manager enrol list", "--resume"] {
        assert!(value["next"].as_str().unwrap().contains(word), "{value}");
    }
    assert!(!place.layout().settings_file().exists(), "nothing is set up");
    assert_no_secret(&waited);

    let again = place.enrol(&["--wait", "1"]);
    assert_eq!(again.status.code(), Some(1), "an enrolment that was begun is not given up unasked");

    let center = Center::open(&place.office, &code(), FirstSettings::default());
    let resumed = place.run(&["enrol", "--resume", "--from-release", "programs", "--look-every", "50"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
    let halves = center.heard().into_iter().filter(|heard| matches!(heard, Heard::Hello(_))).count();
    assert!(halves >= 1);
    assert_eq!(json(&resumed)["agent"], "AGENT0000042");
}

#[test]
fn another_code_than_the_centers_gets_no_answer_and_changes_nothing() {
    let place = Place::new();
    let other = ProvisionalCode::generate(&mut |buffer: &mut [u8]| buffer.fill(7));
    let center = Center::open(&place.office, &other, FirstSettings::default());
    let waited = place.enrol(&["--wait", "1"]);
    assert_eq!(waited.status.code(), Some(3), "{}", text(&waited));
    assert!(center.heard().is_empty());
    assert_eq!(place.office.mailbox_len(), 0);
}

#[test]
fn a_box_that_loses_its_power_in_the_middle_goes_on_with_the_same_exchange() {
    let place = Place::new();
    let mut process = place.start(&[]);
    until("the first hello", || !place.office.sent().is_empty());
    process.kill().unwrap();
    process.wait().unwrap();
    let center = Center::open(&place.office, &code(), FirstSettings::default());
    until("the center to hear it", || !center.heard().is_empty());
    let resumed = place.run(&["enrol", "--resume", "--from-release", "programs", "--look-every", "50"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
    let halves: Vec<_> = center
        .heard()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Hello(half) => Some(half),
            Heard::Registration(_) => None,
        })
        .collect();
    assert!(halves.iter().all(|half| *half == halves[0]), "one exchange, not two: {halves:?}");
}

#[test]
fn two_enrolments_at_once_do_not_disturb_each_other() {
    let place = Place::new();
    let mut first = place.start(&[]);
    until("the first hello", || !place.office.sent().is_empty());
    let second = place.enrol(&[]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("another `monitor-appliance enrol`"), "{}", text(&second));
}

#[test]
fn a_box_that_is_set_up_is_enrolled_anew_only_when_told_and_keeps_what_it_stored() {
    let place = Place::new();
    let _center = Center::open(&place.office, &code(), FirstSettings::default());
    assert_eq!(place.enrol(&[]).status.code(), Some(0));
    let mut settings = Settings::load(&place.layout().settings_file()).unwrap();
    settings.timers.counter_collect = Duration::from_secs(1234);
    std::fs::write(place.layout().settings_file(), settings.write()).unwrap();
    std::fs::write(place.layout().credential_file(), "00".repeat(32)).unwrap();

    let refused = place.enrol(&[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("--replace"), "{}", text(&refused));

    let anew = place.enrol(&["--replace"]);
    assert_eq!(anew.status.code(), Some(0), "{}", text(&anew));
    let credential = std::fs::read_to_string(place.layout().credential_file()).unwrap();
    assert_eq!(credential, "3c".repeat(32), "a new credential");
    let settings = Settings::load(&place.layout().settings_file()).unwrap();
    assert_eq!(settings.timers.counter_collect, Duration::from_secs(1234), "settings made here stay");
}

#[test]
fn an_image_that_starts_unattended_enrols_by_a_file_and_wipes_it() {
    let place = Place::new();
    let order = format!(
        "code = \"{}\"\ncenter_address = \"center@center.example\"\naddress = \"box@site.example\"\n\
         password = \"{PASSWORD}\"\nsmtp = \"127.0.0.1:{}\"\npop3 = \"127.0.0.1:{}\"\nsecurity = \"plain\"\n\
         smtp_login = false\nscan = false\n",
        code().expose().as_str(),
        place.office.smtp_port,
        place.office.pop3_port
    );
    place.write("enrolment.toml", &order);
    let _center = Center::open(&place.office, &code(), FirstSettings::default());
    let flags =
        ["enrol", "--unattended", "enrolment.toml", "--from-release", "programs", "--look-every", "50"];
    let done = place.run(&flags);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_no_secret(&done);
    assert_eq!(json(&done)["typed"], 0);
    assert!(!place.path("enrolment.toml").exists(), "the code is gone");

    place.write("enrolment.toml", &order);
    let again = place.run(&flags);
    assert_eq!(again.status.code(), Some(0), "a box that starts again is enrolled already: {}", text(&again));
    assert_eq!(json(&again)["state"], "already-enrolled");
}

#[test]
fn an_order_file_with_a_typing_error_is_refused_without_quoting_its_secrets() {
    let place = Place::new();
    let code = code().expose();
    for order in [format!("code = \"{}\n", code.as_str()), format!("coed = \"{}\"\n", code.as_str())] {
        place.write("enrolment.toml", &order);
        let refused = place.run(&["enrol", "--unattended", "enrolment.toml"]);
        assert_eq!(refused.status.code(), Some(1));
        assert_no_secret(&refused);
    }
}

#[test]
fn a_person_at_a_terminal_types_a_few_things_and_corrects_a_code_without_typing_it_again() {
    let place = Place::new();
    let _center = Center::open(&place.office, &code(), FirstSettings::default());
    let program = env!("CARGO_BIN_EXE_monitor-appliance");
    let line = format!(
        "{program} --root root enrol --no-scan --security plain --no-smtp-login --from-release programs \
         --machine a1b2 --look-every 50 --pop3 127.0.0.1:{}",
        place.office.pop3_port
    );
    let mut terminal = terminal::Terminal::run(&line, place.home.path());
    let typed = code().expose().replace('-', "").to_lowercase();
    let (begin, last) = typed.split_at(27);
    terminal.answer("Code", &format!("{begin}\r"));
    terminal.answer("these are 27 letters", &format!("{last}\r"));
    terminal.answer("address of the center", "center@center.example\r");
    terminal.answer("address of this appliance", "box@site.example\r");
    terminal.answer("Login name", "\r");
    terminal.answer("Server for sending", &format!("127.0.0.1:{}\r", place.office.smtp_port));
    terminal.answer("Password", &format!("{PASSWORD}\r"));
    terminal.answer("Register these devices", "\r");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("enrolled as AGENT0000042 of center CENTER"), "{shown}");
    assert!(!shown.contains(PASSWORD), "the password is not shown");
    assert!(Context::load(place.path("root")).is_ok());
}

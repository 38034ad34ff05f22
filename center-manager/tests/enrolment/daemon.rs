//! The daemon itself, over a mail server: what is committed in one pass counts in the next, and within a pass.

use crate::center::{ADDRESS, Mail, Site};
use crate::post_office::PostOffice;
use center_manager::db::Db;
use center_manager::db::appliances::ApplianceState;
use mailfmt::enrolment::ProvisionalCode;
use std::fs;
use std::process::Command;

struct Home {
    folder: tempfile::TempDir,
    office: PostOffice,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), office: PostOffice::open() };
        let password = home.folder.path().join("password");
        fs::write(&password, "any\n").unwrap();
        let (smtp, pop3) = (home.office.smtp.to_string(), home.office.pop3.to_string());
        let args = ["init", "--address", ADDRESS, "--smtp", &smtp, "--pop3", &pop3, "--security", "plain"];
        home.run(
            &[&args, ["--no-smtp-login", "--password-file", password.to_str().unwrap()].as_slice()].concat(),
        );
        home
    }

    fn run(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_center-manager"))
            .env_remove("CENTER_MANAGER_HOME")
            .arg("--home")
            .arg(self.folder.path().join("home"))
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn issue(&self, more: &[&str]) -> ProvisionalCode {
        let args = [&["enrol", "issue", "--customer", "aaa Trading", "--format", "json"], more].concat();
        let issued: serde_json::Value = serde_json::from_str(&self.run(&args)).unwrap();
        issued["code"].as_str().unwrap().parse().unwrap()
    }

    fn db(&self) -> Db {
        Db::open(&self.folder.path().join("home/fleet.db")).unwrap()
    }

    /// The sites read what came and answer, until nobody has anything to say.
    fn talk(&self, sites: &mut [Site]) {
        for _ in 0..30 {
            self.run(&["serve", "--once"]);
            let mut answered = false;
            for site in sites.iter_mut() {
                for raw in self.office.take(&site.address.clone()) {
                    let mail = Mail { to: site.address.clone(), raw };
                    answered |= site.take(&mail).map(|answer| self.office.put(ADDRESS, &answer)).is_some();
                }
            }
            if !answered {
                return;
            }
        }
        panic!("they talk for ever");
    }
}

#[expect(clippy::disallowed_methods, reason = "the daemon's clock is the system's")]
fn site(code: &ProvisionalCode, number: u64) -> Site {
    let mut site = Site::new(code, number);
    site.made = jiff::Timestamp::now();
    site
}

#[test]
fn a_box_enrols_over_mail_and_reports_and_rotates() {
    let home = Home::new();
    let code = home.issue(&[]);
    let mut sites = [site(&code, 1)];
    home.office.put(ADDRESS, &sites[0].hello());
    home.talk(&mut sites);
    let admission = sites[0].admission.clone().expect("admitted");
    assert_eq!(admission.agent.as_str(), "AGENT0000001");
    assert!(!admission.roots.is_empty(), "it brings whom to trust");
    assert_eq!(home.db().appliance(&admission.agent).unwrap().state, ApplianceState::Active);
    assert!(home.db().open_codes().unwrap().is_empty(), "used up and confirmed: wiped");

    let before = sites[0].credential.clone();
    home.run(&["appliance", "rotate", "AGENT0000001"]);
    home.talk(&mut sites);
    assert_ne!(sites[0].credential, before);
    let shown = home.run(&["appliance", "show", "AGENT0000001"]);
    assert!(shown.contains(": done"), "{shown}");
}

#[test]
fn many_boxes_under_one_code_enrol_in_the_same_passes() {
    let home = Home::new();
    let code = home.issue(&["--uses", "20"]);
    let mut sites: Vec<Site> = (1..=20).map(|number| site(&code, number)).collect();
    for site in &sites {
        home.office.put(ADDRESS, &site.hello());
    }
    home.talk(&mut sites);
    assert!(sites.iter().all(|site| site.admission.is_some()));
    let appliances = home.db().appliances().unwrap();
    assert_eq!(appliances.iter().filter(|known| known.state == ApplianceState::Active).count(), 20);
    assert_eq!(home.db().devices(None).unwrap().len(), 60);
    let listed = home.run(&["enrol", "list", "--all"]);
    assert!(listed.contains("used up") && listed.contains("0 of 20"), "{listed}");
}

#[test]
fn whom_the_operator_suspends_hears_nothing_any_more() {
    let home = Home::new();
    let code = home.issue(&[]);
    let mut sites = [site(&code, 1)];
    home.office.put(ADDRESS, &sites[0].hello());
    home.talk(&mut sites);
    home.run(&["ping", "AGENT0000001"]);
    home.run(&["appliance", "suspend", "AGENT0000001", "--reason", "stolen"]);
    let health = sites[0].health();
    home.office.put(ADDRESS, &health);
    home.run(&["serve", "--once"]);
    assert!(home.office.take(&sites[0].address).is_empty(), "neither receipt nor ping");
    assert!(home.office.take(ADDRESS).is_empty(), "its mail is read and deleted");
    home.run(&["appliance", "readmit", "AGENT0000001"]);
    home.office.put(ADDRESS, &health);
    home.run(&["serve", "--once"]);
    assert_eq!(home.office.take(&sites[0].address).len(), 2, "the receipt, and the ping that waited");
}

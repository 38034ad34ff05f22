//! A new release must show that it does what an appliance is for: fetch mail, hand mail in, read devices. What it breaks is
//! set right without anyone's help.

use crate::post_office::PostOffice;
use crate::site::{NEW, OLD, Site, resident_module, until};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{PackageDraft, Rules};
use monitor_appliance::store::Work;
use monitor_appliance::update::UpdateState;
use std::time::{Duration, Instant};

/// A site with mail, whose new releases have two seconds beyond their trial to show that mail works.
fn site(office: &PostOffice) -> Site {
    let mut site = Site::with_mail(office);
    site.set("update", "proof_wait_secs = 2");
    site
}

/// Waits until the old mail agent has fetched and sent mail.
fn mail_works(site: &Site) {
    until("mail by the old release", || {
        let worked = |work| site.store().proof(work, OLD).unwrap().worked.is_some();
        worked(Work::MailFetch) && worked(Work::MailSend)
    });
}

/// The good package with a script of these lines.
fn with_script(site: &Site, lines: &str) -> PackageDraft {
    PackageDraft { script: format!("#!/bin/sh\nset -e\n{lines}\n").into_bytes(), ..site.draft() }
}

/// Mail goes out again: one more than there was before.
fn mail_goes_out(site: &Site, office: &PostOffice) {
    let before = office.sent().len();
    site.store().change(|change| change.request_version(None, None, site.context.now())).unwrap();
    until("a mail", || office.sent().len() > before);
}

#[test]
fn a_release_that_fetches_and_hands_in_mail_is_kept() {
    let office = PostOffice::open();
    let site = site(&office);
    let _supervisor = site.supervise();
    mail_works(&site);
    let sent = office.sent().len();
    site.order(&site.signed(&site.draft()));
    site.wait_until_over();
    site.assert_installed();
    let told: Vec<_> = site.results().into_iter().map(|result| (result.running, result.outcome)).collect();
    let on_trial = UpdateOutcome::Waiting { reason: "the new release is on trial for 1 s".to_owned() };
    assert_eq!(
        told[0],
        (OLD.parse().unwrap(), on_trial),
        "until it is kept, the old version is the one that counts"
    );
    assert!(office.sent().len() > sent);
    for work in [Work::MailFetch, Work::MailSend] {
        assert!(site.store().proof(work, NEW).unwrap().worked.is_some());
    }
}

#[test]
fn what_the_old_release_did_does_not_speak_for_the_new_one() {
    let office = PostOffice::open();
    let site = site(&office);
    let _supervisor = site.supervise();
    mail_works(&site);
    let mut draft = site.draft();
    draft.modules.retain(|module| module.name.as_str() != "mail-agent");
    // It runs, but it does nothing.
    draft.modules.push(resident_module("mail-agent", b"#!/bin/sh\nexec sleep 1000\n".to_vec()));
    site.order(&site.signed(&draft));
    site.wait_until_over();
    site.assert_undone("no mail could be fetched by the new release");
    mail_goes_out(&site, &office);
}

#[test]
fn a_package_that_breaks_the_mail_settings_is_undone_and_they_are_put_back() {
    let office = PostOffice::open();
    let site = site(&office);
    let _supervisor = site.supervise();
    mail_works(&site);
    let before = site.settings_text();
    let script = format!("sed -i 's/port = {}/port = 1/' \"$STATE_DIR/appliance.toml\"", office.pop3_port);
    site.order(&site.signed(&with_script(&site, &script)));
    site.wait_until_over();
    site.assert_undone("no mail could be fetched by the new release");
    let UpdateOutcome::Undone { reason } = site.last_result().outcome else { panic!("not undone") };
    assert!(reason.contains("127.0.0.1, port 1"), "it says why: {reason}");
    assert_eq!(site.settings_text(), before);
    mail_goes_out(&site, &office);
}

#[test]
fn a_package_that_breaks_sending_only_is_undone_too() {
    let office = PostOffice::open();
    let site = site(&office);
    let _supervisor = site.supervise();
    mail_works(&site);
    let script = format!("sed -i 's/port = {}/port = 1/' \"$STATE_DIR/appliance.toml\"", office.smtp_port);
    site.order(&site.signed(&with_script(&site, &script)));
    site.wait_until_over();
    site.assert_undone("no mail could be handed in by the new release");
    mail_goes_out(&site, &office);
}

#[test]
fn a_package_that_breaks_name_resolution_is_undone_and_the_resolver_is_put_back() {
    let office = PostOffice::open();
    let site = site(&office);
    let resolver = site.root().join("resolv.conf");
    std::fs::write(&resolver, "nameserver 127.0.0.53\n").unwrap();
    let _supervisor = site.supervise();
    mail_works(&site);
    let before = site.settings_text();
    // A name that no resolver knows, and that none is asked for: its label is too long.
    let name = "x".repeat(70);
    let script = format!(
        "sed -i 's/host = \"127.0.0.1\"/host = \"{name}\"/' \"$STATE_DIR/appliance.toml\"\n\
         echo 'nameserver 192.0.2.1' > \"$STATE_DIR/resolv.conf\""
    );
    site.order(&site.signed(&with_script(&site, &script)));
    site.wait_until_over();
    site.assert_undone("no mail could be fetched by the new release");
    assert_eq!(site.settings_text(), before);
    assert_eq!(std::fs::read_to_string(&resolver).unwrap(), "nameserver 127.0.0.53\n");
    mail_goes_out(&site, &office);
}

#[test]
fn settings_that_cannot_be_read_end_an_update_before_the_swap() {
    let site = Site::new();
    let before = site.settings_text();
    let _supervisor = site.supervise();
    site.order(&site.signed(&with_script(&site, "echo 'nonsense' > \"$STATE_DIR/appliance.toml\"")));
    site.wait_until_over();
    site.assert_undone("after its script: the settings");
    assert_eq!(site.settings_text(), before);
    assert_eq!(site.lines("starts"), [OLD], "nothing was restarted");
}

#[test]
fn a_power_cut_in_a_script_that_spoils_the_settings_does_not_keep_the_supervisor_from_starting() {
    let site = Site::new();
    let before = site.settings_text();
    let script = "test -e \"$STATE_DIR/once\" && exit 0\n: > \"$STATE_DIR/once\"\n\
                  echo nonsense > \"$STATE_DIR/appliance.toml\"\necho on > \"$STATE_DIR/spoilt\"\nsleep 1000";
    site.order(&site.signed(&with_script(&site, script)));
    let supervisor = site.supervise();
    until("the spoilt settings", || site.lines("spoilt") == ["on"]);
    supervisor.kill();
    let _supervisor = site.supervise();
    site.wait_until_over();
    site.assert_installed();
    assert_eq!(site.settings_text(), before);
}

#[test]
fn settings_that_a_good_release_changed_stay_changed() {
    let site = Site::new();
    let _supervisor = site.supervise();
    let script = "sed -i 's/busy_look_secs = 1/busy_look_secs = 2/' \"$STATE_DIR/appliance.toml\"";
    site.order(&site.signed(&with_script(&site, script)));
    site.wait_until_over();
    site.assert_installed();
    assert!(site.settings_text().contains("busy_look_secs = 2"));
}

#[test]
fn a_good_release_is_not_taken_back_because_the_mail_server_was_down_before() {
    let office = PostOffice::open();
    let site = site(&office);
    let _supervisor = site.supervise();
    mail_works(&site);
    office.go_away();
    until("the failure", || site.store().proof(Work::MailFetch, OLD).unwrap().failing.is_some());
    let order = site.order(&site.signed(&site.draft()));
    until("the trial", || matches!(site.state(order), UpdateState::OnTrial { .. }));
    let begun = Instant::now();
    // Longer than mail that had worked would have been waited for.
    until("a while", || begun.elapsed() > Duration::from_secs(5));
    assert!(matches!(site.state(order), UpdateState::OnTrial { .. }), "{:?}", site.state(order));
    office.come_back();
    site.wait_until_over();
    site.assert_installed();
}

#[test]
fn mail_that_never_comes_back_ends_the_trial_in_the_end() {
    let office = PostOffice::open();
    let mut site = site(&office);
    site.set("update", "mail_return_wait_secs = 4");
    let _supervisor = site.supervise();
    mail_works(&site);
    office.go_away();
    until("the failure", || site.store().proof(Work::MailFetch, OLD).unwrap().failing.is_some());
    site.order(&site.signed(&site.draft()));
    site.wait_until_over();
    site.assert_undone("no mail could be fetched by the new release");
}

#[test]
fn a_release_that_no_longer_reads_devices_is_taken_back_where_one_answered_before() {
    for answered in [true, false] {
        let mut site = Site::new();
        site.set("update", "proof_wait_secs = 1");
        let now = site.context.now();
        site.store()
            .change(|change| {
                change.device_answered("192.0.2.7", now)?;
                if answered { Ok(()) } else { change.device_silent("192.0.2.7", "silent", now) }
            })
            .unwrap();
        let mut draft = site.draft();
        draft.modules.push(resident_module("device-watch", b"#!/bin/sh\nexec sleep 1000\n".to_vec()));
        let _supervisor = site.supervise();
        site.order(&site.signed(&draft));
        site.wait_until_over();
        if answered {
            site.assert_undone("no device could be read by the new release");
        } else {
            site.assert_installed();
        }
    }
}

#[test]
fn a_module_that_crashes_late_in_the_trial_is_taken_back() {
    assert!(Rules::default().trial_secs > 60, "a module that crashes after half a minute would be kept");
    let site = Site::new();
    let mut draft = site.draft();
    draft.rules.trial_secs = 5;
    draft.modules[0].file = b"#!/bin/sh\nsleep 3\nexit 9\n".to_vec();
    let _supervisor = site.supervise();
    site.order(&site.signed(&draft));
    site.wait_until_over();
    site.assert_undone("module watch ended with exit code 9 during its trial");
}

#[test]
fn a_package_that_would_cut_the_site_off_is_refused() {
    let office = PostOffice::open();
    let site = site(&office);
    for lost in ["mail-agent", "update-install", "version-report"] {
        let mut draft = site.draft();
        draft.modules.retain(|module| module.name.as_str() != lost);
        draft.release_counter += 1;
        let order = site.order(&site.signed(&draft));
        monitor_appliance::update::install(&site.context, order).unwrap();
        let UpdateState::Refused { reason } = site.state(order) else { panic!("{:?}", site.state(order)) };
        assert_eq!(reason, format!("the package would leave the appliance without its module {lost}"));
    }
}

//! Below the greatest release counter: only by a signed permit, or after a root has set it back.

use crate::site::{NEW, OLD, Site, next_root};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{SigningKey, inspect};
use mailfmt::trust::{DowngradePermit, SignedPermit};
use mailfmt::{AgentId, Limits, SoftwareVersion};
use monitor_appliance::context::system_random;
use monitor_appliance::trust;
use monitor_appliance::update::install;

/// A site that has installed release counter 7, and a package with counter 2.
fn site() -> (Site, Vec<u8>) {
    let site = Site::new();
    let package = site.signed(&site.draft());
    site.store().change(|change| change.raise_installed_counter(7, None)).unwrap();
    (site, package)
}

fn permit(site: &Site, package: &[u8], agent: &str) -> DowngradePermit {
    DowngradePermit {
        center: site.context.settings.center.clone(),
        agents: vec![AgentId::new(agent).unwrap()],
        package: inspect(package, &Limits::default()).unwrap().id,
        from: SoftwareVersion::new(OLD).unwrap(),
        to: SoftwareVersion::new(NEW).unwrap(),
        expires: site.context.now() + jiff::SignedDuration::from_hours(1),
    }
}

/// Orders the package together with a permit, as mail-agent files them.
fn order(site: &Site, package: &[u8], permit: &SignedPermit) -> i64 {
    let order = site.order(package);
    let id = inspect(package, &Limits::default()).unwrap().id;
    std::fs::write(site.context.layout.permit_file(&id), permit.as_octets()).unwrap();
    order
}

fn refused(site: &Site, why: &str) {
    let outcome = site.result().outcome;
    let UpdateOutcome::Refused { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains(why), "{reason}");
    assert!(site.lines("scripts").is_empty(), "nothing of it has run");
}

#[test]
fn a_permit_by_the_release_role_lets_this_appliance_go_back() {
    let (site, package) = site();
    let permit = SignedPermit::unsigned(&permit(&site, &package, "AGENT0000001")).unwrap();
    let order = order(&site, &package, &permit.sign(site.release_key()).unwrap());
    install(&site.context, order).unwrap();
    assert_eq!(site.lines("scripts"), ["run"]);
}

#[test]
fn a_permit_of_a_thief_of_the_center_is_refused_and_nothing_runs() {
    let (site, package) = site();
    let thief = SigningKey::generate(&mut system_random);
    let permit = SignedPermit::unsigned(&permit(&site, &package, "AGENT0000001")).unwrap();
    let order = order(&site, &package, &permit.sign(&thief).unwrap());
    install(&site.context, order).unwrap();
    refused(&site, "signed by 0 release keys, 1 must");
}

#[test]
fn a_permit_for_another_appliance_is_refused_and_nothing_runs() {
    let (site, package) = site();
    let permit = SignedPermit::unsigned(&permit(&site, &package, "AGENT0000002")).unwrap();
    let order = order(&site, &package, &permit.sign(site.release_key()).unwrap());
    install(&site.context, order).unwrap();
    refused(&site, "another appliance");
}

#[test]
fn a_newer_root_sets_the_release_counter_back() {
    let (site, package) = site();
    next_root(&site, |root| root.release_counter_reset = Some(1));
    let order = site.order(&package);
    install(&site.context, order).unwrap();
    assert_eq!(site.lines("scripts"), ["run"]);
    let store = site.store();
    let trusted = trust::read(&site.context.layout, &site.context.settings.center).unwrap();
    // What supervisor notes when the release has proved itself.
    for (counter, greatest) in [(2, 2), (9, 9), (3, 9)] {
        site.store().change(|change| change.raise_installed_counter(counter, Some(&trusted))).unwrap();
        assert_eq!(store.installed_counter_and_root().unwrap(), (greatest, 2), "the reset counts once");
    }
}

#[test]
fn a_package_that_a_newer_root_revokes_is_refused_although_its_signature_is_good() {
    let site = Site::new();
    let package = site.signed(&site.draft());
    let id = inspect(&package, &Limits::default()).unwrap().id;
    next_root(&site, |root| root.revoked_packages = [id].into());
    let order = site.order(&package);
    install(&site.context, order).unwrap();
    refused(&site, "revoked by root 2");
}

#[test]
fn a_release_key_that_a_newer_root_dropped_signs_nothing_any_more() {
    let site = Site::new();
    let package = site.signed(&site.draft());
    let new_key = SigningKey::generate(&mut system_random).public();
    next_root(&site, |root| root.release.keys = vec![new_key]);
    let order = site.order(&package);
    install(&site.context, order).unwrap();
    refused(&site, "no valid signature by a trusted release key");
}

#[test]
fn without_roots_nothing_is_installed() {
    let site = Site::new();
    let package = site.signed(&site.draft());
    std::fs::remove_file(site.context.layout.trust_file()).unwrap();
    let order = site.order(&package);
    install(&site.context, order).unwrap();
    refused(&site, "nobody's packages are trusted");
}

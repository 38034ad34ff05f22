//! Where the root asks for approvals: what nobody approved is not installed, whoever ordered it.

use crate::site::{NEW, Site, next_root};
use jiff::SignedDuration;
use mailfmt::conditions::Conditions;
use mailfmt::crypto::ContentKey;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{SigningKey, inspect};
use mailfmt::trust::{Approval, Role, SignedApproval};
use mailfmt::{Digest, Limits};
use monitor_appliance::context::system_random;
use monitor_appliance::update::install;

/// A site whose root asks for one approval, the key that gives it, and a package that the release key signed.
fn site() -> (Site, SigningKey, Vec<u8>) {
    let site = Site::new();
    let approver = SigningKey::generate(&mut system_random);
    next_root(&site, |root| root.approval = Some(Role::of(approver.public())));
    let package = site.signed(&site.draft());
    (site, approver, package)
}

/// What the center orders; each time under another content key, as each rollout does.
fn order(package: &[u8]) -> UpdateOrder {
    UpdateOrder {
        package: inspect(package, &Limits::default()).unwrap().id,
        target: NEW.parse().unwrap(),
        enclosure: Digest::of(b"an enclosure"),
        enclosure_octets: 12,
        content_key: ContentKey::generate(&mut system_random),
        permit: None,
        parts: None,
        approval: None,
    }
}

fn approval(site: &Site, order: &UpdateOrder, hours: i64, key: &SigningKey) -> SignedApproval {
    let approval = Approval {
        center: site.context.settings.center.clone(),
        orders: vec![order.terms()],
        expires: site.context.now() + SignedDuration::from_hours(hours),
    };
    SignedApproval::unsigned(&approval).unwrap().sign(key).unwrap()
}

/// Files it as mail-agent does, but without its own look at the approval; then installs.
fn install_ordered(site: &Site, package: &[u8], ordered: &UpdateOrder) {
    let id = site.order(package);
    let mut store = site.store();
    let command = store.update_order(id).unwrap().unwrap().command;
    store.change(|change| change.keep_approval(command, ordered, &Conditions::default())).unwrap();
    install(&site.context, id).unwrap();
}

fn refused(site: &Site, why: &str) {
    let outcome = site.last_result().outcome;
    let UpdateOutcome::Refused { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("not approved") && reason.contains(why), "{reason}");
    assert!(site.lines("scripts").is_empty(), "nothing of it has run");
}

#[test]
fn an_order_that_was_approved_is_installed() {
    let (site, approver, package) = site();
    let order = order(&package);
    let approval = approval(&site, &order, 1, &approver);
    install_ordered(&site, &package, &UpdateOrder { approval: Some(approval), ..order });
    assert_eq!(site.lines("scripts"), ["run"]);
}

#[test]
fn a_well_signed_package_that_nobody_approved_is_not_installed() {
    let (site, _, package) = site();
    install_ordered(&site, &package, &order(&package));
    refused(&site, "nobody approved this order");
}

#[test]
fn an_order_from_before_there_were_approvals_is_refused_once_the_root_asks_for_them() {
    let (site, _, package) = site();
    let order = site.order(&package);
    install(&site.context, order).unwrap();
    refused(&site, "nobody approved this order");
}

#[test]
fn an_approval_by_the_release_key_or_a_stranger_installs_nothing() {
    let (site, _, package) = site();
    let order = order(&package);
    let approval = approval(&site, &order, 1, site.release_key());
    let approval = approval.sign(&SigningKey::generate(&mut system_random)).unwrap();
    install_ordered(&site, &package, &UpdateOrder { approval: Some(approval), ..order });
    refused(&site, "signed by 0 approval keys");
}

#[test]
fn an_approval_of_another_rollout_of_the_same_package_installs_nothing() {
    let (site, approver, package) = site();
    let approval = approval(&site, &order(&package), 1, &approver);
    install_ordered(&site, &package, &UpdateOrder { approval: Some(approval), ..order(&package) });
    refused(&site, "another rollout");
}

#[test]
fn an_approval_that_expired_while_the_order_waited_installs_nothing() {
    let (site, approver, package) = site();
    let order = order(&package);
    let approval = approval(&site, &order, -1, &approver);
    install_ordered(&site, &package, &UpdateOrder { approval: Some(approval), ..order });
    refused(&site, "expired");
}

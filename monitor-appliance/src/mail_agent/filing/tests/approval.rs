//! Orders to update under a root that asks for approvals.

use super::*;
use crate::store::UpdateOrderRow;
use crate::trust;
use jiff::SignedDuration;
use mailfmt::message::RecallOrder;
use mailfmt::message::report::UpdateResultReport;
use mailfmt::parts::Parts;
use mailfmt::trust::{Approval, Role, Root, SignedApproval, SignedRoot};

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

const COMMAND: u8 = 101;

/// A site whose root asks for the approval of two of keys 31 to 33.
fn site() -> Site {
    let mut site = Site::new();
    let root = Root {
        version: 1,
        center: "CENTER".parse().unwrap(),
        created: now(),
        expires: "2036-01-01T00:00:00Z".parse().unwrap(),
        root: Role::of(key(1).public()),
        release: Role::of(key(2).public()),
        command: Role::of(key(COMMAND).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: Some(Role { threshold: 2, keys: [31, 32, 33].map(|seed| key(seed).public()).to_vec() }),
    };
    let signed = SignedRoot::unsigned(&root).unwrap().sign(&key(1)).unwrap();
    trust::replace(&site.context.layout, &site.context.settings.center, &[signed]).unwrap();
    site.keys = Keyring::load(&site.context).unwrap();
    site.signer = Some(key(COMMAND));
    site
}

fn approved(order: &UpdateOrder, hours: i64, seeds: &[u8]) -> UpdateOrder {
    let approval = Approval {
        center: "CENTER".parse().unwrap(),
        orders: vec![order.terms()],
        expires: now() + SignedDuration::from_hours(hours),
    };
    let unsigned = SignedApproval::unsigned(&approval).unwrap();
    let signed = seeds.iter().fold(unsigned, |signed, seed| signed.sign(&key(*seed)).unwrap());
    UpdateOrder { approval: Some(signed), ..order.clone() }
}

fn orders(site: &Site) -> Vec<UpdateOrderRow> {
    site.store().update_orders_open().unwrap()
}

fn file_order(site: &mut Site, order: UpdateOrder, enclosure: &[u8]) {
    let mail = site.mail(&Message::Command(Command::Update(order)), enclosure);
    assert_eq!(site.file(&mail), Filed::Accepted);
}

#[test]
fn an_order_with_enough_approvals_is_taken_and_they_are_kept_for_the_installer() {
    let (mut site, (enclosure, _, order)) = (site(), package());
    let approved = approved(&order, 1, &[31, 33]);
    file_order(&mut site, approved.clone(), &enclosure);
    assert!(site.answers().is_empty());
    let rows = orders(&site);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(site.store().approval_of(row).unwrap(), (order.terms(), approved.approval));
}

#[test]
fn an_order_without_enough_approvals_is_refused_and_leaves_nothing() {
    let (enclosure, content_key, order) = package();
    let other =
        UpdateOrder { content_key: ContentKey::generate(&mut |b: &mut [u8]| b.fill(8)), ..order.clone() };
    let elsewhere = UpdateOrder { approval: approved(&other, 1, &[31, 32]).approval, ..order.clone() };
    assert_ne!(content_key, other.content_key);
    for (order, why) in [
        (order.clone(), "not approved: nobody approved this order, 2 must"),
        (approved(&order, 1, &[31]), "not approved: the approval is signed by 1 approval keys, 2 must"),
        // The thief of the center has its command key, and nothing else.
        (approved(&order, 1, &[31, COMMAND]), "not approved: the approval is signed by 1 approval keys"),
        (approved(&order, -1, &[31, 32]), "not approved: the approval expired"),
        (elsewhere, "not approved: the approval is for another rollout"),
    ] {
        let mut site = site();
        file_order(&mut site, order, &enclosure);
        let answers = site.answers();
        let [Report::UpdateResult(UpdateResultReport { outcome: UpdateOutcome::Refused { reason }, .. })] =
            answers.as_slice()
        else {
            panic!("{answers:?}")
        };
        assert!(reason.starts_with(why), "{reason}");
        assert!(orders(&site).is_empty() && !site.context.layout.packages_dir().exists());
    }
}

#[test]
fn a_package_in_parts_needs_its_approval_before_any_part_is_waited_for() {
    let (mut site, (enclosure, _, order)) = (site(), package_of(recall::incompressible()));
    let parts = Parts::cut(&enclosure, 600, None, &Limits::default()).unwrap();
    let cut = |order: UpdateOrder| UpdateOrder { parts: Some(parts.cutting().clone()), ..order };
    file_order(&mut site, cut(order.clone()), b"");
    assert!(orders(&site).is_empty());
    let approved = approved(&order, 1, &[32, 33]);
    file_order(&mut site, cut(approved.clone()), b"");
    let rows = orders(&site);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(site.store().approval_of(row).unwrap(), (order.terms(), approved.approval));
}

#[test]
fn calling_an_order_back_needs_no_approval() {
    let (mut site, (enclosure, _, order)) = (site(), package());
    file_order(&mut site, approved(&order, 1, &[31, 32]), &enclosure);
    let command = orders(&site).remove(0).command;
    let mail = site.command(Command::Recall(RecallOrder { orders: vec![command] }));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert!(orders(&site).is_empty());
}

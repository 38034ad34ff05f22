use super::*;
use crate::crypto::ContentKey;
use crate::limits::Limits;
use crate::parts::Parts as CutParts;
use crate::trust::{DowngradePermit, RootError, SignedPermit, SignedRoot, TrustedRoot};
use crate::{Command, Message};
use jiff::SignedDuration;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

fn role(threshold: u32, seeds: &[u8]) -> Role {
    Role { threshold, keys: seeds.iter().map(|seed| key(*seed).public()).collect() }
}

/// Root key 1, release key 11, command key 21.
fn root(approval: Option<Role>) -> Root {
    Root {
        version: 1,
        center: CenterId::new("CENTER").unwrap(),
        created: now(),
        expires: now() + SignedDuration::from_hours(24 * 365),
        root: role(1, &[1]),
        release: role(1, &[11]),
        command: role(1, &[21]),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval,
    }
}

fn drawn(seed: u8) -> ContentKey {
    ContentKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

/// The order of a rollout whose package was encrypted under the key of `seed`.
fn order(package: &[u8], seed: u8) -> UpdateOrder {
    UpdateOrder {
        package: Digest::of(package),
        target: "1.0.02-0".parse().unwrap(),
        enclosure: Digest::of(&[seed]),
        enclosure_octets: 4096,
        content_key: drawn(seed),
        permit: None,
        parts: None,
        approval: None,
    }
}

fn approval(orders: &[&UpdateOrder]) -> Approval {
    Approval {
        center: CenterId::new("CENTER").unwrap(),
        orders: orders.iter().map(|order| order.terms()).collect(),
        expires: now() + SignedDuration::from_hours(24),
    }
}

fn signed(approval: &Approval, seeds: &[u8]) -> SignedApproval {
    let unsigned = SignedApproval::unsigned(approval).unwrap();
    seeds.iter().fold(unsigned, |signed, seed| signed.sign(&key(*seed)).unwrap())
}

#[test]
fn without_approvers_in_the_root_no_order_needs_an_approval() {
    let order = order(b"a manifest", 1);
    assert!(root(None).check_approval(None, &order.terms(), now()).is_ok());
    let nonsense = SignedApproval::from_octets(b"nonsense".to_vec());
    assert!(root(None).check_approval(Some(&nonsense), &order.terms(), now()).is_ok());
}

#[test]
fn an_order_that_enough_approvers_signed_is_carried_out() {
    let (order, whole) = (order(b"a manifest", 1), order(b"with whole files", 2));
    let approval = signed(&approval(&[&order, &whole]), &[31, 32]);
    let root = root(Some(role(2, &[31, 32, 33])));
    for order in [&order, &whole] {
        root.check_approval(Some(&approval), &order.terms(), now()).unwrap();
    }
}

#[test]
fn an_order_without_an_approval_or_below_the_threshold_is_refused() {
    let order = order(b"a manifest", 1);
    let root = root(Some(role(2, &[31, 32])));
    let refused = root.check_approval(None, &order.terms(), now()).unwrap_err();
    assert!(matches!(refused, ApprovalError::Missing { threshold: 2 }));
    assert!(refused.to_string().starts_with("not approved"), "{refused}");
    // Keys of every other role, a stranger's, and one approver twice.
    for seeds in [&[][..], &[31], &[31, 31], &[31, 1, 11, 21], &[31, 99]] {
        let approval = signed(&approval(&[&order]), seeds);
        let refused = root.check_approval(Some(&approval), &order.terms(), now()).unwrap_err();
        assert!(matches!(refused, ApprovalError::Signatures { threshold: 2, .. }), "{seeds:?}: {refused}");
    }
}

#[test]
fn an_approval_of_another_package_rollout_or_center_approves_nothing() {
    let (order, other) = (order(b"a manifest", 1), order(b"another manifest", 1));
    let root = root(Some(role(1, &[31])));
    let refused = |approval: &Approval| {
        let signed = signed(approval, &[31]);
        root.check_approval(Some(&signed), &order.terms(), now()).unwrap_err().to_string()
    };
    assert!(refused(&approval(&[&other])).contains("another package"));
    assert!(refused(&approval(&[])).contains("another package"));
    // The same package in a later rollout: encrypted anew.
    let later = UpdateOrder { content_key: drawn(2), ..order.clone() };
    assert!(refused(&approval(&[&later])).contains("another rollout"));
    let permit = SignedPermit::from_octets(b"a permit".to_vec());
    let permitted = UpdateOrder { permit: Some(permit), ..order.clone() };
    assert!(refused(&approval(&[&permitted])).contains("another rollout"));
    let elsewhere = Approval { center: CenterId::new("OTHER").unwrap(), ..approval(&[&order]) };
    assert!(refused(&elsewhere).contains("another center"));
}

#[test]
fn an_approval_that_expired_approves_nothing_any_more() {
    let order = order(b"a manifest", 1);
    let approval = approval(&[&order]);
    let root = root(Some(role(1, &[31])));
    let check = |now| root.check_approval(Some(&signed(&approval, &[31])), &order.terms(), now);
    assert!(check(approval.expires).is_ok());
    let late = approval.expires + SignedDuration::from_millis(1);
    assert!(matches!(check(late), Err(ApprovalError::Expired { .. })));
}

#[test]
fn how_an_order_is_cut_and_what_approves_it_change_none_of_its_terms() {
    let order = order(b"a manifest", 1);
    let cut = CutParts::cut(&[7; 200_000], 65_536, None, &Limits::default()).unwrap();
    let approval = signed(&approval(&[&order]), &[31]);
    let sent = UpdateOrder { parts: Some(cut.cutting().clone()), approval: Some(approval), ..order.clone() };
    assert_eq!(sent.terms(), order.terms());
    // As an appliance reads it.
    let message = Message::Command(Command::Update(sent));
    let Ok(Message::Command(Command::Update(read))) =
        Message::parse(crate::message::Family::Command, &message.write())
    else {
        panic!("no order")
    };
    assert_eq!(read.terms(), order.terms());
}

#[test]
fn an_order_that_was_approved_for_its_hours_does_not_begin_at_others() {
    let order = order(b"a manifest", 1);
    let at_night =
        Conditions { windows: vec!["Mo-Fr 20:00-06:00".parse().unwrap()], ..Conditions::default() };
    let approval = Approval { orders: vec![order.terms_under(&at_night)], ..approval(&[]) };
    let (root, approval) = (root(Some(role(1, &[31]))), signed(&approval, &[31]));
    root.check_approval(Some(&approval), &order.terms_under(&at_night), now()).unwrap();
    assert!(root.check_approval(Some(&approval), &order.terms(), now()).is_err());
}

#[test]
fn any_flipped_bit_in_an_approval_is_refused() {
    let order = order(b"a manifest", 1);
    let root = root(Some(role(1, &[31])));
    let approval = signed(&approval(&[&order]), &[31]);
    for bit in 0..approval.as_octets().len() * 8 {
        let mut octets = approval.as_octets().to_vec();
        octets[bit / 8] ^= 1 << (bit % 8);
        let flipped = SignedApproval::from_octets(octets);
        assert!(root.check_approval(Some(&flipped), &order.terms(), now()).is_err(), "bit {bit}");
    }
}

#[test]
fn a_signature_under_another_kind_of_document_approves_nothing() {
    let order = order(b"a manifest", 1);
    let root = root(Some(role(1, &[31])));
    let octets = SignedApproval::unsigned(&approval(&[&order])).unwrap().as_octets().to_vec();
    let as_root = SignedRoot::from_octets(octets.clone()).sign(&key(31)).unwrap();
    let as_permit = SignedPermit::from_octets(octets).sign(&key(31)).unwrap();
    for octets in [as_root.as_octets(), as_permit.as_octets()] {
        let signed = SignedApproval::from_octets(octets.to_vec());
        let refused = root.check_approval(Some(&signed), &order.terms(), now()).unwrap_err();
        assert!(matches!(refused, ApprovalError::Signatures { valid: 0, .. }), "{refused}");
    }
    let permit = DowngradePermit {
        center: CenterId::new("CENTER").unwrap(),
        agents: Vec::new(),
        package: order.package,
        from: order.target.clone(),
        to: order.target.clone(),
        expires: now(),
    };
    let permit = SignedPermit::unsigned(&permit).unwrap().sign(&key(31)).unwrap();
    let as_approval = SignedApproval::from_octets(permit.as_octets().to_vec());
    assert!(root.check_approval(Some(&as_approval), &order.terms(), now()).is_err());
}

#[test]
fn an_approval_key_has_no_other_role() {
    for seed in [1, 11, 21] {
        let root = root(Some(role(1, &[31, seed])));
        let signed = SignedRoot::unsigned(&root).unwrap().sign(&key(1)).unwrap();
        let refused = TrustedRoot::first(&[signed]).unwrap_err();
        assert!(matches!(refused, RootError::ApprovalKey { .. }), "{refused}");
    }
    for role in [role(0, &[31]), role(2, &[31]), role(1, &[]), role(1, &[31, 31])] {
        let root = root(Some(role));
        assert!(matches!(root.check(), Err(RootError::Role { role: "approval", .. })));
    }
}

#[test]
fn a_root_without_approvers_is_written_as_before() {
    let text = serde_json::to_string(&root(None)).unwrap();
    assert!(!text.contains("approval"), "{text}");
    let with = root(Some(role(1, &[31])));
    assert_eq!(serde_json::from_str::<Root>(&serde_json::to_string(&with).unwrap()).unwrap(), with);
}

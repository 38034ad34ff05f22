//! Orders that are called back: before they begin, before they come, and too late.

use super::*;
use crate::update::{Wait, WaitFor};
use mailfmt::message::RecallOrder;
use mailfmt::parts::Parts;

/// An order with its package, and the id of its message.
fn order(site: &mut Site) -> (Vec<u8>, MessageId) {
    let (enclosure, _, order) = package_of(b"a module".to_vec());
    let mail = site.mail(&Message::Command(Command::Update(order)), &enclosure);
    (mail, MessageId::from_bytes([u8::try_from(site.sent).unwrap(); 16]))
}

fn recall(site: &mut Site, orders: &[MessageId]) -> Vec<u8> {
    site.command(Command::Recall(RecallOrder { orders: orders.to_vec() }))
}

fn state(site: &Site) -> UpdateState {
    site.store().update_orders_newest(1).unwrap().remove(0).state
}

fn move_to(site: &Site, state: &UpdateState) {
    let row = site.store().update_orders_newest(1).unwrap().remove(0);
    site.store().change(|change| change.move_update(&row, state, now())).unwrap();
}

/// Does not shrink, so that there is something to cut.
pub(super) fn incompressible() -> Vec<u8> {
    (0..100_u32).flat_map(|number| *Digest::of(&number.to_be_bytes()).as_bytes()).collect()
}

fn waiting() -> UpdateState {
    let wait = Wait {
        why: WaitFor::NextRestart,
        since: now(),
        report_at: now(),
        give_up_at: None,
        reported: false,
        tries: 1,
    };
    UpdateState::Waiting { wait, retry_at: None }
}

fn refusals(site: &Site) -> Vec<String> {
    let refusal = |report| match report {
        Report::UpdateResult(result) => match result.outcome {
            UpdateOutcome::Refused { reason } => Some(reason),
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    site.answers().into_iter().filter_map(refusal).collect()
}

#[test]
fn an_order_that_has_not_begun_ends_refused_and_says_why() {
    for before in [None, Some(UpdateState::Verified { wait: None }), Some(waiting())] {
        let mut site = Site::new();
        let (mail, id) = order(&mut site);
        assert_eq!(site.file(&mail), Filed::Accepted);
        before.iter().for_each(|state| move_to(&site, state));
        let recall = recall(&mut site, &[id]);
        assert_eq!(site.file(&recall), Filed::Accepted);
        assert!(matches!(state(&site), UpdateState::Refused { .. }), "{before:?}");
        assert_eq!(refusals(&site), ["called back by the center before it began"]);
        assert_eq!(site.file(&recall), Filed::Repeat);
        assert_eq!(site.file(&mail), Filed::Repeat);
        assert_eq!(refusals(&site).len(), 1);
    }
}

#[test]
fn an_order_that_its_recall_has_overtaken_is_refused_when_it_comes() {
    let mut site = Site::new();
    let (mail, id) = order(&mut site);
    let recall = recall(&mut site, &[id]);
    assert_eq!(site.file(&recall), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert!(site.store().update_orders_newest(1).unwrap().is_empty(), "nothing waits to be installed");
    assert_eq!(refusals(&site), ["called back by the center before it began"]);
}

#[test]
fn an_order_whose_parts_are_still_coming_is_given_up() {
    let mut site = Site::new();
    let (enclosure, _, whole) = package_of(incompressible());
    let parts = Parts::cut(&enclosure, 600, None, &Limits::default()).unwrap();
    let cut = UpdateOrder { parts: Some(parts.cutting().clone()), ..whole };
    let mail = site.command(Command::Update(cut));
    let id = MessageId::from_bytes([u8::try_from(site.sent).unwrap(); 16]);
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert!(matches!(state(&site), UpdateState::Collecting { .. }));
    let recall = recall(&mut site, &[id]);
    assert_eq!(site.file(&recall), Filed::Accepted);
    assert!(matches!(state(&site), UpdateState::Refused { .. }));
    assert_eq!(site.store().order_in_parts(id).unwrap(), None, "no key is kept");
}

#[test]
fn what_has_begun_goes_on_to_its_end() {
    let mut site = Site::new();
    let (mail, id) = order(&mut site);
    site.file(&mail);
    let undone = UpdateState::Undone { reason: "its script failed".into() };
    move_to(&site, &undone);
    let recall = recall(&mut site, &[id]);
    assert_eq!(site.file(&recall), Filed::Accepted);
    assert_eq!(state(&site), undone);
    assert!(refusals(&site).is_empty());
}

#[test]
fn other_orders_are_left_alone() {
    let mut site = Site::new();
    let (mail, _) = order(&mut site);
    site.file(&mail);
    move_to(&site, &waiting());
    let recall = recall(&mut site, &[MessageId::from_bytes([99; 16])]);
    assert_eq!(site.file(&recall), Filed::Accepted);
    assert!(matches!(state(&site), UpdateState::Waiting { .. }));
}

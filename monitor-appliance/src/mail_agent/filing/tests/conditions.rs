//! Orders that begin only at their hours: what is kept of them.

use super::*;
use mailfmt::conditions::Conditions;
use mailfmt::message::ConditionalOrder;
use mailfmt::parts::Parts;

fn nights() -> Conditions {
    Conditions { windows: vec!["Mo-Fr 20:00-06:00".parse().unwrap()], ..Conditions::default() }
}

fn when(order: UpdateOrder, conditions: Conditions) -> Message {
    Message::Command(Command::UpdateWhen(ConditionalOrder { order, conditions }))
}

#[test]
fn an_order_with_conditions_leaves_its_package_one_row_and_its_conditions() {
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let mut mail = enclosure;
    // As some gateways do.
    let behind = mail.clone();
    mail.extend(b"\r\n");
    let mail = site.mail(&when(order.clone(), nights()), &mail);
    assert_eq!((site.file(&mail), site.file(&mail)), (Filed::Accepted, Filed::Repeat));
    let row = site.store().update_orders_open().unwrap().remove(0);
    assert_eq!((row.package, row.state), (order.package, UpdateState::Received));
    assert_eq!(site.store().conditions_of(row.command).unwrap(), nights());
    let written = std::fs::read(site.context.layout.package_file(&order.package)).unwrap();
    assert_eq!(enclose(&written, &order.content_key), behind);
}

#[test]
fn conditions_are_kept_while_the_parts_of_the_package_come() {
    let mut site = Site::new();
    let (enclosure, _, order) = package_of(vec![7; 3_000]);
    let octets = u32::try_from(enclosure.len() / 2 + 1).unwrap().max(512);
    let Ok(parts) = Parts::cut(&enclosure, octets, None, &Limits::default()) else { panic!("not cut") };
    let order = UpdateOrder { parts: Some(parts.cutting().clone()), ..order };
    let mail = site.mail(&when(order, nights()), b"");
    assert_eq!(site.file(&mail), Filed::Accepted);
    let row = site.store().update_orders_open().unwrap().remove(0);
    assert!(matches!(row.state, UpdateState::Collecting { .. }), "{:?}", row.state);
    assert_eq!(site.store().conditions_of(row.command).unwrap(), nights());
}

#[test]
fn conditions_without_end_are_refused() {
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let endless = Conditions { windows: vec!["01:00-02:00".parse().unwrap(); 65], ..Conditions::default() };
    let mail = site.mail(&when(order, endless), &enclosure);
    assert_eq!(site.file(&mail), Filed::Accepted);
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(matches!(&result.outcome, UpdateOutcome::Refused { reason } if reason.contains("at most")));
    assert!(site.store().update_orders_open().unwrap().is_empty());
}

#[test]
fn an_order_without_conditions_has_none_and_those_of_orders_that_are_over_are_forgotten() {
    let mut site = Site::new();
    let (enclosure, _, order) = package();
    let plain = site.mail(&Message::Command(Command::Update(order.clone())), &enclosure);
    site.file(&plain);
    let row = site.store().update_orders_open().unwrap().remove(0);
    assert!(site.store().conditions_of(row.command).unwrap().is_empty());
    let mail = site.mail(&when(order, nights()), &enclosure);
    site.file(&mail);
    let row = site.store().update_orders_newest(1).unwrap().remove(0);
    let prune = |site: &Site| {
        let retention = &site.context.settings.retention;
        site.store().change(|change| change.prune(retention, now(), now())).unwrap();
    };
    prune(&site);
    assert_eq!(site.store().conditions_of(row.command).unwrap(), nights());
    let over = UpdateState::Refused { reason: "over".to_owned() };
    site.store().change(|change| change.move_update(&row, &over, now())).unwrap();
    prune(&site);
    assert!(site.store().conditions_of(row.command).unwrap().is_empty());
}

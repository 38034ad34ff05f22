//! Rollouts that other people have to approve before anything is sent.

use super::*;
use crate::db::audit;
use mailfmt::trust::{Approval, Role, Root, SignedApproval, SigningKey};
use mailfmt::{Command, Message};

fn key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

/// A root that asks for so many of keys 31 to 33.
fn root(threshold: u32) -> Root {
    Root {
        version: 2,
        center: "CENTER".parse().unwrap(),
        created: time("2002-11-01T00:00:00Z"),
        expires: time("2012-11-01T00:00:00Z"),
        root: Role::of(key(1).public()),
        release: Role::of(key(2).public()),
        command: Role::of(key(3).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: Some(Role { threshold, keys: [31, 32, 33].map(|seed| key(seed).public()).to_vec() }),
    }
}

impl Center {
    /// A rollout that so many people have to approve.
    fn waiting(appliances: usize, approvals: u32) -> Self {
        Self::with(Db::in_memory().unwrap(), appliances, Course::at_once(), approvals)
    }

    fn rollout(&self) -> Rollout {
        self.db.rollout(self.id).unwrap()
    }

    fn consent(&self) -> Consent {
        self.rollout().consent.unwrap()
    }

    /// What is to be signed, for so many days.
    fn document(&self, root: &Root, days: i64) -> SignedApproval {
        let expires = self.now + SignedDuration::from_hours(24 * days);
        to_sign(&self.rollout(), root, expires, self.now).unwrap()
    }

    fn approve(&mut self, who: &str, seed: u8, root: &Root) -> Result<Consent, ApprovingError> {
        let expires = self.now + SignedDuration::from_hours(24 * 30);
        let document = to_sign(&self.rollout(), root, expires, self.now)?;
        let signed = document.sign(&key(seed)).unwrap();
        approve(&mut self.db, self.id, root, &signed, who, self.now)
    }

    /// The orders in the outbox, with the time at which each expires.
    fn orders(&self) -> Vec<(mailfmt::message::UpdateOrder, Timestamp)> {
        let mut statement =
            self.db.read().prepare("SELECT payload, expires FROM outbox WHERE kind = 'update'").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
        let order = |(payload, expires): (String, i64)| {
            let message = Message::parse(mailfmt::message::Family::Command, payload.as_bytes()).unwrap();
            let Message::Command(Command::Update(order)) = message else { panic!("no order") };
            (order, Timestamp::from_millisecond(expires).unwrap())
        };
        rows.unwrap().map(|row| order(row.unwrap())).collect()
    }

    fn who_did_what(&self) -> Vec<String> {
        let deeds = self.db.deeds(100).unwrap();
        deeds.iter().map(|audit::Deed { who, what, .. }| format!("{who}: {what}")).collect()
    }
}

#[test]
fn nothing_is_sent_before_another_person_approves() {
    let root = root(1);
    let mut center = Center::waiting(3, 1);
    for _ in 0..3 {
        center.later(60);
    }
    assert!(center.recipients().is_empty());
    assert_eq!(center.db.rollout_wake(center.id).unwrap(), None, "it waits for people, not for time");
    assert_eq!(center.consent().in_words(), "waits for approval: 1 must approve");
    assert!(center.db.rollouts().unwrap()[0].waits_for_approval);

    let consent = center.approve("bert", 31, &root).unwrap();
    assert_eq!((consent.is_given(), consent.given[0].at), (true, center.now));
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 3)]);
    let orders = center.orders();
    let [(order, expires)] = orders.as_slice() else { panic!("{orders:?}") };
    root.check_approval(order.approval.as_ref(), &order.terms(), center.now).unwrap();
    assert!(*expires <= consent.expires.unwrap());
    assert!(!center.db.rollouts().unwrap()[0].waits_for_approval);
    assert_eq!(center.who_did_what(), ["anna: start", "bert: approve"]);
    assert!(matches!(
        center.approve("carl", 32, &root),
        Err(ApprovingError::Approve(ApproveError::Enough { .. }))
    ));
}

#[test]
fn who_started_it_does_not_approve_it_however_he_writes_his_name() {
    let root = root(1);
    let mut center = Center::waiting(1, 1);
    for who in ["anna", " Anna", "ANNA "] {
        let refused = center.approve(who, 31, &root).unwrap_err();
        assert!(matches!(refused, ApprovingError::Approve(ApproveError::SamePerson { .. })), "{refused}");
    }
    center.tick().unwrap();
    assert!(center.recipients().is_empty());
}

#[test]
fn two_approvals_are_two_people_with_two_keys() {
    let root = root(2);
    let mut center = Center::waiting(1, 2);
    assert!(center.approve("bert", 31, &root).unwrap().waits());
    center.tick().unwrap();
    assert!(center.recipients().is_empty(), "one is not enough");
    let again = center.approve("Bert", 32, &root).unwrap_err();
    assert!(matches!(again, ApprovingError::Approve(ApproveError::Again { .. })), "{again}");
    let same_key = center.approve("carl", 31, &root).unwrap_err();
    assert!(matches!(same_key, ApprovingError::Approve(ApproveError::NoSigner { .. })), "{same_key}");
    assert!(center.approve("carl", 33, &root).unwrap().is_given());
    center.tick().unwrap();
    let (order, _) = center.orders().remove(0);
    root.check_approval(order.approval.as_ref(), &order.terms(), center.now).unwrap();
}

#[test]
fn only_an_approval_key_under_the_very_document_counts() {
    let root = root(1);
    let mut center = Center::waiting(1, 1);
    for seed in [1, 2, 3, 99] {
        let refused = center.approve("bert", seed, &root).unwrap_err();
        assert!(
            matches!(refused, ApprovingError::Approve(ApproveError::NoSigner { .. })),
            "{seed}: {refused}"
        );
    }
    let said = center.document(&root, 30).peek().unwrap();
    for wrong in [
        Approval { orders: Vec::new(), ..said.clone() },
        Approval { center: "OTHER".parse().unwrap(), ..said.clone() },
        Approval { expires: center.now, ..said },
    ] {
        let signed = SignedApproval::unsigned(&wrong).unwrap().sign(&key(31)).unwrap();
        let refused = approve(&mut center.db, center.id, &root, &signed, "bert", center.now).unwrap_err();
        assert!(
            matches!(refused, ApprovingError::Approve(ApproveError::AnotherDocument { .. })),
            "{refused}"
        );
    }
    assert!(sign(&center.document(&root, 30), &root, &key(2)).is_err(), "the release key approves nothing");
    assert_eq!(center.consent().given, []);
}

#[test]
fn no_word_but_an_approval_lets_a_waiting_rollout_begin() {
    let mut center = Center::waiting(2, 1);
    let (id, now) = (center.id, center.now);
    assert!(matches!(
        conduct(&mut center.db, id, &Deed { act: Act::GoOn, who: "bert", reason: "" }, now),
        Err(ConductError::Consent(_))
    ));
    assert!(matches!(
        conduct(&mut center.db, id, &Deed { act: Act::ReleaseNext, who: "bert", reason: "" }, now),
        Err(ConductError::Consent(_))
    ));
    let retried = retry(&mut center.db, id, &[], "bert", now, &mut center.random);
    assert!(matches!(retried, Err(StartError::Consent(_))));
    // A stop and a late approval: it still takes a person to let it go on.
    conduct(&mut center.db, id, &Deed { act: Act::Stop, who: "bert", reason: "" }, now).unwrap();
    assert!(matches!(
        conduct(&mut center.db, id, &Deed { act: Act::GoOn, who: "bert", reason: "" }, now),
        Err(ConductError::Consent(_))
    ));
    center.approve("bert", 31, &root(1)).unwrap();
    center.tick().unwrap();
    assert!(center.recipients().is_empty());
    conduct(&mut center.db, id, &Deed { act: Act::GoOn, who: "bert", reason: "" }, now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 2)]);
}

#[test]
fn what_was_denied_ends_and_never_begins() {
    let mut center = Center::waiting(2, 1);
    let (id, now) = (center.id, center.now);
    deny(&mut center.db, id, "bert", "not before the inventory", now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.rollout().finished, Some(now));
    assert_eq!(center.consent().in_words(), "denied by bert: not before the inventory");
    assert!(matches!(
        center.approve("carl", 31, &root(1)),
        Err(ApprovingError::Approve(ApproveError::Denied(_)))
    ));
    let refused =
        conduct(&mut center.db, id, &Deed { act: Act::GoOn, who: "anna", reason: "" }, now).unwrap_err();
    assert!(refused.to_string().contains("denied by bert"), "{refused}");
    assert!(matches!(deny(&mut center.db, id, "carl", "", now), Err(ApprovingError::Denied(_))));
    assert!(center.recipients().is_empty());
    assert_eq!(center.who_did_what(), ["anna: start", "bert: deny", "daemon: finished"]);
}

#[test]
fn late_additions_go_out_under_the_same_approval() {
    let root = root(1);
    let mut center = Center::waiting(2, 1);
    center.approve("bert", 31, &root).unwrap();
    center.tick().unwrap();
    let new = NewAppliance {
        agent: agent(9),
        address: "agent9@example.com".to_owned(),
        customer: String::new(),
        tags: Vec::new(),
        credential: Credential::from_bytes([7; 32]),
    };
    center.db.add_appliances(&[new], center.now).unwrap();
    add(&mut center.db, center.id, &[agent(9)].into(), "anna", center.now).unwrap();
    center.tick().unwrap();
    let orders = center.orders();
    assert_eq!(orders.len(), 2);
    for (order, _) in &orders {
        root.check_approval(order.approval.as_ref(), &order.terms(), center.now).unwrap();
    }
}

#[test]
fn an_approval_that_expires_halts_the_rollout_until_somebody_gives_another() {
    let root = root(1);
    let mut center = Center::with(Db::in_memory().unwrap(), 12, Course::named("fast").unwrap(), 1);
    let signed = center.document(&root, 1).sign(&key(31)).unwrap();
    approve(&mut center.db, center.id, &root, &signed, "bert", center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.orders().len(), 1);
    center.later(24 * 60);
    assert!(center.consent().waits() && !center.rollout().stand.sends());
    assert_eq!(center.who_did_what().last().unwrap(), "daemon: approval expired");
    conduct(&mut center.db, center.id, &Deed { act: Act::ReleaseNext, who: "anna", reason: "" }, center.now)
        .unwrap_err();
    center.approve("carl", 32, &root).unwrap();
    assert!(center.rollout().stand.sends());
}

#[test]
fn a_rollout_that_nobody_has_to_approve_takes_no_approval() {
    let mut center = Center::in_memory(1);
    let (id, now) = (center.id, center.now);
    let signed = SignedApproval::from_octets(Vec::new());
    assert!(matches!(
        approve(&mut center.db, id, &root(1), &signed, "bert", now),
        Err(ApprovingError::Approve(ApproveError::NotAsked { .. }))
    ));
    assert!(matches!(deny(&mut center.db, id, "bert", "", now), Err(ApprovingError::NotWaiting { .. })));
    center.tick().unwrap();
    assert_eq!(center.orders()[0].0.approval, None);
}

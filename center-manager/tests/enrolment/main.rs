//! From a code on paper to an appliance that reports, and what happens to those who have no business there.

#![expect(clippy::unwrap_used, reason = "a test ends where its world does not hold")]

mod center;
mod daemon;
mod hostile;
mod post_office;
mod standing;

use center::{Center, Site, center_id, device, enrolled, start, talk};
use center_manager::db::appliances::ApplianceState;
use center_manager::db::enrolment::{CodeState, ContactStep};
use center_manager::db::filed::Filed;
use center_manager::db::journal::JournalFilter;
use center_manager::db::outbox::OutboxFilter;
use center_manager::enrolment::Refusal;
use center_manager::intake::{Discard, Verdict};
use mailfmt::crypto::Direction;
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::exchange::EphemeralSecret;
use mailfmt::message::Enrolment;
use mailfmt::message::enrolment::{Hardware, Hello, Registration};

fn refused(why: Refusal) -> Filed {
    Filed::Contact(ContactStep::Refused(why))
}

#[test]
fn a_box_with_a_code_becomes_an_appliance_with_all_its_devices() {
    let mut center = Center::new();
    let code = center.issue(1);
    let site = enrolled(&mut center, &code, 1);
    let admission = site.admission.as_ref().unwrap();
    assert_eq!(admission.agent.as_str(), "AGENT0000001");
    assert_eq!(admission.center, center_id());
    assert_eq!(admission.center_addresses, ["center@center.example", "second@center.example"]);
    assert_eq!(admission.settings.mail_poll_secs, Some(300));
    let appliance = center.db.appliance(&site.agent()).unwrap();
    assert_eq!(appliance.state, ApplianceState::Active);
    assert_eq!(
        (appliance.customer.as_str(), appliance.address.as_str()),
        ("aaa Trading", "monitor1@site.example")
    );
    assert_eq!(
        (appliance.tags.as_slice(), appliance.hardware.as_str()),
        (["tokyo".to_owned()].as_slice(), "x86_64")
    );
    assert_eq!(center.db.devices(Some(&site.agent())).unwrap().len(), 3);
    let line = center.db.code(&code.id().to_string(), center.now).unwrap();
    assert_eq!(
        (line.state, line.uses_left, line.agents.as_slice()),
        (CodeState::UsedUp, 0, [site.agent()].as_slice())
    );
    let journal = center.db.journal(&JournalFilter::default()).unwrap();
    assert_eq!(
        (journal[0].kind.as_str(), journal[0].description.as_str()),
        ("registration", "enrols with 3 devices")
    );
    assert!(
        site.heard.contains(&"version-request".to_owned()),
        "as after every installation: {:?}",
        site.heard
    );
}

#[test]
fn every_mail_may_come_twice_and_the_answer_is_the_same() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    assert_eq!(center.read(&site.hello()), Filed::Contact(ContactStep::Offered));
    let first = center.send();
    assert_eq!(center.read(&site.hello()), Filed::Contact(ContactStep::Repeated));
    let second = center.send();
    let registration = site.take(&first[0]).unwrap();
    let key = site.center_key;
    site.take(&second[0]).unwrap();
    assert_eq!(site.center_key, key, "the same offer");

    assert!(matches!(center.read(&registration), Filed::Contact(ContactStep::Admitted { .. })));
    let lost = center.send();
    assert_eq!(lost.len(), 1);
    assert_eq!(center.read(&registration), Filed::Contact(ContactStep::Repeated));
    let again = center.send();
    site.take(&lost[0]).unwrap();
    let admission = site.admission.clone().unwrap();
    site.take(&again[0]).unwrap();
    assert_eq!(site.admission, Some(admission), "the same admission");
    assert_eq!(center.db.appliances().unwrap().len(), 1);
    assert_eq!(center.db.code(&code.id().to_string(), center.now).unwrap().agents.len(), 1);
}

#[test]
fn lost_mails_are_sent_again_until_the_appliance_is_heard() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    // Every first mail of each kind is lost, in both directions.
    center.read(&site.hello());
    center.send();
    center.read(&site.hello());
    let offer = center.send();
    let registration = site.take(&offer[0]).unwrap();
    center.read(&registration);
    center.send();
    // The code has run out meanwhile; whoever is in stays in.
    center.later(24 * 6);
    center.read(&registration);
    let admission = center.send();
    let health = site.take(&admission[0]).unwrap();
    center.later(24 * 3);
    talk(&mut center, &mut site, Some(health));
    assert_eq!(center.db.appliance(&site.agent()).unwrap().state, ApplianceState::Active);
}

#[test]
fn a_code_for_several_agents_lets_in_so_many_and_no_more() {
    let mut center = Center::new();
    let code = center.issue(3);
    let agents: Vec<_> = (1..=3).map(|number| enrolled(&mut center, &code, number).agent()).collect();
    assert_eq!(
        agents.iter().map(mailfmt::AgentId::as_str).collect::<Vec<_>>(),
        ["AGENT0000001", "AGENT0000002", "AGENT0000003"]
    );
    let fourth = Site::new(&code, 4);
    center.read(&fourth.hello());
    assert!(center.send().is_empty(), "no answer");
    let attempts = center.db.enrolment_attempts(Some(&code.id())).unwrap();
    assert_eq!((attempts.len(), attempts[0].reason.as_str()), (1, "the code was used up"));
    let alarms = center.db.alarms(None, false).unwrap();
    assert_eq!(
        (alarms.len(), alarms[0].kind.as_str()),
        (1, "enrolment-attempt"),
        "a code tried again is told"
    );
}

#[test]
fn two_boxes_with_one_code_for_one_race_and_one_gets_in() {
    let mut center = Center::new();
    let code = center.issue(1);
    let (mut one, mut other) = (Site::new(&code, 1), Site::new(&code, 2));
    center.read(&one.hello());
    center.read(&other.hello());
    let offers = center.send();
    let first = one.take(&offers[0]).unwrap();
    let second = other.take(&offers[1]).unwrap();
    assert!(matches!(center.read(&first), Filed::Contact(ContactStep::Admitted { .. })));
    assert_eq!(center.read(&second), refused(Refusal::UsedUp));
    assert_eq!(center.send().len(), 1);
    assert_eq!(center.db.appliances().unwrap().len(), 1);
    assert!(center.db.devices(None).unwrap().iter().all(|device| device.device.serial.starts_with("S1-")));
}

#[test]
fn under_an_unknown_an_expired_and_a_revoked_code_nothing_is_answered_and_all_is_recorded() {
    let mut center = Center::new();
    let unknown = ProvisionalCode::generate(&mut center::random(5));
    let (expired, revoked) = (center.issue(1), center.issue(1));
    center.db.revoke_code(&revoked.id(), "kim", center.now).unwrap();
    center.later(24 * 8);
    for code in [&unknown, &expired, &revoked] {
        let filed = center.read(&Site::new(code, 1).hello());
        assert!(matches!(filed, Filed::Discarded(_) | Filed::Contact(ContactStep::Refused(_))), "{filed:?}");
    }
    assert!(center.send().is_empty());
    assert!(center.db.appliances().unwrap().is_empty() && center.db.devices(None).unwrap().is_empty());
    let reason = |code: Option<&ProvisionalCode>| {
        center.db.enrolment_attempts(code.map(ProvisionalCode::id).as_ref()).unwrap()[0].reason.clone()
    };
    assert_eq!(reason(None), "there is no such code");
    assert_eq!(reason(Some(&expired)), "the code had expired");
    assert_eq!(reason(Some(&revoked)), "the code was revoked");
    let line = center.db.code(&revoked.id().to_string(), center.now).unwrap();
    assert_eq!((line.state, line.revoked_by.as_str(), line.refused), (CodeState::Revoked, "kim", 1));
}

#[test]
fn a_code_that_ends_takes_its_secrets_with_it() {
    let mut center = Center::new();
    let (used, expired, revoked) = (center.issue(1), center.issue(1), center.issue(1));
    for code in [&expired, &revoked] {
        center.read(&Site::new(code, 7).hello());
    }
    assert_eq!(center.db.open_codes().unwrap().len(), 3);
    enrolled(&mut center, &used, 1);
    assert!(!center.db.open_codes().unwrap().contains_key(&used.id()), "used up and confirmed");
    center.db.revoke_code(&revoked.id(), "kim", center.now).unwrap();
    assert!(!center.db.open_codes().unwrap().contains_key(&revoked.id()));
    center.later(24 * 8);
    assert!(center.db.open_codes().unwrap().is_empty(), "expired");
    let admissions = center.db.outbox(OutboxFilter::All, 100).unwrap();
    assert!(admissions.iter().any(|line| line.kind == "admission"));
    assert!(center.db.pending_credentials().unwrap().is_empty());
}

#[test]
fn a_code_that_leaks_afterwards_opens_nothing_that_was_recorded() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    center.read(&site.hello());
    let offer = center.send();
    let registration = site.take(&offer[0]).unwrap();
    center.read(&registration);
    let admission = center.send();
    // The thief has the code and every mail, but none of the halves.
    let thief = EphemeralSecret::generate(&mut center::random(666));
    let halves =
        mailfmt::exchange::Halves { appliance: site.half.public(), center: site.center_key.unwrap() };
    let guessed = mailfmt::enrolment::session(&code, &thief, &site.center_key.unwrap(), halves).unwrap();
    for (raw, direction) in
        [(&registration, Direction::ToCenter), (&admission[0].raw, Direction::ToAppliance)]
    {
        let mailfmt::mail::Classified::Ours { attachment } =
            mailfmt::mail::classify(raw, &Default::default())
        else {
            panic!("not ours")
        };
        for key in [code.channel(direction), guessed.channel(direction)] {
            assert!(mailfmt::envelope::open(&attachment, &key, &Default::default(), start()).is_err());
        }
    }
}

#[test]
fn a_registration_under_the_code_alone_or_for_another_exchange_is_not_taken() {
    let mut center = Center::new();
    let code = center.issue(2);
    let (mut site, mut other) = (Site::new(&code, 1), Site::new(&code, 2));
    center.read(&site.hello());
    center.read(&other.hello());
    let offers = center.send();
    site.take(&offers[0]).unwrap();
    other.take(&offers[1]).unwrap();
    let registration = Registration {
        appliance_key: site.half.public(),
        address: site.address.clone(),
        hardware: Hardware { machine: String::new(), class: String::new() },
        software: "1.0.00-1".parse().unwrap(),
        devices: Vec::new(),
        clock: start(),
    };
    let word = Enrolment::Registration(registration);
    let under_code = site.word(word.clone(), &code.channel(Direction::ToCenter), 3);
    assert_eq!(center.read(&under_code), refused(Refusal::NotExpected));
    let in_the_others_name = site.word(word, &other.session().channel(Direction::ToCenter), 3);
    assert_eq!(center.read(&in_the_others_name), refused(Refusal::NotExpected));
    assert!(center.send().is_empty() && center.db.appliances().unwrap().is_empty());
}

#[test]
fn the_center_is_not_made_to_write_to_itself_or_for_ever() {
    let mut center = Center::new();
    let code = center.issue(1);
    let site = Site::new(&code, 1);
    let loop_back = Hello { appliance_key: site.half.public(), reply_to: "CENTER@center.example".to_owned() };
    let loop_back = site.word(Enrolment::Hello(loop_back), &code.channel(Direction::ToCenter), 1);
    assert_eq!(center.read(&loop_back), refused(Refusal::Address));
    let hello = site.hello();
    let mut answers = 0;
    for _ in 0..200 {
        center.read(&hello);
        answers += center.send().len();
    }
    assert!((1..=64).contains(&answers), "{answers}");
    for number in 10..60 {
        center.read(&Site::new(&code, number).hello());
    }
    assert!(center.send().len() <= 16, "beginnings are capped");
}

#[test]
fn words_of_enrolment_do_not_open_as_reports_nor_reports_as_words_of_enrolment() {
    let mut center = Center::new();
    let code = center.issue(2);
    let mut site = enrolled(&mut center, &code, 1);
    // The family stands in the authenticated header: turning it over breaks the seal.
    let mut raw_hello = Site::new(&code, 2).hello();
    assert!(matches!(center.judge(&raw_hello), Verdict::Contact(_)));
    raw_hello = turned(&raw_hello, 2);
    assert_eq!(center.judge(&raw_hello), Verdict::Discarded(Discard::UnknownSender));
    let report = turned(&site.health(), 4);
    assert!(matches!(center.judge(&report), Verdict::Knock { code: None, reason: Discard::UnknownCode, .. }));
}

/// The mail with another family in its envelope's header.
fn turned(raw: &[u8], family: u8) -> Vec<u8> {
    let limits = Default::default();
    let mailfmt::mail::Classified::Ours { mut attachment } = mailfmt::mail::classify(raw, &limits) else {
        panic!("not ours")
    };
    attachment[4] = family;
    let header = mailfmt::envelope::peek(&attachment, &limits).unwrap().header;
    let letter = mailfmt::mail::Letter {
        from: "x@site.example",
        to: None,
        header: &header,
        date: header.created,
        sending: 1,
    };
    mailfmt::mail::compose(&letter, &attachment)
}

#[test]
fn a_serial_that_another_site_reports_is_told_to_the_operator_and_moved_nowhere() {
    let mut center = Center::new();
    let code = center.issue(2);
    let first = enrolled(&mut center, &code, 1);
    let mut second = Site::new(&code, 2);
    second.devices = vec![device("S1-0"), device("S2-0")];
    let hello = second.hello();
    talk(&mut center, &mut second, Some(hello));
    let remarks = &second.admission.as_ref().unwrap().remarks;
    assert!(
        remarks.iter().any(|remark| remark.contains("S1-0") && remark.contains("another site")),
        "{remarks:?}"
    );
    assert!(!remarks.iter().any(|remark| remark.contains(first.agent().as_str())), "not which: {remarks:?}");
    assert_eq!(center.db.devices(Some(&first.agent())).unwrap().len(), 3);
    assert!(center.db.alarms(None, false).unwrap().iter().any(|alarm| alarm.kind == "device-conflict"));
}

#[test]
fn a_box_that_moves_keeps_its_id_and_history_and_its_old_credential_dies_when_it_is_heard() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut before = enrolled(&mut center, &code, 1);
    let code = center.issue(1);
    let mut after = Site::new(&code, 2);
    after.machine = before.machine.clone();
    center.read(&after.hello());
    let offer = center.send();
    let registration = after.take(&offer[0]).unwrap();
    center.read(&registration);
    let admission = center.send();
    let first_word = after.take(&admission[0]).unwrap();
    assert_eq!(after.agent(), before.agent());
    // Until the new credential is heard, nothing has changed for the old one.
    assert!(matches!(center.read(&before.health()), Filed::New { .. }));
    assert_eq!(center.db.appliance(&before.agent()).unwrap().address, "monitor1@site.example");
    talk(&mut center, &mut after, Some(first_word));
    assert_eq!(center.db.appliance(&before.agent()).unwrap().address, "monitor2@site.example");
    assert_eq!(center.read(&before.health()), Filed::Discarded(Discard::WrongKey));
    assert!(matches!(center.read(&after.health()), Filed::New { .. }));
    assert_eq!(center.db.appliances().unwrap().len(), 1);
    assert!(
        center
            .db
            .alarms(None, false)
            .unwrap()
            .iter()
            .all(|alarm| alarm.kind != "cloned" && alarm.kind != "restored")
    );
}

#[test]
fn a_new_box_takes_over_an_id_by_the_operators_choice_also_from_a_suspended_one() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut stolen = enrolled(&mut center, &code, 1);
    center.db.suspend_appliance(&stolen.agent(), "stolen", center.now).unwrap();
    let code = center.issue_as(1, Some(&stolen.agent()));
    let mut successor = enrolled(&mut center, &code, 2);
    assert_eq!(successor.agent(), stolen.agent());
    assert_eq!(
        center.db.appliance(&stolen.agent()).unwrap().state,
        ApplianceState::Active,
        "no longer suspended"
    );
    assert_eq!(center.read(&stolen.health()), Filed::Discarded(Discard::WrongKey));
    assert!(matches!(center.read(&successor.health()), Filed::New { .. }));
}

#[test]
fn the_box_of_a_suspended_appliance_is_not_let_in_by_a_code() {
    let mut center = Center::new();
    let code = center.issue(1);
    let site = enrolled(&mut center, &code, 1);
    center.db.suspend_appliance(&site.agent(), "contract ended", center.now).unwrap();
    let code = center.issue(1);
    let mut again = Site::new(&code, 2);
    again.machine = site.machine.clone();
    center.read(&again.hello());
    let offer = center.send();
    let registration = again.take(&offer[0]).unwrap();
    assert_eq!(center.read(&registration), refused(Refusal::Suspended));
    assert!(center.send().is_empty());
    assert!(!center.db.alarms(None, false).unwrap().is_empty());
}

#[test]
fn a_revoked_code_shuts_out_whom_it_let_in_and_who_was_not_heard_yet() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    center.read(&site.hello());
    let offer = center.send();
    let registration = site.take(&offer[0]).unwrap();
    center.read(&registration);
    let admission = center.send();
    let suspended = center.db.revoke_code(&code.id(), "kim", center.now).unwrap();
    let health = site.take(&admission[0]).unwrap();
    assert_eq!(suspended, [site.agent()]);
    assert_eq!(center.read(&health), Filed::Discarded(Discard::Suspended));
    assert!(center.send().is_empty());
}

#[test]
fn the_code_stands_in_no_list_and_no_mail() {
    let mut center = Center::new();
    let code = center.issue(1);
    let mut site = Site::new(&code, 1);
    let mut all = vec![site.hello()];
    center.read(&site.hello());
    let mails = center.send();
    all.extend(mails.iter().map(|mail| mail.raw.clone()));
    all.extend(site.take(&mails[0]));
    let printed = code.expose();
    let bare = printed.replace('-', "");
    for raw in &all {
        let text = String::from_utf8_lossy(raw);
        assert!(!text.contains(printed.as_str()) && !text.contains(&bare));
    }
    let line = serde_json::to_string(&center.db.codes(true, center.now).unwrap()).unwrap();
    let exchanges = serde_json::to_string(&center.db.exchanges(&code.id()).unwrap()).unwrap();
    assert!(!line.contains(printed.as_str()) && !exchanges.contains(&site.half.expose_hex()[..]));
    assert!(!format!("{:?}", center.db.open_codes().unwrap()).contains(printed.as_str()));
}

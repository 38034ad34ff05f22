use super::*;
use crate::db::filed::Filed;
use crate::enrolment::{Contact, Refusal};
use crate::intake::{Discard, Verdict};
use crate::sample::{Numbers, device, later, now, rules};
use jiff::SignedDuration;
use mailfmt::message::Enrolment;
use mailfmt::message::enrolment::{Hardware, Hello, Registration};

fn code(seed: u64) -> ProvisionalCode {
    ProvisionalCode::generate(&mut Numbers::new(seed))
}

fn half(seed: u64) -> EphemeralPublic {
    EphemeralSecret::generate(&mut Numbers::new(seed)).public()
}

/// A database with one code for one appliance.
fn with_code() -> (Db, ProvisionalCode) {
    let mut db = Db::in_memory().unwrap();
    let code = code(1);
    let new = NewCode {
        code: code.clone(),
        customer: "aaa".to_owned(),
        tags: Vec::new(),
        replaces: None,
        uses: 1,
        expires: later(7 * 86_400),
        by: "kim".to_owned(),
    };
    db.issue_codes(&[new], now()).unwrap();
    (db, code)
}

fn file(db: &mut Db, verdict: Verdict) -> Result<Filed, DbError> {
    let rules = rules(SignedDuration::from_hours(24));
    // Every filing draws numbers of its own.
    let seed = match &verdict {
        Verdict::Contact(contact) => contact.message.as_bytes()[0],
        _ => 0,
    };
    Ok(db.file(&[verdict], now(), &rules, &mut Numbers::new(700 + u64::from(seed)))?.remove(0))
}

fn contact(code: &ProvisionalCode, exchange: Option<i64>, id: u8, word: Enrolment) -> Verdict {
    Verdict::Contact(Box::new(Contact {
        code: code.id(),
        exchange,
        message: MessageId::from_bytes([id; 16]),
        sequence: 1,
        created: now(),
        word,
        payload: "{}".to_owned(),
    }))
}

fn hello(code: &ProvisionalCode, seed: u64, id: u8) -> Verdict {
    let hello = Hello { appliance_key: half(seed), reply_to: "a@site.example".to_owned() };
    contact(code, None, id, Enrolment::Hello(hello))
}

fn registration(code: &ProvisionalCode, seed: u64, exchange: i64, id: u8) -> Verdict {
    let registration = Registration {
        appliance_key: half(seed),
        address: "a@site.example".to_owned(),
        hardware: Hardware { machine: "m".to_owned(), class: "x86_64".to_owned() },
        software: "1.0.00-1".parse().unwrap(),
        devices: vec![device("S1"), device("S2")],
        clock: now(),
    };
    contact(code, Some(exchange), id, Enrolment::Registration(registration))
}

fn knock(code: &ProvisionalCode, id: u8) -> Verdict {
    let message = MessageId::from_bytes([id; 16]);
    Verdict::Knock { code: Some(code.id()), message, reason: Discard::UnknownCode }
}

#[test]
fn an_admission_that_fails_half_way_leaves_nothing_and_is_done_whole_afterwards() {
    let (mut db, code) = with_code();
    file(&mut db, hello(&code, 1, 1)).unwrap();
    db.write(|transaction| {
        transaction.execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON outbox WHEN NEW.kind = 'admission'
             BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        )
    })
    .unwrap();
    assert!(file(&mut db, registration(&code, 1, 1, 2)).is_err());
    assert!(db.appliances().unwrap().is_empty() && db.devices(None).unwrap().is_empty());
    assert_eq!(db.code("E", now()).unwrap().uses_left, 1);
    db.write(|transaction| transaction.execute_batch("DROP TRIGGER full")).unwrap();
    let filed = file(&mut db, registration(&code, 1, 1, 2)).unwrap();
    assert!(matches!(filed, Filed::Contact(ContactStep::Admitted { .. })), "{filed:?}");
    assert_eq!((db.appliances().unwrap().len(), db.devices(None).unwrap().len()), (1, 2));
}

#[test]
fn a_flood_of_made_up_codes_is_one_row() {
    let (mut db, _) = with_code();
    for made_up in 100..400 {
        file(&mut db, knock(&code(made_up), 1)).unwrap();
    }
    let attempts = db.enrolment_attempts(None).unwrap();
    assert_eq!((attempts.len(), attempts[0].count), (1, 300));
    assert!(db.alarms(None, false).unwrap().is_empty());
}

#[test]
fn a_late_copy_is_no_attempt_but_a_new_word_under_a_code_that_ended_is_one() {
    let (mut db, code) = with_code();
    file(&mut db, hello(&code, 1, 1)).unwrap();
    file(&mut db, registration(&code, 1, 1, 2)).unwrap();
    db.write(|transaction| first_heard(transaction, &"AGENT0000001".parse().unwrap(), now())).unwrap();
    assert!(db.open_codes().unwrap().is_empty());
    file(&mut db, knock(&code, 1)).unwrap();
    file(&mut db, knock(&code, 2)).unwrap();
    assert!(db.alarms(None, false).unwrap().is_empty());
    file(&mut db, knock(&code, 3)).unwrap();
    file(&mut db, knock(&code, 4)).unwrap();
    let alarms = db.alarms(None, false).unwrap();
    assert_eq!((alarms.len(), alarms[0].count), (1, 2));
    let reasons: Vec<_> =
        db.enrolment_attempts(Some(&code.id())).unwrap().iter().map(|line| line.reason.clone()).collect();
    assert!(reasons.contains(&Refusal::UsedUp.to_string()) && reasons.contains(&Refusal::Over.to_string()));
}

#[test]
fn a_word_judged_before_its_code_ended_is_refused_when_it_is_filed() {
    let (mut db, code) = with_code();
    let judged = hello(&code, 1, 1);
    db.revoke_code(&code.id(), "kim", now()).unwrap();
    assert_eq!(file(&mut db, judged).unwrap(), Filed::Contact(ContactStep::Refused(Refusal::Revoked)));
    assert!(db.due(now(), 10).unwrap().is_empty());
}

#[test]
fn a_half_that_is_no_proper_key_is_refused_and_told() {
    let (mut db, code) = with_code();
    let weak: EphemeralPublic = "00".repeat(32).try_into().unwrap();
    let word = Enrolment::Hello(Hello { appliance_key: weak, reply_to: "a@site.example".to_owned() });
    let filed = file(&mut db, contact(&code, None, 1, word)).unwrap();
    assert_eq!(filed, Filed::Contact(ContactStep::Refused(Refusal::WeakKey)));
    assert_eq!(db.alarms(None, false).unwrap().len(), 1);
}

#[test]
fn a_center_without_roots_lets_nobody_in_and_loses_no_use_of_a_code() {
    let (mut db, code) = with_code();
    let with = rules(SignedDuration::from_hours(24));
    let mut without = with.clone();
    without.admission.roots.clear();
    let filed = db.file(&[hello(&code, 1, 1)], now(), &without, &mut Numbers::new(1)).unwrap();
    assert_eq!(filed, [Filed::Contact(ContactStep::Refused(Refusal::NoRoots))]);
    assert_eq!(db.alarms(None, false).unwrap()[0].kind, "no-roots");
    let filed = db.file(&[hello(&code, 1, 1)], now(), &with, &mut Numbers::new(1)).unwrap();
    assert_eq!(filed, [Filed::Contact(ContactStep::Offered)]);
    assert!(db.alarms(None, false).unwrap().is_empty(), "over by itself");
}

use super::*;
use crate::db::outbox::{NewMail, Priority, Try};
use crate::intake::Verdict;
use crate::sample::{Numbers, Posting, agent, fleet, jam, later, now, rules};
use crate::sending::plan;
use jiff::SignedDuration;
use mailfmt::mail::Mangled;
use mailfmt::message::command::PingRequest;
use mailfmt::{Command, Message};

const ID: MessageId = MessageId::from_bytes([9; 16]);

/// A ping to two appliances, taken by our mail server with an attachment.
fn sent() -> (Db, OutboxId) {
    let mut db = fleet(2);
    let message = Message::Command(Command::Ping(PingRequest {}));
    let mail = NewMail {
        message: &message,
        id: ID,
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now(),
        expires: later(86_400 * 14),
        not_before: now(),
    };
    let outbox = db.enqueue(&mail, &[agent(1), agent(2)]).unwrap();
    taken(&mut db, now());
    (db, outbox)
}

/// Our mail server takes all that is due; in which form it went to whom.
fn taken(db: &mut Db, at: Timestamp) -> Vec<(AgentId, Form)> {
    let due = db.due(at, 100).unwrap();
    let tries: Vec<_> = due.iter().map(|due| (due.outbox, due.agent.clone(), Try::Accepted)).collect();
    let forms: Vec<_> = due.iter().map(|due| (due.outbox, due.agent.clone(), due.form)).collect();
    db.record_tries(&tries, at).unwrap();
    db.note_forms(&forms, at).unwrap();
    forms.into_iter().map(|(_, agent, form)| (agent, form)).collect()
}

fn file(db: &mut Db, verdict: Verdict, at: Timestamp) {
    db.file(&[verdict], at, &rules(SignedDuration::from_hours(24)), &mut Numbers::new(5)).unwrap();
}

fn mangled_mail(address: &str) -> Verdict {
    Verdict::Mangled(Mangled {
        how: Mangling::Stripped,
        message: None,
        from: Some(address.to_owned()),
        detail: String::new(),
    })
}

#[test]
fn a_stripped_report_brings_its_commands_again_as_armoured_text_and_only_those() {
    let (mut db, outbox) = sent();
    file(&mut db, mangled_mail("AGENT1@site.example"), later(60));
    assert_eq!(taken(&mut db, later(61)), [(agent(1), Form::Armoured)]);
    let way = db.way(&agent(1)).unwrap();
    assert!(way.form == Form::Armoured && way.reason.contains("stripped"), "{way:?}");
    let mangled = db.mangled(&agent(1)).unwrap();
    assert!(matches!(mangled.as_slice(), [mails] if mails.count == 1 && !mails.to_appliance), "{mangled:?}");
    assert_eq!(db.way(&agent(2)).unwrap(), Way::default());
    assert!(db.is_armoured(outbox).unwrap());
}

#[test]
fn recipients_of_different_forms_get_different_mails() {
    let (mut db, _) = sent();
    file(&mut db, mangled_mail("agent1@site.example"), later(60));
    let message = Message::Command(Command::Ping(PingRequest {}));
    let mail = NewMail {
        message: &message,
        id: MessageId::from_bytes([10; 16]),
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: later(70),
        expires: later(86_400),
        not_before: later(70),
    };
    let outbox = db.enqueue(&mail, &[agent(1), agent(2)]).unwrap();
    let due: Vec<_> =
        db.due(later(70), 100).unwrap().into_iter().filter(|due| due.outbox == outbox).collect();
    let forms: Vec<_> = plan(&due, 50).iter().map(|plan| plan.recipients[0].form).collect();
    assert_eq!(forms, [Form::Opaque, Form::Armoured]);
}

#[test]
fn a_command_that_only_its_armoured_sending_had_answered_teaches_the_way_and_a_week_later_an_attachment_is_tried()
 {
    let (mut db, outbox) = sent();
    db.note_forms(&[(outbox, agent(1), Form::Opaque), (outbox, agent(1), Form::Armoured)], later(10))
        .unwrap();
    let mut posting = Posting::of(1, jam("e1"));
    posting.in_reply_to = Some(ID);
    let verdict = crate::intake::judge(
        &posting.raw(),
        &crate::sample::keyring(2),
        &mailfmt::Limits::default(),
        later(20),
    );
    file(&mut db, verdict, later(20));
    assert_eq!(db.way(&agent(1)).unwrap().form, Form::Armoured);
    let week = 7 * 86_400 + 30;
    let message = Message::Command(Command::Ping(PingRequest {}));
    let mail = NewMail {
        message: &message,
        id: MessageId::from_bytes([11; 16]),
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: later(week),
        expires: later(week + 86_400),
        not_before: later(week),
    };
    db.enqueue(&mail, &[agent(1)]).unwrap();
    let forms = taken(&mut db, later(week));
    assert!(forms.contains(&(agent(1), Form::Opaque)), "{forms:?}");
    assert!(db.way(&agent(1)).unwrap().probe > Some(later(week)), "one at a time");
}

#[test]
fn what_an_appliance_tells_of_mangled_mails_is_counted() {
    let mut db = fleet(1);
    let told =
        BTreeMap::from([("attachment stripped by a gateway".to_owned(), 3), ("odd\u{7}".to_owned(), 1)]);
    db.write(|transaction| super::told(transaction, &agent(1), &told, now())).unwrap();
    let mangled = db.mangled(&agent(1)).unwrap();
    assert_eq!(mangled.iter().map(|mails| mails.count).collect::<Vec<_>>(), [3, 1]);
    assert!(mangled.iter().all(|mails| mails.to_appliance && !mails.how.contains('\u{7}')));
    assert_eq!(db.way(&agent(1)).unwrap().form, Form::Armoured);
}

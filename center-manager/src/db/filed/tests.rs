use super::*;
use crate::db::devices::Readings;
use crate::db::journal::JournalFilter;
use crate::db::outbox::{OutboxId, Transport, Try};
use crate::intake::judge;
use crate::sample::{
    Numbers, Posting, agent, cleared, counters, credential, fleet, jam, keyring, later, now, printer, rules,
    version,
};
use mailfmt::crypto::Direction;
use mailfmt::mail::returned::{Recipient, Returned, Standing, Status};
use mailfmt::message::SupplyLevel;
use mailfmt::{Command, Limits, Nonce, envelope, sequence};

/// A center with two appliances, fed with raw mails.
struct World {
    db: Db,
    numbers: Numbers,
}

impl World {
    fn new() -> Self {
        Self { db: fleet(2), numbers: Numbers::new(1) }
    }

    fn file(&mut self, raw: &[Vec<u8>], at: Timestamp) -> Vec<Filed> {
        let keyring = keyring(2);
        let verdicts: Vec<_> = raw.iter().map(|raw| judge(raw, &keyring, &Limits::default(), at)).collect();
        self.db.file(&verdicts, at, &rules(SignedDuration::from_hours(24)), &mut self.numbers).unwrap()
    }

    fn file_one(&mut self, posting: &Posting, at: Timestamp) -> Filed {
        self.file(&[posting.raw()], at).pop().unwrap()
    }

    fn file_all(&mut self, postings: &[Posting]) -> Vec<Filed> {
        self.file(&postings.iter().map(Posting::raw).collect::<Vec<_>>(), now())
    }

    /// Every receipt that is due, opened as its appliance opens it: message id, sequence, receipt.
    fn receipts(&self, at: Timestamp) -> Vec<(MessageId, u64, Receipt)> {
        let due = self.db.due(at, 100).unwrap();
        due.into_iter()
            .filter_map(|due| {
                let outgoing = self.db.outgoing(due.outbox).unwrap().unwrap();
                let key = credential(&due.agent).channel(
                    Direction::ToAppliance,
                    &due.agent,
                    &crate::sample::center(),
                );
                let from = crate::sending::From {
                    center: &crate::sample::center(),
                    address: "center@center.example",
                    signer: None,
                    follows: None,
                    begins: None,
                    date: now(),
                    latest: None,
                    slot: None,
                };
                let recipients = [(due, key.clone())];
                let mail = crate::sending::write_mail(
                    &outgoing,
                    1,
                    &recipients,
                    from,
                    crate::sending::Behind::Nothing,
                    &mut Numbers::new(3),
                )
                .unwrap();
                let limits = Limits::default();
                let mailfmt::mail::Classified::Ours { attachment } =
                    mailfmt::mail::classify(&mail.raw, &limits)
                else {
                    panic!("not ours")
                };
                let opened = envelope::open(&attachment, &key, &limits, at).unwrap();
                let Message::Receipt(receipt) = opened.message().unwrap() else { return None };
                Some((opened.header().message, opened.sequence(), receipt))
            })
            .collect()
    }
}

#[test]
fn a_report_gets_a_receipt_that_says_what_was_understood() {
    let mut world = World::new();
    let posting = Posting::of(1, jam("e1"));
    let filed = world.file_one(&posting, now());
    assert!(matches!(filed, Filed::New { number: 1, .. }), "{filed:?}");
    let receipts = world.receipts(now());
    let [(_, sequence, receipt)] = receipts.as_slice() else { panic!("{receipts:?}") };
    let expected = Receipt {
        report: posting.id,
        number: 1,
        received: now(),
        content: "fault".to_owned(),
        description: "jam in media path of Kyocera ECOSYS P2040dw VD21457943".to_owned(),
        latest: None,
    };
    assert_eq!((sequence::epoch_of(*sequence), receipt), (sequence::new_epoch(now(), 0), &expected));
}

#[test]
fn the_first_word_of_an_appliance_is_followed_by_one_question_for_its_version() {
    let mut world = World::new();
    world.file_all(&[Posting::of(1, jam("e1")).numbered(1), Posting::of(1, jam("e2")).numbered(2)]);
    let due = world.db.due(now(), 10).unwrap();
    let questions: Vec<_> = due
        .iter()
        .map(|due| world.db.outgoing(due.outbox).unwrap().unwrap().payload)
        .filter(|payload| payload.contains("version-request"))
        .collect();
    assert_eq!(questions.len(), 1, "{questions:?}");
}

#[test]
fn a_repeated_report_gets_the_same_receipt_again_and_changes_nothing() {
    let mut world = World::new();
    let posting = Posting::of(1, counters(4711, now()));
    world.file_one(&posting, now());
    let first = world.receipts(now());
    let sent: Vec<_> = world
        .db
        .due(now(), 10)
        .unwrap()
        .into_iter()
        .map(|due| (due.outbox, due.agent, Try::Accepted))
        .collect();
    world.db.record_tries(&sent, now()).unwrap();
    assert!(world.receipts(now()).is_empty(), "the receipt is on its way");

    let again = world.file_one(&posting, later(3600));
    assert_eq!(again, Filed::Repeat { number: 1 });
    assert_eq!(world.receipts(later(3600)), first);
    let entries = world.db.journal(&JournalFilter::default()).unwrap();
    assert_eq!((entries.len(), entries[0].repeats), (1, 1));
    assert_eq!(
        world.db.counters(None, Readings::All).unwrap().len(),
        2,
        "one count, one `not collected yet`"
    );
}

#[test]
fn a_report_doubled_within_one_batch_is_filed_once() {
    let mut world = World::new();
    let filed = world.file_all(&[Posting::of(1, jam("e1")), Posting::of(1, jam("e1"))]);
    assert!(matches!(filed.as_slice(), [Filed::New { .. }, Filed::Repeat { number: 1 }]), "{filed:?}");
    assert_eq!(world.receipts(now()).len(), 1);
}

#[test]
fn a_report_repeated_after_its_receipt_was_forgotten_gets_the_same_words() {
    let mut world = World::new();
    let posting = Posting::of(1, jam("e1"));
    world.file_one(&posting, now());
    let first = world.receipts(now());
    let after_expiry = later(25 * 3600);
    world.db.expire_outbox(after_expiry).unwrap();
    world.file_one(&posting, after_expiry);
    let again = world.receipts(after_expiry);
    assert_eq!((&again[0].0, &again[0].2), (&first[0].0, &first[0].2));
}

#[test]
fn two_appliances_may_use_the_same_message_id() {
    let mut world = World::new();
    let filed =
        world.file_all(&[Posting::of(1, jam("e1")).numbered(9), Posting::of(2, jam("e1")).numbered(9)]);
    assert!(filed.iter().all(|filed| matches!(filed, Filed::New { .. })), "{filed:?}");
    assert_eq!(world.db.faults(None, false).unwrap().len(), 2);
}

#[test]
fn nothing_that_is_not_authentic_is_answered() {
    let mut world = World::new();
    let mut forged = Posting::of(1, jam("e1"));
    forged.credential = credential(&agent(2));
    let mut old = Posting::of(1, jam("e2"));
    old.expires = later(-5);
    let stranger = Posting::of(99, jam("e3"));
    let junk = b"Subject: hello\r\n\r\nhello\r\n".to_vec();
    world.file(&[forged.raw(), old.raw(), stranger.raw(), junk.clone(), junk], now());
    assert!(world.receipts(now()).is_empty());
    assert!(world.db.journal(&JournalFilter::default()).unwrap().is_empty());
    let counted: Vec<_> =
        world.db.discarded().unwrap().into_iter().map(|line| (line.reason, line.count)).collect();
    let expected = [("expired", 1), ("junk: no message of ours", 2), ("unknown sender", 1), ("wrong key", 1)];
    assert_eq!(counted, expected.map(|(reason, count)| (reason.to_owned(), count)));
}

#[test]
fn a_fault_opens_and_is_cleared() {
    let mut world = World::new();
    world.file_one(&Posting::of(1, jam("e1")).numbered(1), now());
    let open = world.db.faults(None, false).unwrap();
    assert_eq!((open.len(), &open[0].device, open[0].code.as_str()), (1, &printer(), "jam"));
    world.file_one(&Posting::of(1, cleared("e1")).numbered(2), later(100));
    assert!(world.db.faults(None, false).unwrap().is_empty());
    let all = world.db.faults(Some(&agent(1)), true).unwrap();
    assert_eq!((all.len(), all[0].cleared), (1, Some(later(60))));
    let words = world.db.journal(&JournalFilter::default()).unwrap().pop().unwrap().description;
    assert_eq!(words, "jam in media path of Kyocera ECOSYS P2040dw VD21457943 is over");
}

#[test]
fn a_clearing_report_that_overtakes_its_fault_still_ends_it() {
    let mut world = World::new();
    world.file_one(&Posting::of(1, cleared("e1")).numbered(2), now());
    world.file_one(&Posting::of(1, jam("e1")).numbered(1), now());
    assert!(world.db.faults(None, false).unwrap().is_empty());
    let all = world.db.faults(None, true).unwrap();
    assert_eq!((all.len(), all[0].code.as_str(), all[0].since), (1, "jam", Some(later(-60))));
}

#[test]
fn counters_are_appended_and_the_latest_is_shown() {
    let mut world = World::new();
    world.file_one(&Posting::of(1, counters(100, now())).numbered(1), now());
    world.file_one(&Posting::of(1, counters(150, later(3600))).numbered(2), later(3600));
    // An old reading that was late in the mail is kept, and is not the latest.
    world.file_one(&Posting::of(1, counters(90, later(-3600))).numbered(3), later(3700));
    let values = |readings| -> Vec<_> {
        let counters = world.db.counters(Some(&agent(1)), readings).unwrap();
        counters.into_iter().filter_map(|counter| counter.value).collect()
    };
    assert_eq!(values(Readings::All), [90, 100, 150]);
    assert_eq!(values(Readings::Latest), [150]);
    let supplies = world.db.supplies(None).unwrap();
    assert_eq!((supplies.len(), supplies[0].level), (1, SupplyLevel::SomeRemains));
}

#[test]
fn a_device_that_was_never_read_is_shown_as_such_until_it_tells_who_it_is() {
    let mut world = World::new();
    world.file_one(&Posting::of(1, counters(100, now())).numbered(1), now());
    let silent = |world: &World| {
        let devices = world.db.devices(None).unwrap();
        devices.into_iter().filter(|device| device.not_collected.is_some()).count()
    };
    assert_eq!(silent(&world), 1);
    let Report::Counters(mut report) = counters(1, later(10)) else { unreachable!() };
    report.devices.remove(1);
    report.devices[0].address = "10.0.0.6".to_owned();
    world.file_one(&Posting::of(1, Report::Counters(report)).numbered(2), later(10));
    assert_eq!(silent(&world), 0);
}

#[test]
fn a_count_beyond_the_database_stays_the_largest() {
    let mut world = World::new();
    world.file_one(&Posting::of(1, counters(u64::MAX, now())), now());
    let counters = world.db.counters(None, Readings::All).unwrap();
    assert_eq!(counters[0].value, Some(i64::MAX as u64));
}

#[test]
fn a_version_report_updates_the_table_and_settles_its_request() {
    let mut world = World::new();
    let nonce = Nonce::from_bytes([5; 16]);
    let request = MessageId::from_bytes([8; 16]);
    let mail = NewMail {
        message: &Message::Command(Command::Version(VersionRequest { nonce })),
        id: request,
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now(),
        expires: later(3600),
        not_before: now(),
    };
    let outbox = world.db.enqueue(&mail, &[agent(1), agent(2)]).unwrap();
    let mut answer = Posting::of(1, version("1.0.02-0", Some(nonce)));
    answer.in_reply_to = Some(request);
    world.file_one(&answer, later(60));
    let known = world.db.appliance(&agent(1)).unwrap();
    assert_eq!(known.software.unwrap().as_str(), "1.0.02-0");
    assert_eq!((known.version_nonce, known.version_checked), (Some(nonce), Some(later(60))));
    let states: Vec<_> = world.db.deliveries(outbox).unwrap().into_iter().map(|one| one.state).collect();
    assert_eq!(states, [Transport::Answered, Transport::Queued]);
}

#[test]
fn an_old_version_report_late_in_the_mail_does_not_turn_the_table_back() {
    let mut world = World::new();
    let mut new = Posting::of(1, version("1.0.02-0", None)).numbered(1);
    new.created = later(100);
    world.file_one(&new, later(110));
    world.file_one(&Posting::of(1, version("1.0.00-1", None)).numbered(2), later(120));
    assert_eq!(world.db.appliance(&agent(1)).unwrap().software.unwrap().as_str(), "1.0.02-0");
}

fn sent_to_both(world: &mut World) -> (OutboxId, MessageId) {
    let id = MessageId::from_bytes([8; 16]);
    let mail = NewMail {
        message: &Message::Command(Command::Ping(Default::default())),
        id,
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now(),
        expires: later(3600),
        not_before: now(),
    };
    let outbox = world.db.enqueue(&mail, &[agent(1), agent(2)]).unwrap();
    let tries = [(outbox, agent(1), Try::Accepted), (outbox, agent(2), Try::Accepted)];
    world.db.record_tries(&tries, now()).unwrap();
    (outbox, id)
}

fn bounce(message: MessageId, recipient: Option<&str>) -> Verdict {
    let recipient = recipient.map(|address| Recipient {
        address: address.to_owned(),
        original: None,
        standing: Standing::Failed,
        status: Status::read("5.1.1"),
        cause: Some(Cause::NoSuchUser),
        diagnostic: "no such user".to_owned(),
    });
    Verdict::Returned(Box::new(Returned {
        kind: Kind::Bounce,
        cause: Some(Cause::NoSuchUser),
        recipients: recipient.into_iter().collect(),
        messages: vec![message],
        tags: Vec::new(),
        sender: None,
        diagnostic: "no such user".to_owned(),
    }))
}

fn states(world: &World, outbox: OutboxId) -> Vec<Transport> {
    world.db.deliveries(outbox).unwrap().into_iter().map(|one| one.state).collect()
}

#[test]
fn a_bounce_marks_the_recipient_that_it_names_and_an_answer_overrules_it() {
    let mut world = World::new();
    let (outbox, id) = sent_to_both(&mut world);
    let day = SignedDuration::from_hours(24);
    let verdicts = [bounce(id, Some("AGENT2@site.example"))];
    let filed = world.db.file(&verdicts, later(5), &rules(day), &mut Numbers::new(2)).unwrap();
    assert!(
        matches!(&filed[..], [Filed::Returned { kind: Kind::Bounce, marked: 1, agent: Some(marked), .. }] if *marked == agent(2)),
        "{filed:?}"
    );
    assert_eq!(states(&world, outbox), [Transport::Accepted, Transport::Bounced]);
    let mut answer = Posting::of(2, jam("e1"));
    answer.in_reply_to = Some(id);
    world.file_one(&answer, later(10));
    assert_eq!(states(&world, outbox), [Transport::Accepted, Transport::Answered]);
}

#[test]
fn a_bounce_that_names_nobody_cannot_mark_one_of_many() {
    let mut world = World::new();
    let (outbox, id) = sent_to_both(&mut world);
    let day = SignedDuration::from_hours(24);
    let verdicts = [bounce(id, None), bounce(MessageId::from_bytes([1; 16]), Some("agent1@site.example"))];
    world.db.file(&verdicts, later(5), &rules(day), &mut Numbers::new(2)).unwrap();
    assert_eq!(states(&world, outbox), [Transport::Accepted, Transport::Accepted]);
}

#[test]
fn a_report_of_an_appliance_removed_in_this_moment_is_thrown_away() {
    let mut world = World::new();
    let verdict = judge(&Posting::of(1, jam("e1")).raw(), &keyring(2), &Limits::default(), now());
    world.db.remove_appliance(&agent(1), now()).unwrap();
    let filed = world
        .db
        .file(&[verdict], now(), &rules(SignedDuration::from_hours(1)), &mut Numbers::new(2))
        .unwrap();
    assert_eq!(filed, [Filed::Discarded(Discard::UnknownSender)]);
}

#[test]
fn a_report_that_is_played_back_again_and_again_gets_ever_fewer_receipts() {
    let mut world = World::new();
    let posting = Posting::of(1, jam("e1"));
    let mut receipts = 0;
    for minute in 0..24 * 60 {
        let at = later(60 * minute);
        world.file_one(&posting, at);
        let due = world.db.due(at, 10).unwrap();
        receipts += due.len();
        let tries: Vec<_> = due.iter().map(|due| (due.outbox, due.agent.clone(), Try::Accepted)).collect();
        world.db.record_tries(&tries, at).unwrap();
    }
    assert!((4..40).contains(&receipts), "{receipts} receipts for 1440 copies in a day");
}

use super::*;
use crate::db::outbox::{Delivery, NewMail, Priority, Transport, Try};
use crate::intake::{Verdict, judge};
use crate::sample::{Numbers, Posting, agent, fleet, jam, keyring, later, now, rules};
use jiff::SignedDuration;
use mailfmt::{Command, Limits, Message};

const KEY: [u8; 32] = [7; 32];

struct World {
    db: Db,
}

impl World {
    fn new() -> Self {
        Self { db: fleet(3) }
    }

    /// A ping that our mail server has taken.
    fn sent(&mut self, id: u8, agents: &[AgentId]) -> MessageId {
        let message = MessageId::from_bytes([id; 16]);
        let mail = NewMail {
            message: &Message::Command(Command::Ping(Default::default())),
            id: message,
            in_reply_to: None,
            package: None,
            priority: Priority::Command,
            created: now(),
            expires: later(7 * 24 * 3600),
            not_before: now(),
        };
        let outbox = self.db.enqueue(&mail, agents).unwrap();
        let tries: Vec<_> = agents.iter().map(|agent| (outbox, agent.clone(), Try::Accepted)).collect();
        self.db.record_tries(&tries, now()).unwrap();
        message
    }

    fn file(&mut self, raw: &str) -> Filed {
        let verdict = judge(raw.as_bytes(), &keyring(3), &Limits::default(), now());
        assert!(matches!(verdict, Verdict::Returned(_)), "{verdict:?}");
        let day = SignedDuration::from_hours(24);
        self.db.file(&[verdict], later(60), &rules(day), &mut Numbers::new(5)).unwrap().pop().unwrap()
    }

    fn delivery(&self, message: MessageId, agent: &AgentId) -> Delivery {
        let outbox: i64 = self
            .db
            .read()
            .query_row("SELECT id FROM outbox WHERE message = ?1", [Id::of(&message)], |row| row.get(0))
            .unwrap();
        self.db.deliveries(OutboxId(outbox)).unwrap().into_iter().find(|one| one.agent == *agent).unwrap()
    }

    fn lines(&self) -> Vec<ReturnedLine> {
        self.db.returned(&ReturnedFilter { last: 100, ..Default::default() }).unwrap()
    }
}

fn dsn(message: MessageId, recipient: &str, action: &str, status: &str, said: &str, headers: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: center@center.example\r\n{headers}Subject: report\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message}.1@center.example>\r\n\r\n--b--\r\n"
    )
}

#[test]
fn a_final_bounce_stands_with_its_cause_at_the_right_appliance_and_an_authentic_report_overrules_it() {
    let mut world = World::new();
    let message = world.sent(8, &[agent(1), agent(2)]);
    let raw = dsn(message, "AGENT2@site.example", "failed", "5.1.1", "550 5.1.1 no such user", "");
    let Filed::Returned { marked, agent: found, .. } = world.file(&raw) else { panic!() };
    assert_eq!((marked, found), (1, Some(agent(2))));
    let bounced = world.delivery(message, &agent(2));
    assert_eq!(bounced.state, Transport::Bounced);
    assert_eq!(bounced.detail, "there is no such mailbox: 550 5.1.1 no such user");
    assert_eq!(world.delivery(message, &agent(1)).state, Transport::Accepted);
    let [line] = &world.lines()[..] else { panic!() };
    assert_eq!(
        (line.kind.as_str(), line.cause.as_deref(), line.known_by.as_str()),
        ("bounce", Some("no-such-user"), "id")
    );
    assert_eq!(line.next, format!("center-manager appliance move {} --address ADDRESS", agent(2)));
    let mut answer = Posting::of(2, jam("e1"));
    answer.in_reply_to = Some(message);
    let verdict = judge(&answer.raw(), &keyring(3), &Limits::default(), now());
    let day = SignedDuration::from_hours(24);
    world.db.file(&[verdict], later(70), &rules(day), &mut Numbers::new(6)).unwrap();
    assert_eq!(world.delivery(message, &agent(2)).state, Transport::Answered);
    // The same bounce once more cannot undo that.
    world.file(&raw);
    assert_eq!(world.delivery(message, &agent(2)).state, Transport::Answered);
}

#[test]
fn a_full_mailbox_is_sent_to_again_later_and_a_delay_only_waits() {
    let mut world = World::new();
    let (full, late) = (world.sent(8, &[agent(1)]), world.sent(9, &[agent(2)]));
    world.file(&dsn(full, "agent1@site.example", "failed", "5.2.2", "552 5.2.2 mailbox full", ""));
    let delivery = world.delivery(full, &agent(1));
    assert_eq!(delivery.state, Transport::Queued);
    assert!(delivery.detail.starts_with("the mailbox is full"), "{}", delivery.detail);
    assert!(world.db.due(later(30 * 60), 10).unwrap().is_empty(), "not at once");
    assert_eq!(world.db.due(later(2 * 3600), 10).unwrap().len(), 1, "but after a while, under the same id");
    world.file(&dsn(late, "agent2@site.example", "delayed", "4.4.1", "connection timed out", ""));
    assert_eq!(world.delivery(late, &agent(2)).state, Transport::Delayed);
    assert!(
        world.db.due(later(24 * 3600), 10).unwrap().iter().all(|due| due.agent != agent(2)),
        "no second mail"
    );
}

#[test]
fn the_only_recipient_of_a_message_is_meant_even_when_the_mail_was_forwarded_to_an_address_that_nobody_knows()
{
    let mut world = World::new();
    let message = world.sent(8, &[agent(3)]);
    world.file(&dsn(message, "somebody@elsewhere.example", "failed", "5.7.1", "554 taken as spam", ""));
    assert_eq!(world.delivery(message, &agent(3)).state, Transport::Bounced);
}

#[test]
fn with_return_paths_of_its_own_a_bounce_without_a_tag_changes_nothing_and_a_forged_tag_neither() {
    let mut world = World::new();
    let key = world.db.return_key(true, &mut |octets: &mut [u8]| octets.copy_from_slice(&KEY)).unwrap();
    let message = world.sent(8, &[agent(1)]);
    let recipient = "agent1@site.example";
    world.file(&dsn(message, recipient, "failed", "5.1.1", "550 no such user", ""));
    assert_eq!(
        world.delivery(message, &agent(1)).state,
        Transport::Accepted,
        "whoever knows the id only is not believed"
    );
    let forged = ReturnKey::from_bytes([8; 32]).path("center@center.example", '+', &message).unwrap();
    world.file(&dsn(
        message,
        recipient,
        "failed",
        "5.1.1",
        "550 no such user",
        &format!("Delivered-To: {forged}\r\n"),
    ));
    assert_eq!(world.delivery(message, &agent(1)).state, Transport::Accepted);
    assert!(world.lines().iter().all(|line| line.effect == "not believed: no tag"));
    // The tag of one message says nothing of another, whatever ids the mail quotes.
    let other = world.sent(9, &[agent(2)]);
    let path = key.path("center@center.example", '+', &other).unwrap();
    world.file(&dsn(
        message,
        "x@y.example",
        "failed",
        "5.1.1",
        "550 no such user",
        &format!("Delivered-To: {path}\r\n"),
    ));
    assert_eq!(world.delivery(message, &agent(1)).state, Transport::Accepted);
    assert_eq!(world.delivery(other, &agent(2)).state, Transport::Bounced);
    assert_eq!(world.lines().last().unwrap().known_by, "tag");
    world.db.demand_no_tags().unwrap();
    world.file(&dsn(message, recipient, "failed", "5.1.1", "550 no such user", ""));
    assert_eq!(world.delivery(message, &agent(1)).state, Transport::Bounced);
}

#[test]
fn an_auto_responder_is_counted_for_the_appliance_whose_address_it_has_and_shown_as_a_hint() {
    let mut world = World::new();
    let away = "From: Appliance <agent1@site.example>\r\nAuto-Submitted: auto-replied\r\nSubject: Automatic reply: away\r\n\r\nI am away\r\n";
    world.file(away);
    world.file(away);
    let hint = world.db.auto_responder(&agent(1), later(3600)).unwrap().unwrap();
    assert_eq!((hint.answers, hint.subject.as_str()), (2, "Automatic reply: away"));
    assert_eq!(world.db.auto_responder(&agent(2), later(3600)).unwrap(), None);
    assert_eq!(world.db.auto_responder(&agent(1), later(30 * 24 * 3600)).unwrap(), None, "long ago");
    assert_eq!(world.db.due(later(3600), 100).unwrap().len(), 0, "nothing automatic is answered");
}

#[test]
fn what_nobody_can_attribute_is_counted_for_nobody_and_a_flood_of_it_is_bounded() {
    let mut world = World::new();
    let stranger = "From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\n\r\n<who@where.example>: user unknown\r\n";
    for _ in 0..KEPT_OF_NOBODY + 20 {
        world.file(stranger);
    }
    assert_eq!(i64::try_from(world.db.returned_count(Kind::Bounce).unwrap()).unwrap(), KEPT_OF_NOBODY);
    let lines = world.lines();
    assert!(lines.iter().all(|line| line.agent.is_none() && line.known_by == "nothing"));
}

/// What somebody's mail program answers by itself to any mail at all.
fn automatic(from: &str, to: &str, message: MessageId, how: usize) -> String {
    let headers = [
        // An auto-responder as it should be, one that tells by its subject only, a vacation note that answers everything.
        "Return-Path: <>\r\nAuto-Submitted: auto-replied\r\nSubject: Re: Device monitor command\r\n",
        "Return-Path: <bad@site.example>\r\nSubject: Out of office: Device monitor command\r\n",
        "Precedence: bulk\r\nSubject: Re: Device monitor command\r\n",
    ];
    format!(
        "{}From: {from}\r\nTo: {to}\r\nIn-Reply-To: <{message}.1@center.example>\r\n\r\nI read your mail later.\r\n",
        headers[how % headers.len()]
    )
}

#[test]
fn two_auto_responders_and_a_vacation_cannot_start_a_loop() {
    let mut world = World::new();
    let message = world.sent(8, &[agent(1)]);
    let mut mails_sent = 0;
    for round in 0..30 {
        // Everybody answers whatever the center sends, and each other's answers through its mailbox.
        for (how, from) in
            ["agent1@site.example", "helpdesk@center.example", "boss@site.example"].iter().enumerate()
        {
            world.file(&automatic(from, "center@center.example", message, how + round));
        }
        let due = world.db.due(later(3600 * 24), 100).unwrap();
        mails_sent += due.len();
    }
    assert_eq!(mails_sent, 0, "nothing is sent because of an automatic mail");
    assert_eq!(world.delivery(message, &agent(1)).state, Transport::Accepted, "and it is no success either");
    assert_eq!(world.db.returned_count(Kind::AutoReply).unwrap(), 90);
}

//! The mail agent's loop against a small post office in the same process.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod post_office;
mod site;

use mailfmt::mail::{Form, form_of};
use mailfmt::message::command::PingRequest;
use mailfmt::message::receipt::Latest;
use mailfmt::message::{CounterRequest, Message};
use mailfmt::{Command, MessageId, Receipt, Report};
use monitor_appliance::store::{Moment, OutboxState, Tally};
use post_office::PostOffice;
use site::{Site, until};

fn receipt_for(message: MessageId, number: u64) -> Message {
    Message::Receipt(Receipt {
        report: message,
        number,
        received: site::now(),
        content: "fault".into(),
        description: "a jam".into(),
        latest: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_word_after_an_installation_is_a_health_report() {
    let office = PostOffice::open();
    let site = Site::just_installed(&office);
    let agent = site.start();
    until("the first report to arrive", || !office.sent().is_empty()).await;
    agent.stop().await;
    let (_, message, sequence) = site.open_report(&office.sent()[0]);
    assert!(matches!(message, Message::Report(Report::Health(_))), "{message:?}");
    let context = site.context();
    let store = context.open_store().unwrap();
    let begins = store.origin(&context.settings.center, sequence).unwrap().begins;
    assert_eq!(begins, Some(sequence), "its first number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_report_is_mailed_and_its_receipt_settles_it() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    let report = site.enqueue_fault();
    let agent = site.start();
    until("the report to arrive", || !office.sent().is_empty()).await;
    let (header, message, sequence) = site.open_report(&office.sent()[0]);
    assert_eq!((header.message, sequence), (report, site.sequence_of(report)));
    assert!(matches!(message, Message::Report(Report::Fault(_))));
    let receipt = site.mail(&receipt_for(report, 7));
    office.deliver(receipt);
    until("the receipt to be taken", || site.store().outbox_waiting_count().unwrap() == 0).await;
    until("the mail to be deleted", || office.mailbox_len() == 0).await;
    agent.stop().await;
    let row = site.store().outbox_newest(1).unwrap().remove(0);
    assert_eq!((row.state, row.receipt_number), (OutboxState::Receipted, Some(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_without_a_receipt_is_sent_again_under_the_same_id_and_number() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    site.settings.timers.answer_wait = std::time::Duration::from_millis(300);
    let report = site.enqueue_fault();
    let agent = site.start();
    until("the report to arrive twice", || office.sent().len() >= 2).await;
    agent.stop().await;
    let sent = office.sent();
    for mail in &sent[..2] {
        let (header, _, sequence) = site.open_report(mail);
        assert_eq!((header.message, sequence), (report, site.sequence_of(report)));
    }
    assert_ne!(sent[0], sent[1], "each sending is sealed afresh");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_nobody_answers_goes_out_as_armoured_text_and_the_next_one_at_once_when_that_was_answered()
 {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    site.settings.timers.answer_wait = std::time::Duration::from_millis(300);
    let report = site.enqueue_fault();
    let agent = site.start();
    until("the report to be sent three times", || office.sent().len() >= 3).await;
    let forms: Vec<_> = office.sent().iter().take(3).map(|mail| form_of(mail)).collect();
    assert_eq!(forms, [Form::Opaque, Form::Opaque, Form::Armoured]);
    assert_eq!(site.open_report(&office.sent()[2]).0.message, report);
    let receipt = site.mail(&receipt_for(report, 7));
    office.deliver(receipt);
    until("the receipt to be taken", || site.store().outbox_waiting_count().unwrap() == 0).await;
    let way = site.store().ways().unwrap().remove(0).1;
    assert!(way.form == Form::Armoured && way.reason.contains("brought no answer"), "{way:?}");
    let next = site.enqueue_fault();
    let sent = || {
        let of_next = |mail: &Vec<u8>| site.open_report(mail).0.message == next;
        office.sent().into_iter().find(of_next)
    };
    until("the next report to arrive", || sent().is_some()).await;
    agent.stop().await;
    assert_eq!(form_of(&sent().unwrap()), Form::Armoured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_of_the_center_without_its_attachment_is_told_in_the_next_health_report_as_armoured_text() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    let whole =
        String::from_utf8(site.mail(&Message::Command(Command::Ping(PingRequest::default())))).unwrap();
    let (head, attachment) = whole.split_once("Content-Type: application/octet-stream").unwrap();
    assert!(!attachment.is_empty());
    office.deliver(
        format!("{head}Content-Type: text/plain\r\n\r\nThe attachment was removed.\r\n").into_bytes(),
    );
    let agent = site.start();
    until("the mail to be deleted", || office.mailbox_len() == 0).await;
    assert!(office.sent().is_empty(), "nobody answers it");
    let ping = site.mail(&Message::Command(Command::Ping(PingRequest::default())));
    office.deliver(ping);
    until("the answer to arrive", || !office.sent().is_empty()).await;
    agent.stop().await;
    let Message::Report(Report::Health(health)) = site.open_report(&office.sent()[0]).1 else {
        panic!("no health")
    };
    assert_eq!(health.mangled.get("attachment stripped by a gateway"), Some(&1));
    assert_eq!(form_of(&office.sent()[0]), Form::Armoured);
    assert!(site.store().mangled().unwrap().is_empty(), "told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_gets_no_receipt_goes_to_the_centers_next_address() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    site.settings.timers.answer_wait = std::time::Duration::from_millis(300);
    site.settings.further_center_addresses = vec!["center@second.example".to_owned()];
    site.enqueue_fault();
    let agent = site.start();
    until("the report to be sent twice", || office.sent().len() >= 2).await;
    agent.stop().await;
    let to = |mail: &[u8]| {
        let mail = String::from_utf8_lossy(mail).into_owned();
        mail.lines().find_map(|line| line.strip_prefix("To: ").map(str::to_owned))
    };
    let sent: Vec<_> = office.sent().iter().take(2).map(|mail| to(mail).unwrap()).collect();
    assert_eq!(sent, ["center@center.example", "center@second.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_answered_and_deleted_in_their_turn_between_junk() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    office.deliver(b"Subject: cheap\r\n\r\nbuy\r\n".to_vec());
    let ask = site.mail(&Message::Command(Command::Counters(CounterRequest::default())));
    office.deliver(ask.clone());
    office.deliver(b"\xff\x00 not a mail".to_vec());
    office.deliver(ask);
    let ping = site.mail(&Message::Command(Command::Ping(PingRequest::default())));
    office.deliver(ping);
    let agent = site.start();
    until("the answers to arrive", || office.sent().len() >= 2).await;
    until("the mailbox to be empty", || office.mailbox_len() == 0).await;
    agent.stop().await;
    let answers: Vec<Message> = office.sent().iter().map(|mail| site.open_report(mail).1).collect();
    let counters =
        answers.iter().filter(|answer| matches!(answer, Message::Report(Report::Counters(_)))).count();
    assert_eq!(counters, 1, "a command that comes twice is done once");
    let junk = answers.iter().find_map(|answer| match answer {
        Message::Report(Report::Health(health)) => Some(health.junk),
        _ => None,
    });
    assert_eq!(junk, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_waits_for_the_time_is_judged_once_another_mail_tells_it() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    // A box that has never heard from its center doubts its clock; the ping behind the command tells it the time.
    let ask = site.expired_mail(&Message::Command(Command::Counters(CounterRequest::default())));
    office.deliver(ask);
    let ping = site.mail(&Message::Command(Command::Ping(PingRequest::default())));
    office.deliver(ping);
    let agent = site.start();
    until("the mailbox to be empty", || office.mailbox_len() == 0).await;
    until("the answer to the ping", || !office.sent().is_empty()).await;
    agent.stop().await;
    let answers: Vec<Message> = office.sent().iter().map(|mail| site.open_report(mail).1).collect();
    assert!(answers.iter().all(|answer| matches!(answer, Message::Report(Report::Health(_)))), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_declared_with_a_gigabyte_is_deleted_unread() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    office.deliver_declared(b"Subject: huge\r\n\r\nx\r\n".to_vec(), 1_000_000_000);
    let ping = site.mail(&Message::Command(Command::Ping(PingRequest::default())));
    office.deliver(ping);
    let agent = site.start();
    until("the answer behind it", || !office.sent().is_empty()).await;
    until("the mailbox to be empty", || office.mailbox_len() == 0).await;
    agent.stop().await;
    assert_eq!(office.retrieved(), 1, "only the small one was read");
    let Message::Report(Report::Health(health)) = site.open_report(&office.sent()[0]).1 else { panic!() };
    assert_eq!(health.junk, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_mail_server_is_away() {
    let office = PostOffice::open();
    let site = Site::new(&office);
    office.go_away();
    let first = site.enqueue_fault();
    let agent = site.start();
    until("some tries", || office.turned_away() >= 4).await;
    let second = site.enqueue_fault();
    office.come_back();
    until("both reports", || office.sent().len() >= 2).await;
    agent.stop().await;
    let sent: Vec<MessageId> = office.sent().iter().map(|mail| site.open_report(mail).0.message).collect();
    assert_eq!(sent, [first, second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_breaks_before_its_end_repeats_nothing() {
    let office = PostOffice::open();
    let mut site = Site::new(&office);
    let ask = site.mail(&Message::Command(Command::Counters(CounterRequest::default())));
    office.deliver(ask);
    // POP3 deletes only at QUIT: the mail comes again in the next session.
    office.hang_up_at_quit(2);
    let agent = site.start();
    until("the mailbox to be empty", || office.mailbox_len() == 0).await;
    until("the answer", || !office.sent().is_empty()).await;
    agent.stop().await;
    assert_eq!(office.sent().len(), 1);
    assert_eq!(site.store().tally(Tally::Junk).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_ends_at_once_when_it_is_asked_to_even_if_the_server_hangs() {
    let office = PostOffice::open();
    office.fall_silent();
    let site = Site::new(&office);
    let agent = site.start();
    until("the agent to be connected", || office.turned_away() >= 1).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), agent.stop()).await.expect("it ends in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_that_hears_nothing_fresh_says_so_over_its_second_account_and_when_it_is_over() {
    let (first, second) = (PostOffice::open(), PostOffice::open());
    let mut site = Site::new(&first).with_second_account(&second).started_two_days_ago();
    let signer = site.trust_a_root();
    let long_ago = site::now() - jiff::SignedDuration::from_hours(24 * 30);
    site.store().change(|change| change.note(Moment::FreshWatched, long_ago)).unwrap();
    site.store().change(|change| change.note(Moment::Fresh, long_ago)).unwrap();
    let agent = site.start();
    until("the alarm to arrive", || !second.sent().is_empty()).await;
    let (header, message, _) = site.open_report(&second.sent()[0]);
    let Message::Report(Report::Alarm(alarm)) = &message else { panic!("{message:?}") };
    assert_eq!((alarm.alarm.as_str(), alarm.over), ("nothing-fresh", false));
    assert!(first.sent().is_empty(), "the first account may be the one that withholds mail");
    let fresh = Message::Receipt(Receipt {
        report: header.message,
        number: 7,
        received: site::now(),
        content: "alarm".into(),
        description: String::new(),
        latest: Some(Latest { at: site::now(), software: None, release_counter: 0 }),
    });
    let unsigned = site.mail(&fresh);
    first.deliver(unsigned);
    until("the unsigned receipt to be thrown away", || first.mailbox_len() == 0).await;
    assert_eq!(site.store().alarms().unwrap().len(), 1);
    let signed = site.signed_mail(&fresh, &signer);
    first.deliver(signed);
    until("the end of the alarm to be told", || second.sent().len() > 1).await;
    let (_, message, _) = site.open_report(&second.sent()[1]);
    assert!(matches!(&message, Message::Report(Report::Alarm(alarm)) if alarm.over), "{message:?}");
    agent.stop().await;
    assert!(site.store().alarms().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_goes_by_the_first_account_when_the_second_does_not_work() {
    let (first, second) = (PostOffice::open(), PostOffice::open());
    let site = Site::new(&first).with_second_account(&second).started_two_days_ago();
    second.go_away();
    site.trust_a_root();
    let long_ago = site::now() - jiff::SignedDuration::from_hours(24 * 30);
    site.store().change(|change| change.note(Moment::FreshWatched, long_ago)).unwrap();
    let agent = site.start();
    until("the alarm to arrive", || !first.sent().is_empty()).await;
    agent.stop().await;
    let (_, message, _) = site.open_report(&first.sent()[0]);
    assert!(matches!(message, Message::Report(Report::Alarm(_))), "{message:?}");
}

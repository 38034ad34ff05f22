//! What the script of faults does to mails.

use std::time::{Duration, Instant};

use sandbox::post_office::{Fault, PostOffice, Rule, Stage};

use super::client::Client;
use super::{ALICE, BOB, SOON, handed_in, office_with};

const MAIL: &str = "Subject: x\r\n\r\n0123456789\r\n";

async fn hand_in(office: &PostOffice, to: &str, text: &str) -> Option<String> {
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    smtp.smtp_mail(ALICE, to, text).await
}

async fn code(office: &PostOffice, to: &str) -> String {
    hand_in(office, to, MAIL).await.expect("an answer")[..3].to_owned()
}

#[tokio::test]
async fn a_lost_mail_is_accepted_and_a_lifted_fault_is_over() {
    let office = office_with(vec![Rule::always(Fault::Lose).to(BOB)]).await;
    assert_eq!(code(&office, BOB).await, "250");
    assert_eq!(code(&office, ALICE).await, "250");
    assert_eq!((office.mailbox_len(BOB), office.mailbox_len(ALICE)), (0, 1));
    assert_eq!((office.stats().accepted, office.stats().lost, office.stats().delivered), (2, 1, 1));
    office.set_faults(Vec::new());
    assert_eq!(code(&office, BOB).await, "250");
    assert_eq!(office.mailbox_len(BOB), 1);
    office.stop().await;
}

#[tokio::test]
async fn a_bounced_mail_comes_back_as_a_report_and_a_report_never_does() {
    let office = office_with(vec![Rule::always(Fault::Bounce { status: "5.2.2".to_owned() }).to(BOB)]).await;
    assert_eq!(code(&office, BOB).await, "250");
    assert_eq!((office.mailbox_len(BOB), office.mailbox_len(ALICE)), (0, 1));
    let report = String::from_utf8_lossy(&office.mails(ALICE)[0]).into_owned();
    assert!(
        report.contains("Final-Recipient: rfc822; bob@site.example\r\nAction: failed\r\nStatus: 5.2.2\r\n")
    );
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    assert!(smtp.smtp_mail("", BOB, MAIL).await.expect("an answer").starts_with("250 "));
    assert_eq!((office.mailbox_len(BOB), office.mailbox_len(ALICE)), (0, 1));
    assert_eq!(office.stats().bounced, 2);
    office.stop().await;
}

#[tokio::test]
async fn a_delayed_mail_comes_later_and_copies_come_together() {
    let delay = Fault::Delay { at_least_ms: 300, at_most_ms: 300 };
    let rules = vec![Rule::always(delay).to(BOB), Rule::always(Fault::Copies { extra: 2 })];
    let office = office_with(rules).await;
    let begin = Instant::now();
    assert_eq!(code(&office, BOB).await, "250");
    assert!(office.wait_for_mails(BOB, 3, SOON).await);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(code(&office, ALICE).await, "250");
    assert_eq!(office.mailbox_len(ALICE), 3);
    office.stop().await;
}

#[tokio::test]
async fn an_overtaken_mail_comes_after_later_ones_or_when_its_time_is_over() {
    let reorder = Fault::Reorder { behind: 2, at_most_ms: 600_000 };
    let office = office_with(vec![Rule::always(reorder).first(1)]).await;
    for text in ["1\r\n", "2\r\n", "3\r\n"] {
        assert!(hand_in(&office, BOB, text).await.is_some());
    }
    let texts: Vec<_> = office.mails(BOB).iter().map(|mail| handed_in(mail).to_vec()).collect();
    assert_eq!(texts, [b"2\r\n", b"3\r\n", b"1\r\n"]);
    office.set_faults(vec![Rule::always(Fault::Reorder { behind: 9, at_most_ms: 50 })]);
    assert!(hand_in(&office, BOB, "4\r\n").await.is_some());
    assert!(office.wait_for_mails(BOB, 4, SOON).await, "nobody overtook it");
    office.stop().await;
}

#[tokio::test]
async fn a_connection_that_dies_after_the_final_dot_doubles_the_mail() {
    let office = office_with(vec![Rule::always(Fault::DieBeforeReply).to(BOB).first(1)]).await;
    assert_eq!(hand_in(&office, BOB, MAIL).await, None, "no answer");
    assert_eq!(office.mailbox_len(BOB), 1, "but the mail is there");
    assert_eq!(code(&office, BOB).await, "250");
    assert_eq!(office.mailbox_len(BOB), 2);
    office.stop().await;
}

#[tokio::test]
async fn greylisting_and_refusals_are_told_with_their_code() {
    let reject = Fault::Reject { code: 550, text: "5.7.1 Not wanted".to_owned(), at: Stage::Recipient };
    let content = Fault::Reject { code: 554, text: "5.7.1 Virus".to_owned(), at: Stage::Data };
    let office = office_with(vec![
        Rule::always(Fault::Greylist { tries: 2 }).to("@demand.example"),
        Rule::always(reject).to(BOB),
        Rule::always(content).sent_by(ALICE).to("carol@demand.example"),
        Rule::always(Fault::SizeLimit { octets: 10 }).to("dave@site.example"),
    ])
    .await;
    office.add_mailbox("dave@site.example", "x");
    assert_eq!(code(&office, "new@demand.example").await, "451");
    assert_eq!(code(&office, "new@demand.example").await, "451");
    assert_eq!(code(&office, "new@demand.example").await, "250");
    assert_eq!(hand_in(&office, BOB, MAIL).await.as_deref(), Some("550 5.7.1 Not wanted"));
    assert_eq!(code(&office, "carol@demand.example").await, "451");
    assert_eq!(code(&office, "carol@demand.example").await, "451");
    assert_eq!(hand_in(&office, "carol@demand.example", MAIL).await.as_deref(), Some("554 5.7.1 Virus"));
    assert_eq!(code(&office, "dave@site.example").await, "552");
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    smtp.expect(&format!("MAIL FROM:<{ALICE}> SIZE=11"), "250 ").await;
    smtp.expect("RCPT TO:<dave@site.example>", "552 ").await;
    assert_eq!(office.stats().delivered, 1);
    office.stop().await;
}

#[tokio::test]
async fn mails_arrive_cut_or_damaged_behind_an_intact_trace() {
    let office = office_with(vec![
        Rule::always(Fault::Truncate { keep: 20 }).to(ALICE),
        Rule::always(Fault::Damage).to(BOB),
    ])
    .await;
    // Line ends are spared, so that a draw may fall on one: of some mails most are damaged.
    for _ in 0..8 {
        assert_eq!(code(&office, BOB).await, "250");
    }
    let mut damaged = 0;
    for mail in office.mails(BOB) {
        let text = handed_in(&mail);
        assert_eq!(text.len(), MAIL.len());
        let differing = text.iter().zip(MAIL.bytes()).filter(|(got, sent)| **got != *sent).count();
        assert!(differing <= 1);
        damaged += differing;
    }
    assert!(damaged >= 4, "{damaged} of 8 damaged");
    assert_eq!(code(&office, ALICE).await, "250");
    assert_eq!(handed_in(&office.mails(ALICE)[0]), &MAIL.as_bytes()[..20]);
    office.stop().await;
}

#[tokio::test]
async fn the_same_seed_loses_the_same_mails() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let office = office_with(vec![Rule::always(Fault::Lose).with_chance(0.5)]).await;
        let mut smtp = Client::open(office.ports().smtp).await;
        smtp.smtp_login(ALICE).await;
        for number in 0..40 {
            let text = format!("{number}\r\n");
            assert!(smtp.smtp_mail(ALICE, BOB, &text).await.expect("an answer").starts_with("250 "));
        }
        runs.push(office.mails(BOB).iter().map(|mail| handed_in(mail).to_vec()).collect::<Vec<_>>());
        office.stop().await;
    }
    assert_eq!(runs[0], runs[1]);
    assert!((5..35).contains(&runs[0].len()), "{} of 40 delivered", runs[0].len());
}

//! Fetching mail.

use super::client::Client;
use super::{ALICE, BOB, SECRET, office};

#[tokio::test]
async fn mails_come_octet_for_octet_and_go_only_with_quit() {
    let office = office().await;
    let mails = ["Subject: 1\r\n\r\n.\r\n..\r\nx\r\n", "Subject: 2\r\n\r\n\u{e4}\r\n", "no header\r\n"];
    for mail in mails {
        assert!(office.inject(ALICE, mail.as_bytes()));
    }
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(ALICE).await;
    let octets: usize = mails.iter().map(|mail| mail.len()).sum();
    assert_eq!(pop3.ask("STAT").await, format!("+OK 3 {octets}"));
    assert_eq!(
        pop3.pop3_lines("LIST").await,
        format!("1 {}\r\n2 {}\r\n3 {}\r\n", mails[0].len(), mails[1].len(), mails[2].len())
    );
    for (number, mail) in (1..).zip(mails) {
        assert_eq!(pop3.pop3_lines(&format!("RETR {number}")).await, mail);
    }
    assert_eq!(pop3.pop3_lines("TOP 1 1").await, "Subject: 1\r\n\r\n.\r\n");
    pop3.expect("DELE 1", "+OK").await;
    pop3.expect("RETR 1", "-ERR").await;
    pop3.expect("DELE 1", "-ERR").await;
    pop3.expect("RSET", "+OK").await;
    pop3.expect("DELE 2", "+OK").await;
    assert_eq!(pop3.ask("LIST 3").await, format!("+OK 3 {}", mails[2].len()));
    // The connection is lost: nothing is deleted.
    drop(pop3);
    let mut again = Client::open(office.ports().pop3).await;
    again.pop3_login_when_free(ALICE).await;
    assert_eq!(office.mailbox_len(ALICE), 3);
    again.expect("DELE 2", "+OK").await;
    again.expect("QUIT", "+OK").await;
    assert_eq!(again.until_closed().await, b"");
    assert_eq!(office.mailbox_len(ALICE), 2);
    office.stop().await;
}

#[tokio::test]
async fn unique_ids_stay_and_numbers_do_not() {
    let office = office().await;
    for mail in ["a\r\n", "b\r\n", "c\r\n"] {
        office.inject(ALICE, mail.as_bytes());
    }
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(ALICE).await;
    let ids = pop3.pop3_lines("UIDL").await;
    let ids: Vec<&str> = ids.lines().map(|line| line.split_once(' ').expect("an id").1).collect();
    pop3.expect("DELE 1", "+OK").await;
    pop3.expect("QUIT", "+OK").await;
    pop3.until_closed().await;
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(ALICE).await;
    assert_eq!(pop3.pop3_lines("UIDL").await, format!("1 {}\r\n2 {}\r\n", ids[1], ids[2]));
    assert_eq!(pop3.ask("UIDL 2").await, format!("+OK 2 {}", ids[2]));
    office.stop().await;
}

#[tokio::test]
async fn a_mailbox_has_one_session_at_a_time() {
    let office = office().await;
    let mut first = Client::open(office.ports().pop3).await;
    first.pop3_login(ALICE).await;
    let mut second = Client::open(office.ports().pop3).await;
    assert!(second.line().await.starts_with("+OK"));
    second.expect(&format!("USER {ALICE}"), "+OK").await;
    second.expect(&format!("PASS {SECRET}"), "-ERR [IN-USE]").await;
    second.expect(&format!("USER {BOB}"), "+OK").await;
    second.expect("PASS wrong", "-ERR [AUTH]").await;
    second.expect(&format!("USER {BOB}"), "+OK").await;
    second.expect(&format!("PASS {SECRET}"), "+OK").await;
    first.expect("QUIT", "+OK").await;
    first.until_closed().await;
    let mut third = Client::open(office.ports().pop3).await;
    third.pop3_login(ALICE).await;
    office.stop().await;
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let office = office().await;
    for number in 0..50 {
        office.inject(ALICE, format!("mail {number}\r\n").as_bytes());
    }
    let mut pop3 = Client::open(office.ports().pop3).await;
    pop3.pop3_login(ALICE).await;
    let commands: String = (1..=50).map(|number| format!("RETR {number}\r\nDELE {number}\r\n")).collect();
    pop3.send(format!("{commands}QUIT\r\n")).await;
    for number in 0..50 {
        assert!(pop3.line().await.starts_with("+OK"));
        assert_eq!(pop3.line().await, format!("mail {number}"));
        assert_eq!(pop3.line().await, ".");
        assert_eq!(pop3.line().await, "+OK Marked");
    }
    assert_eq!(pop3.line().await, "+OK Bye");
    assert_eq!(office.mailbox_len(ALICE), 0);
    office.stop().await;
}

#[tokio::test]
async fn logins_work_by_sasl_over_stls_and_over_tls() {
    let office = office().await;
    let mut pop3 = Client::open(office.ports().pop3).await;
    assert!(pop3.line().await.starts_with("+OK"));
    let capabilities = pop3.pop3_lines("CAPA").await;
    for wanted in
        ["STLS\r\n", "UIDL\r\n", "TOP\r\n", "PIPELINING\r\n", "SASL PLAIN LOGIN\r\n", "RESP-CODES\r\n"]
    {
        assert!(capabilities.contains(wanted), "{wanted} in {capabilities}");
    }
    pop3.expect("STAT", "-ERR").await;
    pop3.expect("PASS x", "-ERR").await;
    pop3.expect("STLS", "+OK").await;
    let mut pop3 = pop3.into_tls(&office).await.expect("TLS");
    assert!(!pop3.pop3_lines("CAPA").await.contains("STLS"));
    assert_eq!(pop3.ask("AUTH PLAIN").await, "+ ");
    // NUL alice@site.example NUL s3cret
    pop3.expect("AGFsaWNlQHNpdGUuZXhhbXBsZQBzM2NyZXQ=", "+OK").await;
    pop3.expect("QUIT", "+OK").await;
    pop3.until_closed().await;

    let mut pop3 = Client::open_tls(office.ports().pop3s, &office).await;
    assert!(pop3.line().await.starts_with("+OK"));
    pop3.expect("AUTH PLAIN AGFsaWNlQHNpdGUuZXhhbXBsZQBzM2NyZXQ=", "+OK").await;
    pop3.expect("NOOP", "+OK").await;
    assert_eq!(office.stats().logins.pop3, 2);
    office.stop().await;
}

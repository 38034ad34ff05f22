//! Handing in mail.

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sandbox::post_office::{PostOffice, Settings};

use super::client::Client;
use super::{ALICE, BOB, SECRET, handed_in, office};

fn transport(office: &PostOffice, implicit: bool) -> AsyncSmtpTransport<Tokio1Executor> {
    let ca = Certificate::from_pem(office.ca_pem().as_bytes()).expect("a certificate");
    let tls = TlsParameters::builder("localhost".to_owned())
        .certificate_store(lettre::transport::smtp::client::CertificateStore::None)
        .add_root_certificate(ca)
        .build_rustls()
        .expect("TLS parameters");
    let ports = office.ports();
    let (port, tls) =
        if implicit { (ports.smtps, Tls::Wrapper(tls)) } else { (ports.smtp, Tls::Required(tls)) };
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .tls(tls)
        .credentials(Credentials::new(ALICE.to_owned(), SECRET.to_owned()))
        .build()
}

#[tokio::test]
async fn lettre_sends_over_starttls_and_over_tls() {
    let office = office().await;
    let message = Message::builder()
        .from(ALICE.parse().expect("an address"))
        .to(BOB.parse().expect("an address"))
        .subject("Grüße")
        .body("Zeile\r\n.Punkt\r\n..\r\n".to_owned())
        .expect("a message");
    for implicit in [false, true] {
        transport(&office, implicit).send(message.clone()).await.expect("taken");
    }
    let mails = office.mails(BOB);
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        let text = String::from_utf8_lossy(mail);
        assert!(text.starts_with(&format!("Return-Path: <{ALICE}>\r\nReceived: from ")), "{text}");
        assert!(text.contains("with ESMTPSA\r\n\tfor <bob@site.example>;\r\n\t"), "{text}");
        let sent = [message.formatted(), b"\r\n".to_vec()].concat();
        assert_eq!(handed_in(mail), &sent[..handed_in(mail).len()], "octet for octet");
        assert!(handed_in(mail).len() >= message.formatted().len());
    }
    assert_eq!((office.stats().accepted, office.stats().delivered, office.stats().logins.smtp), (2, 2, 2));
    office.stop().await;
}

#[tokio::test]
async fn one_mail_for_many_lies_in_memory_once_and_bad_recipients_are_told_apart() {
    let office = office().await;
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    // The whole group at once, as PIPELINING allows.
    smtp.send(
        "MAIL FROM:<alice@site.example> BODY=8BITMIME SIZE=20 RET=HDRS ENVID=x1\r\n\
         RCPT TO:<BOB@Site.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@site.example\r\n\
         RCPT TO:<nobody@site.example>\r\nRCPT TO:<alice@site.example>\r\nRCPT TO:<new@demand.example>\r\n\
         RCPT TO:<bob@site.example>\r\nDATA\r\n",
    )
    .await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(smtp.line().await[..3].to_owned());
    }
    assert_eq!(codes, ["250", "250", "550", "250", "250", "250", "354"]);
    smtp.send("Subject: x\r\n\r\n\u{e4}\r\n..\r\n.\r\nQUIT\r\n").await;
    assert!(smtp.line().await.starts_with("250 "));
    assert!(smtp.line().await.starts_with("221 "));
    assert_eq!(smtp.until_closed().await, b"");

    let [alice, bob, new] = [ALICE, BOB, "new@demand.example"].map(|address| office.mails(address));
    assert_eq!((alice.len(), bob.len(), new.len()), (1, 1, 1));
    assert_eq!(handed_in(&bob[0]), "Subject: x\r\n\r\n\u{e4}\r\n.\r\n".as_bytes());
    assert!(std::sync::Arc::ptr_eq(&alice[0], &bob[0]) && std::sync::Arc::ptr_eq(&bob[0], &new[0]));
    assert!(!String::from_utf8_lossy(&bob[0]).contains("for <"), "no recipient learns of another");
    let stats = office.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.refused), (1, 3, 1));
    office.stop().await;
}

#[tokio::test]
async fn commands_out_of_order_and_without_sense_are_refused() {
    let office = office().await;
    let mut smtp = Client::open(office.ports().smtp).await;
    assert!(smtp.line().await.starts_with("220 post.sandbox.example ESMTP"));
    smtp.expect("MAIL FROM:<a@b>", "503 ").await;
    smtp.expect("AUTH PLAIN", "503 ").await;
    smtp.expect("HELO box.example", "250 ").await;
    smtp.ehlo().await;
    smtp.expect("MAIL FROM:<alice@site.example>", "530 ").await;
    smtp.expect("AUTH CRAM-MD5", "504 ").await;
    smtp.expect("AUTH PLAIN AGEAYg==", "535 ").await;
    smtp.expect("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    smtp.expect("YWxpY2VAc2l0ZS5leGFtcGxl", "334 UGFzc3dvcmQ6").await;
    smtp.expect("*", "501 ").await;
    smtp.expect("AUTH LOGIN YWxpY2VAc2l0ZS5leGFtcGxl", "334 UGFzc3dvcmQ6").await;
    smtp.expect("czNjcmV0", "235 ").await;
    smtp.expect("AUTH LOGIN", "503 ").await;
    smtp.expect("RCPT TO:<bob@site.example>", "503 ").await;
    smtp.expect("DATA", "503 ").await;
    smtp.expect("MAIL FROM:<alice@site.example> SIZE=999999999", "552 ").await;
    smtp.expect("MAIL FROM:<alice@site.example> SMTPUTF8", "555 ").await;
    smtp.expect("MAIL FROM:<alice@site.example> BODY=BINARYMIME", "501 ").await;
    smtp.expect("MAIL FROM:alice", "501 ").await;
    smtp.expect("MAIL FROM:<>", "250 ").await;
    smtp.expect("MAIL FROM:<alice@site.example>", "503 ").await;
    smtp.expect("DATA", "554 ").await;
    smtp.expect("RCPT TO:<bob@site.example> NOTIFY=SOMETIMES", "501 ").await;
    smtp.expect("RSET", "250 ").await;
    smtp.expect("RCPT TO:<bob@site.example>", "503 ").await;
    smtp.expect("FROB", "500 ").await;
    smtp.expect(&"x".repeat(20_000), "500 ").await;
    smtp.expect("NOOP", "250 ").await;
    smtp.expect("VRFY bob", "252 ").await;
    assert_eq!((office.stats().failed_logins.smtp, office.stats().logins.smtp), (1, 1));
    office.stop().await;
}

#[tokio::test]
async fn a_second_mail_cannot_be_smuggled_in() {
    let office = office().await;
    let mut smtp = Client::open(office.ports().smtp).await;
    smtp.smtp_login(ALICE).await;
    let smuggled = "Subject: a\r\n\r\nx\n.\r\nMAIL FROM:<boss@site.example>\r\nRCPT TO:<bob@site.example>\r\nDATA\r\nb\r\n";
    let answer = smtp.smtp_mail(ALICE, BOB, smuggled).await.expect("an answer");
    assert!(answer.starts_with("550 "), "{answer}");
    let answer = smtp.smtp_mail(ALICE, BOB, &format!("{}\r\n", "y".repeat(999))).await.expect("an answer");
    assert!(answer.starts_with("554 "), "{answer}");
    assert_eq!(office.mailbox_len(BOB), 0);
    let answer = smtp.smtp_mail(ALICE, BOB, &format!("{}\r\n", "y".repeat(998))).await.expect("an answer");
    assert!(answer.starts_with("250 "), "{answer}");
    assert_eq!(office.mailbox_len(BOB), 1);
    office.stop().await;
}

#[tokio::test]
async fn what_came_before_starttls_is_forgotten() {
    let office = office().await;
    let mut smtp = Client::open(office.ports().smtp).await;
    assert!(smtp.line().await.starts_with("220 "));
    assert!(smtp.ehlo().await.iter().any(|line| line.ends_with("STARTTLS")));
    // An attacker's command, slipped in behind STARTTLS in plain text.
    smtp.send("STARTTLS\r\nNOOP\r\n").await;
    assert!(smtp.line().await.starts_with("220 "));
    let mut smtp = smtp.into_tls(&office).await.expect("TLS");
    smtp.expect("MAIL FROM:<a@b>", "503 ").await;
    let extensions = smtp.ehlo().await;
    assert!(!extensions.iter().any(|line| line.ends_with("STARTTLS")));
    smtp.expect("STARTTLS", "503 ").await;
    office.stop().await;
}

#[tokio::test]
async fn limits_and_the_open_door_are_settings() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    let settings = Settings {
        size_limit: 1000,
        recipient_limit: 2,
        login_required: false,
        ca_file: Some(ca_file.clone()),
        ..Settings::default()
    };
    let office = PostOffice::start(settings).await.expect("a start");
    for address in [ALICE, BOB, "carol@site.example"] {
        office.add_mailbox(address, SECRET);
    }
    assert_eq!(std::fs::read_to_string(&ca_file).expect("a file"), office.ca_pem());
    let mut smtp = Client::open(office.ports().smtp).await;
    assert!(smtp.line().await.starts_with("220 "));
    assert!(smtp.ehlo().await.contains(&"250-SIZE 1000".to_owned()));
    let large = "123456789\r\n".repeat(100);
    assert!(smtp.smtp_mail("", BOB, &large).await.expect("an answer").starts_with("552 "));
    assert!(smtp.smtp_mail("", BOB, &large[..990]).await.expect("an answer").starts_with("250 "));
    smtp.expect("MAIL FROM:<>", "250 ").await;
    for (address, code) in [(ALICE, "250 "), (BOB, "250 "), ("carol@site.example", "452 ")] {
        smtp.expect(&format!("RCPT TO:<{address}>"), code).await;
    }
    office.stop().await;
}

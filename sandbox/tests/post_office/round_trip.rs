//! Out and in again with the mail transport of the product.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mailbox::{
    Account, AccountSettings, FetchError, FetchSession, Limits, OutgoingMail, Password, Protocol,
    RecipientOutcome, Retrieved, Security, SendError, Server, Submission, Woke,
};
use sandbox::post_office::{Fault, Outage, PostOffice, Rule, Service};
use tempfile::NamedTempFile;

use super::{ALICE, BOB, SECRET, SOON, handed_in, office, office_with};

const EVERY_SECURITY: [Security; 3] = [Security::Plain, Security::StartTls, Security::Tls];

/// Bob's account, who sends and fetches. The file with the authority must outlive it.
fn account(office: &PostOffice, fetch: Protocol, security: Security) -> (Account, NamedTempFile) {
    let ca_file = NamedTempFile::new().expect("a file");
    std::fs::write(ca_file.path(), office.ca_pem()).expect("a written file");
    let ports = office.ports();
    let tls = security == Security::Tls;
    let fetch_port = match fetch {
        Protocol::Pop3 if tls => ports.pop3s,
        Protocol::Pop3 => ports.pop3,
        Protocol::Imap if tls => ports.imaps,
        Protocol::Imap => ports.imap,
    };
    let server = |port| Server { host: "127.0.0.1".to_owned(), port, security };
    let settings = AccountSettings {
        name: "bob".to_owned(),
        address: BOB.to_owned(),
        username: BOB.to_owned(),
        smtp: server(if tls { ports.smtps } else { ports.smtp }),
        fetch,
        fetch_server: server(fetch_port),
        ca_file: Some(ca_file.path().to_owned()),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    (Account::new(settings, Password::new(SECRET.to_owned())), ca_file)
}

fn mail_to(recipient: &str, raw: &[u8]) -> OutgoingMail {
    OutgoingMail {
        return_path: Some(BOB.to_owned()),
        recipients: vec![recipient.to_owned()],
        raw: Arc::from(raw),
    }
}

fn limits() -> Limits {
    let short = Duration::from_secs(10);
    Limits {
        connect: short,
        operation: short,
        smtp_reply: short,
        progress: short,
        data_reply: short,
        ..Limits::default()
    }
}

/// Fetches and deletes all; gives the mails without the post office's header lines.
async fn fetch_all(account: &Account) -> Result<Vec<Vec<u8>>, FetchError> {
    let mut session = FetchSession::open(account, &limits()).await?;
    let items = session.list().await?;
    let mut mails = Vec::new();
    let mut rest = &items[..];
    while !rest.is_empty() {
        let batch = session.retrieve_batch(rest).await?;
        assert!(!batch.is_empty(), "a batch brings at least one mail");
        rest = &rest[batch.len()..];
        for (_, retrieved) in batch {
            let Retrieved::Mail(raw) = retrieved else { panic!("not a mail: {retrieved:?}") };
            mails.push(handed_in(&raw).to_vec());
        }
    }
    session.delete(&items).await?;
    session.finish().await?;
    Ok(mails)
}

/// The same, as soon as the mailbox is free.
async fn fetch_all_when_free(account: &Account) -> Vec<Vec<u8>> {
    let begin = Instant::now();
    loop {
        match fetch_all(account).await {
            Ok(mails) => return mails,
            Err(FetchError::Busy { .. }) if begin.elapsed() < SOON => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn nasty_mails() -> Vec<Vec<u8>> {
    let line = "0123456789abcdef".repeat(4);
    vec![
        b"Subject: dots\r\n\r\n.\r\n..\r\n.end\r\n".to_vec(),
        "Subject: 8 bit\r\n\r\n\u{fc}\u{20ac}\r\n".as_bytes().to_vec(),
        b"Subject: raw\r\n\r\n\x80\xff\x01\r\n".to_vec(),
        b"Subject: no body\r\n\r\n".to_vec(),
        b"Subject: like a reply\r\n\r\n)\r\nA0003 OK done\r\n+OK\r\n-ERR\r\n250 Ok\r\n".to_vec(),
        format!("Subject: large\r\n\r\n{}", format!("{line}\r\n").repeat(20_000)).into_bytes(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_go_out_and_come_in_octet_for_octet_over_every_protocol_and_protection() {
    let office = office().await;
    for protocol in [Protocol::Pop3, Protocol::Imap] {
        for security in EVERY_SECURITY {
            let (account, _ca) = account(&office, protocol, security);
            for raw in nasty_mails() {
                let outcome =
                    mailbox::smtp::send(&account, &limits(), &mail_to(BOB, &raw)).await.expect("sent");
                assert_eq!(outcome, [(BOB.to_owned(), RecipientOutcome::Accepted)]);
            }
            let fetched = fetch_all_when_free(&account).await;
            assert!(fetched == nasty_mails(), "{protocol:?} {security:?}");
            assert_eq!(fetch_all_when_free(&account).await.len(), 0, "they were deleted");
        }
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_three_thousand_mails_arrives_whole() {
    let office = office().await;
    let count = 3000;
    let raw =
        |number: usize| format!("Subject: {number}\r\n\r\n{}", "0123456789\r\n".repeat(100)).into_bytes();
    for protocol in [Protocol::Pop3, Protocol::Imap] {
        let (account, _ca) = account(&office, protocol, Security::Tls);
        let mut submission = Submission::connect(&account, &limits()).await.expect("connected");
        for number in 0..count {
            submission.send(&mail_to(BOB, &raw(number))).await.expect("sent");
        }
        submission.quit().await.expect("an orderly end");
        let fetched = fetch_all_when_free(&account).await;
        assert_eq!(fetched.len(), count);
        assert!(fetched.iter().enumerate().all(|(number, mail)| *mail == raw(number)), "{protocol:?}");
        assert_eq!(office.mailbox_len(BOB), 0);
    }
    office.stop().await;
}

#[tokio::test]
async fn after_an_outage_everything_goes_on() {
    let office = office().await;
    for (protocol, service) in [(Protocol::Pop3, Service::Pop3), (Protocol::Imap, Service::Imap)] {
        let (account, _ca) = account(&office, protocol, Security::Plain);
        mailbox::smtp::send(&account, &limits(), &mail_to(BOB, b"before\r\n")).await.expect("sent");

        office.set_faults(vec![Rule::always(Fault::Outage(Outage::Refuse))]);
        let sent = mailbox::smtp::send(&account, &limits(), &mail_to(BOB, b"lost?\r\n")).await;
        assert!(sent.is_err(), "{sent:?}");
        assert!(fetch_all(&account).await.is_err());

        office.set_faults(vec![Rule::always(Fault::Outage(Outage::Hang)).on(service)]);
        let impatient = Limits {
            operation: Duration::from_millis(200),
            smtp_reply: Duration::from_millis(200),
            ..limits()
        };
        let hanging = FetchSession::open(&account, &impatient).await;
        assert!(matches!(hanging, Err(FetchError::Timeout { .. })), "{hanging:?}");

        office.set_faults(vec![Rule::always(Fault::Outage(Outage::Midway)).on(service)]);
        assert!(fetch_all(&account).await.is_err(), "cut in the middle of a mail");
        assert_eq!(office.mailbox_len(BOB), 1, "and nothing deleted");

        office.set_faults(Vec::new());
        mailbox::smtp::send(&account, &limits(), &mail_to(BOB, b"after\r\n")).await.expect("sent");
        assert_eq!(fetch_all_when_free(&account).await, [b"before\r\n".to_vec(), b"after\r\n".to_vec()]);
    }
    office.stop().await;
}

#[tokio::test]
async fn a_sender_learns_of_every_refusal_and_not_of_silence() {
    let office = office_with(vec![Rule::always(Fault::Greylist { tries: 1 }).to(ALICE)]).await;
    let (account, _ca) = account(&office, Protocol::Pop3, Security::Plain);
    let mut mail = mail_to(ALICE, b"hello\r\n");
    mail.recipients.extend(["nobody@site.example".to_owned(), BOB.to_owned()]);
    let outcome = mailbox::smtp::send(&account, &limits(), &mail).await.expect("one recipient is good");
    assert!(matches!(&outcome[0].1, RecipientOutcome::Deferred(reply) if reply.code == 451), "{outcome:?}");
    assert!(matches!(&outcome[1].1, RecipientOutcome::Refused(reply) if reply.code == 550), "{outcome:?}");
    assert_eq!(outcome[2].1, RecipientOutcome::Accepted);
    assert_eq!((office.mailbox_len(ALICE), office.mailbox_len(BOB)), (0, 1));

    office.set_faults(vec![Rule::always(Fault::DieBeforeReply)]);
    let silent = mailbox::smtp::send(&account, &limits(), &mail_to(ALICE, b"twice\r\n")).await;
    assert!(!matches!(silent, Ok(_) | Err(SendError::Permanent(_))), "the sender must try again: {silent:?}");
    office.set_faults(Vec::new());
    mailbox::smtp::send(&account, &limits(), &mail_to(ALICE, b"twice\r\n")).await.expect("sent");
    assert_eq!(office.mailbox_len(ALICE), 2);
    office.stop().await;
}

#[tokio::test]
async fn waiting_by_imap_ends_with_the_next_mail() {
    let office = office().await;
    let (account, _ca) = account(&office, Protocol::Imap, Security::StartTls);
    let mut session = FetchSession::open(&account, &limits()).await.expect("a session");
    assert_eq!(session.wait_for_mail(Duration::from_millis(50)).await.expect("a wait"), Woke::TimedOut);
    let (woke, injected) =
        tokio::join!(session.wait_for_mail(SOON), async { office.inject(BOB, b"here\r\n") });
    assert!(injected);
    assert_eq!(woke.expect("a wait"), Woke::NewMail);
    assert_eq!(session.list().await.expect("a list").len(), 1);
    session.finish().await.expect("an orderly end");
    office.stop().await;
}

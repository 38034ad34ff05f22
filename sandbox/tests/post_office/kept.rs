//! Connections that are kept between two mails.

use std::sync::Arc;
use std::time::Duration;

use mailbox::smtp::kept::KeptSubmissions;
use mailbox::{Account, AccountSettings, Limits, OutgoingMail, Password, Protocol, Security, Server};
use sandbox::post_office::{Fault, Outage, PostOffice, Rule, Service};
use tokio::time::timeout;

use super::{ALICE, BOB, SECRET, SOON, office};

fn account(office: &PostOffice) -> Account {
    let server = |port| Server { host: "127.0.0.1".to_owned(), port, security: Security::Plain };
    let settings = AccountSettings {
        name: "bob".to_owned(),
        address: BOB.to_owned(),
        username: BOB.to_owned(),
        smtp: server(office.ports().smtp),
        fetch: Protocol::Imap,
        fetch_server: server(office.ports().imap),
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    Account::new(settings, Password::new(SECRET.to_owned()))
}

/// Sends one mail by a connection that is kept or new, and puts it back; whether it was kept.
async fn send(kept: &mut KeptSubmissions, account: &Account) -> bool {
    let mut lent = kept.connect(0, account, &Limits::default()).await.expect("a connection");
    let mail = OutgoingMail {
        return_path: Some(BOB.to_owned()),
        recipients: vec![ALICE.to_owned()],
        raw: Arc::from(&b"Subject: hello\r\n\r\nhello\r\n"[..]),
    };
    lent.submission.send(&mail).await.expect("the mail is taken");
    kept.put_back(0, lent.submission);
    lent.was_kept
}

#[tokio::test]
async fn mails_close_together_go_over_one_login() {
    let office = office().await;
    let (account, mut kept) = (account(&office), KeptSubmissions::default());
    assert!(!send(&mut kept, &account).await);
    for _ in 0..5 {
        assert!(send(&mut kept, &account).await);
    }
    assert_eq!(kept.take_logins(), [0]);
    assert!(office.wait_for_mails(ALICE, 6, SOON).await);
    assert!(kept.take(1).await.is_none(), "that of another account is none of ours");
    kept.close_all().await;
    assert_eq!(kept.resting(), 0);
    office.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_replaced_and_no_failure() {
    let office = office().await;
    let (account, mut kept) = (account(&office), KeptSubmissions::default());
    assert!(!send(&mut kept, &account).await);
    office.set_faults(vec![Rule::always(Fault::Outage(Outage::Refuse)).on(Service::Smtp)]);
    let all_cut = async {
        while office.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, all_cut).await.expect("the connection is cut");
    office.set_faults(Vec::new());
    assert!(!send(&mut kept, &account).await, "a new one");
    assert!(send(&mut kept, &account).await);
    assert_eq!(kept.take_logins(), [0, 0]);
    office.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_hangs_is_given_up_soon() {
    let office = office().await;
    let (account, mut kept) = (account(&office), KeptSubmissions::default());
    assert!(!send(&mut kept, &account).await);
    office.set_faults(vec![Rule::always(Fault::Outage(Outage::Hang)).on(Service::Smtp)]);
    assert!(timeout(SOON, kept.take(0)).await.expect("it is not waited for long").is_none());
    assert_eq!(kept.resting(), 0);
    office.set_faults(Vec::new());
    office.stop().await;
}

#[tokio::test]
async fn connections_are_closed_when_they_have_rested_and_none_rests_where_none_may() {
    let office = office().await;
    let account = account(&office);
    let mut kept = KeptSubmissions::new(Duration::from_millis(30));
    assert!(!send(&mut kept, &account).await);
    let until = kept.next_close().expect("one rests");
    kept.close_rested().await;
    assert!(kept.resting() == 1 || until <= tokio::time::Instant::now(), "not before its time");
    tokio::time::sleep_until(until).await;
    kept.close_rested().await;
    assert_eq!((kept.resting(), kept.next_close()), (0, None));

    let mut none = KeptSubmissions::new(Duration::ZERO);
    assert!(!send(&mut none, &account).await);
    assert_eq!(none.resting(), 0);
    assert!(!send(&mut none, &account).await);
    office.stop().await;
}

#[tokio::test]
async fn after_many_mails_a_connection_is_not_kept_any_longer() {
    let office = office().await;
    let (account, mut kept) = (account(&office), KeptSubmissions::default());
    let mut logins = 0;
    for _ in 0..60 {
        logins += usize::from(!send(&mut kept, &account).await);
    }
    assert_eq!(logins, 2);
    office.stop().await;
}

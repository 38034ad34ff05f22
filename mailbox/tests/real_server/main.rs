//! The post against a real mail site, where the environment names one: `scripts/servers/site start SMTP STORE` and
//! `scripts/mailserver start` print the variables `MAILSERVER_*`. A port that is empty is a door that the site has not. The
//! mailboxes `agent0001` to `agent0010` of the site domain are emptied and used.
//!
//! One check after the other in one function: they share the server.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

mod fill;
mod mails;
mod record;
mod site;

use std::{collections::HashSet, time::Duration};

use fill::fill;
use mailbox::{
    Account, FetchError, FetchSession, Inbox, Item, Limits, OutgoingMail, Password, Protocol,
    RecipientOutcome, Retrieved, SendError, Submission, Woke, fetch,
    inbox::{LoginBudget, NoticeRules},
    smtp,
};
use mails::{is_same, large_mail, nasty_mail, number_of};
use record::{Check, Record};
use site::{Guard, Way, account};
use tokio::time::Instant;

#[tokio::test]
async fn the_post_works_with_a_real_server() {
    if std::env::var_os("MAILSERVER_HOST").is_none() {
        println!("SKIPPED: MAILSERVER_HOST is not set, so no real mail server was tried");
        return;
    }
    let mut record = Record::default();
    for (way, user) in site::ways().into_iter().zip(["agent0001", "agent0002", "agent0003", "agent0004"]) {
        let checks = [
            Check::new("smtp", way.guard, "exotic mails"),
            Check::new(way.name(), way.guard, "exotic mails"),
        ];
        record.run(&checks, nasty_mails_come_back_byte_for_byte(account(user, way))).await;
    }
    mechanisms(&mut record).await;
    for protocol in [Protocol::Pop3, Protocol::Imap] {
        let Some(way) = site::tls(protocol) else { continue };
        let check = |what| [Check::new(way.name(), way.guard, what)];
        record.run(&check("refusals"), refusals_are_told_apart(way)).await;
        let large = [
            Check::new("smtp", way.guard, "6 MB and the announced size"),
            Check::new(way.name(), way.guard, "6 MB"),
        ];
        record.run(&large, a_large_mail_comes_and_a_larger_one_is_not_sent(way)).await;
    }
    let way = site::tls(Protocol::Imap).or(site::tls(Protocol::Pop3)).expect("a site with TLS");
    let check = [Check::new("smtp", way.guard, "an unknown recipient")];
    record.run(&check, one_unknown_recipient_among_many(way)).await;
    if let Some(way) = site::tls(Protocol::Pop3) {
        let check = [Check::new("pop3", way.guard, "deletion at QUIT only")];
        record.run(&check, a_dropped_pop3_session_deletes_nothing(way)).await;
    }
    if let Some(way) = site::tls(Protocol::Imap) {
        let check = |what| [Check::new("imap", way.guard, what)];
        if site::optional("MAILSERVER_IDLE").is_none_or(|idle| idle != "mute") {
            record.run(&check("IDLE"), new_mail_ends_an_idle_wait(way)).await;
        }
        if let Some(limit_mb) = site::optional("MAILSERVER_QUOTA_MB") {
            let limit_mb = limit_mb.parse().unwrap();
            record.run(&check("quota"), how_full_the_mailbox_is_is_told(way, limit_mb)).await;
        }
        record
            .run(&check("session kept between looks"), a_kept_session_finds_mail_that_came_since(way))
            .await;
    }
    let checks: Vec<Check> = site::ways()
        .iter()
        .filter(|way| way.guard == Guard::Tls)
        .map(|way| Check::new(way.name(), way.guard, "a full mailbox"))
        .collect();
    record.run(&checks, many_mails_are_listed_and_read_fast()).await;
    record.close();
}

/// Every mechanism that the site says its servers have, with each protection.
async fn mechanisms(record: &mut Record) {
    let first = site::ways();
    for guard in [Guard::Tls, Guard::StartTls] {
        let Some(way) = first.iter().copied().find(|way| way.guard == guard) else { continue };
        for name in site::mechanisms("smtp") {
            let account = site::account_by("agent0005", way, &name);
            let check = [Check::new("smtp", guard, format!("login by {name}"))];
            let limits = Limits::default();
            record
                .run(&check, async move { drop(smtp::check_login(&account, &limits).await.unwrap()) })
                .await;
        }
    }
    for way in first {
        for name in site::mechanisms(way.name()) {
            let account = site::account_by("agent0005", way, &name);
            let check = [Check::new(way.name(), way.guard, format!("login by {name}"))];
            let limits = Limits::default();
            record
                .run(&check, async move { drop(fetch::check_login(&account, &limits).await.unwrap()) })
                .await;
        }
    }
}

async fn retrieve_all(session: &mut FetchSession, items: &[Item]) -> Vec<(Item, Vec<u8>)> {
    let mut mails = Vec::new();
    while mails.len() < items.len() {
        for (item, retrieved) in session.retrieve_batch(&items[mails.len()..]).await.unwrap() {
            let Retrieved::Mail(mail) = retrieved else { panic!("{item:?}: {retrieved:?}") };
            mails.push((item, mail));
        }
    }
    mails
}

async fn empty(account: &Account) {
    let mut session = FetchSession::open(account, &Limits::default()).await.unwrap();
    loop {
        let items = session.list().await.unwrap();
        session.delete(&items).await.unwrap();
        if items.len() < Limits::default().listing_max {
            break;
        }
    }
    session.finish().await.unwrap();
    shrinks_to(account, 0).await;
}

/// Waits until the mailbox holds `count` mails; servers deliver in the background.
async fn wait_for(account: &Account, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let mut session = FetchSession::open(account, &Limits::default()).await.unwrap();
        let found = session.list().await.unwrap().len();
        session.finish().await.unwrap();
        if found >= count {
            return;
        }
        assert!(Instant::now() < deadline, "only {found} of {count} mails came");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until so many mails are left: Courier says good-bye by POP3 before it has deleted all it was told to.
async fn shrinks_to(account: &Account, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let left = fetch::check_login(account, &Limits::default()).await.unwrap().mails;
        if left == count {
            return;
        }
        assert!(Instant::now() < deadline, "{left} mails are left, not {count}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn to_itself(account: &Account, raw: Vec<u8>) -> OutgoingMail {
    let address = account.settings.address.clone();
    OutgoingMail { return_path: Some(address.clone()), recipients: vec![address], raw: raw.into() }
}

async fn nasty_mails_come_back_byte_for_byte(account: Account) {
    const COUNT: usize = 50;
    let limits = Limits { piece_octets: 64 << 10, ..Limits::default() };
    empty(&account).await;
    let mut submission = Submission::connect(&account, &limits).await.unwrap();
    for number in 0..COUNT {
        let outcome = submission.send(&to_itself(&account, nasty_mail(number))).await.unwrap();
        assert_eq!(outcome[0].1, RecipientOutcome::Accepted);
    }
    submission.quit().await.unwrap();
    wait_for(&account, COUNT).await;

    let login = fetch::check_login(&account, &limits).await.unwrap();
    assert_eq!(login.mails, COUNT as u64);
    let mut session = FetchSession::open(&account, &limits).await.unwrap();
    let items = session.list().await.unwrap();
    let mails = retrieve_all(&mut session, &items).await;
    let mut seen = [false; COUNT];
    for (item, mail) in &mails {
        let number = number_of(mail);
        assert!(is_same(mail, &nasty_mail(number)), "mail {number}:\n{}", String::from_utf8_lossy(mail));
        assert!(!std::mem::replace(&mut seen[number], true));
        assert_eq!(&session.retrieve(item).await.unwrap(), mail, "one by one and in a batch are the same");
    }

    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    session.delete(&items[..20]).await.unwrap();
    session.finish().await.unwrap();
    shrinks_to(&account, COUNT as u64 - 20).await;
    let mut session = FetchSession::open(&account, &limits).await.unwrap();
    let left: Vec<String> = session.list().await.unwrap().into_iter().map(|item| item.id).collect();
    assert_eq!(left, ids[20..], "ids stay the same from session to session");
    session.finish().await.unwrap();

    let small = Limits { message_octets_max: 50_000, ..limits };
    let mut session = FetchSession::open(&account, &small).await.unwrap();
    let items = session.list().await.unwrap();
    let large = items.iter().find(|item| item.size_octets > 50_000).unwrap();
    assert!(matches!(session.retrieve(large).await, Err(FetchError::TooLarge { .. })));
    assert!(session.retrieve(items.iter().find(|item| item.size_octets < 50_000).unwrap()).await.is_ok());
    session.finish().await.unwrap();
    empty(&account).await;
}

async fn refusals_are_told_apart(way: Way) {
    let mut wrong = account("agent0005", way);
    wrong.password = Password::new("wrong-password".into());
    let error = fetch::check_login(&wrong, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::LoginRefused { .. }), "{error:?}");
    let error = smtp::check_login(&wrong, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, SendError::LoginRefused { .. }), "{error:?}");

    let mut untrusting = account("agent0005", way).settings;
    untrusting.ca_file = None;
    let untrusting = Account::new(untrusting, Password::new(site::setting("MAILSERVER_PASSWORD")));
    let error = fetch::check_login(&untrusting, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(_)), "a server of unknown origin must be refused: {error:?}");
}

async fn one_unknown_recipient_among_many(way: Way) {
    let sender = account("agent0005", way);
    let users = ["agent0005", "agent0006", "agent0007", "agent0008", "agent0009", "agent0010"];
    for user in users {
        empty(&account(user, way)).await;
    }
    let mut recipients: Vec<String> = users.map(site::address).to_vec();
    recipients.insert(3, site::address("nobody-of-this-name"));
    let mail =
        OutgoingMail { return_path: Some(site::address("agent0005")), recipients, raw: nasty_mail(5).into() };
    let outcome = smtp::send(&sender, &Limits::default(), &mail).await.unwrap();
    for (address, outcome) in outcome {
        if address.starts_with("nobody") {
            assert!(matches!(&outcome, RecipientOutcome::Refused(_)), "{outcome:?}");
        } else {
            assert_eq!(outcome, RecipientOutcome::Accepted, "{address}");
        }
    }
    for user in users {
        wait_for(&account(user, way), 1).await;
        empty(&account(user, way)).await;
    }
}

async fn a_large_mail_comes_and_a_larger_one_is_not_sent(way: Way) {
    let account = account("agent0009", way);
    empty(&account).await;
    let mut submission = Submission::connect(&account, &Limits::default()).await.unwrap();
    let taken = submission.extensions().size_octets_max.expect("the server announces a largest size");
    let over = vec![b'x'; usize::try_from(taken).unwrap()];
    let refused = submission.send(&to_itself(&account, over)).await.unwrap_err();
    assert!(matches!(refused, SendError::TooLarge { .. }), "{refused:?}");
    let sent = large_mail(way.name(), 6_000_000);
    let outcome = submission.send(&to_itself(&account, sent.clone())).await.unwrap();
    assert_eq!(outcome[0].1, RecipientOutcome::Accepted);
    submission.quit().await.unwrap();
    wait_for(&account, 1).await;
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    let items = session.list().await.unwrap();
    let came = session.retrieve(&items[0]).await.unwrap();
    assert!(is_same(&came, &sent), "{} octets came of {}", came.len(), sent.len());
    session.finish().await.unwrap();
    empty(&account).await;
}

async fn a_dropped_pop3_session_deletes_nothing(way: Way) {
    let account = account("agent0006", way);
    empty(&account).await;
    fill("agent0006", way, 3).await;
    wait_for(&account, 3).await;
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    let items = session.list().await.unwrap();
    session.delete(&items).await.unwrap();
    drop(session);
    let deadline = Instant::now() + Duration::from_secs(30);
    // The dropped session may hold the mailbox a little longer.
    let found = loop {
        match fetch::check_login(&account, &Limits::default()).await {
            Ok(report) => break report.mails,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(found, 3);
    empty(&account).await;
}

async fn new_mail_ends_an_idle_wait(way: Way) {
    let account = account("agent0007", way);
    empty(&account).await;
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    assert_eq!(session.wait_for_mail(Duration::from_millis(300)).await.unwrap(), Woke::TimedOut);
    let started = Instant::now();
    let (woke, ()) = tokio::join!(session.wait_for_mail(Duration::from_secs(60)), fill("agent0007", way, 1));
    assert_eq!(woke.unwrap(), Woke::NewMail);
    println!("woken after {:?}", started.elapsed());
    assert_eq!(session.list().await.unwrap().len(), 1);
    session.finish().await.unwrap();
    empty(&account).await;
}

async fn how_full_the_mailbox_is_is_told(way: Way, limit_mb: u64) {
    let account = account("agent0009", way);
    empty(&account).await;
    let quota = fetch::check_login(&account, &Limits::default()).await.unwrap().quota;
    let octets = quota.octets.expect("a limit of octets");
    assert_eq!((octets.limit, octets.percent()), (limit_mb << 20, 0));
    let (limits, mail) = (Limits::default(), to_itself(&account, large_mail("quota", 6_000_000)));
    smtp::send(&account, &limits, &mail).await.unwrap();
    wait_for(&account, 1).await;
    let mut session = FetchSession::open(&account, &limits).await.unwrap();
    let octets = session.quota().await.unwrap().octets.expect("a limit of octets");
    assert!((6_000_000..10_000_000).contains(&octets.used), "{octets:?}");
    assert_eq!(session.list().await.unwrap().len(), 1, "the session goes on");
    session.finish().await.unwrap();
    empty(&account).await;
}

async fn a_kept_session_finds_mail_that_came_since(way: Way) {
    let account = account("agent0007", way);
    empty(&account).await;
    let (rules, budget) = (NoticeRules::default(), LoginBudget::new(10));
    let mut inbox = Inbox::new(account.clone(), Limits::default(), rules, budget, || 7);
    let mut session = inbox.open().await.unwrap();
    assert_eq!(session.list().await.unwrap(), []);
    inbox.keep(session).await.unwrap();
    fill("agent0007", way, 1).await;
    wait_for(&account, 1).await;
    let mut session = inbox.open().await.unwrap();
    let items = session.list().await.unwrap();
    assert_eq!(retrieve_all(&mut session, &items).await.len(), 1);
    inbox.keep(session).await.unwrap();
    assert_eq!(inbox.take_logins(), 1, "it was the same session");
    inbox.close().await;
    empty(&account).await;
}

async fn many_mails_are_listed_and_read_fast() {
    let count: usize = site::optional("MAILSERVER_MANY").map_or(2500, |count| count.parse().unwrap());
    let ways = [site::tls(Protocol::Pop3), site::tls(Protocol::Imap)];
    let accounts: Vec<Account> = ways.into_iter().flatten().map(|way| account("agent0008", way)).collect();
    empty(&accounts[0]).await;
    fill("agent0008", ways.into_iter().flatten().next().unwrap(), count).await;
    wait_for(&accounts[0], count).await;
    let mut contents = HashSet::new();
    for account in accounts.iter().chain(&accounts) {
        let mut session = FetchSession::open(account, &Limits::default()).await.unwrap();
        let started = Instant::now();
        let items = session.list().await.unwrap();
        let listed = started.elapsed();
        assert_eq!(items.len(), count);
        let started = Instant::now();
        let mails = retrieve_all(&mut session, &items).await;
        let took = started.elapsed();
        println!(
            "{:?}: {count} mails listed in {listed:?}, read in {took:?}: {:.0} mails/s",
            account.settings.fetch,
            count as f64 / took.as_secs_f64()
        );
        session.finish().await.unwrap();
        contents.insert(mails.iter().map(|(_, mail)| mails::own_part(mail).len()).sum::<usize>());
    }
    assert_eq!(contents.len(), 1, "both protocols give the same octets: {contents:?}");
    for account in &accounts {
        empty(account).await;
    }
}

//! How the programs' inbox notices mail, and what it makes of servers whose IDLE is of no use.

use std::time::{Duration, Instant};

use mailbox::backoff::Backoff;
use mailbox::inbox::{Inbox, LoginBudget, Manner, News, NoticeRules};
use mailbox::{Account, AccountSettings, FetchError, Limits, Password, Protocol, Security, Server};
use sandbox::post_office::{Fault, IdleFault, Outage, PostOffice, Rule, Service, Settings};
use tokio::time::timeout;

use super::{BOB, SECRET, SOON, office, office_with};

const MAIL: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
/// Long enough for a server of our own to say what it has to say.
const A_WHILE: Duration = Duration::from_millis(300);

fn account(office: &PostOffice, fetch: Protocol) -> Account {
    let server = |port| Server { host: "127.0.0.1".to_owned(), port, security: Security::Plain };
    let ports = office.ports();
    let port = match fetch {
        Protocol::Pop3 => ports.pop3,
        Protocol::Imap => ports.imap,
    };
    let settings = AccountSettings {
        name: "test".to_owned(),
        address: BOB.to_owned(),
        username: BOB.to_owned(),
        smtp: server(ports.smtp),
        fetch,
        fetch_server: server(port),
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: Default::default(),
    };
    Account::new(settings, Password::new(SECRET.to_owned()))
}

fn inbox_with(office: &PostOffice, fetch: Protocol, logins: u32) -> Inbox {
    let quick = Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(100) };
    let rules = NoticeRules { backoff: quick, ..NoticeRules::default() };
    Inbox::new(account(office, fetch), Limits::default(), rules, LoginBudget::new(logins), || 7)
}

fn inbox(office: &PostOffice) -> Inbox {
    inbox_with(office, Protocol::Imap, 1_000)
}

/// Looks, deletes what is there, gives the session back; how many mails there were.
async fn look(inbox: &mut Inbox) -> Result<usize, FetchError> {
    let mut session = inbox.open().await?;
    let items = session.list().await?;
    let read = session.retrieve_batch(&items).await?;
    session.delete(&items).await?;
    inbox.keep(session).await?;
    Ok(read.len())
}

async fn news(inbox: &mut Inbox) -> News {
    timeout(SOON, inbox.news()).await.expect("news")
}

#[tokio::test]
async fn how_full_the_mailbox_is_is_asked_once_over_the_session_that_is_there() {
    let settings = Settings { quota_octets: Some(100 << 10), ..Settings::default() };
    let office = PostOffice::start(settings).await.expect("free ports on loopback");
    office.add_mailbox(BOB, SECRET);
    assert!(office.inject(BOB, &[MAIL, &[b'x'; 90 << 10]].concat()));
    let mut inbox = inbox(&office);
    let session = inbox.open().await.unwrap();
    inbox.keep(session).await.unwrap();
    let quota = inbox.take_quota().expect("it was asked");
    assert!(quota.is_nearly_full(false), "{quota}");
    assert_eq!(quota.octets.map(|octets| octets.limit), Some(100 << 10));
    assert_eq!(look(&mut inbox).await.unwrap(), 1);
    assert_eq!((inbox.take_quota(), inbox.take_logins()), (None, 1), "asked seldom, and without a login");
    let report = mailbox::fetch::check_login(inbox.account(), &Limits::default()).await.unwrap();
    assert_eq!(report.quota.percent(), Some(0), "it was emptied");
    inbox.close().await;
    office.stop().await;
}

#[tokio::test]
async fn mail_is_told_at_once_over_one_login() {
    let office = office().await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    for _ in 0..20 {
        assert!(timeout(Duration::from_millis(5), inbox.news()).await.is_err(), "nothing has come");
        assert!(office.inject(BOB, MAIL));
        assert_eq!(news(&mut inbox).await, News::Mail);
        assert_eq!(look(&mut inbox).await.unwrap(), 1);
    }
    assert_eq!(inbox.standing().manner, Manner::Idle);
    assert_eq!((inbox.take_logins(), inbox.take_logins()), (1, 0));
    inbox.close().await;
    office.stop().await;
}

#[tokio::test]
async fn mail_that_comes_while_mails_are_read_is_not_slept_over() {
    let office = office().await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    for _ in 0..20 {
        office.inject(BOB, MAIL);
        assert_eq!(news(&mut inbox).await, News::Mail);
        let mut session = inbox.open().await.unwrap();
        let items = session.list().await.unwrap();
        assert!(!items.is_empty());
        // Between the listing and the next wait.
        office.inject(BOB, MAIL);
        session.delete(&items).await.unwrap();
        inbox.keep(session).await.unwrap();
        assert_eq!(news(&mut inbox).await, News::Mail);
        assert!(look(&mut inbox).await.unwrap() > 0);
    }
    office.stop().await;
}

#[tokio::test]
async fn a_refused_idle_is_replaced_by_asking_over_the_same_session() {
    let office = office_with(vec![Rule::always(Fault::Idle(IdleFault::Refused))]).await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    assert_eq!(inbox.standing().manner, Manner::Asking);
    assert!(inbox.standing().session_open);
    office.inject(BOB, MAIL);
    assert!(timeout(A_WHILE, inbox.news()).await.is_err(), "nobody tells");
    assert_eq!(look(&mut inbox).await.unwrap(), 1);
    assert_eq!(inbox.take_logins(), 1);
    office.stop().await;
}

#[tokio::test]
async fn an_idle_that_the_server_ends_at_once_is_replaced_by_asking_without_a_storm() {
    let office = office_with(vec![Rule::always(Fault::Idle(IdleFault::EndsAtOnce))]).await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    assert!(timeout(A_WHILE, inbox.news()).await.is_err(), "nothing to look for");
    assert_eq!(inbox.standing().manner, Manner::Asking);
    assert_eq!((look(&mut inbox).await.unwrap(), inbox.take_logins()), (0, 1));
    office.stop().await;
}

#[tokio::test]
async fn a_server_that_never_tells_is_found_out_by_the_looks_between_and_then_asked() {
    let office = office_with(vec![Rule::always(Fault::Idle(IdleFault::NeverTells))]).await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    for _ in 0..3 {
        assert_eq!(inbox.standing().manner, Manner::Idle);
        office.inject(BOB, MAIL);
        assert!(timeout(A_WHILE, inbox.news()).await.is_err(), "it does not tell");
        assert_eq!(look(&mut inbox).await.unwrap(), 1);
    }
    assert_eq!(inbox.standing().manner, Manner::Asking);
    assert_eq!(inbox.take_logins(), 1);
    office.stop().await;
}

#[tokio::test]
async fn a_server_that_says_good_bye_to_every_wait_gets_a_session_for_every_look_in_the_end() {
    let office = office_with(vec![Rule::always(Fault::Idle(IdleFault::SaysGoodBye))]).await;
    let mut inbox = inbox(&office);
    for round in 0..3 {
        assert_eq!(inbox.standing().manner, Manner::Idle, "round {round}");
        assert_eq!(look(&mut inbox).await.unwrap(), 0);
        assert_eq!(news(&mut inbox).await, News::Lost);
    }
    assert_eq!(inbox.standing().manner, Manner::Asking, "IDLE is what it does not bear");
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    office.inject(BOB, MAIL);
    assert_eq!((look(&mut inbox).await.unwrap(), inbox.take_logins()), (1, 4));
    office.stop().await;
}

#[tokio::test]
async fn an_outage_ends_the_wait_and_mail_is_told_again_after_it() {
    let office = office().await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    let outage = Rule::always(Fault::Outage(Outage::Refuse)).on(Service::Imap);
    office.set_faults(vec![outage]);
    assert_eq!(news(&mut inbox).await, News::Lost);
    assert!(look(&mut inbox).await.is_err());
    // The caller knows that a look is due; it is not told a second time.
    assert!(timeout(A_WHILE, inbox.news()).await.is_err());
    office.set_faults(Vec::new());
    office.inject(BOB, MAIL);
    assert_eq!(look(&mut inbox).await.unwrap(), 1);
    office.inject(BOB, MAIL);
    assert_eq!(news(&mut inbox).await, News::Mail);
    assert_eq!(inbox.take_logins(), 2, "a connection that was refused is no login");
    office.stop().await;
}

#[tokio::test]
async fn a_line_that_is_dead_costs_one_wait_and_no_mail() {
    let office = office_with(vec![Rule::always(Fault::Idle(IdleFault::FallsSilent))]).await;
    let mut inbox = inbox(&office);
    assert_eq!(look(&mut inbox).await.unwrap(), 0);
    office.inject(BOB, MAIL);
    assert!(timeout(A_WHILE, inbox.news()).await.is_err(), "nothing comes through");
    office.set_faults(Vec::new());
    let begun = Instant::now();
    assert_eq!(look(&mut inbox).await.unwrap(), 1, "by another session");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(inbox.take_logins(), 2);
    office.stop().await;
}

#[tokio::test]
async fn pop3_logs_in_for_every_look_and_stays_within_the_budget() {
    let office = office().await;
    let mut inbox = inbox_with(&office, Protocol::Pop3, 8);
    for _ in 0..4 {
        office.inject(BOB, MAIL);
        assert_eq!(look(&mut inbox).await.unwrap(), 1);
        assert_eq!(office.mailbox_len(BOB), 0, "the session was ended: the deletion counts");
        assert_eq!(inbox.standing().manner, Manner::PerLook);
    }
    assert!(timeout(A_WHILE, inbox.news()).await.is_err(), "only the clock tells");
    let error = look(&mut inbox).await.unwrap_err();
    let FetchError::TooManyLogins { wait, .. } = error else { panic!("{error:?}") };
    assert!(wait > Duration::from_secs(60) && wait <= Duration::from_secs(3600), "{wait:?}");
    assert_eq!(inbox.take_logins(), 4);
    office.stop().await;
}

#[tokio::test]
async fn logins_of_an_earlier_run_count() {
    let office = office().await;
    let mut inbox = inbox_with(&office, Protocol::Imap, 2);
    inbox.remember_logins([Duration::from_secs(600), Duration::from_secs(60)]);
    let error = look(&mut inbox).await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyLogins { per_hour_max: 2, .. }), "{error:?}");
    office.stop().await;
}

//! The same post against a real Postfix and Dovecot, where the environment names one: `MAILSERVER_HOST`,
//! `MAILSERVER_SUBMISSION_PORT`, `MAILSERVER_SMTPS_PORT`, `MAILSERVER_POP3_PORT`, `MAILSERVER_POP3S_PORT`,
//! `MAILSERVER_IMAP_PORT`, `MAILSERVER_IMAPS_PORT`, `MAILSERVER_LMTP_PORT`, `MAILSERVER_CA`, `MAILSERVER_PASSWORD`,
//! `MAILSERVER_SITE_DOMAIN`. The mailboxes `agent0001` to `agent0010` of the site domain are emptied and used.
//!
//! One test after the other in one function: they share the server.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use std::{collections::HashMap, path::PathBuf, time::Duration};

use mailbox::{
    Account, AccountSettings, FetchError, FetchSession, Item, Limits, OutgoingMail, Password, Protocol,
    RecipientOutcome, Retrieved, Security, SendError, Server, Submission, Woke, fetch, smtp,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set, though MAILSERVER_HOST is"))
}

fn port(name: &str) -> u16 {
    setting(name).parse().unwrap()
}

fn account(user: &str, fetch: Protocol, security: Security) -> Account {
    let server = |port| Server { host: setting("MAILSERVER_HOST"), port, security };
    let (fetch_port, smtp_port) = match (fetch, security) {
        (Protocol::Pop3, Security::Tls) => ("MAILSERVER_POP3S_PORT", "MAILSERVER_SMTPS_PORT"),
        (Protocol::Pop3, _) => ("MAILSERVER_POP3_PORT", "MAILSERVER_SUBMISSION_PORT"),
        (Protocol::Imap, Security::Tls) => ("MAILSERVER_IMAPS_PORT", "MAILSERVER_SMTPS_PORT"),
        (Protocol::Imap, _) => ("MAILSERVER_IMAP_PORT", "MAILSERVER_SUBMISSION_PORT"),
    };
    let address = format!("{user}@{}", setting("MAILSERVER_SITE_DOMAIN"));
    let settings = AccountSettings {
        name: "real".into(),
        address: address.clone(),
        username: address,
        smtp: server(port(smtp_port)),
        fetch,
        fetch_server: server(port(fetch_port)),
        ca_file: Some(PathBuf::from(setting("MAILSERVER_CA"))),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        login: mailbox::Login::default(),
    };
    Account::new(settings, Password::new(setting("MAILSERVER_PASSWORD")))
}

/// Whatever mail may hold: dots, 8-bit, no last line end, long lines, an attachment. Every one has its number in it.
fn nasty_mail(number: usize) -> Vec<u8> {
    let mut mail = format!(
        "From: a@site.example\r\nTo: b@site.example\r\nSubject: n{number}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <n{number}@site.example>\r\nX-Number: {number}\r\n\r\n"
    )
    .into_bytes();
    match number % 10 {
        0 => mail.extend_from_slice(b".\r\n..\r\n...\r\n.dot\r\n. \r\n"),
        1 => mail.extend((0x80..=0xffu8).flat_map(|octet| [octet, octet, b'\r', b'\n'])),
        2 => mail.extend_from_slice(b"no line end at the end"),
        3 => mail.extend(std::iter::repeat_n(b'x', 20_000).chain(*b"\r\nafter the long line\r\n")),
        4 => mail.extend((0..1300).flat_map(|line| format!("{line:075}=\r\n").into_bytes())),
        5 => {}
        6 => mail.extend_from_slice(b"\r\n\r\n\r\n"),
        7 => mail.extend_from_slice("Grüße aus Köln, 東京 {5}\r\n* 1 FETCH (UID 1)\r\n+OK\r\n".as_bytes()),
        8 => mail.extend_from_slice(b"ends in a dot\r\n."),
        _ => mail.extend_from_slice(b"\t \r\n trailing \t\r\n"),
    }
    mail
}

/// As it must come back: with a last line end.
fn as_stored(mut mail: Vec<u8>) -> Vec<u8> {
    if !mail.ends_with(b"\r\n") {
        mail.extend_from_slice(b"\r\n");
    }
    mail
}

/// The part behind the header lines that servers put in front.
fn own_part(mail: &[u8]) -> &[u8] {
    let start = mail
        .windows(22)
        .position(|window| window == b"From: a@site.example\r\n")
        .expect("our first header line");
    &mail[start..]
}

fn number_of(mail: &[u8]) -> usize {
    let text = String::from_utf8_lossy(own_part(mail));
    text.split("X-Number: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap()
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
}

/// Waits until the mailbox holds `count` mails; Postfix delivers in the background.
async fn wait_for(account: &Account, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
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

#[tokio::test]
async fn the_post_works_with_a_real_server() {
    if std::env::var_os("MAILSERVER_HOST").is_none() {
        println!("SKIPPED: MAILSERVER_HOST is not set, so no real mail server was tried");
        return;
    }
    let ways = [
        ("agent0001", Protocol::Pop3, Security::Tls),
        ("agent0002", Protocol::Pop3, Security::StartTls),
        ("agent0003", Protocol::Imap, Security::Tls),
        ("agent0004", Protocol::Imap, Security::StartTls),
    ];
    for (user, protocol, security) in ways {
        nasty_mails_come_back_byte_for_byte(&account(user, protocol, security)).await;
        println!("{protocol:?} {security:?}: works");
    }
    refusals_are_told_apart().await;
    a_dropped_pop3_session_deletes_nothing().await;
    new_mail_ends_an_idle_wait().await;
    many_mails_are_listed_and_read_fast().await;
}

async fn nasty_mails_come_back_byte_for_byte(account: &Account) {
    let limits = Limits { piece_octets: 64 << 10, ..Limits::default() };
    empty(account).await;
    let address = account.settings.address.clone();
    let report = smtp::check_login(account, &limits).await.unwrap();
    assert!(report.extensions.pipelining && report.extensions.size_octets_max.is_some());

    let mut submission = Submission::connect(account, &limits).await.unwrap();
    for number in 0..100 {
        let mail = OutgoingMail {
            return_path: Some(address.clone()),
            recipients: vec![address.clone()],
            raw: nasty_mail(number).into(),
        };
        assert_eq!(submission.send(&mail).await.unwrap()[0].1, RecipientOutcome::Accepted);
    }
    submission.quit().await.unwrap();
    wait_for(account, 100).await;

    let login = fetch::check_login(account, &limits).await.unwrap();
    assert_eq!(login.mails, 100);
    let mut session = FetchSession::open(account, &limits).await.unwrap();
    let items = session.list().await.unwrap();
    let mails = retrieve_all(&mut session, &items).await;
    let mut seen = [false; 100];
    for (item, mail) in &mails {
        let number = number_of(mail);
        // Postfix folds lines over 998 octets on delivery (its lmtp_line_length_limit); only the fold may differ.
        let expected = as_stored(nasty_mail(number));
        if number % 10 == 3 {
            let joined =
                |mail: &[u8]| mail.iter().filter(|b| !b"\r\n ".contains(b)).copied().collect::<Vec<u8>>();
            assert_eq!(joined(own_part(mail)), joined(&expected));
        } else {
            assert!(own_part(mail) == expected, "mail {number}:\n{}", String::from_utf8_lossy(mail));
        }
        assert!(!std::mem::replace(&mut seen[number], true));
        assert_eq!(&session.retrieve(item).await.unwrap(), mail, "one by one and in a batch are the same");
    }

    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    session.delete(&items[..40]).await.unwrap();
    session.finish().await.unwrap();
    let mut session = FetchSession::open(account, &limits).await.unwrap();
    let left: Vec<String> = session.list().await.unwrap().into_iter().map(|item| item.id).collect();
    assert_eq!(left, ids[40..], "ids stay the same from session to session");
    session.finish().await.unwrap();

    let small = Limits { message_octets_max: 50_000, ..limits };
    let mut session = FetchSession::open(account, &small).await.unwrap();
    let items = session.list().await.unwrap();
    let large = items.iter().find(|item| item.size_octets > 50_000).unwrap();
    assert!(matches!(session.retrieve(large).await, Err(FetchError::TooLarge { .. })));
    assert!(session.retrieve(items.iter().find(|item| item.size_octets < 50_000).unwrap()).await.is_ok());
    session.finish().await.unwrap();
    empty(account).await;
}

async fn refusals_are_told_apart() {
    for (protocol, security) in [(Protocol::Pop3, Security::Tls), (Protocol::Imap, Security::StartTls)] {
        let mut wrong = account("agent0005", protocol, security);
        wrong.password = Password::new("wrong-password".into());
        let error = fetch::check_login(&wrong, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, FetchError::LoginRefused { .. }), "{error:?}");
        if protocol == Protocol::Pop3 {
            let error = smtp::check_login(&wrong, &Limits::default()).await.unwrap_err();
            assert!(matches!(error, SendError::LoginRefused { .. }), "{error:?}");
        }

        let mut untrusting = account("agent0005", protocol, security).settings;
        untrusting.ca_file = None;
        let untrusting = Account::new(untrusting, Password::new(setting("MAILSERVER_PASSWORD")));
        let error = fetch::check_login(&untrusting, &Limits::default()).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Connect(_)),
            "a server of unknown origin must be refused: {error:?}"
        );
    }
    let sender = account("agent0005", Protocol::Imap, Security::Tls);
    let domain = setting("MAILSERVER_SITE_DOMAIN");
    let mail = OutgoingMail {
        return_path: None,
        recipients: vec![format!("nobody-of-this-name@{domain}"), format!("agent0005@{domain}")],
        raw: nasty_mail(5).into(),
    };
    let outcome = smtp::send(&sender, &Limits::default(), &mail).await.unwrap();
    assert!(matches!(&outcome[0].1, RecipientOutcome::Refused(reply) if reply.code == 550), "{outcome:?}");
    assert_eq!(outcome[1].1, RecipientOutcome::Accepted);
    wait_for(&sender, 1).await;
    empty(&sender).await;
}

async fn a_dropped_pop3_session_deletes_nothing() {
    let account = account("agent0006", Protocol::Pop3, Security::Tls);
    empty(&account).await;
    lmtp_fill(&account.settings.address, 3).await;
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    let items = session.list().await.unwrap();
    session.delete(&items).await.unwrap();
    drop(session);
    let deadline = Instant::now() + Duration::from_secs(10);
    // The dropped session may hold the mailbox a little longer.
    let found = loop {
        match fetch::check_login(&account, &Limits::default()).await {
            Ok(report) => break report.mails,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(found, 3);
}

async fn new_mail_ends_an_idle_wait() {
    let account = account("agent0007", Protocol::Imap, Security::Tls);
    empty(&account).await;
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    assert_eq!(session.wait_for_mail(Duration::from_millis(300)).await.unwrap(), Woke::TimedOut);
    let address = account.settings.address.clone();
    let (woke, ()) = tokio::join!(session.wait_for_mail(Duration::from_secs(30)), lmtp_fill(&address, 1));
    assert_eq!(woke.unwrap(), Woke::NewMail);
    assert_eq!(session.list().await.unwrap().len(), 1);
    session.finish().await.unwrap();
    empty(&account).await;
}

async fn many_mails_are_listed_and_read_fast() {
    let count: usize = std::env::var("MAILSERVER_MANY").ok().and_then(|n| n.parse().ok()).unwrap_or(2500);
    let pop3 = account("agent0008", Protocol::Pop3, Security::Tls);
    let imap = account("agent0008", Protocol::Imap, Security::Tls);
    empty(&imap).await;
    lmtp_fill(&imap.settings.address, count).await;
    let mut sums = HashMap::new();
    for account in [&pop3, &imap, &pop3, &imap] {
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
        let octets: usize = mails.iter().map(|(_, mail)| mail.len()).sum();
        sums.insert(octets, mails.len());
    }
    assert_eq!(sums.len(), 1, "both protocols give the same octets: {sums:?}");
    empty(&pop3).await;
    assert_eq!(fetch::check_login(&imap, &Limits::default()).await.unwrap().mails, 0);
}

/// Puts mails of about 2 kB into a mailbox by LMTP (RFC 2033), without the queue.
async fn lmtp_fill(address: &str, count: usize) {
    const CONNECTIONS: usize = 16;
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..CONNECTIONS.min(count) {
        let share = count / CONNECTIONS + usize::from(nth < count % CONNECTIONS);
        tasks.spawn(lmtp_deliver(address.to_owned(), share));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

async fn lmtp_deliver(address: String, count: usize) {
    let tcp = TcpStream::connect((setting("MAILSERVER_HOST"), port("MAILSERVER_LMTP_PORT"))).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut tcp = BufReader::new(tcp);
    let body = "A line of fifty octets, to fill up the two kB..\r\n".repeat(38);
    let mail = format!("From: a@site.example\r\nSubject: one of many\r\nX-Number: 1\r\n\r\n{body}.\r\n");
    expect(&mut tcp, "220").await;
    tcp.write_all(b"LHLO test.example\r\n").await.unwrap();
    expect(&mut tcp, "250").await;
    for _ in 0..count {
        let commands = format!("MAIL FROM:<>\r\nRCPT TO:<{address}>\r\nDATA\r\n");
        tcp.write_all(commands.as_bytes()).await.unwrap();
        for code in ["250", "250", "354"] {
            expect(&mut tcp, code).await;
        }
        tcp.write_all(mail.as_bytes()).await.unwrap();
        expect(&mut tcp, "250").await;
    }
    tcp.write_all(b"QUIT\r\n").await.unwrap();
    expect(&mut tcp, "221").await;
}

async fn expect(tcp: &mut BufReader<TcpStream>, code: &str) {
    loop {
        let mut line = String::new();
        tcp.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(code), "{line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}

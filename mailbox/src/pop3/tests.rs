//! Scripted servers at the other end of a pipe in memory. Time is stopped and jumps to the next alarm.

mod logins;

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{ConnectError, FetchError, Item, Limits, LoginError, Password, Retrieved, sasl::Credential};

const HELLO: &str = "+OK ready\r\n";
const CAPA: (&str, &str) = ("CAPA", "+OK\r\nUIDL\r\nTOP\r\nSASL PLAIN\r\nSTLS\r\nPIPELINING\r\n.\r\n");
const AUTH: (&str, &str) = ("AUTH PLAIN AHVzZXIAc2VjcmV0", "+OK in\r\n");

/// Says `greeting`, then answers each expected command; afterwards reads to the end. Gives back what came beyond the script.
fn server(greeting: &str, script: &[(&str, &str)]) -> (DuplexStream, JoinHandle<Vec<String>>) {
    let (client, server) = duplex(1 << 20);
    let greeting = greeting.to_owned();
    let script: Vec<(String, String)> = script.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    let task = tokio::spawn(async move {
        let mut server = BufReader::new(server);
        server.write_all(greeting.as_bytes()).await.unwrap();
        for (expected, answer) in script {
            let mut line = String::new();
            server.read_line(&mut line).await.unwrap();
            assert_eq!(line, format!("{expected}\r\n"));
            server.write_all(answer.as_bytes()).await.unwrap();
        }
        let mut beyond = String::new();
        server.read_to_string(&mut beyond).await.unwrap();
        beyond.lines().map(Into::into).collect()
    });
    (client, task)
}

fn secret() -> Credential {
    Credential::of_password("user", Password::new("secret".into()), "nonce".into())
}

fn limits() -> Limits {
    Limits::default()
}

async fn logged_in(
    script: &[(&str, &str)],
    limits: &Limits,
) -> (Transaction<DuplexStream>, JoinHandle<Vec<String>>) {
    let script: Vec<_> = [CAPA, AUTH].iter().chain(script).copied().collect();
    let (stream, task) = server(HELLO, &script);
    let connection = Authorization::greet(stream, limits).await.unwrap();
    (connection.login(&secret()).await.unwrap(), task)
}

fn item(number: u32, size_octets: u64) -> Item {
    Item { id: format!("id{number}"), size_octets, handle: number }
}

#[tokio::test(start_paused = true)]
async fn a_whole_session_lists_reads_deletes_and_quits() {
    let (mut session, task) = logged_in(
        &[
            ("LIST", "+OK\r\n1 20\r\n2 9\r\n.\r\n"),
            ("UIDL", "+OK\r\n1 aaa\r\n2 bbb\r\n.\r\n"),
            ("RETR 1", "+OK\r\nA: b\r\n\r\n..dot\r\n.\r\n"),
            ("RETR 2", "+OK\r\nC: d\r\n\r\n.\r\n"),
            ("DELE 1", "+OK\r\n"),
            ("DELE 2", "+OK\r\n"),
            ("QUIT", "+OK bye\r\n"),
        ],
        &limits(),
    )
    .await;
    let items = session.list().await.unwrap();
    assert_eq!(items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["aaa", "bbb"]);
    let mails: Vec<Retrieved> =
        session.retrieve_batch(&items).await.unwrap().into_iter().map(|(_, r)| r).collect();
    let expected =
        [Retrieved::Mail(b"A: b\r\n\r\n.dot\r\n".to_vec()), Retrieved::Mail(b"C: d\r\n\r\n".to_vec())];
    assert_eq!(mails, expected);
    session.delete(&items).await.unwrap();
    session.quit().await.unwrap();
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_never_says_quit_so_nothing_is_deleted() {
    let (mut session, task) = logged_in(&[("DELE 1", "+OK\r\n")], &limits()).await;
    session.delete(&[item(1, 10)]).await.unwrap();
    drop(session);
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn gibberish_as_a_greeting_is_a_protocol_error() {
    for greeting in ["HTTP/1.1 400 Bad Request\r\n", "* OK IMAP4rev1\r\n", "\0\0\0\r\n"] {
        let (stream, _task) = server(greeting, &[]);
        let error = Authorization::greet(stream, &limits()).await.unwrap_err();
        assert!(matches!(error, FetchError::Protocol { during: "greeting", .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_after_the_limit() {
    let (stream, _task) = server("", &[]);
    let started = Instant::now();
    let error = Authorization::greet(stream, &limits()).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() <= limits().operation + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_octets_for_ever_is_left_at_the_overall_limit() {
    let (client, mut server) = duplex(1 << 20);
    let drip = tokio::spawn(async move {
        server.write_all(HELLO.as_bytes()).await.unwrap();
        while server.write_all(b"x\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
    });
    let wire_limits = limits();
    let started = Instant::now();
    let mut wire = wire::Wire::new(client, &wire_limits);
    wire.expect_ok("greeting").await.unwrap();
    let error = wire.mail("reading mail", 0, u64::MAX).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() <= wire_limits.overall + wire_limits.progress);
    drop(wire);
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_in_the_middle_of_a_mail_is_a_disconnect_not_a_short_mail() {
    let (client, mut server) = duplex(1 << 20);
    let task = tokio::spawn(async move {
        let answers =
            "+OK\r\n+OK\r\nSASL PLAIN\r\nUIDL\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\nFrom: a\r\n\r\nhal";
        server.write_all(answers.as_bytes()).await.unwrap();
        server.shutdown().await.unwrap();
        server.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let mut session = Authorization::greet(client, &limits()).await.unwrap().login(&secret()).await.unwrap();
    let error = session.retrieve(&item(1, 1000)).await.unwrap_err();
    assert!(matches!(error, FetchError::Disconnected { .. }), "{error:?}");
    drop(session);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_apart_by_their_codes() {
    type IsRight = fn(&FetchError) -> bool;
    let cases: [(&str, IsRight); 6] = [
        ("-ERR [AUTH] wrong", |e| matches!(e, FetchError::LoginRefused { .. })),
        ("-ERR wrong", |e| matches!(e, FetchError::LoginRefused { .. })),
        ("-ERR [IN-USE] locked", |e| matches!(e, FetchError::Busy { .. })),
        ("-ERR [LOGIN-DELAY] slowly", |e| matches!(e, FetchError::Busy { .. })),
        ("-ERR [SYS/TEMP] disk", |e| matches!(e, FetchError::Temporary { .. })),
        ("-ERR [SYS/PERM] gone", |e| matches!(e, FetchError::Refused { .. })),
    ];
    for (answer, is_right) in cases {
        let answer = format!("{answer}\r\n");
        let (stream, _task) = server(HELLO, &[CAPA, (AUTH.0, &answer)]);
        let connection = Authorization::greet(stream, &limits()).await.unwrap();
        let error = connection.login(&secret()).await.unwrap_err();
        assert!(is_right(&error), "{answer} gave {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_echoes_the_password_does_not_get_it_into_the_error() {
    let (stream, _task) = server(HELLO, &[CAPA, (AUTH.0, "-ERR user and secret do not match\r\n")]);
    let error = Authorization::greet(stream, &limits()).await.unwrap().login(&secret()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("<secret>") && !shown.replace("<secret>", "").contains("secret"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_capa_is_spoken_to_with_user_and_pass_one_command_at_a_time() {
    let (stream, task) = server(
        HELLO,
        &[
            ("CAPA", "-ERR what?\r\n"),
            ("USER user", "+OK\r\n"),
            ("PASS secret", "+OK\r\n"),
            ("CAPA", "-ERR what?\r\n"),
            ("RETR 1", "+OK\r\na\r\n.\r\n"),
            ("RETR 2", "-ERR no such message\r\n"),
            ("RETR 3", "+OK\r\nc\r\n.\r\n"),
        ],
    );
    let mut session = Authorization::greet(stream, &limits()).await.unwrap().login(&secret()).await.unwrap();
    let outcome = session.retrieve_batch(&[item(1, 3), item(2, 3), item(3, 3)]).await.unwrap();
    assert_eq!(outcome[0].1, Retrieved::Mail(b"a\r\n".to_vec()));
    assert_eq!(outcome[1].1, Retrieved::Gone);
    assert_eq!(outcome[2].1, Retrieved::Mail(b"c\r\n".to_vec()));
    drop(session);
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_the_credentials_on_their_own_line_gets_them_there() {
    let continued = [CAPA, (AUTH.0, "+ \r\n"), ("AHVzZXIAc2VjcmV0", "+OK\r\n")];
    let (stream, _task) = server(HELLO, &continued);
    let connection = Authorization::greet(stream, &limits()).await.unwrap();
    assert!(connection.login(&secret()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn credentials_that_could_carry_a_second_command_are_never_sent() {
    for (user, password) in [("user\r\nDELE 1", "x"), ("user", "x\nDELE 1"), ("user", "x\0y"), ("", "x")] {
        let (stream, task) = server(HELLO, &[]);
        let connection = Authorization::greet(stream, &limits()).await.unwrap();
        let error = connection
            .login(&Credential::of_password(user, Password::new(password.into()), "n".into()))
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Login(LoginError::Credentials)), "{error:?}");
        assert!(task.await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn plain_text_behind_the_answer_to_stls_is_an_injection() {
    let (stream, _task) = server(HELLO, &[("STLS", "+OK go\r\n+OK you are logged in\r\n")]);
    let error = Authorization::greet(stream, &limits()).await.unwrap().stls().await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(ConnectError::Injection)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_stls_ends_the_connection_and_never_goes_on_in_plain() {
    let (stream, task) = server(HELLO, &[("STLS", "-ERR not here\r\n")]);
    let error = Authorization::greet(stream, &limits()).await.unwrap().stls().await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(ConnectError::NoStartTls)), "{error:?}");
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mail_of_a_gigabyte_is_never_asked_for() {
    let listing = [
        ("LIST", "+OK\r\n1 1000000000\r\n2 3\r\n.\r\n"),
        ("UIDL", "+OK\r\n1 a\r\n2 b\r\n.\r\n"),
        ("RETR 2", "+OK\r\nx\r\n.\r\n"),
    ];
    let (mut session, task) = logged_in(&listing, &limits()).await;
    let items = session.list().await.unwrap();
    let error = session.retrieve(&items[0]).await.unwrap_err();
    assert!(
        matches!(error, FetchError::TooLarge { size_octets: 1_000_000_000, .. }) && error.session_goes_on()
    );
    let outcome = session.retrieve_batch(&items).await.unwrap();
    assert_eq!((&outcome[0].1, &outcome[1].1), (&Retrieved::TooLarge, &Retrieved::Mail(b"x\r\n".to_vec())));
    drop(session);
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mail_far_larger_than_announced_is_named_in_a_batch_and_read_when_alone() {
    let flood = format!("+OK\r\n{}.\r\n", "0123456789\r\n".repeat(20_000));
    let (mut session, _task) = logged_in(&[("RETR 1", &flood), ("RETR 2", "")], &limits()).await;
    let error = session.retrieve_batch(&[item(1, 50), item(2, 50)]).await.unwrap_err();
    assert!(matches!(&error, FetchError::Unreadable { id, .. } if id == "id1"), "{error:?}");
    let (mut session, _task) = logged_in(&[("RETR 1", &flood)], &limits()).await;
    assert_eq!(session.retrieve(&item(1, 50)).await.unwrap().len(), 240_000);
}

#[tokio::test(start_paused = true)]
async fn a_mail_larger_than_any_mail_may_be_is_given_up_even_when_alone() {
    let limits = Limits { message_octets_max: 100_000, ..limits() };
    let flood = format!("+OK\r\n{}", "0123456789\r\n".repeat(20_000));
    let (mut session, _task) = logged_in(&[("RETR 1", &flood)], &limits).await;
    let error = session.retrieve(&item(1, 50)).await.unwrap_err();
    assert!(matches!(&error, FetchError::Unreadable { id, .. } if id == "id1"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_in_a_reply_is_given_up() {
    let endless = "+OK ".to_owned() + &"x".repeat(100_000);
    let (stream, _task) = server(&endless, &[]);
    let error = Authorization::greet(stream, &limits()).await.unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_beyond_the_cap_gives_the_first_entries() {
    let limits = Limits { listing_max: 2, ..limits() };
    let script =
        [("LIST", "+OK\r\n1 1\r\n2 2\r\n3 3\r\n.\r\n"), ("UIDL", "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n")];
    let (mut session, _task) = logged_in(&script, &limits).await;
    assert_eq!(session.list().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_end_is_given_up() {
    let limits = Limits { listing_max: 2, ..limits() };
    let endless = "+OK\r\n".to_owned() + &"1 1\r\n".repeat(100);
    let (mut session, _task) = logged_in(&[("LIST", &endless)], &limits).await;
    assert!(matches!(session.list().await.unwrap_err(), FetchError::Protocol { during: "listing", .. }));
}

#[tokio::test(start_paused = true)]
async fn without_uidl_the_same_mail_has_the_same_id_in_the_next_session() {
    let script = |number: &str| {
        vec![
            ("LIST".to_owned(), format!("+OK\r\n{number} 40\r\n.\r\n")),
            ("UIDL".to_owned(), "-ERR unknown\r\n".to_owned()),
            (format!("TOP {number} 0"), "+OK\r\nSubject: x\r\n\r\n.\r\n".to_owned()),
        ]
    };
    let mut ids = Vec::new();
    for number in ["1", "7"] {
        let script = script(number);
        let script: Vec<(&str, &str)> = script.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let (mut session, _task) = logged_in(&script, &limits()).await;
        ids.push(session.list().await.unwrap()[0].id.clone());
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn without_uidl_and_top_the_mail_itself_makes_its_id() {
    let script = [
        ("LIST", "+OK\r\n1 40\r\n.\r\n"),
        ("UIDL", "-ERR unknown\r\n"),
        ("TOP 1 0", "-ERR unknown\r\n"),
        ("RETR 1", "+OK\r\nSubject: x\r\n\r\nbody\r\n.\r\n"),
    ];
    let (mut session, _task) = logged_in(&script, &limits()).await;
    assert!(session.list().await.unwrap()[0].id.starts_with("hash-"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_deletion_is_told_after_all_others_are_marked() {
    let script = [
        ("DELE 1", "-ERR gone\r\n"),
        ("DELE 2", "+OK\r\n"),
        ("NOOP", "+OK\r\n"),
        ("RSET", "+OK\r\n"),
        ("STAT", "+OK 3 99\r\n"),
    ];
    let (mut session, _task) = logged_in(&script, &limits()).await;
    let error = session.delete(&[item(1, 1), item(2, 1)]).await.unwrap_err();
    assert!(matches!(error, FetchError::Refused { .. }) && error.session_goes_on());
    session.noop().await.unwrap();
    session.reset().await.unwrap();
    assert_eq!(session.stat().await.unwrap(), (3, 99));
}

#[tokio::test(start_paused = true)]
async fn a_quit_without_confirmation_is_an_error_because_mails_may_come_again() {
    let (session, _task) =
        logged_in(&[("QUIT", "-ERR some deleted messages not removed\r\n")], &limits()).await;
    assert!(matches!(session.quit().await.unwrap_err(), FetchError::Refused { during: "QUIT", .. }));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_pipelined_commands_do_not_lock_up_on_small_buffers() {
    let (client, server) = duplex(4096);
    let task = tokio::spawn(async move {
        let mut server = BufReader::new(server);
        server.write_all(b"+OK\r\n").await.unwrap();
        let mut line = String::new();
        while server.read_line(&mut line).await.unwrap() > 0 {
            let answer = match line.split_whitespace().next() {
                Some("CAPA") => "+OK\r\nPIPELINING\r\nUIDL\r\nSASL PLAIN\r\n.\r\n".to_owned(),
                Some("RETR") => format!("+OK\r\n{line}{}.\r\n", "filling line\r\n".repeat(100)),
                _ => "+OK\r\n".to_owned(),
            };
            server.write_all(answer.as_bytes()).await.unwrap();
            line.clear();
        }
    });
    let mut session = Authorization::greet(client, &limits()).await.unwrap().login(&secret()).await.unwrap();
    let items: Vec<Item> = (1..=3000).map(|number| item(number, 1400)).collect();
    let outcome = session.retrieve_batch(&items).await.unwrap();
    assert_eq!(outcome.len(), 3000);
    for (item, retrieved) in outcome {
        let Retrieved::Mail(mail) = retrieved else { panic!("{item:?} is missing") };
        assert!(mail.starts_with(format!("RETR {}\r\n", item.handle).as_bytes()));
    }
    session.quit().await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_command_was_broken_off_is_not_used_on() {
    let (mut session, _task) = logged_in(&[("RETR 1", "+OK\r\nhalf a mail\r\n")], &limits()).await;
    let broken_off = tokio::time::timeout(Duration::from_secs(1), session.retrieve(&item(1, 20))).await;
    assert!(broken_off.is_err());
    assert!(matches!(session.noop().await.unwrap_err(), FetchError::OutOfStep));
    assert!(matches!(session.quit().await.unwrap_err(), FetchError::OutOfStep));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_is_given_on_line_by_line_and_the_session_goes_on() {
    let line = format!("{}\r\n", "x".repeat(76));
    let mail = format!("A: b\r\n\r\n..dot\r\n{}", line.repeat(4_000));
    let sent = format!("+OK\r\n{mail}.\r\n");
    let (mut session, task) =
        logged_in(&[("RETR 3", &sent), ("NOOP", "+OK\r\n"), ("QUIT", "+OK\r\n")], &limits()).await;
    let (mut got, mut longest) = (Vec::new(), 0);
    let octets = session
        .retrieve_into(&item(3, mail.len() as u64), &mut |piece| {
            longest = longest.max(piece.len());
            got.extend_from_slice(piece);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(got, mail.replacen("..dot", ".dot", 1).as_bytes());
    assert_eq!(octets, got.len() as u64);
    assert!(longest <= 128 << 10, "{longest} octets were held");
    session.noop().await.unwrap();
    session.quit().await.unwrap();
    assert!(task.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_that_is_gone_or_too_large_ends_no_session() {
    let small = Limits { message_octets_max: 100, ..limits() };
    let (mut session, _task) = logged_in(&[("RETR 1", "-ERR no such mail\r\n")], &small).await;
    let gone = session.retrieve_into(&item(1, 50), &mut |_| Ok(())).await;
    assert!(matches!(gone, Err(FetchError::Gone { .. })));
    let large = session.retrieve_into(&item(1, 101), &mut |_| Ok(())).await;
    assert!(matches!(large, Err(FetchError::TooLarge { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_beyond_its_cap_or_a_full_disk_breaks_off() {
    let sent = format!("+OK\r\n{}\r\n.\r\n", "y".repeat(500));
    let small = Limits { message_octets_max: 100, ..limits() };
    let (mut session, _task) = logged_in(&[("RETR 1", &sent)], &small).await;
    let long = session.retrieve_into(&item(1, 50), &mut |_| Ok(())).await;
    assert!(matches!(long, Err(FetchError::Unreadable { .. })));

    let (mut session, _task) = logged_in(&[("RETR 1", &sent)], &limits()).await;
    let full = session
        .retrieve_into(&item(1, 500), &mut |_| Err(std::io::ErrorKind::StorageFull.into()))
        .await
        .unwrap_err();
    assert!(matches!(full, FetchError::Sink(_)) && !full.session_goes_on());
    assert!(matches!(session.noop().await, Err(FetchError::OutOfStep)));
}

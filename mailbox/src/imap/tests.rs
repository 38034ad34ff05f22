//! Scripted servers at the other end of a pipe in memory. Time is stopped and jumps to the next alarm.

mod logins;
mod waiting;

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{FetchError, Item, Limits, Password, Retrieved, Woke, sasl::Credential};

const HELLO: &str = "* OK [CAPABILITY IMAP4rev1] hello\r\n";
const LOGIN: (&str, &str) =
    ("LOGIN \"user\" \"secret\"", "TAG OK [CAPABILITY IMAP4rev1  IDLE UIDPLUS X-NEW=1] in\r\n");
const SELECT: (&str, &str) = (
    "SELECT INBOX",
    "* FLAGS (\\Seen)\r\n* 2 EXISTS\r\n* 0 RECENT\r\n* 9 XYZZY\r\n* OK [UIDVALIDITY 77] ok\r\nTAG OK [READ-WRITE] done\r\n",
);

/// Answers each expected command, `TAG` replaced by the client's tag; afterwards closes. A `+` in front of the answer of
/// IDLE and the wait for DONE are part of the script too.
fn server(greeting: &str, script: &[(&str, &str)]) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(8 << 20);
    let greeting = greeting.to_owned();
    let script: Vec<(String, String)> = script.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    let task = tokio::spawn(async move {
        let mut server = BufReader::new(server);
        server.write_all(greeting.as_bytes()).await.unwrap();
        let mut tag = String::new();
        for (expected, answer) in script {
            let mut line = String::new();
            server.read_line(&mut line).await.unwrap();
            let command = if expected == "DONE" {
                line.trim_end().to_owned()
            } else {
                let (new_tag, command) = line.trim_end().split_once(' ').unwrap();
                tag = new_tag.to_owned();
                command.to_owned()
            };
            assert_eq!(command, expected);
            server.write_all(answer.replace("TAG", &tag).as_bytes()).await.unwrap();
            if answer.is_empty() {
                // Stays silent until the client has gone.
                let _ = server.read_line(&mut String::new()).await;
            }
        }
    });
    (client, task)
}

fn secret() -> Credential {
    Credential::of_password("user", Password::new("secret".into()), "nonce".into())
}

async fn open(script: &[(&str, &str)], limits: &Limits) -> Result<ImapSession<DuplexStream>, FetchError> {
    let script: Vec<_> = [LOGIN, SELECT].iter().chain(script).copied().collect();
    let (stream, _task) = server(HELLO, &script);
    ImapSession::greet(stream, &secret(), limits).await
}

fn item(uid: u32, size_octets: u64) -> Item {
    Item { id: format!("77-{uid}"), size_octets, handle: uid }
}

#[tokio::test(start_paused = true)]
async fn a_whole_session_lists_reads_deletes_and_logs_out() {
    let mut session = open(
        &[
            ("NOOP", "TAG OK\r\n".replace("OK", "OK done").as_str()),
            (
                "UID FETCH 1:* (UID RFC822.SIZE)",
                "* 1 FETCH (UID 5 RFC822.SIZE 9)\r\n* 2 FETCH (RFC822.SIZE 11 UID 6)\r\nTAG OK done\r\n",
            ),
            (
                "UID FETCH 5:6 (UID BODY.PEEK[])",
                "* 1 FETCH (UID 5 BODY[] {9}\r\nA: b\r\n\r\nx)\r\n* 2 FETCH (UID 6 BODY[] {11}\r\nA: b\r\n\r\n\u{fc}))\r\nTAG OK done\r\n",
            ),
            ("UID STORE 5:6 +FLAGS.SILENT (\\Deleted)", "TAG OK done\r\n"),
            ("UID EXPUNGE 5:6", "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nTAG OK done\r\n"),
            ("LOGOUT", "* BYE\r\nTAG OK done\r\n".replace("BYE", "BYE bye").as_str()),
        ],
        &Limits::default(),
    )
    .await
    .unwrap();
    assert!(session.capabilities().iter().any(|capability| capability == "UIDPLUS"));
    let items = session.list().await.unwrap();
    assert_eq!(items, [item(5, 9), item(6, 11)]);
    let outcome = session.retrieve_batch(&items).await.unwrap();
    assert_eq!(outcome[0].1, Retrieved::Mail(b"A: b\r\n\r\nx".to_vec()));
    assert!(matches!(&outcome[1].1, Retrieved::Mail(mail) if mail.len() == 11));
    session.delete(&items).await.unwrap();
    session.logout().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_empty_mailbox_is_not_asked_for_its_mails() {
    let empty = ("SELECT INBOX", "* 0 EXISTS\r\n* OK [UIDVALIDITY 77] ok\r\nTAG OK done\r\n");
    let (stream, _task) = server(HELLO, &[LOGIN, empty, ("NOOP", "TAG OK done\r\n")]);
    let mut session = ImapSession::greet(stream, &secret(), &Limits::default()).await.unwrap();
    assert!(session.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_broken_listing_is_an_error_and_not_an_empty_mailbox() {
    let fetch = "UID FETCH 1:* (UID RFC822.SIZE)";
    let noop = ("NOOP", "TAG OK done\r\n");
    let mut refused = open(&[noop, (fetch, "TAG NO not now\r\n")], &Limits::default()).await.unwrap();
    assert!(matches!(refused.list().await.unwrap_err(), FetchError::Refused { .. }));
    let mut broken =
        open(&[noop, (fetch, "* 1 FETCH (UID 5 RFC822.SIZE 9)\r\n")], &Limits::default()).await.unwrap();
    assert!(matches!(broken.list().await.unwrap_err(), FetchError::Disconnected { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_comes_in_pieces() {
    let limits = Limits { piece_octets: 8, ..Limits::default() };
    let mut session = open(
        &[
            (
                "UID FETCH 5 (UID BODY.PEEK[]<0.8>)",
                "* 1 FETCH (UID 5 BODY[]<0> {8}\r\n01234567)\r\nTAG OK done\r\n",
            ),
            (
                "UID FETCH 5 (UID BODY.PEEK[]<8.8>)",
                "* 1 FETCH (UID 5 BODY[]<8> {8}\r\n89abcdef)\r\nTAG OK done\r\n",
            ),
            (
                "UID FETCH 5 (UID BODY.PEEK[]<16.8>)",
                "* 1 FETCH (UID 5 BODY[]<16> {0}\r\n)\r\nTAG OK done\r\n",
            ),
        ],
        &limits,
    )
    .await
    .unwrap();
    assert_eq!(session.retrieve(&item(5, 16)).await.unwrap(), b"0123456789abcdef");
}

#[tokio::test(start_paused = true)]
async fn a_mail_of_a_gigabyte_is_never_asked_for() {
    let mut session = open(&[], &Limits::default()).await.unwrap();
    let error = session.retrieve(&item(5, 1 << 30)).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error:?}");
    let outcome = session.retrieve_batch(&[item(5, 1 << 30)]).await.unwrap();
    assert_eq!(outcome[0].1, Retrieved::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_literal_of_a_gigabyte_in_the_answer_is_given_up_at_once() {
    let lie = ("UID FETCH 5 (UID BODY.PEEK[])", "* 1 FETCH (UID 5 BODY[] {1000000000}\r\nxxxx");
    let mut session = open(&[lie], &Limits::default()).await.unwrap();
    let error = session.retrieve_batch(&[item(5, 100)]).await.unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_is_gone_is_told_as_such() {
    let gone = ("UID FETCH 5:6 (UID BODY.PEEK[])", "* 2 FETCH (UID 6 BODY[] {3}\r\nabc)\r\nTAG OK done\r\n");
    let mut session = open(&[gone], &Limits::default()).await.unwrap();
    let outcome = session.retrieve_batch(&[item(5, 3), item(6, 3)]).await.unwrap();
    assert_eq!((&outcome[0].1, &outcome[1].1), (&Retrieved::Gone, &Retrieved::Mail(b"abc".to_vec())));
}

#[tokio::test(start_paused = true)]
async fn a_mail_without_any_octet_is_a_mail_and_not_gone() {
    let answer = "* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\n* 2 FETCH (UID 6 BODY[] \"\")\r\nTAG OK done\r\n";
    let mut session = open(&[("UID FETCH 5:6 (UID BODY.PEEK[])", answer)], &Limits::default()).await.unwrap();
    let outcome = session.retrieve_batch(&[item(5, 0), item(6, 0)]).await.unwrap();
    assert!(outcome.iter().all(|(_, retrieved)| *retrieved == Retrieved::Mail(Vec::new())), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn mail_content_never_gets_into_the_error_of_a_response_that_cannot_be_read() {
    let broken = (
        "UID FETCH 5 (UID BODY.PEEK[])",
        "* 1 FETCH (UID 5 BODY[] {20}\r\nConfidential content ?!?)\r\nTAG OK done\r\n",
    );
    let mut session = open(&[broken], &Limits::default()).await.unwrap();
    let error = session.retrieve_batch(&[item(5, 20)]).await.unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("onfidential"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_after_the_limit() {
    let started = Instant::now();
    let mut session = open(&[("NOOP", "")], &Limits::default()).await.unwrap();
    assert!(matches!(session.noop().await.unwrap_err(), FetchError::Timeout { .. }));
    assert!(started.elapsed() <= Limits::default().operation + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn gibberish_preauth_or_a_good_bye_as_a_greeting_are_errors() {
    for greeting in ["+OK pop3\r\n", "* PREAUTH come in\r\n", "* BYE full\r\n", "\u{1}\u{2}\r\n"] {
        let (stream, _task) = server(greeting, &[]);
        let outcome = ImapSession::greet(stream, &secret(), &Limits::default()).await;
        assert!(outcome.is_err(), "{greeting}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_told_without_the_password() {
    let refused = (LOGIN.0, "TAG NO [AUTHENTICATIONFAILED] secret is wrong\r\n");
    let (stream, _task) = server(HELLO, &[refused]);
    let error = ImapSession::greet(stream, &secret(), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::LoginRefused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").replace("<secret>", "").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn idle_wakes_at_new_mail() {
    let mut session = open(
        &[
            ("IDLE", "+ idling\r\n* OK still here\r\n* 3 EXISTS\r\n"),
            ("DONE", "TAG OK done\r\n"),
            ("NOOP", "TAG OK done\r\n"),
        ],
        &Limits::default(),
    )
    .await
    .unwrap();
    assert_eq!(session.wait_for_mail(Duration::from_secs(300)).await.unwrap(), Woke::NewMail);
    session.noop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn idle_without_mail_ends_at_the_limit_and_the_session_goes_on() {
    let mut session = open(
        &[("IDLE", "+ idling\r\n"), ("DONE", "TAG OK done\r\n"), ("NOOP", "TAG OK done\r\n")],
        &Limits::default(),
    )
    .await
    .unwrap();
    let started = Instant::now();
    assert_eq!(session.wait_for_mail(Duration::from_secs(300)).await.unwrap(), Woke::TimedOut);
    assert!(started.elapsed() >= Duration::from_secs(300) && started.elapsed() < Duration::from_secs(310));
    session.noop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_and_a_good_bye_during_idle_are_disconnects() {
    for idle in ["+ idling\r\n", "+ idling\r\n* BYE shutting down\r\n"] {
        let mut session = open(&[("IDLE", idle)], &Limits::default()).await.unwrap();
        let error = session.wait_for_mail(Duration::from_secs(300)).await.unwrap_err();
        assert!(matches!(error, FetchError::Disconnected { .. }), "{idle}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_uidplus_everything_marked_is_expunged() {
    let login = (LOGIN.0, "TAG OK in\r\n");
    let capability = ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n");
    let script = [
        login,
        capability,
        SELECT,
        ("UID STORE 5 +FLAGS.SILENT (\\Deleted)", "TAG OK done\r\n"),
        ("EXPUNGE", "* 1 EXPUNGE\r\nTAG OK done\r\n"),
    ];
    let (stream, task) = server(HELLO, &script);
    let mut session = ImapSession::greet(stream, &secret(), &Limits::default()).await.unwrap();
    session.delete(&[item(5, 1)]).await.unwrap();
    assert_eq!(session.mails(), 1);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_command_was_broken_off_is_not_used_on() {
    let mut session = open(&[("NOOP", "")], &Limits::default()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), session.noop()).await.is_err());
    assert!(matches!(session.noop().await.unwrap_err(), FetchError::OutOfStep));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_is_given_on_in_pieces_until_a_short_one() {
    let limits = Limits { piece_octets: 4, ..Limits::default() };
    let mut session = open(
        &[
            (
                "UID FETCH 5 (UID BODY.PEEK[]<0.4>)",
                "* 1 FETCH (UID 5 BODY[]<0> {4}\r\nabcd)\r\nTAG OK done\r\n",
            ),
            (
                "UID FETCH 5 (UID BODY.PEEK[]<4.4>)",
                "* 1 FETCH (UID 5 BODY[]<4> {4}\r\nefgh)\r\nTAG OK done\r\n",
            ),
            ("UID FETCH 5 (UID BODY.PEEK[]<8.4>)", "* 1 FETCH (UID 5 BODY[]<8> {1}\r\ni)\r\nTAG OK done\r\n"),
            ("UID FETCH 6 (UID BODY.PEEK[]<0.4>)", "TAG OK done\r\n"),
        ],
        &limits,
    )
    .await
    .unwrap();
    let mut got = Vec::new();
    let octets = session
        .retrieve_into(&item(5, 9), &mut |piece| {
            got.extend_from_slice(piece);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((octets, got.as_slice()), (9, b"abcdefghi".as_slice()));
    let gone = session.retrieve_into(&item(6, 9), &mut |_| Ok(())).await;
    assert!(matches!(gone, Err(FetchError::Gone { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_for_which_there_is_no_room_is_left_in_the_mailbox() {
    let answer = "* 1 FETCH (UID 5 BODY[]<0> {3}\r\nabc)\r\nTAG OK done\r\n";
    let mut session =
        open(&[("UID FETCH 5 (UID BODY.PEEK[]<0.262144>)", answer)], &Limits::default()).await.unwrap();
    let full = session
        .retrieve_into(&item(5, 3), &mut |_| Err(std::io::ErrorKind::StorageFull.into()))
        .await
        .unwrap_err();
    assert!(matches!(full, FetchError::Sink(_)) && !full.session_goes_on());
}

mod quota {
    use super::*;

    const LOGIN: (&str, &str) =
        ("LOGIN \"user\" \"secret\"", "TAG OK [CAPABILITY IMAP4rev1 QUOTA QUOTA=RES-STORAGE] in\r\n");
    const ASK: &str = "GETQUOTAROOT INBOX";

    async fn open(script: &[(&str, &str)]) -> ImapSession<DuplexStream> {
        let script: Vec<_> = [LOGIN, SELECT].iter().chain(script).copied().collect();
        let (stream, _task) = server(HELLO, &script);
        ImapSession::greet(stream, &secret(), &Limits::default()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_fullest_of_the_roots_of_the_inbox_is_told_and_the_session_goes_on() {
        let answer = "* QUOTAROOT INBOX \"\" {4}\r\na (b\r\n* QUOTA \"\" (STORAGE 10 100 MESSAGE 5 0)\r\n\
            * QUOTA {4}\r\na (b (STORAGE 85 100)\r\n* 3 EXISTS\r\nTAG OK done\r\n";
        let mut session = open(&[(ASK, answer), ("NOOP", "TAG OK done\r\n")]).await;
        let quota = session.quota().await.unwrap();
        assert_eq!((quota.percent(), quota.mails), (Some(85), None));
        assert_eq!(session.mails(), 3, "what else is told meanwhile counts");
        session.noop().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_nonsense_costs_neither_memory_nor_the_session() {
        let line = format!("* QUOTA x (STORAGE {} {})\r\n", "9".repeat(200), "9".repeat(300));
        let answer =
            [line.repeat(10_000), format!("* QUOTA {}\r\nTAG OK done\r\n", "(".repeat(5000))].concat();
        let mut session = open(&[(ASK, answer.as_str()), ("NOOP", "TAG OK done\r\n")]).await;
        assert_eq!(session.quota().await.unwrap().percent(), Some(100));
        session.noop().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_or_has_no_quota_tells_of_no_limit() {
        let mut refusing = open(&[(ASK, "TAG NO not here\r\n"), ("NOOP", "TAG OK done\r\n")]).await;
        assert_eq!(refusing.quota().await.unwrap(), crate::Quota::default());
        refusing.noop().await.unwrap();
        // This one is not even asked.
        let mut without = super::open(&[("NOOP", "TAG OK done\r\n")], &Limits::default()).await.unwrap();
        assert_eq!(without.quota().await.unwrap(), crate::Quota::default());
        without.noop().await.unwrap();
    }
}

//! Logins by mechanism, over a scripted server.

use super::*;
use crate::{
    login_error::LoginError,
    oauth::{AccessToken, Cause},
    sasl::{Exchange, Mechanism, SaslError, Secret, Way},
};

/// Answers lines: those that begin with `TAG ` without their tag, the others as they are.
fn lines(script: &[(&str, &str)]) -> DuplexStream {
    let (client, server) = duplex(1 << 20);
    let script: Vec<(String, String)> = script.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    tokio::spawn(async move {
        let mut server = BufReader::new(server);
        let mut tag = String::new();
        for (expected, answer) in script {
            let mut line = String::new();
            if !expected.is_empty() || answer.starts_with("TAG") {
                server.read_line(&mut line).await.unwrap();
            }
            let line = line.trim_end();
            match expected.strip_prefix("TAG ") {
                Some(command) => {
                    let (first, rest) = line.split_once(' ').unwrap();
                    tag = first.to_owned();
                    assert_eq!(rest, command);
                }
                None => assert_eq!(line, expected),
            }
            server.write_all(answer.replace("TAG", &tag).as_bytes()).await.unwrap();
        }
        // Stays until the client has gone.
        let _ = server.read_line(&mut String::new()).await;
    });
    client
}

const CAPABILITIES: (&str, &str) = ("TAG CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK done\r\n");
const SELECTED: (&str, &str) =
    ("TAG SELECT INBOX", "* 0 EXISTS\r\n* OK [UIDVALIDITY 77] ok\r\nTAG OK done\r\n");

async fn opened(
    script: &[(&str, &str)],
    credential: &Credential,
) -> Result<ImapSession<DuplexStream>, FetchError> {
    ImapSession::greet(lines(script), credential, &Limits::default()).await
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_stands_in_the_command_where_the_server_takes_it_there() {
    let at_once = [
        ("", "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n"),
        ("TAG AUTHENTICATE PLAIN AHVzZXIAc2VjcmV0", "TAG OK in\r\n"),
        CAPABILITIES,
        SELECTED,
    ];
    assert_eq!(opened(&at_once, &secret()).await.unwrap().used().way, Way::Sasl(Mechanism::Plain));
    let when_asked = [
        ("", "* OK hello\r\n"),
        ("TAG CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n"),
        ("TAG AUTHENTICATE PLAIN", "+ \r\n"),
        ("AHVzZXIAc2VjcmV0", "TAG OK in\r\n"),
        CAPABILITIES,
        SELECTED,
    ];
    assert!(opened(&when_asked, &secret()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refused_challenge_is_followed_by_a_readable_login() {
    let mut exchange = Exchange::begin(Mechanism::CramMd5, &secret()).unwrap();
    let answer = exchange.answer_line("PGM+").unwrap();
    let script = [
        ("", "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] hello\r\n"),
        ("TAG AUTHENTICATE CRAM-MD5", "+ PGM+\r\n"),
        (answer.as_str(), "TAG NO [AUTHENTICATIONFAILED] no\r\n"),
        ("TAG LOGIN \"user\" \"secret\"", "TAG OK [CAPABILITY IMAP4rev1] in\r\n"),
        SELECTED,
    ];
    let used = opened(&script, &secret()).await.unwrap().used();
    assert_eq!((used.way, used.refused), (Way::Command, Some(Mechanism::CramMd5)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_in_without_its_proof_or_asks_nonsense_is_left() {
    let hello = ("", "* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-1] hello\r\n");
    let begin = "TAG AUTHENTICATE SCRAM-SHA-1";
    let first = "biwsbj11c2VyLHI9bm9uY2U=";
    let early = [hello, (begin, "+ \r\n"), (first, "TAG OK in\r\n")];
    let error = opened(&early, &secret()).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::Sasl(SaslError::NotProven))), "{error:?}");
    let nonsense = [hello, (begin, "+ \r\n"), (first, "+ bm9uc2Vuc2U=\r\n"), ("", "TAG NO given up\r\n")];
    let error = opened(&nonsense, &secret()).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::Sasl(SaslError::Challenge { .. }))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_no_readable_login_gets_none() {
    let hello = ("", "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] hello\r\n");
    let error = opened(&[hello], &secret()).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::NoMechanism(_))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_without_right_to_the_mailbox_is_told_so() {
    let token = Credential { secret: Secret::Token(AccessToken::new("t".into())), ..secret() };
    let script = [
        ("", "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n"),
        (
            "TAG AUTHENTICATE XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHQBAQ==",
            "TAG OK AUTHENTICATE completed.\r\n",
        ),
        CAPABILITIES,
        ("TAG SELECT INBOX", "TAG BAD User is authenticated but not connected.\r\n"),
    ];
    let error = opened(&script, &token).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Login(LoginError::TokenRefused(refused)) if refused.cause == Cause::NoMailbox),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn challenges_without_end_are_left_at_the_limit() {
    let (client, mut server) = duplex(1 << 10);
    tokio::spawn(async move {
        let hello = b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] hello\r\n";
        server.write_all(hello).await.unwrap();
        tokio::io::AsyncReadExt::read(&mut server, &mut [0; 1024]).await.unwrap();
        while server.write_all(b"+ YQ==\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = tokio::io::AsyncReadExt::read(&mut server, &mut [0; 1024]).await;
        }
    });
    let error = ImapSession::greet(client, &secret(), &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { during: "login" }), "{error:?}");
}

//! Logins by mechanism, over a scripted server.

use super::*;
use crate::{
    login_error::LoginError,
    oauth::AccessToken,
    sasl::{Exchange, Mechanism, SaslError, Secret, Used, Way},
};

fn capa(mechanisms: &str) -> String {
    format!("+OK\r\nUIDL\r\nPIPELINING\r\nSASL {mechanisms}\r\n.\r\n")
}

async fn outcome(
    mechanisms: &str,
    script: &[(&str, &str)],
    credential: &Credential,
) -> Result<Used, FetchError> {
    let capa = capa(mechanisms);
    let script: Vec<_> = std::iter::once(("CAPA", capa.as_str())).chain(script.iter().copied()).collect();
    let (stream, _task) = server(HELLO, &script);
    let connection = Authorization::greet(stream, &limits()).await.unwrap();
    connection.login(credential).await.map(|session| session.used())
}

#[tokio::test(start_paused = true)]
async fn a_refused_challenge_is_followed_by_a_readable_login_which_is_remembered() {
    let mut exchange = Exchange::begin(Mechanism::CramMd5, &secret()).unwrap();
    let answer = exchange.answer_line("PGM+").unwrap();
    let script = [("AUTH CRAM-MD5", "+ PGM+\r\n"), (answer.as_str(), "-ERR [AUTH] no\r\n"), AUTH];
    let used = outcome("PLAIN CRAM-MD5", &script, &secret()).await.unwrap();
    assert_eq!(used, Used { way: Way::Sasl(Mechanism::Plain), refused: Some(Mechanism::CramMd5) });
    let remembering = Credential { avoid: vec![Mechanism::CramMd5], ..secret() };
    let used = outcome("PLAIN CRAM-MD5", &[AUTH], &remembering).await.unwrap();
    assert_eq!(used, Used { way: Way::Sasl(Mechanism::Plain), refused: None });
}

#[tokio::test(start_paused = true)]
async fn a_challenge_without_sense_is_given_up_and_brings_no_readable_login() {
    let first = ("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9bm9uY2U=", "+ bm9uc2Vuc2U=\r\n");
    let error =
        outcome("PLAIN SCRAM-SHA-256", &[first, ("*", "-ERR given up\r\n")], &secret()).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::Sasl(SaslError::Challenge { .. }))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_in_without_its_proof_is_left() {
    let first = ("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9bm9uY2U=", "+OK welcome\r\n");
    let error = outcome("SCRAM-SHA-256", &[first], &secret()).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Login(LoginError::Sasl(SaslError::NotProven)))
            && error.is_refused_login(),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_server_tells_of_a_token_in_json_comes_with_its_refusal() {
    let token = Credential { secret: Secret::Token(AccessToken::new("t".repeat(300))), ..secret() };
    let mut exchange = Exchange::begin(Mechanism::XOAuth2, &token).unwrap();
    let message = exchange.initial_line(4000).unwrap();
    let script = [
        // Too long for the command's line.
        ("AUTH XOAUTH2", "+ \r\n"),
        (message.as_str(), "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        ("", "-ERR Authentication failure: unknown user name or bad password.\r\n"),
    ];
    let error = outcome("PLAIN XOAUTH2", &script, &token).await.unwrap_err();
    let FetchError::Login(LoginError::TokenRefused(refused)) = &error else { panic!("{error:?}") };
    assert!(refused.text.contains("bad password. (status 400)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_tells_of_no_mechanism_gets_user_and_pass() {
    let script = [("USER user", "+OK\r\n"), ("PASS secret", "+OK\r\n")];
    let (stream, _task) =
        server(HELLO, &[("CAPA", "-ERR what\r\n"), script[0], script[1], ("CAPA", "-ERR what\r\n")]);
    let connection = Authorization::greet(stream, &limits()).await.unwrap();
    assert_eq!(connection.login(&secret()).await.unwrap().used().way, Way::Command);
    let scram = Credential { only: Some(Mechanism::ScramSha256), ..secret() };
    let error = outcome("PLAIN", &[], &scram).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::NoMechanism(_))), "{error:?}");
}

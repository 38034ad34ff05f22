//! Logins by access token: real programs' code against a token server and a post office that knows its tokens.

use std::path::Path;
use std::time::Duration;

use mailbox::oauth::{AccessToken, Cause, Flow, OAuth2Settings, Provider, TokenError, device};
use mailbox::sasl::{Mechanism, Way};
use mailbox::{Account, FetchError, Limits, Login, LoginError, Protocol, Security, SendError, fetch, smtp};
use sandbox::post_office::{PostOffice, Settings};
use sandbox::token_server::{Answer, Client, TokenServer};
use tempfile::{NamedTempFile, TempDir};

use super::logins::{account, logged_in};
use super::{ALICE, BOB, SECRET};

const APP: &str = "the-app";
const CLIENT_SECRET: &str = "the app's secret & more";

/// A provider over TLS, a post office that takes its tokens by one mechanism, and a folder for secrets.
struct Ground {
    office: PostOffice,
    provider: TokenServer,
    secrets: TempDir,
}

impl Ground {
    async fn new(mechanisms: &[Mechanism]) -> Self {
        let identity = PostOffice::start(Settings::default()).await.expect("free ports on loopback");
        let provider = TokenServer::start(Some(identity.acceptor())).await.expect("a free port on loopback");
        let settings = Settings {
            mechanisms: mechanisms.to_vec(),
            tokens: Some(provider.issuer()),
            ..Settings::default()
        };
        let office = PostOffice::start(settings).await.expect("free ports on loopback");
        office.add_mailbox(BOB, SECRET);
        provider.add_client(Client::of_mailbox(APP, CLIENT_SECRET, BOB));
        let secrets = tempfile::tempdir().expect("a folder");
        // Both authorities are trusted, as `ca_file` may hold several.
        let both = format!("{}{}", office.ca_pem(), identity.ca_pem());
        std::fs::write(secrets.path().join("ca.pem"), both).expect("a written file");
        identity.stop().await;
        Self { office, provider, secrets }
    }

    fn settings(&self, flow: Flow) -> OAuth2Settings {
        OAuth2Settings {
            provider: Provider::Other,
            flow,
            client_id: APP.to_owned(),
            tenant: None,
            scope: Some("https://outlook.office365.com/.default".to_owned()),
            token_url: Some(self.provider.token_url()),
            device_url: Some(self.provider.device_url()),
            mechanism: None,
        }
    }

    /// Bob's account, with its tokens in the folder: as a program makes it at its start.
    fn account(&self, protocol: Protocol, flow: Flow) -> (Account, NamedTempFile) {
        let login = Login::OAuth2(Box::new(self.settings(flow)));
        let (mut account, ca) = account(&self.office, protocol, Security::Tls, login, CLIENT_SECRET);
        account.settings.ca_file = Some(self.secrets.path().join("ca.pem"));
        (account.with_token_file(self.token_file()), ca)
    }

    fn token_file(&self) -> std::path::PathBuf {
        self.secrets.path().join("mail-1.token")
    }

    fn given(&self) -> u64 {
        self.provider.issuer().given()
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn an_application_logs_in_everywhere_with_one_token_by_either_mechanism() {
    for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
        let ground = Ground::new(&[Mechanism::Plain, mechanism]).await;
        for protocol in [Protocol::Pop3, Protocol::Imap] {
            let (account, _ca) = ground.account(protocol, Flow::ClientCredentials);
            let by = Way::Sasl(mechanism);
            assert_eq!(logged_in(&account).await, (by, by));
        }
        assert_eq!(ground.given(), 1, "one token serves both servers, and programs that start later");
        assert_eq!(mode(&ground.token_file()), 0o600);
        let kept = std::fs::read_to_string(ground.token_file()).expect("the tokens");
        assert!(!kept.contains("secret & more"), "the client secret lies elsewhere");
    }
}

#[tokio::test]
async fn sessions_that_begin_at_once_ask_for_one_token() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let (account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let (other_program, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let limits = Limits::default();
    let (first, second, third) = tokio::join!(
        fetch::check_login(&account, &limits),
        smtp::check_login(&account, &limits),
        smtp::check_login(&other_program, &limits),
    );
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(ground.given(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_on_the_disk_before_the_login() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let issuer = ground.provider.issuer();
    // Tokens of no life are fetched anew for each login, and each time the refresh token changes.
    issuer.set_life(Duration::ZERO);
    let (account, _ca) = ground.account(Protocol::Imap, Flow::RefreshToken);
    let limits = Limits::default();
    let error = account.access_token(&limits).await.unwrap_err();
    assert!(matches!(error, TokenError::NotSignedIn), "{error}");
    account.sign_in(&limits, AccessToken::new(issuer.refresh_token(APP, BOB))).await.expect("a stored token");
    for _ in 0..3 {
        let before = std::fs::read(ground.token_file()).expect("the tokens");
        account.access_token(&limits).await.expect("a token");
        assert_ne!(std::fs::read(ground.token_file()).expect("the tokens"), before);
        // A program that starts from the disk alone can go on.
        let (again, _ca) = ground.account(Protocol::Imap, Flow::RefreshToken);
        again.access_token(&limits).await.expect("a token");
    }
    issuer.set_life(Duration::from_hours(1));
    logged_in(&account).await;
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_fetched_anew_once() {
    let ground = Ground::new(&[Mechanism::OAuthBearer]).await;
    let (account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let an_hour_ago = std::sync::Arc::new(|| {
        let now = mailbox::TlsTime::system();
        mailbox::TlsTime { now: now.now - Duration::from_mins(30), ..now }
    });
    // Fetched half an hour ago, so that it is neither new nor due.
    account.clone().with_clock(an_hour_ago).access_token(&Limits::default()).await.expect("a token");
    ground.provider.issuer().withdraw_all();
    logged_in(&account).await;
    assert_eq!(ground.given(), 2);
    let stats = ground.office.stats();
    assert_eq!((stats.failed_logins.imap, stats.logins.imap), (1, 1));
}

#[tokio::test]
async fn a_token_that_no_server_takes_is_not_fetched_again_and_again() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let without =
        Client { roles: vec!["SMTP.SendAsApp".to_owned()], ..Client::of_mailbox(APP, CLIENT_SECRET, ALICE) };
    ground.provider.add_client(without);
    let (account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let limits = Limits::default();
    for _ in 0..3 {
        let error = fetch::check_login(&account, &limits).await.unwrap_err();
        let FetchError::Login(LoginError::TokenRefused(refused)) = &error else { panic!("{error}") };
        assert_eq!(refused.cause, Cause::AppLacks("IMAP.AccessAsApp"));
        assert!(
            error.to_string().contains("status 401")
                && error.to_string().contains("the app lacks IMAP.AccessAsApp")
        );
        assert!(mailbox::advice(&error).is_some_and(|advice| advice.contains("application permission")));
    }
    let error = smtp::check_login(&account, &limits).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Login(LoginError::TokenRefused(refused)) if refused.cause == Cause::Unknown),
        "{error}"
    );
    assert_eq!(ground.given(), 1);
}

#[tokio::test]
async fn what_a_provider_refuses_is_said_with_what_to_do_and_no_mail_server_is_asked() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let (account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let limits = Limits::default();
    let expired =
        Answer::microsoft("invalid_client", 7_000_222, "The provided client secret keys are expired.");
    ground.provider.issuer().script(expired);
    let error = fetch::check_login(&account, &limits).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Login(LoginError::Token(TokenError::Refused(_))))
            && error.is_refused_login(),
        "{error}"
    );
    assert!(mailbox::advice(&error).is_some_and(|advice| advice.contains("expired")));
    ground.provider.issuer().script(Answer { status: 503, body: "<html>busy".to_owned() });
    let error = fetch::check_login(&account, &limits).await.unwrap_err();
    assert!(!error.is_refused_login(), "a passing fault: {error}");
    assert_eq!(ground.office.stats().connections.imap, 0);
    logged_in(&account).await;
}

#[tokio::test]
async fn a_wrong_client_secret_and_an_unknown_client_are_told_apart() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let (mut account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    account.password = mailbox::Password::new("another".to_owned());
    let error = account.access_token(&Limits::default()).await.unwrap_err();
    assert!(
        mailbox::advice(&error).is_some_and(|advice| advice.contains("client secret is wrong")),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("another"));
    account.settings.login = Login::OAuth2(Box::new(OAuth2Settings {
        client_id: "nobody".to_owned(),
        ..ground.settings(Flow::ClientCredentials)
    }));
    let error = account.access_token(&Limits::default()).await.unwrap_err();
    assert!(mailbox::advice(&error).is_some_and(|advice| advice.contains("not known")), "{error}");
}

#[tokio::test]
async fn a_person_signs_in_by_code() {
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    let public = Client { secret: None, ..Client::of_mailbox(APP, "", BOB) };
    ground.provider.add_client(public);
    let (mut account, _ca) = ground.account(Protocol::Pop3, Flow::RefreshToken);
    account.password = mailbox::Password::new(String::new());
    let limits = Limits::default();
    let prompt = device::begin(&account, &limits).await.expect("a code");
    let issuer = ground.provider.issuer();
    let person = async {
        assert_eq!(issuer.awaited_code().as_deref(), Some(prompt.code.as_str()));
        assert!(issuer.sign_in(&prompt.code, BOB));
    };
    let (signed_in, ()) = tokio::join!(device::finish(&account, &prompt, &limits), person);
    signed_in.expect("a sign-in");
    logged_in(&account).await;
}

#[tokio::test]
async fn a_token_file_that_others_may_read_or_that_is_damaged_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let ground = Ground::new(&[Mechanism::XOAuth2]).await;
    std::fs::write(ground.token_file(), "{}").expect("a written file");
    std::fs::set_permissions(ground.token_file(), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let (account, _ca) = ground.account(Protocol::Imap, Flow::ClientCredentials);
    let error = account.access_token(&Limits::default()).await.unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(ground.token_file(), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let error = account.access_token(&Limits::default()).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

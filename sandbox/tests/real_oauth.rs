//! Logins by access token and by every mechanism for passwords at a real Dovecot and Postfix: Dovecot asks our token server
//! whose a token is (RFC 7662). It starts a mail site of its own by `scripts/mailserver` where the environment says
//! `MAILSERVER_LOGINS`, and says that it skips where that cannot run.
//!
//! One test after the other in one function: they share the site.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mailbox::oauth::{Cause, Flow, OAuth2Settings, Provider};
use mailbox::sasl::{Mechanism, Way};
use mailbox::{
    Account, AccountSettings, FetchError, Limits, Login, LoginError, Password, Protocol, Security, SendError,
    Server, fetch, smtp,
};
use sandbox::token_server::{Client, TokenServer};

/// A mail site as `scripts/mailserver` prints it; ended when it is dropped.
struct Site {
    values: HashMap<String, String>,
    _folder: tempfile::TempDir,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mailserver")
}

impl Site {
    /// `None` where no site can run (not root, no packages).
    fn start(provider: &TokenServer) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // Dovecot reads it as its own user.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let asks = folder.path().join("oauth2.conf");
        let url = provider.introspection_url();
        std::fs::write(
            &asks,
            format!(
                "introspection_mode = post\nintrospection_url = {url}\nusername_attribute = username\n\
                 active_attribute = active\nactive_value = true\n"
            ),
        )
        .unwrap();
        // Each refusal would make Dovecot slower, until Postfix no longer waits for it.
        let conf = folder.path().join("dovecot.conf");
        std::fs::write(
            &conf,
            format!(
                "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer\n\
                 auth_failure_delay = 0\n\
                 service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
                 passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {}\n}}\n",
                asks.display()
            ),
        )
        .unwrap();
        let started = Command::new(script())
            .args(["start", "--install", "--users", "3", "--dovecot-conf"])
            .arg(&conf)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&started.stderr);
        if started.status.code() == Some(3) {
            println!("SKIPPED: {told}");
            return None;
        }
        assert!(started.status.success(), "{told}");
        let text = String::from_utf8(started.stdout).unwrap();
        let values = text.lines().filter_map(|line| line.split_once('='));
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { values, _folder: folder })
    }

    fn value(&self, name: &str) -> &str {
        &self.values[&format!("MAILSERVER_{name}")]
    }

    fn account(&self, protocol: Protocol, security: Security, login: Login, secret: &str) -> Account {
        let server = |name: &str| Server {
            host: self.value("HOST").to_owned(),
            port: self.value(name).parse().unwrap(),
            security,
        };
        let (smtp, fetch_server) = match (security, protocol) {
            (Security::Tls, Protocol::Pop3) => ("SMTPS_PORT", "POP3S_PORT"),
            (Security::Tls, Protocol::Imap) => ("SMTPS_PORT", "IMAPS_PORT"),
            (_, Protocol::Pop3) => ("SUBMISSION_PORT", "POP3_PORT"),
            (_, Protocol::Imap) => ("SUBMISSION_PORT", "IMAP_PORT"),
        };
        let settings = AccountSettings {
            name: "real".to_owned(),
            address: self.value("FIRST_USER").to_owned(),
            username: self.value("FIRST_USER").to_owned(),
            smtp: server(smtp),
            fetch: protocol,
            fetch_server: server(fetch_server),
            ca_file: Some(PathBuf::from(self.value("CA"))),
            hello_name: None,
            smtp_login: true,
            mail_octets_max: None,
            provider: None,
            limits: Default::default(),
            login,
        };
        Account::new(settings, Password::new(secret.to_owned()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = Command::new(script()).args(["stop", "--root", self.value("ROOT")]).status();
    }
}

async fn logged_in(account: &Account) -> (Way, Way) {
    let limits = Limits::default();
    let fetched = fetch::check_login(account, &limits).await;
    let sent = smtp::check_login(account, &limits).await;
    let (fetched, sent) = (fetched.unwrap_or_else(|e| panic!("{e}")), sent.unwrap_or_else(|e| panic!("{e}")));
    (fetched.login, sent.login.unwrap())
}

const EVERY_WAY: [(Protocol, Security); 5] = [
    (Protocol::Pop3, Security::Tls),
    (Protocol::Imap, Security::Tls),
    (Protocol::Pop3, Security::StartTls),
    (Protocol::Imap, Security::StartTls),
    (Protocol::Imap, Security::Plain),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_work_with_a_real_dovecot_and_postfix() {
    if std::env::var_os("MAILSERVER_LOGINS").is_none() {
        println!("SKIPPED: MAILSERVER_LOGINS is not set, so no real mail server was tried");
        return;
    }
    let provider = TokenServer::start(None).await.unwrap();
    let Some(site) = Site::start(&provider) else { return };
    every_mechanism_for_passwords(&site).await;
    tokens_by_either_mechanism(&site, &provider).await;
    a_refused_token_is_told_with_what_the_server_said(&site, &provider).await;
}

async fn every_mechanism_for_passwords(site: &Site) {
    let password = site.value("PASSWORD").to_owned();
    for mechanism in
        [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login]
    {
        for (protocol, security) in EVERY_WAY {
            let account = site.account(protocol, security, Login::Mechanism(mechanism), &password);
            let by = Way::Sasl(mechanism);
            assert_eq!(logged_in(&account).await, (by, by), "{protocol:?} {security:?}");
        }
    }
    let account = site.account(Protocol::Imap, Security::Tls, Login::Password, &password);
    let strongest = Way::Sasl(Mechanism::ScramSha256);
    assert_eq!(logged_in(&account).await, (strongest, strongest));
    let wrong =
        site.account(Protocol::Pop3, Security::Tls, Login::Mechanism(Mechanism::ScramSha256), "wrong");
    let error = fetch::check_login(&wrong, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::LoginRefused { .. }), "{error:?}");
    let error = smtp::check_login(&wrong, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, SendError::LoginRefused { .. }), "{error:?}");
}

fn by_token(provider: &TokenServer, client: &str, mechanism: Option<Mechanism>) -> Login {
    Login::OAuth2(Box::new(OAuth2Settings {
        provider: Provider::Other,
        flow: Flow::ClientCredentials,
        client_id: client.to_owned(),
        tenant: None,
        scope: Some("mail".to_owned()),
        token_url: Some(provider.token_url()),
        device_url: None,
        mechanism,
    }))
}

async fn tokens_by_either_mechanism(site: &Site, provider: &TokenServer) {
    provider.add_client(Client::of_mailbox("app", "app's secret", site.value("FIRST_USER")));
    for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
        for (protocol, security) in EVERY_WAY {
            let login = by_token(provider, "app", Some(mechanism));
            let by = Way::Sasl(mechanism);
            assert_eq!(
                logged_in(&site.account(protocol, security, login, "app's secret")).await,
                (by, by),
                "{protocol:?} {security:?}"
            );
        }
    }
    // Fetched half an hour ago and withdrawn since: it is fetched anew once.
    let account =
        site.account(Protocol::Imap, Security::Tls, by_token(provider, "app", None), "app's secret");
    let earlier = account.clone().with_clock(std::sync::Arc::new(|| {
        let now = mailbox::TlsTime::system();
        mailbox::TlsTime { now: now.now - Duration::from_mins(30), ..now }
    }));
    earlier.access_token(&Limits::default()).await.unwrap();
    provider.issuer().withdraw_all();
    let before = provider.issuer().given();
    logged_in(&account).await;
    assert_eq!(provider.issuer().given(), before + 1);
}

async fn a_refused_token_is_told_with_what_the_server_said(site: &Site, provider: &TokenServer) {
    let other =
        Client { roles: Vec::new(), ..Client::of_mailbox("other", "secret", "agent0002@site.example") };
    provider.add_client(other);
    for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
        for (protocol, lacks) in [(Protocol::Imap, "IMAP.AccessAsApp"), (Protocol::Pop3, "POP.AccessAsApp")] {
            let login = by_token(provider, "other", Some(mechanism));
            let account = site.account(protocol, Security::Tls, login, "secret");
            let error = fetch::check_login(&account, &Limits::default()).await.unwrap_err();
            assert!(
                matches!(&error, FetchError::Login(LoginError::TokenRefused(refused)) if refused.cause == Cause::AppLacks(lacks)),
                "{error:?}"
            );
            let error = smtp::check_login(&account, &Limits::default()).await.unwrap_err();
            let SendError::Login(LoginError::TokenRefused(refused)) = &error else { panic!("{error:?}") };
            assert_eq!(refused.cause, Cause::AppLacks("SMTP.SendAsApp"));
            println!("{mechanism}: {error}");
        }
    }
}

//! Logins by password with every mechanism, over every protocol.

use mailbox::sasl::{Mechanism, SaslError, Way};
use mailbox::{
    Account, AccountSettings, FetchError, Login, LoginError, Password, Protocol, Security, SendError, Server,
    fetch, smtp,
};
use sandbox::post_office::{PostOffice, Settings};
use tempfile::NamedTempFile;

use super::{BOB, SECRET};

const BY_PASSWORD: [Mechanism; 5] =
    [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login];

/// A post office with these mechanisms, and Bob's mailbox.
pub(super) async fn office_offering(mechanisms: &[Mechanism]) -> PostOffice {
    let settings = Settings { mechanisms: mechanisms.to_vec(), ..Settings::default() };
    let office = PostOffice::start(settings).await.expect("free ports on loopback");
    office.add_mailbox(BOB, SECRET);
    office
}

/// Bob's account with this login. The file with the authority must outlive it.
pub(super) fn account(
    office: &PostOffice,
    fetch: Protocol,
    security: Security,
    login: Login,
    secret: &str,
) -> (Account, NamedTempFile) {
    let ca_file = NamedTempFile::new().expect("a file");
    std::fs::write(ca_file.path(), office.ca_pem()).expect("a written file");
    let ports = office.ports();
    let (smtp, port) = match (security, fetch) {
        (Security::Tls, Protocol::Pop3) => (ports.smtps, ports.pop3s),
        (Security::Tls, Protocol::Imap) => (ports.smtps, ports.imaps),
        (_, Protocol::Pop3) => (ports.smtp, ports.pop3),
        (_, Protocol::Imap) => (ports.smtp, ports.imap),
    };
    let server = |port| Server { host: "127.0.0.1".to_owned(), port, security };
    let settings = AccountSettings {
        name: "bob".to_owned(),
        address: BOB.to_owned(),
        username: BOB.to_owned(),
        smtp: server(smtp),
        fetch,
        fetch_server: server(port),
        ca_file: Some(ca_file.path().to_owned()),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login,
    };
    (Account::new(settings, Password::new(secret.to_owned())), ca_file)
}

/// How the logins to both servers were made.
pub(super) async fn logged_in(account: &Account) -> (Way, Way) {
    let limits = mailbox::Limits::default();
    let fetched = fetch::check_login(account, &limits).await.expect("a login for fetching");
    let sent = smtp::check_login(account, &limits).await.expect("a login for sending");
    (fetched.login, sent.login.expect("a login"))
}

const BOTH: [Protocol; 2] = [Protocol::Pop3, Protocol::Imap];

#[tokio::test]
async fn every_mechanism_logs_in_over_every_protocol() {
    let office = office_offering(&BY_PASSWORD).await;
    for mechanism in BY_PASSWORD {
        for (protocol, security) in [
            (Protocol::Pop3, Security::Tls),
            (Protocol::Imap, Security::Tls),
            (Protocol::Pop3, Security::StartTls),
            (Protocol::Imap, Security::StartTls),
        ] {
            let (account, _ca) = account(&office, protocol, security, Login::Mechanism(mechanism), SECRET);
            assert_eq!(
                logged_in(&account).await,
                (Way::Sasl(mechanism), Way::Sasl(mechanism)),
                "{protocol:?}"
            );
        }
    }
    assert_eq!(office.stats().failed_logins.imap, 0);
}

#[tokio::test]
async fn the_strongest_offered_mechanism_is_used_also_on_an_open_line() {
    let office = office_offering(&[Mechanism::Plain, Mechanism::CramMd5, Mechanism::ScramSha256]).await;
    for security in [Security::Tls, Security::Plain] {
        for protocol in BOTH {
            let (account, _ca) = account(&office, protocol, security, Login::Password, SECRET);
            let strongest = Way::Sasl(Mechanism::ScramSha256);
            assert_eq!(logged_in(&account).await, (strongest, strongest));
        }
    }
}

#[tokio::test]
async fn a_server_without_the_mechanism_of_the_settings_gets_no_password() {
    let office = office_offering(&[Mechanism::Plain, Mechanism::Login]).await;
    for protocol in BOTH {
        let scram = Login::Mechanism(Mechanism::ScramSha256);
        let (account, _ca) = account(&office, protocol, Security::Tls, scram, SECRET);
        let limits = mailbox::Limits::default();
        let error = fetch::check_login(&account, &limits).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Login(LoginError::NoMechanism(none)) if none.offered == "PLAIN LOGIN"),
            "{error}"
        );
        let error = smtp::check_login(&account, &limits).await.unwrap_err();
        assert!(matches!(error, SendError::Login(LoginError::NoMechanism(_))), "{error}");
        assert!(mailbox::advice(&error).is_some_and(|advice| advice.contains("`login`")));
    }
    let stats = office.stats();
    assert_eq!((stats.logins.imap, stats.failed_logins.imap, stats.failed_logins.smtp), (0, 0, 0));
}

#[tokio::test]
async fn a_wrong_password_is_refused_after_two_tries_at_most_and_one_on_an_open_line() {
    let office = office_offering(&BY_PASSWORD).await;
    let limits = mailbox::Limits::default();
    for (security, tries) in [(Security::Tls, 2), (Security::Plain, 1)] {
        for protocol in BOTH {
            let before = office.stats().failed_logins;
            let (account, _ca) = account(&office, protocol, security, Login::Password, "wrong");
            let error = fetch::check_login(&account, &limits).await.unwrap_err();
            assert!(matches!(error, FetchError::LoginRefused { .. }), "{error}");
            let error = smtp::check_login(&account, &limits).await.unwrap_err();
            assert!(matches!(error, SendError::LoginRefused { .. }), "{error}");
            let after = office.stats().failed_logins;
            let fetching = |count: sandbox::post_office::PerService| count.imap + count.pop3;
            assert_eq!(fetching(after) - fetching(before), tries);
            assert_eq!(after.smtp - before.smtp, tries);
        }
    }
}

#[tokio::test]
async fn names_and_passwords_that_no_login_can_carry_are_not_sent() {
    let office = office_offering(&[Mechanism::ScramSha256]).await;
    let (mut account, _ca) = account(&office, Protocol::Imap, Security::Tls, Login::Password, SECRET);
    account.settings.username = "bob\u{7}@site.example".to_owned();
    let error = fetch::check_login(&account, &mailbox::Limits::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::Login(LoginError::Sasl(SaslError::Unprintable))), "{error}");
    assert_eq!(office.stats().failed_logins.imap, 0);
}

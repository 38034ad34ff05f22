//! TLS against a small server on loopback with a certificate made for the test: who is trusted, and who is not.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use std::{path::Path, sync::Arc, time::Duration};

use mailbox::{
    Account, AccountSettings, ConnectError, FetchError, Limits, Password, Protocol, Security, Server,
    TlsTime, fetch,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A POP3 server with an empty mailbox that knows STLS; gives its port and its certificate as PEM.
async fn pop3_server(security: Security, made_out_to: &str) -> (u16, String) {
    pop3_server_valid(security, made_out_to, (1975, 4096)).await
}

/// The same with a certificate that is valid from the first day of one year to the first day of another.
async fn pop3_server_valid(security: Security, made_out_to: &str, years: (i32, i32)) -> (u16, String) {
    let mut certificate = rcgen::CertificateParams::new(vec![made_out_to.into()]).unwrap();
    certificate.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    certificate.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = certificate.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if security == Security::Tls {
                    return talk(acceptor.accept(tcp).await?, true).await;
                }
                tcp.write_all(b"+OK plain\r\n").await?;
                let mut line = String::new();
                BufReader::new(&mut tcp).read_line(&mut line).await?;
                assert_eq!(line, "STLS\r\n");
                tcp.write_all(b"+OK go\r\n").await?;
                talk(acceptor.accept(tcp).await?, false).await
            });
        }
    });
    (port, cert.pem())
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, greet: bool) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if greet {
        stream.write_all(b"+OK ready\r\n").await?;
    }
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer: &[u8] = match line.split_whitespace().next() {
            Some("CAPA") => b"+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n",
            Some("STAT") => b"+OK 0 0\r\n",
            _ => b"+OK\r\n",
        };
        stream.write_all(answer).await?;
        stream.flush().await?;
        line.clear();
    }
    Ok(())
}

fn account(port: u16, security: Security, ca_file: Option<&Path>) -> Account {
    let server = Server { host: "127.0.0.1".into(), port, security };
    let settings = AccountSettings {
        name: "test".into(),
        address: "agent@site.example".into(),
        username: "user".into(),
        smtp: server.clone(),
        fetch: Protocol::Pop3,
        fetch_server: server,
        ca_file: ca_file.map(Into::into),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    Account::new(settings, Password::new("secret".into()))
}

fn limits() -> Limits {
    Limits { connect: Duration::from_secs(5), operation: Duration::from_secs(5), ..Limits::default() }
}

#[tokio::test]
async fn a_certificate_of_the_settings_is_trusted_at_once_and_after_stls() {
    for security in [Security::Tls, Security::StartTls] {
        let (port, pem) = pop3_server(security, "127.0.0.1").await;
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), pem).unwrap();
        let report =
            fetch::check_login(&account(port, security, Some(ca_file.path())), &limits()).await.unwrap();
        assert_eq!((report.mails, report.security), (0, security));
    }
}

#[tokio::test]
async fn a_certificate_of_unknown_origin_is_refused_before_any_password_is_sent() {
    for security in [Security::Tls, Security::StartTls] {
        let (port, _) = pop3_server(security, "127.0.0.1").await;
        let (_, other_pem) = pop3_server(security, "127.0.0.1").await;
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), other_pem).unwrap();
        let outcome = fetch::check_login(&account(port, security, Some(ca_file.path())), &limits()).await;
        assert!(matches!(outcome, Err(FetchError::Connect(ConnectError::Handshake { .. }))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_trusted_certificate_made_out_to_another_host_is_refused() {
    let (port, pem) = pop3_server(Security::Tls, "mail.example").await;
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), pem).unwrap();
    let outcome = fetch::check_login(&account(port, Security::Tls, Some(ca_file.path())), &limits()).await;
    assert!(matches!(outcome, Err(FetchError::Connect(ConnectError::Handshake { .. }))), "{outcome:?}");
}

#[tokio::test]
async fn a_port_that_takes_the_connection_and_never_speaks_is_left_after_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), made.cert.pem()).unwrap();
    let limits = Limits { connect: Duration::from_millis(300), ..limits() };
    let outcome = fetch::check_login(&account(port, Security::Tls, Some(ca_file.path())), &limits).await;
    assert!(matches!(outcome, Err(FetchError::Connect(ConnectError::TimedOut { .. }))), "{outcome:?}");
}

/// The first day of a year.
fn year(year: i16) -> std::time::SystemTime {
    jiff::civil::date(year, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().into()
}

/// A login at a server with a certificate of these years, at a clock of one's own.
async fn login_at(years: (i32, i32), time: TlsTime) -> Result<(), FetchError> {
    let (port, pem) = pop3_server_valid(Security::Tls, "127.0.0.1", years).await;
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), pem).unwrap();
    let account = account(port, Security::Tls, Some(ca_file.path())).with_clock(Arc::new(move || time));
    fetch::check_login(&account, &limits()).await.map(drop)
}

#[tokio::test]
async fn a_box_whose_clock_is_ten_years_off_reaches_its_server_as_long_as_nothing_proves_the_time() {
    for wrong in [2016, 2036] {
        let unproven = TlsTime { now: year(wrong), floor: Some(year(2026)), proven: false };
        login_at((2025, 2028), unproven).await.unwrap();
        login_at((2027, 2028), unproven).await.unwrap();
        let proven = TlsTime { now: year(wrong), floor: None, proven: true };
        assert!(login_at((2025, 2028), proven).await.is_err());
    }
}

#[tokio::test]
async fn a_certificate_that_had_expired_at_the_last_authentic_message_is_refused_whatever_the_clock_says() {
    for wrong in [2016, 2026, 2036] {
        let time = TlsTime { now: year(wrong), floor: Some(year(2026)), proven: false };
        let outcome = login_at((2010, 2025), time).await;
        assert!(
            matches!(outcome, Err(FetchError::Connect(ConnectError::CertificateDates { .. }))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_refused_for_its_dates_says_which_and_what_the_clock_says() {
    let time = TlsTime { now: year(2036), floor: None, proven: false };
    let error = login_at((2025, 2028), time).await.unwrap_err();
    let FetchError::Connect(ConnectError::CertificateDates { source, .. }) = &error else {
        panic!("{error:?}")
    };
    let text = source.to_string();
    for part in ["from 2025-01-01", "to 2028-01-01", "2036-01-01", "set the clock"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(mailbox::advice(&error).unwrap().contains("clock"));
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_a_clock_that_is_right() {
    let outcome = login_at((2020, 2021), TlsTime::system()).await;
    assert!(
        matches!(outcome, Err(FetchError::Connect(ConnectError::CertificateDates { .. }))),
        "{outcome:?}"
    );
}

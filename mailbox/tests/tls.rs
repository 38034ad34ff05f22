//! TLS against a small server on loopback with a certificate made for the test: who is trusted, and who is not.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use std::{path::Path, sync::Arc, time::Duration};

use mailbox::{
    Account, AccountSettings, ConnectError, FetchError, Limits, Password, Protocol, Security, Server, fetch,
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
    let made = rcgen::generate_simple_self_signed(vec![made_out_to.into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
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
    (port, made.cert.pem())
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
